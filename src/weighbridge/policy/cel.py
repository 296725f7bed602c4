"""Rules of the policy in CEL (the extra `[cel]`): conditions that the words of `weighbridge.toml` cannot say.

A rule answers its question `rule:NAME`: PASS, FAIL, or UNKNOWN where it names what is not there, breaks, answers with
something other than true or false, would cost too much, or the extra is missing. CEL reads plain values only; it can
reach no file and no network. Cost is bounded before anything runs, so that the same input always gets the same answer.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from weighbridge.core.evidence import WORST_FIRST, Evidence, Outcome
from weighbridge.core.finding import FileResult, Finding, Unread
from weighbridge.core.pattern import late
from weighbridge.core.report import SignatureResult, Subject
from weighbridge.core.text import visible
from weighbridge.policy.policy import Policy
from weighbridge.policy.words import PolicyRule

MAX_COST = 2_000_000
"""Steps of loops that one expression may take (about a second)."""

VARIABLES = ("evidence", "findings", "files", "unread", "signatures", "subject", "now")
"""What an expression may name."""

_TOKEN = late(
    r"""(?x)
    (?P<skip> //[^\n]* | "{3}.*?"{3} | '{3}.*?'{3} | "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' )
  | (?P<word> [A-Za-z_][A-Za-z0-9_]* )
  | (?P<open> [(\[{] )
  | (?P<close> [)\]}] )
    """,
    re.DOTALL,
)
_LOOPS = {"all", "exists", "exists_one", "existsOne", "map", "filter"}


def weigh_rules(
    policy: Policy,
    evidence: Sequence[Evidence],
    now: datetime,
    *,
    findings: Sequence[Finding] = (),
    files: Sequence[FileResult] = (),
    unread: Sequence[Unread] = (),
    signatures: Sequence[SignatureResult] = (),
    subject: Subject | None = None,
) -> tuple[Evidence, ...]:
    """One row for each rule of the policy, in their order. Never raises."""
    if not policy.rules:
        return ()
    if not available():
        return tuple(
            _row(rule, Outcome.UNKNOWN, "the extra for rules in CEL is not installed", "extra-missing",
                 ('pip install "weighbridge[cel]"',))
            for rule in policy.rules
        )  # fmt: skip
    variables = context(evidence, now, findings, files, unread, signatures, subject)
    return tuple(_weigh(rule, variables) for rule in policy.rules)


def available() -> bool:
    """Whether the extra `[cel]` is installed."""
    from importlib.util import find_spec

    return find_spec("cel") is not None


def context(
    evidence: Sequence[Evidence],
    now: datetime,
    findings: Sequence[Finding] = (),
    files: Sequence[FileResult] = (),
    unread: Sequence[Unread] = (),
    signatures: Sequence[SignatureResult] = (),
    subject: Subject | None = None,
) -> dict[str, Any]:
    """The variables of an expression, as plain values; texts that came with a model are made visible first."""
    return {
        # Of several rows for one question the worst is kept, as `judge` does.
        "evidence": {row.question: _evidence(row) for row in sorted(evidence, key=_worst_last)},
        "findings": [_finding(finding) for finding in findings],
        "files": [_file(file) for file in files],
        "unread": [
            {"path": _whole(u.place.path), "code": u.code, "message": visible(u.message)} for u in unread
        ],
        "signatures": [_signature(signature) for signature in signatures],
        "subject": _subject(subject) if subject else {},
        "now": now.astimezone(UTC),
    }


def check_rules(policy: Policy) -> tuple[str, ...]:
    """What is wrong with the rules before any model is weighed: syntax, cost; one line each. () when all is well."""
    if not policy.rules:
        return ()
    if not available():
        return ('rules in CEL cannot be checked here: pip install "weighbridge[cel]"',)
    problems = []
    for rule in policy.rules:
        for word, expression in (("when", rule.when), ("require", rule.require)):
            problem = _problem(expression) if expression else ""
            if problem:
                problems.append(f'rule "{rule.name}", {word}: {problem}')
    return tuple(problems)


def _problem(expression: str) -> str:
    import cel

    try:
        program = cel.compile(expression)
    except Exception as error:
        return visible(str(error), 200)
    named = set(program.variables()) - set(VARIABLES) - {word for _, word in _bound(expression)}
    if named:
        return f"{', '.join(sorted(named))} is not known; known are {', '.join(VARIABLES)}"
    return ""


def _weigh(rule: PolicyRule, variables: Mapping[str, Any]) -> Evidence:
    try:
        applies = _truth(rule.when, variables) if rule.when else True
        if not applies:
            return _row(rule, Outcome.PASS, "does not apply here")
        holds = _truth(rule.require, variables) if rule.require else False
    except _NoAnswerError as error:
        return _row(rule, Outcome.UNKNOWN, f"{rule.message} ({error})", error.code)
    if holds:
        return _row(rule, Outcome.PASS, "holds")
    return _row(rule, Outcome.FAIL, rule.message, "rule-broken")


def _row(
    rule: PolicyRule, outcome: Outcome, why: str, code: str = "", details: tuple[str, ...] = ()
) -> Evidence:
    return Evidence(question=rule.question, outcome=outcome, why=why, by="policy", code=code, details=details)


class _NoAnswerError(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _truth(expression: str, variables: Mapping[str, Any]) -> bool:
    _bound_cost(expression, variables)
    import cel

    try:
        value = cel.evaluate(expression, dict(variables))
    except Exception as error:
        raise _NoAnswerError("rule-error", visible(f"{type(error).__name__}: {error}", 160)) from None
    except BaseException as error:  # a panic of the Rust engine is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise _NoAnswerError("rule-error", "the rule engine broke on this") from None
    if not isinstance(value, bool):
        raise _NoAnswerError("rule-error", f"the answer is {type(value).__name__}, not true or false")
    return value


def _bound_cost(expression: str, variables: Mapping[str, Any]) -> None:
    """Refuse what could loop for long: (loops) x (longest list) ^ (loops inside each other)."""
    loops, depth = _loops(expression)
    longest = max([len(expression), *(len(value) for value in variables.values() if isinstance(value, list))])
    if loops and loops * longest**depth > MAX_COST:
        raise _NoAnswerError(
            "limit-rule", f"{depth} loops inside each other over {longest} items are too many"
        )


def _loops(expression: str) -> tuple[int, int]:
    """How many loops an expression has, and how deep they stand inside each other."""
    loops, deepest, word = 0, 0, ""
    stack: list[bool] = []
    for token in _TOKEN.finditer(expression):
        if token["word"]:
            word = token["word"]
            continue
        if token["open"]:
            stack.append(token["open"] == "(" and word in _LOOPS)
            loops += stack[-1]
            deepest = max(deepest, sum(stack))
        elif token["close"] and stack:
            stack.pop()
        if not token["skip"]:
            word = ""
    return loops, deepest


def _bound(expression: str) -> list[tuple[str, str]]:
    """(loop, the name it binds) for every loop of an expression."""
    return re.findall(rf"\b({'|'.join(_LOOPS)})\s*\(\s*([A-Za-z_][A-Za-z0-9_]*)\s*,", expression)


def _worst_last(row: Evidence) -> int:
    return -WORST_FIRST.index(row.outcome)


def _whole(path: str) -> str:
    """A path made visible and never cut: a rule about its end (`endsWith(".bin")`) must see the end."""
    return visible(path, len(path))


def _evidence(row: Evidence) -> dict[str, Any]:
    return {"outcome": row.outcome.value, "why": visible(row.why), "by": visible(row.by), "code": row.code}


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "confidence": finding.confidence.value,
        "path": _whole(finding.place.path),
        "where": visible(finding.place.where),
        "message": visible(finding.message),
        "doubt": finding.doubt,
    }


def _file(file: FileResult) -> dict[str, Any]:
    return {
        "path": _whole(file.path),
        "size": file.size,
        "format": file.format,
        "outcome": file.outcome.value,
        "sha256": file.sha256 or "",
    }


def _signature(signature: SignatureResult) -> dict[str, Any]:
    return {
        "outcome": signature.outcome,
        "code": signature.code,
        "by": visible(signature.by),
        "roles": list(signature.roles),
        "how": visible(signature.how),
        "when": signature.when,
        "key": signature.key,
    }


def _subject(subject: Subject) -> dict[str, Any]:
    digests = {"files": subject.files_digest, "tensors": subject.tensors_digest, "card": subject.card_digest}
    return {
        "name": visible(subject.name),
        "files": subject.files,
        "bytes": subject.bytes,
        "digests": {name: digest for name, digest in digests.items() if digest},
    }
