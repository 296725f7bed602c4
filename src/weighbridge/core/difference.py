"""What differs between two sets of tensors, and how to say it in a line or two: pure.

`tensor_changes` compares by place (folder and name), so that resharding or another container changes nothing.
`layer_summary` says "3 tensors of layer 17 differ" instead of listing names. Files are compared where they are
measured (`weighbridge.measure.diff`) or signed (`weighbridge.sign`).
"""

import re
from collections.abc import Iterable, Mapping

from weighbridge.core.manifest import Place, TensorEntry, place_tensors, tensor_label
from weighbridge.core.pattern import late
from weighbridge.core.text import counted, visible

Changes = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
"""(changed, added, removed): labels, sorted."""


def tensor_changes(old: Iterable[TensorEntry] | None, new: Iterable[TensorEntry] | None) -> Changes | None:
    """What changed from `old` to `new`; None where one side's tensors are unknown or ambiguous."""
    before, after = _contents(old), _contents(new)
    if before is None or after is None:
        return None
    return (
        _labels(place for place in before.keys() & after.keys() if before[place] != after[place]),
        _labels(after.keys() - before.keys()),
        _labels(before.keys() - after.keys()),
    )


def _contents(tensors: Iterable[TensorEntry] | None) -> Mapping[Place, object] | None:
    """For each folder and name: what lies there, in each weights set that has its own."""
    placed = place_tensors(tensors) if tensors is not None else None
    if placed is None:
        return None
    contents: dict[Place, set[tuple[object, ...]]] = {}
    for (folder, part, name), tensor in placed.items():
        contents.setdefault((folder, "", name), set()).add(
            (part, tensor.dtype, tuple(tensor.shape), tensor.digest)
        )
    return contents


def _labels(places: Iterable[Place]) -> tuple[str, ...]:
    return tuple(sorted(tensor_label(place) for place in places))


def layer_summary(names: Iterable[str], verb: str = "differ") -> tuple[str, ...]:
    """One line for each layer that the names belong to, in layer order, then one for the rest.

    `layer_summary(["h.3.a", "h.3.b", "wte"])` is `("2 tensors of layer 3 differ", "1 tensor outside layers differs:
    wte")`. The tower is named only where names belong to several (`encoder.layers.3`, `decoder.layers.3`).
    """
    layers: dict[tuple[str, int], int] = {}
    rest: list[str] = []
    for name in names:
        match = _LAYER.search(name)
        if match:
            layer = (name[: match.start("number")], int(match["number"]))
            layers[layer] = layers.get(layer, 0) + 1
        else:
            rest.append(name)
    several = len({tower for tower, _ in layers}) > 1
    lines = [
        f"{counted(number_of, 'tensor')} of {visible(tower, 80) + str(number) if several else f'layer {number}'} {_verb(verb, number_of)}"
        for (tower, number), number_of in sorted(layers.items())
    ]
    if rest:
        shown = ", ".join(visible(name, 80) for name in sorted(rest)[:3]) + (", …" if len(rest) > 3 else "")
        where = " outside layers" if layers else ""
        lines.append(f"{counted(len(rest), 'tensor')}{where} {_verb(verb, len(rest))}: {shown}")
    return tuple(lines)


_LAYER = late(r"(?:^|[._/ ])(?:layers?|blocks?|blk|h)[._/](?P<number>[0-9]{1,6})(?=[._/]|\Z)", re.ASCII)


def _verb(verb: str, number: int) -> str:
    return f"{verb}s" if number == 1 and verb == "differ" else verb
