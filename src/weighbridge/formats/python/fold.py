"""Constants in Python: what an expression of constants stands for, however it is spelled; computed here, never evaluated.

`"sys" + "tem"`, `"%s%s" % (…)`, `"metsys"[::-1]`, `"".join(map(chr, […]))`, `bytes([…]).decode()`, `base64.b64decode("…")` and
names that are bound once to such a thing. Every step is written here and bounded; what is not here does not fold.
"""

import ast
import base64
import binascii
import codecs
import string
import zlib
from collections.abc import Callable

MAX_FOLDED = 10_000
"""Characters of a computed text, items of a computed list."""
MAX_DEPTH = 60

MAX_STEPS = 300_000
"""Expressions looked at in one module, over all that is folded in it."""


class Names:
    """Names that stand for a constant, and the meter of one module."""

    __slots__ = ("_left", "values")

    def __init__(self, values: dict[str, object] | None = None, left: list[int] | None = None) -> None:
        self.values = {} if values is None else values
        self._left = [MAX_STEPS] if left is None else left

    def spend(self) -> None:
        """Count one step; raises `ValueError` after the last."""
        self._left[0] -= 1
        if self._left[0] < 0:
            raise ValueError

    def inside(self, name: str, value: object) -> "Names":
        """The names in a comprehension's body."""
        return Names({**self.values, name: value} if len(self.values) < 100 else {name: value}, self._left)


def fold(node: ast.AST, names: Names | None = None) -> object:
    """The constant that an expression stands for; None where it does not fold (or is None)."""
    try:
        value = _fold(node, names or Names(), 0)
    except (
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        binascii.Error,
        zlib.error,
        RecursionError,
        OverflowError,
    ):
        return None
    return value if not isinstance(value, str | bytes | tuple) or len(value) <= MAX_FOLDED else None


def argument(node: ast.AST, names: Names) -> object:
    """A call's argument: a constant, a list of words as one text, with `…` for what does not fold."""
    if isinstance(node, ast.List | ast.Tuple) and len(node.elts) <= 64:
        return " ".join(_words(item, names) for item in node.elts)
    value = fold(node, names)
    if isinstance(value, tuple):
        return " ".join(map(str, value[:64]))
    return _words(node, names) if value is None and isinstance(node, ast.JoinedStr | ast.BinOp) else value


def _words(node: ast.AST, names: Names) -> str:
    """A text with `…` for what does not fold."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_words(part, names) for part in node.values[:64])
    if isinstance(node, ast.FormattedValue):
        return _words(node.value, names)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and not isinstance(node.left, ast.BinOp):
        return _words(node.left, names) + _words(node.right, names)
    value = fold(node, names)
    return value if isinstance(value, str) else "…"


def _fold(node: ast.AST, names: Names, depth: int) -> object:
    names.spend()
    if depth > MAX_DEPTH:
        raise ValueError
    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            return names.values.get(node.id)
        case ast.JoinedStr():
            return "".join(str(_must(part, names, depth)) for part in node.values)
        case ast.FormattedValue(conversion=-1, format_spec=None):
            return _must(node.value, names, depth)
        case ast.List() | ast.Tuple() if len(node.elts) <= 4096:
            return tuple(_must(item, names, depth) for item in node.elts)
        case ast.BinOp():
            return _operation(node, names, depth)
        case ast.Subscript():
            return _item(node, names, depth)
        case ast.ListComp() | ast.GeneratorExp():
            return _comprehension(node, names, depth)
        case ast.Call():
            return _call(node, names, depth)
        case ast.UnaryOp(op=ast.USub()):
            value = _must(node.operand, names, depth)
            return -value if isinstance(value, int) else None
        case _:
            return None


def _must(node: ast.AST, names: Names, depth: int) -> object:
    value = _fold(node, names, depth + 1)
    if value is None or (isinstance(value, str | bytes | tuple) and len(value) > MAX_FOLDED):
        raise ValueError
    return value


def _operation(node: ast.BinOp, names: Names, depth: int) -> object:
    left = _must(node.left, names, depth)
    right = _must(node.right, names, depth)
    match node.op:
        case ast.Add():
            same = any(
                isinstance(left, kind) and isinstance(right, kind) for kind in (str, bytes, int, tuple)
            )
            return left + right if same else None  # type: ignore[operator]
        case ast.Mod() if isinstance(left, str) and "*" not in left and len(left) < 500:
            return left % (right if isinstance(right, tuple) else (right,)) if _narrow(left) else None
        case ast.Sub() | ast.BitXor() if isinstance(left, int) and isinstance(right, int):
            return left - right if isinstance(node.op, ast.Sub) else left ^ right
        case ast.Mult() if isinstance(left, str | bytes) and isinstance(right, int):
            return left * right if len(left) * right <= MAX_FOLDED else None
        case _:
            return None


def _narrow(pattern: str) -> bool:
    """No widths: `'%99999999d'` is a long text."""
    return not any(char.isdigit() for char in pattern) or "%" not in pattern


def _item(node: ast.Subscript, names: Names, depth: int) -> object:
    value = _must(node.value, names, depth)
    if not isinstance(value, str | bytes | tuple):
        return None
    if isinstance(node.slice, ast.Slice):
        ends = (node.slice.lower, node.slice.upper, node.slice.step)
        bounds = [None if end is None else _must(end, names, depth) for end in ends]
        start, stop, step = (bound if isinstance(bound, int) else None for bound in bounds)
        return value[start:stop:step] if bounds == [start, stop, step] else None
    index = _must(node.slice, names, depth)
    return value[index] if isinstance(index, int) else None


def _comprehension(node: ast.ListComp | ast.GeneratorExp, names: Names, depth: int) -> object:
    """`chr(c) for c in [115, 121]`: one loop, one name, no condition."""
    (loop,) = node.generators
    if loop.ifs or not isinstance(loop.target, ast.Name):
        return None
    items = _sequence(_must(loop.iter, names, depth))
    if len(items) > 1000:
        return None
    return tuple(_must(node.elt, names.inside(loop.target.id, item), depth + 8) for item in items)


def _sequence(value: object) -> tuple[object, ...]:
    if not isinstance(value, str | bytes | tuple):
        raise TypeError
    return tuple(value)


def _call(node: ast.Call, names: Names, depth: int) -> object:
    if node.keywords or any(isinstance(item, ast.Starred) for item in node.args):
        return None
    if isinstance(node.func, ast.Name):
        return _function(node.func.id, node, names, depth)
    if not isinstance(node.func, ast.Attribute):
        return None
    method = node.func.attr
    if method in _DECODERS:
        return _DECODERS[method](_must(node.args[0], names, depth)) if node.args else None
    if method == "decode" and isinstance(node.func.value, ast.Name) and node.func.value.id == "codecs":
        value, codec = (_must(item, names, depth) for item in node.args)
        return _decoded(value, codec)
    on = _must(node.func.value, names, depth)
    return _method(on, method, [_must(item, names, depth) for item in node.args])


def _function(name: str, node: ast.Call, names: Names, depth: int) -> object:
    if (
        name == "map"
        and len(node.args) == 2
        and isinstance(node.args[0], ast.Name)
        and node.args[0].id == "chr"
    ):
        return tuple(_chr(item) for item in _sequence(_must(node.args[1], names, depth)))
    if not node.args:
        return None
    value = _must(node.args[0], names, depth)
    match name:
        case "chr":
            return _chr(value)
        case "str" if isinstance(value, str):
            return value
        case "reversed" if isinstance(value, str | bytes | tuple):
            return _sequence(value)[::-1]
        case "list" | "tuple":
            return _sequence(value)
        case "bytes" | "bytearray" if isinstance(value, tuple | bytes):
            return bytes(value)
        case "ord" if isinstance(value, str) and len(value) == 1:
            return ord(value)
        case _:
            return None


def _chr(value: object) -> str:
    if not isinstance(value, int):
        raise TypeError
    return chr(value)


def _decoded(value: object, codec: object) -> object:
    if isinstance(value, str) and codec in ("rot13", "rot_13"):
        return codecs.decode(value, "rot13")
    if isinstance(value, bytes) and codec in ("hex", "hex_codec"):
        return binascii.unhexlify(value)
    if isinstance(value, bytes) and codec in ("base64", "base64_codec"):
        return base64.b64decode(value)
    return value.decode("utf-8") if isinstance(value, bytes) and codec in ("utf-8", "ascii", "utf8") else None


def _text_or_bytes(value: object) -> str | bytes:
    if not isinstance(value, str | bytes):
        raise TypeError
    return value


def _inflated(value: object) -> bytes:
    unpacker = zlib.decompressobj(wbits=47)
    data = unpacker.decompress(value if isinstance(value, bytes) else b"", MAX_FOLDED)
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise ValueError
    return data


def _unhex(value: object) -> bytes:
    text = _text_or_bytes(value)
    return bytes.fromhex(text) if isinstance(text, str) else binascii.unhexlify(text)


_DECODERS: dict[str, Callable[[object], object]] = {
    "b64decode": lambda value: base64.b64decode(_text_or_bytes(value)),
    "urlsafe_b64decode": lambda value: base64.urlsafe_b64decode(_text_or_bytes(value)),
    "b32decode": lambda value: base64.b32decode(_text_or_bytes(value)),
    "b85decode": lambda value: base64.b85decode(_text_or_bytes(value)),
    "a85decode": lambda value: base64.a85decode(_text_or_bytes(value)),
    "unhexlify": _unhex,
    "fromhex": _unhex,
    "decompress": _inflated,
}
"""Functions by their last name, on one constant."""


def _method(on: object, method: str, args: list[object]) -> object:
    match method:
        case "join" if isinstance(on, str) and isinstance(args[0], tuple | str):
            return on.join(str(item) for item in args[0])
        case "join" if isinstance(on, bytes) and isinstance(args[0], tuple):
            return on.join(item for item in args[0] if isinstance(item, bytes))
        case "format" if isinstance(on, str):
            return _formatted(on, args)
        case "decode" if isinstance(on, bytes):
            return on.decode("utf-8")
        case "encode" if isinstance(on, str):
            return on.encode("utf-8")
        case "replace" if isinstance(on, str) and len(args) == 2:
            before, after = args
            if not isinstance(before, str) or not isinstance(after, str):
                return None
            return on.replace(before, after) if len(on) * (len(after) + 1) <= 10 * MAX_FOLDED else None
        case "lower" | "upper" | "strip" | "title" | "swapcase" | "capitalize" if (
            isinstance(on, str) and not args
        ):
            return getattr(on, method)()
        case "split" if isinstance(on, str) and len(args) <= 1:
            return tuple(on.split(*args))  # type: ignore[arg-type]
        case _:
            return None


def _formatted(pattern: str, args: list[object]) -> str | None:
    """`str.format` for plain `{}` and `{0}` alone."""
    fields = list(string.Formatter().parse(pattern))
    plain = all(
        name is None or ((name == "" or name.isdigit()) and not spec and not how)
        for _, name, spec, how in fields
    )
    return pattern.format(*args) if plain else None
