"""Judge very many statements: as `attestation.judge_one` does, at little more than what checking their signatures costs.

Most lines of a large file look alike: a bundle of ours, a bare key that is trusted, its hint. Such a line takes a fast path:
it is parsed by msgspec and written again, and only where that gives the very same bytes is it taken for what it was
parsed as. That is the proof that no key stands in it twice and that no number, escape or encoding could be read in
another way. Everything else, and every signature that does not hold, goes the slow way, so that both ways give one answer.
"""

import hashlib
from binascii import a2b_base64
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from weighbridge.attest.attestation import Attestation, attested, judge_one
from weighbridge.core.errors import WeighbridgeError
from weighbridge.core.evidence import Outcome
from weighbridge.core.report import FILES_ALGORITHM
from weighbridge.core.statement import (
    MAX_STATEMENT,
    MAX_SUBJECTS,
    STATEMENT,
    TENSORS_ALGORITHM,
    Statement,
    read_statement,
)
from weighbridge.sign import keys
from weighbridge.sign.anchor import Anchor, KeyAnchor, SignerCheck, TimestampAuthority
from weighbridge.sign.bundle import MEDIA_TYPE, Bundle, Method, read_line, split_lines
from weighbridge.sign.dsse import PAYLOAD_TYPE, Envelope, pae
from weighbridge.sign.verify import check_signer

if TYPE_CHECKING:
    from collections.abc import Callable


BLOCK = 512
"""Lines that are parsed before they are verified."""


class Judged(NamedTuple):
    """One line, judged. Light, since there may be a hundred thousand."""

    source: str
    """The file and line."""
    signer: SignerCheck
    """PASS: somebody of the keyring signed it. Anything else: it is only claimed, and why."""
    digest: str
    """`sha256:…` of the payload; that of nothing where there is no payload."""
    predicate_type: str
    """"" where the statement could not be read."""
    payload: bytes
    code: str = ""
    """Why the statement could not be read; "" where it could."""
    why: str = ""

    @property
    def is_signed(self) -> bool:
        """Whether somebody of the keyring stands behind a statement that could be read."""
        return not self.code and self.signer.outcome is Outcome.PASS

    @property
    def statement(self) -> Statement | None:
        """The statement, read when it is asked for; None where it could not be read."""
        return None if self.code else read_statement(self.payload, "the statement")


def judge_lines(
    data: bytes,
    name: str,
    anchors: Sequence[Anchor],
    authorities: Sequence[TimestampAuthority],
    now: datetime,
) -> Iterator[Judged]:
    """Every line of a file of statements, in its order; nothing vanishes and nothing is raised."""
    batch = _Batch(anchors, authorities, now)
    for source, line, found in batch.parsed(split_lines(data, name)):
        yield batch.judge(source, line, found)


def judge_many(
    lines: Iterable[tuple[str, bytes | Bundle]],
    anchors: Sequence[Anchor],
    authorities: Sequence[TimestampAuthority],
    now: datetime,
) -> Iterator[Attestation]:
    """Each (place, line) as `judge_one` judges it, in their order; nothing vanishes and nothing is raised.

    The bundle of an attestation keeps its `document` only where it went the slow way.
    """
    batch = _Batch(anchors, authorities, now)
    for source, line, found in batch.parsed(lines):
        yield batch.attest(source, line, found)


class _Key:
    """A trusted key, as far as the fast path uses it."""

    def __init__(self, public: "keys.PublicKey") -> None:
        self.verify = _verifier(public)
        self.anchors: list[KeyAnchor] = []
        """Everybody who is trusted with this key."""
        self.check: SignerCheck | None = None
        """What is said of a signer whose line has no timestamp: with the same `now` it is said of all such lines."""


class _Parsed(NamedTuple):
    key: _Key
    hint: str
    kind: str
    payload: bytes
    signature: bytes


class _Batch:
    def __init__(
        self, anchors: Sequence[Anchor], authorities: Sequence[TimestampAuthority], now: datetime
    ) -> None:
        self._anchors, self._authorities, self._now = anchors, authorities, now
        self._keys = _by_hint(anchors)

    def parsed(
        self, lines: Iterable[tuple[str, bytes | Bundle]]
    ) -> Iterator[tuple[str, bytes | Bundle, _Parsed | None]]:
        """(place, line, what the fast path needs of it)."""
        waiting = iter(lines)
        while block := tuple(islice(waiting, BLOCK)):
            # All that is parsed, then all that is verified: each stays in the processor's cache, which saves a tenth.
            found = [self.parse(line) for _, line in block]
            for (source, line), one in zip(block, found, strict=True):
                yield source, line, one

    def parse(self, line: bytes | Bundle) -> _Parsed | None:
        """What the fast path needs of a line; None for a line that goes the slow way."""
        taken = _take(line) if isinstance(line, bytes) else None
        key = self._keys.get(taken[0]) if taken else None
        if taken is None or key is None:
            return None
        hint, payload, signature = taken
        kind = _kind_of(payload)
        return _Parsed(key, hint, kind, payload, signature) if kind else None

    def judge(self, source: str, line: bytes | Bundle, found: _Parsed | None) -> Judged:
        check = self._quickly(source, line, found)
        if found is None or check is None:
            one = self._slowly(source, line)
            kind = one.statement.predicate_type if one.statement else ""
            payload = one.bundle.envelope.payload
            return Judged(source, one.signer, one.digest, kind, payload, one.code, one.why)
        digest = f"sha256:{hashlib.sha256(found.payload).hexdigest()}"
        return Judged(source, check, digest, found.kind, found.payload)

    def attest(self, source: str, line: bytes | Bundle, found: _Parsed | None) -> Attestation:
        check = self._quickly(source, line, found)
        if found is None or check is None:
            return self._slowly(source, line)
        envelope = Envelope(payload=found.payload, signature=found.signature)
        return attested(Bundle(source=source, method=Method.KEY, envelope=envelope, hint=found.hint), check)

    def _quickly(self, source: str, line: bytes | Bundle, found: _Parsed | None) -> SignerCheck | None:
        """Who signed, where that is beyond doubt somebody trusted; None for what goes the slow way."""
        if found is None or not found.key.verify(found.signature, pae(found.payload)):
            return None
        check = found.key.check or self._first(found.key, line, source)
        return check if check.outcome is Outcome.PASS else None

    def _first(self, key: _Key, line: bytes | Bundle, source: str) -> SignerCheck:
        bundle = line if isinstance(line, Bundle) else read_line(line, source)
        check = check_signer(bundle, key.anchors, self._authorities, self._now)
        key.check = check if check.outcome is Outcome.PASS else None
        return check

    def _slowly(self, source: str, line: bytes | Bundle) -> Attestation:
        bundle = line if isinstance(line, Bundle) else read_line(line, source)
        return judge_one(bundle, self._anchors, self._authorities, self._now)


def _by_hint(anchors: Sequence[Anchor]) -> dict[str, _Key]:
    found: dict[str, _Key] = {}
    for anchor in anchors:
        if isinstance(anchor, KeyAnchor):
            try:
                public = keys.load_public(anchor.public_key_pem)
            except WeighbridgeError:
                continue  # the slow path says so, where it matters
            found.setdefault(keys.hint(public), _Key(public)).anchors.append(anchor)
    return found


def _verifier(public: "keys.PublicKey") -> "Callable[[bytes, bytes], bool]":
    """`keys.verify` for one key, with what does not change made once."""
    from cryptography.hazmat.primitives.asymmetric import ec

    extra = (ec.ECDSA(keys.hash_of(public)),) if isinstance(public, ec.EllipticCurvePublicKey) else ()
    check: Any = public.verify

    def verify(signature: bytes, signed: bytes) -> bool:
        try:
            check(signature, signed, *extra)
        except Exception:  # wrong, or of no form at all: the slow path says which
            return False
        return True

    return verify


# ------------------------------------------------------------------------------------------------------- the fast path


class _PublicKey(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    hint: str


class _Material(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    public: _PublicKey = msgspec.field(name="publicKey")
    entries: list[None] = msgspec.field(name="tlogEntries")


class _Signature(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    sig: str
    keyid: str


class _Envelope(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    payload: str
    payload_type: str = msgspec.field(name="payloadType")
    signatures: list[_Signature]


class _Line(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A bundle as `write_bundle` writes it for a bare key, field by field in its order."""

    media_type: str = msgspec.field(name="mediaType")
    material: _Material = msgspec.field(name="verificationMaterial")
    envelope: _Envelope = msgspec.field(name="dsseEnvelope")


class _Subject(msgspec.Struct, forbid_unknown_fields=True, gc=False, omit_defaults=True):
    name: str = ""
    digest: dict[str, str] = {}


class _Statement(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A statement as `write_statement` writes it, field by field in its order."""

    type: str = msgspec.field(name="_type")
    subjects: list[_Subject] = msgspec.field(name="subject")
    kind: str = msgspec.field(name="predicateType")
    predicate: dict[str, Any]


_LINE = msgspec.json.Decoder(_Line)
_STATEMENT = msgspec.json.Decoder(_Statement)
_WRITE = msgspec.json.Encoder()
MOST_CERTAIN = 128 * 1024
"""Bytes of a line or payload beyond which nothing is gained here; a whole block of them stays below 64 MiB."""
MAX_HINT = 200
MAX_BRACKETS = 300
"""Objects and lists of a payload: what could be nested too deeply for one of the two readers is left to the slow one."""


def _take(line: bytes) -> tuple[str, bytes, bytes] | None:
    """(hint, payload, signature) of a line that is beyond doubt a bundle of a bare key; None for every other line."""
    line = line.removesuffix(b"\n")
    try:
        found = _LINE.decode(line) if len(line) <= MOST_CERTAIN else None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if found is None or _WRITE.encode(found) != line or found.media_type != MEDIA_TYPE:
        return None
    envelope, hint = found.envelope, found.material.public.hint
    if envelope.payload_type != PAYLOAD_TYPE or len(envelope.signatures) != 1 or found.material.entries:
        return None
    if envelope.signatures[0].keyid:
        return None
    payload, signature = _base64(envelope.payload), _base64(envelope.signatures[0].sig)
    return (hint, payload, signature) if payload and signature and 0 < len(hint) <= MAX_HINT else None


_LAST_OF_ONE = frozenset("AQgw")
_LAST_OF_TWO = frozenset("AEIMQUYcgkosw048")
"""What the last character before the padding is where the bits of it that say nothing are 0."""


def _base64(text: str) -> bytes:
    """As `dsse.decode_base64`; b"" for what that refuses."""
    try:
        data = a2b_base64(text, strict_mode=True)
    except ValueError:
        return b""
    # Strict leaves one thing open: bits of the last character that say nothing.
    if text[-1:] != "=":
        return data
    return data if text[-2] in _LAST_OF_TWO or (text[-2:] == "==" and text[-3] in _LAST_OF_ONE) else b""


_HEX = "0123456789abcdef"
_SHA256 = 64
"""Hex digits of the digests that are usual; longer and shorter ones go the slow way."""
_KNOWN_ALGORITHMS = frozenset({"sha256", f"{FILES_ALGORITHM}sha256", f"{TENSORS_ALGORITHM}blake3"})


def _kind_of(payload: bytes) -> str:
    """The predicate type of a payload that is beyond doubt a statement which `read_statement` takes; "" for every other."""
    if (
        len(payload) > min(MOST_CERTAIN, MAX_STATEMENT)
        or payload.count(b"{") + payload.count(b"[") > MAX_BRACKETS
    ):
        return ""
    try:
        found = _STATEMENT.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ""
    if _WRITE.encode(found) != payload or found.type != STATEMENT or not 0 < len(found.kind) <= 500:
        return ""
    return (
        found.kind
        if 0 < len(found.subjects) <= MAX_SUBJECTS and all(map(_is_subject, found.subjects))
        else ""
    )


def _is_subject(subject: _Subject) -> bool:
    """Whether `read_named` takes it, by a rule that is a little stricter."""
    digests = subject.digest
    if not digests or not digests.keys() <= _KNOWN_ALGORITHMS or len(subject.name) > 4096:
        return False
    # Several times quicker than a pattern: nothing is left of what consists of these characters alone.
    for value in digests.values():  # noqa: SIM110
        if len(value) != _SHA256 or value.strip(_HEX):
            return False  # in a loop, which costs half of what `all` does
    return True
