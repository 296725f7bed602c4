"""Makes the small model files in this folder with the real libraries, and checks our reading of tensors against theirs.

Run by hand, in an environment that has torch 2.13, keras 3.15, h5py and numpy beside this project's `src` on its path:

    KERAS_BACKEND=torch PYTHONPATH=src python tests/formats/data/make.py

The tests need only the files. `tensors.json` holds SHA-256 of the row-major bytes of every tensor as `torch.load` gives
it, so that the tests can compare without torch.
"""

import hashlib
import json
from pathlib import Path

import h5py
import keras
import numpy as np
import torch

HERE = Path(__file__).parent


def torch_files() -> dict[str, dict[str, str]]:
    torch.manual_seed(0)
    weight = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    state = {
        "weight": weight,
        "turned": weight.t(),
        "row": weight[1],
        "every_other": weight[:, ::2],
        "half": {"x": torch.ones(3, dtype=torch.bfloat16), "flags": torch.tensor([True, False])},
        "scalar": torch.tensor(7, dtype=torch.int64),
        "nothing": torch.zeros((0, 3)),
        "parameter": torch.nn.Parameter(torch.full((2, 2), 0.5, dtype=torch.float64)),
        "list": [torch.tensor([1, 2], dtype=torch.int16), "text", 3],
    }
    torch.save(state, HERE / "torch-zip.pt")
    torch.save(state, HERE / "torch-legacy.pt", _use_new_zipfile_serialization=False)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    torch.save(
        {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3},
        HERE / "torch-checkpoint.pt",
    )
    found = {}
    for name in ("torch-zip.pt", "torch-legacy.pt", "torch-checkpoint.pt"):
        found[name] = dict(digests("", torch.load(HERE / name, weights_only=True)))
    script = torch.jit.script(torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU()))
    script.save(HERE / "torchscript.pt")
    found["torchscript.pt"] = {k: digest(v) for k, v in script.state_dict().items()}
    return found


def digests(path, value):
    if isinstance(value, torch.Tensor):
        yield path, digest(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from digests(f"{path}.{key}" if path else str(key), inner)
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from digests(f"{path}.{number}" if path else str(number), inner)


def digest(tensor) -> str:
    plain = tensor.detach().contiguous()
    raw = bytes(plain.flatten().view(torch.uint8).tolist()) if plain.numel() else b""
    return hashlib.sha256(raw).hexdigest()


def keras_files() -> None:
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, activation="relu"), keras.layers.Dense(1)]
    )
    model.compile(optimizer="sgd", loss="mse")
    model.save(HERE / "sequential.keras")
    model.save(HERE / "sequential.h5")


def hdf5_files() -> None:
    with h5py.File(HERE / "dense.h5", "w", libver="latest", track_order=True) as file:
        for number in range(12):
            file.create_group(f"group{number}")
            file.attrs[f"attribute{number}"] = f"value {number}"
        file["numbers"] = np.arange(5, dtype="<f4")
        file["chunks"] = file.create_dataset("c", (4,), dtype="<i2", chunks=(2,), compression="gzip")
    with h5py.File(HERE / "outside.h5", "w") as file:
        file["folder/link"] = h5py.ExternalLink("other.h5", "/x")
        file["soft"] = h5py.SoftLink("/folder")
        file.attrs["pickled"] = np.bytes_(b"\x80\x04}.")
        file.create_dataset("raw", (10,), dtype="f4", external=[("/etc/hostname", 0, 40)])
    with h5py.File(HERE / "hdf5" / "virtual.h5", "w", libver="latest") as file:
        layout = h5py.VirtualLayout(shape=(10,), dtype="f4")
        layout[:] = h5py.VirtualSource("/etc/weighbridge-sample.h5", "x", shape=(10,))
        file.create_virtual_dataset("w", layout)


if __name__ == "__main__":
    (HERE / "tensors.json").write_text(json.dumps(torch_files(), indent=1) + "\n")
    keras_files()
    hdf5_files()
