"""Pictures, to their last byte."""

import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import MemorySource
from weighbridge.formats.image import ImageReading, read


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PNG = (
    b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")
)  # fmt: skip
JPEG = b"\xff\xd8\xff\xe0\0\x04ab\xff\xda\0\x03x\x11\x22\xff\0\x33\xff\xd0\x44\xff\xd9"
GIF = b"GIF89a\1\0\1\0\x80\0\0" + b"\0" * 6 + b"!\xf9\4\0\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
WEBP = b"RIFF" + struct.pack("<I", 4 + 8 + 6) + b"WEBPVP8 " + struct.pack("<I", 5) + b"hello\0"
SVG = b'<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://x"><svg xmlns="http://www.w3.org/2000/svg"/>'
PICTURES = {"png": PNG, "jpeg": JPEG, "gif": GIF, "webp": WEBP}


def look(data: bytes, name: str = "a.png") -> ImageReading:
    return read(MemorySource(data), Budget(), name)


@pytest.mark.parametrize("kind", PICTURES)
def test_a_whole_picture(kind: str) -> None:
    reading = look(PICTURES[kind])
    assert (reading.format, reading.anomalies, reading.gaps) == (kind, (), ())


@pytest.mark.parametrize("kind", PICTURES)
def test_what_stands_behind_the_end(kind: str) -> None:
    size = len(PICTURES[kind])
    reading = look(PICTURES[kind] + b"PK hidden")
    assert [(a.code, a.offset) for a in reading.anomalies] == [("trailing-bytes", size)]
    assert [(g.code, g.offset) for g in reading.gaps] == [("trailing-bytes", size)]
    assert look(PICTURES[kind] + b"\0\0\0").gaps == ()


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_that_breaks_off_is_refused(kind: str) -> None:
    for size in range(13, len(PICTURES[kind]) - 1):
        with pytest.raises(InputError):
            look(PICTURES[kind][:size])


def test_a_second_whole_jpeg_is_no_trailing_data() -> None:
    assert look(JPEG + JPEG).gaps == ()


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(PICTURES)), st.integers(0, 200), st.binary(max_size=6))
def test_damaged_pictures_are_read_or_refused(kind: str, at: int, patch: bytes) -> None:
    data = PICTURES[kind]
    try:
        look(data[:at] + patch + data[at + len(patch) :])
    except InputError as error:
        assert error.code in ("bad-image", "not-this-format")  # noqa: PT017


def test_a_plain_svg() -> None:
    reading = look(SVG, "a.svg")
    assert (reading.format, reading.active) == ("svg", ())


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"<script>1</script>", "<script>"),
        (b"<foreignObject/>", "<foreignobject>"),
        (b'<a href=" javascript:alert(1)"/>', "href attribute"),
        (b'<g onload="x"/>', "onload attribute"),
        (b'<x:script xmlns:x="http://www.w3.org/2000/svg"/>', "<script>"),
    ],
)
def test_what_an_svg_runs(body: bytes, what: str) -> None:
    reading = look(b'<svg xmlns="http://www.w3.org/2000/svg">\n' + body + b"</svg>", "a.svg")
    assert [(a.what, a.line) for a in reading.active] == [(what, 2)]


def test_entities_are_refused_before_they_grow() -> None:
    bomb = b'<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><svg>&b;</svg>'
    with pytest.raises(InputError) as caught:
        look(bomb, "a.svg")
    assert caught.value.code == "bad-image"


def test_a_broken_svg_is_no_text() -> None:
    with pytest.raises(InputError) as caught:
        look(b"<svg><script>alert(1)</script>", "a.svg")
    assert caught.value.code == "bad-image"
    with pytest.raises(InputError) as caught:
        look(b"# A card\n<svg>", "README.md")
    assert caught.value.code == "not-this-format"
