"""Plan: what may go into a step, and how many people of which roles must agree before it runs.

    {"name": "triage-2026", "step": "train", "data": [named…], "bases": [named…], "code": [named…],
     "approvals": {"data-steward": 1, "safety": 2}, "validUntil": …, "cedar": "sha256:…"}

The statement's subjects are what may go in. A plan is named elsewhere by the SHA-256 of its statement's payload, and is
approved by reviews whose subject is that digest (`plan_named`). Whether it has been approved it cannot say itself.
"""

from collections.abc import Mapping
from typing import Any

from weighbridge.attest import fields
from weighbridge.core.errors import InputError
from weighbridge.core.statement import Named, write_named
from weighbridge.core.text import counted
from weighbridge.core.value import dataclass

TYPE = "weighbridge.plan/v1"
MAX_PEOPLE = 1000
_KNOWN = ("name", "step", "data", "bases", "code", "approvals", "validUntil", "cedar")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One plan."""

    name: str
    step: str
    """The step that may run, as a layout calls it."""
    data: tuple[Named, ...] = ()
    bases: tuple[Named, ...] = ()
    """Models to start from."""
    code: tuple[Named, ...] = ()
    """By `gitCommit` or as files."""
    approvals: tuple[tuple[str, int], ...] = ()
    """(role, how many different people)."""
    valid_until: str = ""
    cedar: str = ""
    """Digest of the Cedar policy that says who may do what; "" for none."""

    @property
    def inputs(self) -> tuple[Named, ...]:
        """What may go in: the subjects of the plan's statement."""
        return tuple(dict.fromkeys((*self.data, *self.bases)))


def read(predicate: Mapping[str, Any], what: str) -> Plan:
    """Strict. Raises `InputError` (`bad-predicate`, `bad-statement`)."""
    fields.refuse_unknown(predicate, _KNOWN, what)
    return Plan(
        name=fields.filled(predicate, "name", what),
        step=fields.word(predicate, "step", None, what),
        data=fields.all_named(predicate, "data", what),
        bases=fields.all_named(predicate, "bases", what),
        code=fields.all_named(predicate, "code", what),
        approvals=_approvals(predicate, what),
        valid_until=fields.time(predicate, "validUntil", what, required=False),
        cedar=fields.digest(predicate, "cedar", what),
    )


def _approvals(predicate: Mapping[str, Any], what: str) -> tuple[tuple[str, int], ...]:
    wanted = fields.inner(predicate, "approvals", what)
    counts = tuple((role, fields.number(wanted, role, what, least=1)) for role in wanted)
    if any(not role or count > MAX_PEOPLE for role, count in counts):
        raise InputError(
            fields.BAD, f'"approvals" of {what} asks for a role without a name, or for too many people'
        )
    return counts


def write(plan: Plan) -> dict[str, Any]:
    """`read(write(p)) == p`."""
    return {
        "name": plan.name,
        "step": plan.step,
        **fields.given(
            data=[write_named(one) for one in plan.data],
            bases=[write_named(one) for one in plan.bases],
            code=[write_named(one) for one in plan.code],
            approvals=dict(plan.approvals),
            validUntil=plan.valid_until,
            cedar=plan.cedar,
        ),
    }


def plan_named(digest: str) -> Named:
    """The subject of an approval of the plan whose statement has this digest (`sha256:…`, or its hex alone)."""
    return Named(name="plan", others=(("sha256", digest.removeprefix("sha256:")),))


def say(plan: Plan) -> str:
    """In a few words."""
    people = ", ".join(f"{count} of {role}" for role, count in plan.approvals) or "nobody"
    return f'plan "{plan.name}" for the step "{plan.step}" on {counted(len(plan.data), "data set")}, approved by {people}'
