"""What was found out about a callable, a wide value or a nest of them is found out once, and decides nothing else."""

from functools import partial

from tests.formats import pickles as p
from weighbridge.core.budget import Budget
from weighbridge.formats.pickle import run
from weighbridge.scan.contracts import judge
from weighbridge.scan.contracts.remembered import forget, once
from weighbridge.scan.contracts.values import of_library

WIDTH, DEPTH = 100, 7


def said(data: bytes) -> list[tuple[str, str, int]]:
    """(level, name, times) of everything outside the contracts."""
    return [(i.level.value, i.name, i.times) for i in judge(run(data, Budget())).items]


def test_a_nest_of_shared_tuples_is_walked_once() -> None:
    nest: object = (1,) * WIDTH
    for _ in range(DEPTH - 1):
        nest = (nest,) * WIDTH
    try:
        assert of_library(nest)
        assert not of_library((nest,) * 2 + (object(),))
    finally:
        forget()


def test_an_answer_is_of_one_value_and_one_question() -> None:
    first, second = [1], [1]
    try:
        for value in (first, second):
            for question in "ab":
                answer = (id(value), question)
                assert once(value, question, partial(tuple, answer)) == answer
        assert once(first, "a", tuple) == (id(first), "a")
    finally:
        forget()


def test_after_many_new_arguments_each_call_is_judged_by_its_own() -> None:
    function = p.name("m", "f") + b"q\x000"
    calls = b"".join(b"h\0" + p.integer(n) + b"\x85R0" for n in range(200))
    harmful = b"h\0" + p.text("rm -r x; ls") + b"\x85R0"
    assert said(function + calls + harmful + calls + b"N.") == [
        ("unproved", "m.f", 400),
        ("harmful", "m.f", 1),
    ]


def test_after_many_calls_outside_a_contract_one_inside_is_inside() -> None:
    kind = p.name("builtins", "complex") + b"q\x000"
    outside = b"".join(b"h\0" + p.text(f"{n}") + b"\x85R0" for n in range(200))
    assert said(kind + outside + b"h\0K\1K\2\x86R0" + b"N.") == [("unproved", "builtins.complex", 200)]


def test_an_object_made_and_a_call_are_told_apart() -> None:
    kind = p.name("m", "f") + b"q\x000"
    found = judge(run(kind + b"h\0)\x810h\0)R0h\0)\x810h\0)R0h\0K\1\x85R0N.", Budget())).items
    assert [(i.does, i.times) for i in found] == [
        ("makes an object of m.f, which is in no contract", 2),
        ("calls m.f, which is in no contract", 3),
    ]
