"""The throw-away process of the audited tests: it really loads pickles, whose names are all harmless, and says what happened.

Run as a program: reads a line `LOADER HEX` and prints one JSON line with what the interpreter itself reported: every
`pickle.find_class` (an audit event of both unpicklers), every import that an unpickler asks for, and, for the
unpickler written in Python, every call that it makes (seen by a tracer at the lines that make it). Loaders: `c`, `python`,
`joblib`, `torch`, `torch-weights`. Nothing here is a mock: the loaders are the installed ones.
"""

import builtins
import inspect
import io
import json
import os
import pickle
import resource
import sys
import tempfile
import warnings
import zipfile
from types import CodeType, FrameType
from typing import Any

MARKS = {
    "load_reduce": ("func(*args)", "func"),
    "_instantiate": ("klass(*args)", "klass"),
    "load_newobj": ("cls.__new__(cls, *args)", "cls"),
    "load_newobj_ex": ("cls.__new__(cls, *args, **kwargs)", "cls"),
}
"""Method of `pickle._Unpickler` → the expression that calls, and the variable that is called."""
OTHER = ("klass.__new__(klass)", "klass")


class Record:
    """What happened since the last `clear`."""

    def __init__(self) -> None:
        self.on = False
        self.clear()

    def clear(self) -> None:
        self.found: list[tuple[str, str]] = []
        self.imports: list[str] = []
        self.calls: list[list[str]] = []
        self.names: dict[int, list[str]] = {}
        self.alive: list[Any] = []
        self.events: list[str] = []


RECORD = Record()
DANGEROUS = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess.Popen",
    "socket.connect",
    "os.remove",
    "ctypes.dlopen",
)


def hear(event: str, args: tuple[Any, ...]) -> None:
    """The audit hook; it cannot be taken off again."""
    if RECORD.on and event == "pickle.find_class":
        RECORD.found.append((str(args[0]), str(args[1])))
    elif RECORD.on and event.startswith(DANGEROUS):
        RECORD.events.append(event)


_import = builtins.__import__


def importing(name: str, *others: Any, **named: Any) -> Any:
    """Note imports that an unpickler asks for: its own frame, or none of Python's between it and us."""
    if RECORD.on:
        asking = sys._getframe(1)
        if asking.f_globals.get("__name__") == "pickle" or asking.f_code is load.__code__:
            RECORD.imports.append(name)
    return _import(name, *others, **named)


def lines_of_calls() -> dict[tuple[CodeType, int], str]:
    """(code, line number) → the variable that the line calls."""
    found = {}
    for name, method in vars(pickle._Unpickler).items():
        if name in MARKS:
            text, start = inspect.getsourcelines(method)
            for number, line in enumerate(text, start):
                for mark, variable in (MARKS[name], OTHER):
                    if mark in line:
                        found[(method.__code__, number)] = variable
    return found


CALLS = lines_of_calls()
CODES = {code for code, _ in CALLS}


def trace(frame: FrameType, event: str, arg: Any) -> Any:
    """Follow only the methods that call."""
    return within if frame.f_code in CODES else None


def within(frame: FrameType, event: str, arg: Any) -> Any:
    variable = CALLS.get((frame.f_code, frame.f_lineno)) if event == "line" else None
    if variable is not None and RECORD.on and callable(frame.f_locals[variable]):
        RECORD.calls.append(RECORD.names.get(id(frame.f_locals[variable]), ["object"]))
    return within


class Named(pickle._Unpickler):
    """CPython's own unpickler in Python; only the objects that it finds are remembered by name."""

    def find_class(self, module: str, name: str) -> Any:
        """As it is, then noted."""
        found = super().find_class(module, name)
        RECORD.alive.append(found)
        RECORD.names.setdefault(id(found), []).append(f"{RECORD.found[-1][0]}:{RECORD.found[-1][1]}")
        return found


def load(loader: str, program: bytes) -> None:
    """Really load it."""
    if loader == "c":
        pickle.Unpickler(io.BytesIO(program)).load()
    elif loader == "python":
        Named(io.BytesIO(program)).load()
    elif loader == "joblib":
        sys.modules["joblib"].load(io.BytesIO(program))
    else:
        sys.modules["torch"].load(io.BytesIO(archive(program)), weights_only=loader == "torch-weights")


def archive(program: bytes) -> bytes:
    """A torch file with this pickle, and one storage."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in (
            ("data.pkl", program),
            ("byteorder", b"little"),
            ("data/0", bytes(64)),
            ("version", b"3\n"),
        ):
            file.writestr(f"x/{name}", content)
    return buffer.getvalue()


def watched(loader: str, program: bytes) -> dict[str, Any]:
    """One load and what it did."""
    RECORD.clear()
    error = ""
    sys.settrace(trace if loader == "python" else None)
    RECORD.on = True
    try:
        load(loader, program)
    except BaseException as raised:
        error = type(raised).__name__
    finally:
        RECORD.on = False
        sys.settrace(None)
    return {
        "found": RECORD.found,
        "imports": RECORD.imports,
        "calls": RECORD.calls,
        "events": RECORD.events,
        "error": error,
    }


def main() -> None:
    warnings.simplefilter("ignore")
    sys.setrecursionlimit(2000)
    os.chdir(tempfile.mkdtemp(prefix="weighbridge-audit-"))
    preload = sys.argv[1:]
    for name in preload:
        __import__(name)
    limit = 2 * 1024**3 if not preload else 16 * 1024**3
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024**2, 1024**2))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.addaudithook(hear)
    builtins.__import__ = importing
    for line in sys.stdin:
        loader, _, text = line.strip().partition(" ")
        answer = watched(loader, bytes.fromhex(text))
        sys.__stdout__.write(json.dumps(answer) + "\n")  # type: ignore[union-attr]
        sys.__stdout__.flush()  # type: ignore[union-attr]


if __name__ == "__main__":
    main()
