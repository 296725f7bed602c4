"""Zip files: the structure from `formats.zip.tree`, then the dialect that its names tell.

A dialect's reader sees every entry of every view, and answers with its own `Reading` (`pytorch-zip`, `keras`, `npz`);
whatever it does not explain stays a part to be sniffed. Names are told apart as the dialect's loader does: PyTorch
ignores case, Keras and numpy do not. An archive that no dialect claims is a plain `zip` and its members are sniffed.
"""

from collections.abc import Callable, Iterator, Set
from dataclasses import fields, replace
from typing import Any, NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.formats.reading import Anomaly, Reading, TensorRef
from weighbridge.formats.zip.tree import ZipTree, ends_inside_tar, read_tree


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Read a zip file as the dialect that its members tell. Raises `InputError` and `LimitError`."""
    if source.read(257, 5) == b"ustar" and ends_inside_tar(source, budget):
        raise InputError("not-this-format", "the zip files in it are members of a tar file")
    tree = read_tree(source, budget)
    layouts = tuple(_layouts(tree))
    if not layouts:
        return tree
    reading: Reading = layouts[0].read(tree, source, budget, name)
    if len(layouts) > 1:
        names = " and ".join(layout.name for layout in layouts)
        odd = Anomaly(code="zip-two-layouts", message=f"the archive is laid out for {names} at once")
        reading = replace(reading, anomalies=(*reading.anomalies, odd))
    return reading


class _Layout(NamedTuple):
    """One loader's idea of what is in a zip file."""

    name: str
    read: Callable[[ZipTree, Source, Budget, str], Reading]


def _layouts(tree: ZipTree) -> Iterator[_Layout]:
    """Every layout that the members tell; the first is read, since each of them names all members as parts."""
    names = {entry.name for entry in tree.entries}
    last = {name.rpartition("/")[2].lower() for name in names}
    special = [*_exported(tree, last), *_packaged(tree, last)]
    if "data.pkl" in last and any(is_pytorch_pickle(name) for name in names):
        from weighbridge.formats import pytorch

        if not special or pytorch.has_object(tree):
            yield _Layout("torch.load", pytorch.read_zip)
    yield from special
    if "config.json" in names and names & {"metadata.json", "model.weights.h5"}:
        from weighbridge.formats import keras

        yield _Layout("Keras", keras.read_zip)
    if names and all(entry.endswith(".npy") for entry in names):
        yield _Layout("numpy", _read_npz)


def _exported(tree: ZipTree, last: Set[str]) -> Iterator[_Layout]:
    if last & {"archive_format", "serialized_exported_program.json", "model.json"}:
        from weighbridge.formats.pytorch import pt2

        if pt2.is_pt2(tree):
            yield _Layout("torch.export", pt2.read_pt2)


def _packaged(tree: ZipTree, last: Set[str]) -> Iterator[_Layout]:
    if last & {"extern_modules", "python_version"}:
        from weighbridge.formats.pytorch import package as torchpackage

        if torchpackage.is_package(tree):
            yield _Layout("torch.package", torchpackage.read_package)


def is_pytorch_pickle(name: str) -> bool:
    """Whether PyTorch would look for its pickle under this name: `ARCHIVE/data.pkl`, in any case."""
    return name.replace("\\", "/").lower().endswith("/data.pkl")


def _read_npz(tree: ZipTree, source: Source, budget: Budget, name: str) -> Reading:
    """numpy's archive: every member is an array, named without its `.npy`."""
    from weighbridge.formats.numpy.header import read_header, tensor

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
            header = read_header(entry.source, budget)
        except InputError as error:
            unlisted = error.message
            break
        if header.dtype.objects or header.start + header.size > entry.size:
            unlisted = f'"{entry.label}" holds no plain array'
            break
        tensors.append(entry.place(tensor(header, entry.name.removesuffix(".npy"))))
    kept: dict[str, Any] = {field.name: getattr(tree, field.name) for field in fields(tree)}
    kept |= {"format": "npz", "tensors": None if unlisted else tuple(tensors), "tensors_unlisted": unlisted}
    return ZipTree(**kept)
