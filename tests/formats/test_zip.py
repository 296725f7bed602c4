"""The zip reader against zipfile where both agree, and against the table of readers where they do not."""

import io
import struct
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats.zipmaker import DEFLATED, STORED, Item, deflate, make
from weighbridge.core.budget import Budget, Limits
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.source import MemorySource
from weighbridge.formats.zip import read
from weighbridge.formats.zip.entry import ZipEntry
from weighbridge.formats.zip.tree import ZipTree, read_tree


def tree(data: bytes, limits: Limits | None = None) -> ZipTree:
    return read_tree(MemorySource(data), Budget(limits))


def codes(data: bytes) -> list[str]:
    return [anomaly.code for anomaly in tree(data).anomalies]


def gaps(data: bytes) -> list[str]:
    return [gap.code for gap in tree(data).gaps]


def contents(data: bytes) -> list[tuple[str, bytes]]:
    return [(entry.label, content(entry)) for entry in tree(data).entries]


def content(entry: ZipEntry) -> bytes:
    """What the entry gives; empty where it has nothing or its stream is broken."""
    try:
        return entry.source.read(0, entry.source.size) if entry.source else b""
    except (InputError, LimitError):
        return b""


def written(files: list[tuple[str, bytes]], compression: int = STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return buffer.getvalue()


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="\\/\0:", exclude_categories=["Cs", "Cc"]),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(
    files=st.dictionaries(NAMES.filter(lambda n: n not in (".", "..")), st.binary(max_size=400), max_size=6),
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]),
)
def test_reads_what_zipfile_wrote(files: dict[str, bytes], method: int) -> None:
    data = written(list(files.items()), method)
    found = tree(data)
    assert found.gaps == ()
    assert [a for a in found.anomalies if a.code not in ("similar-names", "path-reserved")] == []
    assert [(e.name, e.source.read(0, e.size) if e.source else b"") for e in found.entries] == list(
        files.items()
    )
    assert found.spare == ()


def test_streamed_entries_with_descriptors_are_plain() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(Unseekable(buffer), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"first" * 50)
        archive.writestr("b", b"second")
    assert codes(buffer.getvalue()) == []
    assert contents(buffer.getvalue()) == [("a", b"first" * 50), ("b", b"second")]


def test_zip64_records_are_read() -> None:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w") as archive,
        archive.open(zipfile.ZipInfo("big"), "w", force_zip64=True) as member,
    ):
        member.write(b"content")
    assert codes(buffer.getvalue()) == []
    assert contents(buffer.getvalue()) == [("big", b"content")]


class Unseekable(io.RawIOBase):
    def __init__(self, inner: io.BytesIO) -> None:
        self._inner = inner

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        return self._inner.write(data)


A = Item(name="a", data=b"alpha" * 20)
B = Item(name="b", data=b"beta" * 20)


def item(**changes: object) -> Item:
    return Item(**{"name": "x/data.pkl", "data": b"content" * 9, **changes})  # type: ignore[arg-type]


QUIRKS = {
    "local name": (make(item(local={"name": b"x/other"})), ["zip-names-differ"]),
    "local flag encrypted": (make(item(local={"flags": 0x801})), ["zip-flags-differ"]),
    "central flag encrypted": (make(item(central={"flags": 0x801})), ["zip-encrypted"]),
    "patched data flag": (make(item(central={"flags": 0x820})), ["zip-encrypted"]),
    "strong encryption flag": (make(item(central={"flags": 0x840})), ["zip-encrypted"]),
    "wrong checksum": (make(item(local={"crc": 1}, central={"crc": 1})), ["crc-wrong"]),
    "zero checksum": (make(item(local={"crc": 0}, central={"crc": 0})), ["crc-wrong"]),
    "local size": (make(item(local={"size": 9, "packed": 9})), ["zip-sizes-differ"]),
    "local method": (make(item(local={"method": DEFLATED})), ["zip-sizes-differ"]),
    "descriptor lies": (make(item(descriptor=True, packed=b"other bytes")), ["zip-sizes-differ", "crc-wrong"]),
    "two of a name": (make(item(), item(data=b"other")), ["zip-duplicate-name"]),
    "names by case": (make(item(), item(name="x/DATA.pkl")), ["similar-names"]),
    "names by normalisation": (make(item(name="é"), item(name="e\u0301")), ["similar-names"]),
    "backslash": (make(item(name="x\\data.pkl")), ["path-backslash"]),
    "parent": (make(item(name="../data.pkl")), ["path-escapes"]),
    "absolute": (make(item(name="/etc/passwd")), ["path-escapes"]),
    "drive": (make(item(name="C:\\data.pkl")), ["path-escapes"]),
    "climbs by backslash": (make(item(name="x\\..\\..\\y")), ["path-escapes"]),
    "up and down": (make(item(name="x/../y")), ["path-dots"]),
    "symlink out": (make(item(name="l", data=b"../../etc", central={"mode": 0o120777})), ["link-escapes"]),
    "symlink inside": (make(item(name="d/l", data=b"../y", central={"mode": 0o120777})), ["link-inside"]),
    "bytes before": (make(A, prefix=b"prefix"), ["zip-data-before"]),
    "bytes before, offsets not moved": (b"prefix" + make(A), ["zip-data-before"]),
    "bytes between": (make(Item(name="a", data=b"1", behind=b"hidden"), B), ["zip-data-between"]),
    "bytes after": (make(A) + b"tail", ["zip-data-after"]),
    "count too small": (make(A, B, end={"count": 1}), ["zip-directory-lies"]),
    "folder with content": (make(Item(name="d/", data=b"content")), ["zip-folder-with-content"]),
    "deflate behind its end": (
        make(Item(name="a", data=b"x" * 99, method=DEFLATED, packed=deflate(b"x" * 99) + b"more")),
        ["zip-stream-misfit"],
    ),
    "deflate beyond its size": (
        make(Item(name="a", data=b"x" * 9, method=DEFLATED, packed=deflate(b"x" * 99))),
        ["zip-stream-misfit"],
    ),
    "bomb": (make(Item(name="a", data=b"", method=DEFLATED, packed=b"\0" * 99, local={"size": 2**27}, central={"size": 2**27})), ["archive-bomb", "zip-stream-misfit"]),
}  # fmt: skip


@pytest.mark.parametrize("quirk", QUIRKS)
def test_every_quirk_is_noted(quirk: str) -> None:
    data, expected = QUIRKS[quirk]
    assert codes(data) == expected


@pytest.mark.parametrize("quirk", [q for q in QUIRKS if q not in ("bomb", "folder with content")])
def test_every_view_of_a_quirk_is_handed_out(quirk: str) -> None:
    """Whatever zipfile or a streaming reader would give is among the entries, by content."""
    data, _ = QUIRKS[quirk]
    ours = {given for _, given in contents(data)} | {
        p.source.read(0, p.source.size) for p in tree(data).spare
    }
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            try:
                theirs = archive.read(info)
            except (zipfile.BadZipFile, RuntimeError, NotImplementedError, zlib.error):
                continue
            assert theirs in ours


def test_names_differ_gives_both_names() -> None:
    data = make(item(local={"name": b"x/innocent.txt"}))
    assert [label for label, _ in contents(data)] == ["x/data.pkl", "x/innocent.txt (other name)"]


def test_a_nul_ends_a_name_for_some_readers() -> None:
    data = make(item(name="evil.pkl\0.txt"))
    assert codes(data) == ["path-nul"]
    assert [e.name for e in tree(data).entries] == ["evil.pkl\0.txt", "evil.pkl"]


def test_a_unicode_path_that_differs_is_another_view() -> None:
    name = b"data.pkl"
    extra = b"\x01" + struct.pack("<L", zlib.crc32(name)) + b"other.pkl"
    data = make(item(name="data.pkl", central={"extra": struct.pack("<2H", 0x7075, len(extra)) + extra}))
    assert codes(data) == ["zip-names-differ"]
    assert [e.name for e in tree(data).entries] == ["data.pkl", "other.pkl"]


def test_local_sizes_that_differ_give_both_contents() -> None:
    data = make(item(data=b"0123456789", local={"size": 4, "packed": 4}))
    assert contents(data) == [("x/data.pkl", b"0123456789"), ("x/data.pkl (local header)", b"0123")]


def test_an_encrypted_mark_hides_nothing() -> None:
    data = make(item(central={"flags": 0x801}))
    assert contents(data) == [("x/data.pkl", b"content" * 9)]
    assert gaps(data) == ["encrypted"]


def test_entries_that_the_directory_does_not_list_are_found() -> None:
    data = make(A, Item(name="hidden.pkl", data=b"secret", listed=False), B)
    assert codes(data) == ["zip-hidden-entry"]
    assert ("hidden.pkl (not in the directory)", b"secret") in contents(data)


@pytest.mark.parametrize("method", [STORED, DEFLATED])
def test_hidden_entries_with_descriptors_are_measured(method: int) -> None:
    hidden = Item(name="hidden.pkl", data=b"secret" * 1000, method=method, listed=False, descriptor=True)
    assert ("hidden.pkl (not in the directory)", b"secret" * 1000) in contents(make(A, hidden, B))


def test_two_directories_are_both_read() -> None:
    """miniz goes to the declared offset, zipfile to the bytes before the end record."""
    inner = make(Item(name="x/data.pkl", data=b"what PyTorch sees"))
    start = inner.index(b"PK\1\2")
    directory = inner[start : inner.index(b"PK\5\6")]
    local = make(Item(name="y/data.pkl", data=b"what zipfile sees"))
    outer = make(Item(name="y/data.pkl", data=b"what zipfile sees"), prefix=inner[:start] + directory)
    split = outer.rindex(b"PK\5\6")
    count, length = (
        struct.unpack_from("<2xH", outer, split + 8)[0],
        struct.unpack_from("<L", outer, split + 12)[0],
    )
    assert (count, length) == (1, len(directory))
    # zipfile takes the directory that ends at the end record and moves all offsets along with it.
    shift = split - length - start
    moved = bytearray(outer)
    struct.pack_into("<L", moved, split + 16, start)
    at = split - length + 42
    struct.pack_into("<L", moved, at, struct.unpack_from("<L", moved, at)[0] - shift)
    data = bytes(moved)
    assert zipfile.ZipFile(io.BytesIO(data)).read("y/data.pkl") == b"what zipfile sees"
    assert "zip-directories-differ" in codes(data)
    assert dict(contents(data)) == {
        "y/data.pkl": b"what zipfile sees",
        "x/data.pkl (other directory)": b"what PyTorch sees",
    }
    assert local


def test_a_second_end_record_in_the_comment_is_followed() -> None:
    first = make(A)
    inner = make(B, prefix=first[:-22] + b"\0" * 22)
    comment = inner[len(first) :]
    data = first[:-2] + struct.pack("<H", len(comment)) + comment
    assert "zip-second-end" in codes(data)
    assert {label for label, _ in contents(data)} == {"b", "a (other directory)"}


def test_an_archive_inside_an_archive_is_no_second_end() -> None:
    assert codes(written([("inner.zip", written([("a", b"1")]))])) == []


def test_overlapping_entries_are_a_bomb() -> None:
    data = make(A, Item(name="again", data=A.data, central={"offset": 0}, packed=b""))
    assert "zip-overlap" in codes(data)


def test_the_overlap_bomb_of_many_names_for_one_content() -> None:
    kernel = Item(name="a", data=b"\0" * 1000, method=DEFLATED)
    names = [
        Item(name="a", data=b"\0" * 1000, method=DEFLATED, central={"offset": 0}, packed=b"")
        for _ in range(3)
    ]
    for name in names:
        name.central |= {"packed": len(deflate(kernel.data))}
    assert "zip-overlap" in codes(make(kernel, *names))


def test_an_unknown_method_is_a_gap() -> None:
    data = make(Item(name="a", data=b"123", local={"method": 97}, central={"method": 97}))
    assert gaps(data) == ["codec-unknown"]


def test_without_its_directory_a_zip_is_read_as_a_stream() -> None:
    data = make(A, B)
    cut = data[: data.index(b"PK\1\2")]
    assert contents(cut) == [("a (streamed)", A.data), ("b (streamed)", B.data)]
    assert gaps(cut) == ["truncated"]


def test_trailing_bytes_beyond_the_reach_of_any_reader() -> None:
    assert gaps(make(A) + b"x" * 70_000) == ["truncated"]


def test_bytes_that_are_no_zip_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        tree(b"nothing of the kind" * 10)
    assert caught.value.code == "not-this-format"


@pytest.mark.parametrize("cut", range(1, 300, 7))
def test_truncation_never_loses_a_byte_silently(cut: int) -> None:
    data = make(A, Item(name="deep", data=bytes(range(256)), method=DEFLATED), B)
    try:
        found = tree(data[:-cut])
    except InputError:
        return
    assert found.gaps


def test_members_and_unpacked_bytes_are_spent_from_the_budget() -> None:
    with pytest.raises(LimitError) as caught:
        tree(make(*[Item(name=str(i), data=b"") for i in range(20)]), Limits(members=10))
    assert caught.value.code == "limit-members"
    with pytest.raises(LimitError) as caught:
        tree(written([("a", bytes(100_000))], DEFLATED), Limits(bytes=50_000))
    assert caught.value.code == "limit-bytes"


def test_a_declared_directory_of_gigabytes_is_not_held() -> None:
    with pytest.raises(LimitError) as caught:
        tree(make(A, end={"length": 2**31, "offset": make(A).index(b"PK\1\2")}))
    assert caught.value.code == "limit-memory"


def test_large_contents_are_unpacked_in_windows() -> None:
    large = b"".join(i.to_bytes(4, "big") for i in range(100_000))
    data = written([("big", large)], DEFLATED)
    (entry,) = tree(data, Limits(memory=100_000)).entries
    assert entry.source is not None
    assert entry.source.read(200_000, 16) == large[200_000:200_016]
    assert entry.source.read(10, 16) == large[10:26]
    assert entry.source.read(399_990, 100) == large[399_990:]


def test_reading_a_stored_archive_costs_its_directory_only() -> None:
    class Counted(MemorySource):
        taken = 0

        def read(self, offset: int, length: int) -> bytes:
            Counted.taken += min(length, self.size)
            return super().read(offset, length)

    data = written([(f"data/{i}", bytes(2 * 1024**2)) for i in range(20)])
    read_tree(Counted(data), Budget())
    assert Counted.taken < 100_000


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(
        [
            make(A, B),
            written([("x/a", b"1" * 99), ("x/b", b"2" * 50)], DEFLATED),
            make(item(descriptor=True), A),
        ]
    ),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_changed_bytes_never_break_the_reader(data: bytes, changes: list[tuple[int, int]]) -> None:
    broken = bytearray(data)
    for at, value in changes:
        broken[at % len(broken)] = value
    try:
        found = read(MemorySource(bytes(broken)), Budget(Limits(members=1000, memory=2**24)), "x.zip")
        for part in found.parts:
            part.source.read(0, 64)
    except (InputError, LimitError):
        pass


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=3))
def test_whatever_zipfile_still_reads_is_among_the_views(changes: list[tuple[int, int]]) -> None:
    broken = bytearray(written([("x/a", b"1234" * 9), ("x/b", b"abcd" * 9)]))
    for at, value in changes:
        broken[at % len(broken)] = value
    theirs = zipfile_contents(bytes(broken))
    try:
        found = tree(bytes(broken), Limits(members=1000, memory=2**24))
    except (InputError, LimitError):
        return
    ours = [content(entry) for entry in found.entries]
    for their in theirs:
        assert their in ours or not their or found.gaps


def zipfile_contents(data: bytes) -> list[bytes]:
    found: list[bytes] = []
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                try:
                    found.append(archive.read(info))
                except Exception:
                    continue
    except Exception:
        return found
    return found
