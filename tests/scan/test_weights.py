"""Looks at the weights themselves: single numbers, what low bits spell, odd stretches, and what is never said."""

import pickle
import random
import struct
import zlib
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.measure.models import safetensors, sharded, torch_zip
from tests.scan.samples import scan
from tests.tensorfiles import message, model, node, tensor
from weighbridge.core.artifact import Member
from weighbridge.core.budget import Budget, Limits
from weighbridge.core.evidence import Outcome
from weighbridge.core.source import MemorySource
from weighbridge.formats.reading import TensorRef
from weighbridge.scan.engine import Scanner
from weighbridge.scan.weights import WeightsReading, look_at_weights, regions, sample
from weighbridge.scan.weights.numbers import is_constant, not_finite
from weighbridge.scan.weights.payload import is_text, payloads, programs
from weighbridge.scan.weights.planes import joined, packed, shifted
from weighbridge.scan.weights.sample import Content, ranges

CHANCE = random.Random(7)
PICKLE = b"cos\nsystem\n(S'echo weighbridge-sample'\ntR."
ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 2, 62, 1) + bytes(100)
TRAINED = array("f", [CHANCE.gauss(0, 0.02) for _ in range(40_000)]).tobytes()


def zeroed(data: bytes) -> bytes:
    """BF16 written as F32."""
    changed = bytearray(data)
    changed[0::4] = changed[1::4] = bytes(len(data) // 4)
    return bytes(changed)


def written(
    data: bytes, payload: bytes, bits: int, *, start: int = 0, low_first: bool = False, item: int = 4
) -> bytes:
    """The payload in the low `bits` of each item from `start` on."""
    digits = "".join(f"{b:08b}"[::-1] if low_first else f"{b:08b}" for b in payload)
    changed = bytearray(data)
    for index, at in enumerate(range(0, len(digits), bits)):
        value = int(digits[at : at + bits].ljust(bits, "0"), 2)
        place = (start + index) * item
        changed[place] = changed[place] & ~((1 << bits) - 1) | value
    return bytes(changed)


def look(data: bytes, dtype: str = "F32", *, whole: bool = False, swap: bool = False) -> WeightsReading:
    ref = TensorRef(name="w", dtype=dtype, shape=(len(data),), spans=((0, len(data)),), swap=swap)
    return look_at_weights(MemorySource(data), [ref], Budget(), whole=whole)


# -- single numbers


@pytest.mark.parametrize(
    ("dtype", "numbers", "expected"),
    [
        ("F32", struct.pack("<3f", 1.0, float("nan"), float("-inf")), (1, 1)),
        ("F32", struct.pack("<2f", 3.4e38, -3.4e38), (0, 0)),
        ("F64", struct.pack("<2d", float("nan"), 1e308), (1, 0)),
        ("F16", struct.pack("<3e", float("inf"), 65504.0, float("nan")), (1, 1)),
        ("BF16", b"\x80\x7f\xc0\x7f\x7f\x7f\x80\xff", (1, 2)),
        ("C64", struct.pack("<2f", 0.0, float("nan")), (1, 0)),
        ("F8_E4M3", b"\x7f\xff\x7e", (2, 0)),
        ("F8_E5M2", b"\x7c\xfc\x7d\xff\x7b", (2, 2)),
        ("F8_E4M3FNUZ", b"\x80\x7f", (1, 0)),
        ("I32", struct.pack("<I", 0x7FC00000), (0, 0)),
        ("Q4_K", b"\xff" * 64, (0, 0)),
    ],
)
def test_numbers_that_are_none(dtype: str, numbers: bytes, expected: tuple[int, int]) -> None:
    assert not_finite(dtype, numbers) == expected


@given(st.lists(st.floats(width=32), min_size=1, max_size=50))
def test_not_finite_agrees_with_the_machine(numbers: list[float]) -> None:
    """For each float32: NaN where it is not itself, infinite where it is more than the largest."""
    nans = sum(number != number for number in numbers)
    infinities = sum(abs(number) == float("inf") for number in numbers)
    assert not_finite("F32", struct.pack(f"<{len(numbers)}f", *numbers)) == (nans, infinities)


def test_a_mask_is_usual_and_nan_is_not() -> None:
    mask = struct.pack("<2f", 0.0, float("-inf")) * 100
    (found,) = look(mask).not_finite
    assert (found.infinities, found.usual) == (100, True)
    (found,) = look(struct.pack("<f", float("inf")) + TRAINED[4:]).not_finite
    assert (found.infinities, found.usual) == (1, False)
    (found,) = look(struct.pack("<f", float("nan")) + mask).not_finite
    assert (found.nans, found.usual) == (1, False)


def test_big_endian_numbers_are_turned() -> None:
    data = struct.pack(">1f", float("nan")) + bytes(96)
    assert look(data, swap=True).not_finite[0].nans == 1
    assert look(data).not_finite == ()


def test_constant_and_twins() -> None:
    assert is_constant("F32", b"\0\0\x80?" * 9)
    assert not is_constant("F32", b"\0\0\x80?")
    (found,) = look(b"\0\0\x80?" * 64).constant
    assert (found.zero, found.tensor.share) == (False, "sampled 256 of 256 bytes")
    half = TRAINED[:4096]
    refs = [
        TensorRef(name=n, dtype="F32", shape=(1024,), spans=((at, 4096),))
        for n, at in (("a", 0), ("b", 4096), ("tied", 0))
    ]
    reading = look_at_weights(MemorySource(half * 2), refs, Budget(), whole=False)
    assert [twins.names for twins in reading.twins] == [("a", "b")], "weights stored once are no twins"
    assert reading.names == ("a", "b", "tied")


# -- what low bits spell


@pytest.mark.parametrize("host", [TRAINED, zeroed(TRAINED)], ids=["as trained", "bf16"])
@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("low_first", [False, True])
@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (PICKLE, "pickle"),
        (pickle.dumps(["weighbridge-sample", 1, 2, 3]), "pickle"),
        (ELF, "program"),
        (b"#!/bin/sh\necho weighbridge-sample\n" * 2, "script"),
    ],
    ids=["pickle 0", "pickle 4", "elf", "script"],
)
def test_what_runs_is_spelled(host: bytes, bits: int, low_first: bool, payload: bytes, kind: str) -> None:
    found = look(written(host[:64_000], payload, bits, low_first=low_first))
    assert kind in {hidden.kind for hidden in found.hidden}


def test_nothing_is_spelled_where_nothing_is() -> None:
    for host in (TRAINED, zeroed(TRAINED)):
        assert (look(host).hidden, look(host).regions) == ((), ())


def test_other_embeddings() -> None:
    every_byte = written(TRAINED, PICKLE, 1, item=1)
    assert look(every_byte).hidden[0].how == "bit 0 of every byte, first bit highest"
    whole = bytearray(TRAINED)
    for index in range(len(ELF) // 3):
        whole[4 * index : 4 * index + 3] = ELF[3 * index : 3 * index + 3][::-1]
    assert look(bytes(whole)).hidden[0].how == "the low 3 bytes of every F32, highest first"
    signs = bytearray(TRAINED)
    for index, digit in enumerate("".join(f"{b:08b}" for b in PICKLE)):
        signs[4 * index + 3] = signs[4 * index + 3] & 0x7F | int(digit) << 7
    assert look(bytes(signs)).hidden[0].how == "the sign of every F32, first bit highest"
    assert look(written(CHANCE.randbytes(4000), PICKLE, 1, item=1), "I8").hidden[0].kind == "pickle"


def test_in_the_middle_of_a_tensor() -> None:
    (found, *_) = look(written(TRAINED, ELF, 8, start=20_001)).hidden
    assert (found.kind, found.at) == ("program", 80_004)


def test_a_zip_and_text_are_no_programs() -> None:
    gzip = zlib.compressobj(wbits=31)
    packed_text = gzip.compress(b"weighbridge-sample " * 9) + gzip.flush()
    assert [h.kind for h in look(written(TRAINED, packed_text, 8)).hidden] == ["archive"]
    text = (
        b"import os; os.system('echo weighbridge-sample')  # the letters of a text are not those of chance\n"
    )
    (found,) = look(written(TRAINED, text, 8)).hidden
    assert found.kind == "text"
    assert found.excerpt.startswith("import os; os.system(")


def test_marks_alone_are_not_enough() -> None:
    for start in (
        b"\x7fELF",
        b"MZ",
        b"PK\x03\x04",
        b"\x1f\x8b\x08\x00",
        b"\x80\x04",
        b"\x80\x02",
        b"#!",
        b"cos",
    ):
        data = start + CHANCE.randbytes(4000)
        assert list(payloads(data)) == [], start
        assert list(programs(data)) == [], start


def test_a_frame_among_zeros_is_no_pickle() -> None:
    assert list(payloads(b"\x80\x04\x95" + bytes(400))) == []
    data = bytes(40) + pickle.dumps(["weighbridge-sample"]) + bytes(400)
    assert [found.kind for found in payloads(data)] == ["pickle"]


def test_patterns_are_no_text() -> None:
    assert is_text(b"this is a sentence that somebody wrote, about nothing in particular")
    assert not is_text(b"U" * 100)
    assert not is_text(bytes(range(64, 128)) * 2)
    assert not is_text(b"the same the same the same the same the same the same " * 10)


# -- odd stretches


def test_an_odd_stretch_among_zeros() -> None:
    host = zeroed(TRAINED)
    (found,) = look(written(host, CHANCE.randbytes(300), 4, start=9_000)).regions
    assert 36_000 <= found.begin < found.end <= 36_000 + 4 * 600
    assert "the low 16 bits of numbers are zero elsewhere" in found.why


def test_rows_that_were_trained_on_are_not_odd() -> None:
    host = zeroed(TRAINED)
    assert look(TRAINED[:40_000] + host[40_000:]).regions == ()


def test_an_odd_stretch_among_random_bits() -> None:
    import base64

    payload = base64.b64encode(CHANCE.randbytes(3000))
    (found,) = look(written(TRAINED, payload, 8, start=10_000)).regions
    assert found.begin <= 40_000 + 2048
    assert "random before and behind" in found.why
    assert look(written(TRAINED, CHANCE.randbytes(4000), 8)).regions == (), "random in random cannot be seen"


def test_pruned_weights_are_not_odd() -> None:
    pruned = bytearray(TRAINED)
    for at in range(0, len(pruned), 4):
        if at % 20:
            pruned[at : at + 4] = bytes(3) + bytes([pruned[at + 3] & 0x80])
    assert look(bytes(pruned)).regions == ()


def test_repeated_rows_are_not_odd() -> None:
    row = TRAINED[:64]
    assert look(TRAINED[:60_000] + row * 500 + TRAINED[92_000:]).regions == ()


@pytest.mark.parametrize("seed", range(4))
def test_chance_raises_nothing(seed: int) -> None:
    chance = random.Random(seed)
    for dtype in ("F32", "F16", "BF16", "I8", "Q4_K", "F64"):
        found = look(chance.randbytes(300_000), dtype)
        assert (found.hidden, found.regions) == ((), ())


def test_numpy_counts_the_same() -> None:
    pytest.importorskip("numpy")
    stream = CHANCE.randbytes(512 * 70) + b"text" * 128 * 10
    counted = regions.distinct(stream, 80)
    assert list(counted) == [len(set(stream[at : at + 512])) for at in range(0, 512 * 80, 512)]


# -- places


def test_ranges() -> None:
    assert ranges(0, 4, whole=False) == ()
    assert ranges(100, 4, whole=False) == ((0, 100),)
    big = 10 * sample.SAMPLE + 2
    first, middle, last = ranges(big, 4, whole=False)
    assert first[0] == 0
    assert all(begin % 4 == 0 and (end - begin) % 4 == 0 for begin, end in (first, middle, last))
    assert big - 8 < last[1] <= big
    assert ranges(big, 4, whole=True) == ((0, big),)


@given(st.lists(st.integers(0, 40), max_size=8), st.integers(0, 200), st.integers(0, 200))
def test_content_is_its_spans(lengths: list[int], offset: int, length: int) -> None:
    """Reading any range gives that range of the spans joined."""
    data = bytes(range(256)) * 2
    spans = tuple((5 * index, size) for index, size in enumerate(lengths))
    joined_spans = b"".join(data[at : at + size] for at, size in spans)
    content = Content(TensorRef(name="w", dtype="U8", shape=(), spans=spans), MemorySource(data))
    assert content.size == len(joined_spans)
    assert content.read(offset, length) == joined_spans[offset : offset + length]


@given(st.binary(max_size=60), st.integers(1, 8))
def test_packing_takes_the_low_bits(data: bytes, bits: int) -> None:
    digits = "".join(f"{byte:08b}"[8 - bits :] for byte in data)
    assert packed(data, bits) == joined(digits.encode())


@given(st.binary(min_size=2, max_size=60), st.integers(0, 7))
def test_shifting_drops_bits(data: bytes, bits: int) -> None:
    digits = "".join(f"{byte:08b}" for byte in data)[bits:]
    assert shifted(data, bits) == joined(digits.encode())


def test_programs_between_and_behind() -> None:
    data = bytes(64) + ELF + bytes(64) + TRAINED[:4096] + bytes(64) + ELF
    start = 64 + len(ELF) + 64
    ref = TensorRef(name="w", dtype="F32", shape=(1024,), spans=((start, 4096),))
    found = look_at_weights(MemorySource(data), [ref], Budget(), whole=False).outside
    assert [(one.at, one.behind) for one in found] == [(64, False), (start + 4096 + 64, True)]


def test_spans_outside_of_the_file_are_left_alone() -> None:
    refs = [
        TensorRef(name="w", dtype="F32", shape=(9,), spans=((10**9, 36),)),
        TensorRef(name="v", dtype="F32", shape=(), spans=()),
    ]
    assert look_at_weights(MemorySource(b"x" * 100), refs, Budget()).names == ("w", "v")


# -- the engine


def test_nothing_of_it_without_being_asked() -> None:
    file = safetensors({"w": ("F32", (1000,), written(TRAINED[:4000], PICKLE, 8))})
    assert scan({"m.safetensors": file}).files[0].outcome is Outcome.PASS
    asked = scan({"m.safetensors": file}, weights=True)
    assert asked.files[0].outcome is Outcome.FAIL
    assert [f.rule for f in asked.findings] == ["weights-low-bits"]


def test_warnings_do_not_change_a_pass() -> None:
    file = torch_zip({"w": ("F32", (1000,), struct.pack("<f", float("nan")) + TRAINED[4:4000])})
    result = scan({"m.pt": file}, weights=True)
    assert [f.rule for f in result.findings] == ["weights-not-finite"]
    assert result.files[0].outcome is scan({"m.pt": file}).files[0].outcome is Outcome.PASS


def test_an_index_that_does_not_fit() -> None:
    tensors = {name: ("F32", (16,), TRAINED[at : at + 64]) for at, name in ((0, "a"), (64, "b"), (128, "c"))}
    files = sharded(tensors, 2)
    assert scan(files, weights=True).findings == ()
    files["model.safetensors.index.json"] = files["model.safetensors.index.json"].replace(b'"a"', b'"gone"')
    found = {
        (f.place.path, str(f.severity), f.message.partition(":")[0])
        for f in scan(files, weights=True).findings
    }
    assert found == {
        ("model.safetensors.index.json", "warning", "1 tensor is missing in model-00001-of-00002.safetensors, where the index says it is"),
        ("model-00001-of-00002.safetensors", "note", "1 tensor is not named by the index model.safetensors.index.json"),
    }  # fmt: skip


def test_onnx_weights_in_inner_graphs_and_outputs_are_used() -> None:
    raw = message(9, TRAINED[:32])
    weights = [tensor(5, name, (8,), 1, raw) for name in ("taken-inside", "an-output", "spare")]
    inner = message(
        6,
        message(1, message(1, "taken-inside"), message(2, "z"), message(4, "Relu")),
        message(12, message(1, "z")),
    )
    branch = node("If", attributes=message(5, message(1, "then_branch"), inner))
    file = model(
        branch,
        *weights,
        message(11, message(1, "x")),
        message(12, message(1, "y")),
        message(12, message(1, "an-output")),
    )
    (found,) = [f for f in scan({"m.onnx": file}, weights=True).findings if f.rule == "weights-unused"]
    assert found.message == "1 tensor is taken by no operator: spare"


def test_numbers_are_not_fetched() -> None:
    file = safetensors({"w": ("F32", (1000,), written(TRAINED[:4000], PICKLE, 8))})
    seen = Scanner(weights=True, here=False).examine(Member("m.safetensors", len(file)), MemorySource(file))
    assert [f.message for f in seen.findings] == [
        "the numbers of its tensors were not looked at: the model is not here, and numbers are not fetched for it"
    ]


def test_a_limit_is_no_pass() -> None:
    file = safetensors({"w": ("F32", (1000,), TRAINED[:4000])})
    scanner = Scanner(Limits(seconds=1e-9), weights=True)
    seen = scanner.examine(Member("m.safetensors", len(file)), MemorySource(file))
    assert seen.result.outcome is Outcome.UNKNOWN


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=3000),
    st.sampled_from(["F32", "F16", "BF16", "F64", "C64", "I8", "BOOL", "Q4_K", "F8_E5M2"]),
)
def test_it_never_raises(data: bytes, dtype: str) -> None:
    """Whatever a tensor holds, and however few bytes of it there are."""
    assert look(data, dtype).names == ("w",)
    assert look(data * 9, dtype, whole=True, swap=True).names == ("w",)
