"""`weighbridge policy`: check a policy file, show where each line came from, try it on samples."""

import argparse
from typing import TYPE_CHECKING

from weighbridge.cli import options as shared

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
    verbs = shared.verbs(parser, ("check", "explain", "test"))
    check = verbs.add_parser(
        "check", help="say whether a policy can be read, and what is wrong with its rules"
    )
    check.add_argument(
        "file", metavar="FILE|PRESET", nargs="?", help="the nearest weighbridge.toml when left out"
    )
    check.set_defaults(run=run_check)
    shared.examples(check, "weighbridge policy check weighbridge.toml")
    explain = verbs.add_parser("explain", help="print every effective line and the file that set it")
    explain.add_argument("--policy", metavar="FILE|PRESET", dest="file", help="the nearest one when left out")
    explain.set_defaults(run=run_explain)
    shared.examples(explain, "weighbridge policy explain --policy production")
    test = verbs.add_parser("test", help="judge the cases of a file, and compare with what they expect")
    test.add_argument(
        "cases",
        metavar="CASES.toml",
        help="cases: evidence, and the decision that is expected (docs/policy.md)",
    )
    test.add_argument("--policy", metavar="FILE|PRESET", dest="file", help="the nearest one when left out")
    test.set_defaults(run=run_test)
    shared.examples(test, "weighbridge policy test cases.toml --policy production")
    for verb in (check, explain, test):
        shared.output(verb, shared.BOTH)


def run_check(options: argparse.Namespace) -> int:
    """Exit 0 when all is well, 2 when not."""
    from weighbridge.cli.output import tell
    from weighbridge.core.errors import UsageError
    from weighbridge.core.text import visible
    from weighbridge.policy.cel import check_rules

    policy = _policy(options.file)
    problems = check_rules(policy)
    if problems:
        raise UsageError("bad-rule", problems[0], *problems[1:3])
    body = {"name": policy.name, "digest": policy.digest, "questions": list(policy.questions)}
    lines = [f"ok  policy {policy.name}  {policy.digest}", f"    asks {', '.join(policy.questions)}"]
    return tell(options, body, [visible(line, 2000) for line in lines])


def run_explain(options: argparse.Namespace) -> int:
    """Print the effective policy, line by line."""
    from weighbridge.cli.output import tell

    policy = _policy(options.file)
    rows = [{"table": x.table, "key": x.key, "value": x.value, "source": x.source} for x in policy.lines]
    body = {"name": policy.name, "digest": policy.digest, "lines": rows}
    width = max((len(f"{line.key} = {line.value}") for line in policy.lines), default=0)
    lines, table = [f"policy {policy.name}  {policy.digest}", ""], ""
    for line in policy.lines:
        if line.table != table:
            table = line.table
            lines.append(f"[{table}]")
        lines.append(f"{f'{line.key} = {line.value}':<{min(width, 60)}}  # {line.source}")
    return tell(options, body, lines)


def _policy(file: str | None) -> "Policy":
    from pathlib import Path

    from weighbridge.policy import find_policy, load_policy, load_preset

    found = file or find_policy(Path.cwd())
    return load_policy(found) if found else load_preset()


def run_test(options: argparse.Namespace) -> int:
    """Judge every case; exit 1 when one is not as expected."""
    from datetime import UTC, datetime
    from pathlib import Path

    from weighbridge.cli.output import tell
    from weighbridge.core.errors import UsageError
    from weighbridge.core.text import counted, visible
    from weighbridge.policy.cases import read_cases, run_cases
    from weighbridge.store import read_beside

    data = read_beside(Path(options.cases), MAX_CASES)
    if data is None:
        raise UsageError("no-such-path", f'there are no cases at "{options.cases}"')
    results = run_cases(_policy(options.file), read_cases(data, options.cases), datetime.now(UTC))
    rows = [
        {"name": r.case.name, "expected": r.case.expect, "decided": r.verdict.decision, "ok": r.as_expected}
        for r in results
    ]
    lines = []
    for result in results:
        mark = "✓" if result.as_expected else "✗"
        lines.append(
            f"{mark} {visible(result.case.name)}: {result.verdict.decision} (expected {result.case.expect})"
        )
        lines += [f"    {visible(one)}" for one in result.verdict.reasons if not result.as_expected]
    wrong = sum(not result.as_expected for result in results)
    lines.append(
        f"{'UNEXPECTED' if wrong else 'EXPECTED'}: {counted(len(results), 'case')}, {wrong} not as expected"
    )
    return tell(options, rows, lines, code=int(wrong > 0), verdict=-1)
