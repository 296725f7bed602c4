"""Read the small files that lie beside a model: its signatures. Bounded, and never waiting for a pipe."""

import os
import stat
from pathlib import Path

from weighbridge.core.errors import UsageError
from weighbridge.core.text import visible


def read_beside(path: Path, limit: int) -> bytes | None:
    """The first `limit` + 1 bytes of a regular file, so that the reader can see that it is too long; None when absent.

    Raises `UsageError` (`not-a-file`, `unreadable`).
    """
    shown = visible(str(path))
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise UsageError("unreadable", f'cannot read "{shown}": {reason}') from None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise UsageError("not-a-file", f'"{shown}" is no regular file')
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(limit + 1)
    except OSError as error:
        raise UsageError("unreadable", f'cannot read "{shown}": {(error.strerror or "").lower()}') from None
    finally:
        os.close(handle)
