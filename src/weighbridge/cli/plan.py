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
    from weighbridge.pipeline.plan import PlanState

EXAMPLES = (
    "weighbridge plan make --name triage-2026 --data ./data --code . --approvals safety=1,lead=1 --until 2027-03-31 --key me.key",
    "weighbridge plan approve triage-2026.plan.jsonl --role safety --key cleo.key",
    "weighbridge plan show triage-2026.plan.jsonl",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """make, approve, reject, show."""
    verbs = shared.verbs(parser, ("make", "approve", "reject", "show"))
    _making(verbs.add_parser("make", help="write and sign a plan"))
    for word, text in (("approve", "add your approval to a plan"), ("reject", "say no to a plan")):
        reviewing = verbs.add_parser(word, help=text)
        reviewing.add_argument("plan", metavar="PLAN", help="the plan's file")
        role = "in which role; the keyring must give it to you"
        shared.group(reviewing, "Review", (
            shared.value("--role", "ROLE", role, required=True),
            shared.value("--comment", "TEXT", "what to say about it", default=""),
        ))  # fmt: skip
        shared.signer(reviewing)
        shared.examples(
            reviewing, f"weighbridge plan {word} triage-2026.plan.jsonl --role safety --key cleo.key"
        )
    showing = verbs.add_parser("show", help="say what a plan allows and who has approved it")
    showing.add_argument("plan", metavar="PLAN", help="the plan's file")
    shared.examples(showing, "weighbridge plan show triage-2026.plan.jsonl")
    for verb in verbs.choices.values():
        shared.believed(verb)
        shared.output(verb, shared.BOTH)


def _making(verb: argparse.ArgumentParser) -> None:
    shared.group(verb, "Plan", (
        shared.value("--name", "NAME", "what the plan is called", required=True),
        shared.value("--step", "STEP", "the step that may run; train when left out", default="train"),
        shared.many("--data", "PATH|DIGEST", "data that may go in; may be given several times"),
        shared.many("--base", "PATH|DIGEST", "a model to start from"),
        shared.many("--code", "COMMIT|PATH",
                    "the code that may run: a git commit, a repository's folder for its commit, or other files"),
        shared.value("--approvals", "ROLE=N,…", "how many people of which roles must approve", required=True),
        shared.value("--until", "DATE", "the last day (UTC)", type=shared.day, required=True),
        shared.value("--out", "FILE", "where the plan goes; NAME.plan.jsonl when left out"),
    ))  # fmt: skip
    shared.signer(verb)
    shared.examples(
        verb,
        "weighbridge plan make --name triage-2026 --data ./data --approvals safety=1,lead=1 --until 2027-03-31 --key me.key",
        "weighbridge plan make --name tune --data ./data --base ./base --code . --approvals lead=2 --until 2027-03-31 --key me.key",
    )


def run(options: argparse.Namespace) -> int:
    """One of the four."""
    work = {"make": _make, "approve": _review, "reject": _review, "show": _show}[options.verb]
    return steps.told(options, lambda: work(options))


def _access(options: argparse.Namespace) -> "Access | None":
    from weighbridge.pipeline.access import read_access

    return read_access(Path(options.cedar)) if options.cedar else None


def _make(options: argparse.Namespace) -> int:
    from weighbridge.attest.predicates.plan import Plan
    from weighbridge.cli.keys import open_signers
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
    digest = plans.make(plan, open_signers(options), target)
    wanted = ", ".join(f"{role} {count}" for role, count in plan.approvals)
    lines = [
        f"PLANNED  {visible(plan.name)}  {digest}",
        f"wrote    {visible(str(target))}",
        f"next     weighbridge plan approve {visible(str(target))} --role ROLE --key KEY   ({visible(wanted)})",
    ]
    return steps.answer(
        options, "made", {"plan": digest, "written": [str(target)], "says": _said(plan)}, lines
    )


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
    from weighbridge.cli.keys import open_signers
    from weighbridge.pipeline import plan as plans

    standing = plans.review(
        Path(options.plan), Decision(options.verb), options.role, options.comment, open_signers(options),
        steps.keyring_of(options), _access(options), now=datetime.now(UTC),
    )  # fmt: skip
    word = "APPROVED" if options.verb == "approve" else "REJECTED"
    verdict = "approved" if options.verb == "approve" else "rejected"
    return steps.answer(options, verdict, _body(standing), _lines(standing, word))


def _show(options: argparse.Namespace) -> int:
    from weighbridge.pipeline import plan as plans

    now = datetime.now(UTC)
    standing = plans.load(Path(options.plan), steps.keyring_of(options), now)
    over = plans.is_over(standing.plan, now)
    word, code = _word(standing, over=over)
    return steps.answer(
        options, word.lower(), {**_body(standing), "over": over}, _lines(standing, word), int(code)
    )


def _word(standing: "PlanState", *, over: bool) -> tuple[str, ExitCode]:
    """A plan that only waits for somebody is not refused: nobody can say yet whether it will be."""
    if over:
        return "OVER", ExitCode.REFUSED
    codes = {one.code for one in standing.reasons}
    if not codes:
        return "READY", ExitCode.DONE
    waits = codes <= {"approval-missing", "approval-left-out", "review-unread"}
    return ("WAITING", ExitCode.UNDECIDED) if waits else ("REFUSED", ExitCode.REFUSED)


def _said(plan: Any) -> dict[str, Any]:
    from weighbridge.attest.predicates import plan as predicate

    return predicate.write(plan)


def _body(standing: "PlanState") -> dict[str, Any]:
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


def _lines(standing: "PlanState", word: str) -> list[str]:
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
    return [*lines, *(f"why      {one.why}   [{one.code}]" for one in standing.reasons)]
