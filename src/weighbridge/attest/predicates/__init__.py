"""The predicates that are understood: one module each, read strictly into a small frozen type and written again.

A module holds `TYPE` (the predicate type), the frozen type, `read(predicate, what)`, `write(value)` with
`read(write(v)) == v`, and where it tells of a step `step(statement, value) -> Step`. What is unknown in a predicate of
somebody else's vocabulary is ignored, as in-toto asks (parsing rules); in our own it is refused.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

from weighbridge.attest import fields
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
    experimental: str = ""
    """The version of a vocabulary that is still a proposal: written only where somebody asks for it by this name."""

    @property
    def module(self) -> str:
        """Where it lives."""
        return f"{__name__}.{self.word.replace('-', '_')}"


KINDS = (
    Kind("provenance", "https://slsa.dev/provenance/v1", "how a build made it (SLSA v1)"),
    Kind("link", "https://in-toto.io/attestation/link/v0.3", "one step of an in-toto supply chain"),
    Kind("test-result", "https://in-toto.io/attestation/test-result/v0.1", "a test suite was run over it"),
    Kind("svr", "https://in-toto.io/attestation/svr/v0.1", "a verifier found these properties"),
    Kind("vsa", "https://slsa.dev/verification_summary/v1", "a verifier judged it by a policy (SLSA v1)"),
    Kind(
        "eval-result",
        "https://in-toto.io/attestation/eval-result/v0.1",
        "metrics against thresholds on a data set (in-toto proposal)",
        experimental="v0.1",
    ),
    Kind("dataset", "weighbridge.dataset/v1", "what a data set is, and what it may be used for"),
    Kind("training", "weighbridge.training/v1", "one recorded run that made it"),
    Kind("transform", "weighbridge.transform/v1", "made from other models by a rule, and what is provable"),
    Kind("review", "weighbridge.review/v1", "a person looked at it and approves, rejects or comments"),
    Kind("scan", "weighbridge.scan/v1", "what a scanner saw in it"),
    Kind("check", "weighbridge.check/v1", "a gate's verdict by a policy"),
    Kind("convert", "weighbridge.convert/v1", "the receipt of a conversion"),
    Kind("operating-point", "weighbridge.operating-point/v1", "thresholds and conditions of its use"),
    Kind("recall", "weighbridge.recall/v1", "the whole list of what somebody withdraws"),
    Kind("plan", "weighbridge.plan/v1", "what may go into a step, and who must agree"),
    Kind("deployment", "weighbridge.deployment/v1", "it is in use somewhere"),
)

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
    fields.refuse_wild(statement.predicate, what)
    return import_module(kind.module).read(statement.predicate, what)


def write(kind: Kind, value: Any) -> Mapping[str, Any]:
    """The predicate as JSON values."""
    written: Mapping[str, Any] = import_module(kind.module).write(value)
    return written


def say(statement: Statement, what: str = "the statement") -> str:
    """What the statement says, in a few words for people; hidden characters made visible. Raises as `read`."""
    value = read(statement, what)
    kind = _BY_TYPE[statement.predicate_type]
    return visible(import_module(kind.module).say(value), 300)


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
