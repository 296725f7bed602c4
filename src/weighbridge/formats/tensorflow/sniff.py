"""Which readers of TensorFlow's formats could accept these bytes. Cheap: it looks at the head, the last bytes and the name."""

from weighbridge.core.source import Source

SUFFIXES = (".pb", ".pbtxt", ".meta", ".graphdef", ".cpb")
"""Names that TensorFlow gives its models; the reader still looks at the content."""
TEXT_STARTS = (
    b"saved_model_schema_version", b"meta_graphs", b"meta_info_def", b"graph_def", b"saver_def", b"node", b"library", b"versions",
)  # fmt: skip
STATE = (b"model_checkpoint_path", b"all_model_checkpoint_paths")
TABLE = bytes.fromhex("57fb808b247547db")
"""The last bytes of a LevelDB table."""


def tensorflow_candidates(head: bytes, name: str, source: Source) -> list[str]:
    """Candidates, most telling first."""
    found: list[str] = []
    plain = name.rpartition("/")[2]
    if head[4:8] == b"TFL3" or plain.lower().endswith(".tflite"):
        found.append("tflite")
    if (
        plain.lower().endswith(SUFFIXES)
        or starts_like_saved_model(head)
        or starts_like_graph(head)
        or head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(TEXT_STARTS)
    ):
        found.append("tensorflow")
    if plain == "checkpoint" or head.startswith(STATE) or source.read(max(0, source.size - 8), 8) == TABLE:
        found.append("tf-checkpoint")
    return found


def starts_like_saved_model(head: bytes) -> bool:
    """Schema version 1, then a meta graph, which begins with a message."""
    return head[:3] == b"\x08\x01\x12" and b"\x0a" in head[3:10] and not starts_like_cntk_entry(head)


def starts_like_cntk_entry(head: bytes) -> bool:
    """The same beginning with a key that is text and a value that begins with its version and type: CNTK's, where a
    graph would have a message."""
    at = _behind_varint(head, 3)
    key = head[at + 2 : at + 2 + head[at + 1]] if head[at : at + 1] == b"\x0a" and at + 1 < len(head) else b""
    value = _behind_varint(head, at + 3 + len(key))
    return (
        bool(key)
        and key.replace(b"_", b"").isalnum()
        and head[value : value + 1] == b"\x08"
        and head[value + 2 : value + 3] == b"\x10"
    )


def starts_like_graph(head: bytes) -> bool:
    """A first node, which is a name and an operator; or the list of operators of a meta graph."""
    if len(head) < 8 or head[0] != 0x0A:
        return False
    at = _behind_varint(head, 1)
    if head[at : at + 1] == b"\x12":  # MetaInfoDef.stripped_op_list, and in it the first operator
        inner = _behind_varint(head, at + 1)
        return head[inner : inner + 1] == b"\x0a"
    if head[at : at + 1] in (b"\x22", b"\x2a"):  # MetaInfoDef.tags, or the version of TensorFlow
        return _word(head, at + 1)
    if head[at : at + 1] != b"\x0a" or at + 1 >= len(head) or head[at + 1] >= 0x80:
        return False
    end = at + 2 + head[at + 1]
    return head[end : end + 1] == b"\x12" and _word(head, end + 1)


def _word(head: bytes, at: int) -> bool:
    """A short text that begins with a letter or digit, with its length before it."""
    size = head[at] if at < len(head) else 0
    word = head[at + 1 : at + 1 + size]
    return 0 < size < 0x80 and word.isascii() and (word[:1].isalnum() or word[:1] == b"_")


def _behind_varint(head: bytes, at: int) -> int:
    end = min(at + 6, len(head))
    while at < end and head[at] >= 0x80:
        at += 1
    return at + 1
