"""Core ML models and the weights files of their packages."""

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scan.samples import SAMPLES, scan
from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.evidence import Outcome
from weighbridge.core.source import MemorySource
from weighbridge.formats import candidates, coreml
from weighbridge.formats.coreml import weights as coremlweights

PACKAGE = SAMPLES / "coreml-path-escape" / "benign" / "Data" / "com.apple.CoreML"
PROGRAM = (PACKAGE / "model.mlmodel").read_bytes()
WEIGHTS = (PACKAGE / "weights" / "weight.bin").read_bytes()
NETWORK = (SAMPLES / "coreml-custom-class" / "benign.mlmodel").read_bytes()


def model(data: bytes, name: str = "x.mlmodel") -> coreml.CoremlReading:
    return coreml.read(MemorySource(data), Budget(), name)


def field(number: int, content: bytes | int) -> bytes:
    def varint(value: int) -> bytes:
        out = bytearray()
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        return bytes([*out, value])

    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def made(kind: int, content: bytes) -> bytes:
    return field(1, 4) + field(2, b"") + field(kind, content)


CUSTOM = made(555, field(10, b"Sample"))
LAYER = field(1, field(1, b"run") + field(500, field(10, b"Sample")))


def test_real_models_hold_nothing_unknown() -> None:
    for data in (PROGRAM, NETWORK):
        found = model(data)
        assert (found.anomalies, found.gaps) == ((), ())
    assert sorted((blob.file, blob.offset) for blob in model(PROGRAM).blobs) == [
        ("@model_path/weights/weight.bin", 64),
        ("@model_path/weights/weight.bin", 640),
    ]
    assert model(PROGRAM).externals == ("weights/weight.bin",)


@pytest.mark.parametrize(
    "data",
    [
        CUSTOM,
        made(500, LAYER),
        made(403, LAYER),
        made(202, field(1, CUSTOM)),
        made(200, field(1, field(1, CUSTOM))),
        made(202, field(1, made(202, field(1, made(303, LAYER))))),
        made(500, field(1, field(605, field(1, LAYER)))),
        made(500, field(1, field(615, field(4, LAYER)))),
    ],
)
def test_custom_classes_are_found_however_deep(data: bytes) -> None:
    assert [a.code for a in model(data).anomalies] == ["coreml-custom"]
    assert scan({"x.mlmodel": data}).files[0].outcome is Outcome.FAIL
    assert scan({"weights.bin": data}).files[0].outcome is Outcome.FAIL


def test_pipelines_without_end_are_refused() -> None:
    data = made(900, b"")
    for _ in range(100):
        data = made(202, field(1, data))
    with pytest.raises(InputError):
        model(data)


def test_operations_that_nobody_knows_are_gaps() -> None:
    changed = PROGRAM.replace(b"\x0a\x06linear", b"\x0a\x06linezr")
    assert changed != PROGRAM
    assert [gap.message for gap in model(changed).gaps] == ['the operation "linezr" is not known']


def test_two_types_at_once_are_ambiguous() -> None:
    found = model(made(900, b"") + field(555, field(10, b"Sample")))
    assert [a.code for a in found.anomalies] == ["coreml-ambiguous", "coreml-custom"]


@pytest.mark.parametrize(
    "path", [b"/etc/hostname", b"@model_path/../../x", b"weights.bin", b"@model_path/..\\x"]
)
def test_weights_elsewhere_are_named(path: bytes) -> None:
    value = field(5, field(1, path) + field(2, 64))
    operation = field(3, field(1, b"const") + field(5, field(1, b"val") + field(2, value)))
    program = field(2, field(1, b"main") + field(2, field(3, field(1, b"ios15") + field(2, operation))))
    assert [a.code for a in model(made(502, program)).anomalies] == ["coreml-path"]


def test_onnx_models_are_not_taken_for_core_ml() -> None:
    data = field(1, 7) + field(2, b"pytorch") + field(7, b"")
    assert "coreml" in candidates(MemorySource(data), "x.onnx")
    with pytest.raises(InputError) as refused:
        model(data, "x.onnx")
    assert refused.value.code == "not-this-format"


def test_blobs_must_lie_in_their_file() -> None:
    whole = coremlweights.read(MemorySource(WEIGHTS), Budget(), "weight.bin")
    assert (whole.anomalies, whole.gaps) == ((), ())
    for changed in (
        WEIGHTS[:200],
        WEIGHTS[:64] + struct.pack("<IIQQ", 0xDEADBEEF, 2, 2**40, 128) + WEIGHTS[88:],
        WEIGHTS[:64] + struct.pack("<IIQQ", 0xDEADBEEF, 2, 512, 2**63) + WEIGHTS[88:],
        struct.pack("<I", 9) + WEIGHTS[4:],
    ):
        found = coremlweights.read(MemorySource(changed), Budget(), "weight.bin")
        assert [a.code for a in found.anomalies] == ["coreml-blob"]


def test_bytes_behind_the_last_blob_are_a_gap() -> None:
    found = coremlweights.read(MemorySource(WEIGHTS + b"hidden"), Budget(), "weight.bin")
    assert [gap.code for gap in found.gaps] == ["trailing-bytes"]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([PROGRAM, NETWORK, WEIGHTS]),
    st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 255)), min_size=1, max_size=5),
)
def test_changed_bytes_never_break_the_readers(data: bytes, changes: list[tuple[int, int]]) -> None:
    broken = bytearray(data)
    for at, value in changes:
        broken[at % len(broken)] = value
    for reader in (coreml, coremlweights):
        with contextlib.suppress(InputError, LimitError):
            reader.read(MemorySource(bytes(broken)), Budget(), "x.mlmodel")


def test_the_package_passes() -> None:
    root = Path(SAMPLES / "coreml-path-escape" / "benign")
    files = {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    assert {file.outcome for file in scan(files).files} == {Outcome.PASS}
