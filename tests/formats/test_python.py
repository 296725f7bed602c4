"""Facts about Python source."""

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.core.budget import Budget
from weighbridge.core.source import MemorySource
from weighbridge.formats.python import PythonReading, read
from weighbridge.formats.python.fold import fold


def look(code: str | bytes) -> PythonReading:
    data = code.encode("utf-8", "surrogatepass") if isinstance(code, str) else code
    return read(MemorySource(data), Budget(), "x.py")


def test_imports_with_scope() -> None:
    reading = look(
        "import a.b as c\nfrom . import d\ndef f():\n    from .e import *\nif __name__ == '__main__':\n    import g"
    )
    assert [tuple(item) for item in reading.imports] == [
        ("a.b", "", 1, ""),
        (".", "d", 2, ""),
        (".e", "*", 4, "f"),
        ("g", "", 6, "__main__"),
    ]


def test_uses_with_scope_and_arguments() -> None:
    reading = look("import os\nclass A:\n    def f(self, x):\n        os.system('a' + 'b', k=1)\n")
    (use,) = [use for use in reading.uses if use.name == "os.system"]
    assert use[:6] == ("os.system", 4, "A.f", True, ("ab",), (("k", 1),))
    assert (reading.classes, reading.functions) == (("A",), ("A.f",))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'a' + 'b'", "ab"), ("'cba'[::-1]", "abc"), ("chr(97)", "a"), ("''.join(['a', 'b'])", "ab"), ("f'a{1}'", "a1"),
        ("f'abc'", "abc"), ("base64.b64decode('YQ==').decode()", "a"), ("bytes.fromhex('61').decode()", "a"),
        ("codecs.decode('n', 'rot13')", "a"), ("b'a' + b'b'", b"ab"), ("x", None), ("1 + 'a'", None), ("'a' * 10**9", None),
        ("base64.b64decode('!')", b""), ("''.join([x])", None), ("chr(-1)", None), ("'a'.join()", None),
    ],
)  # fmt: skip
def test_folding(expression: str, value: object) -> None:
    assert fold(ast.parse(expression, mode="eval").body) == value


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"x = (", "python-syntax"),
        (b"x = '\0'", "python-syntax"),
        (b"# coding: rot13\n", "python-encoding"),
        (b"# -*- coding: punycode -*-\n", "python-encoding"),
        (b"\xff", "python-encoding"),
        (b"x = " + b"-" * 200_000 + b"1", "limit-depth"),
        (b"x = 1" + b"+1" * 50_000, "limit-depth"),
        (b"x = " + b"(" * 300 + b")" * 300, "python-syntax"),
        (b"#" * 3_000_000, "limit-python"),
    ],
)
def test_what_cannot_be_parsed_is_a_gap(data: bytes, code: str) -> None:
    assert [gap.code for gap in look(data).gaps] == [code]


@pytest.mark.parametrize(
    "data",
    [
        b"# coding: latin-1\nx = '\xe9'\n",
        b"\xef\xbb\xbfx = 1\n",
        b"#!/usr/bin/python\nx = 1\n",
        b"x = 1\r\n",
        b"",
    ],
)
def test_ordinary_encodings(data: bytes) -> None:
    assert look(data).gaps == ()


def test_long_chains_and_wide_bindings_stay_small() -> None:
    chain = look("x = a" + ".b()" * 300)
    assert max(len(use.name) for use in chain.uses) < 500
    wide = look("\n".join(f"x = m{n}.y" for n in range(500)) + "\nx.system()")
    assert len(wide.uses) < 2000
    assert "?.system" in {use.name for use in wide.uses}


def test_a_bomb_of_references_is_a_gap() -> None:
    code = "\n".join(f"x = m{n}.y" for n in range(64)) + "\n" + "x;" * 7_000
    assert [gap.code for gap in look(code).gaps] == ["limit-python"]
    nested = "f(" * 90 + "[" + "a+b," * 20_000 + "]" + ")" * 90
    assert [gap.code for gap in look(nested).gaps] == ["limit-python"]


@settings(max_examples=100, deadline=None)
@given(
    st.text(max_size=200)
    | st.lists(
        st.sampled_from(
            [
                "a",
                "b",
                "(",
                ")",
                "[",
                "]",
                ".",
                ",",
                "=",
                ":",
                "\n",
                "def",
                "class",
                "import",
                "from",
                "os",
                "getattr",
                "'",
                "+",
                "lambda",
                "*",
                "@",
                "if",
                "else",
                "for",
                "in",
            ]
        ),
        max_size=40,
    ).map(" ".join)
)
def test_any_text_is_read(code: str) -> None:
    assert isinstance(look(code), PythonReading)
