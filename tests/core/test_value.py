"""Our decorator is the standard one as far as anybody can see."""

import copy
import dataclasses
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.core.value import FEW, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    a: int
    b: tuple[int, ...] = ()
    c: dict[str, int] = dataclasses.field(default_factory=dict, compare=False, repr=False)
    d: int = dataclasses.field(init=False, default=7)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    a: int
    b: tuple[int, ...] = ()
    c: dict[str, int] = dataclasses.field(default_factory=dict, compare=False, repr=False)
    d: int = dataclasses.field(init=False, default=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Child(Ours):
    e: str = ""

    def __post_init__(self) -> None:
        if self.a < 0:
            raise ValueError


@dataclass(slots=True)
class Changing:
    a: int = 0


FIELDS = st.fixed_dictionaries({"a": st.integers(0, 3)}, optional={"b": st.tuples(st.integers(0, 2))})


@given(FIELDS, FIELDS)
def test_equality_hash_and_text_are_the_standard_ones(one, other):
    ours, standard = (Ours(**one), Ours(**other)), (Standard(**one), Standard(**other))
    assert (ours[0] == ours[1]) == (standard[0] == standard[1])
    assert ours[0] != ours[1] or hash(ours[0]) == hash(ours[1])
    assert repr(ours[0]).replace("Ours", "Standard") == repr(standard[0])
    assert Ours(**one) != Child(**one)


def test_nothing_can_be_set_or_deleted_later():
    value = Child(a=1)
    for change in (
        lambda: setattr(value, "a", 2),
        lambda: setattr(value, "d", 2),
        lambda: delattr(value, "a"),
    ):
        with pytest.raises(dataclasses.FrozenInstanceError):
            change()
    with pytest.raises(AttributeError):
        value.other = 1
    with pytest.raises(TypeError):
        Ours(1)
    with pytest.raises(ValueError):
        Child(a=-1)


def test_the_library_s_functions_know_it():
    value = Child(a=1, e="x")
    assert dataclasses.is_dataclass(value)
    assert dataclasses.replace(value, a=2) == Child(a=2, e="x")
    assert [field.name for field in dataclasses.fields(value)] == ["a", "b", "c", "d", "e"]
    assert copy.deepcopy(value) == value
    assert pickle.loads(pickle.dumps(value)) == value


def test_what_changes_has_no_hash():
    value = Changing()
    value.a = 3
    assert value == Changing(3)
    with pytest.raises(TypeError):
        hash(value)


def test_the_first_values_are_made_as_all_later_ones():
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Late:
        a: int
        b: list[int] = dataclasses.field(default_factory=list)

        def __post_init__(self) -> None:
            if self.a == 13:
                raise ValueError

    values = [Late(a=number) for number in range(FEW + 3)]
    assert [value.a for value in values] == list(range(FEW + 3))
    assert len({id(value.b) for value in values}) == len(values)
    with pytest.raises(ValueError):
        Late(a=13)


@pytest.mark.parametrize("before", [0, FEW + 1])
def test_wrong_arguments_are_told_early_and_late(before):
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Late:
        a: int
        d: int = dataclasses.field(init=False, default=7)

    for _ in range(before):
        Late(a=1)
    for wrong, word in (({}, "'a'"), ({"a": 1, "x": 2}, "'x'"), ({"a": 1, "d": 2}, "'d'")):
        with pytest.raises(TypeError, match=word):
            Late(**wrong)
    assert Late(a=1) == Late(a=1)
