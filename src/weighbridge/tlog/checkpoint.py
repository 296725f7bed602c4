"""Checkpoint: the head of a log, as the text that is signed: origin, size, root (C2SP tlog-checkpoint).

    example.com/models
    20852163
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

Whose signatures stand below is read by `note` and judged by `policy`.
"""

import base64
import binascii
import re

from weighbridge.core.errors import InputError
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.tlog.merkle import HASH, MAX_SIZE

_BAD = "bad-checkpoint"
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a log was at some moment."""

    origin: str
    """The log's name."""
    size: int
    """Its entries."""
    root: bytes
    """32 bytes."""
    extensions: tuple[str, ...] = ()
    """Further lines, which mean nothing to us; we write none."""


def read_checkpoint(text: str) -> Checkpoint:
    """The body of a note, strictly. Raises `InputError` (`bad-checkpoint`)."""
    *lines, end = text.split("\n")
    if end or len(lines) < 3 or not all(lines):
        raise InputError(_BAD, "a checkpoint has an origin, a size and a root, each on a line")
    origin, size, root, *extensions = lines
    return Checkpoint(
        origin=origin, size=read_decimal(size, _BAD), root=read_hash(root, _BAD), extensions=tuple(extensions)
    )


def write_checkpoint(checkpoint: Checkpoint) -> str:
    """The text to sign; `read_checkpoint(write_checkpoint(c)) == c`."""
    lines = (checkpoint.origin, str(checkpoint.size), write_hash(checkpoint.root), *checkpoint.extensions)
    return "".join(f"{line}\n" for line in lines)


def read_decimal(text: str, code: str) -> int:
    """A number of entries without leading zeroes, at most 2^48. Raises `InputError` with the code given."""
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_SIZE:
        raise InputError(code, f'"{visible(text, 40)}" is no number of entries')
    return int(text)


def read_hash(text: str, code: str) -> bytes:
    """32 bytes in canonical base64. Raises `InputError` with the code given."""
    data = read_base64(text)
    if data is None or len(data) != HASH:
        raise InputError(code, f'"{visible(text, 60)}" is no hash in base64')
    return data


def write_hash(data: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")


def read_base64(text: str) -> bytes | None:
    """The bytes of canonical standard base64; None for anything else."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode("ascii") == text else None
