"""The tar reader against tarfile, and against the contradictions that tar headers allow."""

import contextlib
import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.core.budget import Budget, Limits
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.source import MemorySource
from weighbridge.formats.tar import TarTree, read


def tree(data: bytes) -> TarTree:
    found = read(MemorySource(data), Budget(), "x.tar")
    assert isinstance(found, TarTree)
    return found


def codes(data: bytes) -> list[str]:
    return [anomaly.code for anomaly in tree(data).anomalies]


def info(name: str, size: int = 0, **changes: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size = size
    for key, value in changes.items():
        setattr(made, key, value)
    return made


def written(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for member, data in members:
            member.size = len(data) if member.isreg() else member.size
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def patched(data: bytes, at: int, value: bytes) -> bytes:
    """A header with one field changed and its checksum made right again."""
    head = bytearray(data[:512])
    head[at : at + len(value)] = value
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + data[512:]


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="\0/\\:.", exclude_categories=["Cs", "Cc"]),
    min_size=1,
    max_size=140,
)


@settings(max_examples=60, deadline=None)
@given(
    files=st.dictionaries(NAMES, st.binary(max_size=1500), min_size=1, max_size=4),
    form=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
)
def test_reads_what_tarfile_wrote(files: dict[str, bytes], form: int) -> None:
    found = tree(written(*((info(name), data) for name, data in files.items()), form=form))
    assert [(m.name, m.source.read(0, m.size) if m.source else None) for m in found.members] == list(
        files.items()
    )
    assert found.gaps == ()
    assert {a.code for a in found.anomalies} <= {"similar-names", "path-reserved"}


def test_an_old_header_without_magic_is_read() -> None:
    data = written((info("a"), b"alpha"), form=tarfile.USTAR_FORMAT)
    assert [m.name for m in tree(patched(data, 257, b"\0" * 8)).members] == ["a"]


QUIRKS = {
    "parent": (written((info("../a"), b"1")), ["path-escapes"]),
    "absolute": (written((info("/etc/a"), b"1")), ["path-escapes"]),
    "backslash": (written((info("a\\b"), b"1")), ["path-backslash"]),
    "symlink out": (written((info("l", type=tarfile.SYMTYPE, linkname="/etc"), b"")), ["link-escapes"]),
    "symlink inside": (written((info("d/l", type=tarfile.SYMTYPE, linkname="../a"), b"")), ["link-inside"]),
    "hard link out": (written((info("l", type=tarfile.LNKTYPE, linkname="../a"), b"")), ["link-escapes"]),
    "through a link": (
        written((info("l", type=tarfile.SYMTYPE, linkname="a"), b""), (info("l/b"), b"1")),
        ["link-inside", "link-escapes"],
    ),
    "device": (written((info("d", type=tarfile.CHRTYPE), b"")), ["tar-device"]),
    "fifo": (written((info("d", type=tarfile.FIFOTYPE), b"")), ["tar-device"]),
    "two of a name": (written((info("a"), b"1"), (info("a"), b"2")), ["tar-duplicate-name"]),
    "names by case": (written((info("a"), b"1"), (info("A"), b"2")), ["similar-names"]),
    "behind the end": (written((info("a"), b"1")) + b"tail", ["tar-data-after"]),
    "another archive behind": (written((info("a"), b"1")) + written((info("b"), b"2")), ["tar-data-after"]),
    "pax size": (written((info("a", pax_headers={"size": "1"}), b"12345")), ["tar-sizes-differ"]),
}


@pytest.mark.parametrize("quirk", QUIRKS)
def test_every_quirk_is_noted(quirk: str) -> None:
    data, expected = QUIRKS[quirk]
    assert codes(data) == expected


def test_what_stands_behind_the_end_is_a_part() -> None:
    data = written((info("a"), b"1"))
    assert [p.source.read(0, 4) for p in tree(data + b"tail").parts] == [b"1", b"tail"]


def test_a_member_beyond_the_file_is_a_gap() -> None:
    data = written((info("a"), b"x" * 600))
    assert [gap.code for gap in tree(data[:700]).gaps] == ["truncated", "truncated"]


def test_a_sparse_member_is_a_gap() -> None:
    data = patched(written((info("a"), b""), form=tarfile.GNU_FORMAT), 156, b"S")
    assert [gap.code for gap in tree(data).gaps] == ["codec-unknown"]


@pytest.mark.parametrize("data", [b"x" * 600, b"\0" * 1024, b""])
def test_bytes_that_are_no_tar_are_refused(data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        tree(data)
    assert caught.value.code == "not-this-format"


def test_headers_of_gigabytes_are_refused() -> None:
    data = patched(written((info("a"), b"")), 156, b"x")
    with pytest.raises(InputError) as caught:
        tree(patched(data, 124, b"77777777777\0"))
    assert caught.value.code == "bad-header"


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=4))
def test_changed_bytes_never_break_the_reader(changes: list[tuple[int, int]]) -> None:
    broken = bytearray(written((info("a" * 120), b"alpha"), (info("b", pax_headers={"x": "y"}), b"beta")))
    for at, value in changes:
        broken[at % len(broken)] = value
    with contextlib.suppress(InputError, LimitError):
        read(MemorySource(bytes(broken)), Budget(Limits(members=1000, memory=2**24)), "x.tar")
