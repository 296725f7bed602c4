"""The rows `logged` and `fresh`, from files alone: what proves, what refutes, and what leaves a question open."""

from pathlib import Path

import pytest

from weighbridge.core.errors import InputError
from weighbridge.core.evidence import Evidence
from weighbridge.core.moment import DAY
from weighbridge.core.value import replace
from weighbridge.tlog.client import HighWater, LogReader, from_directory, keep_high_water
from weighbridge.tlog.cosign import Cosigner
from weighbridge.tlog.entry import write_entry
from weighbridge.tlog.logged import examine, fresh, head_age, logged
from weighbridge.tlog.policy import Trusted, trust_checkpoint
from weighbridge.tlog.proof import MAX_PROOFS, read_proof, read_proofs, write_proof, write_proofs
from weighbridge.tlog.publish import publish
from weighbridge.tlog.sequencer import Sequencer
from weighbridge.tlog.targets import DirectoryTarget

from .logs import EAST, LOG, NOW, ORIGIN, cosigner, cosigners, entries, entry, policy, signer


def made(
    folder: Path, stop: int, witnesses: tuple[Cosigner, ...], salt: str = "", now: int = NOW
) -> LogReader:
    """A log of so many entries, read back."""
    log = Sequencer(folder / "log.db", ORIGIN)
    log.append(entries(0, stop, salt=salt))
    publish(log, DirectoryTarget(folder / "public"), [LOG], now=now, cosigners=witnesses)
    log.close()
    reader = LogReader(from_directory(folder / "public"), policy(0))
    reader.refresh(now)
    return reader


@pytest.fixture
def log(tmp_path: Path) -> LogReader:
    (tmp_path / "log").mkdir()
    return made(tmp_path / "log", 600, cosigners(tmp_path / "w"))


def named(number: int, salt: str = "") -> str:
    return f"sha256:{entry(number, salt=salt).statement.hex()}"


def says(row: Evidence) -> tuple[str, str]:
    return row.outcome.value, row.code


def test_a_statement_in_the_log_passes(log: LogReader) -> None:
    data = write_proofs([log.prove(3), log.prove(599)])
    row = logged([named(599)], data, policy(2), NOW)
    assert (says(row), row.by) == (("pass", ""), ORIGIN)
    assert row.why == "entry 599 of 600, cosigned by north, south"
    assert says(logged([named(1), named(3)], data, policy(2), NOW)) == ("pass", "")


def test_what_is_not_there_stays_open(log: LogReader) -> None:
    data = write_proof(log.prove(3))
    assert says(logged([], data, policy(2), NOW)) == ("unknown", "log-no-proof")
    assert says(logged([named(3)], None, policy(2), NOW)) == ("unknown", "log-no-proof")
    assert says(logged([named(3)], data, None, NOW)) == ("unknown", "log-no-policy")
    assert says(logged([named(4)], data, policy(2), NOW)) == ("unknown", "log-no-proof")
    assert says(logged([named(3)], data, policy(3), NOW)) == ("unknown", "log-quorum")
    assert says(logged([named(3)], b"no proof", policy(2), NOW)) == ("unknown", "bad-log-proof")
    stranger = replace(policy(0), logs=(replace(policy(0).logs[0], key=signer("x.example.com").vkey),))
    assert says(logged([named(3)], data, stranger, NOW)) == ("unknown", "log-unsigned")


def test_a_proof_without_its_entry_needs_it_from_elsewhere(log: LogReader) -> None:
    bare = write_proof(replace(log.prove(3), extra=None))
    assert says(logged([named(3)], bare, policy(2), NOW)) == ("unknown", "bad-log-proof")
    texts = [write_entry(entry(at)) for at in (2, 3)]
    assert says(logged([named(3)], bare, policy(2), NOW, candidates=texts)) == ("pass", "")
    assert says(logged([named(3)], bare, policy(2), NOW, candidates=texts[:1])) == (
        "unknown",
        "log-not-included",
    )


def test_a_proof_that_was_made_up_fails(log: LogReader) -> None:
    """The entry of another statement in a true proof; a hash, the root, and the witness's line changed."""
    true = log.prove(3)
    posed = write_proof(replace(true, extra=write_entry(entry(700))))
    assert says(logged([named(700)], posed, policy(2), NOW)) == ("fail", "log-not-included")
    bent = write_proof(replace(true, hashes=(bytes(32), *true.hashes[1:])))
    assert says(logged([named(3)], bent, policy(2), NOW)) == ("fail", "log-not-included")
    forged = write_proof(replace(true, checkpoint=true.checkpoint.replace(b"\n600\n", b"\n601\n")))
    assert says(logged([named(3)], forged, policy(2), NOW)) == ("fail", "bad-note-signature")
    # A true proof of the same statement beside it does not hide the wrong one.
    assert says(logged([named(3)], write_proof(true) + bent, policy(2), NOW)) == ("fail", "log-not-included")


def test_equivocation_shows_in_two_proofs(log: LogReader, tmp_path: Path) -> None:
    """The operator shows one history to two witnesses and another to a third; each is enough for a weak policy."""
    (tmp_path / "twin").mkdir()
    twin = made(tmp_path / "twin", 600, (cosigner(tmp_path / "w", EAST),), salt="other ")
    mine, theirs = write_proof(log.prove(3)), write_proof(twin.prove(3))
    assert says(logged([named(3)], mine, policy(1), NOW)) == ("pass", "")
    assert says(logged([named(3, "other ")], theirs, policy(1), NOW)) == ("pass", "")
    row = logged([named(3)], mine + theirs, policy(1), NOW)
    assert (says(row), row.why) == (
        ("fail", "log-fork"),
        f'the log "{ORIGIN}" shows two histories of 600 entries',
    )
    # A quorum of two never lets the second history through: no two quorums of three are apart.
    assert says(logged([named(3, "other ")], theirs, policy(2), NOW)) == ("unknown", "log-quorum")
    # And who has seen the first one on this machine is told.
    head = log.trusted.checkpoint
    mark = HighWater(origin=ORIGIN, size=600, root=head.root, time=NOW)
    assert says(logged([named(3, "other ")], theirs, policy(1), NOW, seen=[mark])) == ("fail", "log-fork")


def test_several_proofs_in_one_file(log: LogReader) -> None:
    proofs = tuple(log.prove(at) for at in (0, 255, 256, 599))
    assert read_proofs(write_proofs(proofs)) == proofs
    assert read_proofs(write_proof(proofs[0])) == (read_proof(write_proof(proofs[0])),)
    assert [one.index for one in examine(write_proofs(proofs), policy(2))] == [0, 255, 256, 599]  # type: ignore[union-attr]
    with pytest.raises(InputError, match=r"\[bad-log-proof\]$"):
        read_proofs(write_proofs([proofs[0]] * (MAX_PROOFS + 1)))
    assert len(read_proofs(write_proofs([proofs[0]] * MAX_PROOFS))) == MAX_PROOFS


# ---------------------------------------------------------------------------------------------------------------- age


def trusted(log: LogReader) -> Trusted:
    return trust_checkpoint(policy(2), log.trusted.note)


def mark_of(head: Trusted, time: int, more: int = 0) -> HighWater:
    one = head.checkpoint
    return HighWater(origin=one.origin, size=one.size + more, root=one.root, time=time)


def test_age_is_told_in_days(log: LogReader) -> None:
    head = trusted(log)
    assert head_age(head, None, NOW).told == "of this hour"
    assert head_age(head, None, NOW + 5 * 3600).told == "5 hours old"
    old = head_age(head, None, NOW + 41 * DAY)
    assert old.told == "41 days old"
    assert (says(fresh(old, 41 * DAY)), fresh(old, 41 * DAY).why) == (
        ("pass", ""),
        "the log's head is 41 days old",
    )
    assert says(fresh(old, 40 * DAY)) == ("unknown", "log-stale")
    assert fresh(old, 40 * DAY).why == "the log's head is 41 days old; 40 days are allowed"


def test_a_clock_set_back_is_noticed(log: LogReader) -> None:
    """Also one that is behind the witnesses' own time."""
    head = trusted(log)
    age = head_age(head, mark_of(head, NOW + 41 * DAY), NOW + DAY)
    assert (age.seconds, age.clock_behind) == (41 * DAY, 40 * DAY)
    assert age.told == "41 days old, the clock is 40 days behind what was seen"
    assert says(fresh(age, 365 * DAY)) == ("unknown", "clock-behind")
    assert head_age(head, None, NOW - 2 * DAY).clock_behind == 2 * DAY
    assert head_age(head, None, NOW - 60).clock_behind == 0


def test_a_head_behind_the_largest_log_is_told(log: LogReader) -> None:
    head = trusted(log)
    assert head_age(head, mark_of(head, NOW, 12), NOW).told == "of this hour, 12 entries behind what was seen"
    assert head_age(head, replace(mark_of(head, NOW, 12), origin="other.example.com"), NOW).behind == 0


def test_without_witnesses_nobody_knows_the_age(log: LogReader) -> None:
    age = head_age(log.trusted, None, NOW)
    assert (age.seconds, age.told) == (None, "of unknown age")
    assert says(fresh(age, 10**9)) == ("unknown", "log-stale")


def test_the_mark_moves_forward_only(log: LogReader, tmp_path: Path) -> None:
    place, head = tmp_path / "mark.json", trusted(log)
    assert keep_high_water(place, [], NOW) is None
    assert keep_high_water(place, [head], NOW + 50) == mark_of(head, NOW + 50)
    smaller = replace(head, checkpoint=replace(head.checkpoint, size=5, root=bytes(32)))
    assert keep_high_water(place, [smaller], NOW) == mark_of(head, NOW + 50)
    other = replace(head, checkpoint=replace(head.checkpoint, root=bytes(32)))
    with pytest.raises(InputError, match=r"\[log-fork\]$"):
        keep_high_water(place, [other], NOW)
