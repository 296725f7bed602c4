"""Reads `tests/samples/` (see its README) and scans models that stand in memory, through the real Scanner."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from weighbridge.core.artifact import Artifact, Member, Obstacle
from weighbridge.core.budget import Limits
from weighbridge.core.source import MemorySource, Source
from weighbridge.scan.engine import Scan, Scanner

LINK = b"\0a symbolic link that leads out of the model"
SAMPLES = Path(__file__).parent.parent / "samples"


class Sample(NamedTuple):
    """One sample of a rule with what is expected of it."""

    rule: str
    name: str
    files: Mapping[str, bytes]
    benign: Mapping[str, bytes] | None
    expected: dict[str, Any]
    obstacles: tuple[Obstacle, ...] = ()


class MemoryFiles:
    """The `Files` port over a mapping."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def open(self, member: Member) -> Source:
        """See `core.artifact.Files`."""
        return MemorySource(self._files[member.path])


def artifact(files: Mapping[str, bytes], obstacles: tuple[Obstacle, ...] = ()) -> Artifact:
    """A model that stands in memory."""
    members = tuple(Member(path, len(files[path])) for path in sorted(files))
    return Artifact(name="model", files=MemoryFiles(files), members=members, obstacles=obstacles)


def scan(
    files: Mapping[str, bytes],
    *,
    limits: Limits | None = None,
    obstacles: tuple[Obstacle, ...] = (),
    weights: bool = False,
) -> Scan:
    """Examine every member, then finish, as the desk does."""
    model = artifact(files, obstacles)
    scanner = Scanner(limits, weights=weights)
    seen = [scanner.examine(member, model.files.open(member)) for member in model.members]
    return scanner.finish(model, seen)


def scan_folder(folder: Path) -> Scan:
    """The same for a folder on disk."""
    return scan(
        {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    )


def samples(rule: str) -> Iterator[Sample]:
    """All samples of one rule; each `expected*.json` is one."""
    folder = SAMPLES / rule
    for path in sorted(folder.glob("expected*.json")):
        suffix = path.stem.removeprefix("expected")
        files = _files(folder, f"sample{suffix}")
        assert files, f"{path} has no sample beside it"
        expected = json.loads(path.read_bytes())
        links = tuple(Obstacle(p, "link-outside", "the link leads out") for p in files if files[p] == LINK)
        files = {p: data for p, data in files.items() if data != LINK}
        yield Sample(rule, f"{rule}{suffix}", files, _files(folder, f"benign{suffix}"), expected, links)


def _files(folder: Path, stem: str) -> dict[str, bytes] | None:
    for path in sorted(folder.iterdir()):
        if path.name == f"{stem}.files.json":
            return {name: _value(value) for name, value in json.loads(path.read_bytes()).items()}
        if path.is_dir() and path.name == stem:
            inner = [p for p in sorted(path.rglob("*")) if p.is_file()]
            return dict(_decoded(p, p.relative_to(path).as_posix()) for p in inner)
        if path.is_file() and path.name.partition(".")[0] == stem:
            return dict([_decoded(path, path.name)])
    return None


def _decoded(path: Path, name: str) -> tuple[str, bytes]:
    if not name.endswith(".hex"):
        return name, path.read_bytes()
    digits = re.sub(r"#.*|\s", "", path.read_text("ascii"))
    return name.removesuffix(".hex"), bytes.fromhex(digits)


def _value(value: Mapping[str, str]) -> bytes:
    ((kind, text),) = value.items()
    if kind == "link":
        return LINK
    if kind == "text":
        return text.encode("utf-8", "surrogateescape")
    return bytes.fromhex(text) if kind == "hex" else base64.b64decode(text)
