"""`.npy` headers and dtypes, against what numpy itself wrote, and against what it never would."""

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats import pickles as p
from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import MemorySource
from weighbridge.formats.numpy.dtypes import DType, dtype_of_descr, dtype_of_typestr
from weighbridge.formats.numpy.npy import NpyReading, read
from weighbridge.formats.numpy.pickled import dtype_of_value
from weighbridge.formats.pickle import Call, run

SAMPLES = Path(__file__).parent / "data" / "pickle"


def npy(header: str, data: bytes = b"", version: int = 1) -> bytes:
    head = header.encode("latin-1" if version < 3 else "utf-8")
    size = struct.pack("<H" if version == 1 else "<I", len(head))
    return b"\x93NUMPY" + bytes([version, 0]) + size + head + data


def reading(data: bytes) -> NpyReading:
    found = read(MemorySource(data), Budget(), "x.npy")
    assert isinstance(found, NpyReading)
    return found


def attack(data: bytes) -> str:
    """The one fact that is known of a header that cannot be read."""
    (fact,) = read(MemorySource(data), Budget(), "x.npy").anomalies
    return fact.code


def code(data: bytes) -> str:
    with pytest.raises(InputError) as caught:
        reading(data)
    return caught.value.code


PLAIN = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"


def test_a_plain_array_is_one_tensor() -> None:
    found = reading(npy(PLAIN, bytes(24)))
    assert found.tensors is not None
    (tensor,) = found.tensors
    assert (tensor.dtype, tensor.shape, tensor.itemsize, tensor.swap, tensor.strides) == (
        "F32",
        (2, 3),
        4,
        False,
        None,
    )
    assert tensor.spans == ((10 + len(PLAIN), 24),)
    assert found.gaps == ()


@pytest.mark.parametrize(
    ("name", "dtype", "shape", "strides", "swap"),
    [
        ("rows.npy", "F64", (2, 3), None, False),
        ("columns.npy", "F64", (2, 3), (1, 2), False),
        ("big.npy", "I32", (3,), None, True),
        ("records.npy", "V12", (1,), None, False),
    ],
)
def test_what_numpy_wrote(
    name: str, dtype: str, shape: tuple[int, ...], strides: tuple[int, ...] | None, swap: bool
) -> None:
    found = reading((SAMPLES / name).read_bytes())
    assert found.tensors is not None
    (tensor,) = found.tensors
    assert (tensor.dtype, tensor.shape, tensor.strides, tensor.swap) == (dtype, shape, strides, swap)


def test_an_array_of_objects_is_a_pickle() -> None:
    found = reading((SAMPLES / "objects.npy").read_bytes())
    assert found.objects
    (part,) = found.parts
    assert part.kind == "pickle"
    assert run(part.source, Budget()).broken is None
    assert found.tensors is None
    assert found.tensors_unlisted == "an array of Python objects"


@pytest.mark.parametrize(
    ("header", "objects"),
    [
        ("{'descr': [('a', '<i4'), ('b', '|O')], 'fortran_order': False, 'shape': (1,)}", True),
        (
            "{'descr': [('a', [('b', '<f8', (2, 2)), ('c', '|S3')])], 'fortran_order': False, 'shape': ()}",
            False,
        ),
        ("{'descr': ('|O', (2,)), 'fortran_order': True, 'shape': (0,)}", True),
        ("{'shape': (3L,), 'descr': '|b1', 'fortran_order': False}", False),
    ],
)
def test_objects_are_found_in_fields(header: str, objects: bool) -> None:
    assert reading(npy(header, bytes(100))).objects is objects


def test_lengths_that_lie_are_gaps() -> None:
    assert [gap.code for gap in reading(npy(PLAIN, bytes(23))).gaps] == ["truncated"]
    assert [gap.code for gap in reading(npy(PLAIN, bytes(25))).gaps] == ["trailing-bytes"]
    huge = "{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775807, 9223372036854775807), }"
    assert attack(npy(huge, bytes(8))) == "npy-shape-overflow"


def test_a_key_twice_is_an_anomaly() -> None:
    twice = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'descr': '|O'}"
    assert [a.code for a in reading(npy(twice, b"N.")).anomalies] == ["npy-duplicate-key"]


@pytest.mark.parametrize(
    "header",
    [
        "", "{}", "[]", "1", "{'descr': '<f4'}", "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}", "{'descr': '<f4', 'fortran_order': False, 'shape': [1]}",
        "{'descr': 'x9', 'fortran_order': False, 'shape': (1,)}", "{'descr': 7, 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} or 1", "{'descr': '<f4' 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}", "{'descr': '<f4', 'fortran_order': False, 'shape': (1e9,)}",
        "{'descr': [('a',)], 'fortran_order': False, 'shape': (1,)}", "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 30 + ",)}",
    ],
)  # fmt: skip
def test_headers_that_are_none(header: str) -> None:
    assert code(npy(header, bytes(100))) == "bad-npy"


def test_other_bytes_are_not_this_format() -> None:
    assert code(b"") == "not-this-format"
    assert code(b"\x93NUMP") == "not-this-format"
    assert code(b"\x80\x04N.") == "not-this-format"
    assert code(b"\x93NUMPY\x09\x00\x00\x00abc") == "bad-npy"
    assert code(b"\x93NUMPY\x01\x00\xff\xffabc") == "bad-npy"


@pytest.mark.parametrize(
    ("data", "fact"),
    [
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}"), "npy-shape-negative"),
        (npy("{'descr': __import__('os'), 'fortran_order': False, 'shape': (1,)}"), "npy-header-code"),
        (npy("(" * 500), "npy-header-nested"),
        (npy("{'descr': " + "[('a', " * 400), "npy-header-nested"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xffabc", "npy-header-length"),
    ],
)
def test_headers_that_attack_readers_are_facts(data: bytes, fact: str) -> None:
    assert attack(data) == fact


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="{}[]()':,desrfotan_h<f4O|TrueFalse0123456789\\\" ", max_size=80))
def test_any_header_is_survived(header: str) -> None:
    with suppress(InputError):
        read(MemorySource(npy(header, bytes(8))), Budget(), "x.npy")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<f8", DType(kind="f", itemsize=8)), (">f8", DType(kind="f", itemsize=8, big=True)), ("|b1", DType(kind="b", itemsize=1)), ("?", DType(kind="?", itemsize=1)),
        ("U5", DType(kind="U", itemsize=20)), ("|S3", DType(kind="S", itemsize=3)), ("|O", DType(kind="O", itemsize=8, objects=True)), ("O8", DType(kind="O", itemsize=8, objects=True)),
        ("<M8[ns]", DType(kind="M", itemsize=8, detail="[ns]")), ("V16", DType(kind="V", itemsize=16)), ("f", None), ("f8,i4", None), ("", None), ("<x4", None), ("f8\n", None),
    ],
)  # fmt: skip
def test_type_strings(text: str, expected: DType | None) -> None:
    assert dtype_of_typestr(text) == expected


def test_canonical_names() -> None:
    names = {
        "<f4": "F32",
        "<f2": "F16",
        "|b1": "BOOL",
        "<u8": "U64",
        "|i1": "I8",
        "<c16": "C128",
        "<U5": "U20",
        "|V3": "V3",
        "<M8[s]": "M8[s]",
    }
    assert {text: dtype_of_descr(text).name for text in names} == names


# ---- pickled dtypes


def pickled(base: str, *state: bytes) -> Call:
    made = p.call(p.name("numpy", "dtype"), p.text(base), b"\x89", b"\x88")
    built = made + (p.pack(*state) + b"b" if state else b"")
    found = run(b"\x80\x02" + built + b".", Budget()).value
    assert isinstance(found, Call)
    return found


SIMPLE = (b"K\x03", p.text("<"), b"N", b"N", b"N", b"J\xff\xff\xff\xff", b"J\xff\xff\xff\xff", b"K\x00")


def field(base: str, offset: int) -> bytes:
    return p.call(p.name("numpy", "dtype"), p.text(base), b"\x89", b"\x88") + p.integer(offset) + b"\x86"


def record(size: int, flags: int, *fields: tuple[str, bytes]) -> Call:
    names = p.pack(*(p.text(name) for name, _ in fields))
    table = p.dictionary(*(item for name, entry in fields for item in (p.text(name), entry)))
    return pickled(
        f"V{size}", b"K\x03", p.text("|"), b"N", names, table, p.integer(size), b"K\x01", p.integer(flags)
    )


def test_pickled_dtypes() -> None:
    assert dtype_of_value(pickled("f8", *SIMPLE)) == DType(kind="f", itemsize=8)
    assert dtype_of_value(pickled("f8")) == DType(kind="f", itemsize=8)
    big = (b"K\x03", p.text(">"), *SIMPLE[2:])
    assert dtype_of_value(pickled("i4", *big)) == DType(kind="i", itemsize=4, big=True)
    assert dtype_of_value(record(12, 16, ("a", field("i4", 0)), ("b", field("f8", 4)))) == DType(
        kind="V", itemsize=12
    )
    assert dtype_of_value(record(12, 63, ("a", field("i4", 0)), ("b", field("O8", 4)))) == DType(
        kind="V", itemsize=12, objects=True
    )


def test_contradictions_prove_nothing() -> None:
    assert (
        dtype_of_value(record(12, 16, ("a", field("i4", 0)), ("b", field("O8", 4)))) is None
    )  # objects hidden from the flags
    assert (
        dtype_of_value(record(12, 63, ("a", field("i4", 0)), ("b", field("f8", 4)))) is None
    )  # no object, but the flag
    assert (
        dtype_of_value(record(8, 16, ("a", field("i4", 0)), ("b", field("f8", 4)))) is None
    )  # a field behind the item
    assert dtype_of_value(record(8, 16, ("a", field("f8", -4)))) is None
    assert dtype_of_value(pickled("S4", *SIMPLE[:5], p.integer(400), *SIMPLE[6:])) is None  # two sizes
    assert dtype_of_value(pickled("V8")) is None
    assert dtype_of_value(pickled("f8", b"N")) is None
    assert dtype_of_value(None) is None


def test_state_that_comes_after_its_use_proves_nothing() -> None:
    dtype = pickled("f8", *SIMPLE)
    index = dtype.changes[0].index
    assert dtype_of_value(dtype, before=index) is not None
    assert dtype_of_value(dtype, before=index - 1) is None
