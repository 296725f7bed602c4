"""Attacks on what people state: each tries to be believed where nobody should be, and none may pass."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.statements import NOW, THEN, Person, judged, thing
from weighbridge.attest.layout import approved, data_stated, traced
from weighbridge.attest.predicates.recall import Recall, RecallEntry, RecallKind, Severity
from weighbridge.attest.predicates.training import Training
from weighbridge.attest.step import Material, Relation
from weighbridge.attest.subject import Subject
from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.manifest import Digest
from weighbridge.core.report import SignatureResult
from weighbridge.core.statement import Named, Statement
from weighbridge.core.verdict import Decision
from weighbridge.evidence import mark
from weighbridge.evidence.recalls import Ancestor, current, fresh, newest, read_lists
from weighbridge.policy import default_policy
from weighbridge.policy.judge import decide
from weighbridge.policy.words import Need, StepRule, Unknown
from weighbridge.recall.lists import statement_of

RAW, DATA, BASE, MODEL, OTHER = (
    thing(name, n) for n, name in enumerate(("raw", "data", "base", "model", "other"), 1)
)
ANNA, BEN, CLEO, DANA, EVE = (
    Person("anna", "data"), Person("ben", "builder"), Person("cleo", "safety"), Person("dana", "lead"), Person("eve"),
)  # fmt: skip
OFFICE, SECOND = Person("office", "recall"), Person("second", "recall")
TEAM = (ANNA, BEN, CLEO, DANA, OFFICE, SECOND)
ON, OF, FROM, WITH = Relation.TRAINED_ON, Relation.EVALUATED_ON, Relation.CONVERTED_FROM, Relation.BUILT_WITH
WEIGHTS, FILES = Digest("blake3", b"w" * 32), Digest("sha256", b"f" * 32)
DAY = "2026-11-01T00:00:00Z"


def told(row: Evidence) -> tuple[str, str]:
    return row.outcome.value, row.code


# -- recalls


def entry(target=DATA, kind=RecallKind.DATASET, since=DAY, **more) -> RecallEntry:
    return RecallEntry(kind=kind, target=target, reason="poisoned", since=since, **more)


def listed(
    *entries: RecallEntry, version: int = 1, issued: str = "2026-11-20T00:00:00Z", by: Person = OFFICE
) -> bytes:
    return by.signs(statement_of(Recall(version=version, issued=issued, entries=entries)))


def recalled(
    lists: bytes, lines: bytes = b"", model: Named = MODEL, now: datetime = NOW, signatures=(), **more
) -> tuple[str, str]:
    found, problems = read_lists([("r", lists)], [one.anchor for one in TEAM], (), now)
    known = judged(lines, TEAM)
    subject = Subject(what=model)
    return told(current(newest(found), problems, subject, known, signatures, now=now, max_age=30, **more))


def kept_after(tmp_path, *files: bytes) -> list[int]:
    """The versions that a machine remembers after it was shown these files, one after the other."""
    anchors = [one.anchor for one in TEAM]
    for data in files:
        known, _ = read_lists([("r", data), *mark.kept_lists(tmp_path)], anchors, (), NOW)
        mark.keep_lists(tmp_path, [one.line for one in newest(known)], [one.line for one in known])
    again, _ = read_lists(mark.kept_lists(tmp_path), anchors, (), NOW)
    return [one.recall.version for one in newest(again)]


@pytest.mark.parametrize("before", [b"", b"\n", b"\r\n \n", b"{junk\n", b"\n\n\n"])
def test_a_list_behind_blank_lines_does_not_erase_the_memory(tmp_path, before: bytes) -> None:
    new = listed(entry(), version=9)
    assert kept_after(tmp_path, new, before + new, listed(version=1)) == [9]
    assert new.strip() in mark.kept_lists(tmp_path)[0][1]


def test_a_line_end_inside_of_a_bundle_does_not_erase_the_memory(tmp_path) -> None:
    new = listed(entry(), version=9)
    assert kept_after(tmp_path, new.replace(b"{", b"{\r", 1), listed(version=1)) == [9]


def test_a_list_of_another_keyring_does_not_erase_the_memory(tmp_path) -> None:
    kept_after(tmp_path, listed(entry(), version=9))
    stranger = Person("stranger", "recall")
    known, _ = read_lists([("r", listed(by=stranger))], [stranger.anchor], (), NOW)
    mark.keep_lists(tmp_path, [one.line for one in newest(known)], [one.line for one in known])
    assert kept_after(tmp_path, listed(version=1)) == [9]


def test_two_lists_of_one_version() -> None:
    good, stripped = listed(entry(), version=5), listed(version=5)
    for lines in (good + stripped, stripped + good):
        assert recalled(lines, model=DATA) == ("fail", "recalled")
        assert recalled(lines, model=OTHER) == ("unknown", "recalls-forked")
    assert recalled(good + good, model=OTHER) == ("pass", "")
    assert recalled(good + stripped + listed(entry(), version=6), model=OTHER) == ("pass", "")


def test_a_newer_list_that_cannot_be_read() -> None:
    said = statement_of(Recall(version=6, issued=DAY, entries=(entry(),)))
    new = OFFICE.signs(replace(said, predicate={**said.predicate, "scope": "all"}))
    assert recalled(listed(version=5) + new) == ("unknown", "recalls-unread")
    assert recalled(listed(version=5) + EVE.signs(said)) == ("pass", "")


@pytest.mark.parametrize(
    "issued", ["2099-01-01T00:00:00Z", "9999-12-31t23:59:59z", "2026-11-26T00:00:00+00:00"]
)
def test_a_list_of_the_future_is_not_fresh_for_ever(issued: str) -> None:
    assert recalled(listed(issued=issued)) == ("unknown", "recalls-future")
    assert recalled(listed(entry(MODEL), issued=issued)) == ("fail", "recalled")
    found, _ = read_lists([("r", listed(issued=issued))], [OFFICE.anchor], (), NOW)
    assert told(fresh(newest(found), now=NOW, behind=False, max_age=30)) == ("unknown", "recalls-future")


def test_a_clock_that_was_set_back_makes_no_list_new() -> None:
    assert recalled(listed(), now=NOW - timedelta(days=400)) == ("unknown", "recalls-future")


@pytest.mark.parametrize("issued", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_time_that_no_clock_can_show_breaks_nothing(issued: str) -> None:
    assert recalled(listed(issued=issued)) == ("unknown", "recalls-untrusted")


def test_whoever_was_called_back_calls_nothing_clean() -> None:
    gone = entry(OFFICE.signer.fingerprint, RecallKind.SIGNER)
    assert recalled(listed(gone)) == ("unknown", "recalls-signer")
    stolen = listed(version=999) + listed(gone, version=3, by=SECOND)
    assert recalled(stolen) == ("pass", "")  # the second one stands, and says so
    assert recalled(listed(entry(MODEL), version=999) + listed(gone, by=SECOND)) == ("fail", "recalled")
    both = listed(entry(SECOND.signer.fingerprint, RecallKind.SIGNER)) + listed(gone, by=SECOND)
    assert recalled(both) == ("unknown", "recalls-signer")


def test_a_second_entry_about_a_signer_does_not_soften_the_first() -> None:
    key = BEN.signer.fingerprint
    hard = entry(key, RecallKind.SIGNER)
    soft = entry(key, RecallKind.SIGNER, since="2027-01-01T00:00:00Z", severity=Severity.WARN)
    signature = SignatureResult(outcome=Outcome.PASS, why="", by="ben", key=key, when="2026-11-10T00:00:00Z")
    for lists in (listed(hard, soft), listed(soft, hard), listed(hard) + listed(soft, by=SECOND)):
        assert recalled(lists, signatures=(signature,)) == ("fail", "recalled")


def test_another_name_of_the_same_thing_is_recalled_too() -> None:
    base, trained = Named(name="base", files=FILES), BEN.ran("tune", MODEL, (FROM, Named(files=FILES)))
    lists = listed(entry(Named(tensors=WEIGHTS), RecallKind.MODEL))
    both = BEN.ran("train", replace(base, tensors=WEIGHTS), (ON, DATA))
    assert recalled(lists, trained + both) == ("fail", "recalled")
    claimed = EVE.ran("train", replace(base, tensors=WEIGHTS), (ON, DATA))
    assert recalled(lists, trained + claimed) == ("unknown", "may-be-recalled")


def test_what_cannot_be_compared_with_an_ancestor_is_a_doubt() -> None:
    model = Named(name="m", files=FILES, tensors=WEIGHTS)
    lists = listed(entry(Named(tensors=Digest("blake3", b"b" * 32)), RecallKind.MODEL))
    assert recalled(lists, b"", model) == ("pass", "")
    lines = BEN.ran("tune", model, (FROM, Named(name="base", files=Digest("sha256", b"b" * 32))))
    assert recalled(lists, lines, model) == ("unknown", "recalls-incomparable")


def test_what_it_was_made_with_is_recalled() -> None:
    code = Named(name="train.py", others=(("gitCommit", "ab" * 20),))
    assert recalled(listed(entry(code)), BEN.ran("train", MODEL, (ON, RAW), (WITH, code))) == (
        "fail",
        "recalled",
    )


@pytest.mark.parametrize("name", ["ultra-lytics@8.3.41", "Ultra_Lytics@8.3.41"])
def test_a_package_that_was_installed_where_it_was_trained_is_recalled(name: str) -> None:
    lines = BEN.ran("train", MODEL, (ON, RAW), environment=(("Ultra.lytics", "8.3.41", ""),))
    assert recalled(listed(entry(name, RecallKind.TOOL)), lines) == ("fail", "recalled")
    assert recalled(listed(entry("ultra-lytics@8.3.40", RecallKind.TOOL)), lines) == ("pass", "")


def test_what_only_a_lineage_knows_is_recalled() -> None:
    assert recalled(listed(entry()), ancestors=[Ancestor(DATA, ("trained on data",), sure=True)])[0] == "fail"


# -- approvals


def review(lines: bytes, wanted=(("safety", 1),), model: Subject | Named = MODEL, makers=(), team=TEAM):
    subject = model if isinstance(model, Subject) else Subject(what=model)
    return told(approved(wanted, subject, judged(lines, team), makers))


@pytest.mark.parametrize("order", [1, -1])
def test_who_rejects_and_then_approves_has_rejected(order: int) -> None:
    lines = [CLEO.reviewed(MODEL), CLEO.reviewed(MODEL, "reject")][::order]
    assert review(b"".join(lines)) == ("fail", "rejected")


def test_a_rejection_that_cannot_be_read_is_no_approval() -> None:
    said = {"decision": "reject", "timeReviewed": THEN, "scope": "weights"}
    no = DANA.signs(Statement(subjects=(MODEL,), predicate_type="weighbridge.review/v1", predicate=said))
    assert review(CLEO.reviewed(MODEL) + no) == ("unknown", "review-unread")
    stranger = EVE.signs(Statement(subjects=(MODEL,), predicate_type="weighbridge.review/v1", predicate=said))
    assert review(CLEO.reviewed(MODEL) + stranger) == ("pass", "")


def test_nobody_approves_a_copy_of_what_they_made() -> None:
    chain = CLEO.ran("train", BASE, (ON, DATA)) + BEN.ran("convert", MODEL, (FROM, BASE))
    assert review(chain + CLEO.reviewed(MODEL)) == ("fail", "approval-missing")
    looked = CLEO.ran("evaluate", BASE, (OF, DATA)) + BEN.ran("convert", MODEL, (FROM, BASE))
    assert review(looked + CLEO.reviewed(MODEL)) == ("pass", "")


@pytest.mark.parametrize(
    ("person", "lines"),
    [
        (EVE, b"".join(Person(f"eve{n}").reviewed(MODEL, role="safety") for n in range(20))),
        (CLEO, CLEO.collected(MODEL)),
        (CLEO, CLEO.reviewed(Named(name="model", files=FILES, others=(("sha256", f"{4:064x}"),)))),
        (CLEO, CLEO.reviewed(Named(name="model", others=(("sha512", "00" * 64),)))),
        (CLEO, CLEO.signs(statement_of(Recall(version=1, issued=DAY, entries=(entry(MODEL),))))),
    ],
    ids=["strangers", "a data set's description", "with a digest of another", "by another digest", "a list of recalls"],
)  # fmt: skip
def test_what_is_no_approval_of_this_model(person: Person, lines: bytes) -> None:
    model = Named(name="model", files=Digest("sha256", b"m" * 32), others=MODEL.others)
    assert review(lines, model=model)[0] != "pass"


def files_of(**named: str) -> Subject:
    return Subject(
        what=Named(name="m", files=FILES),
        files=frozenset(f"sha256:{value}" for value in named.values()),
        paths=frozenset(named.items()),
    )


def by_file(*named: tuple[str, str]) -> bytes:
    subjects = tuple(Named(name=name, others=(("sha256", value),)) for name, value in named)
    said = {"decision": "approve", "timeReviewed": THEN}
    return CLEO.signs(Statement(subjects=subjects, predicate_type="weighbridge.review/v1", predicate=said))


A, B, C = ("aa" * 32, "bb" * 32, "cc" * 32)


def test_files_that_were_approved_in_another_arrangement() -> None:
    model = files_of(weights=A, config=B)
    assert review(by_file(("weights", A), ("config", B)), model=model) == ("pass", "")
    assert review(by_file(("m/weights", A), ("m/config", B), ("n/weights", C)), model=model) == ("pass", "")
    for lines in (
        by_file(("weights", B), ("config", A)),
        by_file(("weights", A)),
        by_file(("weights", A), ("config", B), ("filter", C)),  # taken away
        by_file(("m/weights", A), ("n/config", B)),  # of two models
        by_file(("my-weights", A), ("my-config", B)),
        by_file(("weights", A), ("weights", C), ("config", B)),
    ):
        assert review(lines, model=model) == ("fail", "approval-missing")


def test_an_approval_is_not_joined_from_two_descriptors() -> None:
    model = Named(name="m", files=FILES, tensors=WEIGHTS)
    halves = (Named(files=FILES, tensors=Digest("blake3", b"x" * 32)), Named(tensors=WEIGHTS))
    said = {"decision": "approve", "timeReviewed": THEN}
    lines = CLEO.signs(Statement(subjects=halves, predicate_type="weighbridge.review/v1", predicate=said))
    assert review(lines, model=model) == ("fail", "approval-missing")


def test_beyond_the_limit_may_lie_a_rejection(monkeypatch) -> None:
    from weighbridge.sign import bundle

    monkeypatch.setattr(bundle, "MAX_LINES", 2)
    lines = CLEO.reviewed(MODEL) + EVE.reviewed(MODEL) + DANA.reviewed(MODEL, "reject")
    assert review(lines) == ("unknown", "review-unread")


# -- the chain


def chain(lines: bytes, rules: Sequence[StepRule], model: Named = MODEL) -> tuple[str, str]:
    return told(traced(rules, Subject(what=model), judged(lines, TEAM)))


def rules(*names: str) -> tuple[StepRule, ...]:
    return tuple(StepRule(name=name) for name in names)


def test_a_step_for_the_weights_alone_is_not_one_for_the_files_beside_them() -> None:
    model = Named(name="m", files=FILES, tensors=WEIGHTS)
    assert chain(BEN.ran("train", model, (ON, DATA)), rules("train"), model) == ("pass", "")
    weights = BEN.ran("train", Named(name="m", tensors=WEIGHTS), (ON, DATA))
    assert chain(weights, rules("train"), model) == ("fail", "step-other-model")


def test_a_step_that_names_no_material_follows_nothing() -> None:
    lines = ANNA.collected(MODEL, step="clean") + BEN.ran("train", MODEL)
    assert chain(lines, rules("clean", "train")) == ("fail", "step-disconnected")
    tools = ANNA.collected(MODEL, step="clean") + BEN.ran("train", MODEL, (WITH, OTHER))
    assert chain(tools, rules("clean", "train")) == ("fail", "step-disconnected")


@pytest.mark.parametrize(("algorithm", "size"), [("md5", 16), ("sha1", 20), ("MD5", 16)])
def test_a_digest_that_two_things_can_have_joins_nothing(algorithm: str, size: int) -> None:
    weak = Named(name="data", others=((algorithm, "ab" * size),))
    lines = ANNA.collected(weak, step="clean") + BEN.ran("train", MODEL, (ON, weak))
    assert chain(lines, rules("clean", "train")) == ("fail", "step-disconnected")


def test_a_thousand_steps_in_a_circle_end() -> None:
    circle = b"".join(
        BEN.ran(name, thing("x", 100 + n), (FROM, thing("x", 100 + (n + 1) % 150)))
        for n in range(150)
        for name in ("a", "b")
    )
    two = (StepRule(name="a", after=("b",)), StepRule(name="b", after=("a",)))
    assert chain(circle, two, thing("x", 100))[0] == "fail"
    assert chain(circle, (StepRule(name="a", after=("nowhere",)),), thing("x", 100))[0] == "fail"


def test_one_person_with_many_documents_is_one() -> None:
    lines = b"".join(BEN.ran("train", MODEL, (ON, DATA), parameters=(("seed", str(n)),)) for n in range(10))
    assert chain(lines, (StepRule(name="train", threshold=2),)) == ("fail", "step-signer")


def test_one_is_signed_and_the_other_is_about_the_model() -> None:
    lines = BEN.ran("train", OTHER, (ON, DATA)) + EVE.ran("train", MODEL, (ON, DATA))
    assert chain(lines, rules("train")) == ("fail", "step-other-model")


def test_data_that_is_described_in_a_way_that_cannot_be_read() -> None:
    said = {"title": "data", "licence": "MIT", "isPoisoned": False}
    bad = ANNA.signs(Statement(subjects=(DATA,), predicate_type="weighbridge.dataset/v1", predicate=said))
    row = data_stated(Subject(what=MODEL), judged(BEN.ran("train", MODEL, (ON, DATA)) + bad, TEAM))
    assert told(row) == ("unknown", "data-undescribed")


def test_the_data_of_a_base_that_nobody_states() -> None:
    tuned = BEN.ran("tune", MODEL, (Relation.FINE_TUNED_FROM, BASE), (ON, DATA)) + ANNA.collected(DATA)
    row = data_stated(Subject(what=MODEL), judged(tuned, TEAM))
    assert told(row) == ("unknown", "data-unstated")
    whole = tuned + BEN.ran("train", BASE, (ON, RAW)) + ANNA.collected(RAW)
    assert told(data_stated(Subject(what=MODEL), judged(whole, TEAM))) == ("pass", "")
    looked = tuned + BEN.ran("evaluate", BASE, (OF, RAW))
    assert told(data_stated(Subject(what=MODEL), judged(looked, TEAM))) == ("unknown", "data-unstated")


# -- what a statement may be


@pytest.mark.parametrize(
    "payload",
    [
        b'{"_type":"T","_type":"T"}',
        b'{"_type":"T","subject":[{"name":"m","digest":{"sha256":"D","sha256":"E"}}],"predicateType":"P","predicate":{}}',
        b'{"_type":"T","subject":[{"name":"m"}],"predicateType":"P","predicate":{}}',
        b'{"_type":"T","subject":[{"name":"m","digest":{}}],"predicateType":"P","predicate":{}}',
        b'{"_type":"T","subject":[],"predicateType":"P","predicate":{}}',
        b'{"_type":"T","subject":{"0":{"digest":{"sha256":"D"}}},"predicateType":"P","predicate":{}}',
        b'{"_type":"T","subject":[{"digest":{"sha256":"D"}}],"predicateType":"P","predicate":{"a":{"b":1,"b":2}}}',
        b'{"_type":"T","subject":[{"digest":{"sha256":"D"}}],"predicateType":"P","predicate":{"a":NaN}}',
        b'{"_type":"T","subject":[{"digest":{"sha256":"D"}}],"predicateType":["P"],"predicate":{}}',
        b'\xef\xbb\xbf{"_type":"T","subject":[{"digest":{"sha256":"D"}}],"predicateType":"P","predicate":{}}',
    ],
)  # fmt: skip
def test_a_statement_that_readers_disagree_about(payload: bytes) -> None:
    from weighbridge.sign.signer import sign_statement

    for name, value in ((b'"T"', b'"https://in-toto.io/Statement/v1"'), (b'"P"', b'"weighbridge.review/v1"')):
        payload = payload.replace(name, value)
    payload = payload.replace(b'"D"', b'"' + b"0" * 63 + b'4"').replace(b'"E"', b'"' + b"0" * 64 + b'"')
    ((one),) = judged(sign_statement(payload, CLEO.signer) + b"\n", TEAM)
    assert (one.statement, one.is_signed) == (None, False)
    assert one.code


@pytest.mark.parametrize("number", ["1e999", "9007199254740993", "-1e400", "1" * 400])
def test_a_number_that_readers_disagree_about(number: str) -> None:
    from weighbridge.attest.chain import told_step
    from weighbridge.core.statement import write_statement
    from weighbridge.sign.signer import sign_statement

    run = Training(
        name="train", started=THEN, finished=THEN, exit_code=0, recorder="r",
        materials=(Material(what=DATA, relation=ON),),
    )  # fmt: skip
    from weighbridge.attest.predicates import training

    said = Statement(subjects=(MODEL,), predicate_type=training.TYPE, predicate=training.write(run))
    payload = write_statement(said).replace(b'"exitCode":0', b'"exitCode":' + number.encode())
    assert number.encode() in payload
    ((one),) = judged(sign_statement(payload, BEN.signer) + b"\n", TEAM)
    assert told_step(one) is None


def test_one_person_whose_trust_ended() -> None:
    late = replace(CLEO.anchor, not_after=datetime(2026, 1, 1, tzinfo=UTC))
    early = replace(CLEO.anchor, not_before=datetime(2027, 1, 1, tzinfo=UTC))
    gone = replace(CLEO.anchor, revoked_at=datetime(2026, 6, 1, tzinfo=UTC))
    from weighbridge.attest.attestation import judge_all
    from weighbridge.sign.bundle import read_lines

    for anchor in (late, early, gone):
        found = judge_all(read_lines(CLEO.reviewed(MODEL), "x"), [anchor], (), NOW)
        assert approved((("safety", 1),), Subject(what=MODEL), found).outcome is not Outcome.PASS


# -- the policy's word for what has no answer


@pytest.mark.parametrize("question", ["logged", "traced", "based", "data", "approved", "current", "fresh"])
def test_admitting_what_is_unknown_does_not_do_without_what_is_required(question: str) -> None:
    policy = replace(
        default_policy(), unknown=(("default", Unknown.ADMIT),), log=Need.REQUIRED, base=Need.REQUIRED,
        data=Need.REQUIRED, fresh=Need.REQUIRED, recalls=Need.REQUIRED, approval=Need.REQUIRED, trace=("train",),
    )  # fmt: skip
    row = Evidence(question=question, outcome=Outcome.UNKNOWN, why="x", code="y")
    assert decide(policy, row) is Decision.UNDECIDED
    named = replace(policy, unknown=(("default", Unknown.REFUSE), (question, Unknown.ADMIT)))
    assert decide(named, row) is Decision.ADMITTED
    assert decide(policy, replace(row, question="read")) is Decision.ADMITTED
