"""The program: find the command, run it, and turn what it says or raises into output and an exit code.

Only the module of the chosen command is imported; `--help` and typos are answered from the table below. The parser
is argparse: with it a whole `scan` starts in the time that richer frameworks need to be imported
(docs/architecture.md, "Start-up").
"""

import argparse
import atexit
import gc
import os
import sys
from importlib import import_module
from types import ModuleType
from typing import Any, NoReturn

from weighbridge.core.errors import ExitCode, UsageError, WeighbridgeError

COMMANDS: dict[str, tuple[str, str, str]] = {
    "check": ("Weigh", "MODEL", "Weigh one model: verify, scan, trace, and judge by policy."),
    "verify": ("Weigh", "MODEL", "Check signatures against the people you trust."),
    "scan": ("Weigh", "MODEL…", "Look for dangerous content without loading anything."),
    "trace": ("Weigh", "MODEL", "Show where a model came from, step by step."),
    "lineage": (
        "Weigh",
        "ancestors|descendants|path|import|add|remember|infer",
        "Ask what something is made of, and what came of it.",
    ),
    "inspect": ("Weigh", "MODEL", "Say what is in a model, file by file."),
    "digest": ("Weigh", "MODEL", "Print a model's digests, or its whole manifest."),
    "diff": ("Weigh", "OLD NEW", "Show what changed between two models."),
    "sign": ("Write", "MODEL", "Sign a model and leave the signature beside it."),
    "attest": ("Write", "MODEL", "State something about a model or data set, and sign it."),
    "convert": ("Write", "MODEL", "Write a safe copy and prove that the tensors are equal."),
    "transform": ("Write", "MODEL", "Show how a model was made from others, and what of it can be proved."),
    "report": ("Write", "FILE", "Render a saved report again (html, sarif, markdown, …)."),
    "trust": ("Trust", "init|show|add|revoke", "Manage whom this machine believes."),
    "key": ("Trust", "new|show|rotate", "Make and look after signing keys."),
    "policy": (
        "Trust",
        "check|explain|test",
        "Check a policy, show where each line came from, try it on samples.",
    ),
    "log": (
        "Trust",
        "init|append|publish|show|prove|verify|witness|audit|mirror",
        "Keep a transparency log, prove and verify what stands in it, watch it.",
    ),
    "recall": (
        "Trust",
        "add|lift|issue|show|update",
        "Call back what turned out to be bad; take such a list over.",
    ),
    "sweep": ("Run", "[PLACE…]", "Look through caches and folders for models that were called back."),
    "guard": (
        "Run",
        "[options] -- COMMAND…",
        "Run a program; refuse the model loads that the policy refuses.",
    ),
    "run": ("Run", "[options] -- COMMAND…", "Run one step; state what it made, of what, and how."),
    "plan": (
        "Run",
        "make|approve|reject|show",
        "Say what may go into a step, and who must agree before it runs.",
    ),
    "intake": (
        "Run",
        "add|list|show|approve|reject|release",
        "Keep what others contribute in quarantine until enough people agree.",
    ),
    "init": ("Help", "", "Write weighbridge.toml, the pre-commit hook and the CI job."),
    "rule": ("Help", "[NAME]", "Explain a rule (the same text as its page)."),
    "explain": ("Help", "CODE", "Explain an error or a reason."),
    "doctor": ("Help", "", "Show what works here: extras, trust root, clock, policy."),
    "completion": ("Help", "SHELL", "Print a completion script for bash, zsh or tcsh."),
    "version": ("Help", "", "Print the version."),
}
"""Command → (panel, arguments, one line). The module is `weighbridge.cli.NAME`."""


EXIT_CODES = (
    "exit codes: 0 admitted or done, 1 refused, 2 impossible request, 3 undecided, 4 we could not work"
)
SETTINGS = (
    "every option can be set in the environment too, as in WEIGHBRIDGE_MAX_BYTES=40G; the command line wins"
)


GARBAGE = (50_000, 20, 50)
"""Objects, and rounds, between two looks for garbage in circles. Modules and readings are no garbage: with the usual numbers a
tenth of a short run goes into looking through them."""

_USAGE = 28
"""Columns of a command's usage on the page of `weighbridge --help`."""


def main(argv: list[str] | None = None) -> NoReturn:
    """Run one command and exit with its code; nothing escapes as a traceback."""
    arguments = sys.argv[1:] if argv is None else argv
    gc.set_threshold(*GARBAGE)
    atexit.register(gc.freeze)  # the interpreter looks for garbage once more before it ends, in vain
    _settle_streams()
    try:
        code = run(arguments)
    except BrokenPipeError:
        code = ExitCode.BROKEN  # whoever read the answer has gone, and so has anybody to tell it to
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    try:
        sys.stdout.flush()
    except OSError:
        # What is left to say cannot be said; without this the interpreter would try again, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = code or ExitCode.BROKEN
    sys.exit(int(code))


def _settle_streams() -> None:
    """UTF-8 on every machine, whatever its locale; a stream that the caller closed takes what it is told, and drops it."""
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "r+", encoding="utf-8"))  # noqa: PTH123, SIM115  (takes its number)
        elif name != "stdin" and hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; errors are printed here, once."""
    try:
        code = _run(arguments)
        sys.stdout.flush()  # here, where a full disk can still be told
    except BrokenPipeError:
        raise
    except WeighbridgeError as error:
        return _say(error, arguments)
    except OSError as error:
        from weighbridge.cli.failure import from_os

        return _say(from_os(error), arguments)
    except KeyboardInterrupt:
        from weighbridge.cli.failure import interrupted

        return interrupted(arguments)
    except Exception as bug:
        from weighbridge.cli.failure import from_bug

        return _say(from_bug(bug), arguments)
    return code


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        sys.stdout.write(overview())
        return ExitCode.DONE if arguments else ExitCode.USAGE
    name = "version" if arguments[0] in ("--version", "-V") else arguments[0]
    parsed = parse(name, arguments[1:])
    if name != "version":
        _import_pathlib()
    if getattr(parsed, "output", None):
        from weighbridge.cli.output import refuse_output

        refuse_output(parsed.output)  # before any work is done for it
    return int(parsed.run(parsed))


def _import_pathlib() -> None:
    """Without `urllib.parse`, which it takes for `Path.as_uri` alone: 3 of the 60 ms of a small scan."""
    if not {"pathlib", "urllib.parse"} & sys.modules.keys():
        stand_in: Any = ModuleType("urllib.parse")
        stand_in.quote_from_bytes = lambda *a, **k: import_module("urllib.parse").quote_from_bytes(*a, **k)
        sys.modules["urllib.parse"] = stand_in
        import_module("pathlib")
        del sys.modules["urllib.parse"]


def parse(name: str, arguments: list[str]) -> argparse.Namespace:
    """The parsed options of one command. Raises `UsageError` (`unknown-command`, `bad-option`)."""
    if name not in COMMANDS:
        from difflib import get_close_matches

        close = get_close_matches(name, COMMANDS, n=2, cutoff=0.5)
        hints = [f"did you mean: weighbridge {' or '.join(close)}"] if close else []
        raise UsageError(
            "unknown-command", f'there is no command "{name[:80]}"', *hints, "weighbridge --help"
        )
    parser = parser_for(name)
    return parser.parse_args(arguments)


def parser_for(name: str) -> argparse.ArgumentParser:
    """The command's own parser, from its module's `configure`."""
    from weighbridge.cli.options import Parser

    parser = Parser(prog=f"weighbridge {name}", description=COMMANDS[name][2])
    configure_command(name, parser)
    return parser


def configure_command(name: str, parser: argparse.ArgumentParser) -> None:
    """Hang a command's options, examples and exit codes on a parser."""
    module = import_module(f"weighbridge.cli.{name}")
    module.configure(parser)
    shown = COMMANDS[name][1]
    parser.usage = " ".join(filter(None, [parser.prog, shown, "" if "[options]" in shown else "[options]"]))
    parser.epilog = (
        "examples:\n" + "".join(f"  {line}\n" for line in module.EXAMPLES) + f"\n{EXIT_CODES}\n{SETTINGS}"
    )
    parser.set_defaults(command=name)
    if hasattr(module, "run"):
        parser.set_defaults(run=module.run)


def overview() -> str:
    """The page of `weighbridge --help`."""
    lines = [
        "weighbridge weighs AI models before you depend on them: authentic, untampered, safe to load?",
        "",
    ]
    lines += ["usage: weighbridge COMMAND [options]", ""]
    panels: dict[str, list[str]] = {}
    for name, (panel, arguments, line) in COMMANDS.items():
        usage = f"{name} {arguments}"
        fits = len(usage) < _USAGE  # else the line stands below, where the others stand
        rows = [usage.ljust(_USAGE) + line] if fits else [usage, " " * _USAGE + line]
        panels.setdefault(panel, []).extend(rows)
    for panel, rows in panels.items():
        lines += [f"{panel if i == 0 else '':<8}{row}" for i, row in enumerate(rows)]
    lines += [
        "",
        "start here:",
        "  weighbridge scan ./model",
        "  weighbridge check ./model --key publisher.pub",
        "",
    ]
    lines += ["more: weighbridge COMMAND --help; weighbridge explain CODE for a word in [brackets]", ""]
    lines += ["exit codes: 0 admitted, 1 refused, 2 impossible request, 3 undecided, 4 we could not work", ""]
    return "\n".join(lines)


def _say(error: WeighbridgeError, arguments: list[str]) -> int:
    from weighbridge.cli.failure import say

    return say(error, arguments)
