"""`weighbridge plan`: say what may go into a step and who must agree, agree, and show what was agreed."""

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weighbridge.cli import options as shared
from weighbridge.cli import steps
from weighbridge.core.errors import ExitCode

if TYPE_CHECKING:
    from weighbridge.pipeline.access import Access
    from weighbridge.pipeline.plan import Standing

EXAMPLES = (
    "weighbridge plan make --name triage-2026 --data ./data --code . --approvals safety=1,lead=1 --until 2027-03-31 --key me.key",
    "weighbridge plan approve triage-2026.plan.jsonl --role safety --key cleo.key",
    "weighbridge plan show triage-2026.plan.jsonl",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """make, approve, reject, show."""
    commands = parser.add_subparsers(dest="verb", metavar="make|approve|reject|show", required=True)
    making = commands.add_parser("make", help="write and sign a plan")
    group = making.add_argument_group("Plan")
    group.add_argument("--name", metavar="NAME", required=True, help="what the plan is called")
    group.add_argument(
        "--step", metavar="STEP", default="train", help="the step that may run; train when left out"
    )
    group.add_argument(
        "--data",
        metavar="PATH|DIGEST",
        action="append",
        help="data that may go in; may be given several times",
    )
    group.add_argument("--base", metavar="PATH|DIGEST", action="append", help="a model to start from")
    group.add_argument(
        "--code", metavar="COMMIT|PATH", action="append",
        help="the code that may run: a git commit, a repository's folder for its commit, or other files",
    )  # fmt: skip
    group.add_argument(
        "--approvals", metavar="ROLE=N,…", required=True, help="how many people of which roles must approve"
    )
    group.add_argument("--until", metavar="DATE", type=shared.day, required=True, help="the last day (UTC)")
    group.add_argument("--out", metavar="FILE", help="where the plan goes; NAME.plan.jsonl when left out")
    steps.signer(making)
    for word, help_text in (("approve", "add your approval to a plan"), ("reject", "say no to a plan")):
        reviewing = commands.add_parser(word, help=help_text)
        reviewing.add_argument("plan", metavar="PLAN", help="the plan's file")
        group = reviewing.add_argument_group("Review")
        group.add_argument(
            "--role", metavar="ROLE", required=True, help="in which role; the keyring must give it to you"
        )
        group.add_argument("--comment", metavar="TEXT", default="", help="what to say about it")
        steps.signer(reviewing)
    showing = commands.add_parser("show", help="say what a plan allows and who has approved it")
    showing.add_argument("plan", metavar="PLAN", help="the plan's file")
    for command in commands.choices.values():
        steps.believed(command)
        steps.output(command)


def run(options: argparse.Namespace) -> int:
    """One of the four."""
    work = {"make": _make, "approve": _review, "reject": _review, "show": _show}[options.verb]
    return steps.told(options, lambda: work(options))


def _access(options: argparse.Namespace) -> "Access | None":
    from weighbridge.pipeline.access import read_access

    return read_access(Path(options.cedar)) if options.cedar else None


def _make(options: argparse.Namespace) -> int:
    from weighbridge.attest.predicates.plan import Plan
    from weighbridge.core.text import visible
    from weighbridge.pipeline import plan as plans

    access = _access(options)
    plan = Plan(
        name=options.name,
        step=options.step,
        data=tuple(map(plans.named, options.data or ())),
        bases=tuple(map(plans.named, options.base or ())),
        code=tuple(map(_code, options.code or ())),
        approvals=plans.approvals_of(options.approvals),
        valid_until=plans.end_of(options.until),
        cedar=access.digest if access else "",
    )
    target = Path(options.out or f"{_plain(options.name)}.plan.jsonl")
    digest = plans.make(plan, steps.signers_of(options), target)
    wanted = ", ".join(f"{role} {count}" for role, count in plan.approvals)
    lines = [
        f"PLANNED  {visible(plan.name)}  {digest}",
        f"wrote    {visible(str(target))}",
        f"next     weighbridge plan approve {visible(str(target))} --role ROLE --key KEY   ({visible(wanted)})",
    ]
    steps.answer(options, "made", {"plan": digest, "written": [str(target)], "says": _said(plan)}, lines)
    return int(ExitCode.DONE)


def _plain(name: str) -> str:
    import re

    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:80] or "plan"


def _code(text: str) -> Any:
    """A repository's folder stands for its commit; other files for themselves."""
    from weighbridge.core.errors import UsageError
    from weighbridge.core.text import visible
    from weighbridge.pipeline import git
    from weighbridge.pipeline.plan import code_named

    if os.path.isdir(os.path.join(text, ".git")) or os.path.isfile(os.path.join(text, ".git")):  # noqa: PTH112, PTH113, PTH118
        code = git.look(Path(text))
        if code is None:
            raise UsageError(
                "bad-target", f'git does not tell the commit of "{visible(text)}"', "--code COMMIT"
            )
        return code_named(code.git.commit)
    return code_named(text)


def _review(options: argparse.Namespace) -> int:
    from weighbridge.attest.predicates.review import Decision
    from weighbridge.pipeline import plan as plans

    standing = plans.review(
        Path(options.plan), Decision(options.verb), options.role, options.comment, steps.signers_of(options),
        steps.keyring_of(options), _access(options),
    )  # fmt: skip
    word = "APPROVED" if options.verb == "approve" else "REJECTED"
    verdict = "approved" if options.verb == "approve" else "rejected"
    steps.answer(options, verdict, _body(standing), _lines(standing, word))
    return int(ExitCode.DONE)


def _show(options: argparse.Namespace) -> int:
    from weighbridge.pipeline import plan as plans

    now = datetime.now(UTC)
    standing = plans.load(Path(options.plan), steps.keyring_of(options), now)
    over = plans.is_over(standing.plan, now)
    ready = not standing.reasons and not over
    word = "READY" if ready else "OVER" if over else "WAITING"
    lines = _lines(standing, word)
    steps.answer(options, word.lower(), {**_body(standing), "over": over}, lines)
    return int(ExitCode.DONE if ready else ExitCode.REFUSED)


def _said(plan: Any) -> dict[str, Any]:
    from weighbridge.attest.predicates import plan as predicate

    return predicate.write(plan)


def _body(standing: "Standing") -> dict[str, Any]:
    return {
        "plan": standing.digest,
        "says": _said(standing.plan),
        "authors": list(standing.authors),
        "approvals": [
            {"by": vote.by, "role": vote.review.role, "time": vote.review.time}
            for vote in standing.tally.counted
        ],
        "rejections": [{"by": vote.by, "comment": vote.review.comment} for vote in standing.tally.rejected],
        "lacking": dict(standing.tally.lacking),
        "unread": [{"who": who, "why": why} for who, why in standing.tally.unread],
        "leftOut": [{"by": who, "why": why} for who, why in standing.tally.left_out],
        "reasons": [{"code": one.code, "why": one.why} for one in standing.reasons],
    }


def _lines(standing: "Standing", word: str) -> list[str]:
    from weighbridge.core.text import visible
    from weighbridge.report.summary import short_digest

    plan, votes = standing.plan, standing.tally
    lines = [f"{word:<9}{visible(plan.name)}  {standing.digest}"]
    lines += [
        f"step     {visible(plan.step)} until {plan.valid_until or 'for ever'}, by {visible(', '.join(standing.authors)) or 'nobody known'}"
    ]
    for kind, ones in (("data", plan.data), ("base", plan.bases), ("code", plan.code)):
        lines += [f"{kind:<9}{visible(one.name, 60)}  {short_digest(one.digests[0])}" for one in ones]
    lines += [
        f"yes      {visible(vote.by)} as {visible(vote.review.role)}, {vote.review.time}"
        for vote in votes.counted
    ]
    lines += [f"no       {visible(vote.by)}: {visible(vote.review.comment)}" for vote in votes.rejected]
    return [*lines, *(f"wanted   {one.why}   [{one.code}]" for one in standing.reasons)]
