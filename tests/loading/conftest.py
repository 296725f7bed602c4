"""Keys, and signed models of every format that `load` gives arrays of."""

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from weighbridge.sign.signer import open_signer
from weighbridge.signing import Wish, sign_model
from weighbridge.trust.keygen import new_key


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch, tmp_path):
    """No keyring, policy or setting of the machine that runs the tests."""
    for name in [name for name in os.environ if name.startswith("WEIGHBRIDGE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    for name in ("publisher", "other"):
        new_key(folder / f"{name}.key")
    return folder


@pytest.fixture
def key(keys):
    return keys / "publisher.pub"


@pytest.fixture
def sign(keys):
    def run(path: Path, name: str = "publisher", **wish) -> Path:
        sign_model(Wish(path=str(path), **wish), [open_signer(str(keys / f"{name}.key"))])
        return path

    return run


ARRAYS = {
    "layer.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "layer.bias": np.linspace(0, 1, 5).astype(np.float16),
    "ids": np.array([[1, -2], [3, 4]], dtype=np.int64),
    "mask": np.array([True, False]),
    "empty": np.zeros((0, 3), dtype=np.int8),
}


@pytest.fixture
def model(tmp_path, sign):
    folder = tmp_path / "model"
    folder.mkdir()
    save_file(ARRAYS, folder / "model.safetensors")
    (folder / "config.json").write_text('{"hidden_size": 4}')
    return sign(folder)
