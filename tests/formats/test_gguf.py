"""The GGUF reader against files of the real library and against every way to break one."""

import hashlib
import json
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tensorfiles import Gguf
from weighbridge.core.budget import Budget, Limits
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.source import MemorySource
from weighbridge.formats.gguf import read
from weighbridge.formats.gguf.reading import GgufReading
from weighbridge.formats.gguf.types import TENSOR_TYPES

TENSORS = Path(__file__).parent / "tensors"
F32, I8, Q4_0, Q4_K = 0, 24, 2, 12


def reading(data: bytes) -> GgufReading:
    result = read(MemorySource(data), Budget(), "model.gguf")
    assert isinstance(result, GgufReading)
    return result


def codes(data: bytes) -> list[str]:
    return [anomaly.code for anomaly in reading(data).anomalies]


def refusal(data: bytes) -> str:
    with pytest.raises(InputError) as caught:
        read(MemorySource(data), Budget(), "model.gguf")
    return caught.value.code


def small(**wrong: int) -> Gguf:
    file = Gguf(**wrong).text("general.architecture", "llama")
    return file.tensor("a", [2, 3], F32, bytes(range(24))).tensor("b", [4], I8, b"abcd")


@pytest.mark.parametrize("name", ["little.gguf", "big.gguf"])
def test_file_of_the_real_library_reads_as_the_library_reads_it(name: str) -> None:
    data = (TENSORS / name).read_bytes()
    expected = json.loads((TENSORS / "expected.json").read_bytes())[name]
    result = reading(data)
    assert (result.anomalies, result.gaps) == ((), ())
    assert (result.version, result.big_endian) == (3, name == "big.gguf")
    found = {}
    for ref in result.tensors or ():
        ((offset, length),) = ref.spans
        raw = data[offset : offset + length]
        if ref.swap:
            raw = b"".join(raw[i : i + ref.itemsize][::-1] for i in range(0, length, ref.itemsize))
        found[ref.name] = [list(ref.shape), hashlib.sha256(raw).hexdigest()]
    assert found == expected


def test_metadata_of_the_real_library() -> None:
    result = reading((TENSORS / "little.gguf").read_bytes())
    values = {pair.key: (pair.value, pair.length) for pair in result.metadata}
    assert values["general.architecture"] == ("llama", 5)
    assert values["test.float64"] == (0.5, 1)
    assert values["test.int64"] == (-7, 1)
    assert values["test.uint8"] == (255, 1)
    assert values["tokenizer.ggml.add_bos_token"] == (1, 1)
    assert values["tokenizer.ggml.tokens"] == (None, 3)
    assert [(part.name, part.kind) for part in result.parts] == [("tokenizer.chat_template", "template")]
    assert result.parts[0].source.read(0, 1000).startswith(b"{% for m in messages %}")


def test_alignment_of_the_real_library() -> None:
    assert reading((TENSORS / "little.gguf").read_bytes()).alignment == 32
    assert reading((TENSORS / "big.gguf").read_bytes()).alignment == 64


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("order", ["<", ">"])
def test_versions_and_byte_orders(version: int, order: str) -> None:
    result = reading(small(version=version, order=order).bytes())
    assert (result.version, result.big_endian, result.anomalies) == (version, order == ">", ())
    assert [(r.name, r.dtype, r.shape, r.swap) for r in result.tensors or ()] == [
        ("a", "F32", (3, 2), order == ">"),
        ("b", "I8", (4,), order == ">"),
    ]


@pytest.mark.parametrize(("number", "kind"), TENSOR_TYPES.items())
def test_every_type_has_its_block(number: int, kind: tuple[str, int, int]) -> None:
    name, block, size = kind
    result = reading(Gguf().tensor("w", [2 * block, 3], number, bytes(6 * size)).bytes())
    assert result.anomalies == ()
    (ref,) = result.tensors or ()
    assert (ref.dtype, ref.shape, ref.spans[0][1]) == (name, (3, 2 * block), 6 * size)
    if block > 1:
        assert codes(Gguf().tensor("w", [block + 1], number, bytes(2 * size)).bytes())[0] == "block-misfit"


def test_big_endian_blocks_have_no_canonical_bytes() -> None:
    result = reading(Gguf(order=">").tensor("w", [32], Q4_0, bytes(18)).bytes())
    assert (result.tensors, result.tensors_unlisted) == (
        None,
        "big-endian Q4_0 blocks have no canonical bytes",
    )


def test_file_without_tensors_may_lack_its_padding() -> None:
    file = Gguf().text("general.architecture", "llama")
    whole = file.bytes()
    assert codes(whole) == []
    assert codes(whole.rstrip(b"\0")) == []
    assert codes(whole + b"x") == ["trailing-bytes"]


def test_last_tensor_may_lack_its_padding() -> None:
    whole = small().bytes()
    assert codes(whole) == codes(whole[:-28]) == []
    assert codes(whole[:-29])[0] == "out-of-file"
    assert codes(whole + bytes(1)) == ["trailing-bytes"]


def test_cve_2026_7482_tensor_larger_than_the_file() -> None:
    assert codes(Gguf().info("w", [1 << 20], F32, 0).bytes()) == ["out-of-file"]
    assert codes(Gguf().info("w", [4], I8, 2**63).bytes()) == ["out-of-file"]


@pytest.mark.parametrize(
    "dims", [[2**32, 2**32], [2**63], [2**64 - 1], [2**31, 2**31, 2**31, 2**31], [0, 2**63], [2**62, 2, 1]]
)
def test_cve_2025_53630_and_2026_27940_size_overflow(dims: list[int]) -> None:
    result = reading(Gguf().info("w", dims, F32, 0).bytes())
    assert result.anomalies[0].code == "shape-overflow"
    assert result.tensors is None


def test_cve_2026_33298_row_that_does_not_fill_blocks() -> None:
    assert codes(Gguf().tensor("w", [255], Q4_K, bytes(288)).bytes())[0] == "block-misfit"
    assert codes(Gguf().tensor("w", [], Q4_K, bytes(144)).bytes())[0] == "block-misfit"


def test_overlap_and_hole() -> None:
    assert codes(Gguf().tensor("a", [64], I8, bytes(64)).info("b", [32], I8, 32).bytes()) == ["overlap"]
    file = Gguf().info("a", [4], I8, 0).info("b", [4], I8, 96)
    file.data = bytes(128)
    result = reading(file.bytes())
    assert [a.code for a in result.anomalies] == ["hole"]
    assert [gap.code for gap in result.gaps] == ["hole"]


def test_unaligned_offset() -> None:
    file = Gguf().info("a", [4], I8, 0).info("b", [4], I8, 5)
    file.data = bytes(9)
    assert "offset-unaligned" in codes(file.bytes())


@pytest.mark.parametrize("alignment", [0, 3, 48, 2**31 + 1])
def test_alignment_that_is_no_power_of_two(alignment: int) -> None:
    file = Gguf().pair("general.alignment", 4, struct.pack("<I", alignment)).info("w", [4], I8, 0)
    result = reading(file.bytes())
    assert [a.code for a in result.anomalies] == ["alignment-invalid"]
    assert [gap.code for gap in result.gaps] == ["alignment-invalid"]


def test_alignment_of_another_type() -> None:
    assert codes(Gguf().pair("general.alignment", 10, struct.pack("<Q", 32)).bytes()) == ["alignment-invalid"]


def test_large_alignment_and_what_hides_in_it() -> None:
    file = Gguf().set_alignment(2**17).tensor("w", [4], I8, bytes(4)).tensor("v", [4], I8, bytes(4))
    clean = file.bytes()
    assert codes(clean) == ["alignment-large"]
    hidden = bytearray(clean)
    hidden[2**17 + 1000] = 1
    assert codes(bytes(hidden)) == ["alignment-large", "padding-not-zero"]
    hidden = bytearray(clean)
    hidden[2**16] = 1
    assert codes(bytes(hidden)) == ["alignment-large", "padding-not-zero"]


def test_duplicates() -> None:
    assert codes(Gguf().text("k", "1").text("k", "2").bytes()) == ["duplicate-key"]
    assert codes(Gguf().tensor("w", [4], I8, b"abcd").tensor("w", [4], I8, b"efgh").bytes()) == [
        "duplicate-tensor"
    ]


def test_dimensions_names_and_types() -> None:
    assert codes(Gguf().tensor("w", [1, 1, 1, 1], I8, b"a").bytes()) == []
    assert codes(Gguf().tensor("w", [1, 1, 1, 1, 1], I8, b"a").bytes()) == ["too-many-dims"]
    assert codes(Gguf().tensor("w" * 63, [1], I8, b"a").bytes()) == []
    assert codes(Gguf().tensor("w" * 64, [1], I8, b"a").bytes()) == ["name-too-long"]
    assert codes(Gguf().tensor("w", [1], 4, b"a").bytes()) == ["type-unknown", "trailing-bytes"]
    assert codes(Gguf().tensor("w", [1], 2**31, b"a").bytes()) == ["type-invalid", "trailing-bytes"]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("count", [2**63, 2**64 - 1, 10_000])
def test_counts_beyond_the_file(order: str, version: int, count: int) -> None:
    file = small(order=order, version=version)
    file.tensor_count = count
    assert codes(file.bytes()) == ["count-overflow"]
    file.tensor_count, file.pair_count = None, count
    assert codes(file.bytes()) == ["count-overflow"]


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 10_000])
def test_lengths_beyond_the_file(length: int) -> None:
    file = Gguf()
    assert codes(Gguf().pair("k", 8, file.string("v", length)).bytes()) == ["length-overflow"]
    file.pairs.append(file.string("k", length) + bytes(20))
    assert codes(file.bytes()) == ["length-overflow"]
    strings = file.u32(8) + file.u64(2) + file.string("a") + file.string("b", length)
    assert codes(Gguf().pair("k", 9, strings).bytes()) == ["length-overflow"]
    assert codes(Gguf().pair("k", 9, file.u32(8) + file.u64(length)).bytes()) == ["count-overflow"]
    assert codes(Gguf().pair("k", 9, file.u32(5) + file.u64(length)).bytes()) == ["count-overflow"]


def test_values() -> None:
    file = Gguf()
    assert codes(Gguf().pair("k", 7, b"\x02").bytes()) == ["bool-invalid"]
    assert codes(Gguf().pair("k", 13, b"\x02").bytes()) == ["value-type"]
    assert codes(Gguf().pair("k", 9, file.u32(13) + file.u64(0)).bytes()) == ["value-type"]
    inner = file.u32(0) + file.u64(2) + b"ab"
    assert codes(Gguf().pair("k", 9, file.u32(9) + file.u64(1) + inner).bytes()) == ["array-nesting"]
    deep = b"".join([file.u32(9) + file.u64(1)] * 50) + inner
    assert codes(Gguf().pair("k", 9, deep).bytes()).count("array-nesting") == 5


def test_vocabulary_over_several_chunks() -> None:
    file = Gguf()
    tokens = [b"t" * (i % 40) for i in range(40_000)]
    strings = file.u32(8) + file.u64(len(tokens)) + b"".join(file.string(token) for token in tokens)
    result = reading(file.pair("tokenizer.ggml.tokens", 9, strings).text("after", "here").bytes())
    assert result.anomalies == ()
    assert [(pair.key, pair.value, pair.length) for pair in result.metadata] == [
        ("tokenizer.ggml.tokens", None, 40_000),
        ("after", "here", 4),
    ]


def test_long_strings_are_not_kept_and_templates_become_parts() -> None:
    text = "{{ messages }}" * 1000
    file = Gguf().text("note", "x" * 5000).text("tokenizer.chat_template.tool_use", text)
    result = reading(file.text("tokenizer.chat_template", b"\xff{{").bytes())
    assert [(pair.value, pair.length) for pair in result.metadata] == [
        (None, 5000),
        (None, 14_000),
        (None, 4 - 1),
    ]
    assert [part.name for part in result.parts] == [
        "tokenizer.chat_template.tool_use",
        "tokenizer.chat_template",
    ]
    assert result.parts[0].source.read(0, 20_000) == text.encode()


def test_names_that_are_not_text() -> None:
    result = reading(Gguf().info(b"\xff\xfe", [4], I8, 0).bytes() + b"abcd")
    assert [ref.name for ref in result.tensors or ()] == ["\udcff\udcfe"]


def test_program_in_a_tensor_becomes_a_part() -> None:
    elf = b"\x7fELF\x02\x01\x01" + bytes(121)
    result = reading(Gguf().tensor("w", [128], I8, elf).bytes())
    assert [(part.name, part.kind) for part in result.parts] == [("tensor w", "executable")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not-this-format"),
        (b"GGUF", "not-this-format"),
        (b"FUGG\x03\0\0\0" + bytes(30), "not-this-format"),
        (b"GGUF\x04\0\0\0" + bytes(30), "version-unknown"),
        (b"GGUF\0\0\0\0" + bytes(30), "version-unknown"),
        (b"GGUF\x03\0\0\0" + bytes(10), "truncated"),
    ],
)
def test_refused(data: bytes, code: str) -> None:
    assert refusal(data) == code


def test_members_are_counted() -> None:
    file = Gguf()
    for index in range(100):
        file.text(f"k{index}", "v")
    with pytest.raises(LimitError) as caught:
        read(MemorySource(file.bytes()), Budget(Limits(members=50)), "model.gguf")
    assert caught.value.code == "limit-members"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", [1, 3])
def test_truncated_at_every_byte_it_never_reads_clean(version: int, order: str) -> None:
    file = small(version=version, order=order)
    file.pair("list", 9, file.u32(8) + file.count(2) + file.string("ab") + file.string("c"))
    whole = file.bytes()
    assert codes(whole) == []
    refused = set()
    for end in range(len(whole) - 28):
        try:
            result = reading(whole[:end])
        except InputError as error:
            refused.add(error.code)
            continue
        assert {a.code for a in result.anomalies} & {"out-of-file", "count-overflow", "length-overflow"}, end
    assert refused <= {"not-this-format", "truncated"}


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(TENSOR_TYPES)), st.lists(st.integers(1, 3), max_size=3)), max_size=6
    )
)
@settings(max_examples=50, deadline=None)
def test_round_trip(tensors: list[tuple[int, list[int]]]) -> None:
    """What was written is what is read, with the dimensions turned to row-major order."""
    file, expected = Gguf(), []
    for index, (number, rest) in enumerate(tensors):
        name, block, size = TENSOR_TYPES[number]
        rows = 1
        for dim in rest:
            rows *= dim
        file.tensor(f"t{index}", [block, *rest], number, bytes(rows * size))
        expected.append((f"t{index}", name, (*reversed(rest), block), rows * size))
    result = reading(file.bytes())
    assert result.anomalies == ()
    assert [(r.name, r.dtype, r.shape, r.spans[0][1]) for r in result.tensors or ()] == expected


WHOLE = (TENSORS / "little.gguf").read_bytes()


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_changed_header_never_reads_past_the_file(data: st.DataObject) -> None:
    """Tensors are listed only inside the file."""
    raw = bytearray(WHOLE)
    end = reading(WHOLE).data_offset - 1
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(4, end))] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
    with suppress(InputError):
        for ref in reading(bytes(raw)).tensors or ():
            ((offset, length),) = ref.spans
            assert 0 <= offset <= offset + length <= len(raw)


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_bytes_end_in_a_reading_or_a_refusal(data: bytes) -> None:
    with suppress(InputError, LimitError):
        reading(b"GGUF\x03\0\0\0" + data)
