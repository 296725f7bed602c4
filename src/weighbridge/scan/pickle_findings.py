"""What the pickle rules share: which programs to judge, one finding for each callable, and the lines of proof."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from weighbridge.core.finding import Place
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.pickle import Call, Change, Global, PickleReading, Value, described
from weighbridge.formats.reading import Reading
from weighbridge.scan.contracts import Judged, Level, judge
from weighbridge.scan.contracts.book import find

FORMATS = ("pickle", "joblib")
MOST = 25
"""Findings of one rule in one pickle; what lies beyond is counted in the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Items of one program under one finding; the first stands for them."""

    first: Judged
    count: int
    view: str = ""
    """The loader that does this, where it is not the ordinary one."""

    @property
    def message(self) -> str:
        """One line: what happens to whoever loads the file."""
        how = f"loading this file with {self.view}" if self.view else "loading this file"
        more = f" (and {self.count - 1} times more)" if self.count > 1 else ""
        return visible(f"{how} {self.first.does}{more}", 400)

    def place(self, place: Place) -> Place:
        """Where it stands."""
        return replace(place, offset=self.first.offset)


def groups(reading: Reading, wanted: Callable[[Judged], bool]) -> Iterator[Group]:
    """The wanted items of all programs of a reading, in stream order."""
    if not isinstance(reading, PickleReading):
        return
    for program in reading.all_programs():
        items = [i for i in judge(program).items if wanted(i) and not (program.view and _noise(i))]
        for item in items[: MOST - 1]:
            yield Group(first=item, count=item.times, view=program.view)
        if len(items) >= MOST:
            yield Group(
                first=items[MOST - 1], count=sum(i.times for i in items[MOST - 1 :]), view=program.view
            )


def _noise(item: Judged) -> bool:
    """In a joblib file's plain view the raw bytes of arrays run as opcodes: only what could be meant counts."""
    if item.level is Level.HARMFUL and item.certain:
        return False
    target = item.what.callable if isinstance(item.what, Call) else item.what
    known = (
        type(target) is Global and target.module is not None and find(target.module, target.qualname) is None
    )
    return not known


def trail(item: Judged) -> tuple[str, ...]:
    """The opcodes that prove it: where the name comes from, and what is called with what."""
    what = item.what
    if isinstance(what, Call):
        return (
            *_names(what.callable, 3),
            _line(what.offset, what.how, described(what.args), f"calls {item.name}"),
        )
    if isinstance(what, Change):
        target = what.target.callable if isinstance(what.target, Call) else what.target
        return (
            *_names(target, 1),
            _line(what.offset, what.how, described(what.value), f"sets state on {item.name}"),
        )
    if isinstance(what, Global):
        return (_line(what.offset, "GLOBAL", what.name, ""),)
    return (_line(item.offset, item.kind.upper(), item.name, ""),)


def _names(target: Value, depth: int) -> Iterator[str]:
    """Lines for what a callable is made of, innermost first."""
    if type(target) is Global:
        yield _line(target.offset, "GLOBAL", f"{target.module or '?'} {target.qualname or '?'}", "")
    elif type(target) is Call and depth:
        yield from _names(target.callable, depth - 1)
        yield _line(target.offset, target.how, described(target.args), "")


def _line(offset: int, opcode: str, text: str, comment: str) -> str:
    return visible(f"{offset:>8}  {opcode:<10} {text}{'   ' if comment else ''}{comment}", 200)
