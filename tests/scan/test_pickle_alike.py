"""Calls that are alike are judged once, and what decides between two calls is never lost by that."""

import time

import pytest

from tests.formats import pickles as p
from weighbridge.core.budget import Budget
from weighbridge.formats.pickle import run
from weighbridge.scan.contracts import Level, judge
from weighbridge.scan.contracts.alike import key_of
from weighbridge.scan.contracts.texts import MAX_LOOKED, Texts, texts_in

BYTES = p.name("builtins", "bytes")
GETATTR = p.name("builtins", "getattr")


def said(data: bytes) -> list[tuple[str, str, int]]:
    """(level, name, times) of everything outside the contracts."""
    return [(i.level.value, i.name, i.times) for i in judge(run(data, Budget())).items]


def test_arguments_that_are_empty_but_no_tuple_are_not_no_arguments() -> None:
    assert said(BYTES + b")R.") == []
    alone = said(BYTES + b"C\0R.")
    assert alone == [("unproved", "builtins.bytes", 1)]
    assert said(BYTES + b")R0" + BYTES + b"C\0R.") == alone


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (p.call(BYTES, p.integer(1)), p.call(BYTES, p.integer(2**30))),
        (p.call(p.name("m", "f"), p.text("a")), p.call(p.name("m", "f"), p.text("rm -r x; ls"))),
        (p.call(p.name("m", "f"), p.data(b"a")), p.call(p.name("m", "f"), p.data(b"rm -r x; ls"))),
        (
            p.call(p.call(GETATTR, p.name("m", "C"), p.text("f")), b"N"),
            p.call(p.call(GETATTR, p.name("os", "path"), p.text("system")), b"N"),
        ),
        (p.new(p.name("m", "f"), b"N"), p.call(p.name("m", "f"), p.text("os.system('x')"))),
    ],
)
def test_the_second_call_is_judged_by_its_own_arguments(first: bytes, second: bytes) -> None:
    harmful = [
        i for i in judge(run(first + b"0" + second + b".", Budget())).items if i.level is Level.HARMFUL
    ]
    alone = judge(run(second + b".", Budget())).items
    assert [(i.name, i.does) for i in harmful][-1:] == [(i.name, i.does) for i in alone][-1:]
    assert harmful


def test_a_state_between_two_calls_decides_over_each_by_its_place() -> None:
    dtype = p.call(p.name("numpy", "dtype"), p.text("u1"), b"\x89", b"\x88") + b"q\x000"
    numbers = p.integer(-1) + p.integer(-1) + b"K\0"
    state = b"h\0" + p.pack(b"K\3", p.text("|"), b"NNN", numbers) + b"b0"
    scalar = p.name("numpy.core.multiarray", "scalar") + b"h\0" + p.data(b"a") + b"\x86R0"
    assert said(dtype + scalar * 3 + b"N.") == []
    assert said(dtype + state + scalar * 2 + b"N.") == []
    found = said(dtype + scalar * 3 + state + scalar * 2 + b"N.")
    assert found == [("unproved", "numpy.core.multiarray.scalar", 3)]


def test_a_count_stands_for_all_that_are_alike() -> None:
    call = p.call(p.name("m", "f"), b"]", p.pack(p.text("x"), b"K\1"))
    assert said((call + b"0") * 7 + b"N.") == [("unproved", "m.f", 7)]
    assert said((p.call(p.name("posix", "system"), p.text("true")) + b"0") * 7 + b"N.") == [
        ("harmful", "posix.system", 7)
    ]


def test_keys_tell_kinds_apart() -> None:
    values = [0, False, "", b"", (), None, (0,), ((0,),), 1, True, "1", b"1"]
    assert len({key_of(value) for value in values}) == len(values)
    assert key_of((1, "a", ())) == key_of((1, "a", ()))


def test_wide_and_deep_values_are_told_by_identity() -> None:
    wide = tuple(range(1000))
    assert key_of(wide) == id(wide)
    deep: object = None
    for _ in range(10_000):
        deep = (deep,)
    key_of(deep)


def test_looks_at_the_same_values_as_a_walk_from_the_start() -> None:
    shared = tuple(["a"] * 150 + ["rm -r x; ls"] + ["b"] * 100)
    texts = Texts()
    nested: object = shared
    for front in (0, 10, 40, 48, 49, 50, 300):
        args = (*[None] * front, nested)
        walked = list(texts_in(args))
        assert texts.any(args) == any(walked)
        assert texts.suspicious(args) == ("rm -r x; ls" in walked), front
        nested = (nested,)
    assert MAX_LOOKED == 200


def test_wide_arguments_that_many_calls_share_are_looked_at_once() -> None:
    wide = p.pack(*[p.text(f"{n:04}" * 1000) for n in range(200)])
    start = wide + b"q\x000" + p.name("m", "f") + b"q\x010"
    calls = b"".join(b"h\1h\0" + p.integer(n) + b"\x86R0" for n in range(20_000))
    program = run(start + calls + b"N.", Budget())
    started = time.process_time()
    assert [(i.name, i.times) for i in judge(program).items] == [("m.f", 20_000)]
    assert time.process_time() - started < 30  # hours when each call looks anew


def test_uses_of_one_extension_code_are_counted() -> None:
    assert said(b"\x82\7" * 5 + b"\x82\x08.") == [
        ("unproved", "extension 7", 5),
        ("unproved", "extension 8", 1),
    ]


def test_many_extension_codes_and_text_ids_end_at_a_limit() -> None:
    codes = b"".join(b"\x84" + n.to_bytes(4, "little") + b"0" for n in range(1, 100_002))
    assert (found := run(codes + b"N.", Budget())).broken is not None
    assert found.broken.code == "limit-members"
    found = run(b"Pa\n0" * 500_001 + b"N.", Budget())
    assert found.broken is not None
    assert found.broken.code == "limit-members"
    assert len(found.persistents) == 500_000
