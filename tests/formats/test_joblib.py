"""joblib's streams: raw arrays between the opcodes, in every layout that its own writer makes, and in hostile ones."""

from pathlib import Path

import pytest

from tests.formats import pickles as p
from weighbridge.core.budget import Budget
from weighbridge.core.source import MemorySource
from weighbridge.formats.pickle import PickleReading, read

SAMPLES = Path(__file__).parent / "data" / "pickle"
FLOATS = (
    p.call(p.name("numpy", "dtype"), p.text("f8"), b"\x89", b"\x88")
    + b"(K\x03"
    + p.text("<")
    + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
)
OBJECTS = (
    p.call(p.name("numpy", "dtype"), p.text("O8"), b"\x89", b"\x88")
    + b"(K\x03"
    + p.text("|")
    + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x3ftb"
)


def reading(data: bytes) -> PickleReading:
    found = read(MemorySource(data), Budget(), "model.joblib")
    assert isinstance(found, PickleReading)
    return found


def wrapper(dtype: bytes, shape: bytes, *more: bytes) -> bytes:
    state = p.dictionary(
        p.text("subclass"), p.name("numpy", "ndarray"), p.text("shape"), shape, p.text("order"), p.text("C"), p.text("dtype"), dtype, *more
    )  # fmt: skip
    return p.new(p.name("joblib.numpy_pickle", "NumpyArrayWrapper")) + state + b"b"


ALIGNED = (p.text("numpy_array_alignment_bytes"), b"K\x10")


@pytest.mark.parametrize(
    "name",
    [
        "logistic.joblib",
        "forest.joblib",
        "boosting.joblib",
        "neighbours.joblib",
        "text.joblib",
        "lightgbm.joblib",
    ],
)
def test_what_joblib_wrote_is_read_whole(name: str) -> None:
    data = (SAMPLES / name).read_bytes()
    found = reading(data)
    assert found.format == "joblib"
    assert found.gaps == ()
    assert found.anomalies == ()
    assert found.programs[-1].end == len(data)
    assert len(found.programs) == 1


def test_arrays_are_tensors_named_by_their_attributes() -> None:
    data = (SAMPLES / "logistic.joblib").read_bytes()
    found = reading(data)
    assert found.tensors is not None
    assert [(t.name, t.dtype, t.shape) for t in found.tensors] == [
        ("classes_", "I64", (2,)),
        ("n_iter_", "I32", (1,)),
        ("coef_", "F64", (1, 6)),
        ("intercept_", "F64", (1,)),
    ]
    offset, size = found.tensors[0].spans[0]
    assert data[offset : offset + size] == b"\0" * 8 + b"\1" + b"\0" * 7


def test_names_in_deep_structures_are_unique() -> None:
    found = reading((SAMPLES / "forest.joblib").read_bytes())
    assert found.tensors is not None
    names = [tensor.name for tensor in found.tensors]
    assert len(set(names)) == len(names)
    assert "estimators_.0.tree_.nodes" in names


def test_arrays_of_objects_are_pickles_of_their_own() -> None:
    found = reading((SAMPLES / "bins.joblib").read_bytes())
    (program,) = found.programs
    assert len(program.nested) == 1
    assert found.gaps == ()


def test_order_and_byte_order_are_kept() -> None:
    found = reading((SAMPLES / "arrays.joblib").read_bytes())
    assert found.tensors is not None
    tensors = {tensor.name: tensor for tensor in found.tensors}
    assert tensors["columns"].strides == (1, 2)
    assert tensors["rows"].strides is None
    assert tensors["big"].swap


def test_the_padding_byte_and_its_absence() -> None:
    old = b"\x80\x03" + wrapper(FLOATS, b"K\x02\x85") + bytes(16) + b"."
    new = b"\x80\x03" + wrapper(FLOATS, b"K\x02\x85", *ALIGNED) + b"\x05" + b"\xff" * 5 + bytes(16) + b"."
    for data in (old, new):
        found = reading(data)
        assert found.gaps == ()
        assert found.programs[0].arrays[0].size == 16
        assert found.programs[0].end == len(data)


def test_a_wrapper_from_memory_is_read_again() -> None:
    twice = wrapper(FLOATS, b"K\x02\x85") + bytes(16) + b"2Nb" + bytes(16) + b"."
    found = reading(b"\x80\x03" + twice)
    assert [gap.code for gap in found.gaps] == ["broken"]  # a state that is no dict is not followed
    again = wrapper(FLOATS, b"K\x02\x85") + bytes(16) + b"}b" + bytes(16) + b"."
    found = reading(b"\x80\x03" + again)
    assert found.gaps == ()
    assert len(found.programs[0].arrays) == 2


@pytest.mark.parametrize(
    "made",
    [
        wrapper(b"N", b"K\x02\x85"),
        wrapper(FLOATS, b"N"),
        wrapper(FLOATS, b"J\xff\xff\xff\xff\x85"),
        wrapper(FLOATS, p.name("m", "shape")),
        wrapper(p.call(p.name("numpy", "dtype"), p.name("m", "x")), b"K\x02\x85"),
        wrapper(FLOATS, b"K\x02\x85") + bytes(3),
        wrapper(FLOATS, b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x87"),
        wrapper(OBJECTS, b"K\x02\x85") + b"\xff",
    ],
)
def test_lengths_that_are_not_known_are_never_guessed(made: bytes) -> None:
    found = reading(b"\x80\x03" + made + bytes(40) + b".")
    assert found.programs[0].broken is not None
    assert found.gaps


def test_raw_bytes_lie_behind_the_frame_as_pickle_py_reads_them() -> None:
    """BUILD in the middle of a frame: the array is taken from behind the frame, then the frame goes on."""
    body = wrapper(FLOATS, b"K\x02\x85") + p.name("m", "after") + b"\x86."
    data = b"\x80\x04" + p.frame(body) + bytes(16)
    found = reading(data)
    (program,) = found.programs
    assert [a.code for a in program.anomalies] == ["raw-inside-frame", "frame-past-stop"][
        : len(program.anomalies)
    ]
    assert "m.after" in [g.name for g in program.globals]
    assert program.arrays[0].offset == len(data) - 16


def test_plain_pickle_load_sees_the_bytes_as_opcodes() -> None:
    hidden = (b"N0" + b"0" + p.system() + b".").ljust(321, b".")
    data = b"\x80\x03" + wrapper(FLOATS, b"K\x28\x85", *ALIGNED) + hidden + b"." * hidden[0] + b"."
    found = reading(data)
    assert found.programs[0].broken is None
    (plain,) = found.others
    assert plain.view == "plain pickle.load"
    assert "posix.system" in [g.name for g in plain.globals]
    assert "posix.system" not in [g.name for g in found.programs[0].globals]
