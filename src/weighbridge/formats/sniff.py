"""Which loaders could accept these bytes: by content first, by name only where a loader goes by name.

Cheap on purpose (a few KiB of the file), and generous: a wrong candidate costs a failed read, a missing one is a way
past the scanner. Zip is tried on everything that ends like one; pickle on everything whose first opcodes a pickle
machine would carry out (`starts_like_pickle`), whatever the name says. `text` stands last: the engine reads a file
as text only where nothing more telling accepted it.
"""

from functools import cache

from weighbridge.core.pattern import late
from weighbridge.core.source import Source
from weighbridge.formats.framework.sniff import framework_candidates
from weighbridge.formats.tensorflow.sniff import tensorflow_candidates

HEAD = 4096
TAIL = 65_536 + 22 + 20

MAGIC: tuple[tuple[bytes, int, str], ...] = (
    (b"\x93NUMPY", 0, "npy"),
    (b"GGUF", 0, "gguf"),
    (b"FUGG", 0, "gguf"),
    (b"ustar", 257, "tar"),
    (b"\x1f\x8b", 0, "compressed"),
    (b"BZh", 0, "compressed"),
    (b"\xfd7zXZ\x00", 0, "compressed"),
    (b"\x5d\x00", 0, "compressed"),
    (b"\x04\x22\x4d\x18", 0, "compressed"),
    (b"\x28\xb5\x2f\xfd", 0, "compressed"),
    (b"\x2a\x4d\x18", 1, "compressed"),
    (b"ZF", 0, "compressed"),
    (b"\x78\x01", 0, "compressed"),
    (b"\x78\x5e", 0, "compressed"),
    (b"\x78\x9c", 0, "compressed"),
    (b"\x78\xda", 0, "compressed"),
    (b"7z\xbc\xaf\x27\x1c", 0, "7z"),
    (b"Rar!\x1a\x07", 0, "unopened"),
    (b"MSCF\0\0\0\0", 0, "unopened"),
    (b"!<arch>\n", 0, "unopened"),
    (b"!<thin>\n", 0, "unopened"),
    (b"07070", 0, "unopened"),
    (b"\x1f\x9d\x90", 0, "unopened"),
    (b"\x89LZO\0\r\n\x1a\n", 0, "unopened"),
    (b"\xff\x06\0\0sNaPpY", 0, "unopened"),
    (b"LZIP", 0, "unopened"),
    (b"MSWIM\0\0\0", 0, "unopened"),
    (b"hsqs", 0, "unopened"),
    (b"xar!", 0, "unopened"),
    (b"**ACE**", 7, "unopened"),
    (b"\x02\x21\x4c\x18", 0, "unopened"),
    (b"ITSF", 0, "unopened"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0, "unopened"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0, "document"),
    (b"{\\rtf", 0, "document"),
    (b"%!PS", 0, "document"),
    (b"\x4c\0\0\0\x01\x14\x02\0", 0, "document"),
    (b"jartsr=", 0, "executable"),
    (b"\x7fELF", 0, "executable"),
    (b"MZ", 0, "executable"),
    (b"\xfe\xed\xfa", 0, "executable"),
    (b"\xce\xfa\xed\xfe", 0, "executable"),
    (b"\xcf\xfa\xed\xfe", 0, "executable"),
    (b"\xca\xfe\xba\xbe", 0, "executable"),
    (b"\x00asm", 0, "executable"),
    (b"dex\n03", 0, "executable"),
    (b"\x1bL", 0, "executable"),
    (b"BC\xc0\xde", 0, "executable"),
    (b"\xde\xc0\x17\x0b", 0, "executable"),
    (b"\xc6\x1f\xbc\x03", 0, "executable"),
    (b"\x89PNG\r\n\x1a\n", 0, "image"),
    (b"\xff\xd8\xff", 0, "image"),
    (b"GIF8", 0, "image"),
    (b"WEBP", 8, "image"),
    (b"\x0c\xdb\x3a\x2a", 0, "orbax"),
    (b"version https://git-lfs", 0, "lfs-pointer"),
    (b"ET12", 4, "executorch"),
    (b"FT01", 4, "executorch"),
)

SCRIPT_SUFFIXES = (
    ".sh", ".bash", ".zsh", ".fish", ".csh", ".command", ".bat", ".cmd", ".ps1", ".psm1", ".vbs", ".vbe", ".wsf", ".hta", ".reg",
    ".desktop", ".applescript", ".js", ".mjs", ".cjs", ".jse", ".pl", ".php", ".rb", ".lua", ".r", ".jl", ".tcl", ".pyx", ".ahk",
)  # fmt: skip
"""What a system or an interpreter runs because of its name."""

SUFFIXES: dict[str, str] = {
    ".py": "python",
    ".pyw": "python",
    ".pyi": "python",
    ".ipynb": "notebook",
    ".jinja": "template",
    ".jinja2": "template",
    ".j2": "template",
    ".json": "json",
    ".jsonl": "json",
    ".jsonc": "json",
    ".code-workspace": "json",
    ".ndjson": "json",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".svg": "image",
    ".mlmodel": "coreml",
    ".msgpack": "msgpack",
    **dict.fromkeys((".xml", ".pmml", ".xsl", ".xslt", ".rdf", ".urdf", ".dae", ".plist"), "xml"),
    ".safetensors": "safetensors",
    ".onnx": "onnx",
    ".npy": "npy",
    ".gguf": "gguf",
    ".pyc": "executable",
    **dict.fromkeys(SCRIPT_SUFFIXES, "executable"),
}
"""Loaders that go by name take whatever bytes stand there."""

NAMES: dict[str, str] = {
    **dict.fromkeys((".zarray", ".zgroup", ".zattrs", ".zmetadata", "zarr.json"), "zarr"),
    **dict.fromkeys(("_METADATA", "_CHECKPOINT_METADATA", "_sharding"), "orbax"),
}
"""Whole file names that a loader looks for."""

ONNX_TEXT = (".onnxtxt", ".onnxtext", ".onnxjson", ".onnx.json", ".onnx.textproto", ".onnx.txtpb")
"""Names under which `onnx.load` takes text for a model."""

PICKLE_SUFFIXES = frozenset(
    {".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth", ".ckpt", ".pdparams", ".pdopt"}
)
"""Nothing else stands under these names: whatever is there goes to an unpickler, however little it looks like one."""


def candidates(source: Source, name: str) -> tuple[str, ...]:
    """Names of `formats.FORMATS` to try, most telling first; () when nothing is known about the bytes."""
    if source.size == 0:
        return ("empty",)
    head = source.read(0, HEAD)
    suffix = _suffix(name)
    found = [kind for magic, at, kind in _magic(head[0]) if head.startswith(magic, at)]
    if suffix in SUFFIXES and "lfs-pointer" not in found:
        found.append(SUFFIXES[suffix])
    if starts_like_zlib(head) or starts_like_lzma(head):
        found.append("compressed")
    if ends_like_zip(source):
        found.append("zip")
    if starts_like_old_tar(head):
        found.append("tar")
    if is_disk_image(source) or suffix == ".br":
        found.append("unopened")
    if holds_hdf5(source):
        found.append("hdf5")
    if starts_like_safetensors(head):
        found.append("safetensors")
    if starts_like_onnx(head):
        found.append("onnx")
    if head[4:8] == b"ORTM" or name.lower().endswith(ONNX_TEXT):
        found.append("onnx-text")
    if (kind := NAMES.get(name.rpartition("/")[2])) is not None:
        found.append(kind)
    if starts_like_msgpack(head):
        found.append("msgpack")
    if starts_like_coreml(head):
        found.append("coreml")
    if head[4:8] == b"\x02\0\0\0" and head[64:68] == b"\xef\xbe\xad\xde":
        found.append("coreml-weights")
    found += framework_candidates(head, suffix, name, text=looks_like_text(head))
    found += tensorflow_candidates(head, name, source)
    if starts_like_sentencepiece(head):
        found.append("sentencepiece")
    if starts_like_pickle(head, source.size) or (suffix in PICKLE_SUFFIXES and "zip" not in found):
        found.append("pickle")
    if looks_like_json(head) and "notebook" not in found:
        found.append("json")
    if head.startswith((b"#!", b"@echo ", b"@ECHO ", b"@Echo ", b"<?php")) and suffix not in _PYTHON:
        found.append("executable")
    if starts_like_bytecode(head):
        found.append("executable")
    if 0 <= head.find(b"%PDF-") < 1024:
        found.append("document")
    if looks_like_svg(head):
        found.append("image")
    if starts_like_xml(head):
        found.append("xml")
    if not _CLAIMED.intersection(found) and looks_like_text(head):
        found.append("text")
    return tuple(dict.fromkeys(found))


@cache
def _magic(first: int) -> tuple[tuple[bytes, int, str], ...]:
    """Those of `MAGIC` that a file with this first byte may have: a folder may hold twenty thousand files."""
    return tuple((magic, at, kind) for magic, at, kind in MAGIC if at or magic[0] == first)


_PYTHON = frozenset({".py", ".pyw", ".pyi"})
_CLAIMED = frozenset({"python", "notebook", "template", "yaml"})
"""Kinds that the name alone decides: such a file is never excused as plain text."""


def _suffix(name: str) -> str:
    if name.rpartition("/")[2] in ("MLmodel", "MLproject"):
        return ".yaml"
    _, dot, suffix = name.rpartition(".")
    return f".{suffix.lower()}" if dot and "/" not in suffix else ""


def starts_like_zlib(head: bytes) -> bool:
    """A header of RFC 1950 for any window, without a dictionary, and a first block of deflate that can be one."""
    if len(head) < 8 or head[0] & 0x0F != 8 or head[0] >> 4 > 7 or head[1] & 0x20:
        return False
    return int.from_bytes(head[:2], "big") % 31 == 0 and head[2] & 6 != 6


def starts_like_lzma(head: bytes) -> bool:
    """The 13 bytes of an `.lzma` file: properties, a dictionary of a usual size, and a length that is unknown or small."""
    if len(head) < 14 or head[0] >= 225 or head[13]:
        return False
    size, length = int.from_bytes(head[1:5], "little"), head[5:13]
    usual = size >= 4096 and (size & (size - 1) == 0 or (size // 3 & (size // 3 - 1) == 0 and size % 3 == 0))
    return usual and (length == b"\xff" * 8 or not any(length[5:]))


def ends_like_zip(source: Source) -> bool:
    """An end-of-central-directory signature within the last 64 KiB, or a local header at the start."""
    if source.read(0, 4) == b"PK\x03\x04":
        return True
    start = max(0, source.size - TAIL)
    return b"PK\x05\x06" in source.read(start, TAIL)


def is_disk_image(source: Source) -> bool:
    """The marks of an ISO 9660 image (in its sector 16) and of an Apple disk image (512 bytes before the end)."""
    size = source.size
    if size >= 0x8006 and source.read(0x8001, 5) == b"CD001":
        return True
    return size >= 512 and source.read(size - 512, 4) == b"koly"


def starts_like_old_tar(head: bytes) -> bool:
    """A header block without `ustar` (V7 tar) whose checksum is right; tarfile and torch's oldest loader take it."""
    if len(head) < 512 or head[257:262] == b"ustar":
        return False
    field = head[148:156].strip(b" \0")
    if not field or not _OCTAL.match(field):
        return False
    return int(field, 8) == sum(head[:148]) + sum(head[156:512]) + 8 * 32


_OCTAL = late(rb"[0-7]{1,7}\Z")


def holds_hdf5(source: Source) -> bool:
    """The HDF5 signature where libhdf5 looks for it: at 0, 512, 1024, 2048, …, doubling to the end."""
    size = source.size
    head = source.read(0, min(size, HEAD))
    at = 0
    while at + 8 <= size:
        found = head[at : at + 8] if at + 8 <= len(head) else source.read(at, 8)
        if found == b"\x89HDF\r\n\x1a\n":
            return True
        at = max(512, at * 2)
    return False


def starts_like_safetensors(head: bytes) -> bool:
    """Eight bytes of header length and then something like a JSON object."""
    return len(head) > 9 and head[7] == 0 and head[8:512].lstrip()[:1] == b"{"


def starts_like_onnx(head: bytes) -> bool:
    """A protobuf that begins with ModelProto.ir_version (field 1, varint) of a plausible value."""
    return len(head) > 2 and head[0] == 0x08 and 1 <= head[1] <= 40


def starts_like_msgpack(head: bytes) -> bool:
    """A map that is not empty, whose first key is a short text: how trees of parameters begin."""
    at = {0xDE: 3, 0xDF: 5}.get(head[0], 1 if 0x81 <= head[0] <= 0x8F else 0)
    if not at or len(head) < at + 2:
        return False
    length = head[at] & 0x1F if 0xA1 <= head[at] <= 0xBF else head[at + 1] if head[at] == 0xD9 else 0
    start = at + (2 if head[at] == 0xD9 else 1)
    key = head[start : start + length]
    return length > 0 and key.isascii() and not key.translate(None, _NOT_CONTROL)


def starts_like_coreml(head: bytes) -> bool:
    """A protobuf that begins with Model.specificationVersion (field 1, varint) and a description (field 2)."""
    return len(head) > 4 and head[0] == 0x08 and 1 <= head[1] <= 40 and head[2] == 0x12


def starts_like_sentencepiece(head: bytes) -> bool:
    """A protobuf whose first message is a piece: field 1, and in it field 1, a string that fits."""
    return len(head) > 4 and head[0] == 0x0A and head[2] == 0x0A and head[3] < head[1] < 0x80


def starts_like_bytecode(head: bytes) -> bool:
    """CPython's two-byte magic number of 3.0 to 3.20, then CR LF (PEP 3147)."""
    return head[2:4] == b"\r\n" and 3000 <= int.from_bytes(head[:2], "little") < 3800


def looks_like_json(head: bytes) -> bool:
    """The first character that is not white space opens an object or array."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")


def looks_like_svg(head: bytes) -> bool:
    """An XML document that mentions `<svg` early."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<" and b"<svg" in head[:1024]


def starts_like_xml(head: bytes) -> bool:
    """An XML declaration, a document type that is not HTML's, or the root of PMML or OpenVINO, in any wide encoding."""
    start = head[:512].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    if start.startswith(b"<!DOCTYPE"):
        return start[9:].lstrip()[:4].lower() != b"html"
    return start.startswith(
        (b"<?xml", b"<PMML", b"<net ", b"\x4c\x6f\xa7\x94\x93", b"+ADw-?xml", b"+ADw-!DOCTYPE")
    )


def looks_like_text(head: bytes) -> bool:
    """Decodable, as UTF-8, UTF-16 with its mark, or Latin-1, and without control characters that text does not have."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return True
    if head.translate(None, _NOT_CONTROL):
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3 or looks_like_latin_1(head)
    return True


def looks_like_latin_1(head: bytes) -> bool:
    """Mostly ASCII, the rest letters: an old licence with an accented name, not a weight."""
    high = len(head.translate(None, _ASCII))
    return high * 8 <= len(head) and not _C1.search(head)


_NOT_CONTROL = bytes(c for c in range(256) if c in b"\t\n\f\r\x1b" or (c >= 32 and c != 127))
_C1 = late(rb"[\x80-\x90\x98-\x9f]")
_ASCII = bytes(range(128))


# A pickle has no magic number. Carrying out the first opcodes by their lengths and stack effects tells nearly all other
# bytes apart, above all text, whose letters are opcodes too ("I am", "The", "config").

_PICKLE_ARGUMENTS: dict[int, tuple[int | str, int, int]] = {
    # opcode: (argument, values that must be on the stack, change of the stack)
    **{ord(c): (0, 0, 1) for c in "N])}(\x88\x89\x8f\x97"},
    ord("I"): ("line", 0, 1), ord("F"): ("line", 0, 1), ord("L"): ("line", 0, 1), ord("V"): ("line", 0, 1),
    ord("S"): ("line", 0, 1),
    ord("J"): (4, 0, 1), ord("K"): (1, 0, 1), ord("M"): (2, 0, 1), ord("G"): (8, 0, 1),
    ord("T"): ("u4", 0, 1), ord("U"): ("u1", 0, 1), ord("X"): ("u4", 0, 1), 0x8C: ("u1", 0, 1), 0x8D: ("u8", 0, 1),
    ord("B"): ("u4", 0, 1), ord("C"): ("u1", 0, 1), 0x8E: ("u8", 0, 1), 0x96: ("u8", 0, 1),
    0x8A: ("u1", 0, 1), 0x8B: ("u4", 0, 1),
    ord("0"): (0, 1, -1), ord("1"): (0, 0, 0), ord("2"): (0, 1, 1), ord("a"): (0, 2, -1), ord("e"): (0, 1, 0),
    ord("s"): (0, 3, -2), ord("u"): (0, 1, 0), ord("t"): (0, 1, 0), ord("l"): (0, 1, 0), ord("d"): (0, 1, 0),
    0x85: (0, 1, 0), 0x86: (0, 2, -1), 0x87: (0, 3, -2), 0x90: (0, 1, 0), 0x91: (0, 1, 0), 0x98: (0, 1, 0),
    ord("p"): ("line", 1, 0), ord("q"): (1, 1, 0), ord("r"): (4, 1, 0), 0x94: (0, 1, 0),
    ord("g"): ("line", 0, 1), ord("h"): (1, 0, 1), ord("j"): (4, 0, 1),
    0x80: (1, 0, 0), 0x95: (8, 0, 0),
    0x82: (1, 0, 1), 0x83: (2, 0, 1), 0x84: (4, 0, 1),
}  # fmt: skip
_NAMES = late(rb"[^\s\x00]+(?:\r?\n[^\s\x00]+)?(?:\r?\n|\Z)")
_NUMBERS = {
    ord("I"): late(rb"\s*[+-]?\d"),
    ord("L"): late(rb"\s*[+-]?\d"),
    ord("F"): late(rb"(?i)\s*[+-]?(\d|\.\d|inf|nan)"),
}
_WALK = 48


def starts_like_pickle(head: bytes, size: int | None = None) -> bool:
    """Whether an unpickler would come as far as an effect, a STOP or 48 opcodes before it refuses these bytes.

    `size` is the length of the whole stream, of which `head` is the beginning. Stack depths err on the generous side.
    """
    size = len(head) if size is None else size
    at = depth = 0
    marked = stored = False
    for _ in range(_WALK):
        if at >= len(head):
            return at < size
        code = head[at]
        at += 1
        if code == 0x63:
            names = _NAMES.match(head, at)
            if names is None or not looks_like_text(head):
                return names is not None
            if b"," in names[0]:  # no module's name: the import fails, and nothing behind it is reached
                return False
            # A list of words, "cat" and "dog", reads like an import too: in text a call or an end must follow.
            at, depth = names.end(), depth + 1
            continue
        if code not in _PICKLE_ARGUMENTS:
            return _takes_effect(head, at, code, depth, marked)
        length, needs, change = _PICKLE_ARGUMENTS[code]
        at = _after(head, at, code, length)
        if depth < needs or at < 0 or at > size or (code in b"ghj" and not stored):
            return False
        depth += change
        marked = marked or code == 0x28
        stored = stored or code in b"pqr\x94"
    return True


def _takes_effect(head: bytes, at: int, code: int, depth: int, marked: bool) -> bool:
    if code in b"i":
        return marked and _NAMES.match(head, at) is not None
    if code in b"o":
        return marked and depth > 1
    if code in b"P":
        return head.find(b"\n", at) > 0 and not looks_like_text(head)
    return depth >= _EFFECTS.get(code, 99)


_EFFECTS = {ord("."): 1, ord("Q"): 1, ord("R"): 2, ord("b"): 2, 0x81: 2, 0x92: 3, 0x93: 2}


def _after(head: bytes, at: int, code: int, length: int | str) -> int:
    """Where the opcode's argument ends; -1 where an unpickler would refuse it."""
    if code == 0x80 and head[at : at + 1] > b"\x05":
        return -1
    if isinstance(length, int):
        return at + length
    if length == "line":
        end = head.find(b"\n", at)
        number = _NUMBERS.get(code)
        if (number and not number.match(head, at)) or (
            code in b"S" and head[at : at + 1] not in (b"'", b'"')
        ):
            return -1
        return end + 1 if end >= 0 else len(head)
    width = int(length[1:])
    return at + width + int.from_bytes(head[at : at + width], "little")
