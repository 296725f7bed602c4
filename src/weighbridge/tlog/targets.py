"""Where a log's files are put: a folder, which any web server or a stick carries, or a bucket in S3.

Files below `tile/` never change once they are there; `checkpoint` does, and only from what its writer has seen. In a
folder that is held by a lock and atomic renames, in a bucket by conditional PUT, which is tried out before the first
use: a store that takes the condition and ignores it is refused.
"""

import os
import secrets
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from weighbridge.core.durable import one_writer, sync_folder, write_file
from weighbridge.core.errors import BrokenError, UnavailableError, UsageError
from weighbridge.core.text import visible

CHECKPOINT = "checkpoint"
_ASIDE = ".new"


class Target(ABC):
    """A place for a log's files. What a method did is on the disk, or with the store, when it returns."""

    @abstractmethod
    def read(self, path: str) -> bytes | None:
        """The file, or None where there is none. Raises `BrokenError` (`disk`, `network`)."""

    @abstractmethod
    def put(self, files: Iterable[tuple[str, bytes]]) -> int:
        """Put files that never change; one that is there and is the same is left alone. How many were written."""

    @abstractmethod
    def swap(self, old: bytes | None, new: bytes) -> bool:
        """Replace the checkpoint if it still is `old`; whether it was."""

    @abstractmethod
    def drop_partial(self, path: str) -> None:
        """Remove the partial tiles or bundles of this full one."""

    def fetch(self, path: str) -> bytes:
        """As a client reads. Raises `UnavailableError` (`log-missing`)."""
        data = self.read(path)
        if data is None:
            raise UnavailableError("log-missing", f'the log has no "{visible(path)}"')
        return data


class DirectoryTarget(Target):
    """A folder."""

    def __init__(self, folder: Path) -> None:
        """Made where it is missing. Raises `UsageError` (`cannot-write`)."""
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                "cannot-write", f'cannot write "{visible(str(folder))}": {error.strerror}'
            ) from None

    def read(self, path: str) -> bytes | None:
        """As `Target.read`."""
        try:
            return (self._folder / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._broken(error) from None

    def put(self, files: Iterable[tuple[str, bytes]]) -> int:
        """As `Target.put`."""
        aside, written, folders = self._folder / _ASIDE, 0, set[Path]()
        with one_writer(self._folder):
            try:
                shutil.rmtree(aside, ignore_errors=True)  # of somebody who was killed
                aside.mkdir()
                for path, data in files:
                    if self.read(path) != data:
                        folders |= self._put(path, data, aside)
                        written += 1
                for folder in sorted(folders, reverse=True):
                    sync_folder(folder)
                aside.rmdir()
            except OSError as error:
                raise self._broken(error) from None
        return written

    def _put(self, path: str, data: bytes, aside: Path) -> set[Path]:
        """Put one file in place; the folders whose names must still be synced."""
        place, temporary = self._folder / path, aside / "file"
        touched = {place.parent}
        for parent in place.parents:
            if parent == self._folder or parent.is_dir():
                touched.add(parent)
                break
            touched |= {parent, parent.parent}
        place.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(place)
        return touched

    def swap(self, old: bytes | None, new: bytes) -> bool:
        """As `Target.swap`."""
        with one_writer(self._folder):
            if self.read(CHECKPOINT) != old:
                return False
            write_file(self._folder / CHECKPOINT, new)
        return True

    def drop_partial(self, path: str) -> None:
        """As `Target.drop_partial`."""
        shutil.rmtree(self._folder / f"{path}.p", ignore_errors=True)

    def _broken(self, error: OSError) -> BrokenError:
        return BrokenError("disk", f'the log in "{visible(str(self._folder))}": {error.strerror or error}')


class S3Target(Target):
    """A bucket, or a folder in it, through obstore. Raises `UsageError` (`log-store-unsafe`) where conditions are ignored."""

    def __init__(self, store: Any, prefix: str = "") -> None:
        """`store` is an obstore store: whoever calls has its credentials."""
        self._store = store
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._probe()

    def _probe(self) -> None:
        name = f".probe-{secrets.token_hex(8)}"
        try:
            first = self._put_if(name, b"1", "create")
            again = self._put_if(name, b"2", "create")
            stale = self._put_if(name, b"3", {"e_tag": '"00000000000000000000000000000000"'})
        finally:
            with suppress(BrokenError):
                self._call("delete", name)
        if not first or again or stale:
            raise UsageError(
                "log-store-unsafe",
                "the store ignores If-None-Match or If-Match, so two writers could undo each other",
            )

    def read(self, path: str) -> bytes | None:
        """As `Target.read`."""
        return self._get(path)[0]

    def _get(self, path: str) -> tuple[bytes | None, str | None]:
        from obstore.exceptions import NotFoundError

        try:
            found = self._call("get", path)
        except (NotFoundError, FileNotFoundError):
            return None, None
        return bytes(found.bytes()), found.meta.get("e_tag")

    def put(self, files: Iterable[tuple[str, bytes]]) -> int:
        """As `Target.put`."""
        written = 0
        for path, data in files:
            if not self._put_if(path, data, "create"):
                if self.read(path) == data:
                    continue
                self._call("put", path, data)  # torn or tampered: what it must be follows from the entries
            written += 1
        return written

    def swap(self, old: bytes | None, new: bytes) -> bool:
        """As `Target.swap`."""
        found, tag = self._get(CHECKPOINT)
        if found != old:
            return False
        return self._put_if(CHECKPOINT, new, "create" if found is None else {"e_tag": tag})

    def drop_partial(self, path: str) -> None:
        """As `Target.drop_partial`."""
        import obstore

        for page in obstore.list(self._store, prefix=f"{self._prefix}{path}.p/"):
            for row in page:
                self._call("delete", row["path"].removeprefix(self._prefix))

    def _put_if(self, path: str, data: bytes, mode: Any) -> bool:
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        try:
            self._call("put", path, data, mode=mode, use_multipart=False)
        except (AlreadyExistsError, PreconditionError):
            return False
        return True

    def _call(self, name: str, path: str, *arguments: Any, **options: Any) -> Any:
        """An operation of obstore; what concerns conditions and missing files goes through, all else is `network`."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError, PreconditionError

        try:
            return getattr(obstore, name)(self._store, self._prefix + path, *arguments, **options)
        except (AlreadyExistsError, NotFoundError, PreconditionError, FileNotFoundError):
            raise
        except BaseError as error:
            raise BrokenError(
                "network", f"the log's bucket: {visible(str(error).splitlines()[0], 200)}"
            ) from None
