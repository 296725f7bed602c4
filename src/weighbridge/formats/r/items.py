"""Items of R's streams, each kind in its own way: pairs, vectors, environments, code, compact vectors."""

from weighbridge.formats.framework import ContradictionError
from weighbridge.formats.r.bytecode import read_bytecode
from weighbridge.formats.r.found import Code, Here
from weighbridge.formats.r.kinds import (
    ALTREP,
    BUILTIN,
    BYTECODE,
    CHARS,
    CLOSURE,
    DOTS,
    ENVIRONMENT,
    EXPRESSION,
    HAS_ATTRIBUTES,
    HAS_TAG,
    INTEGER,
    LANGUAGE,
    NAMESPACE,
    OBJECT,
    PACKAGE,
    PAIRLIKE,
    PAIRS,
    PERSISTENT,
    POINTER,
    PROMISE,
    REFERENCE,
    SIMPLE,
    SPECIAL,
    STRINGS,
    SYMBOL,
    VECTOR,
    WEAK,
    WIDTHS,
)
from weighbridge.formats.r.walk import TICK, Task, Walk


def read_item(walk: Walk, here: Here) -> None:
    """One item; what it holds is put on the pile."""
    at, flags = walk.stream.at, walk.stream.integer()
    kind = flags & 0xFF
    if kind in PAIRLIKE:
        _pair(walk, kind, flags, here, at)
    elif kind in SIMPLE:
        pass
    elif kind == REFERENCE:
        walk.name(walk.referred(flags, at), here)
    elif kind == SYMBOL:
        walk.refs.append(walk.string())
        walk.name(walk.refs[-1], here)
    elif kind in (PERSISTENT, PACKAGE, NAMESPACE):
        _names_of(walk, kind)
    elif kind == ENVIRONMENT:
        _environment(walk)
    else:
        _plain(walk, kind, flags, here, at)


def _plain(walk: Walk, kind: int, flags: int, here: Here, at: int) -> None:
    """An item that is no pair: what it holds, and then its attributes."""
    if kind == ALTREP:
        walk.push(lambda: _altrep(walk, here, at))
        return
    inner: tuple[Task, ...] = ()
    if kind in WIDTHS:
        walk.stream.skip(walk.length(walk.width(kind)), WIDTHS[kind])
    elif kind in (STRINGS, VECTOR, EXPRESSION):
        inner = _vector(walk, kind, here, at)
    elif kind in (SPECIAL, BUILTIN, BYTECODE):
        inner = _function(walk, kind, here, at)
    else:
        inner = _single(walk, kind, here, at)
    attributes: tuple[Task, ...] = ()
    if flags & HAS_ATTRIBUTES:
        attributes = (lambda: read_item(walk, Here(code=here.code)),)
    walk.push(*inner, *attributes)


def _vector(walk: Walk, kind: int, here: Here, at: int) -> tuple[Task, ...]:
    """A vector whose elements are items."""
    count = walk.length(walk.width(INTEGER))
    if kind == STRINGS and here.code is None:
        count = _plain_strings(walk, count)
    inside = here._replace(head=False, body=False, top=False)
    if kind == EXPRESSION:
        inside = inside._replace(code=walk.code("expression", here, at))
    return (lambda: _items(walk, count, inside),)


def _function(walk: Walk, kind: int, here: Here, at: int) -> tuple[Task, ...]:
    """A function of R's own by its name, or byte code."""
    if kind != BYTECODE:
        walk.code("builtin", here, at).called.add(walk.characters())
        return ()
    walk.stream.integer()
    nested = here.code is not None and here.code.kind in ("bytecode", "closure")
    code = walk.code("bytecode", here, at, natural=here.body or nested)
    return (lambda: read_bytecode(walk, Here(code=code)),)


def _single(walk: Walk, kind: int, here: Here, at: int) -> tuple[Task, ...]:
    """A string, a pointer, a weak reference, an object of slots."""
    if kind == CHARS:
        text = walk.characters()
        if here.code is not None:
            walk.word(text, here)
    elif kind in (POINTER, WEAK):
        walk.refs.append("")
        if kind == POINTER:
            return (lambda: read_item(walk, Here()), lambda: read_item(walk, Here()))
    elif kind != OBJECT:
        raise ContradictionError("type-invalid", f"items of type {kind} do not exist", at)
    return ()


def _plain_strings(walk: Walk, count: int) -> int:
    """Read strings without attributes, which nearly all are, as long as there are such; how many are left."""
    stream = walk.stream
    for done in range(count):
        at, flags = stream.at, stream.integer()
        if flags & 0xFF != CHARS or flags & HAS_ATTRIBUTES:
            stream.at = at
            return count - done
        walk.characters()
        if done % TICK == 0:
            walk.budget.tick()
    return 0


def _items(walk: Walk, count: int, here: Here) -> None:
    """`count` items behind each other."""
    if count > 1:
        walk.push(lambda: read_item(walk, here), lambda: _items(walk, count - 1, here))
    elif count:
        read_item(walk, here)


def _pair(walk: Walk, kind: int, flags: int, here: Here, at: int) -> None:
    """Whatever has a head and a rest: lists, calls, closures, promises."""
    tasks: list[Task] = []
    code = _code_of_pair(walk, kind, flags, here, at)
    if flags & HAS_ATTRIBUTES:
        tasks.append(lambda: read_item(walk, Here(code=code)))
    if kind in (PAIRS, DOTS, LANGUAGE) and flags & HAS_TAG:
        tasks.append(lambda: _tagged(walk, kind, code, here))
        walk.push(*tasks)
        return
    if flags & HAS_TAG:
        tasks.append(lambda: read_item(walk, Here()))
    tasks.append(lambda: _halves(walk, kind, code, here, ""))
    walk.push(*tasks)


def _code_of_pair(walk: Walk, kind: int, flags: int, here: Here, at: int) -> Code | None:
    """The code that begins with this pair, or that it is part of."""
    if kind == LANGUAGE and here.code is None:
        return walk.code("language", here, at)
    if kind == CLOSURE:
        return walk.code("closure", here, at)
    if kind == PROMISE:
        code = walk.code("promise", here, at, natural=here.frame)
        if not flags & HAS_TAG:
            code.kind = "forced"
        return code
    return here.code


def _tagged(walk: Walk, kind: int, code: Code | None, here: Here) -> None:
    """A pair's tag, which is a name, and then its halves."""
    at, flags = walk.stream.at, walk.stream.integer()
    tag = ""
    if flags & 0xFF == SYMBOL:
        tag = walk.string()
        walk.refs.append(tag)
    elif flags & 0xFF == REFERENCE:
        tag = walk.referred(flags, at)
    elif flags & 0xFF not in SIMPLE:
        raise ContradictionError("type-invalid", "a tag is no name", at)
    if here.top:
        walk.names.append(tag)
    _halves(walk, kind, code, here, tag)


def _halves(walk: Walk, kind: int, code: Code | None, here: Here, tag: str) -> None:
    bound = tag or here.bound
    if kind == CLOSURE:
        walk.push(
            lambda: read_item(walk, Here(code=code)), lambda: read_item(walk, Here(code=code, body=True))
        )
    elif kind == PROMISE:
        walk.push(lambda: read_item(walk, Here()), lambda: read_item(walk, Here(code=code)))
    else:
        head = Here(code=code, head=kind == LANGUAGE, frame=here.frame or kind == DOTS, bound=bound)
        rest = Here(code=code, frame=here.frame, top=here.top)
        walk.push(lambda: read_item(walk, head), lambda: read_item(walk, rest))


def _environment(walk: Walk) -> None:
    walk.stream.integer()
    walk.refs.append("")
    inside = Here(frame=True)
    walk.push(
        lambda: read_item(walk, Here()),
        lambda: read_item(walk, inside),
        lambda: read_item(walk, inside),
        lambda: read_item(walk, Here()),
    )


def _names_of(walk: Walk, kind: int) -> None:
    """A package, a namespace, or what a hook would restore: by its name."""
    at = walk.stream.at
    if walk.stream.integer() != 0:
        raise ContradictionError("type-invalid", "names of names do not exist", at)
    found = [walk.string() for _ in range(walk.length(4))]
    walk.refs.append("")
    if kind == PERSISTENT:
        walk.hooks += 1
    elif found:
        walk.packages[found[0].removeprefix("package:")] = None


def _altrep(walk: Walk, here: Here, at: int) -> None:
    """A compact vector: the class that loads it, its state, its attributes."""
    words: set[str] = set()
    info = Code(kind="altrep", offset=at, words=words)
    start = len(walk.refs)

    def known() -> None:
        names = [*walk.refs[start:], *sorted(words)]
        walk.altreps[":".join(name for name in dict.fromkeys(names) if name)[:200]] = None

    inside = Here(code=info)
    rest = here._replace(head=False)
    walk.push(
        lambda: read_item(walk, inside),
        known,
        lambda: read_item(walk, rest),
        lambda: read_item(walk, Here(code=here.code)),
    )
