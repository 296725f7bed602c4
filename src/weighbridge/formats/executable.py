"""Native programs, byte code and scripts: recognised by content, or by name where a system goes by name.

Says only what it is. It is not disassembled: whatever it does, it is code and not a model.
"""

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.source import Source
from weighbridge.core.value import dataclass
from weighbridge.formats.reading import Reading
from weighbridge.formats.sniff import SCRIPT_SUFFIXES, looks_like_text, starts_like_bytecode
from weighbridge.formats.text import KEEP

_MACHO = {b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe"}
_FAT = b"\xca\xfe\xba\xbe"
BYTE_CODE = (
    (b"dex\n03", "dex"),
    (b"\x1bLua", "lua-bytecode"),
    (b"\x1bLJ", "lua-bytecode"),
    (b"BC\xc0\xde", "llvm-bitcode"),
    (b"\xde\xc0\x17\x0b", "llvm-bitcode"),
    (b"\xc6\x1f\xbc\x03\xc1\x03\x19\x1f", "hermes-bytecode"),
)
"""Byte code of virtual machines and compilers that load it without its source."""
_MAX_ARCHITECTURES = 20
"""A universal binary counts its architectures where a Java class has its version, which is 45 or more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutableReading(Reading):
    """`format` is `elf`, `pe`, `ape` (Cosmopolitan's, as llamafiles are), `mach-o`, `java-class`, `wasm`, `pyc`, one of
    `BYTE_CODE`, or `script`."""

    text: str = ""
    """A script's text, its first MiB."""


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Recognise it. Raises `InputError` (`not-this-format`) where the magic number came by chance."""
    head = source.read(0, 4096)
    kind = _native(head, source) or _script(head, name)
    if kind == "script" and name.lower().endswith((".js", ".mjs", ".cjs")):
        from weighbridge.formats import jsdata  # few scripts have such a name

        if (data := jsdata.read(source, budget)) is not None:
            return data
    if not kind:
        raise InputError("not-this-format", "no executable")
    text = source.read(0, KEEP).decode("utf-8", "replace") if kind == "script" else ""
    return ExecutableReading(format=kind, text=text)


def _native(head: bytes, source: Source) -> str:
    if head[:4] == b"\x7fELF" and head[4:5] in (b"\x01", b"\x02"):
        return "elf"
    if head[:6] in (b"MZqFpD", b"jartsr"):
        return "ape"
    if head[:2] == b"MZ" and _is_pe(head, source):
        return "pe"
    if head[:4] in _MACHO:
        return "mach-o"
    if head[:4] == _FAT:
        return "mach-o" if int.from_bytes(head[4:8], "big") <= _MAX_ARCHITECTURES else "java-class"
    if head[:8] in (b"\x00asm\x01\x00\x00\x00", b"\x00asm\x0d\x00\x01\x00"):
        return "wasm"
    if kind := next((kind for magic, kind in BYTE_CODE if head.startswith(magic)), ""):
        return kind
    return "pyc" if starts_like_bytecode(head) else ""


def _is_pe(head: bytes, source: Source) -> bool:
    at = int.from_bytes(head[0x3C:0x40], "little")
    return len(head) >= 0x40 and source.read(at, 4) == b"PE\0\0"


_BATCH = late(rb"(?i)\s{0,9}@echo\s{1,9}off\s|<\?php\s")
"""How batch files and pages of PHP begin, and nothing else does."""


def _script(head: bytes, name: str) -> str:
    named = name.lower().endswith(SCRIPT_SUFFIXES)
    marked = head[:2] == b"#!" or _BATCH.match(head) is not None
    return "script" if (named or marked) and looks_like_text(head) else ""
