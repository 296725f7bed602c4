"""Zip files: the structure from `formats.ziptree`, then the dialect that its names tell.

A dialect's reader sees every entry of every view, and answers with its own `Reading` (`pytorch-zip`, `keras`, `npz`);
whatever it does not explain stays a part to be sniffed. Names are told apart as the dialect's loader does: PyTorch
ignores case, Keras and numpy do not. An archive that no dialect claims is a plain `zip` and its members are sniffed.
"""

from weighbridge.core.budget import Budget
from weighbridge.core.source import Source
from weighbridge.formats.reading import Reading
from weighbridge.formats.ziptree import ZipTree, read_tree


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Read a zip file as the dialect that its members tell. Raises `InputError` and `LimitError`."""
    tree = read_tree(source, budget)
    names = {entry.name for entry in tree.entries}
    if any(is_pytorch_pickle(entry) for entry in names):
        from weighbridge.formats import pytorch

        return pytorch.read_zip(tree, source, budget, name)
    if "config.json" in names and names & {"metadata.json", "model.weights.h5"}:
        from weighbridge.formats import keras

        return keras.read_zip(tree, source, budget, name)
    if names and all(entry.endswith(".npy") for entry in names):
        return _read_npz(tree)
    return tree


def is_pytorch_pickle(name: str) -> bool:
    """Whether PyTorch would look for its pickle under this name: `ARCHIVE/data.pkl`, in any case."""
    return name.replace("\\", "/").lower().endswith("/data.pkl")


def _read_npz(tree: ZipTree) -> Reading:
    raise NotImplementedError
