"""R's serialised objects (`.rds`, `.rda`, `.RData`): every item of the stream, versions 2 and 3, all three encodings.

Walks the whole object without making any of it. Says where the stream carries code (promises, closures, language, byte
code, functions of R's own), which functions that code names, which packages loading would attach, and which ALTREP
classes and hooks it asks for. Text and numbers are stepped over. Compressed files come unpacked, as parts of another
reader. Format: R Internals, section "Serialization Formats"; byte code as serialize.c of R 4.4 has it.
"""

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.formats.framework import ContradictionError, Cursor, trailing
from weighbridge.formats.r.encodings import HEADS, Ascii, Binary, Input
from weighbridge.formats.r.found import Here, RReading
from weighbridge.formats.r.items import read_item
from weighbridge.formats.r.walk import Walk
from weighbridge.formats.reading import Anomaly, Gap, Reading

FIRST_R = 0x010000
"""Version 1.0.0 of R, which no later writer goes below."""


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Walk one stream. `InputError`: `not-this-format`, `version-unknown`."""
    head = source.read(0, 8)
    start = next((start for start in sorted(HEADS, key=len, reverse=True) if head.startswith(start)), None)
    if start is None:
        raise InputError("not-this-format", "no R object")
    stream = _stream(source, budget, start)
    return _reading(Walk(stream, budget, read_item), source.size)


def _stream(source: Source, budget: Budget, start: bytes) -> Input:
    if start.endswith(b"A\n"):
        budget.need_memory(source.size, "an R object as text")
        budget.spend_bytes(source.size)
        return Ascii(source.read(0, source.size), len(start))
    order = ">" if start.endswith(b"X\n") else "<"
    return Binary(Cursor(source, budget, at=len(start), order=order))


def _reading(walk: Walk, size: int) -> RReading:
    anomalies: tuple[Anomaly, ...] = ()
    gaps: tuple[Gap, ...] = ()
    _header(walk)
    try:
        walk.item(Here(top=True))
        while walk.pending:
            walk.step()
        rest = walk.stream.at + (1 if isinstance(walk.stream, Ascii) else 0)
        gaps = trailing(rest, size)
    except ContradictionError as error:
        anomalies, gaps = (error.anomaly(),), (error.gap(),)
    if walk.lost:
        gaps += (Gap(code="limit-findings", message=f"{walk.lost} more pieces of code were not kept"),)
    return RReading(
        format="r",
        anomalies=anomalies,
        gaps=gaps,
        codes=tuple(walk.codes),
        packages=tuple(walk.packages),
        altreps=tuple(walk.altreps),
        hooks=walk.hooks,
        names=tuple(walk.names),
        tensors_unlisted="vectors of an R object are not listed",
    )


def _header(walk: Walk) -> None:
    try:
        version, writer = walk.stream.integer(), walk.stream.integer()
        walk.stream.integer()
        if writer < FIRST_R:
            raise InputError("not-this-format", "no header of an R object")
        if version == 3:
            walk.stream.chars(walk.length(1))
    except ContradictionError as error:
        raise InputError("not-this-format", f"no header of an R object: {error.message}") from None
    if version not in (2, 3):
        raise InputError("version-unknown", f"version {version} of R's format is not known (2 and 3 are)")
