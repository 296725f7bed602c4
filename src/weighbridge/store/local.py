"""A local folder or file as an Artifact: what stands there, by name, without following anything outside.

Listing opens no file. Opening never waits for one (O_NONBLOCK: a FIFO would), never follows a link that appeared
since (O_NOFOLLOW), and takes only the very inode that was listed, unchanged. What cannot be weighed becomes an
`Obstacle`. Not here: hashing (`weighbridge.measure`), and which paths a signature leaves out (`weighbridge.sign`).
"""

# pathlib tidies paths up ("a//b", "./a"); here names and link texts must stay as they are:
# ruff: noqa: PTH100, PTH115, PTH116, PTH118, PTH119
import errno
import itertools
import os
import stat
from collections.abc import Collection
from contextlib import suppress
from enum import StrEnum
from operator import itemgetter
from typing import NamedTuple

from weighbridge.core.artifact import Artifact, Member, Obstacle
from weighbridge.core.errors import InputError, UsageError
from weighbridge.core.text import visible

OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

MAX_LINKED = 100_000
"""Entries met behind links to folders: a handful of links can fan out into any number of paths."""

MAX_LINK_DEPTH = 16
"""Links to folders, one behind the other."""

HUB_KINDS = ("models--", "datasets--", "spaces--")


class Links(StrEnum):
    """What becomes of symbolic links."""

    INSIDE = "inside"
    """Follow those whose real target lies inside the model's folder (or its Hub cache folder); the default."""
    REFUSE = "refuse"
    """Follow none: each is an obstacle."""
    FOLLOW = "follow"
    """Follow all, wherever they lead. For models that the person put together themselves."""


Stamp = tuple[int, int, int, int, int]
"""Which file it is, and whether it changed: (size, inode, mtime, ctime, device). A plain tuple: there are many."""


def stamp(found: os.stat_result) -> Stamp:
    """The stamp of a stat result."""
    return found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_dev


class LocalSource:
    """A Source over one open file. Threads may read at the same time; close it when done."""

    __slots__ = ("_fd", "_name", "_stamp", "size")

    def __init__(self, fd: int, listed: Stamp, name: str) -> None:
        self._fd, self._stamp, self._name = fd, listed, name
        self.size = listed[0]

    def read(self, offset: int, length: int) -> bytes:
        """See `Source.read`."""
        if offset < 0 or length < 0:
            raise InputError("bad-offset", f"offset {offset} with length {length} is no place in a file")
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        data = self._pread(length, offset)
        if len(data) == length:
            return data
        buffer = bytearray(length)
        self.read_into(offset, memoryview(buffer))
        return bytes(buffer)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` from `offset`. Raises `InputError` (`file-changed`, `unreadable`); never short."""
        done, length = 0, len(buffer)
        while done < length:
            try:
                count = os.preadv(self._fd, [buffer[done:]], offset + done)
            except OSError as error:
                raise _unreadable(self._name, error) from None
            if count == 0:
                raise _changed(self._name, "it became shorter")
            done += count

    def check(self) -> None:
        """Raises `InputError` (`file-changed`) when the file is no longer what it was when it was listed."""
        if stamp(os.fstat(self._fd)) != self._stamp:
            raise _changed(self._name, "its size or time changed")

    def sequential(self) -> None:
        """Tell the kernel that the whole file will be read in order."""
        with suppress(OSError):
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)

    def close(self) -> None:
        """Close the file; reading afterwards raises `InputError`."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()

    def _pread(self, length: int, offset: int) -> bytes:
        try:
            return os.pread(self._fd, length, offset)
        except OSError as error:
            raise _unreadable(self._name, error) from None


class LocalFiles:
    """`core.artifact.Files` over the disk: path → its stamp at listing, and where links led."""

    __slots__ = ("_listed", "_real", "_root")

    def __init__(self, root: str, listed: dict[str, Stamp], real: dict[str, str]) -> None:
        self._root, self._listed, self._real = root.rstrip("/") + "/", listed, real

    def open(self, member: Member) -> LocalSource:
        """See `Files.open`."""
        listed = self._listed[member.path]
        return LocalSource(self._open(member.path, listed), listed, member.path)

    def read_whole(self, member: Member) -> bytes:
        """All bytes of a small member in one go; as safe as `open`, at half the cost."""
        path = member.path
        listed = self._listed[path]
        size = listed[0]
        fd = self._open(path, listed)
        try:
            data = os.read(fd, size + 1)
            if len(data) == size:
                return data
            source = LocalSource(os.dup(fd), listed, path)
        except OSError as error:
            raise _unreadable(path, error) from None
        finally:
            os.close(fd)
        try:
            if len(data) > size:
                raise _changed(path, "it became longer")
            return source.read(0, size)
        finally:
            source.close()

    def _open(self, path: str, listed: Stamp) -> int:
        real = self._real.get(path) if self._real else None
        try:
            fd = os.open(real or self._root + path, OPEN_FLAGS)
        except OSError as error:
            raise _unreadable(path, error) from None
        now = os.fstat(fd)
        if stamp(now) == listed and stat.S_ISREG(now.st_mode):
            return fd
        os.close(fd)
        if not stat.S_ISREG(now.st_mode):
            raise InputError("not-a-file", f'"{visible(path)}" is {_kind(now.st_mode)} now')
        raise _changed(path, "it is not the file that was listed")


def open_artifact(
    path: str | os.PathLike[str], *, links: Links = Links.INSIDE, exclude: Collection[str] = ()
) -> Artifact:
    """List the model at `path`: a folder with everything below it, or one file.

    `exclude` holds relative paths that are never listed (signature files); a folder's path leaves out all below it.
    The path itself may be a symbolic link. Raises `UsageError` (`no-such-path`, `not-a-file`), `InputError`
    (`unreadable`).
    """
    location = os.fspath(path)
    try:
        found = os.stat(location)
    except (OSError, ValueError) as error:
        raise _no_such_path(location, error) from None
    real = os.path.realpath(location)
    name = os.path.basename(os.path.abspath(location)) or location
    if stat.S_ISDIR(found.st_mode):
        walk = _Walk(real, links, frozenset(exclude))
        walk.run()
        return Artifact(
            name=name,
            files=LocalFiles(real, walk.listed, walk.real),
            members=tuple(sorted(walk.members, key=itemgetter(0))),
            obstacles=tuple(sorted(walk.obstacles, key=itemgetter(0))),
            location=location,
        )
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(
            "not-a-file", f'"{visible(location)}" is {_kind(found.st_mode)}, no folder and no file'
        )
    files = LocalFiles(real, {name: stamp(found)}, {name: real})
    member = Member(name, found.st_size)
    return Artifact(name=name, files=files, members=(member,), single=True, location=location)


class _Folder(NamedTuple):
    """A folder still to be listed."""

    real: str
    prefix: str
    link: str | None = None
    holders: tuple[str, ...] = ()
    """Real folders whose links led here, outermost first: a link back to above one of them goes round."""
    inode: tuple[int, int] | None = None
    """(device, inode) as met: what is listed must be that folder still, not a link that took its place."""


class _Walk:
    """One listing, without recursion: hostile trees may be deeper than Python's stack."""

    def __init__(self, root: str, links: Links, exclude: frozenset[str]) -> None:
        self._root, self._links, self._exclude = root, links, exclude
        self._allowed = _allowed_root(root)
        self._linked = 0
        self.listed: dict[str, Stamp] = {}
        self.real: dict[str, str] = {}
        self.members: list[Member] = []
        self.obstacles: list[Obstacle] = []

    def run(self) -> None:
        try:
            os.close(os.open(self._root, FOLDER_FLAGS))
        except OSError as error:
            raise _unreadable(self._root, error) from None
        todo = [_Folder(self._root, "")]
        while todo:
            todo += self._list(todo.pop())

    def _list(self, folder: _Folder) -> list[_Folder]:
        below: list[_Folder] = []
        if self._linked > MAX_LINKED:
            self._obstacle(
                folder.prefix[:-1], "limit-members", f"more than {MAX_LINKED} entries behind links to folders"
            )
            return below
        try:
            handle = os.open(folder.real, FOLDER_FLAGS)
            try:
                if folder.inode not in (None, _inode(os.fstat(handle))):
                    self._obstacle(folder.prefix[:-1], "file-changed", "was exchanged while it was listed")
                    return below
                with os.scandir(handle) as entries:
                    for entry in entries:
                        self._meet(entry, folder, below)
            finally:
                os.close(handle)
        except OSError as error:
            self._obstacle(folder.prefix[:-1] or ".", "unreadable", f"cannot be listed: {_reason(error)}")
        return below

    def _meet(self, entry: "os.DirEntry[str]", folder: _Folder, below: list[_Folder]) -> None:
        path = folder.prefix + entry.name
        if path in self._exclude:
            return
        try:
            if entry.is_file(follow_symlinks=False):
                found = entry.stat(follow_symlinks=False)
                self.listed[path] = stamp(found)
                self.members.append(Member(path, found.st_size, folder.link))
            elif entry.is_dir(follow_symlinks=False):
                inode = _inode(entry.stat(follow_symlinks=False))
                below.append(_Folder(_inside(folder, entry), path + "/", folder.link, folder.holders, inode))
            elif entry.is_symlink():
                self._follow(path, _inside(folder, entry), folder, below)
            else:
                self._obstacle(path, "not-a-file", f"is {_kind(entry.stat(follow_symlinks=False).st_mode)}")
        except OSError as error:
            self._obstacle(path, "unreadable", _reason(error))
        if folder.link is not None:
            self._linked += 1
            self.real.setdefault(path, _inside(folder, entry))

    def _follow(self, path: str, here: str, folder: _Folder, below: list[_Folder]) -> None:
        text = os.readlink(here)
        shown = f'links to "{visible(text, 200)}"'
        if self._links is Links.REFUSE:
            self._obstacle(path, "link-refused", f"{shown}, and no link is followed")
            return
        try:
            real = os.path.realpath(here, strict=True)
            found = os.lstat(real)
        except OSError as error:
            code = "link-cycle" if error.errno == errno.ELOOP else "link-broken"
            self._obstacle(path, code, f"{shown}: {_reason(error)}")
            return
        if self._links is Links.INSIDE and not _within(real, self._allowed):
            self._obstacle(path, "link-outside", f"{shown}, outside the model")
        elif stat.S_ISREG(found.st_mode):
            self.listed[path], self.real[path] = stamp(found), real
            self.members.append(Member(path, found.st_size, folder.link or text))
        elif not stat.S_ISDIR(found.st_mode):
            self._obstacle(path, "not-a-file", f"{shown}, {_kind(found.st_mode)}")
        else:
            holders = (*folder.holders, folder.real)
            if len(holders) > MAX_LINK_DEPTH or any(_within(holder, real) for holder in holders):
                self._obstacle(path, "link-cycle", f"{shown}, which leads round in a circle")
            else:
                below.append(_Folder(real, path + "/", folder.link or text, holders, _inode(found)))

    def _obstacle(self, path: str, code: str, message: str) -> None:
        self.obstacles.append(Obstacle(path, code, message))


def _inside(folder: _Folder, entry: "os.DirEntry[str]") -> str:
    return f"{folder.real.rstrip('/')}/{entry.name}"


def _inode(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _allowed_root(root: str) -> str:
    """The folder that links may not leave: the model itself, or its whole Hub cache folder for a snapshot in one.

    The Hub's client keeps `models--ORG--NAME/snapshots/REV/FILE` as links to `models--ORG--NAME/blobs/…`. Only the
    folders above the model are looked at, so nothing that the model brings along widens it.
    """
    parts = root.split("/")
    for i in range(len(parts) - 3, 0, -1):
        if parts[i].startswith(HUB_KINDS) and parts[i + 1] == "snapshots":
            return "/".join(parts[: i + 1])
    return root


def in_hub_cache(path: str) -> bool:
    """Whether a model is a snapshot of the Hub's cache, whose files are links to blobs by the client's own doing.

    A link there may be taken for the plain file that was signed: who could turn the link could as well change the file.
    """
    root = os.path.abspath(path)
    return _allowed_root(root) != root


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _kind(mode: int) -> str:
    kinds = (
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a character device"),
        (stat.S_ISBLK, "a block device"),
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISLNK, "a link"),
    )
    return next((name for test, name in kinds if test(mode)), "no regular file")


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _unreadable(path: str, error: OSError) -> InputError:
    if error.errno == errno.ENOENT:
        return _changed(path, "it is gone")
    if error.errno == errno.ELOOP:
        return _changed(path, "it is a link now")
    return InputError("unreadable", f'"{visible(path)}" cannot be read: {_reason(error)}')


def _changed(path: str, how: str) -> InputError:
    return InputError("file-changed", f'"{visible(path)}" changed since it was listed: {how}')


def _no_such_path(location: str, error: OSError | ValueError) -> UsageError:
    if isinstance(error, PermissionError):
        return UsageError("no-such-path", f'no permission to look at "{visible(location)}"')
    message = f'there is no file or folder "{visible(location)}"'
    folder, name = os.path.split(location.rstrip("/"))
    try:
        with os.scandir(folder or ".") as entries:
            nearby = [entry.name for entry in itertools.islice(entries, 10_000)]
    except (OSError, ValueError):
        return UsageError("no-such-path", message)
    import difflib

    close = difflib.get_close_matches(name[:255], nearby, n=1)
    hints = [f'did you mean "{visible(os.path.join(folder, close[0]))}"?'] if close else []
    return UsageError("no-such-path", message, *hints)
