"""What the name of an archive's member, or the target of a link in it, would do where somebody unpacks the archive.

Names are looked at under the rules of both worlds: `/` and `\\` separate, `C:` is a drive. Shared by zip, tar, 7z
and gzip.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator

from weighbridge.core.pattern import late
from weighbridge.core.text import visible
from weighbridge.formats.reading import Anomaly

MAX_EACH = 25
"""Anomalies of one code that are listed one by one; the rest are counted."""

_DRIVE = late(r"[A-Za-z]:[\\/]")
_PLAIN = late(r"(?:[\w+=,@~-][\w+=,@~.-]*(?<!\.)(?:/|\Z))+\Z", re.ASCII)
"""Names of which nothing needs to be looked at; nearly all are."""
_RESERVED = late(r"(?i)(?:^|[/\\])(?:con|prn|aux|nul|com[1-9]|lpt[1-9])(?:\.[^/\\]*)?(?:[/\\]|$)")
_STARTS = late(
    r"(?i)(?:^|[/\\])(?:\.ssh[/\\](?:authorized_keys2?|rc)|\.git[/\\]hooks[/\\][^/\\.]+|(?:\.config|etc[/\\]xdg)[/\\]autostart[/\\][^/\\]+\.desktop"
    r"|\.config[/\\]systemd[/\\]user[/\\].+\.(?:service|timer)|etc[/\\]ld\.so\.preload|LaunchAgents[/\\][^/\\]+\.plist|Programs[/\\]Startup[/\\][^/\\]+)\Z"
)
"""Files that a shell, an SSH server, git or a desktop acts upon by their place alone."""
_ENDS = late(r"[^/\\ .][ .]+(?:[/\\]|$)")
_AT_DRIVE = late(r"(?i)[ .]*[a-z]:(?!\d+(?:\.\w{1,8})?\Z)|file:/|\\\\")
"""A drive that is not followed by a slash (`C:x` lies where that drive stands just now), or an address of a file. `w:0.npy` is
a variable of TensorFlow's in an `.npz`."""
_STREAM = late(
    r"(?i):[^:/\\]*:?\$|:zone\.identifier|:[^:/\\]*\.(?:exe|dll|scr|com|bat|cmd|ps1|vbs|js|hta|lnk|msi|py|sh|pif|cpl)\Z"
)
"""A stream of NTFS that its own type, or a program's name, gives away."""
_COLON = late(r"(?i):(?!\d|sha(?:1|256|512):[0-9a-f])(?<!sha1:)(?<!sha256:)(?<!sha512:)")
"""A colon behind which no number stands: times and TensorFlow's `kernel:0` have one."""


class Notes:
    """Collects anomalies of one container, so that a million bad entries do not make a million lines."""

    __slots__ = ("_counts", "_kept")

    def __init__(self) -> None:
        self._kept: list[Anomaly] = []
        self._counts: dict[str, int] = {}

    def add(self, code: str, message: str, *, offset: int | None = None, part: str = "") -> None:
        """Note one fact; beyond `MAX_EACH` of one code it is only counted."""
        count = self._counts[code] = self._counts.get(code, 0) + 1
        if count <= MAX_EACH:
            self._kept.append(Anomaly(code=code, message=message, offset=offset, part=visible(part)))

    def all(self) -> tuple[Anomaly, ...]:
        """The anomalies, with one more line for each code that was cut."""
        more = [
            Anomaly(code=code, message=f"and {count - MAX_EACH} more of the same")
            for code, count in self._counts.items()
            if count > MAX_EACH
        ]
        return (*self._kept, *more)


def note_name(notes: Notes, name: str) -> None:
    """Note what is wrong with a member's name.

    `path-escapes`, `path-startup`, `path-drive`, `path-stream`, `path-colon`, `path-backslash`, `path-dots`, `path-nul`, or
    `path-reserved`.
    """
    if _STARTS.search(name):
        notes.add("path-startup", f'"{visible(name)}" is run or trusted wherever it is unpacked', part=name)
    if _PLAIN.match(name) and not _RESERVED.search(name):
        return
    if escapes(name):
        notes.add("path-escapes", f'"{visible(name)}" leads out of the folder it is unpacked in', part=name)
    elif "\\" in name:
        notes.add(
            "path-backslash", f'"{visible(name)}" is one name or a folder, depending on the reader', part=name
        )
    elif ".." in name.split("/"):
        notes.add("path-dots", f'"{visible(name)}" goes up and down again', part=name)
    if "\0" in name:
        notes.add("path-nul", f'"{visible(name)}" ends at its NUL for some readers', part=name)
    if ":" in name and not escapes(name):
        _note_colon(notes, name)
    if not escapes(name) and (_RESERVED.search(name) or _ENDS.search(name)):
        notes.add("path-reserved", f'"{visible(name)}" is another name, or a device, on Windows', part=name)


def _note_colon(notes: Notes, name: str) -> None:
    shown = visible(name)
    if _AT_DRIVE.match(name):
        notes.add(
            "path-drive", f'"{shown}" lies on a drive, or at an address, and not in the folder', part=name
        )
    elif _STREAM.search(name):
        notes.add("path-stream", f'"{shown}" is a hidden stream of another file on Windows', part=name)
    elif _COLON.search(name):
        notes.add("path-colon", f'"{shown}" is a file, or a stream of another file on Windows', part=name)


def note_link(notes: Notes, name: str, target: str, *, hard: bool) -> None:
    """Note a symbolic or hard link: `link-escapes` or `link-inside`."""
    kind = "hard link" if hard else "symbolic link"
    folder, slash, _ = name.replace("\\", "/").rpartition("/")
    base = "" if hard else folder + slash
    reaches = escapes(target) if hard else _absolute(target) or escapes(base + target)
    code = "link-escapes" if reaches else "link-inside"
    notes.add(code, f'"{visible(name)}" is a {kind} to "{visible(target)}"', part=name)


def note_written_through(notes: Notes, links: Collection[str], names: Iterable[str]) -> None:
    """Note members below the name of a symbolic link of the same archive: they land where the link leads."""
    made = {link.replace("\\", "/").rstrip("/") for link in links}
    for name in names if made else ():
        steps = name.replace("\\", "/").split("/")
        if any("/".join(steps[:count]) in made for count in range(1, len(steps))):
            notes.add("link-escapes", f'"{visible(name)}" is written through a link', part=name)


def escapes(name: str) -> bool:
    """Absolute under some system's rules, or climbing above the folder it is unpacked in."""
    if _absolute(name):
        return True
    level = 0
    for step in name.replace("\\", "/").split("\0")[0].split("/"):
        level += {"": 0, ".": 0, "..": -1}.get(step, 1)
        if level < 0:
            return True
    return False


def collisions(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pairs of different names that become one on a system that ignores case, normalisation or `./`."""
    seen: dict[str, str] = {}
    for name in names:
        first = seen.setdefault(_folded(name), name)
        if first != name:
            yield first, name


def _absolute(name: str) -> bool:
    return name.startswith(("/", "\\")) or bool(_DRIVE.match(name))


def _folded(name: str) -> str:
    plain = name if name.isascii() else unicodedata.normalize("NFKC", name)
    path = plain.replace("\\", "/")
    if "./" in path or "//" in path:
        path = "/".join(step for step in path.split("/") if step not in ("", "."))
    return path.casefold()
