"""Measuring: every digest from one read, in any order and with any number of threads, and never a guess."""

import hashlib
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.measure.models import BrokenFiles, CountingFiles, in_memory, safetensors
from weighbridge.core.artifact import Artifact, Member
from weighbridge.core.errors import InputError, LimitError, UsageError
from weighbridge.core.source import Source
from weighbridge.measure import Plan, engine, measure
from weighbridge.scan.engine import Scanner
from weighbridge.store import open_artifact

MIB = 1024**2
EVERYTHING = Plan(
    hashes=frozenset({"sha256", "blake3"}),
    shards=(("sha256", 3 * MIB), ("blake3", 999_983)),
    blake2b=True,
    tensors=True,
)


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that look random and are always the same."""
    return hashlib.shake_128(seed.to_bytes(4, "big")).digest(size)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small, medium and big files; one of 36 MiB that is more than half of everything."""
    root = tmp_path_factory.mktemp("model")
    contents = {
        "a.txt": b"hello",
        "empty": b"",
        "sub/one": noise(MIB - 1),
        "sub/two": noise(MIB),
        "three": noise(3 * MIB + 1),
    }
    for path, data in contents.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(data)
    (root / "big").write_bytes(noise(MIB) * 36 + b"tail")
    return root


def naive_rows(path: str, data: bytes) -> list[tuple[str, int, int, str, bytes]]:
    rows = [
        (path, at, min(at + size, len(data)), name, new(data[at : at + size]).digest())
        for name, size, new in (("sha256", 3 * MIB, hashlib.sha256), ("blake3", 999_983, blake3))
        for at in range(0, len(data), size)
    ]
    return [*rows, (path, 0, len(data), "blake2b", hashlib.blake2b(data).digest())]


@pytest.mark.parametrize("jobs", [1, 2, 5])
@pytest.mark.parametrize("examine", [None, Scanner().examine, lambda _, source: source.read(70_000, 3 * MIB)])
def test_everything_at_once_is_what_each_alone_would_be(model: Path, jobs: int, examine: Any) -> None:
    measurement = measure(open_artifact(model), EVERYTHING, jobs=jobs, examine=examine)
    assert measurement.unread == ()
    rows = []
    for entry in measurement.manifest.entries:
        data = (model / entry.path).read_bytes()
        assert entry == (entry.path, len(data), hashlib.sha256(data).digest(), blake3(data).digest(), None)
        rows += naive_rows(entry.path, data)
    assert [e.path for e in measurement.manifest.entries] == [
        "a.txt",
        "big",
        "empty",
        "sub/one",
        "sub/two",
        "three",
    ]
    assert list(measurement.manifest.shards) == rows
    assert len(measurement.examined) == (6 if examine else 0)


@pytest.mark.parametrize("jobs", [1, 2])
def test_shards_alone_go_by_ranges(model: Path, jobs: int) -> None:
    plan = Plan(hashes=frozenset(), shards=(("sha256", 3 * MIB), ("blake3", 999_983)))
    manifest = measure(open_artifact(model), plan, jobs=jobs).manifest
    data = (model / "big").read_bytes()
    assert [row for row in manifest.shards if row[0] == "big"] == naive_rows("big", data)[:-1]
    assert not [row for row in manifest.shards if row[0] == "empty"]
    assert manifest.files_digest() is None


def test_the_order_of_members_and_splitting_into_folders_of_reads_does_not_count() -> None:
    contents = {"b": b"1", "a": b"2", "c/d": b"3"}
    one, _ = in_memory(contents)
    other, _ = in_memory(dict(reversed(contents.items())))
    assert measure(one, Plan()).manifest == measure(other, Plan()).manifest


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(st.text("ab/é.", min_size=1, max_size=4), st.binary(max_size=6), min_size=1, max_size=4),
    st.dictionaries(st.text("ab/é.", min_size=1, max_size=4), st.binary(max_size=6), min_size=1, max_size=4),
)
def test_the_file_set_digest_is_injective(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    """Law: two models have equal file-set digests exactly where they have equal paths and contents."""
    first, second = (measure(in_memory(m)[0], Plan()).manifest.files_digest() for m in (one, other))
    assert (first == second) == (one == other)


def test_swapped_contents_and_renames_change_the_digest() -> None:
    def digest(**files: bytes) -> str:
        return str(measure(in_memory(files)[0], Plan()).manifest.files_digest())

    base = digest(a=b"1", b=b"2")
    assert (
        len({base, digest(a=b"2", b=b"1"), digest(a=b"1", c=b"2"), digest(a=b"12", b=b""), digest(a=b"1")})
        == 5
    )


# One read.


@pytest.mark.parametrize("size", [0, 1, 5_000, MIB - 1, MIB, 3 * MIB + 77])
@pytest.mark.parametrize("scan", [False, True])
def test_each_byte_is_read_once(size: int, scan: bool) -> None:
    data = safetensors({"w": ("U8", (size,), noise(size))})
    artifact, files = in_memory({"model.safetensors": data, "README.md": b"# hi"})
    measurement = measure(artifact, EVERYTHING, examine=Scanner().examine if scan else None)
    assert measurement.manifest.tensors is not None
    for path in ("model.safetensors", "README.md"):
        assert files.bytes_read(path) == len(files.contents[path])


def test_an_examiner_that_reads_wildly_costs_no_second_read() -> None:
    data = noise(8 * MIB)
    artifact, files = in_memory({"f": data})

    def examine(_: Member, source: Source) -> None:
        for offset, length in (
            (5 * MIB, 3),
            (0, 10),
            (7 * MIB - 5, MIB + 5),
            (5 * MIB - 1, 70_000),
            (0, MIB),
        ):
            assert source.read(offset, length) == data[offset : offset + length]

    measurement = measure(artifact, Plan(), examine=examine)
    assert files.bytes_read("f") == len(data)
    assert measurement.manifest.entries[0].sha256 == hashlib.sha256(data).digest()


def test_the_examiner_is_called_in_the_calling_thread_for_every_member(model: Path) -> None:
    seen: list[str] = []

    def examine(member: Member, _: Source) -> str:
        assert threading.current_thread() is threading.main_thread()
        seen.append(member.path)
        return member.path

    measurement = measure(open_artifact(model), Plan(), examine=examine, jobs=3)
    assert measurement.examined == tuple(sorted(seen)) == tuple(e.path for e in measurement.manifest.entries)


def test_an_examiner_that_breaks_ends_everything_at_once(model: Path) -> None:
    def examine(member: Member, _: Source) -> None:
        if member.path == "sub/two":
            raise ZeroDivisionError

    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        measure(open_artifact(model), Plan(), examine=examine, jobs=2)
    assert threading.active_count() == before


# What cannot be read.


class Growing(CountingFiles):
    """Files that are longer than when they were listed."""

    def open(self, member: Member) -> Source:
        self.contents[member.path] += b"more"
        return super().open(member)


@pytest.mark.parametrize("size", [10, 2 * MIB])
def test_another_size_than_listed_is_unread(size: int) -> None:
    artifact, _ = in_memory({"f": bytes(size), "g": b"fine"})
    moved = Artifact(name="m", files=Growing({"f": bytes(size), "g": b""}), members=artifact.members)
    measurement = measure(moved, Plan())
    assert [(u.place.path, u.code) for u in measurement.unread] == [("f", "file-changed")]
    assert measurement.manifest.entries[0] == ("f", size, None, None, None)
    assert measurement.manifest.files_digest() is None
    assert measurement.manifest.card_digest() is None


@pytest.mark.parametrize("size", [10, 2 * MIB])
def test_what_cannot_be_opened_is_named_examined_and_has_no_digest(size: int) -> None:
    artifact = Artifact(name="m", files=BrokenFiles(), members=(Member("a.bin", size), Member("b", 0)))
    measurement = measure(artifact, EVERYTHING, examine=Scanner().examine)
    assert [(u.place.path, u.code) for u in measurement.unread] == [
        ("a.bin", "unreadable"),
        ("b", "unreadable"),
    ]
    assert [e.path for e in measurement.manifest.entries] == ["a.bin", "b"]
    assert measurement.manifest.files_digest() is None
    assert measurement.manifest.tensors is None
    for examination in measurement.examined:
        assert [item.code for item in examination.unread] == ["unreadable"]
        assert examination.result.outcome.value == "unknown"


@pytest.mark.parametrize("size", [100, 3 * MIB])
@pytest.mark.parametrize("how", ["append", "truncate", "replace", "remove", "rewrite", "link", "fifo"])
def test_changes_after_listing_are_noticed(tmp_path: Path, size: int, how: str) -> None:
    file = tmp_path / "f"
    file.write_bytes(noise(size))
    artifact = open_artifact(tmp_path)
    change(file, how, size)
    measurement = measure(artifact, Plan())
    code = "not-a-file" if how == "fifo" else "file-changed"
    assert [(u.place.path, u.code) for u in measurement.unread] == [("f", code)]
    assert measurement.manifest.files_digest() is None


def change(file: Path, how: str, size: int) -> None:
    """Do something to a file that was listed."""
    match how:
        case "append":
            with file.open("ab") as f:
                f.write(b"x")
        case "truncate":
            os.truncate(file, size // 2)
        case "rewrite":
            file.write_bytes(noise(size, seed=2))
            os.utime(file, ns=(0, 12345))
        case "remove":
            file.unlink()
        case _:
            file.rename(file.with_name("g"))
            if how == "replace":
                file.write_bytes(noise(size))
            elif how == "link":
                file.symlink_to("g")
            else:
                os.mkfifo(file)


@pytest.mark.parametrize("how", ["append", "truncate", "rewrite"])
def test_changes_while_it_is_read_are_noticed(tmp_path: Path, how: str) -> None:
    file = tmp_path / "f"
    file.write_bytes(noise(3 * MIB))

    def examine(_: Member, source: Source) -> bytes:
        head = source.read(0, 10)
        change(file, how, 3 * MIB)
        return head

    measurement = measure(open_artifact(tmp_path), EVERYTHING, examine=examine)
    assert measurement.examined == (noise(10),)
    assert [(u.place.path, u.code) for u in measurement.unread] == [("f", "file-changed")]
    assert measurement.manifest.shards == ()
    assert measurement.manifest.tensors is None


# Early stop.


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("wrong", ["a.txt", "big", "three"])
def test_it_stops_at_the_first_file_that_differs(model: Path, jobs: int, wrong: str) -> None:
    artifact = open_artifact(model)
    right = {entry.path: entry.sha256 or b"" for entry in measure(artifact, Plan()).manifest.entries}
    assert measure(artifact, Plan(), expected=right, jobs=jobs).stopped == ""
    stopped = measure(artifact, Plan(), expected=right | {wrong: bytes(32)}, jobs=jobs)
    assert stopped.stopped == wrong
    assert wrong in [entry.path for entry in stopped.manifest.entries]


def test_it_stops_early() -> None:
    contents = {f"{number:03d}": b"x" * number for number in range(100)}
    artifact, files = in_memory(contents)
    measurement = measure(artifact, Plan(), expected={"003": bytes(32)})
    assert measurement.stopped == "003"
    assert sorted(files.reads) == ["000", "001", "002", "003"]
    assert measurement.manifest.tensors is None


def test_a_stop_reaches_a_big_file_in_the_middle() -> None:
    artifact, files = in_memory({"big": noise(64 * MIB), "a": b"changed"})
    measurement = measure(artifact, Plan(), expected={"a": bytes(32)}, examine=lambda *_: None, jobs=3)
    assert measurement.stopped == "a"
    assert "big" not in [e.path for e in measurement.manifest.entries] or files.bytes_read("big") == 64 * MIB


def test_a_file_that_cannot_be_read_stops_it_too() -> None:
    artifact = Artifact(name="m", files=BrokenFiles(), members=(Member("a", 1), Member("b", 1)))
    assert measure(artifact, Plan(), expected={"a": bytes(32)}).stopped == "a"


# Requests that make no sense.


def test_impossible_plans_are_refused() -> None:
    artifact, _ = in_memory({"f": b"x" * 3_000_001})
    with pytest.raises(UsageError, match="hash-unknown"):
        Plan(hashes=frozenset({"md5"}))
    with pytest.raises(UsageError, match="hash-unknown"):
        Plan(shards=(("crc32", 10),))
    with pytest.raises(UsageError, match="bad-shard-size"):
        Plan(shards=(("sha256", 0),))
    with pytest.raises(UsageError, match="hash-missing"):
        measure(artifact, Plan(hashes=frozenset({"blake3"})), expected={"f": b""})
    with pytest.raises(LimitError, match="limit-members"):
        measure(artifact, Plan(shards=(("sha256", 1),)))


def test_progress_hears_of_every_byte(model: Path) -> None:
    class Heard:
        def __init__(self) -> None:
            self.counts: dict[str, int] = {}

        def advance(self, count: int, path: str) -> None:
            self.counts[path] = self.counts.get(path, 0) + count

    artifact = open_artifact(model)
    for examine in (None, lambda _, source: source.read(0, source.size) and None):
        heard = Heard()
        measure(artifact, Plan(), progress=heard, jobs=2, examine=examine)
        assert heard.counts == {member.path: member.size for member in artifact.members}


def test_an_empty_model_has_no_digest() -> None:
    artifact, _ = in_memory({})
    manifest = measure(artifact, Plan(tensors=True)).manifest
    assert (manifest.files_digest(), manifest.tensors_digest(), manifest.card_digest()) == (None, None, None)


# Costs.


def in_a_process(code: str, *arguments: str) -> dict[str, float]:
    """Run code that prints Python literals, alone in a process."""
    program = textwrap.dedent(code)
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    found: dict[str, float] = eval(result.stdout)
    return found


MEASURE = """
    import resource, sys, hashlib, blake3, concurrent.futures
    from weighbridge.measure import Plan, measure
    from weighbridge.scan.engine import Scanner
    from weighbridge.store import open_artifact
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    plan = Plan(hashes=frozenset({"sha256", "blake3"}), tensors=True, shards=(("sha256", 10**8),))
    greedy = lambda member, source: sum(len(source.read(at, 2**20)) for at in range(0, source.size, 2**20))
    done = measure(open_artifact(sys.argv[1]), plan, examine=greedy if sys.argv[2] == "greedy" else None, jobs=2)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print({"rss": (after - before) / 1024, "unread": len(done.unread)})
"""


@pytest.mark.parametrize("examiner", ["greedy", "none"])
def test_memory_is_bounded(tmp_path: Path, examiner: str) -> None:
    """Sparse files, so that the test is cheap; an examiner that reads everything must not make it cost more."""
    for name in ("a", "b", "c"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(150 * MIB)
    found = in_a_process(MEASURE, str(tmp_path), examiner)
    assert found["unread"] == 0
    assert found["rss"] < 100


def test_small_models_start_no_threads_and_import_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    code = """
        import sys
        from weighbridge.measure import Plan, measure
        from weighbridge.store import open_artifact
        measure(open_artifact(sys.argv[1]), Plan())
        print(sorted({"concurrent.futures", "blake3", "logging", "cryptography", "difflib"} & set(sys.modules)))
    """
    assert in_a_process(code, str(tmp_path)) == []


def test_as_many_threads_as_processors_by_default() -> None:
    assert engine._cores() == len(os.sched_getaffinity(0))


def test_source_of_a_failed_file_says_why() -> None:
    def examine(_: Member, source: Source) -> str:
        with pytest.raises(InputError, match="unreadable"):
            source.read(0, 1)
        return "heard"

    artifact = Artifact(name="m", files=BrokenFiles(), members=(Member("a", 1),))
    assert measure(artifact, Plan(), examine=examine).examined == ("heard",)


@pytest.mark.parametrize("size", [700, 3 * MIB])
def test_a_shard_that_is_the_whole_file_is_not_hashed_twice(size: int) -> None:
    data = noise(size)
    shards = (("sha256", size), ("blake3", size - 1), ("blake3", size + 1), ("blake2b", 1 << 30))
    plan = Plan(hashes=frozenset({"sha256", "blake3"}), shards=shards)
    artifact, _ = in_memory({"f": data, "empty": b""})
    assert measure(artifact, plan).manifest.shards == (
        ("f", 0, size, "sha256", hashlib.sha256(data).digest()),
        ("f", 0, size - 1, "blake3", blake3(data[:-1]).digest()),
        ("f", size - 1, size, "blake3", blake3(data[-1:]).digest()),
        ("f", 0, size, "blake3", blake3(data).digest()),
        ("f", 0, size, "blake2b", hashlib.blake2b(data).digest()),
    )
