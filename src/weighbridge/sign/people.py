"""People: who is who among those that signed. Different people are counted, never documents, names or keys.

Somebody is known by names and by keys. Whoever shares one of them with somebody, directly or through others, is that
somebody: in what was signed, and in the keyring, which may tie two names to one key or two keys to one name. Names that
nobody can tell apart are one name: letter case, width, ligatures and characters that are not shown do not count (as
Unicode's NFKC_Casefold has it). Letters of two alphabets that only look alike are two names: their keys are two as well,
and whoever writes the keyring sees both.

Every count of people stands on this: signers of a model, of a step, of an approval.
"""

import unicodedata
from collections.abc import Iterable
from operator import itemgetter
from typing import TypeVar

from weighbridge.core.errors import WeighbridgeError
from weighbridge.core.pattern import late
from weighbridge.sign.anchor import Anchor, KeyAnchor, SignerCheck

T = TypeVar("T")
Marks = frozenset[str]
"""What somebody is known by: `name …` and `key …`."""
_UNSEEN = late("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]")
"""What is not shown and yet is no format character: joiners, fillers, variation selectors."""


def marks_of(name: str, key: str = "") -> Marks:
    """The marks of a name, and of a key by its fingerprint; none for what is empty."""
    return frozenset([f"name {_folded(name)}"] * bool(name) + [f"key {key}"] * bool(key))


def _folded(name: str) -> str:
    """The name without what nobody sees; a name of nothing else stays as it is."""
    if name.isascii():
        return " ".join(name.casefold().split()) or name
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    shown = "".join(char for char in plain if unicodedata.category(char) != "Cf" and not _UNSEEN.match(char))
    return " ".join(unicodedata.normalize("NFKC", shown).split()) or name


def grouped(ones: Iterable[tuple[T, Marks]]) -> tuple[tuple[T, ...], ...]:
    """The ones of each person together, in the order in which they came. All that have no mark are one person."""
    groups: dict[int, tuple[list[tuple[int, T]], set[str]]] = {}
    at: dict[str, int] = {}
    """Mark → group."""
    for number, (one, marks) in enumerate(ones):
        known = marks or {""}
        home, *rest = sorted({at[mark] for mark in known if mark in at}) or [number]
        members, all_marks = groups.setdefault(home, ([], set()))
        for other in rest:
            more, their_marks = groups.pop(other)
            members += more
            all_marks |= their_marks
        members.append((number, one))
        all_marks |= known
        at.update(dict.fromkeys(all_marks if rest else known, home))
    return tuple(
        tuple(one for _, one in sorted(members, key=itemgetter(0))) for members, _ in groups.values()
    )


class People:
    """The anchors, as they say who is who. Nothing is read before somebody asks."""

    def __init__(self, anchors: Iterable[Anchor] = ()) -> None:
        self._anchors = tuple(anchors)
        self._known: dict[str, Marks] | None = None

    def of(self, signer: SignerCheck) -> Marks:
        """Everything that whoever signed is known by."""
        return self.known_by(signer.by, signer.key)

    def known_by(self, name: str, key: str = "") -> Marks:
        """Everything that the person with this name or key is known by."""
        return self.all_of(marks_of(name, key))

    def all_of(self, marks: Iterable[str]) -> Marks:
        """Everything that belongs to the same person as any of these."""
        found = frozenset(marks)
        known = self._by_mark()
        return found.union(*(known[mark] for mark in found if mark in known))

    def apart(self, ones: Iterable[tuple[T, SignerCheck]]) -> tuple[tuple[T, ...], ...]:
        """What was signed, each person's together, in the order in which it came."""
        return grouped((one, self.of(signer)) for one, signer in ones)

    def count(self, signers: Iterable[SignerCheck]) -> int:
        """How many different people."""
        return len(self.apart((signer, signer) for signer in signers))

    def _by_mark(self) -> dict[str, Marks]:
        if self._known is None:
            said = [_anchor_marks(anchor) for anchor in self._anchors]
            groups = grouped((marks, marks) for marks in said)
            whole = [frozenset().union(*group) for group in groups]
            self._known = {mark: marks for marks in whole for mark in marks}
        return self._known


def _anchor_marks(anchor: Anchor) -> Marks:
    """A name, and the key of a bare key: certificates of one authority are many people's."""
    return marks_of(anchor.name, _fingerprint(anchor) if isinstance(anchor, KeyAnchor) else "")


def _fingerprint(anchor: KeyAnchor) -> str:
    from weighbridge.sign import keys

    try:
        return keys.fingerprint(keys.load_public(anchor.public_key_pem))
    except WeighbridgeError:
        return ""  # who checks a signature with it says so
