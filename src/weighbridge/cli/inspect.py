"""`weighbridge inspect`: what is in a model, file by file, and what was read of it."""

import argparse
from typing import TYPE_CHECKING, Any

from weighbridge.cli import options as shared

if TYPE_CHECKING:
    from weighbridge.scan.contents import Contents

EXAMPLES = ("weighbridge inspect ./minilm", "weighbridge inspect model.pt --format json")


def configure(parser: argparse.ArgumentParser) -> None:
    """The model."""
    shared.model(parser)
    shared.output(parser, shared.BOTH)
    shared.limits(parser)


def run(options: argparse.Namespace) -> int:
    """Read every file with its format's reader, judge nothing, and print what is there."""
    from weighbridge.cli.output import tell
    from weighbridge.cli.request import chosen_limits
    from weighbridge.core.budget import Limits
    from weighbridge.core.errors import ExitCode
    from weighbridge.scan.contents import contents
    from weighbridge.store import Links, open_artifact
    from weighbridge.store.remote import is_remote, open_remote

    if is_remote(options.model):
        artifact = open_remote(options.model)
    else:
        artifact = open_artifact(options.model, links=Links(options.links))
    found = contents(artifact, chosen_limits(options, Limits()))
    undecided = not found or any(file.unread for file in found)
    code = int(ExitCode.UNDECIDED if undecided else ExitCode.DONE)
    lines = as_lines(found, verbose=bool(options.verbose))
    return tell(options, as_document(found), lines, code=code, verdict=-1)


def as_document(found: "tuple[Contents, ...]") -> dict[str, Any]:
    """One object a file."""
    rows = [
        {
            "path": file.path,
            "size": file.size,
            "formats": list(file.formats),
            "tensors": file.tensors,
            "parameters": file.parameters,
            "dtypes": dict(file.dtypes),
            "parts": list(file.parts),
            "notes": list(file.notes),
            "unread": list(file.unread),
        }
        for file in found
    ]
    return {"files": rows}


def as_lines(found: "tuple[Contents, ...]", *, verbose: bool) -> list[str]:
    """A line a file and their sum; parts and notes with -v."""
    from weighbridge.core.text import counted, human_bytes, visible

    width = min(max((len(visible(file.path)) for file in found), default=0), 60)
    lines = []
    for file in found:
        tensors = (
            f"{file.tensors} tensors, {file.parameters:,} values, {_dtypes(file)}" if file.tensors else ""
        )
        unread = f"not read: {', '.join(file.unread)}" if file.unread else ""
        what = "+".join(file.formats) or "unknown"
        told = "  ".join(part for part in (tensors, unread) if part)
        lines.append(
            f"{visible(file.path):<{width}}  {human_bytes(file.size):>8}  {what:<14} {told}".rstrip()
        )
        details = [f"part {name}" for name in file.parts] + [f"note {note}" for note in file.notes]
        lines += [f"    {visible(line)}" for line in details] if verbose else []
    if not found:
        return ["? there is no file to inspect"]
    stored, broken = sum(file.tensors or 0 for file in found), sum(bool(file.unread) for file in found)
    total = f"{counted(len(found), 'file')}, {human_bytes(sum(file.size for file in found))}, {counted(stored, 'tensor')}"
    return [*lines, f"INSPECTED: {total}, {broken} not read whole"]


def _dtypes(file: "Contents") -> str:
    from weighbridge.core.text import visible

    return ", ".join(visible(dtype) for dtype, _ in file.dtypes[:4])
