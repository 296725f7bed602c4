"""Harmless models: what the real libraries wrote (`benign/`, made by `make_benign.py`), and look-alikes of attacks."""

import gzip
import io
import json
import pickle
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.corpus.case import Case, Cases, Expect, benign, folder, unknown
from tests.formats.zipmaker import DEFLATED, Item, make
from tests.tensorfiles import Gguf, safetensors

HERE = Path(__file__).parent
TESTS = HERE.parent
UNJUDGED = frozenset(
    {
        "torch-lite.ptl",  # bytecode of the mobile interpreter, whose stack is not followed
        "torch-package.pt",  # a package whose own module runs when it is loaded from
    }
)
"""Real files whose honest outcome is UNKNOWN."""
WORDS = "The os.system call, __import__('os') and eval(input()) are dangerous; so is `curl http://example.com | sh`.\n"


def written() -> Cases:
    """What the libraries wrote."""
    folders = [
        HERE / "benign",
        TESTS / "formats" / "data",
        TESTS / "formats" / "data" / "pickle",
        TESTS / "formats" / "tensors",
    ]
    alone = {"outside.h5", "external.onnx", "external.data", "objects.npy"}
    for directory in folders:
        for path in sorted(directory.iterdir()):
            if path.is_file() and path.suffix != ".py" and path.name not in alone:
                family = path.name.partition("-")[0].partition(".")[0]
                case = unknown if path.name in UNJUDGED else benign
                yield case(f"real-{family}", f"{directory.name}-{path.name}", path.name, path.read_bytes())
    tensors = TESTS / "formats" / "tensors"
    files = {name: (tensors / name).read_bytes() for name in ("external.onnx", "external.data")}
    yield folder("real-onnx", "external-data", files, Expect.PASS)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def look_alikes() -> Cases:
    """They mention, contain or resemble what attacks use, and do nothing."""
    texts = {
        "README.md": WORDS * 3 + "```python\nimport os\nos.system('ls')\n```\n",
        "notes.txt": "cos is a function.\nsystem administrators read this.\n(S'text'\n",
        "LICENSE": "Copyright (c) 2026. Permission is hereby granted.\n" * 5,
        "vocab.txt": "cat\ndog\nos\nsystem\neval\nexec\nbuiltins\n" * 5,
        "merges.txt": "#version: 0.2\no s\ns y\nsy s\n",
        "data.csv": "name,command\nrun,os.system\n",
        "formula.md": "x^2 + y^2 = 1 and PK is a constant; BZh is a word\n",
        "n.txt": "N.B. this is a note. (See above.)\n",
        "quote.txt": "I am here.\nL is a letter.\n.\n",
        "russian.md": "\u0421\u0438\u0441\u0442\u0435\u043c\u0430 os.system\n",
        "arabic.md": "\u0645\u0631\u062d\u0628\u0627 system\n",
        "config.yaml": "model:\n  name: eval\n  command: os.system\n  note: \"!!python is a tag\"\n",
        "params.yaml": "# _target_ stands for a class\nlr: 0.1\npath: C:\\\\models\n",
        "hydra.yaml": "model:\n  _target_: torch.nn.Linear\n  in_features: 3\n",
        "requirements.txt": "torch==2.13.0\nnumpy>=2\n--extra-index-url https://download.pytorch.org/whl/cpu\n",
        "card.html": '<html><head><meta http-equiv="Content-Type" content="text/html"><meta http-equiv="Pragma" content="x"></head></html>',
        "chat_template.jinja": "{% for m in messages %}{{ m['role'] ~ ': ' ~ m['content'] | trim }}{% endfor %}",
        "system.jinja": "{% if messages[0].role == 'system' %}{{ messages[0].content }}{% endif %}{{ '__class__ is a word' }}",
    }  # fmt: skip
    for path, text in texts.items():
        yield benign("text", path, path, text.encode())
    configs: dict[str, Any] = {
        "config.json": {"architectures": ["BertModel"], "hidden_act": "gelu", "os": "linux", "system": "eval", "exec": [1, 2]},
        "tokenizer_config.json": {"tokenizer_class": "BertTokenizer", "chat_template": "{{ messages[0]['content'] }}", "added": {"__class__": 1}},
        "special_tokens_map.json": {"bos_token": "<s>", "eos_token": "</s>"},
        "generation_config.json": {"temperature": 0.7, "do_sample": True},
        "vocab.json": {"os": 0, "system": 1, "eval": 2, "__import__": 3, "_target_x": 4, "class_name": 5},
        "package.json": {"name": "not keras", "items": [{"class_name": "Thing", "config": {"a": 1}}]},
        "preprocessor_config.json": {"image_processor_type": "X", "size": {"height": 224}},
        "model_index.json": {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"]},
        "modules.json": [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}],
        "adapter_config.json": {"peft_type": "LORA", "base_model_name_or_path": "someone/base", "target_modules": ["q", "v"]},
    }  # fmt: skip
    for path, value in configs.items():
        yield benign("config", path, path, _json(value))
    index = {"metadata": {"total_size": 8}, "weight_map": {"a": "model-1.safetensors"}}
    weights = safetensors({"a": ("F32", [2], 0, 8)}, bytes(8))
    yield folder(
        "config",
        "sharded",
        {"model.safetensors.index.json": _json(index), "model-1.safetensors": weights},
        Expect.PASS,
    )
    code = "import torch\nfrom torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.fc = nn.Linear(2, 1)\n\n    def forward(self, x):\n        return self.fc(x)\n"
    yield folder("python", "model-code", {"modeling_x.py": code}, Expect.PASS)
    yield benign(
        "python",
        "constants",
        "constants.py",
        b"import os\n\nPATH = os.path.join('a', 'b')\nNAMES = ['os.system', 'eval']\n",
    )
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": WORDS},
        {
            "cell_type": "code",
            "metadata": {},
            "execution_count": 1,
            "outputs": [],
            "source": "import torch\nx = torch.ones(3)\nprint(x)",
        },
    ]
    yield benign(
        "notebook",
        "plain",
        "a.ipynb",
        _json({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}),
    )


def containers() -> Cases:
    """Archives of harmless files."""
    text = WORDS.encode()
    state = (TESTS / "formats" / "data" / "torch-zip.pt").read_bytes()
    values = pickle.dumps({"a": [1, 2], "note": WORDS}, 4)
    yield benign(
        "archive",
        "zip-of-text",
        "a.zip",
        make(Item(name="model/notes.txt", data=text), Item(name="model/x.json", data=b"{}")),
    )
    yield benign(
        "archive", "zip-deflated", "a.zip", make(Item(name="notes.txt", data=text * 20, method=DEFLATED))
    )
    yield benign(
        "archive",
        "zip-with-comment",
        "a.zip",
        make(Item(name="a.txt", data=text), comment=b"made for tests\nin two lines"),
    )
    yield benign("archive", "zip-of-torch", "a.zip", make(Item(name="weights.pt", data=state)))
    yield benign(
        "archive", "zip-in-zip", "a.zip", make(Item(name="b.zip", data=make(Item(name="a.txt", data=text))))
    )
    yield benign("archive", "zip-of-pickle", "a.zip", make(Item(name="config.pkl", data=values)))
    tar = _tar({"model/notes.txt": text, "model/weights.pt": state})
    yield benign("archive", "tar", "a.tar", tar)
    yield benign("archive", "tar-gz", "a.tar.gz", gzip.compress(tar, mtime=0))
    yield benign("archive", "tar-of-two", "a.tar", _tar({"a.pt": state, "b.pt": state, "c.txt": text}))
    yield benign("archive", "gz-of-text", "notes.txt.gz", gzip.compress(text, mtime=0))
    yield benign("archive", "gz-of-pickle", "a.pkl.gz", gzip.compress(values, mtime=0))
    for protocol in range(6):
        yield benign(
            "pickle",
            f"texts-of-attacks-p{protocol}",
            "notes.pkl",
            pickle.dumps([WORDS, b"cos\nsystem\n", "posix", "system"], protocol),
        )
        yield benign("pickle", f"deep-p{protocol}", "deep.pkl", pickle.dumps(_deep(100), protocol))
        yield benign(
            "pickle", f"many-p{protocol}", "many.pkl", pickle.dumps([{"i": i} for i in range(500)], protocol)
        )
    yield benign("pickle", "several", "several.pkl", values * 3)
    yield benign(
        "gguf",
        "template",
        "m.gguf",
        Gguf()
        .text("general.name", WORDS)
        .text("tokenizer.chat_template", "{{ messages[0]['content'] }}")
        .bytes(),
    )
    noise = bytes((i * 197 + 41) % 256 for i in range(400))
    yield benign(
        "safetensors",
        "tensor-that-looks-like-zip",
        "m.safetensors",
        safetensors({"a": ("U8", [408], 0, 408)}, b"PK\x03\x04\x80\x04MZ" + noise),
    )


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _deep(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def cases() -> Iterator[Case]:
    yield from written()
    yield from look_alikes()
    yield from containers()
