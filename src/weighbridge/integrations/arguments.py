"""One argument of a library's function exchanged for verified bytes, whatever way the file was named."""

import functools
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from weighbridge.integrations.active import active, admit, admit_bytes, inside, refuse, weigh
from weighbridge.integrations.shelf import placed, shelf

MAX_STREAM = 64 * 1024**3
"""Bytes of an open file that are read to weigh it."""


def file_argument(name: str, position: int = 0) -> Callable[[Any], Any]:
    """A hook for functions that take a path or an open file as this argument."""

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def hooked(*args: Any, **kwargs: Any) -> Any:
            if not active():
                return original(*args, **kwargs)
            given = kwargs[name] if name in kwargs else args[position] if len(args) > position else None
            with verified(given) as value:
                if name in kwargs:
                    kwargs = {**kwargs, name: value}
                elif len(args) > position:
                    args = (*args[:position], value, *args[position + 1 :])
                with inside():
                    return original(*args, **kwargs)

        return hooked

    return make


def folder_argument(name: str, position: int = 0) -> Callable[[Any], Any]:
    """A hook for functions that take a folder, which is weighed and then opened where it lies."""

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def hooked(*args: Any, **kwargs: Any) -> Any:
            path = path_of(
                kwargs[name] if name in kwargs else args[position] if len(args) > position else None
            )
            if not active() or path is None:
                return original(*args, **kwargs)
            weigh(path)
            with inside():
                return original(*args, **kwargs)

        return hooked

    return make


@contextmanager
def verified(given: Any) -> Iterator[Any]:
    """What to hand on in the place of a path, an open file or bytes. Raises `LoadRefused`."""
    path = path_of(given)
    if path is not None:
        with placed(path) as link:
            yield link
    elif isinstance(given, bytes | bytearray | memoryview):
        data = bytes(given)
        admit_bytes(data, "bytes in memory")
        yield data
    elif hasattr(given, "read"):
        with stream(given) as rest:
            yield rest
    else:
        yield given  # nothing that any loader opens; its own error is the better one


def path_of(given: Any) -> str | None:
    """The path that an argument names; None where it is none."""
    if isinstance(given, str) or hasattr(given, "__fspath__"):
        return os.fsdecode(os.fspath(given))
    return None


@contextmanager
def stream(file: Any) -> Iterator[io.BytesIO]:
    """The rest of an open file as verified bytes; afterwards the file stands where the reader stopped."""
    name, start, data = read_rest(file)
    if shelf().holds(name) or not Path(name).is_file():
        if not shelf().holds(name):
            admit_bytes(data, name or "an open file")
    elif admit(name)[""].view[start:] != data:
        raise refuse(name, "the open file is not the file that its name leads to")
    given = io.BytesIO(data)
    try:
        yield given
    finally:
        if not file.closed and not given.closed:
            file.seek(start + given.tell())


def read_rest(file: Any) -> tuple[str, int, bytes]:
    """(path or "", where the file stood, the bytes from there on). Raises `LoadRefused` for what cannot be read twice."""
    name = getattr(file, "name", "")
    name = name if isinstance(name, str) else ""
    try:
        start = file.tell()
        size = file.seek(0, os.SEEK_END) - start
        file.seek(start)
        data = file.read(min(size, MAX_STREAM))
        file.seek(start)
    except (OSError, AttributeError, io.UnsupportedOperation, ValueError):
        raise refuse(name or repr(file)[:80], "it cannot be weighed: it can only be read once") from None
    if not isinstance(data, bytes):
        raise refuse(name or repr(file)[:80], "it cannot be weighed: it gives text, not bytes")
    return name, start, data
