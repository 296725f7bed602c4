"""Constant folding: calls whose result is a constant that can be known without running anything of the model's.

Names may be computed in the stream (`_codecs.encode("flfgrz", "rot13")`), so that a list of names never sees them.
The functions here are the interpreter's own, on constants of bounded size; the call itself stays in the program and
is judged like any other.
"""

import base64
import binascii
import codecs
from collections.abc import Callable

from weighbridge.formats.pickle.values import Call, Global, List, Value

MAX_FOLDED = 1024**2
"""Longest argument that is folded; the plain text encodings alone may be longer (numpy's data in protocol 2)."""

NOTHING = object()
"""What `fold` says when there is nothing to fold."""

_TEXT = {"latin1", "latin-1", "iso-8859-1", "iso8859-1", "l1", "ascii", "us-ascii", "utf-8", "utf8", "utf_8"}
_OTHER = {"rot13", "rot_13", "rot-13", "hex", "hex_codec", "base64", "base64_codec", "utf-16", "utf-16-le", "utf-16-be",
          "utf_16_le", "utf-32", "raw_unicode_escape", "unicode_escape", "raw-unicode-escape", "unicode-escape"}  # fmt: skip


def folds(module: str, qualname: str) -> bool:
    """Whether calling this name may give a constant."""
    return f"{module}:{qualname}" in _FOLDS


def fold(call: Call) -> Value:
    """The constant that `call` returns, or NOTHING."""
    target = call.callable
    if type(target) is not Global or type(call.args) is not tuple or call.kwargs is not None:
        return NOTHING
    function = _FOLDS.get(f"{target.module}:{target.qualname}")
    if function is None or call.how.startswith("NEWOBJ"):
        return NOTHING
    try:
        return function(*(_plain(arg) for arg in call.args))
    except Exception:  # the real call would raise too, or is not one that we follow
        return NOTHING


class _NotPlainError(Exception):
    pass


def _plain(value: Value) -> Value:
    if type(value) in (str, bytes):
        return value
    if type(value) is int and 0 <= value < 0x110000:
        return value
    if (
        type(value) in (List, tuple)
        and len(value) <= MAX_FOLDED
        and all(type(v) in (str, bytes, int) for v in value)
    ):
        return list(value)
    raise _NotPlainError


def _small(*values: Value) -> None:
    if sum(len(value) if type(value) is not int else 1 for value in values) > MAX_FOLDED:
        raise _NotPlainError


def _encode(value: Value, encoding: str = "utf-8", errors: str = "strict") -> Value:
    _known(value, encoding, errors)
    return codecs.encode(value, encoding)


def _decode(value: Value, encoding: str = "utf-8", errors: str = "strict") -> Value:
    _known(value, encoding, errors)
    return codecs.decode(value, encoding)


def _known(value: Value, encoding: str, errors: str) -> None:
    name = encoding.lower()
    if errors != "strict" or name not in _TEXT | _OTHER:
        raise _NotPlainError
    if name not in _TEXT:
        _small(value)


def _str(value: Value, encoding: str = "", errors: str = "strict") -> Value:
    if encoding:
        return _decode(value, encoding, errors)
    if type(value) is list or (type(value) is bytes and value):
        raise _NotPlainError
    return str(value)


def _bytes(value: Value = b"", encoding: str = "", errors: str = "strict") -> Value:
    if encoding:
        return _encode(value, encoding, errors)
    if type(value) is int:
        raise _NotPlainError
    _small(value)
    return bytes(value)


def _add(left: Value, right: Value) -> Value:
    if type(left) is not type(right) or type(left) not in (str, bytes):
        raise _NotPlainError
    _small(left, right)
    return left + right


def _join(separator: str, parts: Value) -> Value:
    if type(parts) is not list:
        raise _NotPlainError
    _small(
        *parts,
        separator * len(parts) if len(separator) < 64 and len(parts) < MAX_FOLDED // 64 else [0] * MAX_FOLDED,
    )
    return separator.join(parts)


def _method(name: str) -> Callable[..., Value]:
    def call(text: Value, *args: Value) -> Value:
        _small(text, *args)
        if type(text) is not str or len(args) > (2 if name == "replace" else 1) or len(text) > 4096:
            raise _NotPlainError
        result = getattr(text, name)(*args)
        _small(result)
        return result

    return call


_FOLDS: dict[str, Callable[..., Value]] = {
    "_codecs:encode": _encode,
    "codecs:encode": _encode,
    "_codecs:decode": _decode,
    "codecs:decode": _decode,
    "builtins:str": _str,
    "builtins:bytes": _bytes,
    "builtins:chr": chr,
    "builtins:str.join": _join,
    "builtins:str.encode": _encode,
    "builtins:bytes.decode": _decode,
    "builtins:str.__add__": _add,
    "_operator:add": _add,
    "_operator:concat": _add,
    "operator:add": _add,
    "operator:concat": _add,
    "base64:b64decode": base64.b64decode,
    "base64:b16decode": base64.b16decode,
    "base64:b32decode": base64.b32decode,
    "binascii:unhexlify": binascii.unhexlify,
    "binascii:a2b_hex": binascii.unhexlify,
    "binascii:a2b_base64": binascii.a2b_base64,
    **{
        f"builtins:str.{name}": _method(name)
        for name in (
            "lower",
            "upper",
            "swapcase",
            "strip",
            "lstrip",
            "rstrip",
            "replace",
            "removeprefix",
            "removesuffix",
        )
    },
}
