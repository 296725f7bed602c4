"""Is it dangerous to load: what the scanner saw, what other scanners say, and what somebody has accepted."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from weighbridge import policy
from weighbridge.check.request import Ask, Request
from weighbridge.core.artifact import Artifact
from weighbridge.core.errors import UsageError
from weighbridge.core.evidence import Evidence, Outcome, worst
from weighbridge.core.finding import FileResult, Finding, Place, Unread
from weighbridge.core.report import Suppressed
from weighbridge.core.text import visible
from weighbridge.core.value import replace
from weighbridge.measure import Measurement
from weighbridge.store import read_beside
from weighbridge.store.remote import is_remote

if TYPE_CHECKING:
    from weighbridge.scan.engine import Scan, Scanner


class Content(NamedTuple):
    """What came of the examination."""

    files: tuple[FileResult, ...]
    findings: tuple[Finding, ...] = ()
    """Those that count."""
    suppressed: tuple[Suppressed, ...] = ()
    """Those that somebody accepted."""
    unread: tuple[Unread, ...] = ()
    others: tuple[Evidence, ...] = ()
    """What other scanners say."""


def scanner_of(request: Request) -> "Scanner | None":
    """The scanner that the policy asks for; None where nobody asks about contents."""
    if Ask.CONTENT not in request.ask:
        return None
    from weighbridge.scan.engine import Scanner  # `verify` needs no scanner and starts sooner without

    plugins, loaders = request.policy.plugins, request.policy.loaders
    weights, here = request.policy.weights, not any(is_remote(path) for path in request.paths)
    if not plugins and not loaders:
        return Scanner(request.limits, weights=weights, here=here)
    from weighbridge.scan.advisories import parse_loaders
    from weighbridge.scan.plugins import load_plugins

    rules, versions = load_plugins(plugins), parse_loaders(loaders)
    return Scanner(request.limits, rules, versions, weights=weights, here=here)


def examined(
    request: Request, artifact: Artifact, measurement: Measurement, scanner: "Scanner | None"
) -> Content:
    """What the scanner saw; without one, the files by their digests alone."""
    if scanner is None:
        return _unexamined(artifact, measurement)
    scan = scanner.finish(artifact, measurement.examined)
    files = _files(scan, measurement)
    hashes = {file.path: file.sha256 for file in files}
    theirs, others = _others(request, hashes)
    kept, suppressed, notes = policy.suppress((*scan.findings, *theirs), request.policy, request.now, hashes)
    unread = tuple(dict.fromkeys((*scan.unread, *measurement.unread)))
    return Content(files, (*kept, *notes), suppressed, unread, others)


def rows_of(request: Request, content: Content) -> tuple[Evidence, ...]:
    """The rows `safe` and `read` and those of other scanners; `intact` where nobody asks and a file was not measured."""
    if Ask.CONTENT in request.ask:
        rows = policy.examined(request.policy, content.findings, content.files, content.unread)
        return (*rows, *content.others)
    return (_not_measured(content.unread),) if content.unread else ()


def _unexamined(artifact: Artifact, measurement: Measurement) -> Content:
    """Files that nobody examined: their contents are known, what they do is not."""
    files = tuple(
        FileResult(
            path=entry.path, size=entry.size, format="", outcome=Outcome.UNKNOWN, sha256=_hex(entry.sha256)
        )
        for entry in measurement.manifest.entries
    )
    obstacles = (Unread(place=Place(path=o.path), code=o.code, message=o.message) for o in artifact.obstacles)
    return Content(files, unread=(*measurement.unread, *obstacles))


def _files(scan: "Scan", measurement: Measurement) -> tuple[FileResult, ...]:
    hashed = {entry.path: entry.sha256 for entry in measurement.manifest.entries}
    broken = {item.place.path for item in measurement.unread}
    return tuple(
        replace(
            file,
            sha256=_hex(hashed.get(file.path)),
            outcome=worst([file.outcome, Outcome.UNKNOWN]) if file.path in broken else file.outcome,
        )
        for file in scan.files
    )


def _others(
    request: Request, hashes: Mapping[str, str | None]
) -> tuple[tuple[Finding, ...], tuple[Evidence, ...]]:
    """Findings of other scanners, and a row for each log and for each scanner that the policy misses."""
    if not request.others and not request.policy.others:
        return (), ()
    from weighbridge.scan.sarif import MAX_LOG, missing, read_sarif

    logs = []
    for name in request.others:
        data = read_beside(Path(name), MAX_LOG)
        if data is None:
            raise UsageError("no-such-path", f'there is no SARIF log at "{visible(name)}"')
        logs.append(read_sarif(data, name, hashes))
    rows = (*(log.evidence for log in logs), *missing(request.policy.others, logs))
    return tuple(finding for log in logs for finding in log.findings), rows


def _not_measured(unread: Sequence[Unread]) -> Evidence:
    codes = ", ".join(sorted({item.code for item in unread}))
    why = f"{len({item.place.path for item in unread})} files could not be measured: {codes}"
    return Evidence(question="intact", outcome=Outcome.UNKNOWN, why=why, code="not-measured")


def _hex(digest: bytes | None) -> str | None:
    return digest.hex() if digest is not None else None
