"""Witnesses, clients, auditors and mirrors against an operator who shrinks, forks, freezes or edits the log."""

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from weighbridge.core.errors import BrokenError, InputError, UnavailableError, UsageError
from weighbridge.tlog.audit import audit
from weighbridge.tlog.checkpoint import Checkpoint, write_checkpoint
from weighbridge.tlog.client import LogReader, from_directory, from_https, read_high_water
from weighbridge.tlog.cosign import Answer, Cosigner, cosign, over_http, write_request
from weighbridge.tlog.entry import write_entry
from weighbridge.tlog.merkle import EMPTY, Tile, bundle_path
from weighbridge.tlog.mirror import mirror
from weighbridge.tlog.note import read_signatures, sign_note, write_note
from weighbridge.tlog.proof import verify_proof
from weighbridge.tlog.publish import publish
from weighbridge.tlog.sequencer import Sequencer
from weighbridge.tlog.targets import CHECKPOINT, DirectoryTarget
from weighbridge.tlog.witness import Witness, serve

from .logs import EAST, LOG, NORTH, NOW, ORIGIN, SOUTH, cosigners, entries, entry, policy, signer


class Operator:
    """Runs a log, and holds its key; honest until a test says otherwise."""

    def __init__(self, folder: Path, witnesses: Path) -> None:
        self.folder, self.witnesses = folder, witnesses
        folder.mkdir()
        self.public = folder / "public"
        self.log = Sequencer(folder / "log.db", ORIGIN)

    def grow(self, start: int, stop: int, salt: str = "") -> "Operator":
        self.log.append(entries(start, stop, salt=salt))
        return self

    def show(self, now: int = NOW, needed: int = 2) -> Path:
        publish(
            self.log,
            DirectoryTarget(self.public),
            [LOG],
            now=now,
            cosigners=cosigners(self.witnesses, (NORTH, SOUTH, EAST)[: needed + 1] if needed else (), now),
            policy=policy(needed),
        )
        return self.public


@pytest.fixture
def honest(tmp_path: Path) -> Iterator[Operator]:
    one = Operator(tmp_path / "honest", tmp_path / "witnesses")
    yield one
    one.log.close()


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[Operator]:
    """The same key, other entries, and the same witnesses are asked."""
    one = Operator(tmp_path / "twin", tmp_path / "witnesses")
    yield one
    one.log.close()


def reader(folder: Path, tmp_path: Path, needed: int = 2, max_age: int | None = None) -> LogReader:
    return LogReader(from_directory(folder), policy(needed), tmp_path / "seen.json", max_age)


def refused(code: str) -> "pytest.RaisesExc[InputError]":
    return pytest.raises(InputError, match=rf"\[{code}\]$")


# ------------------------------------------------------------------------------------------------------------ clients


def test_a_client_follows_a_log_that_grows(honest: Operator, tmp_path: Path) -> None:
    for stop in (1, 256, 300, 900):
        folder = honest.grow(0, stop).show()
        one = reader(folder, tmp_path)
        assert one.refresh(NOW).checkpoint.size == stop
        for index in (0, stop // 2, stop - 1):
            text = one.entry(index)
            assert text == write_entry(entry(index))
            assert verify_proof(one.prove(index), text, policy(2), NOW).index == index
    assert [text for _, text in one.entries(250, 260)] == [write_entry(one) for one in entries(250, 260)]
    assert one.find(entry(700).statement) == 700
    assert one.find(bytes(32)) is None
    mark = read_high_water(tmp_path / "seen.json")
    assert mark is not None
    assert (mark.size, mark.time) == (900, NOW)
    with pytest.raises(UsageError, match=r"\[log-no-entry\]$"):
        one.entry(900)


def test_an_unread_log_answers_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\[log-not-read\]$"):
        reader(tmp_path, tmp_path).entry(0)
    with pytest.raises(UnavailableError, match=r"\[log-missing\]$"):
        reader(tmp_path, tmp_path).refresh(NOW)


def test_rollback_is_caught_by_the_client(honest: Operator, tmp_path: Path) -> None:
    shutil.copytree(honest.grow(0, 300).show(), tmp_path / "before")
    reader(honest.grow(300, 310).show(), tmp_path).refresh(NOW)
    with refused("log-rollback"):
        reader(tmp_path / "before", tmp_path).refresh(NOW)
    assert reader(honest.public, tmp_path).refresh(NOW).checkpoint.size == 310


@pytest.mark.parametrize("size", [300, 301, 900])
def test_a_fork_is_caught_by_the_client(honest: Operator, twin: Operator, tmp_path: Path, size: int) -> None:
    """Also where no witness watches."""
    reader(honest.grow(0, 300).show(needed=0), tmp_path, 0).refresh(NOW)
    twin.grow(0, 299).grow(299, size, salt="other ")
    with refused("log-fork"):
        reader(twin.show(needed=0), tmp_path, 0).refresh(NOW)


def test_a_freeze_is_caught_by_the_client(honest: Operator, tmp_path: Path) -> None:
    folder = honest.grow(0, 3).show()
    day = 24 * 3600
    one = reader(folder, tmp_path, max_age=day)
    one.refresh(NOW + day)
    with refused("log-stale"):
        one.refresh(NOW + day + 1)
    with refused("log-stale"):
        reader(folder, tmp_path, 0, max_age=day).refresh(NOW)
    honest.show(NOW + 2 * day)
    assert one.refresh(NOW + 2 * day).time == NOW + 2 * day


def test_a_clock_set_back_makes_nothing_fresh(honest: Operator, tmp_path: Path) -> None:
    folder = honest.grow(0, 3).show()
    reader(folder, tmp_path).refresh(NOW + 10_000)
    with refused("log-stale"):
        reader(folder, tmp_path, max_age=3600).refresh(NOW)


def test_another_log_under_the_same_mark_is_refused(honest: Operator, tmp_path: Path) -> None:
    reader(honest.grow(0, 3).show(), tmp_path).refresh(NOW)
    text = (tmp_path / "seen.json").read_text().replace(ORIGIN, "other.example.com")
    (tmp_path / "seen.json").write_text(text)
    with refused("log-fork"):
        reader(honest.public, tmp_path).refresh(NOW)
    (tmp_path / "seen.json").write_text(text[:20])
    with pytest.raises(UsageError, match=r"\[bad-high-water\]$"):
        reader(honest.public, tmp_path).refresh(NOW)


def test_changed_files_prove_nothing(honest: Operator, tmp_path: Path) -> None:
    folder = honest.grow(0, 600).show()
    one = reader(folder, tmp_path)
    one.refresh(NOW)
    bundle = folder / bundle_path(1)
    bundle.write_bytes(bundle.read_bytes().replace(b"ann", b"bob", 1))
    with refused("log-damaged"):
        one.entry(256)
    with refused("log-damaged"):
        list(one.entries(500, 501))
    assert one.entry(257)
    tile = folder / Tile(0, 0).path
    tile.write_bytes(bytes(8192))
    with refused("log-damaged"):
        one.entry(5)
    tile.unlink()
    fresh = LogReader(from_directory(folder), policy(2))
    fresh.refresh(NOW)
    with pytest.raises(UnavailableError, match=r"\[log-missing\]$"):
        fresh.entry(5)


# ---------------------------------------------------------------------------------------------------------- witnesses


def note_of(size: int, root: bytes, *keys: object) -> bytes:
    text = write_checkpoint(Checkpoint(origin=ORIGIN, size=size, root=root))
    return write_note(sign_note(text, keys or [LOG], NOW))  # type: ignore[arg-type]


def test_a_witness_answers_as_the_specification_says(
    honest: Operator, twin: Operator, tmp_path: Path
) -> None:
    log = honest.grow(0, 10).log
    tree = log.tree()
    witness = Witness(tmp_path / "w", [NORTH, SOUTH], [LOG.vkey])

    def ask(
        old: int, size: int, root: bytes | None = None, proof: tuple[bytes, ...] | None = None
    ) -> tuple[int, bytes]:
        steps = tree.consistency(old, size) if proof is None else proof
        answer = witness.add_checkpoint(
            write_request(old, steps, note_of(size, root or tree.root(size))), NOW
        )
        return answer.status, answer.body

    assert ask(3, 5) == (409, b"0\n")
    status, body = ask(0, 5)
    assert (status, len(read_signatures(body.decode()))) == (200, 2)
    assert ask(0, 7) == (409, b"5\n")
    assert ask(5, 7, proof=())[0] == 422
    assert ask(5, 7, proof=(EMPTY, EMPTY))[0] == 422
    assert ask(5, 7, root=EMPTY)[0] == 422
    assert ask(5, 5)[0] == 200
    assert ask(5, 5, root=EMPTY)[0] == 409
    assert ask(5, 5, proof=(EMPTY,))[0] == 422
    assert ask(7, 5, proof=())[0] == 400
    assert ask(5, 10)[0] == 200
    assert ask(5, 7) == (409, b"10\n")
    assert witness.seen(ORIGIN).size == 10
    stranger = write_request(10, (), note_of(10, tree.root(), signer("x.example.com")))
    assert witness.add_checkpoint(stranger, NOW).status == 403
    forged = write_request(10, (), note_of(10, tree.root()).replace(b"\n10\n", b"\n11\n"))
    assert witness.add_checkpoint(forged, NOW).status == 403
    other = write_request(0, (), note_of(1, EMPTY).replace(ORIGIN.encode(), b"other.example.com"))
    assert witness.add_checkpoint(other, NOW).status == 404


@pytest.mark.parametrize(
    "body", [b"", b"old 1", b"new 1\n\nx", b"old 01\n\n", b"old -1\n\n", b"old 0\nAAAA\n\n", b"\xff\n\n"]
)
def test_a_request_that_is_none_gets_400(tmp_path: Path, body: bytes) -> None:
    witness = Witness(tmp_path, [NORTH], [LOG.vkey])
    assert witness.add_checkpoint(body + note_of(1, EMPTY), NOW).status == 400
    many = b"old 0\n" + b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n" * 64 + b"\n" + note_of(1, EMPTY)
    assert witness.add_checkpoint(many, NOW).status == 400


def test_a_witness_that_lost_its_memory_cosigns_nothing(honest: Operator, tmp_path: Path) -> None:
    tree = honest.grow(0, 3).log.tree()
    witness = Witness(tmp_path / "w", [NORTH], [LOG.vkey])
    request = write_request(0, (), note_of(3, tree.root()))
    assert witness.add_checkpoint(request, NOW).status == 200
    (kept,) = (tmp_path / "w").iterdir()
    kept.write_bytes(kept.read_bytes()[:10])
    with pytest.raises(BrokenError, match=r"\[log-witness-state\]$"):
        witness.add_checkpoint(request, NOW)
    with pytest.raises(UsageError, match=r"\[log-witness-key\]$"):
        Witness(tmp_path / "w", [LOG], [LOG.vkey])


def test_two_requests_at_once_are_one_after_the_other(honest: Operator, tmp_path: Path) -> None:
    tree = honest.grow(0, 20).log.tree()
    witness = Witness(tmp_path / "w", [NORTH], [LOG.vkey])
    notes = [note_of(size, tree.root(size)) for size in range(1, 21)]
    statuses: list[int] = []
    threads = [
        threading.Thread(
            target=lambda n=note: statuses.append(witness.add_checkpoint(write_request(0, (), n), NOW).status)
        )
        for note in notes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, *[409] * 19]


@pytest.mark.parametrize("size", [10, 15])
def test_a_fork_is_caught_by_the_quorum(honest: Operator, twin: Operator, tmp_path: Path, size: int) -> None:
    """The operator asks the same witnesses for another history, and they do not cosign it."""
    honest.grow(0, 10).show()
    twin.grow(0, size, salt="other ")
    with refused("log-quorum"):
        twin.show()
    assert not (twin.public / CHECKPOINT).exists()
    with refused("log-quorum"):
        reader(twin.show(needed=0), tmp_path).refresh(NOW)


def test_a_rollback_is_caught_by_the_quorum(honest: Operator, twin: Operator) -> None:
    honest.grow(0, 10).show()
    with refused("log-quorum"):
        twin.grow(0, 9).show()


def test_witnesses_are_asked_at_once_and_told_in_their_order(honest: Operator, tmp_path: Path) -> None:
    """Each answers only when all have been asked; the first is the last to answer, and one never does."""
    met, never = threading.Barrier(3), threading.Event()
    known = cosigners(tmp_path / "at once", (NORTH, SOUTH, EAST))
    answered: list[str] = []

    def waiting(cosigner: Cosigner, turn: int) -> Cosigner:
        def ask(body: bytes) -> Answer:
            met.wait(10)
            while len(answered) != turn:
                time.sleep(0.001)
            try:
                return cosigner.ask(body)
            finally:
                answered.append(cosigner.key.name)

        return Cosigner(key=cosigner.key, ask=ask)

    def silent(_: bytes) -> Answer:
        never.wait(60)
        raise UnavailableError("network", "too late")

    asked = [waiting(one, 2 - place) for place, one in enumerate(known)]
    asked.insert(1, Cosigner(key=signer("mute.example.org/w").vkey, ask=silent))
    head = honest.log.head()
    text = write_checkpoint(Checkpoint(origin=ORIGIN, size=head.size, root=head.root))
    began = time.monotonic()
    note, refused = cosign(sign_note(text, [LOG], NOW), honest.log.tree(head.size), asked, seconds=5)
    took = time.monotonic() - began
    never.set()
    assert answered == [EAST.vkey.name, SOUTH.vkey.name, NORTH.vkey.name]
    assert [line.name for line in note.signatures[1:]] == [NORTH.vkey.name, SOUTH.vkey.name, EAST.vkey.name]
    assert refused == ("mute.example.org/w: no answer within 5 seconds",)
    assert took < 20


def test_witnesses_over_http(honest: Operator, tmp_path: Path) -> None:
    witness = Witness(tmp_path / "w", [SOUTH], [LOG.vkey])
    with serve(witness, lambda: NOW) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ask = over_http(f"http://127.0.0.1:{server.server_port}/")
        one = Cosigner(key=SOUTH.vkey, ask=ask)
        for stop in (5, 300):
            honest.grow(0, stop)
            target = DirectoryTarget(honest.public)
            done = publish(honest.log, target, [LOG], now=NOW, cosigners=[one], policy=policy(1))
            assert (done.refused, done.checkpoint.size) == ((), stop)
        assert ask(b"nonsense").status == 400
        impostor = Cosigner(key=EAST.vkey, ask=ask)
        done = publish(honest.log, target, [LOG], now=NOW, cosigners=[impostor])
        assert done.refused[0].endswith("[log-witness]")
        server.shutdown()
    gone = Cosigner(key=SOUTH.vkey, ask=over_http(f"http://127.0.0.1:{server.server_port}/", 2))
    done = publish(honest.log, target, [LOG], now=NOW, cosigners=[gone])
    assert done.refused[0].endswith("[network]")


# --------------------------------------------------------------------------------------------- auditors and mirrors


def test_an_auditor_sees_what_was_edited(honest: Operator, twin: Operator) -> None:
    folder = honest.grow(0, 600).show()
    fetch = from_directory(folder)
    bodies = {entry(3).statement: b"3", entry(4).statement: b"forged"}
    found = audit(fetch, policy(2), NOW, body=bodies.get)
    assert (found.root, found.kinds, found.bodies) == (honest.log.head().root, (("attest", 600),), 1)
    assert [(problem.code, problem.where) for problem in found.problems] == [("log-body", "entry 4")]
    earlier = audit(from_directory(twin.grow(0, 10, salt="x").show(needed=0)), policy(0)).trusted
    assert [problem.code for problem in audit(fetch, policy(2), seen=[earlier.checkpoint]).problems] == [
        "log-fork"
    ]
    assert [
        problem.code
        for problem in audit(from_directory(twin.public), policy(0), seen=[found.trusted.checkpoint]).problems
    ] == ["log-rollback"]
    (folder / Tile(0, 1).path).unlink()
    (folder / Tile(1, 0, 2).path).write_bytes(bytes(64))
    assert [(problem.code, problem.where) for problem in audit(fetch, policy(2)).problems] == [
        ("log-missing", "tile/0/001"),
        ("log-damaged", "tile/1/000.p/2"),
    ]
    (folder / bundle_path(0)).unlink()
    assert [problem.where for problem in audit(fetch, policy(2)).problems] == ["tile/entries/000"]


def test_a_mirror_copies_what_is_proved(honest: Operator, tmp_path: Path) -> None:
    target = DirectoryTarget(tmp_path / "mirror")
    for stop in (3, 256, 300, 900):
        folder = honest.grow(0, stop).show()
        assert mirror(from_directory(folder), target, policy(2), NOW).trusted.checkpoint.size == stop
        assert audit(target.fetch, policy(2)).problems == ()
    assert mirror(from_directory(folder), target, policy(2)).files == 0
    assert reader(tmp_path / "mirror", tmp_path).refresh(NOW).checkpoint.size == 900


def test_a_mirror_keeps_its_copy_from_a_bad_log(honest: Operator, twin: Operator, tmp_path: Path) -> None:
    target = DirectoryTarget(tmp_path / "mirror")
    shutil.copytree(honest.grow(0, 300).show(), tmp_path / "before")
    mirror(from_directory(honest.grow(300, 400).show()), target, policy(2))
    with refused("log-rollback"):
        mirror(from_directory(tmp_path / "before"), target, policy(2))
    with refused("log-fork"):
        mirror(from_directory(twin.grow(0, 500, salt="other ").show(needed=0)), target, policy(0))
    folder = honest.grow(400, 700).show()
    bundle = folder / bundle_path(1)
    bundle.write_bytes(bundle.read_bytes().replace(b"ann", b"bob", 1))
    with refused("log-damaged"):
        mirror(from_directory(folder), target, policy(2))
    assert audit(target.fetch, policy(2)).trusted.checkpoint.size == 400


def test_a_log_is_read_from_any_web_server(honest: Operator, tmp_path: Path) -> None:
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    folder = honest.grow(0, 300).show()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        one = LogReader(from_https(f"http://127.0.0.1:{server.server_port}"), policy(2))
        assert one.refresh(NOW).checkpoint.size == 300
        assert one.entry(299) == write_entry(entry(299))
        server.shutdown()
    with pytest.raises(UsageError, match=r"\[plain-http\]$"):
        from_https("http://log.example.com")
