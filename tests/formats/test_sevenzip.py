"""7z archives: every coder that py7zr writes, headers that lie, and that no bytes break the reader."""

import lzma
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats.sevenzipmaker import SYMLINK, Item, make
from weighbridge.core.budget import Budget, Limits
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.source import MemorySource
from weighbridge.formats.sevenzip import SevenZipTree, read

DATA = Path(__file__).parent / "data" / "7z"
CONTENTS = {
    "model/notes.txt": b"weights: none\n" * 40,
    "model/weights.txt": bytes(range(256)) * 40,
    "model/empty.txt": b"",
}
TEXT = b"weights: none\n"


def tree(data: bytes, limits: Limits | None = None) -> SevenZipTree:
    found = read(MemorySource(data), Budget(limits), "model.7z")
    assert isinstance(found, SevenZipTree)
    return found


def codes(data: bytes) -> list[str]:
    return [anomaly.code for anomaly in tree(data).anomalies]


def contents(found: SevenZipTree) -> dict[str, bytes]:
    return {m.name: m.source.read(0, m.size) if m.source else b"" for m in found.members}


@pytest.mark.parametrize(
    "name",
    [
        "copy",
        "lzma",
        "lzma2",
        "deflate",
        "bzip2",
        "zstd",
        "x86-lzma2",
        "x86-lzma",
        "delta-lzma2",
        "arm-lzma2",
    ],
)
def test_what_py7zr_wrote(name: str) -> None:
    found = tree((DATA / f"{name}.7z").read_bytes())
    assert contents(found) == CONTENTS
    assert (found.anomalies, found.gaps) == ((), ())


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("ppmd", "codec-unknown", "packed with PPMd"),
        ("brotli", "codec-unknown", "packed with brotli"),
        ("aes", "encrypted", "encrypted"),
    ],
)
def test_what_is_not_unpacked_is_a_gap(name: str, code: str, message: str) -> None:
    found = tree((DATA / f"{name}.7z").read_bytes())
    assert [(gap.code, gap.message) for gap in found.gaps] == [(code, message)]
    assert [m.name for m in found.members] == list(CONTENTS)


def test_an_encrypted_header_hides_even_the_names() -> None:
    with pytest.raises(InputError) as caught:
        tree((DATA / "encrypted-header.7z").read_bytes())
    assert caught.value.code == "encrypted"


def test_a_header_that_is_not_packed() -> None:
    assert contents(tree((DATA / "plain-header.7z").read_bytes())) == {"model/notes.txt": TEXT * 40}


def test_our_own_archives_are_plain() -> None:
    data = make(Item(name="a.txt", data=TEXT), Item(name="empty"), Item(name="b", folder=True, mode=0o40755),
                Item(name="b/c.txt", data=b"other"))  # fmt: skip
    found = tree(data)
    assert contents(found) == {"a.txt": TEXT, "empty": b"", "b": b"", "b/c.txt": b"other"}
    assert [m.folder for m in found.members] == [False, False, True, False]
    assert (found.anomalies, found.gaps) == ((), ())
    assert tree(make()).members == ()


A = Item(name="a.txt", data=TEXT)
QUIRKS = {
    "parent": (make(Item(name="../a.txt", data=TEXT)), ["path-escapes"]),
    "absolute": (make(Item(name="/tmp/a.txt", data=TEXT)), ["path-escapes"]),
    "drive": (make(Item(name="C:\\a.txt", data=TEXT)), ["path-escapes"]),
    "backslash": (make(Item(name="model\\a.txt", data=TEXT)), ["path-backslash"]),
    "device name": (make(Item(name="model/aux.txt", data=TEXT)), ["path-reserved"]),
    "dot at the end": (make(Item(name="model/a.", data=TEXT)), ["path-reserved"]),
    "twice": (make(A, A), ["7z-duplicate-name"]),
    "case": (make(A, Item(name="A.txt", data=b"other")), ["similar-names"]),
    "link out": (make(Item(name="a", data=b"../../etc/passwd", mode=SYMLINK)), ["link-escapes"]),
    "link in": (make(Item(name="a", data=b"b.txt", mode=SYMLINK)), ["link-inside"]),
    "through a link": (
        make(Item(name="a", data=b"b", mode=SYMLINK), Item(name="a/c.txt", data=TEXT)),
        ["link-inside", "link-escapes"],
    ),
    "anti": (make(A, Item(name="config.json", anti=True)), ["7z-anti-item"]),
    "device": (make(A, Item(name="sda", mode=0o060600)), ["7z-device"]),
    "member checksum": (make(Item(name="a.txt", data=TEXT, crc=5)), ["7z-checksum"]),
    "header checksum": (make(A, header_crc=5), ["7z-checksum"]),
    "start checksum": (make(A, start_crc=5), ["7z-checksum"]),
    "between": (make(A, between=b"hidden bytes"), ["7z-data-between"]),
    "behind": (make(A, behind=b"hidden bytes"), ["7z-data-after"]),
    "padding": (make(A, padding=b"hidden bytes"), ["7z-data-in-header"]),
}


@pytest.mark.parametrize("quirk", QUIRKS)
def test_every_quirk_is_noted(quirk: str) -> None:
    data, expected = QUIRKS[quirk]
    assert codes(data) == expected


def test_bytes_of_no_member_are_parts() -> None:
    parts = {
        part.source.read(0, 100)
        for part in tree(make(A, between=b"hidden", behind=b"behind" + bytes(40))).parts
    }
    assert parts == {TEXT, b"hidden", b"behind" + bytes(40)}


def test_a_folder_that_stands_on_the_header_is_an_overlap() -> None:
    assert "7z-overlap" in codes(make(A, position=8))


def test_bombs_are_named_and_not_unpacked() -> None:
    spec = [{"id": lzma.FILTER_LZMA2, "preset": 6}]
    size = 50_000_000
    packed = lzma.compress(bytes(size), lzma.FORMAT_RAW, filters=spec)
    data = make(Item(name="a", data=bytes(1), crc=0), packed=packed, method=b"\x21", size=size)
    coder_without_properties = tree(data)
    assert [a.code for a in coder_without_properties.anomalies] == ["archive-bomb"]
    assert [gap.code for gap in coder_without_properties.gaps] == ["limit-ratio"]


@pytest.mark.parametrize(
    "data",
    [
        b"", b"7z\xbc\xaf\x27\x1c", make(A)[:40], make(A, header=b"\x01"), make(A, header=b"\x02\0"), make(A, header=b"\x17\0"), make(A, header=b"\x01\x04\x06\xff"),
        make(A, count=2), make(A, count=10**9), make(A, length=2**60), make(A, offset=2**63), make(A, header=b"\x01\x05\xff" + b"\xff" * 8),
    ],
)  # fmt: skip
def test_lies_are_refused(data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        tree(data)
    assert caught.value.code in ("not-this-format", "bad-header", "truncated")


def test_a_million_folders_end_at_the_budget() -> None:
    header = b"\x01\x04\x07\x0b" + b"\xe0\x00\x00\x10" + b"\0" + b"\x01\x01\0" * 100
    with pytest.raises((InputError, LimitError)):
        tree(make(A, header=header), Limits(members=1000))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([make(A, Item(name="b", data=b"other")), (DATA / "lzma2.7z").read_bytes(), (DATA / "x86-lzma.7z").read_bytes()]),
    st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), min_size=1, max_size=3),
)  # fmt: skip
def test_changed_bytes_never_break_the_reader(data: bytes, changes: list[tuple[int, int]]) -> None:
    broken = bytearray(data)
    for at, value in changes:
        broken[at % len(broken)] = value
    head, body = bytes(broken[:32]), bytes(broken[32:])
    try:
        found = tree(head + body, Limits(bytes=10**7, members=1000, memory=2**26))
    except (InputError, LimitError):
        return
    if bytes(broken) != data:
        same = {(m.name, m.crc) for m in found.members}
        for member in found.members:
            try:
                given_back = member.source.read(0, member.size) if member.source else b""
            except (InputError, LimitError):
                continue
            noted = found.anomalies or found.gaps
            assert noted or member.crc is None or zlib.crc32(given_back) == member.crc, same


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=120))
def test_any_header_is_survived(header: bytes) -> None:
    try:
        tree(make(A, header=b"\x01" + header), Limits(members=1000, memory=2**24))
    except (InputError, LimitError):
        return


@pytest.mark.parametrize("name", ["bzip2", "x86-lzma", "x86-lzma2", "deflate", "zstd"])
def test_a_broken_stream_can_be_asked_again(name: str) -> None:
    """Decompressors that failed once answer with other errors than the first time."""
    data = bytearray((DATA / f"{name}.7z").read_bytes())
    for at in range(40, len(data) - 250, 7):
        broken = bytes(data[:at]) + bytes([data[at] ^ 0x55]) + bytes(data[at + 1 :])
        for member in tree(broken).members:
            for _ in range(2):
                with suppress(InputError):
                    assert len(member.source.read(0, member.size) if member.source else b"") in (
                        0,
                        member.size,
                    )
