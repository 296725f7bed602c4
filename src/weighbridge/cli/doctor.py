"""`weighbridge doctor`: what works on this machine, and the command that mends what does not."""

import argparse
import os
import sys
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from weighbridge.cli import options as shared

EXAMPLES = ("weighbridge doctor", "weighbridge doctor --format json")

EXTRAS = {
    "cedar": ("cedarpy", "who may do what, in Cedar"),
    "cel": ("cel", "rules in CEL"),
    "hsm": ("pkcs11", "keys in tokens"),
    "keyless": ("sigstore", "Sigstore"),
    "load": ("numpy", "arrays of verified tensors"),
    "s3": ("obstore", "models in S3"),
}
"""Extra → (module, what it is for)."""

Row = tuple[str, str, str, str]
"""(what, pass|fail|unknown, why, hint)."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Where the keyring is, and how to print."""
    parser.add_argument(
        "--trust", metavar="DIR", help="the keyring to look at; the one that commands would use when left out"
    )
    parser.add_argument(
        "--policy", metavar="FILE|PRESET", help="the policy to look at; the nearest one when left out"
    )
    shared.output(parser, shared.BOTH)


def run(options: argparse.Namespace) -> int:
    """Exit 0 when all that is configured works, 3 when something could not be told, 4 when something is broken."""
    from weighbridge.cli.output import tell
    from weighbridge.core.text import counted
    from weighbridge.core.version import __version__

    rows = [
        _python(),
        _clock(),
        *(_extra(name) for name in EXTRAS),
        _policy(options.policy),
        _keyring(options.trust),
        _temp(),
    ]
    body = [{"what": what, "outcome": outcome, "why": why, "hint": hint} for what, outcome, why, hint in rows]
    lines = [f"weighbridge {__version__}", ""]
    for what, outcome, why, hint in rows:
        lines.append(f"  {({'pass': '✓', 'fail': '✗'}).get(outcome, '?')} {what:<10} {why}")
        lines += [f"    {'':<10} hint  {hint}"] if hint else []
    outcomes = [outcome for _, outcome, _, _ in rows]
    failed, unknown = outcomes.count("fail"), outcomes.count("unknown")
    word = "BROKEN" if failed else "WORKING"
    lines.append(f"{word}: {counted(len(rows), 'check')}, {failed} failed, {unknown} not set up")
    code = 4 if failed else 0
    return tell(options, {"version": __version__, "checks": body}, lines, code=code, verdict=-1)


def _python() -> Row:
    return (
        "python",
        "pass",
        f"{sys.version.split()[0]} on {sys.platform}, {len(os.sched_getaffinity(0))} cores",
        "",
    )


def _clock() -> Row:
    now = datetime.now(UTC)
    if 2025 <= now.year <= 2100:
        return ("clock", "pass", f"{now:%Y-%m-%d %H:%M} UTC", "")
    return (
        "clock",
        "fail",
        f"{now:%Y-%m-%d} is no plausible date: certificates cannot be judged",
        "set the clock",
    )


def _extra(name: str) -> Row:
    module, purpose = EXTRAS[name]
    if find_spec(module):
        return (f"[{name}]", "pass", f"{purpose}: installed", "")
    return (f"[{name}]", "unknown", f"{purpose}: not installed", f'pip install "weighbridge[{name}]"')


def _policy(chosen: str | None) -> Row:
    from weighbridge.core.errors import WeighbridgeError
    from weighbridge.policy import find_policy, load_policy, load_preset

    try:
        found = chosen or find_policy(Path.cwd())
        policy = load_policy(found) if found else load_preset()
    except WeighbridgeError as error:
        return ("policy", "fail", error.message, next(iter(error.hints), ""))
    return ("policy", "pass", f"{policy.name} ({' over '.join(reversed(policy.sources))})", "")


def _keyring(chosen: str | None) -> Row:
    from weighbridge.cli.keys import trust_dir
    from weighbridge.core.errors import WeighbridgeError
    from weighbridge.trust.keyring import load_keyring

    folder = trust_dir(chosen, None)
    if not folder.is_dir():
        return (
            "keyring",
            "unknown",
            f"none at {folder}: nobody is trusted without --key",
            "weighbridge trust init",
        )
    try:
        keyring = load_keyring(folder)
    except WeighbridgeError as error:
        return ("keyring", "fail", error.message, next(iter(error.hints), ""))
    return ("keyring", "pass", f"{len(keyring.anchors)} identities in {folder}", "")


def _temp() -> Row:
    import tempfile

    try:
        with tempfile.TemporaryFile() as file:
            file.write(b"x")
    except OSError as error:
        return ("disk", "fail", f"no temporary file can be written: {error.strerror}", "")
    return ("disk", "pass", f"temporary files in {tempfile.gettempdir()}", "")
