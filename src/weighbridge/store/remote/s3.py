"""`s3://bucket/prefix`: the objects below a prefix, or one object. Needs the extra `s3` (obstore).

Credentials, region and another endpoint come from the environment as every S3 tool takes them (`AWS_…`).
"""

from functools import partial
from typing import Any

from weighbridge.core.artifact import Artifact, Member
from weighbridge.core.errors import BrokenError, InputError, UsageError
from weighbridge.core.text import visible
from weighbridge.store.remote.ranges import RemoteFiles

MAX_FILES = 100_000


def open_reference(reference: str) -> Artifact:
    """List the objects. Raises `UsageError` (`extra-missing`, `bad-reference`, `no-such-path`), `BrokenError`."""
    try:
        import obstore
        from obstore.exceptions import BaseError, NotFoundError
        from obstore.store import S3Store
    except ImportError:
        raise UsageError(
            "extra-missing", "reading s3:// needs obstore", 'pip install "weighbridge[s3]"'
        ) from None
    bucket, _, prefix = reference.removeprefix("s3://").partition("/")
    if not bucket:
        raise UsageError("bad-reference", f'"{visible(reference)}" names no bucket', "s3://bucket/folder")
    try:
        store = S3Store(bucket, retry_config={"max_retries": 2})
        rows = [row for page in obstore.list(store, prefix=prefix or None) for row in page]
        rows = rows or [obstore.head(store, prefix)]  # a listing names what is below, never the object itself
    except (NotFoundError, FileNotFoundError):
        raise UsageError("no-such-path", f'"{bucket}" has nothing at "{visible(prefix)}"') from None
    except BaseError as error:
        raise _broken(bucket, error) from None
    return _artifact(store, bucket, prefix.rstrip("/"), rows)


def _artifact(store: Any, bucket: str, prefix: str, rows: list[Any]) -> Artifact:
    inside = [
        row for row in rows if not prefix or row["path"] == prefix or row["path"].startswith(f"{prefix}/")
    ]
    if not inside or len(inside) > MAX_FILES:
        raise UsageError("no-such-path", f'"{bucket}" has {len(inside)} objects at "{visible(prefix)}"')
    single = len(inside) == 1 and inside[0]["path"] == prefix
    front = 0 if not prefix else len(prefix.rpartition("/")[0]) + 1 if single else len(prefix) + 1
    named = {row["path"][front:]: row for row in inside if not row["path"].endswith("/")}
    return Artifact(
        remote=True,
        name=visible(prefix.rpartition("/")[2] or bucket),
        files=RemoteFiles({name: partial(_fetch, store, bucket, row) for name, row in named.items()}),
        members=tuple(sorted(Member(name, row["size"]) for name, row in named.items())),
        single=single,
    )


def _fetch(store: Any, bucket: str, row: Any, start: int, end: int) -> bytes:
    """A range of the very object that was listed: S3 refuses where its tag is another one by now."""
    import obstore
    from obstore.exceptions import BaseError, NotFoundError, PreconditionError

    try:
        result = obstore.get(
            store, row["path"], options={"range": (start, end), "if_match": row.get("e_tag")}
        )
        return bytes(result.bytes())
    except (PreconditionError, NotFoundError, FileNotFoundError):
        raise InputError("file-changed", f'"{visible(row["path"])}" changed while it was read') from None
    except BaseError as error:
        raise InputError("unreadable", _broken(bucket, error).message) from None


def _broken(bucket: str, error: Exception) -> BrokenError:
    return BrokenError(
        "network", f'cannot read the bucket "{visible(bucket)}": {visible(str(error).splitlines()[0], 200)}'
    )
