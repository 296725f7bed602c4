"""Survey an artifact that lies elsewhere: examiners fetch the ranges they need, and nothing else comes here.

A file that was fetched whole has a digest like any other. All others keep the digest that their store states, as a
claim (`Measurement.claimed`), and are `Unread` (`not-fetched`) with the number of bytes that were seen.
"""

import time
from collections.abc import Callable
from typing import Any

from weighbridge.core.artifact import Artifact, Member
from weighbridge.core.errors import InputError
from weighbridge.core.finding import Place, Unread
from weighbridge.core.manifest import Entry, Manifest
from weighbridge.core.text import human_bytes
from weighbridge.core.value import dataclass
from weighbridge.measure.ledger import Examiner
from weighbridge.measure.plan import Measurement
from weighbridge.store.remote.ranges import Fetched, RangeSource, RemoteFiles

NOT_FETCHED = "not-fetched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """A measurement, and how much of the artifact came here for it."""

    measurement: Measurement
    fetched: int
    requests: int
    """Bytes, and requests for them, over all files."""


def survey(
    artifact: Artifact,
    examine: Examiner,
    *,
    seconds: float | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Survey:
    """Examine every member by ranges. Raises `BrokenError` (`network`) where the store cannot be reached."""
    started = time.monotonic()
    files = artifact.files
    if not isinstance(files, RemoteFiles):
        raise TypeError("only an artifact that lies elsewhere is surveyed")
    rows = [_look(artifact, member, examine, _late(started, seconds)) for member in artifact.members]
    tick()
    stated = files.stated
    entries = [
        entry._replace(sha256=stated.get(entry.path)) if entry.sha256 is None else entry
        for entry, _, _, _ in rows
    ]
    measurement = Measurement(
        manifest=Manifest(entries=tuple(entries)),
        claimed=frozenset(
            entry.path for entry, _, _, _ in rows if entry.sha256 is None and entry.path in stated
        ),
        unread=tuple(item for _, _, item, _ in rows if item is not None),
        examined=tuple(answer for _, answer, _, _ in rows),
        seconds=time.monotonic() - started,
    )
    return Survey(
        measurement=measurement,
        fetched=sum(seen.fetched for _, _, _, seen in rows),
        requests=sum(seen.requests for _, _, _, seen in rows),
    )


def _late(started: float, seconds: float | None) -> bool:
    return seconds is not None and time.monotonic() - started > seconds


def _look(
    artifact: Artifact, member: Member, examine: Examiner, late: bool
) -> tuple[Entry, Any, Unread | None, Fetched]:
    """(entry, what the examiner said, what was not fetched, how much was)."""
    source = artifact.files.open(member)
    assert isinstance(source, RangeSource)  # noqa: S101 - RemoteFiles opens nothing else
    try:
        answer = None if late else examine(member, source)
        seen = source.fetched
        digest = source.sha256()
    except InputError as error:
        answer, seen, digest = None, source.fetched, None
        return Entry(member.path, member.size), answer, _unread(member, error.code, error.message), seen
    finally:
        source.close()
    left = None if digest is not None else _not_fetched(member, seen)
    return Entry(member.path, member.size, digest), answer, left, seen


def _not_fetched(member: Member, seen: Fetched) -> Unread:
    read, size = human_bytes(seen.fetched), human_bytes(member.size)
    return _unread(
        member, NOT_FETCHED, f"read {read} of {size} in {seen.requests} requests, the rest was not fetched"
    )


def _unread(member: Member, code: str, message: str) -> Unread:
    return Unread(place=Place(path=member.path), code=code, message=message)
