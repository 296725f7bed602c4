"""What texts among arguments look like: code, a command, a path, an address. Looks at the first values of each call only.

Half a million calls may share one wide argument. What was seen of a container is kept, so that it is walked once, and what
was seen of a text that stands in one; the answers are those of a walk from the start.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from weighbridge.core.pattern import late
from weighbridge.formats.pickle import Call, Global, Value

_SUSPICIOUS = late(
    r"""__import__|\bimport\s+\w+|\b(?:os|subprocess|socket|shutil|sys|builtins)\.\w+|\b(?:exec|eval|compile|open|system|getattr)\s*\(
    |/bin/|\b(?:ba|z|da)?sh\s+-c\b|\bcurl\s|\bwget\s|\bpowershell\b|\bcmd(?:\.exe)?\s+/c|\bnc\s+-|/etc/passwd|/dev/tcp|\brm\s+-|\bchmod\s
    |\blambda\b.*:|[;&|]\s*\w+\s|\$\(|`\w+""",
    re.VERBOSE,
)
_HINT = late(
    r"import|os\.|subprocess|socket|shutil|sys|builtins|exec|eval|compile|open|getattr|/|sh|curl|wget|powershell|cmd|nc|rm|chmod"
    r"|lambda|;|&|\||\$|`"
)
"""Some of these letters stand in every text that `_SUSPICIOUS` finds; looking for them alone is much quicker."""
_PLACES = late(r"(?:https?|ftp|file|s3|gs|smb)://|^[/~]|\.\./|^[A-Za-z]:\\|\\\\")
MAX_LOOKED = 200
"""Values inside arguments that are looked at."""
MAX_TEXT = 4096
"""Characters of a text that are looked at."""
KEPT = 16
"""What is seen of a container is kept where it took so many values to see it; also characters of a text."""
NEVER = MAX_LOOKED
_PRINTABLE = bytes(c for c in range(256) if 32 <= c < 127 or c in b"\t\r\n")
"""Bytes of other kinds are numbers, and numbers look like anything."""


class Seen(NamedTuple):
    """What stands inside a value, in the order of a walk: where the first of each kind stands, NEVER for none."""

    values: int
    """How many values, itself included; MAX_LOOKED for all that are wider."""
    text: int = NEVER
    """The first text that is not empty."""
    command: int = NEVER
    """The first text that looks like code or a command."""
    place: int = NEVER
    """The first text that looks like a path or an address."""


class Texts:
    """Looks at arguments of one program, and remembers."""

    def __init__(self) -> None:
        self._containers: dict[int, Seen] = {}
        self._texts: dict[int, Seen] = {}

    def any(self, args: Value) -> bool:
        """Whether any text is among arguments."""
        return self.seen(args).text < NEVER

    def suspicious(self, args: Value, *, places: bool = False) -> bool:
        """Whether a text among arguments looks like code or a command (or, with `places`, like a path or address)."""
        seen = self.seen(args)
        return seen.command < NEVER or (places and seen.place < NEVER)

    def place(self, args: Value) -> bool:
        """Whether a path or an address is among the arguments."""
        return self.seen(args).place < NEVER

    def seen(self, args: Value) -> Seen:
        """Where the first text, command and place stand among arguments."""
        if not args or (type(args) is tuple and len(args) < KEPT and _NUMBERS.issuperset(map(type, args))):
            return NOTHING
        known = self._containers.get(id(args))
        if known is not None:
            return known
        seen, entered, steps = self._walk(args)
        if steps >= KEPT:
            for container in reversed(entered):
                if id(container) not in self._containers:
                    self._containers[id(container)] = self._walk(container)[0]
        return seen

    def _walk(self, root: Value) -> tuple[Seen, list[Value], int]:
        """What is seen from a value on, the containers that were entered, and how many values were looked at for it."""
        looked, steps, firsts = 0, 0, [NEVER, NEVER, NEVER]
        entered: list[Value] = []
        open_: list[Iterator[Value]] = [iter((root,))]
        while open_ and looked < MAX_LOOKED:
            for value in open_[-1]:
                kind = type(value)
                steps += 1
                if kind is str or kind is bytes:
                    seen = self._text(value)
                elif kind is tuple or isinstance(value, list):
                    kept = self._containers.get(id(value))
                    if kept is None:
                        looked += 1
                        entered.append(value)
                        open_.append(iter(value))
                        break
                    seen = kept
                else:
                    seen = NOTHING
                if seen is not NOTHING:
                    for place, first in enumerate(seen[1:]):
                        if first < NEVER and looked + first < firsts[place]:
                            firsts[place] = looked + first
                looked += seen.values
                if looked >= MAX_LOOKED:
                    break
            else:
                open_.pop()
        return Seen(min(looked, MAX_LOOKED), *(min(first, NEVER) for first in firsts)), entered, steps

    def _text(self, value: str | bytes) -> Seen:
        """A text, or bytes that are printable; a short one is looked at again rather than kept."""
        if len(value) < KEPT:
            return look(value)
        known = self._texts.get(id(value))
        if known is None:
            known = self._texts[id(value)] = look(value)
        return known


NOTHING = Seen(1)
_NUMBERS = frozenset({type(None), bool, int, float, Global, Call})
"""Kinds in which no text is looked for."""


def look(value: str | bytes) -> Seen:
    """What one text looks like, from its beginning."""
    piece = value[:MAX_TEXT]
    if isinstance(piece, bytes):
        if piece.translate(None, _PRINTABLE):
            return NOTHING
        piece = piece.decode("latin-1")
    if not piece:
        return NOTHING
    command = _HINT.search(piece) is not None and _SUSPICIOUS.search(piece) is not None
    return Seen(1, 0, 0 if command else NEVER, 0 if _PLACES.search(piece) else NEVER)


def texts_in(args: Value) -> Iterable[str]:
    """The texts among the first values, in their order."""
    todo, looked = [args], 0
    while todo and looked < MAX_LOOKED:
        value = todo.pop()
        looked += 1
        if type(value) is str:
            yield value
        elif type(value) is bytes and not value[:MAX_TEXT].translate(None, _PRINTABLE):
            yield value[:MAX_TEXT].decode("latin-1")
        elif type(value) is tuple or isinstance(value, list):
            todo += reversed(value[:MAX_LOOKED])
