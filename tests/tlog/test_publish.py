"""One conformance suite for where a log is published, a folder and a bucket; and killing the writer at any moment."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.services import postgres, s3
from weighbridge.core.errors import BrokenError, InputError, UnavailableError, UsageError
from weighbridge.tlog.audit import audit
from weighbridge.tlog.cosign import Cosigner
from weighbridge.tlog.merkle import Tile, bundle_path, tiles_of
from weighbridge.tlog.mirror import mirror
from weighbridge.tlog.places import open_fetch, open_target
from weighbridge.tlog.publish import publish, repair
from weighbridge.tlog.sequencer import Sequencer
from weighbridge.tlog.targets import CHECKPOINT, DirectoryTarget, S3Target, Target

from .logs import EAST, LOG, NOW, ORIGIN, cosigners, entries, entry, policy


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with s3(tmp_path_factory.mktemp("s3")) as url:
        yield url


def bucket(url: str, name: str) -> Any:
    from obstore.store import S3Store

    return S3Store(
        name,
        endpoint=url,
        access_key_id="testkey",
        secret_access_key="testsecret",
        region="us-east-1",
        client_options={"allow_http": True},
        retry_config={"max_retries": 1},
    )


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.real)])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    if request.param == "folder":
        return DirectoryTarget(tmp_path / "public")
    url = request.getfixturevalue("endpoint")
    make_bucket(url, "logs")
    return S3Target(bucket(url, "logs"), f"log-{random.randrange(1 << 40)}")


def make_bucket(url: str, name: str) -> None:
    """obstore has no call for it; SeaweedFS makes a bucket with the first object that is put into it."""
    import obstore

    obstore.put(bucket(url, name), "first", b"")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Sequencer]:
    one = Sequencer(tmp_path / "log.db", ORIGIN)
    yield one
    one.close()


def whole(target: Target) -> int:
    """The size of a log that an auditor finds nothing wrong with."""
    found = audit(target.fetch, policy(0))
    assert found.problems == ()
    return found.trusted.checkpoint.size


def test_every_size_is_whole_when_it_is_published(log: Sequencer, target: Target, tmp_path: Path) -> None:
    at = 0
    for size in (0, 1, 255, 1, 44, 700):
        log.append(entries(at, at + size))
        at += size
        done = publish(log, target, [LOG], now=NOW, cosigners=cosigners(tmp_path), policy=policy(2))
        assert (done.checkpoint.size, done.refused) == (at, ())
        assert whole(target) == at
        assert audit(target.fetch, policy(2), NOW).root == log.head().root
    assert target.read(Tile(0, 0, 1).path) is None  # partial ones go when the full one is there
    assert target.read(bundle_path(0, 1)) is None
    assert publish(log, target, [LOG], now=NOW + 60).files == 0


def test_a_checkpoint_without_its_quorum_is_not_shown(log: Sequencer, target: Target, tmp_path: Path) -> None:
    log.append(entries(0, 3))
    away = Cosigner(key=EAST.vkey, ask=lambda _: (_ for _ in ()).throw(BrokenError("network", "away")))
    with pytest.raises(InputError) as caught:
        publish(log, target, [LOG], now=NOW, cosigners=[*cosigners(tmp_path)[:1], away], policy=policy(2))
    assert caught.value.code == "log-quorum"
    assert target.read(CHECKPOINT) is None
    done = publish(log, target, [LOG], now=NOW, cosigners=[*cosigners(tmp_path), away], policy=policy(2))
    assert done.refused == ("east.example.net/w: away [network]",)


def test_what_is_lost_or_torn_is_written_anew(log: Sequencer, target: Target) -> None:
    log.append(entries(0, 600))
    publish(log, target, [LOG], now=NOW)
    assert repair(log, target) == 0
    harm(target, Tile(0, 1).path, b"")
    harm(target, bundle_path(0), (target.read(bundle_path(0)) or b"")[:100])
    found = audit(target.fetch, policy(0))
    assert [problem.code for problem in found.problems][:1] == ["log-damaged"]
    assert repair(log, target) == 2
    assert whole(target) == 600


def harm(target: Target, path: str, data: bytes) -> None:
    if isinstance(target, DirectoryTarget):
        (target._folder / path).write_bytes(data)
    else:
        target._call("put", path, data)  # type: ignore[attr-defined]


def test_a_torn_or_lost_checkpoint_is_replaced(log: Sequencer, target: Target) -> None:
    log.append(entries(0, 300))
    note = publish(log, target, [LOG], now=NOW).note
    harm(target, CHECKPOINT, note[:40])
    log.append(entries(300, 310))
    publish(log, target, [LOG], now=NOW)
    assert whole(target) == 310


def test_a_database_from_an_old_copy_is_not_published(log: Sequencer, target: Target, tmp_path: Path) -> None:
    log.append(entries(0, 10))
    publish(log, target, [LOG], now=NOW)
    for count, code in ((9, "log-rollback"), (10, "log-fork"), (11, "log-fork")):
        old = Sequencer(tmp_path / f"old{count}.db", ORIGIN)
        old.append(entries(0, count, salt="other "))
        with pytest.raises(InputError) as caught:
            publish(old, target, [LOG], now=NOW)
        assert caught.value.code == code
        old.close()
    assert whole(target) == 10


def test_a_signed_head_is_never_contradicted_elsewhere(
    log: Sequencer, tmp_path: Path, target: Target
) -> None:
    """The database alone knows that it signed for more: also another, empty target is refused."""
    from weighbridge.tlog.checkpoint import Checkpoint, write_checkpoint
    from weighbridge.tlog.note import sign_note, write_note

    log.append(entries(0, 3))
    text = write_checkpoint(Checkpoint(origin=ORIGIN, size=4, root=bytes(32)))
    log.keep_signed(write_note(sign_note(text, [LOG], NOW)))
    with pytest.raises(InputError) as caught:
        publish(log, target, [LOG], now=NOW)
    assert caught.value.code == "log-rollback"


def test_another_log_is_not_written_over(log: Sequencer, target: Target, tmp_path: Path) -> None:
    log.append(entries(0, 3))
    publish(log, target, [LOG], now=NOW)
    other = Sequencer(tmp_path / "other.db", "other.example.com")
    with pytest.raises(UsageError) as caught:
        publish(other, target, [LOG], now=NOW)
    assert caught.value.code == "log-origin"
    other.close()


def test_a_checkpoint_that_changed_meanwhile_is_not_replaced(target: Target) -> None:
    assert target.swap(None, b"one")
    assert not target.swap(None, b"two")
    assert not target.swap(b"two", b"three")
    assert target.swap(b"one", b"two")
    assert target.read(CHECKPOINT) == b"two"


def test_two_publishers_end_with_a_whole_log(log: Sequencer, tmp_path: Path) -> None:
    log.append(entries(0, 300))
    errors: list[str] = []

    def run(salt: str) -> None:
        own, target = Sequencer(tmp_path / "log.db", ORIGIN), DirectoryTarget(tmp_path / "public")
        for number in range(10):
            own.append_one(entry(number, salt=salt))
            try:
                publish(own, target, [LOG], now=NOW)
            except BrokenError as error:
                errors.append(error.code)
        own.close()

    threads = [threading.Thread(target=run, args=(salt,)) for salt in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(errors) <= {"busy"}
    target = DirectoryTarget(tmp_path / "public")
    publish(log, target, [LOG], now=NOW)
    assert whole(target) == 320


@pytest.mark.real
def test_a_bucket_is_named_by_its_address(
    endpoint: str, log: Sequencer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a command line has it; a reader needs no right to write, and a mirror can be a bucket too."""
    make_bucket(endpoint, "logs")
    environment = {"ENDPOINT_URL": endpoint, "ACCESS_KEY_ID": "testkey", "SECRET_ACCESS_KEY": "testsecret"}
    for name, value in (environment | {"REGION": "us-east-1", "ALLOW_HTTP": "true"}).items():
        monkeypatch.setenv(f"AWS_{name}", value)
    place = f"s3://logs/by-name-{random.randrange(1 << 40)}"
    log.append(entries(0, 300))
    publish(log, open_target(place), [LOG], now=NOW)
    assert audit(open_fetch(place), policy(0)).problems == ()
    assert mirror(open_fetch(place), open_target(f"{place}/copy"), policy(0)).files == 5
    assert audit(open_fetch(f"{place}/copy"), policy(0)).problems == ()
    with pytest.raises(UnavailableError) as caught:
        open_fetch(f"{place}/nothing")(CHECKPOINT)
    assert caught.value.code == "log-missing"


@pytest.mark.parametrize("place", ["s3://", "s3:///folder", "ftp://x"])
def test_an_address_that_names_no_place_is_refused(place: str) -> None:
    pytest.importorskip("obstore")
    with pytest.raises(UsageError) as caught:
        open_target(place)
    assert caught.value.code == "bad-reference"


class _Careless(BaseHTTPRequestHandler):
    """A store that takes every condition and honours none."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("etag", '"1"')
        self.send_header("content-length", "0")
        self.end_headers()

    do_DELETE = do_POST = do_PUT  # noqa: N815 - the standard library's names

    def log_message(self, *_: object) -> None:
        pass


def test_a_store_that_ignores_conditions_is_refused() -> None:
    pytest.importorskip("obstore")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Careless) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(UsageError) as caught:
            S3Target(bucket(f"http://127.0.0.1:{server.server_port}", "logs"))
        server.shutdown()
    assert caught.value.code == "log-store-unsafe"


# ------------------------------------------------------------------------------------------------------------ kill -9

WRITER = """
import os, sys
from tests.tlog.logs import LOG, NOW, ORIGIN, entries
from tests.tlog.test_publish import target_at
from weighbridge.tlog.publish import publish
from weighbridge.tlog.sequencer import Sequencer

database, place = sys.argv[1:]
while os.read(0, 1):
    if os.fork():
        os.wait()
        os.write(1, b"dead\\n")
        continue
    log, target = Sequencer(database, ORIGIN), target_at(place)
    at = log.head().size
    while True:
        for step in (1, 7, 60):
            places = log.append(entries(at, at + step))
            os.write(1, b"%d %d\\n" % (os.getpid(), places[-1] + 1))
            at += step
        publish(log, target, [LOG], now=NOW)
"""


def target_at(place: str) -> Target:
    """A folder; or a bucket, as `http://HOST:PORT/FOLDER`."""
    if not place.startswith("http://"):
        return DirectoryTarget(Path(place))
    url, _, folder = place.rpartition("/")
    return S3Target(bucket(url, "logs"), folder)


def test_nothing_acknowledged_is_lost_by_kill_minus_nine(tmp_path: Path) -> None:
    """200 writers are killed at random moments; each begins where the one before it was torn away."""
    kill_writers(str(tmp_path / "log.db"), str(tmp_path / "public"), kills=200, within=0.05)


@pytest.mark.real
def test_nothing_acknowledged_is_lost_in_postgres(tmp_path: Path) -> None:
    with postgres() as url:
        kill_writers(url, str(tmp_path / "public"), kills=30, within=0.15)


@pytest.mark.real
def test_nothing_acknowledged_is_lost_with_a_bucket(endpoint: str, tmp_path: Path) -> None:
    make_bucket(endpoint, "logs")
    kill_writers(str(tmp_path / "log.db"), f"{endpoint}/killed", kills=30, within=0.3)


def kill_writers(database: str, place: str, *, kills: int, within: float) -> None:
    """Kill writers at random moments of their first `within` seconds, then look at what they left and go on with it."""
    acknowledged, dice = 0, random.Random(8)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, database, place],
        stdin=-1,
        stdout=-1,
        env=environment,
        cwd=Path(__file__).parents[2],
    ) as parent:
        assert parent.stdin
        assert parent.stdout
        for number in range(kills):
            parent.stdin.write(b".")
            parent.stdin.flush()
            child, told = parent.stdout.readline().split()
            acknowledged = max(acknowledged, int(told))
            time.sleep(dice.random() * within)
            os.kill(int(child), signal.SIGKILL)
            for line in iter(parent.stdout.readline, b"dead\n"):
                acknowledged = max(acknowledged, int(line.split()[1]))
            if number % 20 == 19:
                assert look(database, place) >= acknowledged
        parent.stdin.close()
    log = Sequencer(database, ORIGIN)
    size = log.head().size
    assert size >= acknowledged > kills
    assert log.rebuild() == 0
    assert log.append(entries(0, size)) == tuple(range(size))
    assert log.append_one(entry(size)) == size
    publish(log, target_at(place), [LOG], now=NOW)
    assert whole(target_at(place)) == size + 1
    log.close()


def look(database: str, place: str) -> int:
    """What stands after a kill: the database holds, and what is published is whole."""
    log, target = Sequencer(database, ORIGIN), target_at(place)
    size = log.head().size
    log.close()
    if target.read(CHECKPOINT) is not None:
        assert whole(target) <= size
    return size


def test_the_tree_costs_at_most_33_bytes_an_entry() -> None:
    size = 1_000_000
    assert sum(32 * tile.width for tile in tiles_of(size)) / size < 32.2
