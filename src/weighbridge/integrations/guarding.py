"""The guard: while one is active, whatever a hooked library opens is weighed, and refused where the policy refuses it.

A file is weighed as the part of its model that it is (`places`): its bytes go into a sealed memfd, its digest is compared
with what was signed for it, its content is examined, and the library gets the memfd under the file's own name (`shelf`).
The path is not opened again.
"""

import os
import posixpath
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from weighbridge.core.errors import UsageError
from weighbridge.integrations import active
from weighbridge.integrations.libraries import INSTALLERS
from weighbridge.integrations.patching import Patches, Watch
from weighbridge.integrations.pickles import listen
from weighbridge.integrations.places import Home, home_of
from weighbridge.integrations.shelf import shelf
from weighbridge.loading import Asked, Held, Key, PathLike, ask, hold, weigh_bytes
from weighbridge.policy import Policy
from weighbridge.store import Links

_lock = threading.RLock()
_watch: Watch | None = None


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
        global _watch
        self.asked.settled()  # a mistake in policy or keyring is the caller's, and told at once
        with _lock:
            self._started += 1
            active.enter(self)
            if _watch is None:
                listen()
                _watch = Watch(dict(INSTALLERS), Patches())
                _watch.start()

    def stop(self) -> None:
        """Watch no longer. Raises nothing if it does not watch."""
        global _watch
        with _lock:
            if not self._started:
                return
            self._started -= 1
            active.leave(self)
            if not active.guards() and _watch is not None:
                _watch.stop()
                _watch = None
                shelf().clear()

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


def refuse_elsewhere() -> None:
    """Raises `UsageError` (`no-memfd`) where a guard cannot hold what it promises."""
    if not sys.platform.startswith("linux"):
        raise UsageError("no-memfd", "a guard needs sealed memory, which only Linux has")
