"""Programs in tensor data: whether the bytes of one tensor begin like an ELF, PE or Mach-O file.

Only whole programs at the start of a tensor are looked for. Code or text spread over weights cannot be told from
weights, and is not searched for.
"""

from weighbridge.core.source import Slice, Source
from weighbridge.core.text import visible
from weighbridge.formats.reading import Part

SHORTEST = 64
"""Bytes; no loadable program is smaller than an ELF header."""
_MACHO = {b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe"}
_FIRST = {b"\x7fE", b"MZ"} | {magic[:2] for magic in _MACHO}


def program_part(source: Source, offset: int, length: int, name: str) -> Part | None:
    """The tensor `name` as a part of its own when its bytes are those of a program; None for all others."""
    if length < SHORTEST:
        return None
    head = source.read(offset, SHORTEST)
    if head[:2] not in _FIRST or not (_elf(head) or _macho(head) or _pe(source, offset, length, head)):
        return None
    return Part(name=f"tensor {visible(name, 80)}", source=Slice(source, offset, length), kind="executable")


def _elf(head: bytes) -> bool:
    return head[:4] == b"\x7fELF" and head[4] in (1, 2) and head[5] in (1, 2) and head[6] == 1


def _macho(head: bytes) -> bool:
    """The magic and a file type (object, program, library, …) below 13, in either byte order."""
    return head[:4] in _MACHO and (0 < head[12] < 13 or 0 < head[15] < 13)


def _pe(source: Source, offset: int, length: int, head: bytes) -> bool:
    """Two letters are too few to go by: the PE signature must stand where the DOS header points."""
    if head[:2] != b"MZ":
        return False
    at = int.from_bytes(head[60:64], "little")
    return at + 4 <= length and source.read(offset + at, 4) == b"PE\0\0"
