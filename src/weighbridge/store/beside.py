"""Read the small files that lie beside a model: its signatures. Bounded, and never waiting for a pipe."""

import os
import stat
from pathlib import Path

from weighbridge.core.errors import UsageError


def read_beside(path: Path, limit: int) -> bytes | None:
    """The first `limit` + 1 bytes of a regular file, so that the reader can see that it is too long; None when absent.

    Raises `UsageError` (`not-a-file`, `unreadable`).
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UsageError("unreadable", f'cannot read "{path}": {error.strerror}') from None
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise UsageError("not-a-file", f'"{path}" is no regular file')
        return file.read(limit + 1)
