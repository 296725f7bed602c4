"""A small signed model, and the program called in-process the way a shell would call it."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from weighbridge.cli.app import run


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Answer]


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch, tmp_path):
    """No keyring, policy or setting of the machine that runs the tests."""
    for name in [name for name in os.environ if name.startswith("WEIGHBRIDGE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def weighbridge(capfd) -> Run:
    def call(*arguments: object) -> Answer:
        code = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Answer(code, out, err)

    return call


def safetensors(**tensors: bytes) -> bytes:
    """A file of U8 tensors."""
    header, at = {}, 0
    for name, data in tensors.items():
        header[name.replace("__", ".")] = {
            "dtype": "U8",
            "shape": [len(data)],
            "data_offsets": [at, at + len(data)],
        }
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(tensors.values())


def write_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "README.md").write_text("# A small model\n")
    (folder / "config.json").write_text('{"architectures": ["Tiny"], "hidden_size": 4}\n')
    (folder / "sub").mkdir()
    (folder / "sub" / "vocab.txt").write_text("a\nb\n")
    tensors = {f"layers__{n}__weight": bytes([n]) * 64 for n in range(3)}
    (folder / "model.safetensors").write_bytes(safetensors(**tensors))
    return folder


@pytest.fixture(scope="session")
def signed_once(tmp_path_factory) -> Path:
    from weighbridge.sign.signer import open_signer
    from weighbridge.signing import Wish, sign_model
    from weighbridge.trust.keygen import new_key

    root = tmp_path_factory.mktemp("signed")
    new_key(root / "publisher.key")
    new_key(root / "stranger.key")
    write_model(root / "model")
    sign_model(Wish(path=str(root / "model")), [open_signer(str(root / "publisher.key"))])
    return root


@pytest.fixture
def signed(signed_once, tmp_path) -> Path:
    """A folder with `model`, `publisher.key`, `publisher.pub`, `stranger.key`, `stranger.pub`; the working folder."""
    shutil.copytree(signed_once, tmp_path, dirs_exist_ok=True)
    return tmp_path
