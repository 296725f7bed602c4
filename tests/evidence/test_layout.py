"""Does what people state hold what a policy asks: the rows `traced`, `data`, `approved`."""

import pytest

from tests.statements import ONE_PERSON, Person, judged, one_person, thing
from weighbridge.attest.layout import approved, data_stated, traced
from weighbridge.attest.step import Relation
from weighbridge.attest.subject import Subject
from weighbridge.core.evidence import Outcome
from weighbridge.core.manifest import Digest
from weighbridge.core.statement import Named
from weighbridge.policy.words import StepRule
from weighbridge.sign.people import People

RAW, CLEAN, MODEL, SAFE, TEST = (
    thing(name, n) for n, name in enumerate(("raw", "clean", "model", "safe", "test"), 1)
)
OTHER = thing("other", 99)
ON, OF, FROM = Relation.TRAINED_ON, Relation.EVALUATED_ON, Relation.CONVERTED_FROM
ANNA, BEN, CLEO, DANA = (
    Person("anna", "data"), Person("ben", "builder"), Person("cleo", "safety"), Person("dana", "lead")
)  # fmt: skip
EVE = Person("eve")
TEAM = (ANNA, BEN, CLEO, DANA)
CHAIN = (
    ANNA.collected(RAW)
    + ANNA.collected(CLEAN, RAW, step="clean")
    + BEN.ran("train", MODEL, (ON, CLEAN))
    + CLEO.ran("evaluate", MODEL, (OF, TEST))
    + BEN.ran("convert", SAFE, (FROM, MODEL))
)
STEPS = tuple(StepRule(name=name) for name in ("collect", "clean", "train", "evaluate", "convert"))


def answer(lines: bytes = CHAIN, rules=STEPS, model=SAFE, team=TEAM):
    row = traced(rules, Subject(what=model), judged(lines, team))
    return row.outcome.value, row.code


def without(word: str, lines: bytes = CHAIN) -> bytes:
    from weighbridge.attest.chain import told_step

    kept = [one for one in lines.splitlines() if told_step(judged(one, TEAM)[0]).name != word]
    return b"\n".join(kept) + b"\n"


def test_a_whole_chain_passes() -> None:
    assert answer() == ("pass", "")


@pytest.mark.parametrize("step", ["collect", "clean", "train", "evaluate", "convert"])
def test_a_step_that_nobody_states(step: str) -> None:
    assert answer(without(step)) == ("fail", "step-missing")


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (EVE.ran("train", MODEL, (ON, CLEAN)), "step-claimed"),
        (BEN.ran("train", MODEL, (ON, OTHER)), "step-disconnected"),
        (BEN.ran("train", OTHER, (ON, CLEAN)), "step-disconnected"),
    ],
)
def test_another_training(lines: bytes, code: str) -> None:
    outcome, found = answer(without("train") + lines)
    assert (outcome in ("fail", "unknown"), found) == (True, code)


def test_the_chain_of_another_model() -> None:
    assert answer(model=OTHER) == ("fail", "step-other-model")
    assert answer(model=MODEL) == ("fail", "step-other-model")


def test_a_stranger_who_repeats_the_chain_changes_nothing() -> None:
    lines = EVE.ran("train", MODEL, (ON, OTHER)) + EVE.ran("convert", SAFE, (FROM, OTHER))
    assert answer(lines + CHAIN) == ("pass", "")


def test_many_strangers_are_nobody() -> None:
    crowd = b"".join(Person(f"eve{n}").ran("train", MODEL, (ON, CLEAN)) for n in range(30))
    assert answer(without("train") + crowd)[1] == "step-claimed"


def test_who_may_sign_a_step() -> None:
    def rules(**words):
        return (*STEPS[:2], StepRule(name="train", **words), *STEPS[3:])

    assert answer(rules=rules(signers=("ben",))) == ("pass", "")
    assert answer(rules=rules(role="builder")) == ("pass", "")
    assert answer(rules=rules(types=("training",))) == ("pass", "")
    assert answer(rules=rules(signers=("anna",))) == ("fail", "step-signer")
    assert answer(rules=rules(role="data")) == ("fail", "step-signer")
    assert answer(rules=rules(types=("provenance",))) == ("fail", "step-signer")
    assert answer(rules=rules(threshold=2)) == ("fail", "step-signer")
    second = DANA.ran("train", MODEL, (ON, CLEAN))
    assert answer(CHAIN + second, rules(threshold=2)) == ("pass", "")


def test_two_who_state_different_things_are_not_two() -> None:
    rules = (*STEPS[:2], StepRule(name="train", threshold=2), *STEPS[3:])
    assert answer(CHAIN + DANA.ran("train", MODEL, (ON, OTHER)), rules) == ("fail", "step-signer")


def test_one_key_under_two_names_is_one_person() -> None:
    twin = Person("twin", key=BEN)
    rules = (*STEPS[:2], StepRule(name="train", threshold=2), *STEPS[3:])
    lines = CHAIN + twin.ran("train", MODEL, (ON, CLEAN))
    assert answer(lines, rules, team=(*TEAM, twin)) == ("fail", "step-signer")


@pytest.mark.parametrize("how", ONE_PERSON)
def test_one_person_is_not_two_of_a_step(how: str) -> None:
    first, second, keyring = one_person(how, "builder")
    told = [one.ran("train", MODEL, (ON, CLEAN)) for one in (first, second)]
    rules = (*STEPS[:2], StepRule(name="train", role="builder", threshold=2), *STEPS[3:])
    team, people = (*TEAM, *keyring), People(one.anchor for one in (*TEAM, *keyring))

    def row(lines: bytes):
        return traced(rules, Subject(what=SAFE), judged(lines, team), people)

    assert (row(without("train") + b"".join(told)).code) == "step-signer"
    assert row(CHAIN + told[0]).outcome is Outcome.PASS
    assert row(CHAIN + told[1]).outcome is Outcome.PASS


@pytest.mark.parametrize("how", ONE_PERSON)
def test_one_person_is_not_two_approvals(how: str) -> None:
    first, second, keyring = one_person(how, "safety")
    people = People(one.anchor for one in (*TEAM, *keyring))

    def row(lines: bytes, makers=()):
        said = judged(lines, (*TEAM, *keyring))
        return approved((("safety", 2),), Subject(what=SAFE), said, makers, people)

    both = first.reviewed(SAFE, role="safety") + second.reviewed(SAFE, role="safety")
    assert (row(both).outcome, row(both).code) == (Outcome.FAIL, "approval-missing")
    third = CLEO.reviewed(SAFE, role="safety")
    assert row(both + third).outcome is Outcome.PASS
    assert row(both + third, makers=(first.name,)).code == "approval-missing"
    made = first.ran("convert", SAFE, (FROM, MODEL))
    assert row(made + second.reviewed(SAFE, role="safety") + third).code == "approval-missing"


def test_after_names_other_steps() -> None:
    rules = (
        StepRule(name="clean", after=()), StepRule(name="train", after=("clean",)),
        StepRule(name="convert", after=("train",)),
    )  # fmt: skip
    assert answer(rules=rules) == ("pass", "")
    assert answer(rules=(*rules[:2], StepRule(name="evaluate", after=()), rules[2])) == ("fail", "step-loose")


def test_an_evaluation_that_leaves_scores() -> None:
    """Nothing is made of scores; that they are of this very model is what counts."""
    scores = thing("scores", 50)
    rules = (
        *STEPS[:3],
        StepRule(name="measure", after=("train",)),
        StepRule(name="convert", after=("train",)),
    )

    def measured(model):
        lines = CLEO.ran("measure", scores, (FROM, model), (OF, TEST))
        return answer(CHAIN + lines + BEN.ran("train", OTHER, (ON, CLEAN)), rules)

    assert measured(MODEL) == ("pass", "")
    assert measured(OTHER) == ("fail", "step-disconnected")
    assert measured(TEST) == ("fail", "step-disconnected")


def test_circles_end() -> None:
    lines = (
        BEN.ran("a", MODEL, (FROM, SAFE))
        + BEN.ran("b", SAFE, (FROM, MODEL))
        + BEN.ran("a", SAFE, (FROM, SAFE))
    )
    rules = (StepRule(name="a", after=("b",)), StepRule(name="b", after=("a",)))
    assert answer(lines, rules)[0] == "fail"


def test_junk_beside_the_chain_is_a_doubt_and_no_pass() -> None:
    assert answer(without("train") + b"{junk\n") == ("unknown", "step-missing")
    assert answer(CHAIN + b"{junk\n") == ("pass", "")


def test_data_is_stated_down_the_chain() -> None:
    def row(lines: bytes):
        found = data_stated(Subject(what=SAFE), judged(lines, TEAM))
        return found.outcome.value, found.code

    assert row(CHAIN) == ("pass", "")
    assert row(without("clean")) == ("unknown", "data-undescribed")
    assert row(without("train")) == ("unknown", "data-unstated")
    assert row(b"") == ("unknown", "data-unstated")
    assert row(without("clean") + EVE.collected(CLEAN)) == ("unknown", "data-undescribed")


def review(lines: bytes, wanted=(("safety", 1),), makers=()):
    row = approved(wanted, Subject(what=SAFE), judged(lines, TEAM), makers)
    return row.outcome.value, row.code


def test_approvals() -> None:
    yes = CLEO.reviewed(SAFE, role="safety")
    assert review(yes) == ("pass", "")
    assert review(yes + DANA.reviewed(SAFE), (("lead", 1), ("safety", 1))) == ("pass", "")
    assert review(b"") == ("fail", "approval-missing")
    assert review(CLEO.reviewed(OTHER)) == ("fail", "approval-missing")
    assert review(DANA.reviewed(SAFE, role="safety")) == ("fail", "approval-missing")
    assert review(CLEO.reviewed(SAFE, role="lead")) == ("fail", "approval-missing")
    assert review(CLEO.reviewed(SAFE, "comment")) == ("fail", "approval-missing")
    assert review(yes + CLEO.reviewed(SAFE), (("safety", 2),)) == ("fail", "approval-missing")
    assert review(yes + DANA.reviewed(SAFE, "reject")) == ("fail", "rejected")
    assert review(yes + EVE.reviewed(SAFE, "reject")) == ("pass", "")


def test_nobody_approves_what_they_made() -> None:
    made = CLEO.ran("convert", SAFE, (FROM, MODEL))
    assert review(made + CLEO.reviewed(SAFE)) == ("fail", "approval-missing")
    assert review(CLEO.reviewed(SAFE), makers=("cleo",)) == ("fail", "approval-missing")


def test_an_approval_of_the_weights_alone_is_not_one_of_the_files_beside_them() -> None:
    weights = Digest("blake3", b"w" * 32)
    model = Named(name="m", files=Digest("sha256", b"f" * 32), tensors=weights)
    for reviewed, outcome in ((model, Outcome.PASS), (Named(name="m", tensors=weights), Outcome.FAIL)):
        found = judged(CLEO.reviewed(reviewed), TEAM)
        assert approved((("safety", 1),), Subject(what=model), found).outcome is outcome


def test_people_are_counted_by_name_and_key() -> None:
    twin = Person("twin", key=CLEO)
    found = judged(CLEO.reviewed(SAFE) + twin.reviewed(SAFE, role="x") + DANA.reviewed(SAFE), (*TEAM, twin))
    assert People().count(one.signer for one in found) == 2


def test_an_untrusted_file_of_statements_says_nothing() -> None:
    row = traced(STEPS, Subject(what=SAFE), judged(CHAIN, ()))
    assert (row.outcome, row.code) == (Outcome.UNKNOWN, "step-claimed")
