"""`weighbridge init`: write a policy, the pre-commit hook and the CI job, and never over a file that is there."""

import argparse
from importlib.resources import files
from pathlib import Path

from weighbridge.cli import options as shared
from weighbridge.core.durable import write_file
from weighbridge.core.errors import UsageError

EXAMPLES = ("weighbridge init", "weighbridge init --preset production")

TEMPLATES = {
    "weighbridge.toml": "weighbridge.toml",
    ".pre-commit-config.yaml": "pre-commit-config.yaml",
    ".github/workflows/weighbridge.yml": "workflow.yml",
}
"""Target → template in `cli/templates/`."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Where to, and from which preset."""
    parser.add_argument(
        "folder",
        nargs="?",
        default=".",
        metavar="FOLDER",
        help="the repository's root; the current folder when left out",
    )
    parser.add_argument(
        "--preset",
        default="default",
        metavar="PRESET",
        help="the preset that the policy builds on: default, production, strict, field or research",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace files that are there; without it they are left alone",
    )
    shared.output(parser, shared.BOTH)


def run(options: argparse.Namespace) -> int:
    """Write each file that is missing; say what was left alone."""
    from weighbridge.cli.output import tell
    from weighbridge.core.text import counted, visible
    from weighbridge.policy import presets

    if options.preset not in presets():
        raise UsageError(
            "unknown-preset", f'there is no preset "{options.preset}"', f"presets: {', '.join(presets())}"
        )
    done: dict[str, list[str]] = {"wrote": [], "kept": []}
    lines = []
    for target, template in TEMPLATES.items():
        path = Path(options.folder) / target
        word = "kept" if path.exists() and not options.overwrite else "wrote"
        if word == "wrote":
            _write(path, template, options.preset)
        done[word].append(str(path))
        lines.append(f"{word:<6} {visible(str(path))}")
    last = f"READY: {counted(len(done['wrote']), 'file')} written, {len(done['kept'])} kept"
    return tell(options, {"preset": options.preset, **done}, [*lines, last], verdict=-1)


def _write(path: Path, template: str, preset: str) -> None:
    text = files("weighbridge.cli").joinpath("templates", template).read_text("utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, text.replace("PRESET", preset).encode())
