"""Write a file so that it is wholly there or not at all: temporary file, fsync, rename, fsync of the folder.

After an interruption at any point the old file stands unchanged; at worst a `.weighbridge-*` leftover lies beside it.
"""

import os
from pathlib import Path

from weighbridge.core.errors import UsageError


def write_file(path: Path, data: bytes, *, mode: int = 0o644, overwrite: bool = True) -> None:
    """Put `data` at `path`. Raises `UsageError` (`file-exists`) without `overwrite`, `OSError` from the disk."""
    import tempfile  # only writers pay for it

    handle, temporary = tempfile.mkstemp(prefix=".weighbridge-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        _place(temporary, path, overwrite=overwrite)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _place(temporary: str, path: Path, *, overwrite: bool) -> None:
    if overwrite:
        Path(temporary).replace(path)
        return
    try:
        os.link(temporary, path)  # unlike rename, link never replaces: no race with another writer
    except FileExistsError:
        raise UsageError("file-exists", f'there already is a file "{path}"', "choose another name") from None
    Path(temporary).unlink()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
