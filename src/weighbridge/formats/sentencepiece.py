"""SentencePiece models (`tokenizer.model`, sentencepiece_model.proto): the frame of every field, to the last byte.

Pieces and normalisation tables are data for a C++ loader; their text is not judged here. The loader follows the numbers of
a table (a double array of Darts, and the texts that its leaves point into) as they are, so that these are looked at.
"""

import struct

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.core.value import dataclass
from weighbridge.formats.reading import Gap, Reading

PIECES, TRAINER, NORMALIZER, SELF_TEST, DENORMALIZER = 1, 2, 3, 4, 5
CHARSMAP = 2
LEAF = 1 << 31
"""Marks the units of a double array that hold a value: where in the texts a replacement begins."""
_TICK = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SentencePieceModel(Reading):
    """What the model holds."""

    pieces: int


def read(source: Source, budget: Budget, name: str) -> SentencePieceModel:
    """Walk the fields. Raises `InputError` (`not-this-format`) where they are not those of a ModelProto."""
    budget.need_memory(source.size, "a SentencePiece model")
    data = source.read(0, source.size)
    at, pieces, gaps = 0, 0, list[Gap]()
    trained = False
    while at < len(data):
        tag, start = _varint(data, at)
        length, start = _varint(data, start)
        field, wire = tag >> 3, tag & 7
        if wire != 2 or start + length > len(data):
            raise InputError("not-this-format", f"no SentencePiece field at byte {at}")
        if field == PIECES:
            pieces += 1
            if length and (data[start] != 0x0A or _is_node(data, start, start + length)):
                raise InputError("not-this-format", f"no piece at byte {start}")
            if pieces % _TICK == 0:
                budget.tick()
        elif field in (NORMALIZER, DENORMALIZER) and not _table_fits(data[start : start + length]):
            message = "its normalisation table points outside of itself"
            gaps.append(Gap(code="table-outside", message=message, offset=at))
        elif field > DENORMALIZER:
            gaps.append(Gap(code="field-unknown", message=f"field {field} is not known", offset=at))
        trained = trained or field in (TRAINER, NORMALIZER)
        at = start + length
    if not trained or not pieces:
        raise InputError("not-this-format", "no trainer or normaliser in it")
    return SentencePieceModel(format="sentencepiece", pieces=pieces, gaps=tuple(gaps[:100]))


def _table_fits(spec: bytes) -> bool:
    """Whether a NormalizerSpec has no `precompiled_charsmap`, or one whose every leaf lies in its texts."""
    at = 0
    while at < len(spec):
        tag, at = _varint(spec, at)
        size, after = _varint(spec, at)
        if tag & 7 == 2:
            if tag >> 3 == CHARSMAP and size and not _leaves_fit(spec[after : after + size]):
                return False
            after += size
        at = after
    return True


def _leaves_fit(table: bytes) -> bool:
    size = int.from_bytes(table[:4], "little")
    if size % 1024 or not 0 < size < len(table) - 4 or table[-1]:
        return False
    room = len(table) - 4 - size
    units = struct.iter_unpack("<I", table[4 : 4 + size])
    return all(unit & LEAF - 1 < room for (unit,) in units if unit & LEAF)


def _is_node(data: bytes, start: int, end: int) -> bool:
    """Whether a second text follows the first, as in the nodes of other protobufs; a piece goes on with its score."""
    length, at = _varint(data, start + 1)
    return at + length < end and data[at + length] == 0x12


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    for byte in data[at : at + 10]:
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
    raise InputError("not-this-format", f"no number at byte {at}")
