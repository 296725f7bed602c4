"""Byte code in R's streams: its instructions, its constants, and the language inside of them, spelled in its own way."""

from weighbridge.formats.r.found import Here
from weighbridge.formats.r.kinds import (
    ATTR_LANGUAGE,
    ATTR_PAIRS,
    BYTECODE,
    INTEGER,
    LANGUAGE,
    PAIRS,
    REP_DEF,
    REP_REF,
)
from weighbridge.formats.r.walk import Task, Walk


def read_bytecode(walk: Walk, here: Here) -> None:
    """The instructions, which are a vector, and the constants behind them."""
    walk.push(lambda: walk.item(Here()), lambda: _constants(walk, here))


def _constants(walk: Walk, here: Here) -> None:
    count = walk.length(walk.width(INTEGER))
    walk.push(lambda: _constant(walk, count, here))


def _constant(walk: Walk, count: int, here: Here) -> None:
    if not count:
        return
    kind = walk.stream.integer()
    following: Task = lambda: _constant(walk, count - 1, here)  # noqa: E731 - one of many small tasks
    if kind == BYTECODE:
        walk.push(lambda: read_bytecode(walk, here), following)
    elif kind in (LANGUAGE, PAIRS, REP_DEF, REP_REF, ATTR_LANGUAGE, ATTR_PAIRS):
        walk.push(lambda: _compact(walk, kind, here), following)
    else:
        walk.push(lambda: walk.item(here), following)


def _compact(walk: Walk, kind: int, here: Here) -> None:
    """Language inside of byte code, which has a spelling of its own."""
    if kind == REP_REF:
        walk.stream.integer()
        return
    if kind == REP_DEF:
        walk.stream.integer()
        kind = walk.stream.integer()
    if kind not in (LANGUAGE, PAIRS, ATTR_LANGUAGE, ATTR_PAIRS):
        walk.item(here)
        return
    language = kind in (LANGUAGE, ATTR_LANGUAGE)
    tasks: list[Task] = []
    if kind in (ATTR_LANGUAGE, ATTR_PAIRS):
        tasks.append(lambda: walk.item(here._replace(head=False)))
    tasks.append(lambda: walk.item(here._replace(head=False)))
    tasks.append(lambda: _compact(walk, walk.stream.integer(), here._replace(head=language)))
    tasks.append(lambda: _compact(walk, walk.stream.integer(), here._replace(head=False)))
    walk.push(*tasks)
