"""The metadata of a GGUF file: every entry, arrays stepped over, templates and texts that run handed on as parts."""

from weighbridge.core.source import Slice
from weighbridge.core.text import visible
from weighbridge.formats.embedded import HEAD, looks_packed, text_part
from weighbridge.formats.gguf.cursor import TooLongError
from weighbridge.formats.gguf.reading import Pair
from weighbridge.formats.gguf.types import ARRAY, BOOL, SCALARS, STRING
from weighbridge.formats.gguf.work import MAX_KEY, Work
from weighbridge.formats.reading import Gap, Part

MAX_NESTING = 4
MAX_KEPT = 4096
"""Bytes of a string value that is kept in the reading."""
MAX_PARTS = 1000
MAX_TEMPLATES = 32
"""Templates in one array that are looked at."""


def read_metadata(work: Work, count: int) -> None:
    """`count` entries behind each other."""
    seen: set[str] = set()
    for _ in range(count):
        at = work.cursor.at
        key = work.string("key", MAX_KEY)
        if not key:
            work.odd(
                "key-empty",
                "a metadata key without a name, which llama.cpp's own check ends on",
                offset=at,
            )
        if key in seen:
            work.odd("duplicate-key", f'metadata key "{visible(key, 80)}" stands twice', offset=at)
        seen.add(key)
        _pair(work, key, at)


def _pair(work: Work, key: str, at: int) -> None:
    kind = work.cursor.u32()
    if kind == STRING:
        length = work.length("string value")
        _text(work, key, length, at)
    elif kind == ARRAY:
        count = _array(work, key, 0)
        work.pairs.append(Pair(key, kind, None, count, at))
    elif kind in SCALARS:
        value = work.cursor.scalar(kind)
        if kind == BOOL and value > 1:
            work.odd("bool-invalid", f"a boolean has the value {value}", offset=at, part=key)
        work.pairs.append(Pair(key, kind, value, 1, at))
    else:
        work.give_up("value-type", f"metadata value type {kind} does not exist", part=key)


def _text(work: Work, key: str, length: int, at: int) -> None:
    start = work.cursor.at
    if "template" in key:
        work.cursor.skip(length)
        work.parts.append(
            Part(name=visible(key, 80), source=Slice(work.source, start, length), kind="template")
        )
        work.pairs.append(Pair(key, STRING, None, length, at))
    elif length > MAX_KEPT:
        work.cursor.skip(length)
        _runs(work, key, start, length)
        work.pairs.append(Pair(key, STRING, None, length, at))
    else:
        raw = work.cursor.take(length)
        part = text_part(raw, visible(key, 80))
        work.parts += [part] if part is not None and len(work.parts) < MAX_PARTS else []
        work.pairs.append(Pair(key, STRING, raw.decode("utf-8", "surrogateescape"), length, at))


def _runs(work: Work, key: str, start: int, length: int) -> None:
    """A long text that is, or is base64 of, something that runs."""
    head = work.source.read(start, min(length, HEAD))
    if len(work.parts) < MAX_PARTS and (text_part(head, key) is not None or looks_packed(head)):
        work.budget.need_memory(length, "a text of the model")
        part = text_part(work.source.read(start, length), visible(key, 80))
        work.parts += [part] if part is not None else []


def _array(work: Work, key: str, depth: int) -> int:
    if depth >= MAX_NESTING:
        work.give_up("array-nesting", f"arrays nested deeper than {MAX_NESTING}", part=key)
    kind, count = work.cursor.u32(), work.cursor.count()
    if kind == STRING:
        _texts(work, key, count)
    elif kind == ARRAY:
        work.odd(
            "array-nesting",
            "an array of arrays, which llama.cpp refuses",
            offset=work.cursor.at,
            part=key,
        )
        work.fits(f"array of {key[:40]}", count, work.cursor.count_size + 4)
        work.budget.spend_members(count)
        for _ in range(count):
            _array(work, key, depth + 1)
    elif kind in SCALARS:
        work.fits(f"array of {key[:40]}", count, work.cursor.width(kind))
        work.cursor.skip(count * work.cursor.width(kind))
    else:
        work.give_up("value-type", f"array item type {kind} does not exist", part=key)
    return count


def _texts(work: Work, key: str, count: int) -> None:
    """An array of texts; the first of those that are templates are looked at."""
    work.fits(f"array of {key[:40]}", count, work.cursor.count_size)
    looked = min(count, MAX_TEMPLATES) if "template" in key else 0
    _templates(work, key, looked)
    if 0 < looked < count:
        message = f"{count} templates, of which {looked} were looked at"
        work.gaps.append(Gap(code="not-read", message=message, offset=work.cursor.at))
    _strings(work, key, count - looked)


def _templates(work: Work, key: str, count: int) -> None:
    """A list of templates is rendered like a single one."""
    for index in range(count):
        length = work.length("string value")
        start = work.cursor.at
        work.cursor.skip(length)
        name = f"{visible(key, 80)}[{index}]"
        work.parts.append(Part(name=name, source=Slice(work.source, start, length), kind="template"))


def _strings(work: Work, key: str, count: int) -> None:
    try:
        work.cursor.skip_strings(count)
    except TooLongError as error:
        message = f"a string of {error} bytes in a file of {work.source.size}"
        work.give_up("length-overflow", message, part=key)
