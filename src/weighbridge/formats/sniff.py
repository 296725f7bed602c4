"""Which loaders could accept these bytes: by content first, by name only where a loader goes by name.

Cheap on purpose (a few KiB of the file), and generous: a wrong candidate costs a failed read, a missing one is a way
past the scanner. Pickle is tried on everything that starts like one, zip on everything that ends like one.
"""

from weighbridge.core.source import Source

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
    (b"\x5d\x00\x00", 0, "compressed"),
    (b"\x04\x22\x4d\x18", 0, "compressed"),
    (b"ZF", 0, "compressed"),
    (b"\x78\x01", 0, "compressed"),
    (b"\x78\x5e", 0, "compressed"),
    (b"\x78\x9c", 0, "compressed"),
    (b"\x78\xda", 0, "compressed"),
    (b"\x7fELF", 0, "executable"),
    (b"MZ", 0, "executable"),
    (b"\xfe\xed\xfa", 0, "executable"),
    (b"\xcf\xfa\xed\xfe", 0, "executable"),
    (b"\xca\xfe\xba\xbe", 0, "executable"),
    (b"\x00asm", 0, "executable"),
    (b"#!", 0, "executable"),
    (b"\x89PNG\r\n\x1a\n", 0, "image"),
    (b"\xff\xd8\xff", 0, "image"),
    (b"GIF8", 0, "image"),
    (b"version https://git-lfs", 0, "lfs-pointer"),
)

SUFFIXES: tuple[tuple[str, str], ...] = (
    (".py", "python"),
    (".ipynb", "notebook"),
    (".jinja", "template"),
    (".jinja2", "template"),
    (".j2", "template"),
    (".json", "json"),
    (".safetensors", "safetensors"),
    (".onnx", "onnx"),
)
"""Loaders that go by name take whatever bytes stand there."""


def candidates(source: Source, name: str) -> tuple[str, ...]:
    """Names of `formats.FORMATS` to try, most telling first; () when nothing is known about the bytes."""
    if source.size == 0:
        return ("empty",)
    head = source.read(0, HEAD)
    found = [kind for magic, at, kind in MAGIC if head[at : at + len(magic)] == magic]
    found += [kind for suffix, kind in SUFFIXES if name.lower().endswith(suffix)]
    if ends_like_zip(source):
        found.append("zip")
    if starts_like_safetensors(head):
        found.append("safetensors")
    if starts_like_onnx(head):
        found.append("onnx")
    if starts_like_pickle(head):
        found.append("pickle")
    if looks_like_json(head):
        found.append("json")
    if not found and looks_like_text(head):
        found.append("text")
    return tuple(dict.fromkeys(found))


def ends_like_zip(source: Source) -> bool:
    """An end-of-central-directory signature within the last 64 KiB, or a local header at the start."""
    if source.read(0, 4) == b"PK\x03\x04":
        return True
    start = max(0, source.size - TAIL)
    return b"PK\x05\x06" in source.read(start, TAIL)


def starts_like_safetensors(head: bytes) -> bool:
    """Eight bytes of header length and then something like a JSON object."""
    return len(head) > 9 and head[8:16].lstrip()[:1] == b"{"


def starts_like_onnx(head: bytes) -> bool:
    """A protobuf that begins with ModelProto.ir_version (field 1, varint) of a plausible value."""
    return len(head) > 2 and head[0] == 0x08 and 1 <= head[1] <= 40


def starts_like_pickle(head: bytes) -> bool:
    """A first byte that is an opcode which can begin a program (PROTO, FRAME, MARK, GLOBAL, constants, …)."""
    return head[:1] in _PICKLE_STARTS


_PICKLE_STARTS = frozenset(
    bytes([c]) for c in b"\x80\x95(cI JLKMG}])NUVXSTBC\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x96iFPghjrpq\x94\x82\x83\x84".replace(b" ", b"")
)


def looks_like_json(head: bytes) -> bool:
    """The first character that is not white space opens an object or array."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")


def looks_like_text(head: bytes) -> bool:
    """Decodable and without control characters that text does not have."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:
            return False
        text = head[: error.start].decode("utf-8")
    return not any(ord(char) < 32 and char not in "\t\n\r\f\x1b" for char in text)
