"""Pickled dtypes of numpy: `numpy.dtype(…)` with its BUILD state, taken for one only where all of it agrees."""

from math import prod

from weighbridge.formats.numpy.dtypes import MAX_DEPTH, DType, dtype_of_typestr
from weighbridge.formats.pickle.values import Call, Dict, Global, Value

RECORDS = frozenset(
    {"numpy.record", "numpy.rec.record", "numpy.core.records.record", "numpy._core.records.record"}
)


def dtype_of_value(value: Value, before: int | None = None) -> DType | None:
    """The dtype that a pickled `numpy.dtype(…)` with its BUILD state is; None where it is not proved to be one.

    `before`: the number of the opcode that uses it; state that is set later would change an array behind its back.
    Contradictions between flags, fields and sizes would let numpy take bytes for pointers, so they prove nothing.
    """
    return _Pickled(before).dtype(value, 0)


class _Pickled:
    """One look at pickled dtypes; shared ones are looked at once."""

    def __init__(self, before: int | None) -> None:
        self._before = before
        self._seen: dict[int, DType | None] = {}

    def dtype(self, value: Value, depth: int) -> DType | None:
        if type(value) is not Call or depth > MAX_DEPTH:
            return None
        if id(value) not in self._seen:
            self._seen[id(value)] = None
            self._seen[id(value)] = self._dtype(value, depth)
        return self._seen[id(value)]

    def _dtype(self, call: Call, depth: int) -> DType | None:
        if type(call.callable) is not Global or call.callable.name != "numpy.dtype" or call.how != "REDUCE":
            return None
        args = call.args
        if (
            type(args) is not tuple
            or not 1 <= len(args) <= 3
            or any(type(a) not in (bool, int) for a in args[1:])
        ):
            return None
        base = _base(args[0], call.state())
        if base is None or len(call.changes) > 1:
            return None
        if not call.changes:
            return base if base.kind != "V" else None
        change = call.changes[0]
        if change.how != "BUILD" or (self._before is not None and change.index > self._before):
            return None
        return self._with_state(base, change.value, depth)

    def _with_state(self, base: DType, state: Value, depth: int) -> DType | None:
        if (
            type(state) is not tuple
            or len(state) not in (8, 9)
            or state[0] not in (3, 4)
            or type(state[0]) is not int
        ):
            return None
        _, order, sub, names, fields, size, alignment, flags = state[:8]
        if type(order) is not str or order not in ("<", ">", "|", "=") or type(flags) is not int:
            return None
        if not all(type(n) is int and -1 <= n < 2**31 for n in (size, alignment)):
            return None
        big = order == ">" and base.itemsize > 1
        if base.kind in "SUV" and size not in (-1, base.itemsize):
            return None
        if sub is None and names is None and fields is None:
            plain = base.kind != "V" or not flags & 1
            detail = _unit(state[8]) if len(state) == 9 and base.kind in "mM" else ""
            return (
                DType(kind=base.kind, itemsize=base.itemsize, big=big, objects=base.objects, detail=detail)
                if plain
                else None
            )
        return self._compound(base, sub, names, fields, flags, depth) if base.kind == "V" else None

    def _compound(
        self, base: DType, sub: Value, names: Value, fields: Value, flags: int, depth: int
    ) -> DType | None:
        if sub is not None:
            inner = self._sub(base, sub, depth) if names is None and fields is None else None
            objects = inner is not None and inner.objects
        else:
            found = self._fields(base, names, fields, depth)
            inner = base if found is not None else None
            objects = bool(found)
        if inner is None or bool(flags & 1) != objects:
            return None
        return DType(kind="V", itemsize=base.itemsize, objects=objects)

    def _sub(self, base: DType, sub: Value, depth: int) -> DType | None:
        if type(sub) is not tuple or len(sub) != 2:
            return None
        inner = self.dtype(sub[0], depth + 1)
        shape = sub[1] if type(sub[1]) is tuple else (sub[1],)
        if inner is None or not all(type(n) is int and 0 <= n < 2**31 for n in shape):
            return None
        return inner if inner.itemsize * prod(shape) == base.itemsize else None

    def _fields(self, base: DType, names: Value, fields: Value, depth: int) -> bool | None:
        """Whether any field holds objects; None where the fields do not fit."""
        if type(names) is not tuple or type(fields) is not Dict or len(fields) != 2 * len(names):
            return None
        objects = False
        for name, entry in fields.pairs():
            if type(name) is not str or type(entry) is not tuple or len(entry) not in (2, 3):
                return None
            inner = self.dtype(entry[0], depth + 1)
            at = entry[1]
            if inner is None or type(at) is not int or not 0 <= at <= base.itemsize - inner.itemsize:
                return None
            objects = objects or inner.objects
        return objects


def _base(first: Value, state: Value) -> DType | None:
    """What `numpy.dtype(first)` is before its state; a record's size stands in the state alone."""
    if type(first) is str:
        return dtype_of_typestr(first)
    if type(first) is Global and first.name in RECORDS and type(state) is tuple and len(state) > 5:
        size = state[5]
        return DType(kind="V", itemsize=size) if type(size) is int and 0 <= size < 2**31 else None
    return None


def _unit(metadata: Value) -> str:
    """`[ns]` of a pickled datetime's metadata."""
    if type(metadata) is tuple and len(metadata) == 2 and type(metadata[1]) is tuple and metadata[1]:
        unit = metadata[1][0]
        text = unit.decode("latin-1") if type(unit) is bytes else unit
        if type(text) is str and text.isalnum() and len(text) < 10:
            return f"[{text}]"
    return ""
