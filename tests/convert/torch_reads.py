"""Run by a Python that has torch, as a program of its own: what `torch.load` and `safetensors` give for a file, as digests.

    python torch_reads.py torch=FILE safetensors=FILE …

prints one object for each: dotted key → [dtype, shape, SHA-256 of the row-major bytes].

Classes that only the author's packages have are replaced by empty ones that keep their state, so that the tensors inside
can be reached without importing anybody's code.
"""

import hashlib
import json
import pickle
import sys
from types import SimpleNamespace

import torch


class Foreign:
    """Stands for a class of somebody's."""

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        self.__dict__.update(state if isinstance(state, dict) else {"state": state})


class ForeignDict(dict):
    def __setstate__(self, state):
        self.__dict__.update(state if isinstance(state, dict) else {})


class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if module.split(".")[0] in ("torch", "collections", "numpy", "builtins", "_codecs", "argparse"):
            return super().find_class(module, name)
        return type(name, (ForeignDict if name == "AttributeDict" else Foreign,), {})


def tensors(path, value, seen):
    if isinstance(value, torch.Tensor):
        yield path, value
        return
    if id(value) in seen:
        return
    seen[id(value)] = value
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list | tuple):
        items = list(enumerate(value))
    else:
        items = []
    if isinstance(value, Foreign | ForeignDict):
        items += list(value.__dict__.items())
    for key, inner in items:
        yield from tensors(f"{path}.{key}" if path else str(key), inner, seen)


def described(tensor):
    flat = tensor.detach().contiguous().reshape(-1)
    raw = bytes(flat.view(torch.uint8).numpy()) if flat.numel() else b""
    return [str(tensor.dtype).removeprefix("torch."), list(tensor.shape), hashlib.sha256(raw).hexdigest()]


def read(kind, path):
    if kind == "torch":
        module = SimpleNamespace(
            __name__="pickle",
            Unpickler=Unpickler,
            load=pickle.load,
            loads=pickle.loads,
            UnpicklingError=pickle.UnpicklingError,
        )
        loaded = torch.load(path, map_location="cpu", weights_only=False, pickle_module=module)
        return dict(tensors("", loaded, {}))
    from safetensors.torch import load_file

    return load_file(path)


wanted = [argument.split("=", 1) for argument in sys.argv[1:]]
answers = [{name: described(tensor) for name, tensor in read(kind, path).items()} for kind, path in wanted]
json.dump(answers, sys.stdout)
