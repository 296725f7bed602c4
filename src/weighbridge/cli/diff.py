"""`weighbridge diff`: what changed between two models, file by file and tensor by tensor."""

import argparse

from weighbridge.cli import options as shared
from weighbridge.core.manifest import Difference

EXAMPLES = (
    "weighbridge diff ./minilm-old ./minilm-new",
    "weighbridge diff old.safetensors new.safetensors --format json",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Two models."""
    parser.add_argument("old", metavar="OLD", help="the model as it was")
    parser.add_argument("new", metavar="NEW", help="the model as it is")
    shared.output(parser, ("human", "json"))
    shared.limits(parser)


def run(options: argparse.Namespace) -> int:
    """Measure both and print; exit 0 whether or not they differ, 3 where something could not be read."""
    from weighbridge.cli.measuring import measured
    from weighbridge.cli.output import write
    from weighbridge.core.errors import ExitCode
    from weighbridge.measure.diff import difference

    old = measured(options.old, options, tensors=True)
    new = measured(options.new, options, tensors=True)
    found = difference(old.manifest, new.manifest)
    unread = [*old.unread, *new.unread]
    unlisted = tuple(dict.fromkeys(path for path, _ in (*old.unlisted, *new.unlisted)))
    text = as_json(found, unlisted) if options.format == "json" else as_text(found, unlisted)
    write(text, options.output)
    return int(ExitCode.UNDECIDED if unread else ExitCode.DONE)


def as_json(found: Difference, unlisted: tuple[str, ...]) -> str:
    """The document of the machine contract."""
    from weighbridge.core.wire import write_json

    body = {
        "changed": list(found.changed),
        "added": list(found.added),
        "removed": list(found.removed),
        "tensors": {
            "changed": list(found.tensors_changed),
            "added": list(found.tensors_added),
            "removed": list(found.tensors_removed),
        },
        "unlisted": list(unlisted),
    }
    return write_json(body, indent=2).decode()


def as_text(found: Difference, unlisted: tuple[str, ...]) -> str:
    """A line for each file, and the tensors summed up by layer."""
    from weighbridge.core.difference import layer_summary
    from weighbridge.core.text import visible

    unknown = [
        f"? {visible(path)}: its tensors are unknown, so only the file was compared" for path in unlisted
    ]
    if found.empty:
        return "\n".join(["no difference", *unknown])
    rows = [("changed", found.changed), ("added", found.added), ("removed", found.removed)]
    lines = [f"{word:<8} {visible(path)}" for word, paths in rows for path in paths]
    tensors = [
        ("differ", found.tensors_changed),
        ("were added", found.tensors_added),
        ("were removed", found.tensors_removed),
    ]
    for word, names in tensors:
        lines += [f"tensors  {line}" for line in layer_summary(names, word)]
    return "\n".join([*lines, *unknown])
