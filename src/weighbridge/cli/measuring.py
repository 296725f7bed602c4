"""Measuring for the commands that only measure: `digest`, `diff`, `inspect`, `sign`."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.core.finding import Place, Unread
from weighbridge.core.manifest import Manifest
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass, field
from weighbridge.measure import Plan, Progress, ProgressLine, measure
from weighbridge.store import Links, open_artifact

if TYPE_CHECKING:
    from weighbridge.core.graph import Graph


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A measured model and everything that could not be measured."""

    name: str
    manifest: Manifest
    unread: tuple[Unread, ...]
    unlisted: tuple[tuple[str, str], ...] = ()
    """(path, why) of files whose tensors are unknown: the tensor-set digest is then unknown too."""
    graphs: "Mapping[str, Graph]" = field(default_factory=dict)
    """Path → graph, where graphs were asked for and the file states one."""
    graphs_unread: Mapping[str, str] = field(default_factory=dict)
    """Path → why its graph is unknown."""


def measured(
    path: str,
    options: argparse.Namespace,
    *,
    hashes: frozenset[str] = frozenset({"sha256"}),
    tensors: bool = False,
    graphs: bool = False,
) -> Measured:
    """Open and measure one model, with a progress line where one is wanted; signatures beside it are left out."""
    from weighbridge.check import bundles_of
    from weighbridge.measure.graphs import graph_examiner, graphs_of

    _, signatures = bundles_of(Path(path))
    artifact = open_artifact(path, links=Links(options.links), exclude=signatures)
    with progress_line([path], options) as progress:
        result = measure(
            artifact,
            Plan(hashes=hashes, tensors=tensors),
            examine=graph_examiner() if graphs else None,
            progress=progress,
            jobs=options.jobs,
            seconds=options.timeout,
        )
    obstacles = tuple(
        Unread(place=Place(path=o.path), code=o.code, message=o.message) for o in artifact.obstacles
    )
    found, unknown = graphs_of(result.examined) if graphs else ({}, {})
    return Measured(
        graphs=found,
        graphs_unread=unknown,
        name=artifact.name,
        manifest=result.manifest,
        unread=(*result.unread, *obstacles),
        unlisted=result.unlisted,
    )


def progress_line(paths: Sequence[str], options: argparse.Namespace) -> AbstractContextManager[Progress]:
    """A line on standard error, on a terminal only."""
    total = 0
    if not options.no_progress and sys.stderr.isatty():
        members = [member for path in paths for member in open_artifact(path).members]
        total = sum(member.size for member in members)
    return ProgressLine(total, sys.stderr, verb=visible(options.command), enabled=not options.no_progress)
