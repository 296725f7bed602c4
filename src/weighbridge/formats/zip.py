"""Zip files: the structure from `formats.ziptree`, then the dialect that its names tell.

A dialect's reader sees every entry of every view, and answers with its own `Reading` (`pytorch-zip`, `keras`, `npz`);
whatever it does not explain stays a part to be sniffed. Names are told apart as the dialect's loader does: PyTorch
ignores case, Keras and numpy do not. An archive that no dialect claims is a plain `zip` and its members are sniffed.
"""

from dataclasses import fields
from typing import Any

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.formats.reading import Reading, TensorRef
from weighbridge.formats.ziptree import ZipTree, ends_inside_tar, read_tree


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Read a zip file as the dialect that its members tell. Raises `InputError` and `LimitError`."""
    if source.read(257, 5) == b"ustar" and ends_inside_tar(source, budget):
        raise InputError("not-this-format", "the zip files in it are members of a tar file")
    tree = read_tree(source, budget)
    names = {entry.name for entry in tree.entries}
    if any(is_pytorch_pickle(entry) for entry in names):
        from weighbridge.formats import pytorch

        return pytorch.read_zip(tree, source, budget, name)
    if "config.json" in names and names & {"metadata.json", "model.weights.h5"}:
        from weighbridge.formats import keras

        return keras.read_zip(tree, source, budget, name)
    if names and all(entry.endswith(".npy") for entry in names):
        return _read_npz(tree, budget)
    return tree


def is_pytorch_pickle(name: str) -> bool:
    """Whether PyTorch would look for its pickle under this name: `ARCHIVE/data.pkl`, in any case."""
    return name.replace("\\", "/").lower().endswith("/data.pkl")


def _read_npz(tree: ZipTree, budget: Budget) -> Reading:
    """numpy's archive: every member is an array, named without its `.npy`."""
    from weighbridge.formats import numpy

    tensors: list[TensorRef] = []
    unlisted = ""
    names = [entry.name for entry in tree.entries]
    if len(set(names)) < len(names):
        unlisted = "a member stands twice"
    for entry in tree.entries:
        if entry.source is None or unlisted:
            unlisted = unlisted or f'"{entry.label}" cannot be read'
            break
        try:
            header = numpy.read_header(entry.source, budget)
        except InputError as error:
            unlisted = error.message
            break
        if header.dtype.objects or header.start + header.size > entry.size:
            unlisted = f'"{entry.label}" holds no plain array'
            break
        tensors.append(entry.place(numpy.tensor(header, entry.name.removesuffix(".npy"))))
    kept: dict[str, Any] = {field.name: getattr(tree, field.name) for field in fields(tree)}
    kept |= {"format": "npz", "tensors": None if unlisted else tuple(tensors), "tensors_unlisted": unlisted}
    return ZipTree(**kept)
