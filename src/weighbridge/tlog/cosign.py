"""Asking witnesses for cosignatures: the log's side of C2SP tlog-witness.

A witness is anything that answers an add-checkpoint request: the one in `witness`, or a service over HTTP. All are asked
at once, each by a thread of its own with the same time. One that is away, slow, or says no, is left out; whether those that
remain are enough is the policy's matter. What comes back stands in the order of the witnesses, whoever was quickest.
"""

import threading
import time
from collections.abc import Callable, Iterable

from weighbridge.core.errors import InputError, UnavailableError, WeighbridgeError
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.tlog.checkpoint import read_checkpoint, read_decimal, write_hash
from weighbridge.tlog.merkle import Tree
from weighbridge.tlog.note import Note, Signature, VerifierKey, read_signatures, verify_note, write_note

MAX_ANSWER = 64 * 1024
SIZE_TYPE = "text/x.tlog.size"
SECONDS = 30.0
"""For everything that is asked of one witness, which may be three questions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a witness says, as HTTP has it."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


Ask = Callable[[bytes], Answer]
"""Gives a witness the body of an add-checkpoint request. Raises `WeighbridgeError` where it cannot be reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigner:
    """A witness that a log asks."""

    key: VerifierKey
    ask: Ask


def write_request(old: int, proof: Iterable[bytes], note: bytes) -> bytes:
    """The body of an add-checkpoint request."""
    lines = (f"old {old}", *(write_hash(one) for one in proof), "")
    return "".join(f"{line}\n" for line in lines).encode() + note


def cosign(
    note: Note, tree: Tree, cosigners: Iterable[Cosigner], seconds: float = SECONDS
) -> tuple[Note, tuple[str, ...]]:
    """The note with every cosignature that was given and holds, and why each of the others was not.

    `tree` is the log's own, at least as large as the checkpoint. `seconds`: how long a witness may take.
    """
    proofs, end = _Proofs(tree), time.monotonic() + seconds
    errands = [_Errand(note, proofs, cosigner) for cosigner in cosigners]
    for errand in errands:
        errand.thread.start()
    for errand in errands:
        errand.thread.join(max(0.0, end - time.monotonic()))
    proofs.close()
    outcomes = [errand.outcome for errand in errands]  # what comes later than this counts for nothing
    found = [line for outcome in outcomes if isinstance(outcome, tuple) for line in outcome]
    reasons: list[str] = []
    for errand, outcome in zip(errands, outcomes, strict=True):
        if outcome is None or isinstance(outcome, WeighbridgeError):
            why = outcome or f"no answer within {seconds:g} seconds"
            reasons.append(f"{errand.cosigner.key.name}: {why}")
        elif isinstance(outcome, BaseException):
            raise outcome
    return Note(text=note.text, signatures=(*note.signatures, *found)), tuple(reasons)


class _Proofs:
    """Proofs out of one tree, one at a time: its rows come through one connection. None once it is closed."""

    def __init__(self, tree: Tree) -> None:
        self._tree: Tree | None = tree
        self._turn = threading.Lock()

    def consistency(self, old: int, size: int) -> tuple[bytes, ...]:
        with self._turn:
            if self._tree is None:
                raise InputError("log-witness", "the witness was too slow")
            return tuple(self._tree.consistency(old, size))

    def close(self) -> None:
        """From now on the connection is somebody else's again."""
        with self._turn:
            self._tree = None


class _Errand:
    """One witness being asked. The thread is a daemon: a witness that never answers keeps nobody from going home."""

    def __init__(self, note: Note, proofs: _Proofs, cosigner: Cosigner) -> None:
        self._note, self._proofs, self.cosigner = note, proofs, cosigner
        self.outcome: tuple[Signature, ...] | BaseException | None = None
        """The cosignature; why there is none; None as long as it is being asked."""
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self.outcome = _ask(self._note, self._proofs, self.cosigner)
        except BaseException as error:
            self.outcome = error


def _ask(note: Note, proofs: _Proofs, cosigner: Cosigner) -> tuple[Signature, ...]:
    size, old = read_checkpoint(note.text).size, 0
    for _ in range(3):  # it says once what it has seen last, and may see another one meanwhile
        answer = cosigner.ask(write_request(old, proofs.consistency(old, size), write_note(note)))
        if answer.status != 409 or answer.content_type != SIZE_TYPE:
            break
        seen = read_decimal(answer.body.decode("ascii", "replace").removesuffix("\n"), "log-witness")
        if seen == old or seen > size:
            break
        old = seen
    if answer.status != 200:
        said = visible(answer.body[:200].decode("utf-8", "replace").strip())
        raise InputError("log-witness", f'the witness refused with {answer.status} "{said}"')
    lines = read_signatures(answer.body[:MAX_ANSWER].decode("utf-8", "replace"), "the witness's answer")
    own = tuple(line for line in lines if (line.name, line.id) == (cosigner.key.name, cosigner.key.id))[:1]
    if not verify_note(Note(text=note.text, signatures=own), (cosigner.key,)):
        raise InputError("log-witness", "the witness's answer has no cosignature of its key")
    return own


def over_http(url: str, seconds: float = 10.0) -> Ask:
    """A witness by its submission prefix. Raises, when it is asked, `UnavailableError` (`network`)."""
    import urllib3

    place = f"{url.rstrip('/')}/add-checkpoint"
    pool = urllib3.PoolManager()

    def ask(body: bytes) -> Answer:
        try:
            said = pool.request(
                "POST", place, body=body, timeout=seconds, retries=False, preload_content=False
            )
            with said:
                data = said.read(MAX_ANSWER + 1)
        except urllib3.exceptions.HTTPError as error:
            raise UnavailableError(
                "network", f"the witness does not answer: {visible(str(error), 200)}"
            ) from None
        return Answer(status=said.status, body=data, content_type=said.headers.get("content-type", ""))

    return ask
