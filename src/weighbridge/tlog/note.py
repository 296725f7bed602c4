"""Signed notes: text, a blank line, and signature lines; Ed25519 signatures, Ed25519 and ML-DSA-44 cosignatures.

C2SP signed-note (0x01), tlog-cosignature (0x04 `cosignature/v1`, 0x06 `subtree/v1`). Verifier keys are read and written
as vkeys; private keys as the reference implementation writes them, `PRIVATE+KEY+name+id+base64`. Which keys are a log's
or a witness's, and how many are enough, is `policy`'s matter.
"""

import base64
import hashlib
import re
from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from weighbridge.core.errors import InputError, TrustError, UnavailableError
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.tlog.checkpoint import read_base64, read_checkpoint

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa

    PrivateKey = ed25519.Ed25519PrivateKey | mldsa.MLDSA44PrivateKey

MAX_NOTE = 256 * 1024
MAX_SIGNATURES = 64
"""Signature lines; the specification asks for at least 16."""
MAX_NAME = 255

_BAD = "bad-note"
_DASH = "\N{EM DASH} "
_PRIVATE = "PRIVATE+KEY+"
_ID = re.compile(r"[0-9a-f]{8}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


class Kind(IntEnum):
    """What a key signs, and how: the byte that stands before its public key."""

    ED25519 = 0x01
    """The text of any note. A log's key."""
    COSIGNATURE = 0x04
    """A checkpoint and a time, Ed25519. A witness's key."""
    MLDSA44 = 0x06
    """A checkpoint and a time, ML-DSA-44, which no quantum computer forges. A witness's key, or a log's second one."""


_KEY_SIZE = {Kind.ED25519: 32, Kind.COSIGNATURE: 32, Kind.MLDSA44: 1312}
_SIGNATURE_SIZE = {Kind.ED25519: 64, Kind.COSIGNATURE: 72, Kind.MLDSA44: 2428}
_SEED = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """A public key with the name that it signs under."""

    name: str
    kind: Kind
    key: bytes
    """32 bytes, or 1312 of ML-DSA-44."""

    @property
    def id(self) -> int:
        """What its signature lines begin with. Short and forgeable: it finds a key and proves nothing."""
        data = self.name.encode() + b"\n" + bytes((self.kind,)) + self.key
        return int.from_bytes(hashlib.sha256(data).digest()[:4], "big")

    def __str__(self) -> str:
        """The vkey: `name+id+base64`."""
        return f"{self.name}+{self.id:08x}+{_base64(bytes((self.kind,)) + self.key)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One signature line."""

    name: str
    id: int
    data: bytes
    """Behind the key's id: for cosignatures 8 bytes of time, then the signature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A text and who says to have signed it."""

    text: str
    """With its last newline."""
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A key that did sign a note."""

    key: VerifierKey
    time: int | None
    """When, in seconds since 1970, as its owner says; None for a plain signature."""


def read_vkey(text: str) -> VerifierKey:
    """A verifier key. Raises `TrustError` (`bad-vkey`)."""
    name, kind, key = _read_key(text, "a verifier key")
    if len(key) != _KEY_SIZE[kind]:
        raise TrustError("bad-vkey", f'the key "{visible(name, 100)}" has {len(key)} bytes')
    made = VerifierKey(name=name, kind=kind, key=key)
    if str(made) != text:
        raise TrustError("bad-vkey", f'the key "{visible(name, 100)}" does not have the id that is written')
    return made


def _read_key(text: str, what: str) -> tuple[str, Kind, bytes]:
    """Name, kind and key material; the id in the middle is for the caller to compare."""
    name, _, rest = text.partition("+")
    written, _, encoded = rest.partition("+")
    data = read_base64(encoded)
    if not is_name(name) or not _ID.fullmatch(written) or not data:
        raise TrustError("bad-vkey", f'"{visible(text, 80)}" is not {what}')
    if data[0] not in tuple(Kind):
        raise TrustError("bad-vkey", f'the key "{visible(name, 100)}" is of the unknown kind {data[0]:#04x}')
    return name, Kind(data[0]), data[1:]


def is_name(name: str) -> bool:
    """Whether a key may have this name: not empty, no spaces, no plus, nothing that does not print."""
    return 0 < len(name.encode("utf-8", "replace")) <= MAX_NAME and name.isprintable() and not _spaced(name)


def _spaced(name: str) -> bool:
    return "+" in name or any(character.isspace() for character in name)


def read_note(data: bytes, what: str = "the note") -> Note:
    """A note's text and lines; verifies nothing. Raises `InputError` (`bad-note`)."""
    if len(data) > MAX_NOTE:
        raise InputError(_BAD, f"{what} has {len(data)} bytes, limit {MAX_NOTE}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(_BAD, f"{what} is not UTF-8") from None
    body, blank, lines = text.rpartition("\n\n")
    if not blank or _CONTROL.search(text) or not lines.endswith("\n"):
        raise InputError(_BAD, f"{what} has no text, blank line and signature lines")
    return Note(text=f"{body}\n", signatures=read_signatures(lines, what))


def read_signatures(lines: str, what: str = "the note") -> tuple[Signature, ...]:
    """Signature lines, each with its newline. Raises `InputError` (`bad-note`)."""
    *found, end = lines.split("\n")
    if end or not 0 < len(found) <= MAX_SIGNATURES:
        raise InputError(_BAD, f"{what} has {len(found)} signature lines, limit {MAX_SIGNATURES}")
    return tuple(_signature(line, what) for line in found)


def _signature(line: str, what: str) -> Signature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    data = read_base64(encoded)
    if not line.startswith(_DASH) or not space or not is_name(name) or data is None or len(data) < 5:
        raise InputError(_BAD, f'{what} has "{visible(line, 80)}", which is no signature line')
    return Signature(name=name, id=int.from_bytes(data[:4], "big"), data=data[4:])


def write_signatures(signatures: Iterable[Signature]) -> str:
    """Signature lines."""
    return "".join(
        f"{_DASH}{one.name} {_base64(one.id.to_bytes(4, 'big') + one.data)}\n" for one in signatures
    )


def write_note(note: Note) -> bytes:
    """The bytes; `read_note(write_note(n)) == n`."""
    return f"{note.text}\n{write_signatures(note.signatures)}".encode()


def verify_note(note: Note, keys: Iterable[VerifierKey]) -> tuple[Signed, ...]:
    """Those of the keys that signed, each once; lines of other keys are ignored.

    Raises `InputError` (`bad-note-signature`) where a line names one of the keys and was not made by it: then somebody
    changed the text or the line, and nothing of the note is to be believed.
    """
    known = {(key.name, key.id): key for key in keys}
    found: dict[VerifierKey, Signed] = {}
    for line in note.signatures:
        key = known.get((line.name, line.id))
        if key is None:
            continue
        if not _holds(key, note.text, line.data):
            raise InputError(
                "bad-note-signature", f'the signature of "{visible(key.name, 100)}" does not hold'
            )
        # A key that signed twice counts once, at the first time that it gives.
        found.setdefault(key, Signed(key=key, time=_time(key, line.data)))
    return tuple(found.values())


def _time(key: VerifierKey, data: bytes) -> int | None:
    return None if key.kind is Kind.ED25519 else int.from_bytes(data[:8], "big")


def _holds(key: VerifierKey, text: str, data: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    if len(data) != _SIGNATURE_SIZE[key.kind] or (key.kind is not Kind.ED25519 and data[0] & 0x80):
        return False
    time = _time(key, data)
    try:
        message = _message(key.name, key.kind, text, time or 0)
        _public(key).verify(data if time is None else data[8:], message)
    except (InvalidSignature, ValueError, InputError):
        return False
    return True


def _public(key: VerifierKey) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ed25519

    if key.kind is Kind.MLDSA44:
        return _mldsa().MLDSA44PublicKey.from_public_bytes(key.key)
    return ed25519.Ed25519PublicKey.from_public_bytes(key.key)


def _message(name: str, kind: Kind, text: str, time: int) -> bytes:
    """What a key of this kind signs. Raises `InputError` (`bad-checkpoint`): cosignatures are on checkpoints only."""
    if kind is Kind.ED25519:
        return text.encode()
    checkpoint = read_checkpoint(text)
    if kind is Kind.COSIGNATURE:
        return f"cosignature/v1\ntime {time}\n{text}".encode()
    origin, own = checkpoint.origin.encode(), name.encode()
    if len(origin) > 255:
        raise InputError("bad-checkpoint", "the origin is too long for a cosignature")
    # struct cosigned_message of tlog-cosignature: label, name, time, origin, start (0), end, hash
    return b"".join(
        (
            b"subtree/v1\n\x00",
            bytes((len(own),)) + own,
            time.to_bytes(8, "big"),
            bytes((len(origin),)) + origin,
            bytes(8),
            checkpoint.size.to_bytes(8, "big"),
            checkpoint.root,
        )
    )


# ---------------------------------------------------------------------------------------------------------- signing


class NoteSigner:
    """A private key with the name that it signs under. Never shown."""

    __slots__ = ("_key", "_seed", "vkey")

    def __init__(self, name: str, kind: Kind, seed: bytes) -> None:
        """From 32 secret bytes. Raises `TrustError` (`bad-vkey`), `UnavailableError` (`no-ml-dsa`)."""
        from cryptography.hazmat.primitives.asymmetric import ed25519

        if not is_name(name) or len(seed) != _SEED:
            raise TrustError("bad-vkey", f'"{visible(name, 80)}" cannot be the name of a key')
        self._seed = seed
        self._key: PrivateKey = (
            _mldsa().MLDSA44PrivateKey.from_seed_bytes(seed)
            if kind is Kind.MLDSA44
            else ed25519.Ed25519PrivateKey.from_private_bytes(seed)
        )
        self.vkey = VerifierKey(name=name, kind=kind, key=self._key.public_key().public_bytes_raw())

    def sign(self, text: str, time: int) -> Signature:
        """A line for the note. A cosigning key signs checkpoints, with the time; `InputError` (`bad-checkpoint`)."""
        made = self._key.sign(_message(self.vkey.name, self.vkey.kind, text, time))
        stamp = b"" if self.vkey.kind is Kind.ED25519 else time.to_bytes(8, "big")
        return Signature(name=self.vkey.name, id=self.vkey.id, data=stamp + made)

    def write(self) -> str:
        """The secret text that `read_signer` reads."""
        material = _base64(bytes((self.vkey.kind,)) + self._seed)
        return f"{_PRIVATE}{self.vkey.name}+{self.vkey.id:08x}+{material}"


def generate_signer(name: str, kind: Kind) -> NoteSigner:
    """A new key. Raises `TrustError` (`bad-vkey`) for an impossible name."""
    import secrets

    return NoteSigner(name, kind, secrets.token_bytes(_SEED))


def read_signer(text: str) -> NoteSigner:
    """A private key that `NoteSigner.write` wrote. Raises `TrustError` (`bad-vkey`), whose message has nothing of it."""
    if not text.startswith(_PRIVATE):
        raise TrustError("bad-vkey", "this is no private key of a log or witness")
    try:
        name, kind, seed = _read_key(text.removeprefix(_PRIVATE), "a private key")
    except TrustError:
        raise TrustError("bad-vkey", "the private key cannot be read") from None
    made = NoteSigner(name, kind, seed)
    if made.write() != text:
        raise TrustError("bad-vkey", "the private key does not have the id that is written")
    return made


def sign_note(text: str, signers: Iterable[NoteSigner], time: int) -> Note:
    """The text with a line of each signer."""
    return Note(text=text, signatures=tuple(signer.sign(text, time) for signer in signers))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _mldsa() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric import mldsa
    except ImportError:
        raise UnavailableError(
            "no-ml-dsa", "this cryptography library has no ML-DSA", "pip install -U cryptography"
        ) from None
    return mldsa
