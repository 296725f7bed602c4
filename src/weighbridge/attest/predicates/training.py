"""Training: one run of a command that made the statement's subjects out of its materials, as it was recorded.

    {"name": "train", "command": ["python", "train.py"], "materials": [material…], "parameters": {"seed": "7"},
     "environment": [{"name": "torch", "version": "2.9.1", "sha256": "…"}],
     "git": {"commit": "…", "dirty": false, "remote": "…"}, "host": {"machine": "x86_64"},
     "timeStarted": …, "timeFinished": …, "exitCode": 0, "plan": "sha256:…", "recorder": "weighbridge 0.1.0"}

For any step that a command does, not only for training. That the command did read these materials, and no other, is the
recorder's word.
"""

from collections.abc import Mapping
from typing import Any

from weighbridge.attest import fields
from weighbridge.attest.step import Material, Step
from weighbridge.core.errors import InputError
from weighbridge.core.statement import Statement
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass

TYPE = "weighbridge.training/v1"
_KNOWN = (
    "name", "command", "materials", "parameters", "environment", "git", "host", "timeStarted", "timeFinished",
    "exitCode", "plan", "recorder",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Git:
    """The code as git knows it."""

    commit: str
    """Hex."""
    dirty: bool
    """Whether files differed from the commit."""
    remote: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One recorded run."""

    name: str
    """The step, as a layout calls it."""
    started: str
    finished: str
    exit_code: int
    recorder: str
    """What recorded it, with its version."""
    command: tuple[str, ...] = ()
    """Without secrets."""
    materials: tuple[Material, ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    """Seeds and settings that the run was started with."""
    environment: tuple[tuple[str, str, str], ...] = ()
    """(distribution, version, SHA-256 hex of what was installed or "")."""
    git: Git | None = None
    host: tuple[tuple[str, str], ...] = ()
    """What the user allows to be told of the machine."""
    plan: str = ""
    """`sha256:…` of the approved plan's statement; "" where it ran under none."""


def read(predicate: Mapping[str, Any], what: str) -> Training:
    """Strict. Raises `InputError` (`bad-predicate`, `bad-statement`)."""
    fields.refuse_unknown(predicate, _KNOWN, what)
    return Training(
        name=fields.word(predicate, "name", None, what),
        command=fields.texts(predicate, "command", what),
        materials=fields.materials(predicate, "materials", what),
        parameters=fields.pairs(predicate, "parameters", what),
        environment=tuple(_installed(row, what) for row in fields.rows(predicate, "environment", what)),
        git=_git(predicate, what),
        host=fields.pairs(predicate, "host", what),
        started=fields.time(predicate, "timeStarted", what),
        finished=fields.time(predicate, "timeFinished", what),
        exit_code=fields.number(predicate, "exitCode", what, least=-255),
        plan=_plan(predicate, what),
        recorder=fields.field(predicate, "recorder", str, what),
    )


def _installed(row: Mapping[str, Any], what: str) -> tuple[str, str, str]:
    fields.refuse_unknown(row, ("name", "version", "sha256"), f"the environment of {what}")
    hashed = fields.hexadecimal(row, "sha256", what)
    return fields.filled(row, "name", what), fields.field(row, "version", str, what), hashed


def _git(predicate: Mapping[str, Any], what: str) -> Git | None:
    if predicate.get("git") is None:
        return None
    row = fields.field(predicate, "git", dict, what)
    fields.refuse_unknown(row, ("commit", "dirty", "remote"), f'"git" of {what}')
    return Git(
        commit=fields.hexadecimal(row, "commit", what, required=True),
        dirty=fields.field(row, "dirty", bool, what),
        remote=fields.optional(row, "remote", "", what),
    )


def _plan(predicate: Mapping[str, Any], what: str) -> str:
    plan = fields.digest(predicate, "plan", what)
    if plan and not plan.startswith("sha256:"):
        raise InputError(
            fields.BAD, f'"plan" of {what} is not the sha256 of a statement: "{visible(plan, 60)}"'
        )
    return plan


def write(run: Training) -> dict[str, Any]:
    """`read(write(t)) == t`."""
    return {
        "name": run.name,
        "command": list(run.command),
        "materials": fields.write_materials(run.materials),
        "timeStarted": run.started,
        "timeFinished": run.finished,
        "exitCode": run.exit_code,
        "recorder": run.recorder,
        **fields.given(
            parameters=dict(run.parameters),
            environment=[
                {"name": name, "version": version, **fields.given(sha256=hashed)}
                for name, version, hashed in run.environment
            ],
            git=_write_git(run.git),
            host=dict(run.host),
            plan=run.plan,
        ),
    }


def _write_git(git: Git | None) -> dict[str, Any] | None:
    return {"commit": git.commit, "dirty": git.dirty, **fields.given(remote=git.remote)} if git else None


def step(statement: Statement, run: Training) -> Step:
    """The step of its name."""
    return Step(
        name=run.name,
        products=statement.subjects,
        materials=run.materials,
        builder=run.recorder,
        started=run.started,
        finished=run.finished,
        plan=run.plan,
        tools=tuple(f"{name}@{version}" for name, version, _ in run.environment),
    )


def say(run: Training) -> str:
    """In a few words."""
    ended = "" if run.exit_code == 0 else f", exit code {run.exit_code}"
    return f'step "{run.name}" finished {run.finished}{ended}'
