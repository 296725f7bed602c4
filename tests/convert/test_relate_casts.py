"""Casts and quantisations computed again: bit by bit what numpy, ml_dtypes, torch and gguf give."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from tests.convert.makers import read
from tests.tensorfiles import safetensors
from weighbridge.attest.predicates.transform import Proof, Transformed
from weighbridge.convert.relate import Descent, relate
from weighbridge.core.errors import UsageError

MADE = Path(__file__).parent / "made"
TYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}


def one(path: Path, dtype: str, shape: tuple[int, ...], data: bytes) -> str:
    path.write_bytes(safetensors({"w": (dtype, list(shape), 0, len(data))}, data))
    return str(path)


def is_cast(tmp_path: Path, old: tuple[str, bytes], new: tuple[str, bytes], count: int) -> bool:
    parent = one(tmp_path / "old.safetensors", old[0], (count,), old[1])
    child = one(tmp_path / "new.safetensors", new[0], (count,), new[1])
    try:
        related = relate([parent], child, Transformed.CAST)
    except UsageError as error:
        if error.code != "transform-untrue":
            raise
        return False
    return (related.transform.proof, related.rows[0].standing) == (Proof.REDERIVED, Descent.CAST)


@pytest.mark.parametrize(
    "name",
    [name for name in read(MADE / "torch_casts.safetensors").tensors if "." in name],
)
def test_every_cast_of_torch_is_one(name: str, tmp_path: Path) -> None:
    tensors = read(MADE / "torch_casts.safetensors").tensors
    old, new = tensors[name.partition(".")[0]], tensors[name]
    assert is_cast(tmp_path, (old[0], old[2]), (new[0], new[2]), old[1][0])
    flipped = bytearray(new[2])
    flipped[-2] ^= 2
    assert not is_cast(tmp_path, (old[0], old[2]), (new[0], bytes(flipped)), old[1][0])


@pytest.mark.parametrize("old", TYPES)
@pytest.mark.parametrize("new", TYPES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_cast_of_numpy_is_one(
    old: str, new: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if old == new:
        return
    width = TYPES[old]().itemsize if old != "BF16" else 2
    raw = data.draw(st.binary(min_size=width * 8, max_size=width * 8))
    with np.errstate(all="ignore"):
        made = np.frombuffer(raw, TYPES[old]).astype(TYPES[new])
    folder = tmp_path_factory.mktemp("cast")
    assert is_cast(folder, (old, raw), (new, made.tobytes()), 8)


def test_a_nan_with_a_message_is_no_cast(tmp_path: Path) -> None:
    source = np.array([1.0, np.nan, 2.0], np.float32)
    half = source.astype(np.float16)
    assert is_cast(tmp_path, ("F32", source.tobytes()), ("F16", half.tobytes()), 3)
    half.view(np.uint16)[1] = 0x7E57
    assert not is_cast(tmp_path, ("F32", source.tobytes()), ("F16", half.tobytes()), 3)
    half.view(np.uint16)[1] = 0x7C00  # infinity
    assert not is_cast(tmp_path, ("F32", source.tobytes()), ("F16", half.tobytes()), 3)


@pytest.mark.parametrize(
    ("value", "wrong"),
    [(65520.0, 65504.0), (1e-8, 6e-8), (1.0 + 2.0**-11, 1.0 + 2.0**-10), (-0.0, 0.0)],
    ids=["overflow clipped", "denormal rounded up", "tie to odd", "sign of zero"],
)
def test_another_rounding_is_no_cast(value: float, wrong: float, tmp_path: Path) -> None:
    source = np.array([value], np.float32)
    with np.errstate(all="ignore"):
        right = source.astype(np.float16)
    assert is_cast(tmp_path, ("F32", source.tobytes()), ("F16", right.tobytes()), 1)
    other = np.array([wrong], np.float16)
    assert other.tobytes() != right.tobytes()
    assert not is_cast(tmp_path, ("F32", source.tobytes()), ("F16", other.tobytes()), 1)


def test_blocks_are_compared_to_the_end(tmp_path: Path) -> None:
    source = np.random.default_rng(1).normal(size=600_001).astype(np.float32)
    half = source.astype(np.float16)
    parent = one(tmp_path / "old.safetensors", "F32", (600_001,), source.tobytes())
    child = one(tmp_path / "new.safetensors", "F16", (600_001,), half.tobytes())
    assert relate([parent], child).transform.proof is Proof.REDERIVED
    half[-1] += 1
    child = one(tmp_path / "new.safetensors", "F16", (600_001,), half.tobytes())
    with pytest.raises(UsageError, match="item 600000 is not the F16") as caught:
        relate([parent], child, Transformed.CAST)
    assert caught.value.code == "transform-untrue"


@pytest.mark.parametrize("kind", ["q8_0", "q4_0"])
def test_what_gguf_quantises_is_computed_again(kind: str) -> None:
    related = relate([str(MADE / "f32.gguf")], str(MADE / f"{kind}.gguf"))
    assert (related.transform.kind, related.transform.proof) == (Transformed.QUANTIZED, Proof.REDERIVED)
    assert [row.standing.value for row in related.rows] == ["quantized", "equal"]


def test_another_quantisation_stays_a_claim(tmp_path: Path) -> None:
    data = bytearray((MADE / "q8_0.gguf").read_bytes())
    data[-300] ^= 1
    (tmp_path / "other.gguf").write_bytes(data)
    related = relate([str(MADE / "f32.gguf")], str(tmp_path / "other.gguf"))
    assert (related.transform.kind, related.transform.proof) == (Transformed.QUANTIZED, Proof.CLAIMED)


@pytest.mark.parametrize("rows", [1, 8], ids=["of the whole", "of each row"])
@pytest.mark.parametrize("way", ["divided", "absmax", "half scale"])
def test_int8_by_the_largest_magnitude(rows: int, way: str, tmp_path: Path) -> None:
    weight = np.random.default_rng(3).normal(size=(8, 40)).astype(np.float32)
    weight[2] = 0
    largest = np.abs(weight.reshape(rows, -1)).max(axis=1, keepdims=True)
    scale = largest / np.float32(127)
    spread = np.repeat(scale, 8 // rows, axis=0)
    with np.errstate(all="ignore"):
        quants = np.nan_to_num(np.rint(weight / spread)).astype(np.int8)
    name = "layer.weight_scale"
    if way == "absmax":
        scale, name = largest, "layer.SCB"
    stored = scale.reshape(-1).astype(np.float16 if way == "half scale" else np.float32)
    save_file({"layer.weight": weight}, tmp_path / "old.safetensors")
    save_file({"layer.weight": quants, name: stored}, tmp_path / "new.safetensors")
    related = relate([str(tmp_path / "old.safetensors")], str(tmp_path / "new.safetensors"))
    assert (related.transform.kind, related.transform.proof) == (Transformed.QUANTIZED, Proof.REDERIVED)
    quants[5, 5] += 1
    save_file({"layer.weight": quants, name: stored}, tmp_path / "new.safetensors")
    again = relate([str(tmp_path / "old.safetensors")], str(tmp_path / "new.safetensors"))
    assert again.transform.proof is Proof.CLAIMED
