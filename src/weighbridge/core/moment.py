"""Moments: how a time is written in what we state (RFC 3339, UTC), read again, and told as an age."""

from datetime import UTC, datetime

from weighbridge.core.text import counted

DAY = 24 * 3600


def write_moment(moment: datetime, timespec: str = "seconds") -> str:
    """`2026-11-23T04:18:50Z`; `timespec` as `datetime.isoformat` takes it. `read_moment(write_moment(m)) == m` to that precision."""
    return moment.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def read_moment(text: str) -> datetime:
    """An RFC 3339 time, which may be written with a small t and z. Raises `ValueError`."""
    return datetime.fromisoformat(text.upper())


def seconds_since(then: datetime, now: datetime) -> int:
    """Whole seconds; 0 for a time in the future."""
    return max(0, int((now - then).total_seconds()))


def told_age(seconds: int) -> str:
    """`41 days old`, `3 hours old`, `of this hour`: days from the second on, so that no hour is rounded away."""
    if seconds >= 2 * DAY:
        return f"{counted(seconds // DAY, 'day')} old"
    return f"{counted(seconds // 3600, 'hour')} old" if seconds >= 3600 else "of this hour"
