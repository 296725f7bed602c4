"""One conformance suite for the sequencer, on SQLite and on Postgres."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services import postgres
from weighbridge.core.errors import BrokenError, InputError, UsageError
from weighbridge.tlog.database import open_database
from weighbridge.tlog.entry import LogEntry, write_entry
from weighbridge.tlog.merkle import Tile, read_bundle
from weighbridge.tlog.sequencer import Sequencer

from .logs import ORIGIN, entries, entry, rfc_root

Make = Callable[[], Sequencer]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.real)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield str(tmp_path / "log.db")
        return
    url = request.getfixturevalue("server")
    yield url
    database = open_database(url)
    with database.writing() as transaction:
        for table in ("log", "bundles", "entries", "statements", "tiles"):
            transaction.run(f"DROP TABLE IF EXISTS {table}", [()])
    database.close()


@pytest.fixture
def make(place: str) -> Iterator[Make]:
    opened: list[Sequencer] = []

    def open_one() -> Sequencer:
        opened.append(Sequencer(place, ORIGIN))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def root(log: list[LogEntry]) -> bytes:
    return rfc_root([write_entry(one) for one in log])


def test_entries_keep_their_order_and_their_place(make: Make) -> None:
    log = make()
    assert log.append(entries(0, 300)) == tuple(range(300))
    assert log.append_one(entry(300)) == 300
    assert (log.head().size, log.head().root) == (301, root(entries(0, 301)))
    assert list(log.entries(255, 258)) == [write_entry(one) for one in entries(255, 258)]
    assert read_bundle(log.bundle(1, 45), 45) == tuple(write_entry(one) for one in entries(256, 301))
    assert len(log.tile(Tile(0, 0))) == 8192
    assert log.tree().root() == log.head().root
    assert log.tree(300).root() == root(entries(0, 300))
    again = make()
    assert again.head() == log.head()


def test_a_statement_has_one_place(make: Make) -> None:
    log = make()
    assert log.append([entry(1), entry(2), entry(1)]) == (0, 1, 0)
    assert log.append([entry(3), entry(2), entry(4)]) == (2, 1, 3)
    assert log.append_one(entry(4)) == 3
    assert (log.head().size, log.find(entry(3).statement), log.find(bytes(32))) == (4, 2, None)
    assert log.append([]) == ()


def test_a_large_batch_finds_what_is_there(make: Make) -> None:
    """Also where it is quicker to put first and to count then."""
    log = make()
    log.append(entries(0, 150))
    assert log.append([*entries(140, 300), entry(299), entry(150)]) == (*range(140, 300), 299, 150)
    twice = [*entries(300, 500), *entries(300, 310)]
    assert log.append(twice) == (*range(300, 500), *range(300, 310))
    assert (log.head().size, log.head().root) == (500, root(entries(0, 500)))
    assert log.rebuild() == 0


def test_nothing_of_a_bad_batch_is_taken(make: Make) -> None:
    log = make()
    bad = LogEntry(kind=entry(1).kind, statement=b"short", predicate_type="p", issuer="i", time=1)
    with pytest.raises(UsageError) as caught:
        log.append([entry(1), bad])
    assert caught.value.code == "log-entry"
    assert log.head().size == 0


def test_another_log_is_not_written_to(make: Make, place: str) -> None:
    make()
    with pytest.raises(UsageError) as caught:
        Sequencer(place, "other.example.com")
    assert caught.value.code == "log-origin"


@pytest.mark.parametrize("sizes", [(1, 255, 1), (256, 256), (300, 1, 1, 211, 3000), (2560, 1)])
def test_any_batches_give_the_same_tree(make: Make, sizes: tuple[int, ...]) -> None:
    log, at = make(), 0
    for size in sizes:
        log.append(entries(at, at + size))
        at += size
    assert log.head().root == root(entries(0, at)) == log.tree().root()
    assert log.rebuild() == 0


def test_two_writers_take_turns(make: Make) -> None:
    """Each has its own connection, and half of what they append is the same."""
    logs = [make(), make()]
    given: list[dict[bytes, int]] = [{}, {}]

    def write(which: int) -> None:
        for at in range(0, 200, 10):
            batch = [*entries(at, at + 5), *entries(at, at + 5, salt=f"writer {which} ")]
            places = logs[which].append(batch)
            given[which].update(zip((one.statement for one in batch), places, strict=True))

    threads = [threading.Thread(target=write, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    both = given[0] | given[1]
    assert all(both[statement] == place for one in given for statement, place in one.items())
    assert sorted(both.values()) == list(range(300))
    assert logs[0].head() == logs[1].head()
    assert logs[0].rebuild() == 0
    logs[1].check()


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM entries WHERE place = 299",
        "DELETE FROM entries",
        "DELETE FROM bundles",
        "UPDATE bundles SET entries = (SELECT entry FROM entries WHERE place = 256)",
        "UPDATE log SET size = 299",
        "UPDATE entries SET entry = (SELECT entry FROM entries WHERE place = 256) WHERE place = 298",
        "DELETE FROM tiles WHERE level = 1",
    ],
)
def test_a_database_that_was_cut_is_not_written_to(make: Make, place: str, harm: str) -> None:
    make().append(entries(0, 300))
    database = open_database(place)
    with database.writing() as transaction:
        transaction.run(harm, [()])
    database.close()
    with pytest.raises(InputError) as caught:
        make()
    assert caught.value.code == "log-damaged"


def test_lost_rows_above_the_leaves_are_computed_anew(make: Make, place: str) -> None:
    log = make()
    log.append(entries(0, 600))
    head = log.head()
    database = open_database(place)
    with database.writing() as transaction:
        transaction.run("DELETE FROM tiles", [()])
        transaction.run("DELETE FROM statements WHERE place > 597", [()])
    database.close()
    assert log.rebuild() == 4
    assert (log.head(), log.tree().root()) == (head, head.root)
    assert log.append(entries(596, 601)) == tuple(range(596, 601))


def test_lost_entries_are_noticed(make: Make, place: str) -> None:
    log = make()
    log.append(entries(0, 600))
    database = open_database(place)
    with database.writing() as transaction:
        transaction.run(
            "UPDATE bundles SET entries = (SELECT entries FROM bundles WHERE number = 0) WHERE number = 1",
            [()],
        )
    database.close()
    with pytest.raises(InputError) as caught:
        log.rebuild()
    assert caught.value.code == "log-damaged"


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.db").write_bytes(b"this is no database at all, but somebody's letter" * 40)
    with pytest.raises(BrokenError) as caught:
        Sequencer(tmp_path / "log.db", ORIGIN)
    assert caught.value.code == "log-database"
