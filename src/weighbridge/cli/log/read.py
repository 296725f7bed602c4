"""show, prove, verify: what everybody does with a log."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.cli.log.folder import chosen_policy, load_policy, marks_folder, read_folder
from weighbridge.cli.log.say import entry_lines, entry_of, head_lines, head_of, say
from weighbridge.cli.log.stated import bundles_at, digest_of, is_digest, signatures_of
from weighbridge.core.durable import write_file
from weighbridge.core.errors import ExitCode, InputError, UsageError
from weighbridge.core.evidence import Evidence, Outcome, worst
from weighbridge.core.moment import DAY
from weighbridge.core.text import counted, visible
from weighbridge.evidence.find import PROOF_NAME, beside
from weighbridge.report.summary import short_digest
from weighbridge.store import read_beside
from weighbridge.tlog.checkpoint import read_checkpoint
from weighbridge.tlog.client import LogReader, keep_high_water, mark_path, read_high_water
from weighbridge.tlog.entry import read_entry
from weighbridge.tlog.logged import Proved, examine, fresh, head_age, logged
from weighbridge.tlog.note import read_note
from weighbridge.tlog.places import open_fetch
from weighbridge.tlog.proof import MAX_FILE, MAX_PROOFS, SUFFIX, write_proofs
from weighbridge.tlog.targets import CHECKPOINT

if TYPE_CHECKING:
    from weighbridge.tlog.client import HighWater
    from weighbridge.tlog.logged import Doubtful
    from weighbridge.tlog.policy import LogPolicy

_EXIT = {Outcome.PASS: ExitCode.DONE, Outcome.FAIL: ExitCode.REFUSED, Outcome.UNKNOWN: ExitCode.UNDECIDED}


def _opened(options: argparse.Namespace, now: int) -> LogReader:
    """The log of `--from`, else what the log of `--log` has published; its head judged, compared and remembered."""
    place = options.place
    if not place:
        folder = read_folder(Path(options.log))
        place = folder.located(folder.publish_to)
    fetch = open_fetch(place)
    origin = read_checkpoint(read_note(fetch(CHECKPOINT), "the checkpoint").text).origin
    reader = LogReader(fetch, chosen_policy(options), mark_path(marks_folder(options), origin))
    reader.refresh(now)
    return reader


def show(options: argparse.Namespace) -> int:
    """The head, or one entry."""
    now = int(time.time())
    reader = _opened(options, now)
    trusted = reader.trusted
    if options.what is None:
        age = head_age(trusted, _mark(options, trusted.checkpoint.origin), now)
        title = f"HEAD  {trusted.checkpoint.origin}, {counted(trusted.checkpoint.size, 'entry')}, {age.told}"
        return say(options, title, head_lines(trusted), **head_of(trusted), age=age.seconds)
    index = _index(reader, options.what)
    entry = read_entry(reader.entry(index), f"entry {index}")
    title, *lines = entry_lines(index, entry)
    lines += [f"about      {short_digest(subject)}" for subject in entry.subjects]
    return say(options, title, lines, **head_of(trusted), index=index, entry=entry_of(entry))


def _mark(options: argparse.Namespace, origin: str) -> "HighWater | None":
    return read_high_water(mark_path(marks_folder(options), origin))


def _index(reader: LogReader, what: str) -> int:
    if what.isdecimal():
        return int(what)
    if not is_digest(what):
        raise UsageError("bad-digest", f'"{visible(what, 80)}" is no number and no sha256:…')
    found = reader.find(bytes.fromhex(what.partition(":")[2]))
    if found is None:
        raise InputError("log-no-proof", f'the log has no entry of "{what}"')
    return found


def prove(options: argparse.Namespace) -> int:
    """A proof of each statement that is in the log, in one file."""
    wanted = _statements(options.what)
    reader = _opened(options, int(time.time()))
    found = _find(options, reader, wanted)
    proofs = [reader.prove(found[statement]) for statement in wanted if statement in found][:MAX_PROOFS]
    missing = [f"sha256:{one.hex()}" for one in wanted if one not in found]
    if not proofs:
        raise InputError(
            "log-no-proof",
            f'the log shows no entry of "{visible(options.what)}"',
            f"weighbridge log append {options.what}",
            "weighbridge log publish",
        )
    place = _place(options)
    write_file(place, write_proofs(proofs))
    lines = [f"entry {proof.index}" for proof in proofs] + [f"not in the log: {one}" for one in missing]
    size = reader.trusted.checkpoint.size
    title = (
        f"PROVED  {counted(len(proofs), 'statement')} of {len(wanted)} in {counted(size, 'entry')}: {place}"
    )
    body = {"proof": str(place), "entries": [proof.index for proof in proofs], "missing": missing}
    code = ExitCode.UNDECIDED if missing else ExitCode.DONE
    return say(options, title, lines, code=code, **body, **head_of(reader.trusted))


def _find(options: argparse.Namespace, reader: LogReader, wanted: list[bytes]) -> dict[bytes, int]:
    """By the operator's database where it is at hand; else every bundle is read. What is not published yet has no proof."""
    if options.place:
        return reader.find_all(wanted)
    log = read_folder(Path(options.log)).open()
    try:
        places = {statement: log.find(statement) for statement in wanted}
    finally:
        log.close()
    size = reader.trusted.checkpoint.size
    return {statement: at for statement, at in places.items() if at is not None and at < size}


def _statements(what: str) -> list[bytes]:
    if is_digest(what):
        return [bytes.fromhex(what.partition(":")[2])]
    return list(dict.fromkeys(digest_of(bundle) for bundle in bundles_at(what)))


def _place(options: argparse.Namespace) -> Path:
    if options.out:
        return Path(options.out)
    if is_digest(options.what):
        return Path(f"{options.what.partition(':')[2][:16]}{SUFFIX}")
    return beside(Path(options.what), PROOF_NAME)


def verify(options: argparse.Namespace) -> int:
    """The rows `logged` and, with `--max-age`, `fresh`; nothing but files is asked."""
    now, policy = int(time.time()), _policy(options)
    data, statements = _given(options, policy)
    folder = marks_folder(options)
    good = [one for one in _examined(data, policy, now) if isinstance(one, Proved)]
    origins = dict.fromkeys(one.trusted.checkpoint.origin for one in good)
    marks = [mark for origin in origins if (mark := read_high_water(mark_path(folder, origin)))]
    rows = [logged(statements, data, policy, now, seen=marks)]
    mine = [one for one in good if one.statement in statements]
    newest = max(mine, key=lambda one: one.trusted.checkpoint.size, default=None)
    if newest is not None:
        mark = next((mark for mark in marks if mark.origin == newest.trusted.checkpoint.origin), None)
        rows.append(fresh(head_age(newest.trusted, mark, now), (options.max_age or 0) * DAY))
    if rows[0].outcome is Outcome.PASS:
        for origin in origins:
            heads = [one.trusted for one in good if one.trusted.checkpoint.origin == origin]
            keep_high_water(mark_path(folder, origin), heads, now)
    return _told(options, rows, mine)


def _told(options: argparse.Namespace, rows: list[Evidence], mine: list[Proved]) -> int:
    asked = rows if options.max_age else rows[:1]
    outcome = worst([row.outcome for row in asked])
    lines = [
        f"{row.question}  {row.outcome.value}  {row.why}{f' [{row.code}]' if row.code else ''}"
        for row in asked
    ]
    if len(rows) > len(asked):
        lines.append(rows[1].why.partition(";")[0])
    lines += [line for one in mine for line in entry_lines(one.index, one.entry)]
    evidence = [
        {
            "question": row.question,
            "outcome": row.outcome.value,
            "why": row.why,
            "by": row.by,
            "code": row.code,
        }
        for row in asked
    ]
    shown = [{"index": one.index, **entry_of(one.entry), "head": head_of(one.trusted)} for one in mine]
    body = {"outcome": outcome.value, "evidence": evidence, "entries": shown}
    return say(options, f"{outcome.value.upper()}  {options.what}", lines, code=_EXIT[outcome], **body)


def _policy(options: argparse.Namespace) -> "LogPolicy":
    if not options.log_policy:
        raise UsageError("log-no-policy", "nothing says which logs and witnesses count", "--log-policy FILE")
    return load_policy(options.log_policy)


def _given(options: argparse.Namespace, policy: "LogPolicy") -> tuple[bytes | None, tuple[str, ...]]:
    """The proof file's bytes, and the statements of which one must be proved."""
    what = options.what
    alone = what.endswith(SUFFIX)
    place = Path(
        options.proof or (what if alone else "" if is_digest(what) else beside(Path(what), PROOF_NAME))
    )
    data = read_beside(place, MAX_PROOFS * MAX_FILE) if place.name else None
    if data is None and (alone or options.proof):
        raise UsageError("no-such-path", f'there is no proof at "{visible(str(place))}"')
    if alone:
        return data, tuple(one.statement for one in _examined(data, policy, None) if one.statement)
    if is_digest(what):
        return data, (what,)
    # A model's row is about its signature; without one, about whatever is stated.
    bundles = () if Path(what).is_file() else signatures_of(Path(what))
    return data, tuple(f"sha256:{digest_of(bundle).hex()}" for bundle in bundles or bundles_at(what))


def _examined(data: bytes | None, policy: "LogPolicy", now: int | None) -> "tuple[Proved | Doubtful, ...]":
    try:
        return examine(data, policy, now) if data is not None else ()
    except InputError:
        return ()  # the row says it
