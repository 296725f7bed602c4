"""Constants, however they are spelled: what folds is what Python would compute."""

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.formats.python.fold import Names, argument, fold


def folded(expression: str, **names: object) -> object:
    return fold(ast.parse(expression, mode="eval").body, Names(dict(names)))


SYSTEM = [
    "'sys' + 'tem'", "'metsys'[::-1]", "'xsystem'[1:]", "'{}{}'.format('sys', 'tem')", "'{1}{0}'.format('tem', 'sys')", "'%s%s' % ('sys', 'tem')",
    "'sXtem'.replace('X', 'ys')", "'SYSTEM'.lower()", "''.join(['s', 'ystem'])", "''.join(chr(c) for c in [115, 121, 115, 116, 101, 109])",
    "''.join(map(chr, (115, 121, 115, 116, 101, 109)))", "''.join(reversed('metsys'))", "bytes([115, 121, 115, 116, 101, 109]).decode()",
    "base64.b64decode('c3lzdGVt').decode()", "bytes.fromhex('73797374656d').decode()", "codecs.decode('flfgrz', 'rot13')", "f'sys{chr(116)}em'",
    "'a system b'.split(' ')[1]", "''.join(chr(c ^ 1) for c in [114, 120, 114, 117, 100, 108])", "b'system'.decode('utf-8')",
]  # fmt: skip


@pytest.mark.parametrize("expression", SYSTEM)
def test_every_spelling_of_a_name(expression: str) -> None:
    assert folded(expression) == "system"


def test_names_that_stand_for_constants() -> None:
    assert folded("a + b", a="sys", b="tem") == "system"
    assert folded("a + c", a="sys") is None


@pytest.mark.parametrize(
    "expression",
    [
        "f()", "x", "'a' * 10**9", "'%999999999d' % 1", "'{:>999999999}'.format(1)", "''.join(open('x'))", "'a'.join(x)", "[chr(c) for c in x]",
        "(-1)['a']", "'abc'[10]", "chr(-1)", "'a' + 1", "bytes(10**9)", "zlib.decompress(b'x')", "'{0.__class__}'.format(1)",
    ],
)  # fmt: skip
def test_what_does_not_fold(expression: str) -> None:
    assert folded(expression) is None


def test_work_ends() -> None:
    names = Names({"a": tuple(range(1000))})
    body = "[[[chr(x) for x in a] for y in a] for z in a]"
    assert fold(ast.parse(body, mode="eval").body, names) is None
    assert fold(ast.parse("'a' + 'b'", mode="eval").body, names) is None
    assert fold(ast.parse("'a' + 'b'", mode="eval").body) == "ab"


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=20), st.integers(0, 20))
def test_what_folds_is_what_python_computes(text: str, at: int) -> None:
    for expression in (
        f"{text!r}[::-1]",
        f"{text[:at]!r} + {text[at:]!r}",
        f"{text!r}.upper()",
        f"{text!r}[{at}:]",
        f"''.join([{text!r}, 'x'])",
    ):
        expected = eval(expression)
        assert folded(expression) == expected


def test_arguments_show_what_does_not_fold() -> None:
    call = ast.parse("f(['curl', url, '| sh'], f'curl {u}/x', 'a' + b)", mode="eval").body
    assert isinstance(call, ast.Call)
    assert [argument(item, Names()) for item in call.args] == ["curl … | sh", "curl …/x", "a…"]
