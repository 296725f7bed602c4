"""The safetensors reader against files of the real library and against every way to break one."""

import gzip
import hashlib
import json
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tensorfiles import framed, safetensors
from weighbridge.core.budget import Budget, Limits
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.source import MemorySource
from weighbridge.formats.safetensors import DTYPE_BITS, SafetensorsReading, looks_like_template, read

TENSORS = Path(__file__).parent / "tensors"
F32 = {"a": ("F32", [2], 0, 8), "b": ("F32", [1, 2], 8, 16)}


def reading(data: bytes, name: str = "model.safetensors") -> SafetensorsReading:
    result = read(MemorySource(data), Budget(), name)
    assert isinstance(result, SafetensorsReading)
    return result


def codes(data: bytes) -> list[str]:
    return [anomaly.code for anomaly in reading(data).anomalies]


def refusal(data: bytes, name: str = "model.safetensors") -> str:
    with pytest.raises(InputError) as caught:
        read(MemorySource(data), Budget(), name)
    return caught.value.code


def test_file_of_the_real_library_reads_as_the_library_reads_it() -> None:
    data = (TENSORS / "dtypes.safetensors").read_bytes()
    expected = json.loads((TENSORS / "expected.json").read_bytes())["dtypes.safetensors"]
    result = reading(data)
    assert (result.anomalies, result.gaps, result.parts) == ((), (), ())
    assert dict(result.metadata) == {"format": "pt", "note": "made for tests"}
    found = {}
    for ref in result.tensors or ():
        ((offset, length),) = ref.spans
        found[ref.name] = [list(ref.shape), hashlib.sha256(data[offset : offset + length]).hexdigest()]
    assert found == expected


def test_dtypes_are_those_of_the_library() -> None:
    refs = {
        ref.name: (ref.dtype, ref.itemsize)
        for ref in reading((TENSORS / "dtypes.safetensors").read_bytes()).tensors or ()
    }
    assert refs["bfloat16"] == ("BF16", 2)
    assert refs["float8_e4m3fn"] == ("F8_E4M3", 1)
    assert refs["complex64"] == ("C64", 8)


@pytest.mark.parametrize("dtype", sorted(DTYPE_BITS))
def test_every_dtype_has_its_size(dtype: str) -> None:
    length = DTYPE_BITS[dtype]
    assert codes(safetensors({"a": (dtype, [2, 4], 0, length)}, bytes(length))) == []
    assert codes(safetensors({"a": (dtype, [2, 4], 0, length + 1)}, bytes(length + 1))) == ["size-mismatch"]


def test_no_tensors_is_a_file() -> None:
    result = reading(framed(b"{}"))
    assert (result.tensors, result.anomalies) == ((), ())
    assert codes(framed(b'{"__metadata__":{}}   ')) == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (safetensors({"a": ("F32", [2], 0, 8), "b": ("F32", [2], 4, 12)}, bytes(12)), ["overlap"]),
        (safetensors({"a": ("F32", [2], 0, 8), "b": ("F32", [2], 12, 20)}, bytes(20)), ["hole"]),
        (safetensors({"a": ("F32", [2], 4, 12)}, bytes(12)), ["hole"]),
        (safetensors(F32, bytes(17)), ["trailing-bytes"]),
        (safetensors({}, b"x"), ["trailing-bytes"]),
        (safetensors(F32, bytes(15)), ["out-of-file", "trailing-bytes"]),
        (safetensors({"a": ("F32", [2], 8, 0)}, bytes(8)), ["out-of-file", "trailing-bytes"]),
        (safetensors({"a": ("F32", [2], -8, 0)}, b""), ["out-of-file"]),
        (safetensors({"a": ("F32", [2], 0, 2**64)}, b""), ["out-of-file"]),
        (safetensors({"a": ("F32", [2], 0.0, 8)}, b""), ["out-of-file"]),
        (safetensors({"a": ("F32", [3], 0, 8)}, bytes(8)), ["size-mismatch"]),
        (safetensors({"a": ("F4", [3], 0, 1)}, bytes(1)), ["size-mismatch"]),
        (safetensors({"a": ("F32", [2**40, 2**40], 0, 0)}), ["shape-overflow"]),
        (safetensors({"a": ("F32", [2**63, 0], 0, 0)}), ["shape-overflow"]),
        (safetensors({"a": ("F33", [0], 0, 0)}), ["dtype-unknown"]),
        (safetensors({"a": ("F32", [True, 2], 0, 8)}, bytes(8)), ["entry-malformed", "trailing-bytes"]),
        (safetensors({"a": ("F32", [-1, -2], 0, 8)}, bytes(8)), ["entry-malformed", "trailing-bytes"]),
        (safetensors({"a": 7}), ["entry-malformed"]),
        (safetensors({"a": {"dtype": "F32", "shape": []}}), ["entry-malformed"]),
        (safetensors({"a": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0, 0]}}), ["entry-malformed"]),
        (
            safetensors({"a": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0], "x": 1}}),
            ["entry-extra-key"],
        ),
        (safetensors({"\ud800": ("U8", [0], 0, 0)}), ["name-not-text"]),
        (safetensors({"a": ("U8", [0], 2, 2), "b": ("U8", [4], 0, 4)}, bytes(4)), ["empty-misplaced"]),
        (safetensors({}, metadata={"a": 1}), ["metadata-not-strings"]),
        (framed(b'{"__metadata__":null}'), ["metadata-not-strings"]),
        (framed(b" {}"), ["header-start"]),
        (framed(b"\t\n{}"), ["header-start"]),
        (framed(b"{}\n"), ["header-padding"]),
        (framed(b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{}}'), ["duplicate-key"]),
        (framed(b'{"a":{"dtype":"U8","dtype":"I8","shape":[0],"data_offsets":[0,0]}}'), ["duplicate-key"]),
    ],
)
def test_what_the_format_forbids(data: bytes, expected: list[str]) -> None:
    assert codes(data) == expected


def test_unused_bytes_are_gaps_with_their_place() -> None:
    result = reading(safetensors({"a": ("U8", [2], 0, 2), "b": ("U8", [2], 5, 7)}, b"aa???bb!"))
    start = 8 + result.header_size
    assert [(gap.code, gap.offset) for gap in result.gaps] == [
        ("hole", start + 2),
        ("trailing-bytes", start + 7),
    ]
    assert [ref.name for ref in result.tensors or ()] == ["a", "b"]


def test_tensors_are_not_listed_where_spans_cannot_be_trusted() -> None:
    result = reading(safetensors({"a": ("F32", [2], 0, 8), "b": ("F32", [2], 4, 12)}, bytes(12)))
    assert (result.tensors, result.tensors_unlisted) == (None, "overlap in the header")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not-this-format"),
        (b"\x02\0\0\0\0\0\0\0{", "not-this-format"),
        (b"\x80\x04" + bytes(20), "not-this-format"),
        (framed(b"[]"), "not-this-format"),
    ],
)
def test_refused(data: bytes, code: str) -> None:
    assert refusal(data) == code


BROKEN = [
    (b"\xff" * 8 + b"{}" + bytes(20), "header-out-of-file", "not-this-format"),
    (framed(b'{"a":{}}')[:-1], "header-out-of-file", "not-this-format"),
    (framed(b'{"a":NaN}'), "header-not-json", "bad-json"),
    (framed(b"{a}"), "header-not-json", "bad-json"),
    (framed(b'{"a":"\xff"}'), "header-not-json", "bad-json"),
    (framed(b'{"a":{}} {}'), "header-not-json", "bad-json"),
    (framed(b'{"a":{},}'), "header-not-json", "bad-json"),
    (framed(b'{"a":{"dtype":"U8","shape":[01],"data_offsets":[0,1]}}', b"x"), "header-not-json", "bad-json"),
    (framed(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "header-not-json", "bad-json"),
]


@pytest.mark.parametrize(("data", "code", "refused"), BROKEN)
def test_a_header_that_loaders_choke_on(data: bytes, code: str, refused: str) -> None:
    assert (codes(data), reading(data).tensors) == ([code], None)
    assert refusal(data, "weights.bin") == refused


def test_truncation_is_only_named_where_the_name_promises_the_format() -> None:
    assert refusal(framed(b'{"a":{}}')[:-1], "weights.bin") == "not-this-format"


class Huge:
    """A file of a terabyte that consists of its beginning."""

    size = 2**40

    def read(self, offset: int, length: int) -> bytes:
        assert length <= 2**20
        return (b"\x00\xe1\xf5\x05\x01\0\0\0{" + bytes(2**20))[offset : offset + length]


def test_header_above_100_megabytes_is_not_read() -> None:
    found = read(Huge(), Budget(), "model.safetensors")
    assert [a.code for a in found.anomalies] == ["header-too-large"]
    with pytest.raises(InputError) as caught:
        read(Huge(), Budget(), "model.bin")
    assert caught.value.code == "header-too-large"


def test_a_header_of_thirty_megabytes_is_read() -> None:
    names = [f"model.layers.{i}.self_attn.q_proj.lora_A.default.weight{'x' * 200}" for i in range(100_000)]
    tensors = {name: ("U8", [1], i, i + 1) for i, name in enumerate(names)}
    data = safetensors(tensors, bytes(100_000), metadata={"note": "x" * 500_000})
    assert len(data) > 30_000_000
    result = reading(data)
    assert result.anomalies == ()
    assert [ref.name for ref in result.tensors or ()] == names
    few = read(MemorySource(data), Budget(Limits(memory=70_000_000, members=200_000)), "model.safetensors")
    assert few.tensors is None or len(few.tensors) == 100_000


def test_too_many_tensors_to_list_are_still_checked() -> None:
    tensors = {f"t{i}": ("U8", [1], i, i + 1) for i in range(10_000)}
    limits = Limits(memory=1_500_000)
    found = read(MemorySource(safetensors(tensors, bytes(10_000))), Budget(limits), "model.safetensors")
    assert (found.anomalies, found.tensors) == ((), None)
    assert found.tensors_unlisted == "10000 tensors are too many to list"
    found = read(MemorySource(safetensors(tensors, bytes(9_999))), Budget(limits), "model.safetensors")
    assert [a.code for a in found.anomalies] == ["out-of-file"]


def test_every_way_to_write_an_entry_is_read_alike() -> None:
    plain = b'{"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[],"data_offsets":[8,9]}}'
    ways = [
        plain,
        plain.replace(b",", b" ,\n ").replace(b":", b"\t:\r"),
        plain.replace(b'"a"', b'"\\u0061"'),
        plain.replace(b'"dtype":"F32","shape":[2,1]', b'"shape":[2,1],"dtype":"F32"'),
        plain.replace(b'{"a"', b'{"__metadata__":{"format":"pt"},"a"'),
    ]
    for way in ways:
        result = reading(framed(way, bytes(9)))
        assert result.anomalies == ()
        assert [(ref.name, ref.dtype, ref.shape) for ref in result.tensors or ()] == [
            ("a", "F32", (2, 1)),
            ("b", "U8", ()),
        ]


def test_a_pickle_in_a_tensor_becomes_a_part() -> None:
    call = b"\x80\x02cposix\nsystem\nX\x17\0\0\0echo weighbridge-sample\x85R."
    for data in (call, call[2:], b"\x80\x04\x95" + (40).to_bytes(8, "little") + bytes(60)):
        result = reading(safetensors({"w": ("U8", [len(data)], 0, len(data))}, data))
        assert [part.kind for part in result.parts] == ["pickle"]
    harmless = b"\x80\x02" + bytes(range(100))
    assert reading(safetensors({"w": ("U8", [102], 0, 102)}, harmless)).parts == ()


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(b"x" * 99, mtime=0),
        b"7z\xbc\xaf\x27\x1c\0\4" + bytes(24),
        b"#!/bin/sh\necho weighbridge-sample\n",
    ],
)
def test_archives_and_scripts_in_a_tensor_become_parts(data: bytes) -> None:
    result = reading(safetensors({"w": ("U8", [len(data)], 0, len(data))}, data))
    assert [(part.name, part.kind) for part in result.parts] == [("tensor w", "")]


def test_memory_is_asked_before_parsing() -> None:
    header = b'{"a":[' + b"[]," * 100_000 + b"[]]}"
    with pytest.raises(LimitError) as caught:
        read(MemorySource(framed(header)), Budget(Limits(memory=2 * 1024**2)), "model.safetensors")
    assert caught.value.code == "limit-memory"


def test_many_wrong_tensors_are_counted_not_listed() -> None:
    result = reading(safetensors({f"t{i}": ("F33", [], 0, 0) for i in range(1000)}))
    assert len(result.anomalies) == 101
    assert result.anomalies[-1].message == "900 more like these"


def test_tens_of_thousands_of_tensors_take_no_time() -> None:
    tensors = {f"model.layers.{i}.mlp.weight": ("BF16", [2, 2], i * 8, i * 8 + 8) for i in range(30_000)}
    data = safetensors(tensors, bytes(8 * 30_000))
    started = time.process_time()
    assert len(reading(data).tensors or ()) == 30_000
    assert time.process_time() - started < 5  # a quarter of a second where nothing else runs


def test_program_in_a_tensor_becomes_a_part() -> None:
    elf = b"\x7fELF\x02\x01\x01" + bytes(121)
    result = reading(safetensors({"a": ("U8", [4], 0, 4), "w": ("F32", [32], 4, 132)}, b"MZ\0\0" + elf))
    assert [(part.name, part.kind) for part in result.parts] == [("tensor w", "executable")]
    assert result.parts[0].source.read(0, 200) == elf
    harmless = b"\x7fELF" + bytes(124)
    assert reading(safetensors({"w": ("F32", [32], 0, 128)}, harmless)).parts == ()


def test_windows_and_apple_programs_too() -> None:
    windows = b"MZ" + bytes(58) + (64).to_bytes(4, "little") + b"PE\0\0" + bytes(60)
    apple = b"\xcf\xfa\xed\xfe" + bytes(8) + b"\x02" + bytes(115)
    for program in (windows, apple):
        result = reading(safetensors({"w": ("U8", [len(program)], 0, len(program))}, program))
        assert [part.name for part in result.parts] == ["tensor w"]
    lookalike = b"MZ" + bytes(126)
    assert reading(safetensors({"w": ("U8", [128], 0, 128)}, lookalike)).parts == ()


def test_chat_template_in_the_metadata_becomes_a_part() -> None:
    text = "{% for m in messages %}{{ m.content }}{% endfor %}"
    result = reading(
        safetensors(
            {}, metadata={"chat_template": text, "modelspec.title": "x {{y}}", "tags": '{"a": {"{{": 1}}'}
        )
    )
    assert [(part.name, part.kind) for part in result.parts] == [
        ("__metadata__ chat_template", "template"),
        ("__metadata__ modelspec.title", "template"),
    ]
    assert result.parts[0].source.read(0, 1000) == text.encode()


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("chat_template", "{{ x }}", True),
        ("note", "plain", False),
        ("note", '{"a": "{{x}}"}', False),
        ("note", '{"a": "{% x %}"}', True),
        ("note", "{{ ''.__class__ }}", True),
    ],
)
def test_what_looks_like_a_template(key: str, value: str, expected: bool) -> None:
    assert looks_like_template(key, value) is expected


def test_truncated_at_every_byte_it_never_reads_clean() -> None:
    whole = safetensors(F32, bytes(range(16)), metadata={"format": "pt"})
    assert codes(whole) == []
    refused = set()
    for end in range(len(whole)):
        try:
            result = reading(whole[:end])
        except InputError as error:
            refused.add(error.code)
            continue
        assert {a.code for a in result.anomalies} & {"out-of-file", "size-mismatch", "header-out-of-file"}, (
            end
        )
    assert refused == {"not-this-format"}


names = st.text(min_size=1, max_size=8).filter(lambda name: name != "__metadata__")
shapes = st.lists(st.integers(0, 5), max_size=3)


@st.composite
def tensor_tables(draw: st.DrawFn) -> tuple[dict[str, tuple[str, list[int], int, int]], bytes]:
    table, at = {}, 0
    for name in draw(st.lists(names, unique=True, max_size=6)):
        dtype, shape = draw(st.sampled_from(sorted(DTYPE_BITS))), draw(shapes)
        bits = DTYPE_BITS[dtype]
        for size in shape:
            bits *= size
        if bits % 8:
            shape, bits = [*shape, 4], bits * 4
        table[name] = (dtype, shape, at, at + bits // 8)
        at += bits // 8
    return table, draw(st.binary(min_size=at, max_size=at))


@given(tensor_tables())
@settings(max_examples=60, deadline=None)
def test_round_trip(made: tuple[dict[str, tuple[str, list[int], int, int]], bytes]) -> None:
    """What was written is what is read, whatever the names."""
    table, data = made
    raw = safetensors(table, data)
    result = reading(raw)
    assert result.anomalies == ()
    start = len(raw) - len(data)
    assert {(r.name, r.dtype, r.shape, r.spans) for r in result.tensors or ()} == {
        (name, dtype, tuple(shape), ((start + begin, end - begin),))
        for name, (dtype, shape, begin, end) in table.items()
    }


@given(tensor_tables(), st.data())
@settings(max_examples=150, deadline=None)
def test_a_changed_header_never_reads_past_the_file(
    made: tuple[dict[str, tuple[str, list[int], int, int]], bytes], data: st.DataObject
) -> None:
    """Tensors are listed only where every span lies inside the file and has the size of its shape."""
    raw = bytearray(safetensors(*made))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        result = reading(bytes(raw))
    except InputError:
        return
    for ref in result.tensors or ():
        ((offset, length),) = ref.spans
        assert 8 + result.header_size <= offset <= offset + length <= len(raw)


@given(st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_any_bytes_end_in_a_reading_or_a_refusal(data: bytes) -> None:
    with suppress(InputError):
        reading(data)
