"""Every predicate: its example reads, is written again alike, keeps its schema; what is wrong is refused, by both alike."""

import copy
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.attest.examples import EXAMPLES, example, payload, schema
from tests.fuzz.targets import TARGETS
from tests.fuzz.test_targets import damaged
from weighbridge.attest import predicates
from weighbridge.attest.attestation import judge_all
from weighbridge.attest.chain import build_chain
from weighbridge.attest.predicates import KINDS, kind_named, kind_of
from weighbridge.attest.predicates.deployment import Deployment
from weighbridge.attest.predicates.plan import plan_named
from weighbridge.attest.predicates.recall import Recall, RecallEntry, RecallKind, subjects
from weighbridge.attest.predicates.transform import Transformed, is_plain
from weighbridge.attest.step import Relation
from weighbridge.attest.subject import Subject
from weighbridge.core.errors import InputError
from weighbridge.core.manifest import Digest
from weighbridge.core.statement import Named, Statement, read_statement, write_statement
from weighbridge.sign.bundle import Bundle
from weighbridge.sign.dsse import Envelope

WORDS = [kind.word for kind in KINDS]
OURS = [kind.word for kind in KINDS if kind.type.startswith("weighbridge.")]


def statement(word: str) -> Statement:
    return read_statement(payload(word))


def said(word: str, **changed: Any) -> Statement:
    """The example with fields of its predicate replaced; None takes a field away."""
    document = example(word)
    document["predicate"].update(changed)
    kept = {key: value for key, value in document["predicate"].items() if value is not None}
    return Statement(
        subjects=statement(word).subjects, predicate_type=document["predicateType"], predicate=kept
    )


@pytest.mark.parametrize("word", WORDS)
def test_the_example_reads_and_is_written_again_alike(word: str) -> None:
    one, kind = statement(word), kind_named(word)
    assert kind is not None
    assert kind_of(one.predicate_type) is kind
    value = predicates.read(one)
    written = predicates.write(kind, value)
    assert (
        predicates.read(Statement(subjects=one.subjects, predicate_type=kind.type, predicate=written))
        == value
    )
    assert written == one.predicate
    assert predicates.say(one)


@pytest.mark.parametrize("word", WORDS)
def test_the_example_keeps_its_schema(word: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(word))
    jsonschema.validate(EXAMPLES[word]["predicate"], schema(word))


STEPS = {
    "provenance": ("train", {Relation.TRAINED_ON, Relation.BUILT_WITH}),
    "link": ("clean", {Relation.DERIVED_FROM}),
    "test-result": ("test", {Relation.EVALUATED_ON}),
    "eval-result": ("evaluate", {Relation.EVALUATED_ON}),
    "dataset": ("clean", {Relation.DERIVED_FROM}),
    "training": ("train", {Relation.TRAINED_ON, Relation.FINE_TUNED_FROM}),
    "transform": ("quantize", {Relation.QUANTIZED_FROM}),
    "convert": ("convert", {Relation.CONVERTED_FROM}),
    "deployment": ("deploy", {Relation.DEPLOYED_AS}),
}


@pytest.mark.parametrize("word", WORDS)
def test_steps(word: str) -> None:
    step = predicates.step_of(statement(word))
    found = (step.name, {one.relation for one in step.materials}) if step else None
    assert found == STEPS.get(word)


STRICT = [word for word in WORDS if word != "convert"]
"""A receipt's reader is older than its schema, and takes the fields that it knows."""


@pytest.mark.parametrize("word", sorted(set(OURS) & set(STRICT)))
def test_our_vocabulary_has_no_other_fields(word: str) -> None:
    with pytest.raises(InputError) as caught:
        predicates.read(said(word, another="x"))
    assert caught.value.code == "bad-predicate"


@pytest.mark.parametrize("word", sorted(set(WORDS) - set(OURS)))
def test_in_the_vocabulary_of_others_what_is_unknown_is_ignored(word: str) -> None:
    assert predicates.read(said(word, another={"x": 1})) == predicates.read(statement(word))


BAD: list[tuple[str, dict[str, Any]]] = [
    ("review", {"timeReviewed": "2026-11-20"}),
    ("review", {"timeReviewed": "2026-11-20T14:02:00"}),
    ("review", {"timeReviewed": "2026-02-30T14:02:00Z"}),
    ("review", {"timeReviewed": "20261120T140200Z"}),
    ("review", {"decision": "approved"}),
    ("review", {"decision": None}),
    ("review", {"comment": "x" * 300_000}),
    ("review", {"comment": 7}),
    ("dataset", {"records": True}),
    ("dataset", {"records": -1}),
    ("dataset", {"records": 2**53}),
    ("dataset", {"records": 1e400}),
    ("dataset", {"records": 5.0}),
    ("dataset", {"title": "  "}),
    ("dataset", {"sources": {"name": "raw"}}),
    ("dataset", {"sources": [{"digest": {"sha256": "00" * 32}, "relation": "eaten_by"}]}),
    ("training", {"exitCode": False}),
    ("training", {"plan": "blake3:" + "00" * 32}),
    ("training", {"git": {"commit": "HEAD", "dirty": False}}),
    ("training", {"git": {"commit": "ab" * 20, "dirty": 0}}),
    ("transform", {"parents": []}),
    ("transform", {"proof": "trust-me"}),
    ("scan", {"outcome": "pass"}),
    ("scan", {"counts": {"files": 1}}),
    ("scan", {"findingsMore": -1}),
    ("check", {"verdict": "fine"}),
    ("operating-point", {"thresholds": [{"name": "a", "comparator": "=>", "value": "1"}]}),
    ("operating-point", {"thresholds": [{"name": "a", "comparator": ">=", "value": 0.5}]}),
    ("operating-point", {"metrics": [{"name": "a", "value": "1e3"}]}),
    ("recall", {"version": 0}),
    ("recall", {"entries": [{"kind": "signer", "key": "x", "reason": "r", "since": "2026-11-20T00:00:00Z"}]}),
    ("plan", {"approvals": {"safety": 0}}),
    ("plan", {"approvals": {"": 1}}),
    ("plan", {"cedar": "permit(all)"}),
    ("deployment", {"operatingPoint": "here"}),
    ("provenance", {"buildDefinition": {"buildType": "x", "externalParameters": []}}),
    ("provenance", {"runDetails": {"builder": {"id": ""}}}),
    ("link", {"materials": [{"name": "raw", "uri": "file:raw"}]}),
    ("test-result", {"result": "passed"}),
    ("svr", {"properties": None}),
    ("vsa", {"policy": {"name": "mine"}}),
    ("vsa", {"dependencyLevels": {"SLSA_BUILD_LEVEL_1": True}}),
    ("eval-result", {"commitments": {"dataset": {"alg": "s", "value": "ab", "salted": True}}}),
    ("eval-result", {"model": None}),
    ("eval-result", {"model": None, "commitments": {"model": {"alg": "s", "value": "ab", "salted": False}}}),
    ("eval-result", {"claims": []}),
    ("eval-result", {"sampleSize": 2**60}),
]


@pytest.mark.parametrize(("word", "changed"), BAD)
def test_what_is_wrong_is_refused(word: str, changed: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        predicates.read(said(word, **changed))
    assert caught.value.code == "bad-predicate"


@pytest.mark.parametrize(
    ("word", "changed"),
    [
        ("dataset", {"sources": [{"name": "raw"}]}),
        ("plan", {"data": [{"name": "raw", "digest": {}}]}),
        ("recall", {"entries": [{"kind": "model", "target": {"name": "m"}, "reason": "r", "severity": "warn",
                                 "since": "2026-11-20T00:00:00Z"}]}),
    ],
)  # fmt: skip
def test_a_name_is_no_material(word: str, changed: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        predicates.read(said(word, **changed))
    assert caught.value.code == "bad-statement"


def test_an_unknown_predicate() -> None:
    one = Statement(subjects=statement("review").subjects, predicate_type="https://example.com/x/v1")
    with pytest.raises(InputError) as caught:
        predicates.read(one)
    assert caught.value.code == "unknown-predicate"
    assert predicates.step_of(one) is None


def test_a_number_that_cannot_be_written_again_is_refused_wherever_it_stands() -> None:
    one = example("link")
    one["predicate"]["environment"] = {"deep": [{"memory": float("inf")}]}
    with pytest.raises(InputError, match="beyond what can be held"):
        predicates.read(
            Statement(subjects=(), predicate_type=one["predicateType"], predicate=one["predicate"])
        )


def test_a_receipt_about_another_model_tells_of_no_step() -> None:
    one = statement("convert")
    other = Named(files=Digest("sha256", b"\7" * 32))
    with pytest.raises(InputError) as caught:
        predicates.step_of(
            Statement(subjects=(other,), predicate_type=one.predicate_type, predicate=one.predicate)
        )
    assert caught.value.code == "bad-receipt"


def test_equal_tensors_is_seen_in_the_digests_and_never_in_the_word() -> None:
    one = said("transform", proof="equal-tensors", kind="sharded")
    value = predicates.read(one)
    assert value.kind is Transformed.SHARDED
    assert not is_plain(one, value)
    parent = value.parents[0].what
    same = Statement(
        subjects=(Named(name="sharded", tensors=parent.tensors),),
        predicate_type=one.predicate_type,
        predicate=one.predicate,
    )
    assert is_plain(same, value)


def test_the_subjects_of_a_recall_list() -> None:
    recall: Recall = predicates.read(statement("recall"))
    assert subjects(recall) == statement("recall").subjects
    nothing = Recall(version=1, issued="2026-11-20T00:00:00Z")
    assert len(subjects(nothing)) == 1
    twice = RecallEntry(kind=RecallKind.TOOL, target="a@1", reason="r", since="2026-11-20T00:00:00Z")
    assert len(subjects(Recall(version=2, issued=nothing.issued, entries=(twice, twice)))) == 1


def test_deployments_are_told_apart_by_environment_and_name() -> None:
    names = [("a", "b"), ("a", "c"), ("b", "a")]
    found = {Deployment(name=n, environment=e, time="2026-11-20T00:00:00Z").named.digests for n, e in names}
    assert len(found) == 3


def test_a_plan_is_named_by_its_statement() -> None:
    assert plan_named("sha256:" + "ab" * 32) == plan_named("ab" * 32)
    assert plan_named("ab" * 32).digests == (f"sha256:{'ab' * 32}",)


# -- reader and schema agree


@cache
def jsonschema_of(word: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema(word))


VALUES = (
    None,
    True,
    7,
    -1,
    2**60,
    1.5,
    "",
    "x",
    "0.5",
    "2026-11-20T14:02:00Z",
    "sha256:" + "0" * 64,
    [],
    {},
    [7],
    [{}],
    {"x": 1},
)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if at:
        yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*at, key))


@pytest.mark.parametrize("word", WORDS)
@settings(max_examples=30, deadline=None)
@given(st.data())
def test_what_the_reader_takes_the_schema_takes(word: str, data: st.DataObject) -> None:
    """One place of the example is changed: whatever breaks the schema is refused by the reader too."""
    predicate = copy.deepcopy(EXAMPLES[word]["predicate"])
    at = data.draw(st.sampled_from(sorted(places(predicate), key=repr)))
    *above, last = at
    inner = predicate
    for key in above:
        inner = inner[key]
    if data.draw(st.booleans()):
        inner[last] = data.draw(st.sampled_from(VALUES))
    else:
        del inner[last]
    one = Statement(
        subjects=statement(word).subjects, predicate_type=EXAMPLES[word]["predicateType"], predicate=predicate
    )
    try:
        value = predicates.read(one)
        predicates.step_of(one)
    except InputError:
        return
    if word in STRICT:
        jsonschema_of(word).validate(predicate)
    kind = kind_named(word)
    assert kind is not None
    again = predicates.write(kind, value)
    written = write_statement(Statement(subjects=one.subjects, predicate_type=kind.type, predicate=again))
    assert predicates.read(read_statement(written)) == value
    if word in STRICT:
        jsonschema_of(word).validate(again)


@pytest.mark.parametrize("word", WORDS)
def test_damaged_statements(word: str) -> None:
    """The examples as seeds of the fuzz target."""
    dice = random.Random(word)
    TARGETS["said"](payload(word))
    for _ in range(100):
        TARGETS["said"](damaged(payload(word), dice))


def test_a_deployment_is_no_step_that_made_the_model() -> None:
    one = statement("deployment")
    bundle = Bundle(source="s", envelope=Envelope(payload=payload("deployment"), signature=b"x"))
    claimed = judge_all([bundle], (), (), datetime(2026, 11, 23, tzinfo=UTC))
    node = build_chain(Subject(what=one.subjects[0]), claimed)
    assert (node.makings, [fact.word for fact in node.facts]) == ((), ["deployment"])
