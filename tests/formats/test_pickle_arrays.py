"""Arrays of plain pickles are listed as those of joblib are, with the same bytes in every protocol."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from tests.formats import pickles as p
from weighbridge.core.budget import Budget
from weighbridge.core.source import MemorySource, Source
from weighbridge.formats import Reading, read
from weighbridge.formats.pickle import executed
from weighbridge.measure.tensors import content

SAMPLES = Path(__file__).parent / "data" / "pickle"
Row = tuple[str, tuple[int, ...], str]


def rows(name: str) -> dict[str, Row]:
    source = MemorySource((SAMPLES / name).read_bytes())
    found = read("pickle", source, Budget(), name)
    assert found.tensors is not None, found.tensors_unlisted
    return {
        t.name: (t.dtype, t.shape, hashlib.sha256(b"".join(content(t, t.source or source))).hexdigest())
        for t in found.tensors
    }


def test_protocols_list_the_same_arrays() -> None:
    expected = rows("arrays.p2.pkl")
    assert rows("arrays.p0.pkl") == rows("arrays.p5.pkl") == expected
    assert expected["rows"][:2] == ("F64", (2, 3))
    assert expected["columns"] == expected["rows"]


def test_a_model_has_the_arrays_that_its_joblib_file_has() -> None:
    plain, joblib = rows("logistic.p4.pkl"), rows("logistic.joblib")
    assert plain == joblib
    assert {"coef_", "intercept_", "classes_"} <= plain.keys()


def reading(data: bytes) -> Reading:
    return read("pickle", MemorySource(data), Budget(), "m.pkl")


FLOATS = (
    p.call(p.name("numpy", "dtype"), p.text("f8"), b"\x89", b"\x88")
    + b"(K\x03"
    + p.text("<")
    + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
)


def array(shape: int, data: bytes) -> bytes:
    made = p.call(
        p.name("numpy.core.multiarray", "_reconstruct"),
        p.name("numpy", "ndarray"),
        p.pack(b"K\x00"),
        p.data(b"b"),
    )
    return made + p.pack(b"K\x01", p.pack(p.integer(shape)), FLOATS, b"\x89", p.data(data)) + b"b"


def test_an_array_whose_bytes_do_not_fit_is_not_listed() -> None:
    assert [t.shape for t in reading(p.proto() + array(2, bytes(16)) + b".").tensors or ()] == [(2,)]
    found = reading(p.proto() + array(3, bytes(16)) + b".")
    assert (found.tensors, found.tensors_unlisted) == (
        None,
        'the array "array" has 16 bytes for a shape of 3',
    )


def test_arrays_that_the_load_does_not_give_are_not_listed() -> None:
    assert reading(p.proto() + array(2, bytes(16)) + b"0N.").tensors == ()


def test_several_pickles_list_nothing() -> None:
    found = reading((p.proto() + array(2, bytes(16)) + b".") * 2)
    assert found.tensors is None
    assert found.tensors_unlisted


def test_the_pickle_of_a_torch_file_is_executed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from weighbridge.core.artifact import Member
    from weighbridge.formats import pickle as package
    from weighbridge.scan.engine import Scanner

    data = (SAMPLES.parent / "torch-zip.pt").read_bytes()
    with zipfile.ZipFile(SAMPLES.parent / "torch-zip.pt") as file:
        size = len(file.read("torch-zip/data.pkl"))
    count = 0
    real = executed.run

    def counting(source: Source, *args: object, **named: object) -> object:
        nonlocal count
        count += source.size == size
        return real(source, *args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(executed, "run", counting)
    monkeypatch.setattr(package, "run", counting)
    Scanner().examine(Member("m.pt", len(data)), MemorySource(data))
    assert count == 1
