"""The predicates that are understood: one module each, read strictly into a small frozen type and written again.

A module holds `TYPE` (the predicate type), the frozen type, `read(predicate, what)`, `write(value)` with
`read(write(v)) == v`, and where it tells of a step `step(statement, value) -> Step`. What is unknown in a predicate of
somebody else's vocabulary is ignored, as in-toto asks (parsing rules); in our own it is refused.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

from weighbridge.attest.step import Step
from weighbridge.core.errors import InputError
from weighbridge.core.statement import Statement
from weighbridge.core.text import visible


class Kind(NamedTuple):
    """One predicate that we speak."""

    word: str
    """What `attest --type` takes, and the module's name with `_` for `-`."""
    type: str
    """The predicate type."""
    title: str
    """One line for people."""
    experimental: bool = False
    """The vocabulary is still a proposal: written only where somebody asks for it by name of its version."""

    @property
    def module(self) -> str:
        """Where it lives."""
        return f"{__name__}.{self.word.replace('-', '_')}"


KINDS = (Kind("review", "weighbridge.review/v1", "a person looked at it and approves, rejects or comments"),)

_BY_TYPE = {kind.type: kind for kind in KINDS}
_BY_WORD = {kind.word: kind for kind in KINDS}


def kind_of(predicate_type: str) -> Kind | None:
    """The kind of a predicate type; None for one that is not understood."""
    return _BY_TYPE.get(predicate_type)


def kind_named(word: str) -> Kind | None:
    """The kind of a word of the command line; None for no such word."""
    return _BY_WORD.get(word)


def read(statement: Statement, what: str = "the statement") -> Any:
    """The typed predicate. Raises `InputError` (`unknown-predicate`, `bad-predicate`)."""
    kind = kind_of(statement.predicate_type)
    if kind is None:
        shown = visible(statement.predicate_type, 100)
        raise InputError("unknown-predicate", f'{what} is of the type "{shown}", which is not understood')
    return import_module(kind.module).read(statement.predicate, what)


def write(kind: Kind, value: Any) -> Mapping[str, Any]:
    """The predicate as JSON values."""
    written: Mapping[str, Any] = import_module(kind.module).write(value)
    return written


def step_of(statement: Statement, what: str = "the statement") -> Step | None:
    """What the statement says about how its subjects were made; None where it tells of no step.

    Raises `InputError` (`bad-predicate`) where the statement is of a type that is understood and says it wrongly.
    """
    kind = kind_of(statement.predicate_type)
    tell = getattr(import_module(kind.module), "step", None) if kind else None
    if tell is None:
        return None
    told: Step | None = tell(statement, read(statement, what))
    return told
