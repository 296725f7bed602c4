"""Whether a run may start: under a plan that is approved, not over, and about exactly these inputs and this code.

Everything is told at once: each reason is a line. What the plan does not name may not go in, and what it names must.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from weighbridge.attest.attestation import judge_one
from weighbridge.attest.subject import is_same
from weighbridge.core.statement import Named, Statement, write_statement
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.pipeline import git
from weighbridge.pipeline.access import Access, Principal, principal_of, refusal
from weighbridge.pipeline.material import Measured
from weighbridge.pipeline.plan import PlanState, is_over, load
from weighbridge.pipeline.reason import Reason, refuse
from weighbridge.pipeline.wish import Wish
from weighbridge.sign.bundle import read_line
from weighbridge.sign.signer import AnySigner, BundleSigner, sign_statement
from weighbridge.trust.keyring import Keyring

SCRIPTS = (
    ".py",
    ".pyc",
    ".pyw",
    ".sh",
    ".bash",
    ".pl",
    ".rb",
    ".js",
    ".mjs",
    ".lua",
    ".r",
    ".jl",
    ".ipynb",
    ".so",
)
_INTERPRETER = re.compile(r"(?:python|pypy|(?:ba|da|z|k|fi)?sh|perl|ruby|node|lua|julia|Rscript)[0-9.]*w?")
_INLINE = re.compile(r"-[a-zA-Z]*[ce]\Z|--eval\Z|--command\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """A run may start."""

    plan: str
    """`sha256:…` of the plan."""


Clock = Callable[[], datetime]
"""What time it is, in UTC."""
Permitting = Callable[[Sequence[Measured], git.Code | None], Permit]


def permit_of(
    path: Path,
    keyring: Keyring,
    wish: Wish,
    signers: Sequence[AnySigner],
    access: Access | None = None,
    *,
    clock: Clock,
) -> Permitting:
    """What `begin` asks before it lets a run start: it answers, or raises `StepRefused` with every reason.

    `clock` is asked twice: the plan's approvals and end are looked at now, before anything large is measured, and again after that.
    """
    started = clock()
    standing = load(path, keyring, started)
    refuse(_refused(standing), _unfit(standing, wish, access, started), f"weighbridge plan show {path}")

    def permit(materials: Sequence[Measured], code: git.Code | None) -> Permit:
        now = clock()
        again = load(path, keyring, now)
        found = [
            *_unfit(again, wish, access, now),
            *_inputs(again, materials),
            *_code(again, wish, materials, code),
        ]
        if again.digest != standing.digest:
            found.append(
                Reason(code="bad-plan", why="the plan was exchanged while the materials were measured")
            )
        if access is not None:
            found += refusal(access, principal_holding(signers, keyring, now), "run", again.resource)
        refuse(_refused(again), found, f"weighbridge plan show {path}")
        return Permit(plan=again.digest)

    return permit


def _refused(standing: PlanState) -> str:
    return f'the plan "{visible(standing.plan.name, 80)}" does not let this run start'


def _unfit(standing: PlanState, wish: Wish, access: Access | None, now: datetime) -> list[Reason]:
    """What can be said of the plan itself."""
    plan, found = standing.plan, list(standing.reasons)
    if is_over(plan, now):
        found.append(Reason(code="plan-over", why=f"the plan ended at {plan.valid_until}"))
    if plan.step != wish.name:
        why = f'the plan is for the step "{visible(plan.step, 60)}", not for "{visible(wish.name, 60)}"'
        found.append(Reason(code="plan-other-step", why=why))
    if plan.cedar and (access is None or access.digest != plan.cedar):
        found.append(
            Reason(code="plan-other-cedar", why="the plan names another Cedar policy than the one given")
        )
    return found


def allowed(what: Named, ones: Sequence[Named]) -> bool:
    """Whether a measured thing is one that a plan names: every digest of ours that the plan gives must be the same."""
    return any(
        is_same(one, what)
        and (one.files is None or one.files == what.files)
        and (one.tensors is None or one.tensors == what.tensors)
        for one in ones
    )


def _inputs(standing: PlanState, materials: Sequence[Measured]) -> Iterator[Reason]:
    plan = standing.plan
    files = tuple(one for one in plan.code if not _commit(one))
    for one in materials:
        if not allowed(one.what, (*plan.inputs, *files)):
            why = f'the plan does not name "{visible(str(one.path))}" ({_short(one.what)})'
            yield Reason(code="plan-other-input", why=why)
    for wanted in (*plan.inputs, *files):
        if not any(allowed(one.what, (wanted,)) for one in materials):
            name = visible(wanted.name, 80)
            yield Reason(
                code="plan-missing-input",
                why=f'the plan wants "{name}" ({_short(wanted)}), which is not given',
            )


def _short(what: Named) -> str:
    return what.digests[0][:44] + "…"


def _commit(what: Named) -> str:
    return dict(what.others).get("gitCommit", "")


def _code(
    standing: PlanState, wish: Wish, materials: Sequence[Measured], code: git.Code | None
) -> Iterator[Reason]:
    """The commit, nothing changed since, and a command that runs files of it and no others."""
    named = standing.plan.code
    if not named:
        return
    commits = {commit for one in named if (commit := _commit(one))}
    if commits and code is None:
        yield Reason(
            code="plan-other-code", why="the plan names a commit, and this folder is in no git repository"
        )
        return
    if commits and code is not None and code.git.commit not in commits:
        yield Reason(
            code="plan-other-code", why=f"the code is at {code.git.commit[:16]}, which the plan does not name"
        )
    if commits and code is not None and code.git.dirty:
        yield Reason(code="plan-dirty-code", why="files differ from the commit, or are unknown to git")
    files = tuple(one for one in named if not _commit(one))
    folders = [one.path for one in materials if allowed(one.what, files)]
    yield from _program(wish, code if commits else None, folders)


def _program(wish: Wish, code: git.Code | None, folders: Sequence[Path]) -> Iterator[Reason]:
    """Whether the command runs what was approved. A file of code elsewhere, or code on the command line, was not."""
    found = False
    for at, word in enumerate(wish.command):
        if _runs_inline(wish.command, at):
            yield Reason(code="plan-other-program", why="the command brings code of its own on its line")
            return
        named = word.partition("=")[2] if word.startswith("-") and "=" in word else word
        path = wish.folder / named
        if not named or (at == 0 and os.sep not in word):
            continue
        if not path.is_file() or not (_is_script(path) or (at == 0 and _belongs(path, code, folders))):
            continue
        if _belongs(path, code, folders):
            found = True
        elif at > 0 or not _installed(path):
            yield Reason(
                code="plan-other-program",
                why=f'"{visible(word, 200)}" is no file of the code that the plan names',
            )
    if not found and not _module(wish, code, folders):
        yield Reason(
            code="plan-other-program", why="the command runs no file of the code that the plan names"
        )


def _runs_inline(command: Sequence[str], at: int) -> bool:
    """`python -c …`, `sh -c …`, `node -e …`, also behind `env`."""
    before = [Path(word).name for word in command[:at]]
    return (
        bool(_INLINE.match(command[at]))
        and any(_INTERPRETER.fullmatch(word) for word in before)
        and all(
            word.startswith("-") or "=" in word or word == "env" or _INTERPRETER.fullmatch(word)
            for word in before
        )
    )


def _is_script(path: Path) -> bool:
    if path.name.lower().endswith(SCRIPTS):
        return True
    try:
        with path.open("rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return True


def _installed(path: Path) -> bool:
    """A program named by a path that is no script of somebody: an interpreter or launcher, which brings no code."""
    return bool(_INTERPRETER.fullmatch(path.name)) or not _is_script(path)


def _belongs(path: Path, code: git.Code | None, folders: Sequence[Path]) -> bool:
    real = Path(os.path.realpath(path))
    if any(real.is_relative_to(os.path.realpath(folder)) for folder in folders):
        return True
    return code is not None and git.knows(code, real)


def _module(wish: Wish, code: git.Code | None, folders: Sequence[Path]) -> bool:
    """`python -m NAME`, where NAME is a module of the code in the folder where the command runs."""
    for flag, name in zip(wish.command, wish.command[1:], strict=False):
        if flag == "-m":
            place = wish.folder / name.replace(".", "/")
            return any(
                _belongs(one, code, folders)
                for one in (place.with_suffix(".py"), place / "__main__.py")
                if one.is_file()
            )
    return False


def principal_holding(signers: Sequence[AnySigner], keyring: Keyring, now: datetime) -> Principal | None:
    """Who of the keyring holds these keys: each signs a sentence that says nothing. None where that cannot be told.

    A keyless signer is not asked: whatever it signs is published.
    """
    probe = write_statement(
        Statement(
            subjects=(Named(name="nothing", others=(("sha256", "0" * 64),)),),
            predicate_type="weighbridge.probe/v1",
        )
    )
    for signer in signers:
        if isinstance(signer, BundleSigner):
            return None
        bundle = read_line(sign_statement(probe, signer), "the signer")
        one = judge_one(bundle, keyring.anchors, keyring.authorities, now)
        if one.is_signed:
            return principal_of(one.signer)
    return None
