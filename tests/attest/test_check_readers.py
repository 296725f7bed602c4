"""A check's verdict has two readers, one for signatures and one that reads it whole: they never disagree."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.report import reports
from weighbridge.attest import predicates
from weighbridge.attest.predicates import check, kind_named
from weighbridge.attest.predicates.check import Check
from weighbridge.core.errors import InputError
from weighbridge.core.statement import read_statement
from weighbridge.core.value import replace
from weighbridge.core.wire import write_json
from weighbridge.report.attest import check_statement
from weighbridge.sign.gate import read_verdict

FILES = "sha256:" + "5f" * 32
REPORT = replace(reports.refused(), subject=replace(reports.refused().subject, files_digest=FILES))
WRITTEN = json.loads(write_json(check_statement(REPORT)))


def changed(**fields: Any) -> bytes:
    return write_json({**WRITTEN, "predicate": {**WRITTEN["predicate"], **fields}})


def without(name: str) -> bytes:
    return write_json(
        {**WRITTEN, "predicate": {key: value for key, value in WRITTEN["predicate"].items() if key != name}}
    )


def whole(payload: bytes) -> Check:
    found = predicates.read(read_statement(payload))
    assert isinstance(found, Check)
    return found


def same(payload: bytes) -> None:
    """What the whole reader takes, the other takes, and they say the same."""
    said, all_of_it = read_verdict(payload), whole(payload)
    assert said.verdict == all_of_it.verdict.value
    assert said.time == all_of_it.time[:40]
    name, digest = all_of_it.policy or ("unknown", "")
    assert said.policy == f"{name} {digest}".strip()[:200]
    assert str(said.files) == all_of_it.files


@pytest.mark.parametrize("word", ["admitted", "refused", "undecided"])
def test_what_a_gate_writes_both_read(word: str) -> None:
    same(changed(verdict=word))


def test_without_a_policy() -> None:
    same(changed(policy=None))


def test_what_the_whole_reader_writes_both_read() -> None:
    kind = kind_named("check")
    assert kind is not None
    again = predicates.write(kind, whole(write_json(WRITTEN)))
    same(write_json({**WRITTEN, "predicate": again}))
    assert again == check.write(whole(write_json(WRITTEN)))


MALFORMED = {
    "no verdict": without("verdict"),
    "a verdict that is none": changed(verdict="ADMITTED"),
    "a verdict that is a list": changed(verdict=["admitted"]),
    "a verdict that is null": changed(verdict=None),
    "one field more": changed(exception="everything"),
    "a policy that is a text": changed(policy="production"),
    "a policy without a name": changed(policy={"digest": "sha256:00"}),
    "a policy without a digest": changed(policy={"name": "production"}),
    "an empty policy": changed(policy={}),
    "a policy whose name is a number": changed(policy={"name": 7, "digest": ""}),
    "reasons that are a text": changed(reasons="none"),
    "admitted unknowns that are an object": changed(admittedUnknowns={}),
    "evidence that is an object": changed(evidence={}),
    "counts that are a list": changed(counts=[]),
    "a tool that is a text": changed(tool="weighbridge"),
    "a time that is a number": changed(timeVerified=2026),
    "digests that are a list": changed(digests=[]),
    "digests whose files are a number": changed(digests={"files": 7}),
    "digests whose files are no digest": changed(digests={"files": "5f"}),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed_both_refuse(name: str) -> None:
    with pytest.raises(InputError) as caught:
        whole(MALFORMED[name])
    assert caught.value.code == "bad-predicate"
    with pytest.raises(InputError) as caught:
        read_verdict(MALFORMED[name])
    assert caught.value.code == "bad-verdict"


def test_the_digests_of_another_model_are_no_verdict() -> None:
    with pytest.raises(InputError) as caught:
        read_verdict(changed(digests={**WRITTEN["predicate"]["digests"], "files": "sha256:" + "aa" * 32}))
    assert caught.value.code == "bad-verdict"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=8) | st.just("admitted"),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["name", "digest", "tensors", "version", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([*WRITTEN["predicate"], "more"]), VALUES)
def test_the_gate_refuses_nothing_that_the_whole_reader_takes(field: str, value: Any) -> None:
    payload = changed(**{field: value})
    try:
        whole(payload)
    except InputError:
        return
    same(payload)
