"""What bytes spell wherever it begins in them: a program, a pickle, a script, an archive, a text.

Every mark is so long, or checked so far, that random bytes have it less than once in 2**40 places (docs/weights.md): a
tensor is searched in some two million places. Programs are not understood further than their headers.
"""

import zlib
from collections.abc import Iterator
from typing import NamedTuple

from weighbridge.core.pattern import late
from weighbridge.core.source import MemorySource
from weighbridge.core.text import visible
from weighbridge.formats.embedded import program_part
from weighbridge.formats.sniff import starts_like_pickle

TEXT = 64
"""Characters that a text has at least."""
MAX_FOUND = 20
HEADER = 4096
"""Bytes behind a beginning that are looked at."""


class Payload(NamedTuple):
    """One thing found in bytes."""

    kind: str
    what: str
    at: int
    excerpt: str = ""


_BEGINNINGS = late(
    rb"\x7fELF[\x01\x02][\x01\x02]\x01[\x00-\x12]"
    rb"|MZ(?=[\x00-\xff]{58}[\x00-\xff][\x00-\x0f]\x00\x00)"
    rb"|[\xce\xcf]\xfa\xed\xfe[\x07\x0c\x12]\x00\x00[\x00\x01\x02]"
    rb"|\xfe\xed\xfa[\xce\xcf][\x00\x01\x02]\x00\x00[\x07\x0c\x12]"
    rb"|PK\x03\x04[\x0a-\x3f][\x00-\x06]|\x1f\x8b\x08[\x00\x08]|7z\xbc\xaf\x27\x1c|Rar!\x1a\x07|\xfd7zXZ\x00\x00"
    rb"|#! ?/(?:usr/)?(?:local/)?bin/\w"
    rb"|\x80[\x04\x05]\x95[\x00-\xff]{3}\x00{5}"
    rb"|\x80[\x02-\x05](?=[\x00-\xff]{0,60}?c[A-Za-z_][\w.]{1,60}\n[A-Za-z_]\w{1,60}\n)"
    rb"|c(?:os|nt|posix|sys|builtins|__builtin__|subprocess|runpy|importlib|pty|socket|shutil|webbrowser)\n[A-Za-z_]\w{1,60}\n"
)
_RUN = late(rb"[\t\n\r -~]{%d,}" % TEXT)
_UNUSUAL = bytes(set(range(256)) - set(b" etaoinsrhldcu"))
_KINDS = {
    b"\x7f": ("program", "an ELF program"),
    b"M": ("program", "a Windows program"),
    b"\xce": ("program", "a Mach-O program"),
    b"\xcf": ("program", "a Mach-O program"),
    b"\xfe": ("program", "a Mach-O program"),
    b"P": ("archive", "a zip archive"),
    b"\x1f": ("archive", "gzip data"),
    b"7": ("archive", "a 7z archive"),
    b"R": ("archive", "a RAR archive"),
    b"\xfd": ("archive", "xz data"),
    b"#": ("script", "a script"),
    b"\x80": ("pickle", "a pickle"),
    b"c": ("pickle", "a pickle"),
}


def payloads(data: bytes, *, texts: bool = True) -> Iterator[Payload]:
    """What is found, at most `MAX_FOUND` things."""
    left = MAX_FOUND
    for match in _BEGINNINGS.finditer(data):
        found = _confirmed(data, match.start())
        if found is not None:
            yield found
            left -= 1
            if not left:
                return
    if texts:
        yield from _texts(data)


def programs(data: bytes) -> Iterator[Payload]:
    """Programs alone; much faster than `payloads`."""
    for mark in (b"\x7fELF", b"PE\0\0", b"\xfa\xed\xfe", b"\xfe\xed\xfa"):
        at = data.find(mark)
        for _ in range(1000):
            if at < 0:
                break
            start = _program_start(data, at, mark)
            found = _confirmed(data, start) if start >= 0 and _BEGINNINGS.match(data, start) else None
            if found is not None and found.kind == "program":
                yield found
                break
            at = data.find(mark, at + 1)


def _program_start(data: bytes, at: int, mark: bytes) -> int:
    if mark == b"\xfa\xed\xfe":
        return at - 1
    if mark != b"PE\0\0":
        return at
    start = data.rfind(b"MZ", max(0, at - HEADER), at)
    while start >= 0 and int.from_bytes(data[start + 60 : start + 64], "little") != at - start:
        start = data.rfind(b"MZ", max(0, at - HEADER), start)
    return start


def _confirmed(data: bytes, at: int) -> Payload | None:
    rest = data[at : at + HEADER]
    kind, what = _KINDS[rest[:1]]
    part = program_part(MemorySource(data[at : at + 2**24]), 0, min(len(data) - at, 2**24), "stream")
    if (
        part is None
        or (rest[:1] == b"\x1f" and not _inflates(rest))
        or (kind == "program" and len(rest) < 64)
    ):
        return None
    if kind == "pickle" and not starts_like_pickle(rest, len(data) - at):
        return None  # a frame is little to go by in bits that are nearly all zero
    return Payload(kind, what, at)


def _inflates(rest: bytes) -> bool:
    """Whether gzip data go on as such."""
    try:
        return bool(zlib.decompressobj(31).decompress(rest, HEADER))
    except zlib.error:
        return False


def _texts(data: bytes) -> Iterator[Payload]:
    for match in _RUN.finditer(data):
        run = match.group()[:HEADER]
        if is_text(run):
            shown = visible(run[:60].decode("ascii"), 60)
            yield Payload("text", "text", match.start(), shown)
            return


def is_text(run: bytes) -> bool:
    """Whether printable bytes are a text of people or programs, by the letters that such texts are made of.

    They are four fifths of English and more than half of source code; of bytes whose upper bits are fixed, as those
    that are put together from exponents are, they are a fifth.
    """
    usual = len(run.translate(None, _UNUSUAL))
    return (
        2 * usual >= len(run)
        and len(set(run)) >= 12
        and len(zlib.compress(run[:512])) > min(len(run), 512) // 4
    )
