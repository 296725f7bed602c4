"""Witness: cosigns a log's head if, and only if, it is the continuation of the last one it cosigned (C2SP tlog-witness).

What it remembers, one small file a log, is on the disk before it answers, under a lock that makes comparing and
remembering one step. It believes nothing of a log but its signature and the proof, and looks at no entry. The answers
are values with the status of the specification; `serve` puts them on HTTP.
"""

import hashlib
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from weighbridge.core.durable import one_writer, write_file
from weighbridge.core.errors import BrokenError, InputError, UsageError, WeighbridgeError
from weighbridge.core.text import visible
from weighbridge.core.wire import read_json, write_json
from weighbridge.tlog.checkpoint import (
    Checkpoint,
    read_checkpoint,
    read_decimal,
    read_hash,
    write_hash,
)
from weighbridge.tlog.cosign import SIZE_TYPE, Answer
from weighbridge.tlog.merkle import EMPTY, MAX_PROOF, verify_consistency
from weighbridge.tlog.note import (
    MAX_NOTE,
    Kind,
    Note,
    NoteSigner,
    VerifierKey,
    read_note,
    verify_note,
    write_signatures,
)

MAX_REQUEST = MAX_NOTE + 8 * 1024
_BAD = "bad-witness-request"


class Witness:
    """One witness: its keys, the logs that it watches, and the folder where it remembers."""

    def __init__(self, folder: Path, signers: Iterable[NoteSigner], logs: Iterable[VerifierKey]) -> None:
        """The name of a log's key is its origin. Raises `UsageError` (`log-witness-key`, `cannot-write`)."""
        self._folder = folder
        self._signers = tuple(signers)
        self._logs = tuple(logs)
        if not self._signers or any(signer.vkey.kind is Kind.ED25519 for signer in self._signers):
            raise UsageError("log-witness-key", "a witness signs with cosigning keys alone")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                "cannot-write", f'cannot write "{visible(str(folder))}": {error.strerror}'
            ) from None

    def add_checkpoint(self, body: bytes, now: int) -> Answer:
        """Answer a request: 200 with cosignatures, or 400, 403, 404, 409, 422.

        Raises `BrokenError` (`busy`, `disk`, `log-witness-state`) where it cannot remember: then it cosigns nothing.
        """
        try:
            old, proof, note, checkpoint = _read_request(body)
        except InputError as error:
            return _no(400, error)
        keys = [key for key in self._logs if key.name == checkpoint.origin]
        if not keys:
            return _no(404, "this log is not known here")
        try:
            if not verify_note(note, keys):
                return _no(403, "no known key of the log signed this")
        except InputError as error:
            return _no(403, error)
        if old > checkpoint.size:
            return _no(400, "the old size is larger than the checkpoint's")
        with one_writer(self._folder):
            return self._grow(old, proof, note, checkpoint, now)

    def _grow(
        self, old: int, proof: tuple[bytes, ...], note: Note, checkpoint: Checkpoint, now: int
    ) -> Answer:
        seen = self.seen(checkpoint.origin)
        if old != seen.size:
            return Answer(status=409, body=b"%d\n" % seen.size, content_type=SIZE_TYPE)
        if old == checkpoint.size and seen.root != checkpoint.root:
            return _no(409, "another root was cosigned at this size")
        if not verify_consistency(old, checkpoint.size, seen.root, checkpoint.root, proof):
            return _no(422, "the proof does not show that the log only grew")
        lines = [signer.sign(note.text, now) for signer in self._signers]
        self._remember(checkpoint)
        return Answer(status=200, body=write_signatures(lines).encode())

    def seen(self, origin: str) -> Checkpoint:
        """The last head that was cosigned; an empty log's where there was none. Raises `BrokenError`."""
        try:
            data = self._file(origin).read_bytes()
        except FileNotFoundError:
            return Checkpoint(origin=origin, size=0, root=EMPTY)
        except OSError as error:
            raise BrokenError("disk", f"the witness cannot read what it has seen: {error.strerror}") from None
        try:
            value = read_json(data, "what the witness has seen")
            size, root = int(value["size"]), read_hash(value["root"], _BAD)
        except (WeighbridgeError, KeyError, TypeError, ValueError, AttributeError):
            value, size, root = {}, 0, b""
        if not root or value.get("origin") != origin:
            # Beginning anew would cosign a fork.
            raise BrokenError(
                "log-witness-state", f'what the witness has seen of "{visible(origin)}" cannot be read'
            )
        return Checkpoint(origin=origin, size=size, root=root)

    def _remember(self, checkpoint: Checkpoint) -> None:
        value = {"origin": checkpoint.origin, "size": checkpoint.size, "root": write_hash(checkpoint.root)}
        write_file(self._file(checkpoint.origin), write_json(value) + b"\n", mode=0o600)

    def _file(self, origin: str) -> Path:
        return self._folder / f"{hashlib.sha256(origin.encode()).hexdigest()}.json"


def _read_request(body: bytes) -> tuple[int, tuple[bytes, ...], Note, Checkpoint]:
    head, blank, rest = body.partition(b"\n\n")
    if not blank or not head.isascii() or len(body) > MAX_REQUEST:
        raise InputError(_BAD, "a request is an old size, a proof, an empty line and a checkpoint")
    first, *lines = head.decode("ascii").split("\n")
    if not first.startswith("old ") or len(lines) > MAX_PROOF:
        raise InputError(_BAD, "a request begins with the old size, and has at most 63 hashes")
    note = read_note(rest, "the checkpoint")
    proof = tuple(read_hash(line, _BAD) for line in lines)
    return read_decimal(first.removeprefix("old "), _BAD), proof, note, read_checkpoint(note.text)


def _no(status: int, why: InputError | str) -> Answer:
    return Answer(status=status, body=f"{why.message if isinstance(why, InputError) else why}\n".encode())


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], witness: Witness, clock: Callable[[], int]) -> None:
        super().__init__(address, _Handler)
        self.witness, self.clock = witness, clock


class _Handler(BaseHTTPRequestHandler):
    """POST /add-checkpoint, and nothing else."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    server: _Server

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        if self.path != "/add-checkpoint" or not length.isdecimal() or int(length) > MAX_REQUEST:
            self.close_connection = True  # what follows was not read
            self._say(Answer(status=404 if self.path != "/add-checkpoint" else 413))
            return
        body = self.rfile.read(int(length))
        try:
            answer = self.server.witness.add_checkpoint(body, self.server.clock())
        except WeighbridgeError as error:
            answer = Answer(status=503, body=f"{error.code}\n".encode())
        self._say(answer)

    def _say(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("content-type", answer.content_type)
        self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the standard library's name
        """Nothing: a door may say what it wants to."""


def serve(
    witness: Witness, clock: Callable[[], int], host: str = "127.0.0.1", port: int = 0
) -> ThreadingHTTPServer:
    """A server that is bound and not yet running: `serve_forever()`, from a thread `shutdown()`; `server_port` is its port.

    Plain HTTP: whoever opens it to others puts a proxy with TLS before it. Raises `BrokenError` (`network`).
    """
    try:
        return _Server((host, port), witness, clock)
    except OSError as error:
        raise BrokenError("network", f"cannot listen on {host}:{port}: {error.strerror}") from None
