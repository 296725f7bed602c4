"""`weighbridge sweep`: look through caches and folders for models that were called back."""

import argparse
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.cli import options as shared

if TYPE_CHECKING:
    from weighbridge.core.report import Report
    from weighbridge.recall.sweep import Swept

EXAMPLES = (
    "weighbridge sweep --quarantine ~/recalled",
    "weighbridge sweep /srv/models --recalls recalls.jsonl --trust ./trust",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Where to look, and where to put what is found."""
    parser.add_argument(
        "places", metavar="PLACE", nargs="*", help="folders; the Hugging Face cache when left out"
    )
    group = parser.add_argument_group("Sweep")
    group.add_argument(
        "--quarantine", metavar="DIR", help="move what is recalled into this folder, out of reach"
    )
    shared.output(parser, ("human", "json"))
    shared.trust(parser)
    shared.statements(parser)
    shared.policy(parser)
    shared.limits(parser)


def run(options: argparse.Namespace) -> int:
    """Weigh every model that is found; exit 1 where one is recalled, 3 where somebody has to look."""
    from weighbridge.cli.output import schema, tell
    from weighbridge.core.errors import UsageError
    from weighbridge.core.evidence import Outcome
    from weighbridge.evidence.find import read_named
    from weighbridge.recall.sweep import sweep

    read_named(
        options.recalls or ()
    )  # a list that is not there is a mistake, and not a doubt about each model
    places = [Path(place) for place in options.places] or [_hub(os.environ)]
    if not options.places and not places[0].is_dir():
        raise UsageError("no-such-path", f'there is no cache at "{places[0]}"', "weighbridge sweep PLACE")
    quarantine = Path(options.quarantine) if options.quarantine else None
    swept = list(sweep(places, _weigher(options), quarantine, now=datetime.now(UTC)))
    document = {"schema": schema("sweep"), "command": "sweep", "models": [_row(one) for one in swept]}
    outcomes = {one.outcome for one in swept}
    code = 1 if Outcome.FAIL in outcomes else 3 if Outcome.UNKNOWN in outcomes else 0
    return tell(options, document, _screen(swept, every=bool(options.verbose)), code=code, verdict=-1)


def _hub(environment: Mapping[str, str]) -> Path:
    """Where the Hub's client keeps models (its documented variables)."""
    if environment.get("HF_HUB_CACHE"):
        return Path(environment["HF_HUB_CACHE"])
    home = (
        environment.get("HF_HOME")
        or Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    )
    return Path(home) / "hub"


def _weigher(options: argparse.Namespace) -> "Callable[[Path], Report]":
    from weighbridge.check import Ask, weigh
    from weighbridge.cli.request import build

    def one(path: Path) -> "Report":
        options.model = str(path)
        return weigh(build(options, frozenset({Ask.STATEMENTS})))

    return one


def _row(one: "Swept") -> dict[str, str]:
    return {
        "path": one.path, "outcome": one.outcome.value, "why": one.why, "code": one.code, "digest": one.digest,
        "quarantined": one.quarantined,
    }  # fmt: skip


def _screen(swept: "list[Swept]", *, every: bool) -> list[str]:
    from weighbridge.core.evidence import Outcome
    from weighbridge.core.text import counted, visible

    marks = {Outcome.PASS: "✓", Outcome.FAIL: "✗", Outcome.UNKNOWN: "?"}
    lines = []
    for one in swept:
        if one.outcome is Outcome.PASS and not every:
            continue
        lines += [f"  {marks[one.outcome]} {visible(one.path)}", f"      {visible(one.why, 300)}"]
        lines += [f"      moved to {visible(one.quarantined)}"] if one.quarantined else []
    numbers = {outcome: sum(one.outcome is outcome for one in swept) for outcome in Outcome}
    word = "RECALLED" if numbers[Outcome.FAIL] else "UNDECIDED" if numbers[Outcome.UNKNOWN] else "CLEAN"
    lines.append(
        f"{word}: {counted(len(swept), 'model')}, {numbers[Outcome.FAIL]} recalled, {numbers[Outcome.UNKNOWN]} unknown, "
        f"{numbers[Outcome.PASS]} standing"
    )
    return lines
