"""pickle-broken: the pickle breaks off after it has begun."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.pickle import NAMES, Break, Call, PickleProgram, PickleReading
from weighbridge.formats.reading import Reading
from weighbridge.scan.contracts import judge
from weighbridge.scan.pickle_findings import FORMATS
from weighbridge.scan.rule import Rule


class PickleBroken(Rule):
    """The pickle breaks off after it has begun.

    ## What it does
    Reports where every loader raises an error, and what it has done until then. It is an error when functions that no
    contract proves were called before a break that is no mere truncation.

    ## Why is this bad?
    An error does not undo what was called before it. A file that is made to break hides its calls from scanners that give up
    at the same place.

    ## Example
    A call of `os.system`, then an opcode that does not exist.

    ## Use instead
    Fetch the file again; compare its digest with the publisher's.

    ## Known problems
    A download that was cut off looks the same: that is a doubt, not an error.

    ## References
    CWE-502; arXiv 2508.19774
    """

    name = "pickle-broken"
    summary = "The pickle breaks off after it has begun"
    severity = Severity.WARNING
    formats: ClassVar[tuple[str, ...]] = FORMATS

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        if not isinstance(reading, PickleReading):
            return
        for program in reading.programs:
            broken = program.broken or _certain(program)
            if broken is not None and not broken.code.startswith("limit-"):
                yield self._finding(program, broken, replace(place, offset=broken.offset))

    def _finding(self, program: PickleProgram, broken: Break, place: Place) -> Finding:
        called = _outside(program)
        where = f"breaks at {NAMES.get(broken.opcode, 'an unknown opcode')}: {broken.why}"
        if called and broken.code == "broken":
            return self.finding(
                place, f"this pickle calls {called} and then {where}", severity=Severity.ERROR, doubt=True
            )
        done = f" after {len(program.calls)} calls" if program.calls else ""
        return self.finding(place, f"this pickle {where}{done}", doubt=True)


def _outside(program: PickleProgram) -> str:
    """A function outside all contracts that is called before the break; making objects is not meant."""
    for item in judge(program).items:
        if isinstance(item.what, Call) and item.what.how in ("REDUCE", "INST", "OBJ") and item.what.args:
            return item.name
    return ""


def _certain(program: PickleProgram) -> Break | None:
    """A break that only shows in judging: a name taken from an object that is no text."""
    end = judge(program).ends_at
    found = next((g for g in program.globals if g.index == end), None) if end is not None else None
    return Break(offset=found.offset, opcode=0x93, why="a name is no text") if found is not None else None
