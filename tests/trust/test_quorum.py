"""Counting signers: distinct by name and by key, roles, and the reason when it is not enough."""

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.statements import ONE_PERSON, one_person

from weighbridge.core.errors import UsageError
from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.report import SignatureResult
from weighbridge.sign.keys import fingerprint
from weighbridge.sign.people import People
from weighbridge.trust.quorum import NOBODY, Requirement, judge_signatures


def good(by: str, key: str | None = None, *roles: str) -> SignatureResult:
    return SignatureResult(
        outcome="pass", why="as signed", by=by, key=key or f"key of {by}", roles=roles, how="key"
    )


def bad(by: str = "", code: str = "signature-wrong", why: str = "it is wrong") -> SignatureResult:
    return SignatureResult(outcome="fail", why=why, code=code, by=by)


def unknown(by: str = "", code: str = "extra-missing") -> SignatureResult:
    return SignatureResult(outcome="unknown", why="cannot say", code=code, by=by)


def judge(
    *results: SignatureResult, required: bool = True, people: People = NOBODY, **requirement: object
) -> Evidence:
    wanted = Requirement(**requirement)  # type: ignore[arg-type]
    found = judge_signatures(results, wanted, required=required, people=people)
    assert found.question == "signed"
    return found


def test_one_good_signature_is_enough_by_default() -> None:
    found = judge(good("alice"))
    assert (found.outcome, found.why, found.by, found.code) == (Outcome.PASS, "signed by alice", "alice", "")
    assert found.details == ("counts          alice (key)",)


def test_no_signature_fails_where_one_is_required_and_is_never_a_pass() -> None:
    assert judge().outcome is Outcome.FAIL
    assert judge(required=False).outcome is Outcome.UNKNOWN
    assert judge().code == judge(required=False).code == "no-signature"


def test_a_bad_signature_is_worse_than_none() -> None:
    found = judge(bad("alice"), required=False)
    assert (found.outcome, found.code, found.why) == (Outcome.FAIL, "signature-wrong", "it is wrong")


@pytest.mark.parametrize(
    ("results", "signers"),
    [
        ([good("alice"), good("bob")], 2),
        ([good("alice"), good("alice")], 1),  # the same bundle twice
        ([good("alice", "k1"), good("alice", "k2")], 1),  # one person with two keys
        ([good("alice", "k"), good("bob", "k")], 1),  # one key under two names
        ([good("alice", "k1"), good("alice", "k2"), good("bob", "k2")], 1),  # linked through a third
        ([good("alice", "k1"), good("bob", "k2"), good("alice", "k2")], 1),
        ([good("alice", ""), good("bob", "")], 2),
        ([good("a"), good("b"), good("c"), good("a", "key of b")], 2),
    ],
)
def test_signers_are_distinct_by_name_and_by_key(results: list[SignatureResult], signers: int) -> None:
    for order in permutations(results):
        assert judge(*order, threshold=signers).outcome is Outcome.PASS
        short = judge(*order, threshold=signers + 1)
        assert (short.outcome, short.code) == (Outcome.FAIL, "threshold-not-met")
        assert short.why == f"{signers + 1} distinct signers are wanted, {signers} signed"


@pytest.mark.parametrize("how", ONE_PERSON)
def test_one_person_is_not_two_signers(how: str) -> None:
    first, second, keyring = one_person(how)
    people = People(one.anchor for one in keyring)
    both = [good(one.name, fingerprint(one.private.public_key())) for one in (first, second)]
    found = judge(*both, threshold=2, people=people)
    assert (found.outcome, found.code) == (Outcome.FAIL, "threshold-not-met")
    assert judge(*both, good("bob"), threshold=2, people=people).outcome is Outcome.PASS


def test_another_spelling_is_told() -> None:
    found = judge(good("zoe"), good("ZOE"))
    assert found.details[1] == "does not count  ZOE: is another way to write zoe, and both count once"


def test_who_counted_and_who_did_not_is_told() -> None:
    found = judge(
        good("alice", "k1"),
        good("alice", "k2"),
        good("bob", "k2"),
        good("carol"),
        bad("dave"),
        bad(),
        threshold=2,
    )
    assert found.outcome is Outcome.PASS
    assert found.why == "signed by 2 signers: alice, carol"
    assert found.details == (
        "counts          alice (key)",
        "does not count  alice: has signed already, and counts once",
        "does not count  bob: shares a key with alice, and both count once",
        "counts          carol (key)",
        "does not count  dave: it is wrong [signature-wrong]",
        "does not count  nobody known: it is wrong [signature-wrong]",
    )


def test_only_the_wanted_signers_count() -> None:
    assert judge(good("alice"), good("bob"), signers=("bob",)).by == "bob"
    found = judge(good("alice"), signers=("bob",))
    assert (found.outcome, found.code) == (Outcome.FAIL, "signer-not-accepted")
    assert found.why == "signed by alice, who does not count here"
    assert (
        judge(good("alice"), good("bob"), signers=("alice", "bob", "carol"), threshold=2).outcome
        is Outcome.PASS
    )


def test_a_pass_without_a_name_counts_for_nobody() -> None:
    assert judge(good("")).outcome is Outcome.FAIL
    assert judge(good(""), signers=("",)).outcome is Outcome.FAIL


def test_roles_have_their_own_counts() -> None:
    alice, bob = good("alice", None, "publisher"), good("bob", None, "approver", "publisher")
    roles = {"publisher": 1, "approver": 1}
    assert judge(alice, bob, roles=roles, threshold=2).outcome is Outcome.PASS
    assert judge(bob, roles=roles).outcome is Outcome.PASS
    found = judge(alice, roles=roles)
    assert (found.outcome, found.code) == (Outcome.FAIL, "role-missing")
    assert found.why == '1 signers with the role "approver" are wanted, 0 signed'
    assert judge(bob, good("bob", "k2", "approver"), roles={"approver": 2}).code == "role-missing"


def test_what_is_unknown_could_still_be_enough() -> None:
    assert judge(unknown()).outcome is Outcome.UNKNOWN
    assert judge(unknown()).code == "extra-missing"
    assert judge(good("alice"), unknown(), threshold=2).outcome is Outcome.UNKNOWN
    assert judge(good("alice"), unknown(), threshold=3).outcome is Outcome.FAIL
    assert judge(unknown("alice"), signers=("bob",)).outcome is Outcome.FAIL
    assert judge(good("alice"), unknown(), roles={"approver": 2}).outcome is Outcome.FAIL
    assert judge(good("alice"), unknown()).outcome is Outcome.PASS


def test_the_reason_is_about_somebody_known_where_there_is_one() -> None:
    found = judge(bad(), bad("alice", "contents-differ", "1 file differs"))
    assert (found.code, found.why) == ("contents-differ", "1 file differs")


@pytest.mark.parametrize("wrong", [{"threshold": 0}, {"threshold": -1}, {"roles": {"a": 0}}])
def test_a_threshold_that_nobody_has_to_meet_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="bad-threshold"):
        Requirement(**wrong)  # type: ignore[arg-type]


NAMES = st.sampled_from(["a", "b", "c", ""])
RESULTS = st.builds(
    SignatureResult,
    outcome=st.sampled_from(["pass", "fail", "unknown"]),
    why=st.just("why"),
    code=st.just("code"),
    by=NAMES,
    key=st.sampled_from(["k1", "k2", "k3", ""]),
    roles=st.lists(st.sampled_from(["r", "s"]), max_size=2).map(tuple),
)


@settings(max_examples=300, deadline=None)
@given(results=st.lists(RESULTS, max_size=6), threshold=st.integers(1, 4), data=st.data())
def test_more_failures_never_help_and_the_order_never_matters(
    results: list[SignatureResult], threshold: int, data: st.DataObject
) -> None:
    """Laws: PASS needs as many names and as many keys as the threshold; outcomes do not depend on the order."""
    found = judge(*results, threshold=threshold)
    passed = [one for one in results if one.outcome == "pass" and one.by]
    if found.outcome is Outcome.PASS:
        assert len({one.by for one in passed}) >= threshold
        keyed = [one.key for one in passed if one.key]
        assert len(set(keyed)) + sum(not one.key for one in passed) >= threshold
    assert len(found.details) == len(results)
    shuffled = data.draw(st.permutations(results))
    assert judge(*shuffled, threshold=threshold).outcome is found.outcome
    assert (judge(*results, bad(), threshold=threshold).outcome is Outcome.PASS) == (
        found.outcome is Outcome.PASS
    )
