"""Keys under which values are alike: whatever a judgement looks at is the same in two values of one key.

A stream may make the same call half a million times. Nodes that stand for the same object are told by their identity, which
holds while the program that owns them is judged; small values that the stream builds anew are told by what they hold. A
key never looks further than a few values, so that making it costs little: what lies beyond is told by identity, which only
means that fewer values are found alike.
"""

from weighbridge.formats.pickle import Call, Value
from weighbridge.formats.pickle.values import CONTAINERS

MAX_VALUES = 24
"""Values that one key looks at."""
MAX_TEXT = 4096
"""Characters of a text that is compared; longer ones are told by identity."""


def key_of(value: Value) -> object:
    """The key of a value; hashable, and equal only for values that a judgement cannot tell apart.

    A call is told by what it calls and with what only where nothing is set on its result. *When* something is set is no part
    of a key: who looks at the order of opcodes has to add it.
    """
    if value is None:
        return None
    if type(value) in CONTAINERS and not value:
        return (type(value),)
    return _Key().of(value)


class _Key:
    """The making of one key, with the values that it may still look at."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_VALUES

    def of(self, value: Value) -> object:
        """Integers alone are identities; constants are wrapped, so that none is taken for another kind's."""
        kind = type(value)
        if kind is str:
            return value if len(value) <= MAX_TEXT else id(value)
        if kind is int:
            return (value,) if value.bit_length() < 256 else id(value)
        if kind in CONTAINERS:
            return (kind, *map(self.of, value)) if self._spend(len(value)) else id(value)
        if kind is Call and not value.changes and self._spend(3):
            return (kind, value.how, self.of(value.callable), self.of(value.args), self.of(value.kwargs))
        if kind is bytes and len(value) <= MAX_TEXT:
            return (kind, value)
        return id(value)

    def _spend(self, count: int) -> bool:
        self.left -= count
        return self.left >= 0
