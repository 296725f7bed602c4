"""Compressed streams: every codec both ways, several streams, lies, bombs, and the old joblib header."""

import bz2
import gzip
import lzma
import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.core.budget import Budget, Limits
from weighbridge.core.errors import InputError
from weighbridge.core.source import MemorySource
from weighbridge.formats.compressed import read
from weighbridge.formats.reading import Reading

SAMPLES = Path(__file__).parent / "data" / "pickle"


def alone(data: bytes) -> bytes:
    return lzma.compress(data, lzma.FORMAT_ALONE)


CODECS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": alone,
    "zlib": zlib.compress,
    "lz4": lz4.frame.compress,
    "zstd": zstd.compress,
}


def reading(data: bytes, limits: Limits | None = None, name: str = "model.pkl.gz") -> Reading:
    return read(MemorySource(data), Budget(limits), name)


def content(found: Reading) -> bytes:
    (part,) = found.parts
    return part.source.read(0, part.source.size)


def code(data: bytes) -> str:
    with pytest.raises(InputError) as caught:
        reading(data)
    return caught.value.code


OUTCOMES = {"whole", "gaps", "bad-stream", "truncated", "not-this-format"}


def outcome(data: bytes) -> str:
    """How reading ends."""
    try:
        return "gaps" if reading(data).gaps else "whole"
    except InputError as error:
        return error.code


@pytest.mark.parametrize("codec", CODECS)
@settings(max_examples=40, deadline=None)
@given(data=st.binary(min_size=1, max_size=2000))
def test_round_trip(codec: str, data: bytes) -> None:
    found = reading(CODECS[codec](data))
    assert found.format == codec
    assert content(found) == data
    assert found.gaps == ()


@pytest.mark.parametrize("codec", CODECS)
def test_long_contents(codec: str) -> None:
    data = b"".join(n.to_bytes(4, "little") for n in range(300_000))
    found = reading(CODECS[codec](data))
    assert content(found) == data
    assert found.gaps == ()
    assert found.anomalies == ()


@pytest.mark.parametrize("codec", ["gzip", "bzip2", "xz", "zlib", "lz4", "zstd"])
def test_streams_behind_each_other_are_one_content(codec: str) -> None:
    pack = CODECS[codec]
    assert (
        content(reading(pack(b"one") + pack(b"two" * 100_000) + pack(b"three")))
        == b"one" + b"two" * 100_000 + b"three"
    )


@pytest.mark.parametrize("codec", CODECS)
def test_bytes_behind_the_stream_are_a_gap(codec: str) -> None:
    found = reading(CODECS[codec](b"abc") + b"hidden bytes")
    assert content(found) == b"abc"
    assert [gap.code for gap in found.gaps] == ["trailing-bytes"]
    assert reading(CODECS[codec](b"abc") + bytes(64)).gaps == ()


@pytest.mark.parametrize("codec", CODECS)
def test_a_cut_stream_is_a_gap_and_what_came_before_is_kept(codec: str) -> None:
    data = bytes(range(256)) * 5000
    packed = CODECS[codec](data)
    found = reading(packed[:-4])
    assert found.gaps
    assert data.startswith(content(found))


@pytest.mark.parametrize(
    "head", [b"\x1f\x8b\x08\0", b"BZh91AY&SY", b"\xfd7zXZ\x00", b"]\0\0\0\x80", b"x\x9c", b"x\xda"]
)
def test_a_stream_that_gives_nothing_is_not_this_format(head: bytes) -> None:
    assert code(head + b"\xff" * 30) == "not-this-format"


def test_other_bytes_are_not_this_format() -> None:
    for data in (b"", b"x^2 + 1", b"ZFOO bar", b"]\0\0 text", b"BZhello", b"\x80\x04N.", b"xy"):
        assert code(data) == "not-this-format"


def test_the_zfile_of_old_joblib() -> None:
    inner = pickle.dumps({"a": 1})
    header = b"ZF" + hex(len(inner)).encode().ljust(19)
    for data in (header + zlib.compress(inner), header + b" " + zlib.compress(inner)):
        found = reading(data)
        assert found.format == "joblib-zfile"
        assert content(found) == inner


@pytest.mark.parametrize("codec", ["gzip", "bzip2", "xz", "zlib", "lz4", "zstd"])
def test_a_stream_behind_zeros_is_read_and_noted(codec: str) -> None:
    pack = CODECS[codec]
    found = reading(pack(b"one") + bytes(600_000) + pack(b"two"))
    assert content(found) == b"onetwo"
    assert [a.code for a in found.anomalies] == ["stream-behind-zeros"]


@pytest.mark.parametrize("codec", CODECS)
def test_bytes_far_behind_zeros_are_a_gap(codec: str) -> None:
    found = reading(CODECS[codec](b"abc") + bytes(600_000) + b"hidden bytes")
    assert [gap.code for gap in found.gaps] == ["trailing-bytes"]


def skippable(data: bytes, number: int = 0) -> bytes:
    return bytes([0x50 + number]) + b"\x2a\x4d\x18" + struct.pack("<L", len(data)) + data


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_skippable_frames_are_parts_of_their_own(codec: str) -> None:
    pack = CODECS[codec]
    for data in (
        skippable(b"hidden bytes") + pack(b"one") + pack(b"two"),
        pack(b"one") + skippable(b"hidden bytes") + pack(b"two"),
    ):
        found = reading(data, name="x.bin")
        assert (found.format, [a.code for a in found.anomalies]) == (codec, ["skippable-frame"])
        first, second = found.parts
        assert first.source.read(0, 100) == b"onetwo"
        assert second.source.read(0, 100) == b"hidden bytes"


def test_tables_in_skippable_frames_are_no_news() -> None:
    table = skippable(b"\0" * 12 + struct.pack("<LBL", 1, 0, 0x8F92EAB1), 14)
    found = reading(skippable(b"\1\0\0\0") + zstd.compress(b"one") + table)
    assert (content(found), found.anomalies, found.gaps) == (b"one", (), ())


def test_zstd_with_a_dictionary_or_a_huge_window_is_not_unpacked() -> None:
    words = zstd.train_dict([b"weights: %d" % n for n in range(2000)], 4000)
    assert code(zstd.compress(b"weights: 5", zstd_dict=words)) == "not-this-format"
    wide = b"\x28\xb5\x2f\xfd\x00\xb0" + bytes(20)
    assert code(wide) == "not-this-format"


def test_a_broken_checksum_hides_nothing() -> None:
    checked = zstd.compress(b"weights " * 9, options={zstd.CompressionParameter.checksum_flag: 1})
    found = reading(checked[:-1] + bytes([checked[-1] ^ 1]))
    assert (content(found), [gap.code for gap in found.gaps]) == (b"weights " * 9, ["bad-stream"])


def member(name: bytes = b"", comment: bytes = b"", extra: bytes = b"") -> bytes:
    flags = (4 if extra else 0) | (8 if name else 0) | (16 if comment else 0)
    fields = (struct.pack("<H", len(extra)) + extra if extra else b"") + (name + b"\0" if name else b"")
    fields += comment + b"\0" if comment else b""
    return b"\x1f\x8b\x08" + bytes([flags]) + bytes(6) + fields + gzip.compress(b"one", mtime=0)[10:]


def test_the_name_in_a_gzip_header() -> None:
    (part,) = reading(member(b"folder/notes.txt"), name="data.bin").parts
    assert part.name == "notes.txt"
    (part,) = reading(member(b"other.pkl"), name="model.npy.gz").parts
    assert part.name == "model.npy"
    for name in (b"../../weighbridge-sample.txt", b"/tmp/weighbridge-sample.txt", b"C:\\sample.txt"):
        assert [a.code for a in reading(member(name)).anomalies] == ["path-escapes"]
    second = reading(member() + member(b"../weighbridge-sample.txt"))
    assert [a.code for a in second.anomalies] == ["path-escapes"]


@pytest.mark.parametrize(
    "data",
    [member(comment=b"\x80\x02cposix\nsystem\n\x01"), member(comment=b"x" * 5000), member(extra=b"x" * 2000)],
)
def test_a_gzip_header_that_holds_more_than_a_name(data: bytes) -> None:
    found = reading(data)
    assert (content(found), [a.code for a in found.anomalies]) == (b"one", ["gzip-header-data"])


@pytest.mark.parametrize("codec", ["gzip", "bzip2", "xz", "lzma", "zlib", "zstd"])
def test_a_bomb_of_every_codec_is_named(codec: str) -> None:
    assert "compressed-bomb" in [a.code for a in reading(CODECS[codec](bytes(12_000_000))).anomalies]


def test_what_joblib_wrote() -> None:
    plain = (SAMPLES / "logistic.joblib").read_bytes()
    for suffix in ("z", "gz", "bz2", "xz", "lzma", "lz4"):
        found = reading(
            (SAMPLES / f"logistic.joblib.{suffix}").read_bytes(), name=f"logistic.joblib.{suffix}"
        )
        assert found.gaps == ()
        (part,) = found.parts
        assert part.name == "logistic.joblib"
        # joblib does not align arrays in compressed files, so that the bytes differ a little
        assert abs(part.source.size - len(plain)) < 200
        assert part.source.read(0, 100)[:2] == plain[:2]


def test_bombs_stop_early() -> None:
    bomb = bz2.compress(bytes(100_000_000))
    found = reading(bomb)
    assert [a.code for a in found.anomalies] == ["compressed-bomb"]
    assert [gap.code for gap in found.gaps] == ["compressed-bomb"]
    assert len(content(found)) < 40_000_000


def test_limits_keep_what_was_unpacked() -> None:
    data = bytes(range(256)) * 40_000
    found = reading(zlib.compress(data), Limits(memory=1_000_000))
    assert [gap.code for gap in found.gaps] == ["limit-memory"]
    assert data.startswith(content(found))
    found = reading(zlib.compress(data), Limits(bytes=1_000_000))
    assert [gap.code for gap in found.gaps] == ["limit-bytes"]


# ---- lz4


HEADER_CHECKS = {0x60: 0x82, 0x40: 0xC0, 0x61: 0x32}
"""Flags, with blocks of 64 KiB → the header's checksum."""


def frame(*blocks: bytes, flags: int = 0x60, size: int = 0x40) -> bytes:
    return b"\x04\x22\x4d\x18" + bytes([flags, size, HEADER_CHECKS[flags]]) + b"".join(blocks) + bytes(4)


def stored(data: bytes) -> bytes:
    return (len(data) | 0x80000000).to_bytes(4, "little") + data


def packed(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data


def test_lz4_blocks() -> None:
    assert content(reading(frame(stored(b"hello")))) == b"hello"
    repeat = b"\x1fa\x01\x00\x05" + b"\x50bcdef"  # a literal, a match of 15 + 5 + 4 bytes one back, literals
    assert content(reading(frame(packed(repeat)))) == b"a" * 25 + b"bcdef"
    linked = frame(stored(b"abcdefgh"), packed(b"\x04\x08\x00\x50vwxyz"), flags=0x40)
    assert content(reading(linked)) == b"abcdefgh" + b"abcdefgh" + b"vwxyz"
    assert content(reading(frame(stored(b"one")) + frame(stored(b"two")))) == b"onetwo"


@pytest.mark.parametrize(
    "data",
    [
        frame(packed(b"\x10")), frame(packed(b"\xf0")), frame(packed(b"\x04\x08\x00\x00")), frame(packed(b"\x14a\x00\x00\x00")), frame(packed(b"\x50ab")),
        frame(stored(b"x" * 70_000)), b"\x04\x22\x4d\x18\x00\x40\x00", b"\x04\x22\x4d\x18", frame(stored(b"abc"))[:-5], frame(stored(b"abc"), flags=0x61),
    ],
)  # fmt: skip
def test_lz4_lies_are_errors_or_gaps(data: bytes) -> None:
    assert outcome(data) in OUTCOMES - {"whole"}


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80))
def test_any_lz4_block_is_survived(block: bytes) -> None:
    assert outcome(frame(packed(block))) in OUTCOMES


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=60),
    st.sampled_from(
        [b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\x00", b"]\0\0\0\x80", b"x\x9c", b"ZF0x10", b"\x04\x22\x4d\x18"]
    ),
)
def test_any_bytes_are_survived(data: bytes, magic: bytes) -> None:
    assert outcome(magic + data) in OUTCOMES
