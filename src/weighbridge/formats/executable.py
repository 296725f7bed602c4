"""Native programs, byte code and scripts: recognised by content, or by name where a system goes by name.

Says only what it is. It is not disassembled: whatever it does, it is code and not a model.
"""

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.core.value import dataclass
from weighbridge.formats.reading import Reading
from weighbridge.formats.sniff import SCRIPT_SUFFIXES, looks_like_text, starts_like_bytecode
from weighbridge.formats.text import KEEP

_MACHO = {b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe"}
_FAT = b"\xca\xfe\xba\xbe"
_MAX_ARCHITECTURES = 20
"""A universal binary counts its architectures where a Java class has its version, which is 45 or more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutableReading(Reading):
    """`format` is `elf`, `pe`, `mach-o`, `java-class`, `wasm`, `pyc` or `script`."""

    text: str = ""
    """A script's text, its first MiB."""


def read(source: Source, budget: Budget, name: str) -> ExecutableReading:
    """Recognise it. Raises `InputError` (`not-this-format`) where the magic number came by chance."""
    head = source.read(0, 4096)
    kind = _native(head, source) or _script(head, name)
    if not kind:
        raise InputError("not-this-format", "no executable")
    text = source.read(0, KEEP).decode("utf-8", "replace") if kind == "script" else ""
    return ExecutableReading(format=kind, text=text)


def _native(head: bytes, source: Source) -> str:
    if head[:4] == b"\x7fELF" and head[4:5] in (b"\x01", b"\x02"):
        return "elf"
    if head[:2] == b"MZ" and _is_pe(head, source):
        return "pe"
    if head[:4] in _MACHO:
        return "mach-o"
    if head[:4] == _FAT:
        return "mach-o" if int.from_bytes(head[4:8], "big") <= _MAX_ARCHITECTURES else "java-class"
    if head[:8] in (b"\x00asm\x01\x00\x00\x00", b"\x00asm\x0d\x00\x01\x00"):
        return "wasm"
    return "pyc" if starts_like_bytecode(head) else ""


def _is_pe(head: bytes, source: Source) -> bool:
    at = int.from_bytes(head[0x3C:0x40], "little")
    return len(head) >= 0x40 and source.read(at, 4) == b"PE\0\0"


def _script(head: bytes, name: str) -> str:
    named = name.lower().endswith(SCRIPT_SUFFIXES)
    return "script" if (named or head[:2] == b"#!") and looks_like_text(head) else ""
