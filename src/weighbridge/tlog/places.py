"""Places: a log's files by the words of a command line: a folder or stick, `https://…`, `s3://bucket/folder`.

Credentials, region and another endpoint of S3 come from the environment as every S3 tool takes them (`AWS_…`).
"""

from pathlib import Path
from typing import Any

from weighbridge.core.errors import UnavailableError, UsageError
from weighbridge.core.text import visible
from weighbridge.tlog.client import MAX_FILE, Fetch, from_directory, from_https
from weighbridge.tlog.targets import DirectoryTarget, S3Target, Target

_S3 = "s3://"


def open_fetch(place: str) -> Fetch:
    """Where a log is read. Raises `UsageError` (`no-such-path`, `plain-http`, `extra-missing`, `bad-reference`)."""
    if place.startswith(_S3):
        return _from_s3(*_bucket(place))
    if place.startswith(("https://", "http://")):
        return from_https(place)
    if not Path(place).is_dir():
        raise UsageError(
            "no-such-path", f'there is no published log at "{visible(place)}"', "weighbridge log publish"
        )
    return from_directory(Path(place))


def open_target(place: str) -> Target:
    """Where a log is published or mirrored to.

    Raises `UsageError` (`cannot-write`, `log-store-unsafe`, `extra-missing`, `bad-reference`), `BrokenError` (`network`).
    """
    if place.startswith(_S3):
        return S3Target(*_bucket(place))
    if "://" in place:
        raise UsageError(
            "bad-reference", f'"{visible(place)}" can be read, not written', "a folder or s3://bucket/folder"
        )
    return DirectoryTarget(Path(place))


def _bucket(place: str) -> tuple[Any, str]:
    """The store and the folder in it."""
    try:
        from obstore.store import S3Store
    except ImportError:
        raise UsageError(
            "extra-missing", "a log in s3:// needs obstore", 'pip install "weighbridge[s3]"'
        ) from None
    bucket, _, prefix = place.removeprefix(_S3).partition("/")
    if not bucket:
        raise UsageError("bad-reference", f'"{visible(place)}" names no bucket', "s3://bucket/folder")
    return S3Store(bucket, retry_config={"max_retries": 2}), prefix.strip("/")


def _from_s3(store: Any, prefix: str) -> Fetch:
    """As `S3Target.fetch`, for somebody who may only read."""
    import obstore
    from obstore.exceptions import BaseError, NotFoundError

    def fetch(path: str) -> bytes:
        try:
            found = obstore.get(store, f"{prefix}/{path}" if prefix else path)
            if found.meta["size"] > MAX_FILE:
                raise UnavailableError("log-missing", f'the log\'s "{visible(path)}" is too long')
            return bytes(found.bytes())
        except (NotFoundError, FileNotFoundError):
            raise UnavailableError("log-missing", f'the log has no "{visible(path)}"') from None
        except BaseError as error:
            first = str(error).splitlines()[0]
            raise UnavailableError("network", f"the log's bucket: {visible(first, 200)}") from None

    return fetch
