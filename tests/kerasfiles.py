"""Writes models of Keras, right and wrong ones: configurations, archives and whole models in HDF5."""

import base64
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weighbridge.core.budget import Budget
from weighbridge.core.source import MemorySource
from weighbridge.formats import read

DATA = Path(__file__).parent / "formats" / "data"
CODE = base64.b64encode(b"\xe3" + bytes(7) + b"echo weighbridge-sample " * 3).decode()
"""What a Lambda layer keeps of its function: marshalled bytecode, here one that no interpreter would take."""


def model(*layers: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """The configuration of a Sequential model."""
    return {
        "module": "keras",
        "class_name": "Sequential",
        "registered_name": None,
        "config": {"name": "sample", "layers": list(layers)},
        **more,
    }


def layer(kind: str, module: str | None = "keras.layers", **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": kind, "registered_name": None, "config": config}


def function(name: str, module: str) -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def archive(config: Any, weights: bytes = b"", **members: bytes) -> bytes:
    """A `.keras` file; members beside the three of every model lie in `assets/`."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("metadata.json", json.dumps({"keras_version": "3.8.0"}))
        made.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
        made.writestr("model.weights.h5", weights or (DATA / "dense.h5").read_bytes())
        for name, data in members.items():
            made.writestr(f"assets/{name}", data)
    return file.getvalue()


def in_h5(config: dict[str, Any]) -> bytes:
    """A whole model in HDF5 whose `model_config` is this one: written into the room of the real one."""
    whole = (DATA / "sequential.h5").read_bytes()
    parts = {part.name: part.source for part in read("hdf5", MemorySource(whole), Budget(), "x.h5").parts}
    old = parts["model_config"].read(0, parts["model_config"].size)
    new = json.dumps(config).encode().ljust(len(old))
    assert (whole.count(old), len(new)) == (1, len(old))
    return whole.replace(old, new)
