"""How the verbs answer: a few lines for people, or one JSON document."""

import argparse
from collections.abc import Sequence
from typing import Any

from weighbridge.cli.output import schema, tell
from weighbridge.core.errors import ExitCode
from weighbridge.core.text import visible
from weighbridge.report.summary import short_digest
from weighbridge.tlog.checkpoint import write_hash
from weighbridge.tlog.entry import LogEntry
from weighbridge.tlog.policy import Trusted


def say(
    options: argparse.Namespace,
    title: str,
    lines: Sequence[str] = (),
    /,
    *,
    code: ExitCode = ExitCode.DONE,
    **body: Any,
) -> int:
    """Print it, in JSON the body alone, with `--quiet` the title alone; returns the code."""
    document = {"schema": schema("log"), "command": f"log {options.verb}", **body}
    shown = [title, *(f"  {line}" for line in lines)]
    return tell(options, document, [visible(line, 2000) for line in shown], code=int(code))


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


def entry_lines(index: int, entry: LogEntry) -> list[str]:
    """An entry for people: the statement whole, since `log show` takes it; who signed it by the first digits of the key."""
    return [
        f"entry {index}  {entry.kind.value}  {entry.predicate_type}",
        f"statement  sha256:{entry.statement.hex()}",
        f"issuer     {short_digest(entry.issuer)}",
    ]
