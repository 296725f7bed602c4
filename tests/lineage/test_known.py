"""Inference: fine-tunes and quantised copies are known again, and strangers are not."""

import json
import random
import struct
from pathlib import Path

import pytest

from weighbridge.core.source import MemorySource
from weighbridge.formats.reading import TensorRef
from weighbridge.lineage import Grade, Lineage
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
    (edge,) = inferred("sha256:" + "aa" * 32, [found], 0)
    assert (edge.grade, edge.grade.is_sure, edge.issuer) == (Grade.INFERRED, False, HERE)


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
