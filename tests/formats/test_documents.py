"""Documents, requirements and tokenizers' patterns: what the readers find, and that they end."""

import time
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import MemorySource
from weighbridge.formats import document, requirements
from weighbridge.formats.document import DocumentReading
from weighbridge.formats.tokenizer import explodes

PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog HERE >>\nendobj\n%%EOF\n"


def look(data: bytes) -> DocumentReading:
    return document.read(MemorySource(data), Budget(), "a")


@pytest.mark.parametrize(
    ("entry", "active", "odd"),
    [
        (b"", (), ()),
        (b"/OpenAction 3 0 R", (), ()),  # where a reader begins
        (b"/OpenAction 3 0 R /S /URI /URI (x)", (), ("an action when it is opened",)),
        (b"/S /JavaScript /JS (x)", ("a script",), ()),
        (b"/S /J#61va#53cript", ("a script",), ()),
        (b"/S /Launch", ("a program",), ()),
        (b"/JSomething /Launcher", (), ()),
    ],
)
def test_pdf(entry: bytes, active: tuple[str, ...], odd: tuple[str, ...]) -> None:
    reading = look(PDF.replace(b"HERE", entry))
    assert (reading.format, reading.active, reading.odd) == ("pdf", active, odd)


def test_scripts_in_deflated_streams_are_seen() -> None:
    stream = zlib.compress(b"<< /S /JavaScript /JS (x) >>")
    assert look(PDF + b"stream\r\n" + stream + b"\nendstream").active == ("a script",)


def test_a_stream_that_inflates_without_end_is_cut() -> None:
    bomb = zlib.compress(bytes(100_000_000))
    before = time.monotonic()
    look(PDF + (b"stream\n" + bomb + b"\nendstream\n") * 40)
    assert time.monotonic() - before < 5


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([b"%PDF-1.4\n", document.OLE, b"{\\rtf", document.LNK, b"%!PS", b""]),
    st.binary(max_size=900),
)
def test_any_bytes_end(head: bytes, data: bytes) -> None:
    try:
        look(head + data)
    except InputError as error:
        if error.code != "not-this-format":
            raise


def test_an_ole_file_cut_short() -> None:
    assert look(document.OLE + bytes(504)).active == ()


@pytest.mark.parametrize(
    ("pattern", "part"),
    [
        (r"(\w+)+!", r"(\w+)+"),
        (r"(?:a*)*b", r"(?:a*)*"),
        (r"((a+)?)+", r"((a+)?)+"),
        (r"([a-z]+\s?)+", r"([a-z]+\s?)+"),
        (r"(a|b+)*c", r"(a|b+)*"),
        (r"(\w+)++", ""),
        (r"(?:[a-z]+,)*", ""),
        (r" ?\p{L}+| ?\p{N}+|\s+(?!\S)|\s+", ""),
        (r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+", ""),
        (r"[(]+[)]+", ""),
        (r"\(a+\)+", ""),
        ("(" * 5000, ""),
        (")" * 5000, ""),
        ("(a+)" * 5000, ""),
    ],
)
def test_patterns_that_explode(pattern: str, part: str) -> None:
    assert explodes(pattern) == part


@settings(max_examples=300, deadline=None)
@given(st.text(r"ab()[]{}*+?|\^$.<>=!:12,", max_size=40))
def test_any_pattern_ends(pattern: str) -> None:
    explodes(pattern)


def stated(text: str, name: str) -> list[str]:
    return [found.text for found in requirements.from_named(text, name)]


def test_requirements_of_every_file() -> None:
    assert [tuple(r) for r in requirements.from_text("a  # c\n\n--index-url \\\n  http://x\n#y\n")] == [
        ("a", 1),
        ("--index-url    http://x", 3),
    ]
    assert stated(
        '[project]\ndependencies = ["a>=1"]\n[project.optional-dependencies]\nx = ["b"]\n', "pyproject.toml"
    ) == ["a>=1", "b"]
    assert stated(
        '[build-system]\nrequires = ["c"]\n[project.urls]\nHome = "https://x"\n', "pyproject.toml"
    ) == ["c"]
    assert stated('[tool.poetry.dependencies]\nd = {git = "https://x/y"}\n', "pyproject.toml") == [
        "d @ git+https://x/y"
    ]
    assert stated(
        "[options]\ninstall_requires =\n    e\n    f @ http://x\n[metadata]\nurl = http://y\n", "setup.cfg"
    ) == ["e", "f @ http://x"]
    assert stated('[packages]\ng = {git = "http://x"}\n', "Pipfile") == ["g @ git+http://x"]
    assert stated("[global]\nindex-url = http://x\n", "pip.conf") == ["--index-url http://x"]
    assert stated("= broken", "pyproject.toml") == []
    tree = {"dependencies": ["python=3.10", {"pip": ["h", "-e ."]}], "python": {"index_url": "http://x"}}
    assert [text for _, text in requirements.from_tree(tree)] == [
        "python=3.10",
        "h",
        "-e .",
        "--index-url http://x",
    ]


@settings(max_examples=100, deadline=None)
@given(
    st.text("[]a.=\"'\n{}, @:/", max_size=80),
    st.sampled_from(["pyproject.toml", "setup.cfg", "Pipfile", "requirements.txt"]),
)
def test_any_text_ends(text: str, name: str) -> None:
    stated(text, name)
    list(requirements.from_text(text))
