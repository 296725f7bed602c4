"""The shelf: admitted bytes in sealed memory, each under the name of the file that it is of, for libraries that open paths."""

import atexit
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from weighbridge.integrations.active import admit, inside, refuse
from weighbridge.loading import Held

HDF5, HDF5_SEARCH = b"\x89HDF\r\n\x1a\n", 8192
"""The signature of an HDF5 file, and how far behind a user block it is looked for."""


class Shelf:
    """A private folder of links to sealed memfds, each under the name of the file that it is of."""

    def __init__(self) -> None:
        self._folder = ""
        self._pid = 0
        self._count = 0
        self._lock = threading.Lock()
        self._kept: list[Held] = []

    def place(self, held: Held, path: str, tail: str = "", *, copied: bool = False) -> str:
        """A path that leads to the memory; `tail` is what it shall end with, the file's own name when left out.

        `copied` is for libraries that ask for the real path, which memory has none of: a private copy on disk.
        """
        with self._lock:
            if self._pid != os.getpid() or not self._folder:
                self._folder, self._pid = tempfile.mkdtemp(prefix="weighbridge-guard-"), os.getpid()
            self._count += 1
            number = self._count
        link = Path(f"{self._folder}/{number}/{tail or os.path.basename(path)}")  # noqa: PTH119
        link.parent.mkdir(parents=True)
        self._put(held, link, copied=copied)
        return str(link)

    def _put(self, held: Held, link: Path, *, copied: bool) -> None:
        if copied or HDF5 in held.view[:HDF5_SEARCH].tobytes():
            with os.fdopen(os.open(link, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as copy:
                copy.write(held.view)
        else:
            link.symlink_to(f"/proc/{os.getpid()}/fd/{held.fd}")

    def beside(self, held: Held, first: str, relative: str, *, copied: bool = False) -> None:
        """Put another file where it lies relative to one that was placed."""
        link = Path(os.path.normpath(f"{os.path.dirname(first)}/{relative}"))  # noqa: PTH120
        if not link.is_relative_to(Path(self._folder)):
            raise refuse(relative, "it lies outside of the folder of the file that names it")
        link.parent.mkdir(parents=True, exist_ok=True)
        self._put(held, link, copied=copied)

    def keep(self, held: Held) -> None:
        """Until the last guard ends."""
        self._kept.append(held)

    def drop(self, link: str) -> None:
        """Take a link away; who has opened it keeps what is behind it."""
        if self._folder:
            top = link[len(self._folder) + 1 :].partition("/")[0]
            shutil.rmtree(f"{self._folder}/{top}", ignore_errors=True)

    def clear(self) -> None:
        """Take everything away."""
        if self._folder and self._pid == os.getpid():
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder, self._kept = "", []

    def holds(self, path: str) -> bool:
        """Whether a path is one of ours: what is behind it was weighed and is sealed."""
        return bool(self._folder) and os.path.abspath(path).startswith(self._folder + "/")  # noqa: PTH100


_shelf = Shelf()
atexit.register(lambda: _shelf.clear())


def shelf() -> Shelf:
    """Where admitted files stand under their names."""
    return _shelf


@contextmanager
def placed(path: str) -> Iterator[str]:
    """A path to the verified bytes of a file, for the length of a library's call. Raises `LoadRefused`."""
    if _shelf.holds(path):
        yield path
        return
    held = admit(path)[""]
    link = _shelf.place(held, path)
    try:
        with inside():
            yield link
    finally:
        _shelf.drop(link)
        held.close_fd()
