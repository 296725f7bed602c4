"""Text, to its last byte."""

import pytest

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import MemorySource
from weighbridge.formats import text
from weighbridge.formats.text import TextReading


def look(data: bytes, name: str = "README.md") -> TextReading:
    return text.read(MemorySource(data), Budget(), name)


@pytest.mark.parametrize(
    ("data", "encoding", "content"),
    [
        (b"abc", "utf-8", "abc"),
        ("é漢".encode(), "utf-8", "é漢"),
        ("Jos\xe9 wrote this licence text".encode("latin-1"), "latin-1", "José wrote this licence text"),
        ("torch\r\n".encode("utf-16"), "utf-16", "torch\r\n"),
    ],
)
def test_encodings(data: bytes, encoding: str, content: str) -> None:
    reading = look(data)
    assert (reading.encoding, reading.text) == (encoding, content)


@pytest.mark.parametrize(
    "data",
    [
        b"a\0b",
        b"a\x07",
        b"\xff\xfe\xff",
        b"\x80\x81" * 50,
        b"x" * 2_000_000 + b"\0",
        b"x" * 2_000_000 + b"\xff",
    ],
)
def test_what_is_no_text_is_refused_wherever_it_stands(data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        look(data)
    assert caught.value.code == "not-this-format"


def test_a_letter_across_two_chunks_is_one_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "CHUNK", 3)
    assert look("aaé漢bb".encode()).text == "aaé漢bb"


def test_only_the_beginning_is_kept_but_all_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "KEPT_TEXT", 4)
    assert look(b"abcdefgh").text == "abcd"


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("requirements.txt", b"torch", "requirements"),
        ("sub/requirements-dev.txt", b"torch", "requirements"),
        ("constraints.txt", b"torch", "requirements"),
        ("index.html", b"<p>", "html"),
        ("README.md", b"<!DOCTYPE html><p>", "html"),
        ("vocab.txt", b"[PAD]", "text"),
    ],
)
def test_kinds_of_text(name: str, data: bytes, kind: str) -> None:
    assert look(data, name).format == kind


def test_characters_that_reorder_are_an_anomaly() -> None:
    assert [(a.code, a.message) for a in look("a\nb\u202ec".encode()).anomalies] == [
        ("bidi-characters", "line 2 reads in another order than it stands")
    ]
    assert look("שלום עולם".encode()).anomalies == ()
