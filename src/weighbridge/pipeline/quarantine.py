"""Quarantine: a folder of contributions by others, each under its file-set digest, with what is known of it.

    QUARANTINE/<64 hex>/record.json        what came, from whom, when, and what our scan saw; written once
    QUARANTINE/<64 hex>/content/NAME       the files as they were copied, and the signatures that lay beside them
    QUARANTINE/<64 hex>/reviews.jsonl      signed reviews, one bundle a line
    QUARANTINE/<64 hex>/released.json      where it went and when

A contribution appears whole or not at all: it is copied under another name, measured and scanned there, and then renamed.
Reviews name the content *and* the record, so that who changes the one or the other has no approval left. Nothing of a
contribution is ever run, and no file of it can be run from here: copies have no such permission.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any

from weighbridge.check import Ask, Request, weigh
from weighbridge.core.durable import make_folder, one_writer, sync_folder, write_file
from weighbridge.core.errors import BrokenError, InputError, LimitError, UsageError
from weighbridge.core.evidence import Outcome
from weighbridge.core.finding import Finding, Severity
from weighbridge.core.manifest import Digest
from weighbridge.core.moment import write_moment
from weighbridge.core.pattern import late
from weighbridge.core.report import Report
from weighbridge.core.statement import Named
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.core.wire import read_json, write_json
from weighbridge.pipeline.copying import copy, copy_beside, sync_tree
from weighbridge.pipeline.material import Measured, measured, opened
from weighbridge.policy import Policy, default_policy
from weighbridge.store import read_beside
from weighbridge.trust.keyring import Keyring

SCHEMA = "weighbridge.contribution/v1"
RECORD, CONTENT, REVIEWS, RELEASED = "record.json", "content", "reviews.jsonl", "released.json"
MAX_RECORD = 64 * 1024**2
MAX_FINDINGS = 10_000
_ID = late(r"[0-9a-f]{64}\Z")
_PREFIX = late(r"[0-9a-f]{6,64}\Z")


class Sort(StrEnum):
    """What a contribution is."""

    ADAPTER = "adapter"
    DATA = "data"
    MODEL = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A good signature that came with a contribution."""

    by: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What was written down when a contribution came."""

    id: str
    """The file-set digest's hex."""
    name: str
    sort: Sort
    contributor: str
    contributor_keys: tuple[str, ...]
    """Fingerprints of keys that are said to be the contributor's, besides those that the keyring knows."""
    what: Named
    files: int
    size: int
    received: str
    verdict: str
    """What a scan says: `admitted`, `refused` or `undecided`."""
    findings: tuple[Mapping[str, Any], ...]
    signatures: tuple[Signed, ...]
    digest: str
    """`sha256:…` of the record itself, which reviews name."""

    @property
    def errors(self) -> tuple[Mapping[str, Any], ...]:
        """Findings that block a release."""
        return tuple(one for one in self.findings if one.get("severity") == Severity.ERROR.value)


class Quarantine:
    """A folder of contributions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    # ------------------------------------------------------------------------------------------------------- taking in

    def add(
        self,
        path: Path,
        sort: Sort,
        contributor: str,
        keyring: Keyring,
        *,
        now: datetime,
        contributor_keys: Sequence[str] = (),
    ) -> Contribution:
        """Copy a contribution, measure and scan the copy, write down what was seen.

        Raises `UsageError` (`no-such-path`, `no-digest`, `cannot-take`, `contribution-known`), `InputError`, `BrokenError`.
        """
        self._settle()
        artifact = opened(path)
        for obstacle in artifact.obstacles:
            raise UsageError("cannot-take", f'"{visible(obstacle.path)}": {obstacle.message}')
        aside = Path(tempfile.mkdtemp(prefix=".weighbridge-", dir=self.folder))
        try:
            copied = aside / CONTENT / _plain(artifact.name)
            copied.parent.mkdir()
            copy(artifact, path, copied)
            copy_beside(path, copied)
            found = measured(copied)
            report = scan(copied, keyring, now)
            document = _document(found, sort, contributor, contributor_keys, report, artifact.name, now)
            write_file(aside / RECORD, write_json(document, indent=1) + b"\n")
            sync_tree(aside)
            return self._place(aside, str(document["id"]), contributor)
        except OSError as error:
            raise BrokenError(
                "disk", f"cannot take it in: {(error.strerror or str(error)).lower()}"
            ) from None
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _settle(self) -> None:
        make_folder(self.folder, mode=0o700)
        if self.folder.stat().st_mode & stat.S_IWOTH:
            raise UsageError(
                "quarantine-writable", f'everybody may write "{visible(str(self.folder))}", so it keeps nothing in',
                f"chmod o-w {self.folder}",
            )  # fmt: skip

    def _place(self, aside: Path, identity: str, contributor: str) -> Contribution:
        """Give it its name; the same content by somebody else is no second contribution."""
        with one_writer(self.folder):
            target = self.folder / identity
            if target.exists():
                known = self.record(identity)
                if known.contributor == contributor:
                    return known
                raise UsageError(
                    "contribution-known",
                    f'the same files are here already, from "{visible(known.contributor, 80)}"',
                    f"weighbridge intake show {identity[:16]} --in {self.folder}",
                )
            aside.rename(target)
            sync_folder(self.folder)
        return self.record(identity)

    # --------------------------------------------------------------------------------------------------------- looking

    def all(self) -> Iterator[Contribution]:
        """Every contribution, by its digest. Raises `InputError` (`quarantine-damaged`)."""
        try:
            names = sorted(name for name in os.listdir(self.folder) if _ID.match(name))  # noqa: PTH208 - names are wanted
        except OSError:
            raise UsageError(
                "no-such-path", f'there is no quarantine at "{visible(str(self.folder))}"'
            ) from None
        for name in names:
            yield self.record(name)

    def find(self, text: str) -> Contribution:
        """The contribution whose digest begins so. Raises `UsageError` (`no-such-contribution`)."""
        wanted = text.lower().removeprefix("sha256:")
        found = [one for one in self.all() if one.id.startswith(wanted)] if _PREFIX.match(wanted) else []
        if len(found) != 1:
            many = "several contributions begin" if found else "no contribution begins"
            raise UsageError(
                "no-such-contribution",
                f'{many} with "{visible(text, 80)}"',
                f"weighbridge intake list --in {self.folder}",
            )
        return found[0]

    def record(self, identity: str) -> Contribution:
        """One record. Raises `InputError` (`quarantine-damaged`)."""
        data = read_beside(self.folder / identity / RECORD, MAX_RECORD)
        if data is None:
            raise _damaged(identity, "its record is not there")
        try:
            record = read_record(data)
        except (InputError, LimitError, KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise _damaged(identity, "its record cannot be read") from None
        if record.id != identity:
            raise _damaged(identity, "its record is of another contribution")
        return record

    def content(self, record: Contribution) -> Path:
        """Where the files lie."""
        return self.folder / record.id / CONTENT / record.name

    def reviews(self, record: Contribution) -> Path:
        """Where the reviews lie."""
        return self.folder / record.id / REVIEWS

    def released(self, record: Contribution) -> Mapping[str, Any] | None:
        """Where it went, and when; None where it is still here."""
        data = read_beside(self.folder / record.id / RELEASED, MAX_RECORD)
        found = read_json(data, "the record of the release", limit=MAX_RECORD) if data else None
        return found if isinstance(found, dict) else None

    def measure(self, record: Contribution) -> Measured:
        """The files as they are now. Raises `InputError` (`quarantine-changed`) where they are not what came."""
        return same(record, self.content(record))


def same(record: Contribution, path: Path) -> Measured:
    """The files at a place, which must be those of the record. Raises `InputError` (`quarantine-changed`)."""
    try:
        found = measured(path)
    except (UsageError, InputError) as error:
        raise InputError(
            "quarantine-changed", f"the files cannot be measured again: {error.message}"
        ) from None
    if found.what.files != record.what.files or found.what.tensors != record.what.tensors:
        raise InputError("quarantine-changed", "the files are no longer those that came in")
    return found


def scan(path: Path, keyring: Keyring, now: datetime, policy: Policy | None = None) -> Report:
    """What our examination and the signatures say; nothing is loaded."""
    request = Request(
        paths=(str(path),), command="check", ask=frozenset({Ask.CONTENT, Ask.SIGNATURES}),
        policy=policy or default_policy(), keyring=keyring, now=now,
    )  # fmt: skip
    return weigh(request)


def error_rows(report: Report) -> tuple[dict[str, Any], ...]:
    """The findings of severity error, as they are written down; sorted, so that equal findings read the same."""
    rows = [_row(one) for one in report.findings if one.severity is Severity.ERROR]
    return tuple(sorted(rows, key=lambda row: write_json(row)))


_FINDING = ("rule", "severity", "path", "message")


def _row(one: Finding) -> dict[str, Any]:
    return {
        "rule": one.rule, "severity": one.severity.value, "path": one.place.path, "message": visible(one.message, 500),
    }  # fmt: skip


def blocking(record: Contribution, report: Report) -> tuple[Mapping[str, Any], ...]:
    """The findings that block a release: those of when it came, and those of a scan of today."""
    rows = {(str(row["rule"]), str(row["path"])): row for row in (*record.errors, *error_rows(report))}
    return tuple(rows[key] for key in sorted(rows))


def findings_digest(rows: Sequence[Mapping[str, Any]]) -> str:
    """`sha256:…` of the findings that a waiver is about: it is about these, and about no others."""
    key = sorted({(str(row["rule"]), str(row["path"])) for row in rows})
    return f"sha256:{sha256(write_json([list(one) for one in key])).hexdigest()}"


def _plain(name: str) -> str:
    """A name that is one file name and nothing else."""
    if name in ("", ".", "..") or "/" in name or "\0" in name or len(os.fsencode(name)) > 200:
        return "contribution"
    return name


def _document(
    found: Measured,
    sort: Sort,
    contributor: str,
    keys: Sequence[str],
    report: Report,
    name: str,
    now: datetime,
) -> dict[str, Any]:
    files = found.what.files
    if files is None:
        raise UsageError("no-digest", f'"{visible(name)}" has no digest, so nothing can be stated about it')
    errors = [one for one in report.findings if one.severity is Severity.ERROR]
    others = [one for one in report.findings if one.severity is not Severity.ERROR]
    return {
        "schema": SCHEMA,
        "id": files.value.hex(),
        "name": found.path.name,
        "kind": sort.value,
        "contributor": contributor,
        "contributorKeys": list(keys),
        "digests": {"files": str(files), "tensors": str(found.what.tensors) if found.what.tensors else None},
        "files": [
            {"path": entry.path, "size": entry.size, "sha256": entry.sha256.hex() if entry.sha256 else None}
            for entry in found.manifest.entries
        ],
        "received": write_moment(now),
        "scan": {
            "tool": f"weighbridge {report.tool_version}",
            "verdict": report.verdict.decision.value,
            "findings": [_row(one) for one in (*errors, *others)[:MAX_FINDINGS]],
            "unread": len(report.unread),
        },
        "signatures": [
            {"by": one.by, "key": one.key} for one in report.signatures if one.outcome is Outcome.PASS and one.by
        ],
    }  # fmt: skip


def read_record(data: bytes) -> Contribution:
    """What `_document` wrote.

    Raises for what is no record: `InputError`, `LimitError`, and what indexing a value of another shape raises.
    """
    document = read_json(data, "the record", limit=MAX_RECORD)
    if document["schema"] != SCHEMA or not all(isinstance(one, str) for one in document["contributorKeys"]):
        raise ValueError(SCHEMA)
    digests = document["digests"]
    tensors = Digest.parse(digests["tensors"]) if digests["tensors"] else None
    name = str(document["name"])
    if _plain(name) != name:
        raise ValueError(name)
    return Contribution(
        id=str(document["id"]),
        name=name,
        sort=Sort(document["kind"]),
        contributor=str(document["contributor"]),
        contributor_keys=tuple(document["contributorKeys"]),
        what=Named(name=name, files=Digest.parse(digests["files"]), tensors=tensors),
        files=len(document["files"]),
        size=sum(int(one["size"]) for one in document["files"]),
        received=str(document["received"]),
        verdict=str(document["scan"]["verdict"]),
        findings=tuple({key: str(one[key]) for key in _FINDING} for one in document["scan"]["findings"]),
        signatures=tuple(Signed(by=str(one["by"]), key=str(one["key"])) for one in document["signatures"]),
        digest=f"sha256:{sha256(data).hexdigest()}",
    )


def _damaged(identity: str, why: str) -> InputError:
    return InputError("quarantine-damaged", f'the contribution "{identity[:16]}…" cannot be used: {why}')
