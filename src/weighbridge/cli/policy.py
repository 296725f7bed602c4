"""`weighbridge policy`: check a policy file, show where each line came from, try it on samples."""

import argparse
from typing import TYPE_CHECKING

from weighbridge.cli.options import Parser

if TYPE_CHECKING:
    from weighbridge.policy import Policy

MAX_CASES = 1024**2

EXAMPLES = (
    "weighbridge policy check weighbridge.toml",
    "weighbridge policy explain --policy production",
    "weighbridge policy test cases.toml",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """check, explain and test."""
    verbs = parser.add_subparsers(
        dest="verb", metavar="check|explain|test", required=True, parser_class=Parser
    )
    check = verbs.add_parser(
        "check", help="say whether a policy can be read, and what is wrong with its rules"
    )
    check.add_argument(
        "file", metavar="FILE|PRESET", nargs="?", help="the nearest weighbridge.toml when left out"
    )
    check.set_defaults(run=run_check)
    explain = verbs.add_parser("explain", help="print every effective line and the file that set it")
    explain.add_argument("--policy", metavar="FILE|PRESET", dest="file", help="the nearest one when left out")
    explain.set_defaults(run=run_explain)
    test = verbs.add_parser("test", help="judge the cases of a file, and compare with what they expect")
    test.add_argument(
        "cases",
        metavar="CASES.toml",
        help="cases: evidence, and the decision that is expected (docs/policy.md)",
    )
    test.add_argument("--policy", metavar="FILE|PRESET", dest="file", help="the nearest one when left out")
    test.set_defaults(run=run_test)
    for verb in (check, explain, test):
        verb.add_argument(
            "-f",
            "--format",
            metavar="FORMAT",
            choices=("human", "json"),
            default="human",
            help="how to print the answer: human (default) or json",
        )


def run_check(options: argparse.Namespace) -> int:
    """Exit 0 when all is well, 2 when not."""
    from weighbridge.core.errors import UsageError
    from weighbridge.core.wire import write_json
    from weighbridge.policy.cel import check_rules

    policy = _policy(options.file)
    problems = check_rules(policy)
    if problems:
        raise UsageError("bad-rule", problems[0], *problems[1:3])
    if options.format == "json":
        body = {
            "name": policy.name,
            "digest": policy.digest,
            "questions": list(policy.questions),
        }
        print(write_json(body, indent=2).decode())
    else:
        print(f"ok  policy {policy.name}  {policy.digest}")
        print(f"    asks {', '.join(policy.questions)}")
    return 0


def run_explain(options: argparse.Namespace) -> int:
    """Print the effective policy, line by line."""
    from weighbridge.core.wire import write_json

    policy = _policy(options.file)
    lines = policy.lines
    if options.format == "json":
        rows = [{"table": x.table, "key": x.key, "value": x.value, "source": x.source} for x in lines]
        body = {"name": policy.name, "digest": policy.digest, "lines": rows}
        print(write_json(body, indent=2).decode())
        return 0
    print(f"policy {policy.name}  {policy.digest}\n")
    width = max((len(f"{line.key} = {line.value}") for line in lines), default=0)
    table = ""
    for line in lines:
        if line.table != table:
            table = line.table
            print(f"[{table}]")
        print(f"{f'{line.key} = {line.value}':<{min(width, 60)}}  # {line.source}")
    return 0


def _policy(file: str | None) -> "Policy":
    from pathlib import Path

    from weighbridge.policy import find_policy, load_policy, load_preset

    found = file or find_policy(Path.cwd())
    return load_policy(found) if found else load_preset()


def run_test(options: argparse.Namespace) -> int:
    """Judge every case; exit 1 when one is not as expected."""
    from datetime import UTC, datetime
    from pathlib import Path

    from weighbridge.core.errors import UsageError
    from weighbridge.core.wire import write_json
    from weighbridge.policy.cases import read_cases, run_cases
    from weighbridge.store import read_beside

    data = read_beside(Path(options.cases), MAX_CASES)
    if data is None:
        raise UsageError("no-such-path", f'there are no cases at "{options.cases}"')
    results = run_cases(_policy(options.file), read_cases(data, options.cases), datetime.now(UTC))
    if options.format == "json":
        rows = [
            {
                "name": r.case.name,
                "expected": r.case.expect,
                "decided": r.verdict.decision,
                "ok": r.as_expected,
            }
            for r in results
        ]
        print(write_json(rows, indent=2).decode())
    for result in results if options.format == "human" else ():
        mark = "✓" if result.as_expected else "✗"
        print(f"{mark} {result.case.name}: {result.verdict.decision} (expected {result.case.expect})")
        for reason in result.verdict.reasons if not result.as_expected else ():
            print(f"    {reason}")
    return 0 if all(result.as_expected for result in results) else 1
