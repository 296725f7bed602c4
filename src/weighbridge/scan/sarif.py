"""Results of other scanners, read from SARIF 2.1.0: evidence with its origin, never a reason to let anything pass.

Each result becomes a finding `TOOL/RULE` in the file that it names. A run that failed, a result without a file of this
model, and a hash of another file leave the question `others` without an answer. What the log says of suppressions is
not taken over: who accepts a finding here says so here.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from weighbridge.core.errors import InputError, LimitError, UsageError
from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.finding import Confidence, Finding, Place, Severity
from weighbridge.core.text import counted, some, visible
from weighbridge.core.value import dataclass
from weighbridge.core.wire import read_json

MAX_LOG = 64 * 1024**2
MAX_RESULTS = 20_000
QUESTION = "others"
_LEVELS = {"error": Severity.ERROR, "warning": Severity.WARNING, "note": Severity.NOTE, "none": Severity.NOTE}
_KINDS = {"pass": Severity.NOTE, "informational": Severity.NOTE, "notApplicable": Severity.NOTE}


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherScan:
    """What one log says of this model."""

    tools: tuple[str, ...]
    findings: tuple[Finding, ...]
    doubts: tuple[str, ...]
    """Why the log is no full answer; () where it is."""
    source: str

    @property
    def evidence(self) -> Evidence:
        """The row `others`."""
        errors = sum(finding.severity is Severity.ERROR for finding in self.findings)
        by = ", ".join(self.tools) or "nobody"
        if errors:
            why = f"{counted(errors, 'error')} in {visible(self.source)}"
            return Evidence(question=QUESTION, outcome=Outcome.FAIL, why=why, by=by, code="others-found")
        if self.doubts:
            why = f"{visible(self.source)} is no full answer: {some(self.doubts)}"
            return Evidence(question=QUESTION, outcome=Outcome.UNKNOWN, why=why, by=by, code="others-unsure")
        why = f"no error in {visible(self.source)}"
        return Evidence(question=QUESTION, outcome=Outcome.PASS, why=why, by=by)


def missing(wanted: Sequence[str], logs: Sequence[OtherScan]) -> tuple[Evidence, ...]:
    """A row for each scanner that should have reported and did not; names are compared without case."""
    there = {tool.lower().partition(" ")[0] for log in logs for tool in log.tools}
    return tuple(
        Evidence(
            question=QUESTION, outcome=Outcome.UNKNOWN, why=f"{name} has not reported", code="others-absent"
        )
        for name in wanted
        if name.lower() not in there
    )


def read_sarif(data: bytes, source: str, hashes: Mapping[str, str | None]) -> OtherScan:
    """One log against the files of the model (path → SHA-256 in hex). Raises `UsageError` (`bad-sarif`)."""
    try:
        log = read_json(data, f'SARIF log "{visible(source)}"', limit=MAX_LOG)
        parts = [_Run(run, source, hashes) for run in _runs(log)]
        return OtherScan(
            tools=tuple(dict.fromkeys(part.tool for part in parts)),
            findings=tuple(finding for part in parts for finding in part.findings()),
            doubts=tuple(dict.fromkeys(doubt for part in parts for doubt in part.doubts())),
            source=source,
        )
    except (InputError, LimitError) as error:
        raise UsageError("bad-sarif", error.message) from None
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        told = visible(f"{type(error).__name__} {error}", 80)
        raise UsageError("bad-sarif", f'"{visible(source)}" is no SARIF 2.1.0: {told}') from None


def _runs(log: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    runs = log["runs"]
    if not str(log["version"]).startswith("2.1") or not isinstance(runs, list) or not runs:
        raise ValueError("without runs")
    return runs


class _Run:
    """One run of one tool (SARIF section 3.14)."""

    def __init__(self, run: Mapping[str, Any], source: str, hashes: Mapping[str, str | None]) -> None:
        driver = run["tool"]["driver"]
        version = driver.get("semanticVersion") or driver.get("version") or ""
        self.name = _plain(str(driver["name"]))
        self.tool = visible(f"{driver['name']} {version}".strip(), 80)
        self._run, self._source, self._hashes = run, source, hashes
        self._results: Sequence[Mapping[str, Any]] = run.get("results") or ()
        self._rules = driver.get("rules") or ()
        self._levels = {rule["id"]: _default_level(rule) for rule in self._rules}
        self._artifacts = run.get("artifacts") or ()

    def findings(self) -> Iterator[Finding]:
        """The results that name a file of this model."""
        for result in self._results[:MAX_RESULTS]:
            place = self._place(result)
            if place is None:
                continue
            name = visible(str(result.get("ruleId") or self._rule(result).get("id") or "result"), 80)
            yield Finding(
                rule=f"{self.name}/{_plain(name)}",
                severity=self._severity(result, name),
                confidence=Confidence.MEDIUM,
                place=place,
                message=visible(str(result["message"].get("text") or name), 300),
                trail=(f"reported by {self.tool} in {visible(self._source)}",),
            )

    def doubts(self) -> Iterator[str]:
        """What keeps this run from being a full answer."""
        if any(call.get("executionSuccessful") is not True for call in self._run.get("invocations") or ()):
            yield f"{self.tool} did not finish"
        if "results" not in self._run or self._run["results"] is None:
            yield f"{self.tool} looked at nothing"
        if len(self._results) > MAX_RESULTS:
            yield f"more than {MAX_RESULTS} results"
        lost = sum(self._place(result) is None for result in self._results[:MAX_RESULTS])
        if lost:
            yield f"{counted(lost, 'result')} about files that are not in this model"
        if any(self._is_other(artifact) for artifact in self._artifacts):
            yield "it speaks of files with other contents"

    def _severity(self, result: Mapping[str, Any], rule: str) -> Severity:
        """Section 3.27.10: the result's level, else its rule's, else warning."""
        kind = _KINDS.get(str(result.get("kind", "fail")))
        level = str(result.get("level") or self._levels.get(rule) or "warning")
        return kind or _LEVELS.get(level, Severity.WARNING)

    def _rule(self, result: Mapping[str, Any]) -> Mapping[str, Any]:
        index = result.get("ruleIndex", (result.get("rule") or {}).get("index", -1))
        return self._rules[index] if type(index) is int and 0 <= index < len(self._rules) else {}

    def _place(self, result: Mapping[str, Any]) -> Place | None:
        for location in result.get("locations") or ():
            physical = location.get("physicalLocation") or {}
            path = self._path(physical.get("artifactLocation") or {})
            if path is not None:
                line = (physical.get("region") or {}).get("startLine")
                return Place(path=path, line=line if type(line) is int and line > 0 else None)
        return None

    def _path(self, location: Mapping[str, Any]) -> str | None:
        """The one member that the location names: the same path, or the same end of a path."""
        index = location.get("index", -1)
        if "uri" not in location and type(index) is int and 0 <= index < len(self._artifacts):
            location = self._artifacts[index].get("location") or {}
        named = posixpath.normpath(unquote(urlsplit(str(location.get("uri", ""))).path)).lstrip("/")
        if named in self._hashes:
            return named
        ends = [path for path in self._hashes if named.endswith(f"/{path}")]
        return max(ends, key=len) if ends else None

    def _is_other(self, artifact: Mapping[str, Any]) -> bool:
        path = self._path(artifact.get("location") or {})
        told = (artifact.get("hashes") or {}).get("sha-256")
        return path is not None and told is not None and str(told).lower() != self._hashes[path]


def _default_level(rule: Mapping[str, Any]) -> str:
    return str((rule.get("defaultConfiguration") or {}).get("level") or "warning")


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-")[:80] or "unnamed"
