"""Asking witnesses for cosignatures: the log's side of C2SP tlog-witness.

A witness is anything that answers an add-checkpoint request: the one in `witness`, or a service over HTTP. One that is
away, or says no, is left out; whether those that remain are enough is the policy's matter.
"""

from collections.abc import Callable, Iterable

from weighbridge.core.errors import InputError, UnavailableError, WeighbridgeError
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.tlog.checkpoint import read_checkpoint, read_decimal, write_hash
from weighbridge.tlog.merkle import Tree
from weighbridge.tlog.note import Note, Signature, VerifierKey, read_signatures, verify_note, write_note

MAX_ANSWER = 64 * 1024
SIZE_TYPE = "text/x.tlog.size"


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


def cosign(note: Note, tree: Tree, cosigners: Iterable[Cosigner]) -> tuple[Note, tuple[str, ...]]:
    """The note with every cosignature that was given and holds, and why each of the others was not.

    `tree` is the log's own, at least as large as the checkpoint.
    """
    found: list[Signature] = []
    reasons: list[str] = []
    for cosigner in cosigners:
        try:
            found += _ask(note, tree, cosigner)
        except WeighbridgeError as error:
            reasons.append(f"{cosigner.key.name}: {error}")
    return Note(text=note.text, signatures=(*note.signatures, *found)), tuple(reasons)


def _ask(note: Note, tree: Tree, cosigner: Cosigner) -> tuple[Signature, ...]:
    size, old = read_checkpoint(note.text).size, 0
    for _ in range(3):  # it says once what it has seen last, and may see another one meanwhile
        answer = cosigner.ask(write_request(old, tree.consistency(old, size), write_note(note)))
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
