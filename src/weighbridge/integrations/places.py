"""Which model a file belongs to: the nearest folder above it that carries a signature, or the file alone."""

import os
from typing import NamedTuple

from weighbridge.core.artifact import SIBLINGS_SUFFIX, SIGNATURE_NAME

LEVELS = 6
"""Folders above a file that are looked at; models are not nested deeper."""


class Home(NamedTuple):
    """A model, and a file of it."""

    model: str
    inside: str | None
    """The file's path in the model; None where the model is the file."""


def home_of(path: str) -> Home:
    """The model that the file at `path` is of. Links are not followed: a file in the Hub's cache belongs to its snapshot."""
    # Names and link texts must stay as they are.
    path = os.path.abspath(path)  # noqa: PTH100
    if _signed(path + ".sig"):
        return Home(path, None)
    folder = os.path.dirname(path)  # noqa: PTH120
    for _ in range(LEVELS):
        if _signed(f"{folder}/{SIGNATURE_NAME}") or _signed(folder + ".sig"):
            return Home(folder, path[len(folder) :].lstrip("/"))
        above = os.path.dirname(folder)  # noqa: PTH120
        if above == folder or os.path.basename(above) == "snapshots":  # noqa: PTH119
            break
        folder = above
    return Home(path, None)


def _signed(path: str) -> bool:
    return os.path.lexists(path) or os.path.lexists(path + SIBLINGS_SUFFIX)
