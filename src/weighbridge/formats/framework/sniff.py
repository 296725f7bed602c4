"""Which readers of other frameworks' formats could accept these bytes. Cheap: it looks at one head and imports nothing.

By content first; by suffix where a framework's loader goes by it and the bytes have no mark of their own.
"""

from collections.abc import Callable
from functools import cache

from weighbridge.core.pattern import late

MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x12\x01\0\0\0\0\0\0", "mxnet"),
    (b"CBM1", "catboost"),
    (b"\xba\x16\x4f\x2f", "fasttext"),
    (b"binf", "xgboost"),
    (b"bs64", "xgboost"),
    (b"CONFIG-offset:", "xgboost"),
    (b"B\0C\0N\0T\0K\0", "cntk"),
    *((magic, "ggml") for magic in (b"lmgg", b"fmgg", b"tjgg", b"algg", b"ggml", b"ggmf", b"ggjt", b"ggla")),
    *((magic, "ggml") for magic in (b"GGML", b"GGMF", b"GGJT", b"GGLA")),
    *((magic, "opaque") for magic in (b"ftrt", b"ptrt", b"RKNN", b"\x01HEF", b"7767517\n", b"nsgg")),
    *((magic, "r") for magic in (b"X\n", b"A\n", b"B\n", b"RDX2\n", b"RDX3\n", b"RDA2\n", b"RDA3\n", b"RDB2\n", b"RDB3\n")),
    (b"4\n1\n3\nV 1\n", "torch7"),
    (b"3\n1\n", "torch7"),
    (b"tree\n", "lightgbm"),
    (b"tree\r\n", "lightgbm"),
)  # fmt: skip
SUFFIXES: dict[str, str] = {
    ".pdmodel": "paddle",
    ".pdiparams": "paddle",
    ".params": "mxnet",
    ".cntk": "cntk",
    ".ubj": "xgboost",
    ".ubjson": "xgboost",
    ".cbm": "catboost",
    ".ftz": "fasttext",
    ".rds": "r",
    ".rda": "r",
    ".rdata": "r",
    ".caffemodel": "caffe",
    ".prototxt": "caffe",
    ".t7": "torch7",
    ".rdb": "rlazy",
    **dict.fromkeys((".engine", ".plan", ".trt", ".rknn", ".hef", ".mnn", ".armnn", ".weights", ".traineddata"), "opaque"),
}  # fmt: skip
"""A framework's own suffix; the reader still looks at the content, and may refuse it."""
NAMES = {
    "__model__": "paddle",
    "__params__": "paddle",
    **dict.fromkeys(("key2row", "lookups.bin", "patterns"), "msgpack"),
}
"""Whole names that Paddle and spaCy look for; the last three are small maps and lists without a mark of their own."""
WORD2VEC = late(rb"[1-9][0-9]{0,9} [1-9][0-9]{0,5}\n")
MAX_LOD = 16
_DLIB = frozenset(bytes([count]) for count in range(1, 9))
"""dlib writes an integer as the number of its bytes, then those; its objects begin with one, in files called `.dat`."""


def framework_candidates(head: bytes, suffix: str, name: str, *, text: bool) -> list[str]:
    """Candidates, most telling first. `text` says whether the head looks like text."""
    found = [kind for magic, kind in _magic(head[:1]) if head.startswith(magic)]
    found += [kind for kind, test in _TESTS if test(head)]
    if not text and WORD2VEC.match(head):
        found.append("fasttext")
    if suffix == ".dat" and not text and head[:1] in _DLIB:
        found.append("opaque")
    for kind in (SUFFIXES.get(suffix), NAMES.get(name.rpartition("/")[2])):
        if kind is not None:
            found.append(kind)
    return found


@cache
def _magic(first: bytes) -> tuple[tuple[bytes, str], ...]:
    """Those of `MAGIC` that a file with this first byte may have."""
    return tuple((magic, kind) for magic, kind in MAGIC if magic[:1] == first)


def starts_like_paddle_parameters(head: bytes) -> bool:
    """Version 0, levels of detail, then a TensorDesc that begins with its data type."""
    if len(head) < 24 or head[:4] != bytes(4):
        return False
    levels = int.from_bytes(head[4:12], "little")
    if levels:
        return levels <= MAX_LOD
    return head[12:16] == bytes(4) and 2 <= int.from_bytes(head[16:20], "little") <= 4096 and head[20] == 0x08


def starts_like_paddle_program(head: bytes) -> bool:
    """A first field that is a block: its index 0, then its parent."""
    if len(head) < 8 or head[0] != 0x0A:
        return False
    at = _behind_varint(head, 1)
    return head[at : at + 3] == b"\x08\x00\x10"


def starts_like_cntk(head: bytes) -> bool:
    """A dictionary: a version of one byte, then an entry whose first field is its key."""
    if len(head) < 8 or head[0] != 0x08 or head[1] > 0x20 or head[2] != 0x12:
        return False
    at = _behind_varint(head, 3)
    return head[at : at + 1] == b"\x0a"


def starts_like_caffe(head: bytes) -> bool:
    """A net's name and then a layer, or a layer at once."""
    if head[:2] == b"\xa2\x06":
        return True
    if len(head) < 8 or head[0] != 0x0A or head[1] >= 0x80:
        return False
    return head[2 + head[1] : 4 + head[1]] == b"\xa2\x06"


def starts_like_ubjson(head: bytes) -> bool:
    """An object whose first key has a length; JSON never has a letter behind the brace."""
    width = _KEY_WIDTHS.get(head[1:2], 0)
    if head[:1] != b"{" or len(head) < 4:
        return False
    length = int.from_bytes(head[2 : 2 + width], "big")
    return head[1:2] in (b"$", b"#") or (width > 0 and (0 < length < 256 or length > 2**20))


_KEY_WIDTHS = {b"i": 1, b"U": 1, b"I": 2, b"l": 4, b"L": 8}


def starts_like_torch7(head: bytes) -> bool:
    """A table, an object with `V 1`, or a bare function: always the first of its file."""
    kind, index = int.from_bytes(head[:4], "little"), int.from_bytes(head[4:8], "little")
    if len(head) < 12 or index != 1:
        return False
    if kind == 4:
        return head[12:14] == b"V "
    size, inner = int.from_bytes(head[8:12], "little"), int.from_bytes(head[12:16], "little")
    return (kind == 3 and size < 2**24 and 1 <= inner <= 8) or (kind in (6, 7, 8) and head[12:13] == b"\x1b")


def starts_like_matlab(head: bytes) -> bool:
    """The version and the mark of the byte order at the end of the header."""
    return head[124:128] in (b"\x00\x01IM", b"\x01\x00MI")


_TESTS: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("paddle", starts_like_paddle_parameters),
    ("paddle", starts_like_paddle_program),
    ("cntk", starts_like_cntk),
    ("caffe", starts_like_caffe),
    ("xgboost", starts_like_ubjson),
    ("torch7", starts_like_torch7),
    ("matlab", starts_like_matlab),
)


def _behind_varint(head: bytes, at: int) -> int:
    end = at + 6
    while at < end and at < len(head) and head[at] >= 0x80:
        at += 1
    return at + 1
