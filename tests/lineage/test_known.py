"""Inference: fine-tunes and quantised copies are known again, and strangers are not."""

import json
import random
import struct
from pathlib import Path

import pytest

from weighbridge.attest.step import Relation
from weighbridge.core.source import MemorySource
from weighbridge.formats.reading import TensorRef
from weighbridge.lineage import Edge, Grade, Lineage, Link, ancestors, descendants, index, show
from weighbridge.lineage.ask import Direction, direction
from weighbridge.lineage.known import HERE, inferred, kin, remember, sketches
from weighbridge.lineage.sketch import bits, likeness, sketch
from weighbridge.measure import Plan, measure
from weighbridge.store import open_artifact

SHAPES = {"embed": (64, 64), "layer.q": (48, 64), "layer.k": (48, 64), "layer.out": (64, 48), "norm": (600,)}


def weights(seed: int) -> dict[str, list[float]]:
    dice = random.Random(seed)
    return {
        name: [
            1.0 + dice.gauss(0, 0.02) if name == "norm" else dice.gauss(0, 0.05) for _ in range(_items(shape))
        ]
        for name, shape in SHAPES.items()
    }


def _items(shape: tuple[int, ...]) -> int:
    total = 1
    for length in shape:
        total *= length
    return total


def tuned(
    model: dict[str, list[float]], seed: int, much: float = 0.005, keep: tuple[str, ...] = ()
) -> dict[str, list[float]]:
    dice = random.Random(seed)
    return {
        name: values if name in keep else [value + dice.gauss(0, much) for value in values]
        for name, values in model.items()
    }


def write(path: Path, model: dict[str, list[float]], dtype: str = "F32") -> Path:
    header, data = {}, b""
    for name, values in model.items():
        raw = struct.pack(f"<{len(values)}f", *values)
        if dtype == "BF16":
            raw = b"".join(raw[at + 2 : at + 4] for at in range(0, len(raw), 4))
        elif dtype == "F16":
            raw = struct.pack(f"<{len(values)}e", *values)
        header[name] = {
            "dtype": dtype,
            "shape": SHAPES.get(name, (len(values),)),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def look(path: Path):
    artifact = open_artifact(str(path))
    manifest = measure(artifact, Plan(tensors=True)).manifest
    return sketches(artifact, manifest.tensors or ())


def keep(lineage: Lineage, name: str, path: Path) -> int:
    node = lineage.join([f"sha256:{path.name.encode().hex():0>64}"], Grade.REPRODUCED, HERE, "", name)
    assert remember(lineage, node, name, look(path)) == len(SHAPES)
    return node


@pytest.mark.parametrize("dtype", ["F32", "BF16", "F16"])
def test_a_fine_tune_is_known_again_in_any_type(lineage: Lineage, tmp_path: Path, dtype: str) -> None:
    base = weights(1)
    keep(lineage, "base", write(tmp_path / "base", base))
    keep(lineage, "stranger", write(tmp_path / "stranger", weights(2)))
    child = look(write(tmp_path / "child", tuned(base, 3, keep=("embed",) if dtype == "F32" else ()), dtype))
    (found,) = kin(lineage, child)
    assert (found.name, found.alike) == ("base", 1.0)
    assert found.likeness > 0.9
    assert found.equal == pytest.approx(0.294, abs=0.01) if dtype == "F32" else found.equal == 0
    own = "sha256:" + "aa" * 32
    (edge,) = inferred(own, [(found, Direction.ANCESTOR)], 0)
    assert (edge.grade, edge.grade.is_sure, edge.issuer) == (Grade.INFERRED, False, HERE)
    assert (edge.child, edge.relation) == (own, Relation.DERIVED_FROM)
    (edge,) = inferred(own, [(found, Direction.DESCENDANT)], 0)
    assert (edge.parent, edge.relation) == (own, Relation.DERIVED_FROM)


@pytest.mark.parametrize("indexed", [False, True])
def test_kin_lead_both_ways_and_never_for_sure(lineage: Lineage, tmp_path: Path, indexed: bool) -> None:
    """A model that is found later may as well be the parent: what is called back of either reaches the other."""
    keep(lineage, "base", write(tmp_path / "base", weights(1)))
    (found,) = kin(lineage, look(write(tmp_path / "child", tuned(weights(1), 3))))
    own, other, above = "sha256:" + "aa" * 32, found.node.keys[0], "sha256:" + "bb" * 32
    edges = inferred(own, [(found, Direction.UNKNOWN)], 0)
    assert {(edge.child, edge.parent) for edge in edges} == {(own, other), (other, own)}
    assert {(edge.relation, edge.grade) for edge in edges} == {(Link.KIN, Grade.INFERRED)}
    lineage.add([*edges, Edge(other, above, Relation.FINE_TUNED_FROM, Grade.ATTESTED, "ann")])
    if indexed:
        index.load(lineage)
    for question in (ancestors, descendants):
        for one, kind in ((own, other), (other, own)):
            answer = question(lineage, [one])
            rows = {key: row.sure for row in answer.rows for key in row.node.keys}
            assert rows[kind] is False
            assert answer.circular is False
    assert [row.sure for row in ancestors(lineage, [own]).rows if above in row.node.keys] == [False]
    assert "direction unknown" in "\n".join(show.tree(ancestors(lineage, [own]), "ancestors"))


def test_what_is_stated_gives_kin_their_direction(lineage: Lineage, tmp_path: Path) -> None:
    keep(lineage, "base", write(tmp_path / "base", weights(1)))
    (found,) = kin(lineage, look(write(tmp_path / "child", tuned(weights(1), 3))))
    own, other = "sha256:" + "aa" * 32, found.node.keys[0]
    lineage.add(inferred(own, [(found, Direction.UNKNOWN)], 0))
    nodes = lineage.find([own])
    assert direction(lineage, nodes, found.node.id) is Direction.UNKNOWN
    lineage.add([Edge(own, "name:x", Relation.FINE_TUNED_FROM), Edge("name:x", other, Relation.DERIVED_FROM)])
    assert direction(lineage, nodes, found.node.id) is Direction.ANCESTOR
    assert direction(lineage, lineage.find([other]), nodes[0]) is Direction.DESCENDANT
    lineage.add([Edge(other, own, Relation.FINE_TUNED_FROM)])
    assert direction(lineage, nodes, found.node.id) is Direction.UNKNOWN


def test_strangers_are_no_kin_and_masks_say_nothing(lineage: Lineage, tmp_path: Path) -> None:
    for seed in range(10, 16):
        keep(lineage, f"m{seed}", write(tmp_path / f"m{seed}", weights(seed)))
    shared = {
        "mask": [float(n % 2) for n in range(5000)],
        "zeros": [0.0] * 5000,
        "tiny": [0.1 * n for n in range(32)],
    }
    stranger = look(write(tmp_path / "stranger", {**weights(99), **shared}))
    assert kin(lineage, stranger) == ()
    assert {one.name for one in stranger if one.sketch is None} == set(shared)


def test_two_random_tensors_never_come_near() -> None:
    """False alarms: among 4,950 pairs of unrelated sketches none is above a third of what makes kin."""
    dice = random.Random(4)
    many = [bits([dice.gauss(0, 1) for _ in range(512)]) for _ in range(100)]
    worst = max(likeness(a, b) for place, a in enumerate(many) for b in many[:place] if a and b)
    assert 0 < worst < 0.4


def test_remembering_again_replaces(lineage: Lineage, tmp_path: Path) -> None:
    path = write(tmp_path / "base", weights(1))
    assert keep(lineage, "base", path) == keep(lineage, "renamed", path)
    (found,) = kin(lineage, look(path))
    assert (found.name, found.equal, found.likeness) == ("renamed", 1.0, 1.0)


def test_block_types_strides_and_big_endian_give_the_same_sketch() -> None:
    dice = random.Random(8)
    values = [dice.gauss(0, 1) for _ in range(64 * 64)]
    plain = TensorRef(name="w", dtype="F32", shape=(64, 64), spans=((0, 4 * 4096),), itemsize=4)
    first = sketch(plain, MemorySource(struct.pack("<4096f", *values)))
    assert first is not None
    swapped = plain._replace(swap=True)
    assert sketch(swapped, MemorySource(struct.pack(">4096f", *values))) == first
    turned = [values[column * 64 + row] for row in range(64) for column in range(64)]
    strided = plain._replace(strides=(1, 64))
    assert sketch(strided, MemorySource(struct.pack("<4096f", *turned))) == first
    cut = plain._replace(spans=((8192, 8192), (0, 8192)))
    raw = struct.pack("<4096f", *values)
    assert sketch(cut, MemorySource(raw[8192:] + raw[:8192])) == first
    blocks = b""
    for at in range(0, 4096, 32):
        part = values[at : at + 32]
        scale = max(map(abs, part)) / 127
        blocks += struct.pack("<e32b", scale, *(max(-128, min(127, round(one / scale))) for one in part))
    quantised = TensorRef(name="w", dtype="Q8_0", shape=(64, 64), spans=((0, len(blocks)),))
    found = sketch(quantised, MemorySource(blocks))
    assert found is not None
    assert likeness(first, found) > 0.97
