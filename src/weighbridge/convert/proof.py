"""The proof: the output is read again through our own readers, and every tensor compared with the source's.

Two tensors are equal when dtype, shape and the BLAKE3 digest of the canonical bytes (docs/formats/digests.md) are. The
comparison needs only the two lists and the rules of the receipt, so that it can be made again by anybody, later.
"""

import posixpath
from collections.abc import Iterable, Mapping, Sequence

from weighbridge.core.manifest import TensorEntry, weights_set
from weighbridge.core.receipt import Dropped, Equality, Kind, Renamed

Name = tuple[str, str]
"""(weights set, tensor)"""
Content = tuple[str, tuple[int, ...], bytes]

MOST = 100
"""Names listed of each kind of difference."""


def equality(
    source: Iterable[TensorEntry],
    output: Iterable[TensorEntry],
    *,
    converted: Mapping[str, str],
    renamed: Sequence[Renamed] = (),
    dropped: Sequence[Dropped] = (),
) -> Equality:
    """Compare. `converted` maps each file of the source to the weights set that has its tensors now."""
    wanted = expected(source, converted, renamed, dropped)
    sets = set(converted.values())
    there = {
        (place, tensor.name): _content(tensor) for tensor in output if (place := set_of(tensor.path)) in sets
    }
    both = wanted.keys() & there.keys()
    different = sorted(name for place, name in both if wanted[place, name] != there[place, name])
    return Equality(
        compared=len(wanted),
        equal=len(both) - len(different),
        different=tuple(different[:MOST]),
        missing=tuple(sorted(name for _, name in wanted.keys() - there.keys())[:MOST]),
        extra=tuple(sorted(name for _, name in there.keys() - wanted.keys())[:MOST]),
    )


def expected(
    source: Iterable[TensorEntry],
    converted: Mapping[str, str],
    renamed: Sequence[Renamed],
    dropped: Sequence[Dropped],
) -> dict[Name, Content]:
    """What the output must hold, by the rules that the receipt states."""
    rules = _Rules(renamed, dropped)
    found: dict[Name, Content] = {}
    for tensor in source:
        if tensor.path in converted and not rules.left_out(tensor.path, tensor.name):
            found[converted[tensor.path], rules.new_name(tensor.path, tensor.name)] = _content(tensor)
    return found


class _Rules:
    """The rules of a receipt, ready to be asked once a tensor."""

    def __init__(self, renamed: Sequence[Renamed], dropped: Sequence[Dropped]) -> None:
        self._names = {(rule.path, rule.old): rule.new for rule in renamed if not rule.prefix}
        self._begin: dict[str, list[Renamed]] = {}
        for rule in renamed:
            if rule.prefix:
                self._begin.setdefault(rule.path, []).append(rule)
        self._out = {(rule.path, rule.name) for rule in dropped if rule.kind is Kind.TENSOR}
        self._files = {rule.path for rule in dropped if rule.kind is Kind.FILE}
        self._prefixes: dict[str, tuple[str, ...]] = {}
        for gone in dropped:
            if gone.kind is Kind.TENSORS:
                self._prefixes[gone.path] = (*self._prefixes.get(gone.path, ()), gone.name)

    def left_out(self, path: str, name: str) -> bool:
        """Whether this tensor was left out."""
        gone = path in self._files or (path, name) in self._out
        return gone or name.startswith(self._prefixes.get(path, ()))

    def new_name(self, path: str, name: str) -> str:
        """What this tensor is called now: exact rules first, then the first beginning that fits."""
        exact = self._names.get((path, name))
        if exact is not None:
            return exact
        fits = (rule for rule in self._begin.get(path, ()) if name.startswith(rule.old))
        rule = next(fits, None)
        return rule.new + name[len(rule.old) :] if rule else name


def set_of(path: str) -> str:
    """The weights set of an output file, with its folder."""
    return posixpath.join(posixpath.dirname(path), weights_set(path))


def _content(tensor: TensorEntry) -> Content:
    return tensor.dtype, tuple(tensor.shape), tensor.digest
