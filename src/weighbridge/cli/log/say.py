"""How the verbs answer: a few lines for people, or one JSON document."""

import argparse
from collections.abc import Sequence
from typing import Any

from weighbridge.cli.output import write
from weighbridge.core.text import visible
from weighbridge.core.wire import write_json
from weighbridge.tlog.checkpoint import write_hash
from weighbridge.tlog.entry import LogEntry
from weighbridge.tlog.policy import Trusted


def say(options: argparse.Namespace, title: str, lines: Sequence[str] = (), /, **body: Any) -> None:
    """Print it: in JSON the body alone; with `--quiet` the title alone."""
    if options.format == "json":
        document = {"schema": "weighbridge.log/v1", "command": f"log {options.verb}", **body}
        write(write_json(document, indent=2).decode(), options.output)
        return
    shown = [title, *(() if options.quiet else (f"  {line}" for line in lines))]
    write("\n".join(visible(line, 2000) for line in shown), options.output)


def head_of(trusted: Trusted) -> dict[str, Any]:
    """A head as JSON."""
    head = trusted.checkpoint
    return {
        "origin": head.origin,
        "size": head.size,
        "root": write_hash(head.root),
        "witnesses": [{"name": name, "time": time} for name, time in trusted.witnesses],
        "time": trusted.time,
    }


def head_lines(trusted: Trusted) -> list[str]:
    """A head for people."""
    names = ", ".join(name for name, _ in trusted.witnesses) or "nobody"
    return [f"root  {write_hash(trusted.checkpoint.root)}", f"cosigned by {names}"]


def entry_of(entry: LogEntry) -> dict[str, Any]:
    """An entry as JSON."""
    return {
        "kind": entry.kind.value,
        "statement": f"sha256:{entry.statement.hex()}",
        "predicateType": entry.predicate_type,
        "issuer": entry.issuer,
        "time": entry.time,
        "subjects": list(entry.subjects),
    }


def entry_line(index: int, entry: LogEntry) -> str:
    """An entry in one line."""
    return (
        f"{index}  {entry.kind.value}  sha256:{entry.statement.hex()}  {entry.predicate_type}  {entry.issuer}"
    )
