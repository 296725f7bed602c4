"""The ONNX reader and the protobuf walk against files of the real library and against every way to break one."""

import hashlib
import json
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tensorfiles import attribute, external, message, model, node, number, tensor, varint
from weighbridge.core.budget import Budget, Limits
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.source import MemorySource
from weighbridge.formats.onnx import read
from weighbridge.formats.onnx.location import location_problem
from weighbridge.formats.onnx.reading import OnnxReading
from weighbridge.formats.onnx.schema import DATA_TYPES
from weighbridge.formats.protobuf import Field, Wire, signed

TENSORS = Path(__file__).parent / "tensors"
FLOAT, INT64, STRING = 1, 7, 8
INITIALIZER = 5
ATTRIBUTE_TENSOR = 5


def reading(data: bytes, name: str = "model.onnx") -> OnnxReading:
    result = read(MemorySource(data), Budget(), name)
    assert isinstance(result, OnnxReading)
    return result


def codes(data: bytes) -> list[str]:
    return [anomaly.code for anomaly in reading(data).anomalies]


def contents(data: bytes) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    result = reading(data)
    assert result.tensors is not None, result.tensors_unlisted
    found = {}
    for ref in result.tensors:
        source = ref.source or MemorySource(data)
        found[ref.name] = (ref.dtype, ref.shape, b"".join(source.read(*span) for span in ref.spans))
    return found


# -- protobuf


def wire(data: bytes) -> list[Field]:
    return list(Wire(MemorySource(data), Budget()).fields(0, len(data)))


def test_fields_of_all_wire_types() -> None:
    data = (
        number(1, 300)
        + message(2, "abc")
        + varint(3 << 3 | 5)
        + b"\1\0\0\0"
        + varint(4 << 3 | 1)
        + b"\2"
        + bytes(7)
    )
    assert wire(data) == [
        Field(1, 0, 300, 1, 3),
        Field(2, 2, 0, 5, 8),
        Field(3, 5, 1, 9, 13),
        Field(4, 1, 2, 14, 22),
    ]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x08", "bad-protobuf"),
        (b"\x08\x80", "bad-protobuf"),
        (b"\x08" + b"\xff" * 11, "bad-protobuf"),
        (b"\x12\x05abcd", "bad-protobuf"),
        (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "bad-protobuf"),
        (b"\x0d\1\2\3", "bad-protobuf"),
        (b"\x00\x01", "bad-protobuf"),
        (b"\x0e\x01", "bad-protobuf"),
        (b"\x0c", "bad-protobuf"),
        (b"\x0b\x14", "bad-protobuf"),
        (b"\x0b\x08\x01", "bad-protobuf"),
        (b"\x0b" * 101 + b"\x0c" * 101, "bad-protobuf"),
        (varint(2**32 << 3) + b"\0", "bad-protobuf"),
    ],
)
def test_what_is_no_protobuf(data: bytes, code: str) -> None:
    with pytest.raises(InputError) as caught:
        wire(data)
    assert caught.value.code == code


@given(
    st.lists(
        st.tuples(st.integers(1, 2**29 - 1), st.one_of(st.integers(0, 2**64 - 1), st.binary(max_size=300))),
        max_size=30,
    )
)
@settings(max_examples=80, deadline=None)
def test_fields_round_trip(fields: list[tuple[int, int | bytes]]) -> None:
    """What was written is what is walked, across chunk ends too."""
    front = message(1, bytes(16_000))
    data = front + b"".join(number(f, v) if isinstance(v, int) else message(f, v) for f, v in fields)
    found = [(f.number, f.value if f.wire == 0 else data[f.start : f.end]) for f in wire(data)[1:]]
    assert found == fields


def test_groups_are_stepped_over() -> None:
    inner = number(1, 5) + message(2, "abc") + b"\x1b" + number(9, 1) + b"\x1c"
    assert wire(b"\x0b" + inner + b"\x0c" + number(2, 7)) == [
        Field(1, 3, 0, 1, 2 + len(inner)),
        Field(2, 0, 7, 3 + len(inner), 4 + len(inner)),
    ]


def test_signed() -> None:
    assert [signed(v) for v in (0, 2**63 - 1, 2**63, 2**64 - 1)] == [0, 2**63 - 1, -(2**63), -1]


class Sparse:
    """A source that counts what is read of it."""

    def __init__(self, data: bytes, hole: int) -> None:
        self._data, self._hole = data, hole
        self.size = len(data) + hole
        self.read_bytes = 0

    def read(self, offset: int, length: int) -> bytes:
        end = min(self.size, offset + length)
        self.read_bytes += end - offset
        return self._data[offset:end] + bytes(max(0, end - max(offset, len(self._data))))


def test_weights_are_stepped_over() -> None:
    size = 4 * 10**9
    raw = varint(9 << 3 | 2) + varint(size)
    inner = number(1, 10**9) + number(2, FLOAT) + message(8, "w") + raw
    tensor_field = varint(5 << 3 | 2) + varint(len(inner) + size) + inner
    head = number(1, 10) + message(8, number(2, 21)) + varint(7 << 3 | 2) + varint(len(tensor_field) + size)
    source = Sparse(head + tensor_field, size)
    result = read(source, Budget(), "model.onnx")
    assert [(ref.name, ref.spans[0][1]) for ref in result.tensors or ()] == [("w", size)]
    assert source.read_bytes < 100_000


# -- the real library


def test_file_of_the_real_library_reads_as_the_library_reads_it() -> None:
    data = (TENSORS / "model.onnx").read_bytes()
    expected = json.loads((TENSORS / "expected.json").read_bytes())["model.onnx"]
    assert (reading(data).anomalies, reading(data).gaps) == ((), ())
    found = {
        name: [list(shape), hashlib.sha256(raw).hexdigest()]
        for name, (_, shape, raw) in contents(data).items()
    }
    inner = {
        "choice/then_branch/inner": [[1], hashlib.sha256(struct.pack("<f", 1)).hexdigest()],
        "choice/else_branch/inner": [[1], hashlib.sha256(struct.pack("<f", 1)).hexdigest()],
        "k/value": [[1], hashlib.sha256(struct.pack("<f", 3)).hexdigest()],
        "sparse": [[2], hashlib.sha256(struct.pack("<2f", 5, 6)).hexdigest()],
        "sparse/indices": [[2], hashlib.sha256(struct.pack("<2q", 1, 3)).hexdigest()],
    }
    assert found == expected | inner


def test_what_the_real_library_calls() -> None:
    result = reading((TENSORS / "model.onnx").read_bytes())
    assert (result.ir_version, result.opsets) == (10, (("", 21), ("local.functions", 1)))
    assert [(o.domain, o.name, o.count, o.local) for o in result.operators] == [
        ("", "Add", 3, False),
        ("", "Constant", 1, False),
        ("", "Greater", 1, False),
        ("", "If", 1, False),
        ("local.functions", "Twice", 1, True),
    ]


def test_external_data_of_the_real_library() -> None:
    result = reading((TENSORS / "external.onnx").read_bytes())
    assert result.anomalies == ()
    assert result.externals == ("external.data",)
    (ref,) = result.tensors or ()
    assert (ref.name, ref.dtype, ref.shape, ref.external) == ("weights", "F32", (3, 4), "external.data")
    ((offset, length),) = ref.spans
    data = (TENSORS / "external.data").read_bytes()[offset : offset + length]
    expected = json.loads((TENSORS / "expected.json").read_bytes())["external.onnx"]
    assert [[3, 4], hashlib.sha256(data).hexdigest()] == expected["weights"]


# -- tensors


def test_data_in_pieces() -> None:
    packed = message(4, struct.pack("<2f", 1, 2)) + message(4, struct.pack("<f", 3))
    loose = b"".join(varint(4 << 3 | 5) + struct.pack("<f", v) for v in (1, 2, 3))
    ints = message(7, varint(1), varint(-2)) + number(7, 3)
    data = model(
        tensor(INITIALIZER, "packed", [3], FLOAT, packed),
        tensor(INITIALIZER, "loose", [3], FLOAT, loose),
        tensor(INITIALIZER, "ints", [3], INT64, ints),
        message(5, message(1, varint(1), varint(3)), number(2, FLOAT), message(8, "dims"), packed),
    )
    floats = struct.pack("<3f", 1, 2, 3)
    assert contents(data) == {
        "packed": ("F32", (3,), floats),
        "loose": ("F32", (3,), floats),
        "ints": ("I64", (3,), struct.pack("<3q", 1, -2, 3)),
        "dims": ("F32", (1, 3), floats),
    }


@pytest.mark.parametrize(("kind", "bits"), [(k, t.bits) for k, t in DATA_TYPES.items()])
def test_every_type_has_its_size(kind: int, bits: int) -> None:
    right = message(9, bytes(bits))
    assert codes(model(tensor(INITIALIZER, "w", [8], kind, right))) == []
    assert codes(model(tensor(INITIALIZER, "w", [8], kind, message(9, bytes(bits - 1))))) == ["size-mismatch"]


@pytest.mark.parametrize(
    ("parts", "dims", "kind", "expected"),
    [
        ([message(9, bytes(8))], [1024], FLOAT, ["size-mismatch"]),
        ([message(7, varint(1))], [2], INT64, ["size-mismatch"]),
        ([message(7, *[varint(1)] * 5)], [2], INT64, ["size-mismatch"]),
        ([message(9, bytes(8))], [2**40, 2**40], FLOAT, ["shape-overflow"]),
        ([message(9, bytes(8))], [-2], FLOAT, ["shape-overflow"]),
        ([], [2], FLOAT, ["data-missing"]),
        ([], [0], FLOAT, []),
        ([message(9, bytes(8)), message(4, bytes(8))], [2], FLOAT, ["data-twice"]),
        ([message(9, bytes(8)), message(9, bytes(8))], [2], FLOAT, ["field-repeated"]),
        ([message(9, bytes(8))], [2], 99, ["dtype-unknown"]),
        ([message(9, bytes(8)), message(3, number(1, 0))], [2], FLOAT, ["segment"]),
        ([message(9, bytes(8)), message(17, "x")], [2], FLOAT, ["unknown-field"]),
        ([message(9, bytes(8)), number(8, 1)], [2], FLOAT, ["wire-type"]),
    ],
)
def test_tensors_that_contradict_themselves(
    parts: list[bytes], dims: list[int], kind: int, expected: list[str]
) -> None:
    assert codes(model(tensor(INITIALIZER, "w", dims, kind, *parts))) == expected


def test_strings_cannot_be_listed() -> None:
    result = reading(model(tensor(INITIALIZER, "w", [1], STRING, message(6, "text"))))
    assert (result.anomalies, result.tensors, result.tensors_unlisted) == ((), None, "a tensor of strings")


def test_two_tensors_of_one_name() -> None:
    one = tensor(INITIALIZER, "w", [1], FLOAT, message(9, bytes(4)))
    assert codes(model(one, one)) == ["duplicate-tensor"]
    constant = node(
        "Constant", attributes=attribute("value", tensor(5, "", [1], FLOAT, message(9, bytes(4))))
    )
    result = reading(model(constant, constant))
    assert (result.anomalies, [ref.name for ref in result.tensors or ()]) == ((), ["y/value", "y/value#2"])


def test_tensors_in_all_corners_are_found() -> None:
    raw = message(9, bytes(4))
    inner = message(6, tensor(INITIALIZER, "in graph", [1], FLOAT, raw))
    sparse = message(
        22, message(1, number(1, 1), number(2, FLOAT), raw), message(2, number(1, 1), number(2, FLOAT), raw)
    )
    attributes = (
        attribute("body", inner)
        + attribute("list", tensor(10, "x", [1], FLOAT, raw))
        + attribute("s", sparse)
    )
    body = attribute("v", tensor(ATTRIBUTE_TENSOR, "", [1], FLOAT, raw))
    function = message(
        25, message(1, "F"), message(10, "mine"), message(7, message(2, "o"), message(4, "Constant"), body)
    )
    training = message(20, message(2, tensor(INITIALIZER, "step", [1], FLOAT, raw)))
    result = reading(model(node("Loop", name="n", attributes=attributes), extra=function + training))
    assert result.anomalies == ()
    assert sorted(ref.name for ref in result.tensors or ()) == [
        "mine.F/o/v", "n/body/in graph", "n/list", "n/s", "n/s/indices", "training/step",
    ]  # fmt: skip


def test_program_in_a_tensor_becomes_a_part() -> None:
    elf = b"\x7fELF\x02\x01\x01" + bytes(121)
    result = reading(model(tensor(INITIALIZER, "w", [128], 3, message(9, elf))))
    assert [(part.name, part.kind) for part in result.parts] == [("tensor w", "executable")]
    blob = attribute("blob", message(4, elf))
    assert [part.name for part in reading(model(node("Relu", name="n", attributes=blob))).parts] == [
        "tensor n/bytes"
    ]


# -- graphs and functions


def nested(levels: int) -> bytes:
    graph = tensor(INITIALIZER, "deep", [1], FLOAT, message(9, bytes(4)))
    for _ in range(levels):
        graph = node("If", attributes=attribute("then_branch", message(6, graph)))
    return model(graph)


def test_nesting() -> None:
    assert codes(nested(30)) == []
    result = reading(nested(40))
    assert [a.code for a in result.anomalies] == ["nesting-too-deep"]
    assert [gap.code for gap in result.gaps] == ["nesting-too-deep"]


def test_types_that_do_not_end() -> None:
    inner = message(1, number(1, 1))
    for _ in range(200):
        inner = message(4, message(1, inner))
    assert "nesting-too-deep" in codes(model(message(11, message(1, "x"), message(2, inner))))


def function(name: str, *calls: str, domain: str = "mine") -> bytes:
    body = [message(7, message(4, call), message(7, domain)) for call in calls]
    return message(25, message(1, name), message(10, domain), *body)


def test_function_that_calls_itself() -> None:
    assert codes(model(extra=function("A", "A"))) == ["function-cycle"]
    assert (
        codes(model(extra=function("A", "B") + function("B", "C") + function("C", "A")))
        == ["function-cycle"] * 3
    )
    assert codes(model(extra=function("A", "B") + function("B", "Other"))) == []


def test_functions_that_double_at_every_level() -> None:
    chain = function("F0", *["Leaf"] * 10)
    chain += b"".join(function(f"F{i}", *[f"F{i - 1}"] * 10) for i in range(1, 8))
    result = reading(model(extra=chain))
    assert [(a.code, a.part) for a in result.anomalies] == [
        ("function-expansion", "F6"),
        ("function-expansion", "F7"),
    ]


def test_long_chain_of_functions_is_followed_without_recursion() -> None:
    chain = b"".join(function(f"F{i}", f"F{i - 1}") for i in range(1, 3000)) + function("F0", "Leaf")
    assert codes(model(extra=chain)) == []


def test_operators_of_functions_are_named_with_their_domain() -> None:
    data = model(
        node("Twice", domain="mine"), node("Relu", domain="ai.onnx"), extra=function("Twice", "Secret")
    )
    assert [(o.domain, o.name, o.local) for o in reading(data).operators] == [
        ("", "Relu", False),
        ("mine", "Secret", False),
        ("mine", "Twice", True),
    ]


# -- the model


def test_bytes_behind_the_model() -> None:
    result = reading(model() + b"\x00appended")
    assert [a.code for a in result.anomalies] == ["trailing-bytes"]
    assert [(gap.code, gap.offset) for gap in result.gaps] == [("trailing-bytes", len(model()))]


def test_fields_that_nobody_knows() -> None:
    assert codes(model(extra=message(1000, bytes(100)))) == ["unknown-field"]
    assert codes(model(extra=message(7, message(2, "second")))) == ["field-repeated"]
    assert codes(model(message(3, "x"))) == ["unknown-field"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x08\x07",
        b"\x08\x07" + bytes(50),
        b"\x08\x07garbage that is no protobuf",
        number(1, 8) + message(2, "producer"),
        message(7, message(2, "g")),
        number(1, 8) + message(7, "this is text and no graph"),
        number(1, 8) + message(7, message(99, "x")),
        number(1, 1) + message(2, message(1, message(4, "saved model"))),
        model(node("Relu"))[:20],
    ],
)
def test_other_protobuf_and_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        read(MemorySource(data), Budget(), "weights.bin")
    assert caught.value.code == "not-this-format"


def test_a_path_is_found_in_what_hardly_looks_like_a_model() -> None:
    weights = tensor(INITIALIZER, "w", [2], FLOAT, external("../x"))
    data = number(1, 8) + message(7, weights) + message(99, "unknown")
    assert [found.problem for found in reading(data, "weights.bin").external] == ["parent"]


def test_a_broken_file_that_promises_onnx_says_why() -> None:
    with pytest.raises(InputError) as caught:
        read(MemorySource(model(node("Relu"), opset=False)[:-14]), Budget(), "model.onnx")
    assert caught.value.code == "bad-protobuf"


def test_a_loader_skips_groups_and_so_do_we() -> None:
    assert codes(model(extra=varint(100 << 3 | 3) + varint(100 << 3 | 4))) == ["unknown-field"]
    assert codes(model(extra=varint(2 << 3 | 3) + varint(2 << 3 | 4))) == ["wire-type"]


def test_operators_without_an_operator_set() -> None:
    assert codes(model(node("Relu"), opset=False)) == ["opset-missing"]
    assert codes(number(1, 2) + message(7, node("Relu"))) == []


# -- external data


@pytest.mark.parametrize(
    ("location", "problem"),
    [
        ("weights.data", ""),
        ("data/weights-1.bin", ""),
        ("./weights.bin", ""),
        ("a..b", ""),
        ("", "empty"),
        (" ", "empty"),
        ("../weights.bin", "parent"),
        ("data/../../x", "parent"),
        ("data/.. /x", "parent"),
        ("..", "parent"),
        ("/etc/passwd", "absolute"),
        ("//host/share", "absolute"),
        ("\\\\host\\share", "absolute"),
        ("..\\x", "backslash"),
        ("data\\x", "backslash"),
        ("C:\\x", "drive"),
        ("c:x", "drive"),
        ("file:///etc/passwd", "url"),
        ("https://example.com/x", "url"),
        ("*/_ORT_MEM_ADDR_/*", "memory-address"),
        ("a\x00b", "control-character"),
        ("a\u202eb", "control-character"),
        ("data/", "directory"),
        (".", "directory"),
        ("a" * 5000, "too-long"),
    ],
)
def test_external_locations(location: str, problem: str) -> None:
    assert location_problem(location) == problem
    result = reading(model(tensor(INITIALIZER, "w", [2], FLOAT, external(location, length="8"))))
    assert [data.problem for data in result.external] == [problem]
    assert result.externals == (() if problem else (location.removeprefix("./"),))
    assert (result.tensors is None) == bool(problem)


def test_external_data_in_all_corners() -> None:
    bad = external("../x", length="8")
    attributes = attribute("value", tensor(ATTRIBUTE_TENSOR, "", [2], FLOAT, bad))
    attributes += attribute("body", message(6, tensor(INITIALIZER, "inner", [2], FLOAT, bad)))
    in_function = message(
        25, message(1, "F"), message(10, "d"), message(7, message(4, "Constant"), attributes)
    )
    training = message(20, message(1, tensor(INITIALIZER, "t", [2], FLOAT, bad)))
    sparse = message(15, message(1, number(1, 2), number(2, FLOAT), bad))
    result = reading(model(node("If", attributes=attributes), sparse, extra=in_function + training))
    assert [data.problem for data in result.external] == ["parent"] * 6


def test_every_location_counts() -> None:
    twice = external("good.bin", length="8") + message(13, message(1, "location"), message(2, "/etc/passwd"))
    result = reading(model(tensor(INITIALIZER, "w", [2], FLOAT, twice)))
    assert [a.code for a in result.anomalies] == ["field-repeated"]
    assert [data.problem for data in result.external] == ["", "absolute"]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (external("w.bin", length="8"), []),
        (external("w.bin"), []),
        (external("w.bin", offset="4096", length="8"), []),
        (external("w.bin", length="9"), ["size-mismatch"]),
        (external("w.bin", offset="-1"), ["external-number"]),
        (external("w.bin", offset="0x10"), ["external-number"]),
        (external("w.bin", offset="9" * 30), ["external-number"]),
        (external("w.bin", length="8") + message(9, bytes(8)), ["data-twice"]),
        (message(13, message(1, "location"), message(2, "w.bin")), ["external-unmarked"]),
    ],
)
def test_external_numbers(parts: bytes, expected: list[str]) -> None:
    assert codes(model(tensor(INITIALIZER, "w", [2], FLOAT, parts))) == expected


# -- limits and damage


def test_nodes_are_counted() -> None:
    with pytest.raises(LimitError) as caught:
        read(MemorySource(model(*[node("Relu")] * 100)), Budget(Limits(members=50)), "model.onnx")
    assert caught.value.code == "limit-members"


def test_truncated_at_every_byte_it_never_reads_clean() -> None:
    whole = (TENSORS / "model.onnx").read_bytes()
    clean = []
    for end in range(len(whole)):
        with suppress(InputError):
            result = reading(whole[:end])
            if not result.anomalies and not result.gaps:
                clean.append(end)
    assert [whole[end] for end in clean] == [
        0x72,
        0xCA,
    ]  # between operator sets, metadata and functions


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_changed_model_lists_no_tensor_outside_the_file(data: st.DataObject) -> None:
    """Spans stay inside, whatever the numbers say."""
    raw = bytearray((TENSORS / "model.onnx").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with suppress(InputError):
        for ref in reading(bytes(raw)).tensors or ():
            size = ref.source.size if ref.source else len(raw)
            if not ref.external:
                assert all(0 <= offset <= offset + length <= size for offset, length in ref.spans)


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        read(MemorySource(b"\x08\x07" + data), Budget(), "weights.bin")
