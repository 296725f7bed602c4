"""What was called back is refused, in every repackaging and with everything that comes from it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.statements import NOW, Person, judged, thing
from weighbridge.attest.predicates.recall import Recall, RecallEntry, RecallKind, Severity
from weighbridge.attest.step import Relation
from weighbridge.attest.subject import Subject
from weighbridge.core.evidence import Outcome
from weighbridge.core.manifest import Digest
from weighbridge.core.report import SignatureResult
from weighbridge.core.statement import Named
from weighbridge.evidence import mark
from weighbridge.evidence.recalls import current, fresh, newest, read_lists
from weighbridge.recall.lists import statement_of

DATA, MODEL, CHILD = thing("data", 1), thing("model", 2), thing("child", 3)
OFFICE, BEN, EVE = Person("office", "recall"), Person("ben", "builder"), Person("eve")
TEAM = (OFFICE, BEN)
CHAIN = BEN.ran("train", MODEL, (Relation.TRAINED_ON, DATA)) + BEN.ran(
    "quantize", CHILD, (Relation.QUANTIZED_FROM, MODEL)
)
DAY = "2026-11-01T00:00:00Z"


def entry(target=DATA, kind=RecallKind.DATASET, **more) -> RecallEntry:
    return RecallEntry(kind=kind, target=target, reason="labels were poisoned", since=DAY, **more)


def listed(
    *entries: RecallEntry, version: int = 1, issued: str = "2026-11-20T00:00:00Z", by: Person = OFFICE, **more
) -> bytes:
    return by.signs(statement_of(Recall(version=version, issued=issued, entries=entries, **more)))


def row(lists: bytes, model=CHILD, lines: bytes = CHAIN, now=NOW, max_age=30, signatures=(), team=TEAM):
    subject = model if isinstance(model, Subject) else Subject(what=model)
    found, problems = read_lists([("recalls.jsonl", lists)], [one.anchor for one in team], (), now)
    return current(
        newest(found), problems, subject, judged(lines, team), signatures, now=now, max_age=max_age
    )


def test_everything_that_comes_from_it_is_refused_with_the_path() -> None:
    answer = row(listed(entry()))
    assert (answer.outcome, answer.code, answer.by) == (Outcome.FAIL, "recalled", "office")
    assert "child ← quantized from model ← trained on data: labels were poisoned" in answer.why
    assert row(listed(entry()), MODEL).outcome is Outcome.FAIL
    assert row(listed(entry()), DATA).outcome is Outcome.FAIL


def test_what_does_not_come_from_it_stands() -> None:
    answer = row(listed(entry(thing("other", 9))))
    assert (answer.outcome, answer.code) == (Outcome.PASS, "")
    assert "1 recall in 1 list, 3 days old" in answer.why


def test_a_claimed_descent_is_a_doubt() -> None:
    claimed = EVE.ran("train", CHILD, (Relation.TRAINED_ON, DATA))
    answer = row(listed(entry()), lines=claimed)
    assert (answer.outcome, answer.code) == (Outcome.UNKNOWN, "may-be-recalled")
    assert row(listed(entry()), lines=CHAIN + claimed).outcome is Outcome.FAIL


def test_a_warning_is_a_doubt() -> None:
    answer = row(listed(entry(severity=Severity.WARN)))
    assert (answer.outcome, answer.code) == (Outcome.UNKNOWN, "recalled")


def test_only_the_role_may_call_back() -> None:
    for lines in (listed(entry(), by=BEN), listed(entry(), by=EVE), b"{junk\n", CHAIN):
        answer = row(lines)
        assert (answer.outcome, answer.code) == (Outcome.UNKNOWN, "recalls-untrusted")
        assert answer.details
    assert row(b"").code == "no-recalls"


def test_the_same_weights_in_another_package_are_recalled() -> None:
    weights = Digest("blake3", b"w" * 32)
    recalled = Named(name="m", files=Digest("sha256", b"a" * 32), tensors=weights)
    repackaged = Named(name="n", files=Digest("sha256", b"b" * 32), tensors=weights)
    assert row(listed(entry(recalled, RecallKind.MODEL)), repackaged, b"").outcome is Outcome.FAIL


def test_a_file_of_the_model_is_recalled() -> None:
    files = frozenset({f"sha256:{1:064x}", f"sha256:{7:064x}"})
    model = Subject(what=Named(name="m", files=Digest("sha256", b"b" * 32)), files=files)
    assert row(listed(entry()), model, b"").outcome is Outcome.FAIL


def test_what_cannot_be_compared_is_a_doubt() -> None:
    model = Subject(what=Named(name="m", tensors=Digest("blake3", b"b" * 32)))
    answer = row(listed(entry()), model, b"")
    assert (answer.outcome, answer.code) == (Outcome.UNKNOWN, "recalls-incomparable")


def test_a_recalled_signer() -> None:
    recalled = entry(BEN.signer.fingerprint, RecallKind.SIGNER)
    signature = SignatureResult(outcome=Outcome.PASS, why="", by="ben", key=BEN.signer.fingerprint)
    answer = row(listed(recalled), lines=b"", signatures=(signature,))
    assert (answer.outcome, answer.why) == (Outcome.FAIL, "recalled: signed by ben: labels were poisoned")
    before = replace(signature, when="2026-10-01T00:00:00Z")
    assert row(listed(recalled), lines=b"", signatures=(before,)).outcome is Outcome.PASS
    assert row(listed(recalled)).outcome is Outcome.FAIL  # a statement of the chain is signed with it


def test_a_recalled_tool() -> None:
    answer = row(listed(entry("weighbridge@0.1.0", RecallKind.TOOL)))
    assert (answer.outcome, "made with weighbridge@0.1.0" in answer.why) == (Outcome.FAIL, True)
    assert row(listed(entry("weighbridge@0.0.9", RecallKind.TOOL))).outcome is Outcome.PASS


def test_of_several_versions_the_newest_counts() -> None:
    old, new = listed(version=1), listed(entry(), version=2)
    for lines in (old + new, new + old):
        assert row(lines).outcome is Outcome.FAIL
    assert row(listed(entry(), version=2) + listed(version=3)).outcome is Outcome.PASS


def test_an_old_list_is_shown_as_old() -> None:
    later = NOW + timedelta(days=41)
    answer = row(listed(), now=later)
    assert (answer.outcome, answer.code) == (Outcome.UNKNOWN, "recalls-old")
    assert "44 days old" in answer.why
    assert row(listed(), now=later, max_age=60).outcome is Outcome.PASS
    assert row(listed(entry()), now=later).outcome is Outcome.FAIL


def test_freshness() -> None:
    def answer(lists: bytes, now=NOW, behind=False, max_age=30):
        found, _ = read_lists([("recalls.jsonl", lists)], [OFFICE.anchor], (), now)
        row = fresh(newest(found), now=now, behind=behind, max_age=max_age)
        return row.outcome.value, row.code

    assert answer(listed()) == ("pass", "")
    assert answer(b"") == ("unknown", "no-recalls")
    assert answer(listed(), NOW + timedelta(days=40)) == ("unknown", "recalls-old")
    assert answer(listed(), behind=True) == ("unknown", "clock-behind")
    assert answer(listed(next="2026-11-21T00:00:00Z")) == ("unknown", "recalls-old")


def test_a_replayed_list_does_not_take_a_newer_ones_place(tmp_path) -> None:
    new, old = listed(entry(), version=7), listed(version=6)
    mark.keep_lists(tmp_path, [new.strip()])
    found, _ = read_lists([("recalls.jsonl", old), *mark.kept_lists(tmp_path)], [OFFICE.anchor], (), NOW)
    assert [one.recall.version for one in newest(found)] == [7]


def test_a_clock_that_was_set_back_is_noticed(tmp_path) -> None:
    mark.keep_time(tmp_path, [NOW], NOW)
    assert mark.clock(NOW - timedelta(days=30), mark.latest_time(tmp_path)) == (NOW, True)
    assert mark.clock(NOW + timedelta(days=30), mark.latest_time(tmp_path)) == (
        NOW + timedelta(days=30),
        False,
    )
    mark.keep_time(tmp_path, [NOW + timedelta(days=300)], NOW)  # nobody can have signed that
    mark.keep_time(tmp_path, [NOW - timedelta(days=3)], NOW)
    assert mark.latest_time(tmp_path) == NOW


@pytest.mark.parametrize("junk", [b"", b"tomorrow", b"\xff", b"2026-11-23"])
def test_a_broken_mark_is_none(tmp_path, junk: bytes) -> None:
    (tmp_path / mark.LATEST).write_bytes(junk)
    assert mark.latest_time(tmp_path) is None
