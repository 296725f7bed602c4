"""Pickle under a guard: `load`, `loads` and `Unpickler` are weighed, and nothing gets at a name by another way.

Two layers. The functions are exchanged, as those of any library. Beneath them an audit hook hears of every name that any
unpickler of this process looks up, the one in C included, and refuses it while no admitted load is running: that
catches copies of `pickle.loads` that were made before the guard, subclasses of the real `Unpickler`, and C code.

Messages that processes of one program send each other are pickles too; `multiprocessing` and its kin are let be.
"""

import functools
import io
import pickle
import sys
from types import ModuleType
from typing import Any

from weighbridge.integrations.active import active, admit_bytes, inside, refuse
from weighbridge.integrations.arguments import stream
from weighbridge.integrations.patching import Patches

MESSENGERS = (
    "multiprocessing", "concurrent.futures", "joblib.externals.loky", "torch.multiprocessing", "torch.utils.data", "weighbridge.measure", "xdist",
)  # fmt: skip
"""Packages whose pickles come from the same program."""

FRAMES = 6
"""How far up the stack a messenger is looked for."""

_listening = False


def install(module: ModuleType, patches: Patches) -> None:
    """Hook `pickle` and `_pickle`, which hold the same functions."""
    patches.function(module, "load", _hooked_load)
    patches.function(module, "loads", _hooked_loads)
    patches.function(module, "Unpickler", _hooked_unpickler)


def listen() -> None:
    """Hear of every lookup from here on. An audit hook stays for good; without a guard it does nothing."""
    global _listening
    if not _listening:
        _listening = True
        sys.addaudithook(_heard)


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "pickle.find_class" and active() and not _from_messenger():
        module, name = arguments[-2:]
        raise refuse("a pickle", f'it looks up "{module}.{name}" past the guard: its bytes were not weighed')


def _from_messenger() -> bool:
    frame = sys._getframe(1)
    for _ in range(FRAMES):
        name = str(frame.f_globals.get("__name__", ""))
        if any(name == one or name.startswith(one + ".") for one in MESSENGERS):
            return True
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return False


def _hooked_load(original: Any) -> Any:
    @functools.wraps(original)
    def load(file: Any, **kwargs: Any) -> Any:
        if not active() or _from_messenger():
            return original(file, **kwargs)
        with stream(file) as data, inside():
            return original(data, **kwargs)

    return load


def _hooked_loads(original: Any) -> Any:
    @functools.wraps(original)
    def loads(data: Any, /, **kwargs: Any) -> Any:
        if not active() or _from_messenger() or isinstance(data, str):
            return original(data, **kwargs)
        fixed = bytes(data)
        admit_bytes(fixed, "pickle in memory")
        with inside():
            return original(fixed, **kwargs)

    return loads


def _hooked_unpickler(original: Any) -> Any:
    class Unpickler(original):  # type: ignore[misc]
        """The unpickler over bytes that were weighed when it was made."""

        def __init__(self, file: Any, **kwargs: Any) -> None:
            self._guarded: tuple[Any, int, io.BytesIO] | None = None
            if active() and not _from_messenger():
                with stream(
                    file
                ) as data:  # weighed; the file stands where it stood, since nothing is read yet
                    self._guarded = file, file.tell(), data
                file = data
            super().__init__(file, **kwargs)

        def load(self) -> Any:
            if self._guarded is None:
                return super().load()
            file, start, data = self._guarded
            try:
                with inside():
                    return super().load()
            finally:
                file.seek(start + data.tell())

    Unpickler.__name__ = Unpickler.__qualname__ = "Unpickler"
    Unpickler.__module__ = pickle.__name__
    return Unpickler
