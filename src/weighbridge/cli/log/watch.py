"""witness, audit, mirror: what those do who do not take the operator's word for it."""

import argparse
import signal
import sys
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.cli.log.folder import chosen_policy, load_policy, marks_folder, read_key, write_key
from weighbridge.cli.log.say import head_lines, head_of, say
from weighbridge.core.durable import make_folder
from weighbridge.core.errors import ExitCode, UsageError
from weighbridge.core.text import counted, visible
from weighbridge.tlog.checkpoint import Checkpoint, read_checkpoint
from weighbridge.tlog.client import keep_high_water, mark_path, read_high_water
from weighbridge.tlog.note import Kind, VerifierKey, generate_signer, read_note
from weighbridge.tlog.places import open_fetch, open_target
from weighbridge.tlog.targets import CHECKPOINT
from weighbridge.tlog.witness import Witness, serve

if TYPE_CHECKING:
    from weighbridge.tlog.audit import Body

KEY = "witness.key"
_KINDS = {
    "admit": "verdicts of gates", "attest": "statements about models and data", "revoke": "lists of recalls",
    "policy": "policies", "key": "keys", "waive": "findings that somebody accepts", "delegate": "rights handed on",
}  # fmt: skip
"""What the kinds of entries are."""


def witness(options: argparse.Namespace) -> int:
    """Make the key, or serve until somebody ends it."""
    folder = Path(options.folder)
    if options.new:
        return _new(options, folder)
    logs = _logs(options)
    one = Witness(folder / "seen", [read_key(folder / KEY)], logs)
    host, port = _address(options.listen)
    with serve(one, lambda: int(time.time()), host, port) as server:
        url = f"http://{host}:{server.server_port}"
        origins = sorted({key.name for key in logs})
        say(
            options,
            f"WITNESS  {url}, watching {counted(len(origins), 'log')}",
            origins,
            url=url,
            logs=origins,
        )
        sys.stdout.flush()
        _serve(server)
    return 0


def _new(options: argparse.Namespace, folder: Path) -> int:
    signer = generate_signer(options.new, Kind.MLDSA44 if options.post_quantum else Kind.COSIGNATURE)
    make_folder(folder)
    write_key(folder / KEY, signer)
    return say(options, f"MADE  {folder / KEY}", [f"key  {signer.vkey}"], key=str(signer.vkey))


def _logs(options: argparse.Namespace) -> list[VerifierKey]:
    logs = [log.key for name in options.watch or () for log in load_policy(name).logs]
    if not logs:
        raise UsageError("log-no-policy", "nothing says which logs to watch", "--watch FILE")
    return logs


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65_535:
        raise UsageError("bad-option", f'"{visible(text, 80)}" is no address such as 127.0.0.1:8470')
    return host.strip("[]"), int(port)


def _serve(server: ThreadingHTTPServer) -> None:
    """Until SIGTERM or Ctrl-C. What was answered is on the disk, so that there is nothing to finish."""

    def end(*_: object) -> None:
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    server.serve_forever(poll_interval=0.2)


def audit(options: argparse.Namespace) -> int:
    """Replay, compare with what was seen and with other copies. Exit 1 where anything is not as it must be."""
    from weighbridge.tlog.audit import Discrepancy
    from weighbridge.tlog.audit import audit as replay
    from weighbridge.tlog.compare import compare

    fetch, policy, now = open_fetch(options.place), chosen_policy(options), int(time.time())
    origin = read_checkpoint(read_note(fetch(CHECKPOINT), "the checkpoint").text).origin
    place = mark_path(marks_folder(options), origin)
    mark = read_high_water(place)
    seen = [Checkpoint(origin=mark.origin, size=mark.size, root=mark.root)] if mark else []
    found = replay(fetch, policy, now, body=_bodies(options), seen=seen)
    problems: tuple[Discrepancy, ...] = found.problems
    for other in options.against or ():
        problems += compare(fetch, open_fetch(other))
    if not problems:
        keep_high_water(place, [found.trusted], now)
    head = found.trusted.checkpoint
    rows = [{"code": one.code, "where": one.where, "message": one.message} for one in problems]
    lines = [f"{one.where}: {one.message} [{one.code}]" for one in problems] or head_lines(found.trusted)
    lines += [
        f"{count} {kind}: {_KINDS.get(kind, 'of a kind that is not known')}" for kind, count in found.kinds
    ]
    word = "WRONG" if problems else "SOUND"
    title = f"{word}  {head.origin}, {counted(head.size, 'entry')}, {counted(len(problems), 'problem')}"
    body = {**head_of(found.trusted), "kinds": dict(found.kinds), "bodies": found.bodies, "problems": rows}
    return say(options, title, lines, code=ExitCode.REFUSED if problems else ExitCode.DONE, **body)


def _bodies(options: argparse.Namespace) -> "Body | None":
    """The payload of a statement, out of a store of bundles."""
    if not options.bodies:
        return None
    from weighbridge.sign.bundle import read_line
    from weighbridge.store.statements import StatementStore

    store = StatementStore(Path(options.bodies))

    def body(statement: bytes) -> bytes | None:
        lines = store.get(f"sha256:{statement.hex()}")
        return read_line(lines[0], "the store").envelope.payload if lines else None

    return body


def mirror(options: argparse.Namespace) -> int:
    """Bring a copy up to the log's head."""
    from weighbridge.tlog.mirror import mirror as copy

    done = copy(
        open_fetch(options.place), open_target(options.target), chosen_policy(options), int(time.time())
    )
    head = done.trusted.checkpoint
    title = (
        f"MIRRORED  {head.origin}, {done.before} → {counted(head.size, 'entry')}, {done.files} files written"
    )
    body = {**head_of(done.trusted), "before": done.before, "files": done.files}
    return say(options, title, head_lines(done.trusted), **body)
