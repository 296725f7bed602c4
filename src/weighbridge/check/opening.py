"""What is there to be weighed: the files, here or elsewhere, without the signatures that lie among them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.check.request import BELIEVES, Ask, Request
from weighbridge.core.artifact import Artifact
from weighbridge.core.errors import UsageError
from weighbridge.core.text import visible
from weighbridge.core.value import replace
from weighbridge.evidence.signatures import bundles_of
from weighbridge.store import open_artifacts
from weighbridge.store.remote import is_remote, open_remote

if TYPE_CHECKING:
    from weighbridge.sign.bundle import Bundle


def find_bundles(request: Request) -> tuple[tuple["Bundle", ...], frozenset[str]]:
    """The bundles beside a model or named in the request, and which files inside the model hold them."""
    if len(request.paths) > 1 or is_remote(request.paths[0]):
        return (), frozenset()
    found, inside = bundles_of(Path(request.paths[0]), request.signatures)
    return (found if request.ask & BELIEVES else ()), inside


def opened(request: Request, beside: frozenset[str]) -> Artifact:
    """The files here, or the list of files elsewhere; of those, only the contents can be asked about."""
    if not any(is_remote(path) for path in request.paths):
        return _part(open_artifacts(request.paths, links=request.links, exclude=beside), request.only)
    if len(request.paths) > 1 or Ask.CONTENT not in request.ask:
        raise UsageError(
            "remote-alone", "models that are not here are scanned, inspected and checked, one at a time",
            "download it, then verify it here",
        )  # fmt: skip
    return open_remote(request.paths[0])


def _part(artifact: Artifact, only: Sequence[str] | None) -> Artifact:
    """The artifact, or the files of it that were asked for. Raises `UsageError` (`no-such-path`)."""
    if only is None:
        return artifact
    members = tuple(member for member in artifact.members if member.path in only)
    obstacles = tuple(obstacle for obstacle in artifact.obstacles if obstacle.path in only)
    missing = set(only).difference(m.path for m in members).difference(o.path for o in obstacles)
    if missing:
        name = visible(min(missing))
        raise UsageError("no-such-path", f'there is no file "{name}" in {visible(artifact.name)}')
    return replace(artifact, members=members, obstacles=obstacles)
