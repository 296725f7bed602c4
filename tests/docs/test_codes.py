"""The collector of codes: what it finds, and what it leaves alone."""

import pytest
from tests.docs.codes import collect

SINKS = """
class InputError(Exception): ...
class Evidence:
    why: str
    code: str = ""
class Anomaly:
    code: str
class Extension:
    code: int
"""


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ('raise InputError("one", "why")', ["one"]),
        ('raise InputError(code="one")', ["one"]),
        ('Evidence(why="x", code="one")', ["one"]),
        ('Evidence("x", "one")', ["one"]),
        ('_BAD = "one"\ndef f(): raise InputError(_BAD, "why")', ["one"]),
        ('def f(x): raise InputError("one" if x else "two", "why")', ["one", "two"]),
        ('def _no(code, why): return Evidence(why=why, code=code)\n_no("one", "why")', ["one"]),
        ('def _no(why, *, code): return Evidence(why=why, code=code)\n_no("why", code="one")', ["one"]),
        ('class A:\n  def no(self, code): raise InputError(code)\nA().no("one")', ["one"]),
        ('def a(code): return b(code)\ndef b(code): return Evidence(why="", code=code)\na("one")', ["one"]),
        ('def why(): return "one"\ndef f():\n  problem = why()\n  raise InputError(problem)', ["one"]),
        ('def why(): return "one", "x"\ndef f():\n  code, _ = why()\n  raise InputError(code)', ["one"]),
        (
            'T = {"one": 1, "two": 2}\ndef f():\n  for code, _ in T.items(): raise InputError(code)',
            ["one", "two"],
        ),
        ('def f(x): return replace(x, code="one")', ["one"]),
        ('more = {"code": "one"}', ["one"]),
        ('Anomaly(code="one")', []),
        ('def note(code): return Anomaly(code=code)\nnote("one")', []),
        ('Extension(code="one")', []),
        ("def f(error): raise InputError(error.code)", []),
        ('print("one")', []),
    ],
)
def test_codes_are_found(text, codes, tmp_path):
    (tmp_path / "sinks.py").write_text(SINKS)
    (tmp_path / "module.py").write_text(text)
    found = collect(tmp_path)
    assert (sorted(found.used), found.unclear) == (codes, [])


def test_what_cannot_be_followed_is_named(tmp_path):
    (tmp_path / "sinks.py").write_text(SINKS)
    (tmp_path / "module.py").write_text('def f(x): raise InputError("a" + x)')
    assert collect(tmp_path).unclear == ["module.py: 'a' + x"]
