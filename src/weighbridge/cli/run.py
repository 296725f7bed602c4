"""`weighbridge run`: run one step of a pipeline and state what it made of what."""

import argparse
import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.cli import options as shared
from weighbridge.cli import steps
from weighbridge.core.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from weighbridge.pipeline.permission import Permitting
    from weighbridge.pipeline.run import RunOutcome
    from weighbridge.pipeline.wish import Wish
    from weighbridge.sign.signer import AnySigner

EXAMPLES = (
    "weighbridge run --name train --materials ./data ./base --products ./out --key builder.key -- python train.py",
    "weighbridge run --name train --plan triage.plan.jsonl --materials ./data --products ./out --key builder.key -- python train.py",
    "weighbridge run --name evaluate --materials ./out evaluated_on=./test --products scores.json --key ci.key -- ./evaluate.sh",
)
FACTS = ("os", "cpu", "gpu")


def configure(parser: argparse.ArgumentParser) -> None:
    """The step, what goes in and comes out, and the command."""
    group = parser.add_argument_group("Step")
    group.add_argument(
        "--name", metavar="STEP", required=True, help="what the step is called: train, clean, evaluate"
    )
    group.add_argument(
        "--materials", metavar="PATH", nargs="+", action="extend",
        help="what goes in, each a folder or file; RELATION=PATH says how, such as evaluated_on=./test",
    )  # fmt: skip
    group.add_argument(
        "--code", metavar="PATH", action="append",
        help="code that is used, as a material; the git commit of this folder is always written down",
    )  # fmt: skip
    group.add_argument(
        "--products", metavar="PATH", nargs="+", action="extend", required=True, help="what comes out"
    )
    group.add_argument("--plan", metavar="FILE", help="start only if this approved plan allows it")
    group = parser.add_argument_group("Written down")
    group.add_argument(
        "--host", metavar="FACT,…", type=_facts, default=(),
        help="tell of the machine: os, cpu, gpu; only the platform's name when left out",
    )  # fmt: skip
    group.add_argument(
        "--env", metavar="NAME", action="append", help="write down this environment variable; no other is"
    )
    group.add_argument(
        "--parameter", metavar="NAME=VALUE", action="append", help="write down a seed or setting"
    )
    group.add_argument("--keep-failed", action="store_true", help="state also what a failed command left")
    shared.signer(parser)
    shared.believed(parser)
    shared.output(parser, shared.BOTH)
    parser.add_argument(
        "program", metavar="-- COMMAND", nargs=argparse.REMAINDER, help="the command and its arguments"
    )


def _facts(text: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    unknown = [word for word in words if word not in FACTS]
    if unknown:
        raise argparse.ArgumentTypeError(f'"{unknown[0][:40]}" is none of {", ".join(FACTS)}')
    return words


def run(options: argparse.Namespace) -> int:
    """The command's own exit code; 1 where a plan does not let it start, 3 where it ran and nothing can be stated."""
    return steps.told(options, lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    from weighbridge.cli.keys import open_signers
    from weighbridge.pipeline import command
    from weighbridge.pipeline.run import begin, end
    from weighbridge.pipeline.wish import check_wish

    program = options.program[1:] if options.program[:1] == ["--"] else options.program
    if not program:
        raise UsageError("bad-option", "no command is named", "weighbridge run … -- python train.py")
    executable = shutil.which(program[0])
    if executable is None:
        raise UsageError("no-such-path", "the command is no program that can be found")
    wish = _wish(options, program)
    check_wish(wish)
    signers = open_signers(options)
    recording = begin(wish, permit=_permit(options, wish, signers), clock=_now)
    # One JSON document is all that may stand on standard output, where it is asked for there.
    aside = sys.stderr.fileno() if options.format == "json" and not options.output else None
    code = command.run(program, executable, output=aside)
    outcome = end(recording, code, signers, now=_now())
    return _say(options, outcome)


def _now() -> datetime:
    return datetime.now(UTC)


def _wish(options: argparse.Namespace, program: list[str]) -> "Wish":
    from weighbridge.attest.step import Relation
    from weighbridge.pipeline.material import inputs_of
    from weighbridge.pipeline.run import settings
    from weighbridge.pipeline.wish import Wish

    code = inputs_of(options.code or (), Relation.BUILT_WITH)
    return Wish(
        name=options.name,
        materials=(*inputs_of(options.materials or ()), *code),
        products=tuple(Path(one) for one in options.products),
        command=tuple(program),
        parameters=settings([*map(_parameter, options.parameter or ()), *map(_variable, options.env or ())]),
        host=frozenset(options.host),
        keep_failed=options.keep_failed,
    )


def _parameter(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not name or not mark:
        raise UsageError("bad-option", "a parameter is NAME=VALUE", "--parameter seed=7")
    return name, value


def _variable(name: str) -> tuple[str, str]:
    if "=" in name or name not in os.environ:
        raise UsageError(
            "bad-option", "--env takes the name of a variable that is set", "--env CUDA_VISIBLE_DEVICES"
        )
    return f"env.{name}", os.environ[name]


def _permit(options: argparse.Namespace, wish: "Wish", signers: "list[AnySigner]") -> "Permitting | None":
    if not options.plan:
        if options.cedar:
            raise UsageError("bad-option", "--cedar judges a run under a plan", "--plan FILE")
        return None
    from weighbridge.pipeline.access import read_access
    from weighbridge.pipeline.permission import permit_of

    access = read_access(Path(options.cedar)) if options.cedar else None
    return permit_of(Path(options.plan), steps.keyring_of(options), wish, signers, access, clock=_now)


def _say(options: argparse.Namespace, outcome: "RunOutcome") -> int:
    from weighbridge.attest.predicates import training
    from weighbridge.core.statement import write_named
    from weighbridge.core.text import visible
    from weighbridge.report.summary import short_digest

    verdict = "stated" if outcome.written else "unstated"
    body = {
        "exitCode": outcome.exit_code,
        "run": training.write(outcome.run),
        "products": [write_named(one) for one in outcome.products],
        "written": list(outcome.written),
        "problems": [{"code": one.code, "why": one.why} for one in outcome.problems],
    }
    word = verdict.upper()
    first, *others = [f"{visible(one.why)}   [{one.code}]" for one in outcome.problems] or [""]
    ended = f"{word:<9}{visible(outcome.run.name)}, exit code {outcome.exit_code}"
    lines = [f"{ended}: {first}" if first else ended]
    lines += [f"product  {visible(one.name)}  {short_digest(one.digests[0])}" for one in outcome.products]
    lines += [f"wrote    {visible(place)}" for place in outcome.written]
    lines += [f"also     {one}" for one in others]
    code = int(ExitCode.DONE if outcome.written else ExitCode.UNDECIDED)
    steps.answer(options, verdict, body, lines, code)
    return outcome.exit_code or code
