"""Several models in one weighing: `scan a.pt b.pt ./folder`. Each file keeps the path that the person typed."""

from collections.abc import Collection, Sequence
from os import fspath
from pathlib import PurePosixPath

from weighbridge.core.artifact import Artifact, Files, Member
from weighbridge.core.errors import UsageError
from weighbridge.core.source import Source
from weighbridge.store.local import Links, open_artifact


class SeveralFiles:
    """`core.artifact.Files` over the files of several artifacts, told apart by what stands in front of their paths."""

    __slots__ = ("_behind",)

    def __init__(self, behind: dict[str, tuple[Files, Member]]) -> None:
        self._behind = behind

    def open(self, member: Member) -> Source:
        """See `Files.open`."""
        files, inner = self._behind[member.path]
        return files.open(inner)


def open_artifacts(
    paths: Sequence[str], *, links: Links = Links.INSIDE, exclude: Collection[str] = ()
) -> Artifact:
    """One artifact over all paths. Raises `UsageError` (`no-such-path`, `same-path`)."""
    if len(paths) == 1:
        return open_artifact(paths[0], links=links, exclude=exclude)
    behind: dict[str, tuple[Files, Member]] = {}
    members, obstacles = [], []
    for path in paths:
        artifact = open_artifact(path, links=links)
        front = PurePosixPath(fspath(path))
        for member in artifact.members:
            name = str(front if artifact.single else front / member.path)
            if name in behind:
                raise UsageError("same-path", f'"{name}" stands there twice')
            behind[name] = (artifact.files, member)
            members.append(member._replace(path=name))
        obstacles += [o._replace(path=str(front / o.path)) for o in artifact.obstacles]
    return Artifact(
        name=f"{len(paths)} models",
        files=SeveralFiles(behind),
        members=tuple(sorted(members)),
        obstacles=tuple(obstacles),
    )
