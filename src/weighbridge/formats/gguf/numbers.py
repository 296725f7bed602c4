"""Numbers in the metadata of a GGUF file that loaders multiply, allocate and index by."""

from weighbridge.core.pattern import late
from weighbridge.formats.gguf.reading import Pair
from weighbridge.formats.gguf.types import ARRAY
from weighbridge.formats.gguf.work import Work

PER_TOKEN = frozenset(("tokenizer.ggml.scores", "tokenizer.ggml.token_type"))
TOKEN_ID = late(r"tokenizer\.ggml\.\w+_token_id\Z")
NO_TOKEN = frozenset((0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF))
"""What writers put where a model has no such token: -1 in a number without sign."""
COUNTS = (
    ".block_count",
    ".embedding_length",
    ".attention.head_count",
    ".feed_forward_length",
    ".expert_count",
    ".expert_used_count",
    ".attention.head_count_kv",
    ".attention.key_length",
    ".attention.value_length",
    ".rope.dimension_count",
    ".vocab_size",
)
MAX_COUNT = 2**28


def note_numbers(work: Work) -> None:
    """Numbers that loaders multiply, allocate and index by, and lists that must be as long as the vocabulary."""
    tokens = next(
        (p.length for p in work.pairs if p.key == "tokenizer.ggml.tokens" and p.kind == ARRAY), None
    )
    _split(work)
    for pair in work.pairs:
        if TOKEN_ID.match(pair.key) and tokens is not None:
            _token(work, pair, tokens)
        elif pair.key in PER_TOKEN and pair.kind == ARRAY and tokens is not None and pair.length != tokens:
            message = f"{pair.length} entries for {tokens} tokens: loaders read behind the shorter list"
            work.odd("list-length", message, offset=pair.offset, part=pair.key)
        elif (
            pair.key.endswith(COUNTS)
            and isinstance(pair.value, int)
            and not _least(pair.key) <= pair.value < MAX_COUNT
        ):
            message = f"{pair.value} is no number of layers, heads or features of a model"
            work.odd("number-absurd", message, offset=pair.offset, part=pair.key)


def _split(work: Work) -> None:
    """The numbers of a shard: its own below their count, and no count below nothing."""
    numbers = {p.key: p for p in work.pairs if p.key.startswith("split.") and isinstance(p.value, int)}
    own, count = numbers.get("split.no"), numbers.get("split.count")
    if own is not None and own.value >= (max(1, count.value) if count else 1):
        message = f"shard {own.value} of {count.value if count else 1}: loaders name its siblings by these"
        work.odd("split-number", message, offset=own.offset, part=own.key)
    for pair in numbers.values():
        if pair.value < 0:
            work.odd("split-number", f"{pair.value} is no count", offset=pair.offset, part=pair.key)


def _token(work: Work, pair: Pair, tokens: int) -> None:
    """A special token that the vocabulary does not have; just behind its end it is a known slip of converters."""
    if not isinstance(pair.value, int) or pair.value in NO_TOKEN or -1 <= pair.value < tokens:
        return
    far = pair.value < 0 or pair.value >= 2 * max(tokens, 64)
    message = f"token {pair.value} of a vocabulary of {tokens}: loaders look it up without asking"
    work.odd("token-absurd" if far else "token-beyond", message, offset=pair.offset, part=pair.key)


def _least(key: str) -> int:
    """The smallest number that loaders take: they divide by that of the blocks (CVE-2024-8063)."""
    return 1 if key.endswith(".block_count") else 0
