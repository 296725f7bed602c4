"""Programs, pickles, archives and scripts in tensor data and in texts of a model: told by how they begin.

Only what stands whole at the start of a tensor or a text is looked for, and texts are looked at through base64 and
hexadecimal too. Code or text spread over weights cannot be told from weights, and is not searched for. Marks are long
enough that random weights never begin with one.
"""

import re

from weighbridge.core.pattern import late
from weighbridge.core.source import MemorySource, Slice, Source
from weighbridge.core.text import visible
from weighbridge.formats.reading import Part
from weighbridge.formats.sniff import starts_like_pickle

SHORTEST = 64
"""Bytes; no loadable program is smaller than an ELF header."""
SHORTEST_PICKLE = 8
HEAD = 4096
MAX_DECODED = 16 * 1024**2
_MACHO = {b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe"}
_PROGRAMS = {b"\x7fE", b"MZ"} | {magic[:2] for magic in _MACHO}
_ARCHIVES = {
    b"PK": late(rb"PK\x03\x04[\x0a-\x3f][\x00-\x06].[\x00-\x0f][\x00\x08\x0c\x0e]\x00", re.DOTALL),
    b"\x1f\x8b": late(rb"\x1f\x8b\x08[\x00\x08].{4}[\x00\x02\x04][\x00\x03\x07\x0a-\x0d\xff]", re.DOTALL),
    b"7z": late(rb"7z\xbc\xaf\x27\x1c\x00"),
    b"Ra": late(rb"Rar!\x1a\x07"),
    b"\xfd7": late(rb"\xfd7zXZ\x00\x00"),
    b"#!": late(rb"#! ?/[\w./ -]{3,}\r?\n"),
}
_PICKLES = {bytes([0x80, version]) for version in range(2, 6)}
_FRAMED = late(rb"\x80[\x04\x05]\x95(.{8})", re.DOTALL)
_IMPORT = late(rb"c[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n")
_CALLS = late(rb"[ci][A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n|\x93")
_FIRST = frozenset(_PROGRAMS | set(_ARCHIVES) | _PICKLES)

_BASE64 = late(rb"(?:data:[\w/.+;-]*base64,)?\s*([A-Za-z0-9+/_-]{32,}={0,2})\s*\Z")
_HEXADECIMAL = late(rb"\s*(?:0x)?((?:[0-9A-Fa-f]{2}){32,})\s*\Z")


def program_part(source: Source, offset: int, length: int, name: str) -> Part | None:
    """The tensor `name` as a part of its own when its bytes begin like a program, pickle, archive or script."""
    if length < SHORTEST_PICKLE:
        return None
    head = source.read(offset, min(SHORTEST, length))
    if head[:2] not in _FIRST and not (head[:1] == b"c" and _IMPORT.match(head)):
        return None
    window = Slice(source, offset, length)
    kind = _kind(window, head)
    return Part(name=f"tensor {visible(name, 80)}", source=window, kind=kind) if kind is not None else None


def text_part(data: bytes, name: str) -> Part | None:
    """A text of the model (metadata, a documentation string) when it is, or decodes to, something that runs."""
    for content in (data, _decoded(data)):
        if content is not None and len(content) >= SHORTEST_PICKLE:
            source = MemorySource(content)
            kind = _kind(source, content[:SHORTEST])
            if kind is not None:
                return Part(name=name, source=source, kind=kind)
    return None


def looks_packed(start: bytes) -> bool:
    """Whether a longer text that begins so may be base64 or hexadecimal of something that runs."""
    content = _decoded(b"".join(start.split())[: len(start) // 8 * 4])
    return content is not None and _kind(MemorySource(content), content[:SHORTEST]) is not None


def _kind(source: Source, head: bytes) -> str | None:
    """The candidate to read it as ("" to sniff); None for whatever does not begin like any of them."""
    first = head[:2]
    if first in _PROGRAMS and len(head) >= SHORTEST:
        return "executable" if _elf(head) or _macho(head) or _pe(source, head) else None
    if first in _ARCHIVES:
        return "" if _ARCHIVES[first].match(head) else None
    return "pickle" if _pickle(source, head) else None


def _decoded(text: bytes) -> bytes | None:
    """What a text stands for when it is nothing but base64 or hexadecimal."""
    if len(text) > MAX_DECODED:
        return None
    import base64
    import binascii

    try:
        if found := _HEXADECIMAL.match(text):
            return binascii.unhexlify(found.group(1))
        packed = b"".join(text.split()) if text.count(b"\n") > 1 else text
        if found := _BASE64.match(packed):
            return base64.b64decode(found.group(1).translate(_URL_SAFE) + b"==")
    except (binascii.Error, ValueError):
        return None
    return None


_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def _elf(head: bytes) -> bool:
    return head[:4] == b"\x7fELF" and head[4] in (1, 2) and head[5] in (1, 2) and head[6] == 1


def _macho(head: bytes) -> bool:
    """The magic and a file type (object, program, library, …) below 13, in either byte order."""
    return head[:4] in _MACHO and (0 < head[12] < 13 or 0 < head[15] < 13)


def _pe(source: Source, head: bytes) -> bool:
    """Two letters are too few to go by: the PE signature must stand where the DOS header points."""
    if head[:2] != b"MZ":
        return False
    return source.read(int.from_bytes(head[60:64], "little"), 4) == b"PE\0\0"


def _pickle(source: Source, head: bytes) -> bool:
    """A frame that fits, or opcodes that an unpickler would carry out; a protocol number alone is too little."""
    framed = _FRAMED.match(head)
    if framed is not None:
        return 0 < int.from_bytes(framed.group(1), "little") <= source.size - 11
    if head[:2] in _PICKLES or _IMPORT.match(head):
        start = source.read(0, HEAD)
        return _CALLS.search(start) is not None and starts_like_pickle(start, source.size)
    return False
