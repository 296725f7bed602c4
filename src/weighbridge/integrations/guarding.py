"""The guard: while one is active, whatever a hooked library opens is weighed, and refused where the policy refuses it.

A guard is the process's, not a thread's: a file that another thread opens is opened all the same. Guards nest, and
each must admit; an inner one cannot widen what an outer one allows. A file is weighed as the part of its model that it
is (`places`): its bytes go into a sealed memfd, its digest is compared with what was signed for it, its content is
examined, and the library gets the memfd under the file's own name. The path is not opened again.
"""

import atexit
import os
import posixpath
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from weighbridge.core.errors import LoadRefused, UsageError
from weighbridge.core.text import visible
from weighbridge.integrations.patching import Patches, Watch
from weighbridge.integrations.places import Home, home_of
from weighbridge.loading import Asked, Held, Key, PathLike, ask, hold, weigh_bytes
from weighbridge.policy import Policy
from weighbridge.store import Links

HDF5, HDF5_SEARCH = b"\x89HDF\r\n\x1a\n", 8192
"""The signature of an HDF5 file, and how far behind a user block it is looked for."""

_lock = threading.RLock()
_active: "tuple[Guard, ...]" = ()
_watch: Watch | None = None
_inside = threading.local()


class Guard:
    """A guard over this process. A context manager; or `start` and `stop`."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self._started = 0
        self.weighed = 0
        """Files and streams that were admitted so far."""

    def __enter__(self) -> "Guard":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Watch from here on. May be called several times; `stop` as often."""
        global _active, _watch
        self.asked.settled()  # a mistake in policy or keyring is the caller's, and told at once
        with _lock:
            self._started += 1
            _active = (*_active, self)
            if _watch is None:
                from weighbridge.integrations.libraries import INSTALLERS
                from weighbridge.integrations.pickles import listen

                listen()
                _watch = Watch(dict(INSTALLERS), Patches())
                _watch.start()

    def stop(self) -> None:
        """Watch no longer. Raises nothing if it does not watch."""
        global _active, _watch
        with _lock:
            if not self._started:
                return
            self._started -= 1
            at = max(index for index, one in enumerate(_active) if one is self)
            _active = _active[:at] + _active[at + 1 :]
            if not _active and _watch is not None:
                _watch.stop()
                _watch = None
                _shelf.clear()

    def admit(self, path: str, beside: Sequence[str] = ()) -> dict[str, Held]:
        """The file's bytes, sealed, if the policy admits them; and of files `beside` it that it names as its own.

        The keys are "" and the names that were given. Raises `LoadRefused`, and `OSError` where there is no file.
        """
        os.stat(path)  # noqa: PTH116 - the library's own error for what is not there
        home = home_of(path)
        if home.inside is None and beside:
            home = Home(os.path.dirname(home.model), os.path.basename(home.model))  # noqa: PTH119, PTH120
        if home.inside is None:
            holding = hold(self.asked, home.model, sealed=True)
            found = {"": next(iter(holding.held.values()))}
        else:
            folder = posixpath.dirname(home.inside)
            names = {"": home.inside}
            names |= {name: posixpath.normpath(posixpath.join(folder, name)) for name in beside}
            only = tuple(dict.fromkeys(names.values()))
            holding = hold(self.asked, home.model, only=only, sealed=True)
            found = {name: holding.held[inner] for name, inner in names.items()}
        self.weighed += len(found)
        return found

    def weigh(self, path: str) -> None:
        """A file or a whole folder, where it lies; nothing is kept. Raises `LoadRefused`."""
        home = Home(path, None) if Path(path).is_dir() else home_of(path)
        only = None if home.inside is None else (home.inside,)
        holding = hold(self.asked, home.model, only=only, wanted=lambda _: False)
        self.weighed += len(holding.artifact.members)

    def admit_bytes(self, data: Any, name: str) -> None:
        """Judge what bytes from nowhere would do. Raises `LoadRefused`."""
        weigh_bytes(self.asked, data, name)
        self.weighed += 1


def guard(
    *,
    key: Key | Sequence[Key] | None = None,
    trust: PathLike | None = None,
    policy: Policy | PathLike | None = None,
    by: str | Sequence[str] | None = None,
    links: Links | str = Links.INSIDE,
    jobs: int | None = None,
) -> Guard:
    """A guard over what safetensors, torch, numpy, pickle, joblib, keras, onnxruntime and the Hub's libraries open.

        with weighbridge.guard(key="publisher.pub"):
            model = AutoModel.from_pretrained("./chat-7b")

    What it refuses raises `LoadRefused`. The words mean what they mean to `load`. docs/integrations.md says what is hooked
    and what no hook can reach.
    """
    return Guard(ask(key=key, trust=trust, policy=policy, by=by, links=links, jobs=jobs))


def guards() -> "tuple[Guard, ...]":
    """All that are active, outermost first."""
    return _active


def active() -> bool:
    """Whether what this thread opens now is to be weighed."""
    return bool(_active) and not getattr(_inside, "depth", 0)


@contextmanager
def inside() -> Iterator[None]:
    """The admitted load itself: what it opens in turn was weighed with it."""
    _inside.depth = getattr(_inside, "depth", 0) + 1
    try:
        yield
    finally:
        _inside.depth -= 1


def admit(path: str, beside: Sequence[str] = ()) -> dict[str, Held]:
    """See `Guard.admit`: if every guard admits them, and all have seen the same. Raises `LoadRefused`."""
    first, *others = _active
    with inside():
        found = first.admit(path, beside)
        for other in others:
            again = other.admit(path, beside)
            if any(again[name].view != held.view for name, held in found.items()):
                raise refuse(path, "the file changed while it was weighed")
    return found


def weigh(path: str) -> None:
    """Judge a folder by every guard, where it lies. Raises `LoadRefused`."""
    with inside():
        for one in _active:
            one.weigh(path)


def admit_bytes(data: Any, name: str) -> None:
    """Judge bytes by every guard. Raises `LoadRefused`."""
    with inside():
        for one in _active:
            one.admit_bytes(data, name)


def refuse(name: str, why: str, *hints: str) -> LoadRefused:
    """The exception for what cannot be weighed at all."""
    return LoadRefused(f'REFUSED, so nothing was loaded: "{visible(name)}"', *hints, reasons=(why,))


class _Shelf:
    """A private folder of links to sealed memfds, each under the name of the file that it is of."""

    def __init__(self) -> None:
        self._folder = ""
        self._pid = 0
        self._count = 0
        self._kept: list[Held] = []

    def place(self, held: Held, path: str, tail: str = "", *, copied: bool = False) -> str:
        """A path that leads to the memory; `tail` is what it shall end with, the file's own name when left out.

        `copied` is for libraries that ask for the real path, which memory has none of: a private copy on disk.
        """
        with _lock:
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


_shelf = _Shelf()
atexit.register(lambda: _shelf.clear())


def shelf() -> _Shelf:
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


def refuse_elsewhere() -> None:
    """Raises `UsageError` (`no-memfd`) where a guard cannot hold what it promises."""
    if not sys.platform.startswith("linux"):
        raise UsageError("no-memfd", "a guard needs sealed memory, which only Linux has")
