"""Who is who: names and keys, what the keyring ties together, and spellings that nobody can tell apart."""

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.statements import ONE_PERSON, Person, one_person

from weighbridge.core.evidence import Outcome
from weighbridge.sign import keys
from weighbridge.sign.anchor import CertificateAnchor, KeyAnchor, SignerCheck
from weighbridge.sign.people import People, grouped, marks_of


def signed(by: str, key: str = "") -> SignerCheck:
    return SignerCheck(outcome=Outcome.PASS, why="", by=by, key=key)


def check_of(person: Person) -> SignerCheck:
    return signed(person.name, keys.fingerprint(person.private.public_key()))


@pytest.mark.parametrize("how", ONE_PERSON)
def test_one_person_counts_once(how: str) -> None:
    first, second, keyring = one_person(how)
    other = Person("ben")
    people = People(one.anchor for one in (*keyring, other))
    for order in permutations((first, second, other)):
        assert people.count(map(check_of, order)) == 2
    assert people.of(check_of(first)) & people.of(check_of(second))
    assert not people.of(check_of(first)) & people.of(check_of(other))


@pytest.mark.parametrize("how", sorted(set(ONE_PERSON) - {"tied by the keyring alone"}))
def test_what_was_signed_ties_without_a_keyring(how: str) -> None:
    first, second, _ = one_person(how)
    assert People().count(map(check_of, (first, second))) == 1


def test_the_keyring_ties_what_nobody_signed_with() -> None:
    first, second, keyring = one_person("tied by the keyring alone")
    assert People().count(map(check_of, (first, second))) == 2
    assert People(one.anchor for one in keyring).count(map(check_of, (first, second))) == 1


@pytest.mark.parametrize("pair", [("zoe", "zoey"), ("zoe", "zo\u0435"), ("ann", "anna"), ("a b", "ab")])
def test_different_names_are_different_people(pair: tuple[str, str]) -> None:
    """Letters of two alphabets are two names: their keys are two as well, and the keyring shows both."""
    assert People().count(signed(name, f"key of {name}") for name in pair) == 2


def test_a_name_of_nothing_that_is_shown_is_a_name() -> None:
    assert marks_of("\u200d") != marks_of("") == frozenset()
    assert marks_of(" ") == {"name  "}


def test_who_has_no_mark_is_one_person() -> None:
    assert People().count([signed(""), signed(""), signed("ann")]) == 2


def test_certificates_of_one_authority_are_many_people() -> None:
    authority = CertificateAnchor(name="acme", roots_pem=b"")
    found = [signed("ann@acme.example", "k1"), signed("ben@acme.example", "k2")]
    assert People([authority]).count(found) == 2


def test_a_key_that_cannot_be_read_ties_nothing() -> None:
    broken = [KeyAnchor(name=name, public_key_pem=b"no key") for name in ("ann", "ben")]
    assert People(broken).count([signed("ann"), signed("ben")]) == 2


@settings(max_examples=150, deadline=None)
@given(st.lists(st.frozensets(st.integers(0, 7).map(str), max_size=3), max_size=9))
def test_groups_are_what_is_connected(marks: list[frozenset[str]]) -> None:
    groups = grouped(enumerate(marks))
    assert sorted(one for group in groups for one in group) == list(range(len(marks)))
    assert [group[0] for group in groups] == sorted(group[0] for group in groups)
    reached = [frozenset().union(*(marks[one] or {""} for one in group)) for group in groups]
    for number, mine in enumerate(reached):
        assert list(groups[number]) == sorted(groups[number])
        assert all(mine.isdisjoint(other) for other in reached[number + 1 :])
    for group, mine in zip(groups, reached, strict=True):
        inside = set(marks[group[0]] or {""})
        for _ in group:
            inside.update(*(marks[one] or {""} for one in group if inside & (marks[one] or {""})))
        assert inside == mine
