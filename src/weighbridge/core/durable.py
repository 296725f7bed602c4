"""Write a file so that it is wholly there or not at all: written without a name, synced, named, renamed into place.

After an interruption at any point the old file stands unchanged. Until its last moment the new one has no name
(O_TMPFILE), and gets its first one `aside`, so that being killed leaves nothing in a model's folder, where it would be
one file too many. Where the file system or the permissions forbid that, a `.weighbridge-*` leftover can lie beside it. Not here: what several files say together.
"""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from weighbridge.core.errors import BrokenError, UsageError, WeighbridgeError
from weighbridge.core.text import visible

TURN = 10.0
"""Seconds to wait for another process that writes in the same folder."""

DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.ENFILE, errno.EMFILE})
"""What the machine could not do; every other error means that the place was badly chosen."""


def write_file(
    path: Path, data: bytes, *, mode: int = 0o644, overwrite: bool = True, aside: Path | None = None
) -> None:
    """Put `data` at `path`; `aside` is a folder for its temporary name, where that must not be seen beside it.

    Raises `UsageError` (`file-exists` without `overwrite`, `cannot-write`), `BrokenError` (`disk`).
    """
    refuse_no_folder(path)
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with _opened(aside) as other:
                _write(folder, other, path, data, mode, overwrite=overwrite)
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise _refused(path, error) from None


def refuse_no_folder(path: Path) -> None:
    """Raises `UsageError` (`cannot-write`) where the folder of a file that is to be written is not there."""
    if not path.parent.is_dir():
        shown = visible(str(path))
        raise UsageError(
            "cannot-write", f'cannot write "{shown}": there is no folder "{visible(str(path.parent))}"'
        )


def make_folder(path: Path, *, mode: int = 0o777) -> None:
    """A folder, with those above it, where it is not there yet. Raises `UsageError` (`cannot-write`)."""
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError("cannot-write", f'cannot make the folder "{visible(str(path))}": {reason}') from None


@contextmanager
def put_in_place(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Make a big file, or a folder of files, under another name; it gets the name `path` when the block ends well.

    Yields the path to make. After an error nothing is left and what stood at `path` stands there unchanged. Whoever
    makes the files syncs them. An old folder is only replaced by one that has all of its files. Raises `UsageError`
    (`file-exists`, `cannot-write`), `BrokenError` (`disk`).
    """
    import shutil
    import tempfile

    refuse_no_folder(path)
    refuse_taken(path, overwrite=overwrite)
    try:
        aside = Path(tempfile.mkdtemp(prefix=".weighbridge-", dir=path.parent))
    except OSError as error:
        raise _refused(path, error) from None
    try:
        yield aside / path.name
        _move(aside, path, overwrite=overwrite)
        sync_folder(path.parent)
    except OSError as error:
        raise _refused(path, error) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def refuse_taken(path: Path, *, overwrite: bool) -> None:
    """Raises `UsageError` (`file-exists`) where something stands at `path` that is not to be replaced."""
    if (path.exists() or path.is_symlink()) and not overwrite:
        hints = ("choose another name with --out", "--force replaces it")
        raise UsageError("file-exists", f'there already is something at "{visible(str(path))}"', *hints)


def _move(aside: Path, path: Path, *, overwrite: bool) -> None:
    made, old = aside / path.name, aside / ".old"
    refuse_taken(path, overwrite=overwrite)
    if not path.is_symlink() and path.is_dir():
        _refuse_losing(path, made)
        path.rename(old)
    elif made.is_dir() and (path.exists() or path.is_symlink()):
        raise UsageError(
            "file-exists", f'"{visible(str(path))}" is no folder', "choose another name with --out"
        )
    try:
        made.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise


def _refuse_losing(folder: Path, made: Path) -> None:
    """A folder is never replaced by one that lacks some of its files: those are somebody's own."""
    if not made.is_dir():
        raise UsageError(
            "file-exists", f'"{visible(str(folder))}" is a folder', "choose another name with --out"
        )
    for here, _, files in os.walk(folder):
        for name in files:
            inner = (Path(here) / name).relative_to(folder)
            if not (made / inner).exists():
                raise UsageError(
                    "file-exists",
                    f'"{visible(str(folder))}" holds "{visible(str(inner))}", which the new folder does not have',
                    "choose another name with --out",
                )


def sync_folder(folder: Path) -> None:
    """Let the names in a folder outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Keep other processes of ours from reading and rewriting files of this folder at the same time.

    The folder itself is locked, which leaves no file behind and ends with the process. Where a file system knows no
    such lock there is none. Raises `BrokenError` (`busy`) when the others do not end.
    """
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _refused(folder, error) from None
    try:
        _wait_for_turn(handle, folder)
        yield
    finally:
        os.close(handle)


def _wait_for_turn(handle: int, folder: Path) -> None:
    import fcntl

    patience = time.monotonic() + TURN
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > patience:
                raise BrokenError("busy", f'another process is writing in "{visible(str(folder))}"') from None
            time.sleep(0.02)
        except OSError:
            return
        else:
            return


@contextmanager
def _opened(folder: Path | None) -> Iterator[int | None]:
    handle = None
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) if folder else None
    try:
        yield handle
    finally:
        if handle is not None:
            os.close(handle)


def _write(folder: int, aside: int | None, path: Path, data: bytes, mode: int, *, overwrite: bool) -> None:
    import secrets  # only writers pay for it

    temporary = f".weighbridge-{secrets.token_hex(8)}"
    handle, named = _new_file(folder, temporary)
    where = folder
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
            if not named:
                where = _name(file.fileno(), temporary, folder, aside)
        _place(where, temporary, folder, path, overwrite=overwrite)
    except BaseException:
        for place in {where, folder, aside} - {None}:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=place)
        raise


def _new_file(folder: int, name: str) -> tuple[int, bool]:
    """A new file, for us alone until it is whole, and whether it already has the name."""
    if hasattr(os, "O_TMPFILE") and Path("/proc/self/fd").is_dir():
        with suppress(OSError):
            return os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=folder), False
    flags = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY | os.O_CLOEXEC
    return os.open(name, flags, 0o600, dir_fd=folder), True


def _name(handle: int, temporary: str, folder: int, aside: int | None) -> int:
    """Give a nameless file its first name, aside where that can be done; the folder that it then stands in."""
    source = f"/proc/self/fd/{handle}"
    if aside is not None:
        with suppress(OSError):  # another file system, or no permission there
            os.link(source, temporary, src_dir_fd=folder, dst_dir_fd=aside)
            return aside
    os.link(source, temporary, src_dir_fd=folder, dst_dir_fd=folder)
    return folder


def _place(where: int, temporary: str, folder: int, path: Path, *, overwrite: bool) -> None:
    if overwrite:
        os.rename(temporary, path.name, src_dir_fd=where, dst_dir_fd=folder)
        return
    try:
        # Unlike rename, link never replaces: no race with another writer.
        os.link(temporary, path.name, src_dir_fd=where, dst_dir_fd=folder)
    except FileExistsError:
        raise UsageError(
            "file-exists", f'there already is a file "{visible(str(path))}"', "choose another name"
        ) from None
    os.unlink(temporary, dir_fd=where)


def _refused(path: Path, error: OSError) -> WeighbridgeError:
    message = f'cannot write "{visible(str(path))}": {(error.strerror or str(error)).lower()}'
    return BrokenError("disk", message) if error.errno in DISK else UsageError("cannot-write", message)
