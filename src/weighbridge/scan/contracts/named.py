"""Everything that a program names beside its calls and changes: imports, persistent ids, extension codes, buffers."""

from collections.abc import Iterator, Mapping

from weighbridge.formats.pickle import Buffer, Global, PickleProgram
from weighbridge.scan.contracts import harm
from weighbridge.scan.contracts.book import Contract, find
from weighbridge.scan.contracts.handed import handed_on
from weighbridge.scan.contracts.judged import Judged, Level
from weighbridge.scan.contracts.shapes import storage_of


def lookups(
    program: PickleProgram, called: Mapping[int, Contract | None], ends: int | None
) -> Iterator[Judged]:
    """Names that are imported, and handed on or never called; `called` are those that are called, with their contracts."""
    passed: set[int] | None = None
    for found in program.globals:
        if ends is not None and found.index >= ends:
            continue
        is_called = id(found) in called
        contract = called[id(found)] if is_called else find(found.module, found.qualname)
        if contract is None and is_called:
            continue
        if contract is not None and not contract.only_called:
            continue
        passed = handed_on(program) if passed is None else passed
        passed_on = id(found) in passed
        if contract is None:
            yield _lookup(found, passed_on=passed_on)
        elif passed_on:
            yield _handed(found, contract)


def _lookup(found: Global, *, passed_on: bool) -> Judged:
    name = found.name
    if found.module is None:
        return Judged(Level.UNPROVED, found, name, "imports a name that it computes", kind="lookup")
    does = harm.harm_of(name)
    if does and harm.grave(does) and passed_on:
        return Judged(Level.HARMFUL, found, name, f"hands on {name}, which {does}", kind="lookup")
    if does:
        said = f"imports {name}, which {does} when it is called"
        return Judged(Level.UNPROVED, found, name, said, kind="lookup")
    return Judged(Level.UNPROVED, found, name, f"imports {name}, which is in no contract", kind="lookup")


def _handed(found: Global, contract: Contract) -> Judged:
    """What is safe as it stands here, and is not where somebody else calls it."""
    harmful = harm.harm_of(found.name) if not contract.call else ""
    does = f"hands on {found.name}, which {harmful or 'is safe only with the arguments seen here'}"
    level = Level.HARMFUL if harmful else Level.UNPROVED
    return Judged(level=level, what=found, name=found.name, does=does, kind="lookup")


def persistents(program: PickleProgram, ends: int | None) -> Iterator[Judged]:
    """Ids that are no storage of torch's: the same is said of all of them."""
    does = "asks the loading program for an object by an id that is no torch storage"
    told: Judged | None = None
    for found in program.persistents:
        if ends is not None and found.index >= ends:
            continue
        if type(found.pid) is not tuple or (found.module is None and storage_of(found) is None):
            if told is None:
                told = Judged(Level.UNPROVED, found, "persistent id", does, kind="persistent")
            yield told


def extensions(program: PickleProgram) -> Iterator[Judged]:
    """Codes of the extension registry."""
    told: dict[int, Judged] = {}
    for found in program.extensions:
        if found.code not in told:
            does = f"uses extension code {found.code}, whose name is not in the file"
            name = f"extension {found.code}"
            told[found.code] = Judged(Level.UNPROVED, found, name, does, kind="extension")
        yield told[found.code]


def buffers(program: PickleProgram) -> Iterator[Judged]:
    """The first buffer that the loading program must have."""
    if not program.buffers:
        return
    found = next((value for value in program.values() if type(value) is Buffer), None)
    if found is not None:
        does = "needs data from outside the file"
        yield Judged(level=Level.UNPROVED, what=found, name="buffer", kind="buffer", does=does)
