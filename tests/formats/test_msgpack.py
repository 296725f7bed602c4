"""MessagePack as Flax and msgpack-numpy write it."""

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scan.samples import SAMPLES, scan
from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.evidence import Outcome
from weighbridge.core.source import MemorySource
from weighbridge.formats import candidates, msgpack
from weighbridge.formats.msgpack import read
from weighbridge.formats.reading import Reading

REAL = (SAMPLES / "msgpack-malformed" / "benign.msgpack").read_bytes()
PICKLE = b"cposix\nsystem\n(S'echo weighbridge-sample'\ntR."


def document(data: bytes, name: str = "x.msgpack") -> Reading:
    return read(MemorySource(data), Budget(), name)


def text(value: str) -> bytes:
    return bytes([0xA0 | len(value)]) + value.encode()


def blob(value: bytes) -> bytes:
    return b"\xc6" + struct.pack(">I", len(value)) + value


def mapping(**items: bytes) -> bytes:
    return bytes([0x80 | len(items)]) + b"".join(text(key) + value for key, value in items.items())


def ext(number: int, content: bytes) -> bytes:
    return b"\xc9" + struct.pack(">Ib", len(content), number) + content


def array(shape: tuple[int, ...], dtype: str, data: bytes) -> bytes:
    return ext(1, b"\x93" + bytes([0x90 | len(shape), *shape]) + text(dtype) + blob(data))


def codes(data: bytes) -> list[str]:
    return [anomaly.code for anomaly in document(data).anomalies]


def test_real_parameters_are_tensors() -> None:
    found = document(REAL)
    assert (found.format, found.anomalies, found.gaps, found.parts) == ("flax-msgpack", (), (), ())
    tensors = {t.name: t for t in found.tensors or ()}
    assert {name: (t.dtype, t.shape) for name, t in tensors.items()} == {
        "params/dense/bias": ("BF16", (3,)),
        "params/dense/kernel": ("F32", (4, 3)),
        "lr": ("F32", ()),
    }
    ((start, length),) = tensors["params/dense/kernel"].spans
    assert struct.unpack("<12f", REAL[start : start + length]) == tuple(range(12))


def test_it_is_known_by_its_content() -> None:
    assert "msgpack" in candidates(MemorySource(REAL), "checkpoint_0")
    assert scan({"checkpoint_0": REAL}).files[0].format == "flax-msgpack"


def test_arrays_in_chunks_are_one_tensor() -> None:
    chunks = mapping(**{"0": array((2,), "uint8", b"ab"), "1": array((2,), "uint8", b"cd")})
    whole = mapping(
        __msgpack_chunked_array__=b"\xc3", shape=mapping(**{"0": b"\x02", "1": b"\x02"}), chunks=chunks
    )
    data = mapping(w=whole)
    (tensor,) = document(data).tensors or ()
    assert (tensor.name, tensor.shape) == ("w", (2, 2))
    assert b"".join(data[at : at + length] for at, length in tensor.spans) == b"abcd"
    assert codes(data.replace(b"\xa10\x02", b"\xa10\x03", 1)) == ["msgpack-array"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xdf\xff\xff\xff\xff", "msgpack-size"),
        (b"\xdd\xff\xff\xff\xff\x00", "msgpack-size"),
        (mapping(a=b"\xc6\xff\xff\xff\xff\x00"), "msgpack-size"),
        (mapping(a=b"\xc9\xff\xff\xff\xff\x01"), "msgpack-size"),
        (mapping(a=b"\xcb\x00"), "msgpack-size"),
        (mapping(a=array((3,), "float32", bytes(8))), "msgpack-size"),
        (mapping(a=array((1,), "object", PICKLE)), "msgpack-object"),
        (mapping(a=array((1,), "O8", PICKLE)), "msgpack-object"),
        (mapping(a=ext(1, b"\x92\x90" + text("float32"))), "msgpack-array"),
        (mapping(a=ext(2, b"\x01")), "msgpack-array"),
        (b"\x91" * 1000 + b"\x00", "msgpack-deep"),
        (b"\x81\xa1a" * 1000 + b"\x00", "msgpack-deep"),
        (mapping(nd=b"\xc3", kind=text("O"), data=blob(PICKLE)), "msgpack-object"),
    ],
)
def test_lies_about_sizes_and_objects_fail(data: bytes, code: str) -> None:
    assert codes(data) == [code]
    assert scan({"x.msgpack": data}).files[0].outcome is Outcome.FAIL


def test_pickles_in_bytes_are_read() -> None:
    found = scan({"x.msgpack": mapping(state=blob(b"\x80\x04" + PICKLE))})
    assert "pickle-unsafe-call" in {finding.rule for finding in found.findings}


def test_numbers_that_look_like_a_pickle_are_numbers() -> None:
    assert document(mapping(a=array((8,), "uint8", b"\x80\x04K\x01.\0\0\0"))).parts == ()


@pytest.mark.parametrize("extension", [0, 4, 100, -2])
def test_other_extensions_are_unknown(extension: int) -> None:
    found = scan({"x.msgpack": mapping(a=ext(extension, b"x"))})
    assert found.files[0].outcome is Outcome.UNKNOWN


def test_bytes_behind_the_end_and_doubled_keys_are_unknown() -> None:
    assert scan({"x.msgpack": REAL + b"more"}).files[0].outcome is Outcome.UNKNOWN
    assert scan({"x.msgpack": b"\x82\xa1a\x01\xa1a\x02"}).files[0].outcome is Outcome.UNKNOWN


def test_other_bytes_are_not_taken_for_it() -> None:
    for data in (b"\x82\xa3abc", b"\x81\xa1a\xc1", b"\x81\xa1a\x01 and more"):
        with pytest.raises(InputError) as refused:
            document(data, "weights.bin")
        assert refused.value.code == "not-this-format"


def test_every_cut_is_noticed() -> None:
    for length in range(1, len(REAL)):
        found = document(REAL[:length])
        assert found.gaps
        assert found.tensors is None


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(REAL) - 1), st.integers(0, 255)), min_size=1, max_size=5))
def test_changed_bytes_never_break_the_reader(changes: list[tuple[int, int]]) -> None:
    broken = bytearray(REAL)
    for at, value in changes:
        broken[at] = value
    with contextlib.suppress(InputError, LimitError):
        document(bytes(broken))


TABLE = blob(bytes(80_000))
"""Large enough for the whole document to be decoded at once."""
HIDDEN: dict[str, bytes] = {
    "plain": mapping(a=b"\x93\x01\xa1b\xc0", b=b"\x81\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x91\xa1c"),
    "pickle": mapping(state=blob(b"\x80\x04" + PICKLE)),
    "pickle deep inside": b"\x91" * 8 + blob(b"\x80\x04" + PICKLE),
    "array of objects": mapping(nd=b"\xc3", kind=text("O"), data=blob(PICKLE)),
    "key twice": b"\x82\xa1a\x01\xa1a\x02",
    "key of bytes": b"\x81\xc4\x01a\x01",
    "extension": mapping(a=ext(100, b"x")),
    "array of Flax": array((4,), "uint8", b"abcd"),
    "chunked": mapping(__msgpack_chunked_array__=b"\xc3"),
    "nested deeper than 50": b"\x91" * 60 + b"\x01",
    "number written longer than it has to be": b"\xcd\x00\x01",
}


@pytest.mark.parametrize("value", HIDDEN.values(), ids=HIDDEN.keys())
def test_a_table_decoded_at_once_tells_what_a_close_look_tells(
    value: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"\x92" + TABLE + value
    at_once = document(data)
    monkeypatch.setattr("weighbridge.formats.msgpack.MAX_TABLE", 0)
    closely = document(data)
    assert (at_once.format, at_once.anomalies, at_once.gaps) == (
        closely.format,
        closely.anomalies,
        closely.gaps,
    )
    assert [(part.name, part.kind) for part in at_once.parts] == [
        (part.name, part.kind) for part in closely.parts
    ]
    assert at_once.tensors == closely.tensors


def test_a_table_that_would_swell_in_memory_is_looked_at_closely() -> None:
    assert msgpack._memory(b"\x80" * 2_000_000) > msgpack.MAX_TABLE_MEMORY
    assert not msgpack._is_table(b"\xdd" + struct.pack(">I", 2_000_000) + b"\x80" * 2_000_000, Budget())
