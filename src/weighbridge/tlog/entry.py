"""Entry: one line of the log, a statement's digest and what it is about, as canonical JSON of at most 1 KB.

    {"issuer":…,"kind":"attest","predicateType":…,"statement":"sha256:…","subjects":["sha256:…"],"time":1790000000}

Keys in this order, no spaces, UTF-8, so that one entry has one text and one hash. The statement itself is elsewhere, by
its digest; names of models, people's words and places never stand here. docs/formats/tlog.md
"""

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from json.encoder import encode_basestring
from typing import Any

from weighbridge.core.errors import InputError, UsageError
from weighbridge.core.value import dataclass
from weighbridge.core.wire import read_json

MAX_ENTRY = 1024
MAX_WORDS = 256
"""Characters of an issuer or a predicate type."""
_STATEMENT = re.compile(r"sha256:[0-9a-f]{64}")
_SUBJECTS = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}:[0-9a-f]{32,128},)+")
"""Half bytes are looked for apart: a repeated group is ten times as slow."""
_WORDS = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,256}")
_KEYS = ("issuer", "kind", "predicateType", "statement", "subjects", "time")


class EntryKind(StrEnum):
    """What was stated."""

    ADMIT = "admit"
    ATTEST = "attest"
    REVOKE = "revoke"
    POLICY = "policy"
    KEY = "key"
    WAIVE = "waive"
    DELEGATE = "delegate"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One line."""

    kind: EntryKind
    statement: bytes
    """SHA-256 of the signed statement's payload, 32 bytes. A log has one entry of each."""
    predicate_type: str
    issuer: str
    """Whose statement it is: a key's fingerprint or a certificate's identity."""
    time: int
    """When it was submitted, in seconds since 1970."""
    subjects: tuple[str, ...] = ()
    """`algorithm:hex` of what it is about, sorted. None where they are too many for an entry: then the statement says it."""


def make_entry(
    *,
    kind: EntryKind,
    statement: bytes,
    predicate_type: str,
    issuer: str,
    time: int,
    subjects: Iterable[str] = (),
) -> LogEntry:
    """An entry that fits: with all subjects, or with none where they are too many. Raises `UsageError` (`log-entry`)."""
    subjects = tuple(sorted(set(subjects)))
    for chosen in (subjects, ()):
        entry = LogEntry(
            kind=kind,
            statement=statement,
            predicate_type=predicate_type,
            issuer=issuer,
            time=time,
            subjects=chosen,
        )
        try:
            write_entry(entry)
        except UsageError:
            if not chosen:
                raise
        else:
            break
    return entry


def write_entry(entry: LogEntry) -> bytes:
    """The canonical text; `read_entry(write_entry(e)) == e`. Raises `UsageError` (`log-entry`)."""
    why = _wrong(entry)
    if why is None:
        # Written by hand, as `write_json` would: a log takes tens of thousands of these in a second.
        front, middle = _quoted(entry.issuer, entry.predicate_type)
        subjects = '"' + '","'.join(entry.subjects) + '"' if entry.subjects else ""
        rest = f'{entry.statement.hex()}","subjects":[{subjects}],"time":{entry.time}}}'
        text = (front + entry.kind + middle + rest).encode()
        if len(text) <= MAX_ENTRY:
            return text
        why = f"it has {len(text)} bytes, limit {MAX_ENTRY}"
    raise UsageError("log-entry", f"this cannot be an entry of a log: {why}")


@lru_cache(1024)
def _quoted(issuer: str, predicate_type: str) -> tuple[str, str]:
    """What stands before the kind, and between it and the statement's digest; empty for what may not stand in an entry."""
    if not _WORDS.fullmatch(issuer) or not _WORDS.fullmatch(predicate_type):
        return "", ""
    issuer, predicate_type = encode_basestring(issuer), encode_basestring(predicate_type)
    return f'{{"issuer":{issuer},"kind":"', f'","predicateType":{predicate_type},"statement":"sha256:'


def read_entry(data: bytes, what: str = "the entry") -> LogEntry:
    """Strict: only what `write_entry` writes. Raises `InputError` (`bad-log-entry`, `bad-json`, `duplicate-key`)."""
    if len(data) > MAX_ENTRY:
        raise InputError("bad-log-entry", f"{what} has {len(data)} bytes, limit {MAX_ENTRY}")
    entry = _decode(read_json(data, what))
    if entry is None or _wrong(entry) is not None or write_entry(entry) != data:
        raise InputError("bad-log-entry", f"{what} is no canonical entry of a log of weighbridge")
    return entry


def _decode(value: Any) -> LogEntry | None:
    if not isinstance(value, dict) or tuple(value) != _KEYS:
        return None
    texts = (value["issuer"], value["kind"], value["predicateType"], value["statement"])
    subjects, time = value["subjects"], value["time"]
    if not all(isinstance(text, str) for text in texts) or value["kind"] not in tuple(EntryKind):
        return None
    if not isinstance(subjects, list) or not all(isinstance(subject, str) for subject in subjects):
        return None
    if not _STATEMENT.fullmatch(value["statement"]) or type(time) is not int:
        return None
    return LogEntry(
        kind=EntryKind(value["kind"]),
        statement=bytes.fromhex(value["statement"].partition(":")[2]),
        predicate_type=value["predicateType"],
        issuer=value["issuer"],
        time=time,
        subjects=tuple(subjects),
    )


def _wrong(entry: LogEntry) -> str | None:
    if len(entry.statement) != 32:
        return "the statement is named by its SHA-256"
    if not _quoted(entry.issuer, entry.predicate_type)[0]:
        return f"issuer and predicate type have 1 to {MAX_WORDS} printable characters"
    if not 0 <= entry.time < 1 << 40:
        return "the time is no time"
    subjects = entry.subjects
    if subjects and (not _SUBJECTS.fullmatch(",".join(subjects) + ",") or _is_halved(subjects)):
        return "a subject is algorithm:hex"
    if len(subjects) > 1 and any(one >= two for one, two in pairwise(subjects)):
        return "subjects stand sorted, each once"
    return None


def _is_halved(subjects: Sequence[str]) -> bool:
    """Whether the hex digits of one are no whole bytes."""
    return any((len(subject) - subject.index(":")) % 2 == 0 for subject in subjects)
