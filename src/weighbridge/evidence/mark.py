"""The high-water mark: what this machine has seen, so that nothing older can be passed off as new.

    STATE/recalls.jsonl    the newest version of every recall list that counted, as it was signed
    STATE/latest-time      the latest time that anybody trusted has signed, RFC 3339

A list that is replayed in an old version changes nothing: the newer one is kept here, still signed by whoever made it, and
verified again each time. A clock that was set back is noticed, because time was later before. Losing the folder loses
only this memory.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from weighbridge.core.durable import one_writer, write_file
from weighbridge.core.errors import BrokenError
from weighbridge.evidence.find import LISTS
from weighbridge.store import read_beside

MAX_STATE = 64 * 1024**2
LATEST = "latest-time"
SLACK = timedelta(days=1)
"""Clocks of machines and signers differ by this much, and nobody lied."""


def state_dir(environment: Mapping[str, str], home: Path) -> Path:
    """Where the memory of this machine lies: WEIGHBRIDGE_STATE, else the person's state folder (XDG)."""
    chosen = environment.get("WEIGHBRIDGE_STATE")
    if chosen:
        return Path(chosen)
    return Path(environment.get("XDG_STATE_HOME") or home / ".local" / "state") / "weighbridge"


def kept_lists(state: Path | None) -> tuple[tuple[str, bytes], ...]:
    """(name, contents) of the lists that were seen; () where nothing was."""
    data = read_beside(state / LISTS, MAX_STATE) if state else None
    return ((LISTS, data),) if data else ()


def keep_lists(state: Path | None, lines: Sequence[bytes], counted: Iterable[bytes] = ()) -> None:
    """Remember these lists, one bundle a line. What cannot be written is not remembered, and nothing fails for it.

    `counted`: every line that was verified; what is kept of these and is not among `lines` has been replaced by them. All
    else that is kept stays: it may count for another keyring, or somebody else has just remembered it.
    """
    if state is None:
        return
    replaced = {line.strip() for line in counted} - set(lines)
    try:
        if _merged(state, lines, replaced) is None:
            return
        state.mkdir(parents=True, exist_ok=True)
        with one_writer(state):
            data = _merged(state, lines, replaced)
            if data is not None:
                write_file(state / LISTS, data)
    except (OSError, BrokenError):
        return


def _merged(state: Path, lines: Sequence[bytes], replaced: Collection[bytes]) -> bytes | None:
    """What shall lie there; None where it lies there, or would be more than is read again."""
    old = read_beside(state / LISTS, MAX_STATE) or b""
    kept = [line for line in map(bytes.strip, old.split(b"\n")) if line and line not in replaced]
    data = b"".join(line + b"\n" for line in sorted({*kept, *lines}))
    return None if data == old or len(data) > MAX_STATE else data


def latest_time(state: Path | None) -> datetime | None:
    """The latest time that was seen signed; None where nothing was."""
    data = read_beside(state / LATEST, 100) if state else None
    try:
        time = datetime.fromisoformat(data.decode().strip()) if data else None
    except ValueError:
        return None
    return time if time and time.tzinfo else None


def keep_time(state: Path | None, times: Iterable[datetime], now: datetime) -> None:
    """Remember the latest of these times, unless it lies in a future that nobody can have signed."""
    seen = [time for time in times if time <= now + SLACK]
    known = latest_time(state)
    if state is None or not seen or (known and max(seen) <= known):
        return
    try:
        state.mkdir(parents=True, exist_ok=True)
        with one_writer(state):
            write_file(state / LATEST, max(seen).astimezone(UTC).isoformat().encode() + b"\n")
    except (OSError, BrokenError):
        return


def clock(now: datetime, latest: datetime | None) -> tuple[datetime, bool]:
    """What time it is at least, and whether the clock is plainly behind it."""
    if latest is None or latest <= now:
        return now, False
    return latest, latest > now + SLACK
