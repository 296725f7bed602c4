"""The oracle of the differential tests: CPython's own unpicklers with an inert `find_class`, in a child process.

Run as a program: reads one program a line in hexadecimal, and for each prints what `_pickle.Unpickler` and
`pickle._Unpickler` looked up, called and set, as JSON. Nothing is imported or called: names become recording classes.
"""

import io
import json
import pickle
import resource
import sys
from typing import Any


class _LimitError(Exception):
    pass


class _Log(list[tuple[Any, ...]]):
    def note(self, *event: Any) -> None:
        if len(self) >= 500:
            raise _LimitError
        self.append(event)


def _recorder(log: _Log) -> type:
    """A metaclass whose classes note what is done to them and to their objects."""

    class Meta(type):
        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            log.note("call", cls.__qualname__, len(args))
            return object.__new__(cls)

        __setstate__ = property(lambda cls: lambda state: log.note("build", cls.__qualname__))
        extend = property(lambda cls: lambda items: log.note("append", cls.__qualname__, len(items)))
        append = property(lambda cls: lambda item: log.note("append", cls.__qualname__, 1))
        add = property(lambda cls: lambda item: log.note("add", cls.__qualname__))

        def __setitem__(cls, key: Any, value: Any) -> None:
            log.note("setitem", cls.__qualname__)

        def __iter__(cls) -> Any:
            raise TypeError

    return Meta


def _recording_class(log: _Log, meta: type, name: str) -> type:
    def new(cls: Any, *args: Any, **kwargs: Any) -> Any:
        log.note("new", name if isinstance(cls, type) else "object", len(args))
        return object.__new__(cls)

    def call(self: Any, *args: Any) -> Any:
        log.note("call", "object", len(args))
        return object.__new__(found)

    body = {
        "__new__": new,
        "__call__": call,
        "__setstate__": lambda self, state: log.note("build", "object"),
        "extend": lambda self, items: log.note("append", "object", len(items)),
        "append": lambda self, item: log.note("append", "object", 1),
        "add": lambda self, item: log.note("add", "object"),
        "__setitem__": lambda self, key, value: log.note("setitem", "object"),
        "__qualname__": name,
    }
    found = meta(name, (), body)
    return found


def observe(program: bytes, base: Any) -> dict[str, Any]:
    """What one unpickler does with a program."""
    log = _Log()
    meta = _recorder(log)
    classes: dict[str, type] = {}

    class Inert(base):
        def find_class(self, module: str, name: str) -> Any:
            if not module:
                raise ValueError("Empty module name")  # as the real import says
            key = f"{module}:{name}"
            if not name:
                log.note("find", key)
                raise AttributeError(key)  # as the real look-up says, after the import
            if key not in classes:
                log.note("find", key)
                classes[key] = _recording_class(log, meta, key)
            return classes[key]

        def persistent_load(self, pid: Any) -> Any:
            log.note("persistent")
            return object.__new__(_recording_class(log, meta, "persistent"))

    stream = io.BytesIO(program)
    try:
        Inert(stream).load()
        return {"events": log, "end": stream.tell(), "error": ""}
    except Exception as error:
        return {"events": log, "end": None, "error": type(error).__name__}


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (2 * 1024**3, 2 * 1024**3))
    for line in sys.stdin:
        program = bytes.fromhex(line)
        answer = {"c": observe(program, pickle.Unpickler), "python": observe(program, pickle._Unpickler)}  # type: ignore[attr-defined]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
