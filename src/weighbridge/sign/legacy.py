"""What model-signing 0.2 wrote (early 2025), which is still in use: other signed bytes and another statement.

Two of its rules are its bugs and are kept exactly, because signatures exist that were made with them: the
pre-authentication encoding says `DSSEV1` and holds the payload as Python prints bytes, and ECDSA hashes with SHA-256
whatever the curve. They count only for a statement of its own predicate type; OMS section 5.1 allows to read it and
forbids to write it.
"""

from typing import TYPE_CHECKING, Any

from weighbridge.core.errors import InputError
from weighbridge.sign import dsse, keys
from weighbridge.sign.fields import maybe, need, take

if TYPE_CHECKING:
    from weighbridge.sign.keys import PublicKey

PREDICATE = "https://model_signing/Digests/v0.1"

_BAD = "bad-statement"


def pae(payload: bytes) -> bytes:
    """The bytes that 0.2 signed. `repr` of bytes is one-to-one, so two payloads never share an encoding."""
    kind = dsse.PAYLOAD_TYPE
    return f"DSSEV1 {len(kind)} {kind} {len(payload)} {payload!r}".encode("ascii")


def verify(key: "PublicKey", payload: bytes, signature: bytes) -> bool:
    """Whether `signature` was made over `payload` by 0.2's rules."""
    encoded = pae(payload)
    return keys.verify(key, encoded, signature, hash_name="sha256") or keys.verify(key, encoded, signature)


def resources(document: dict[str, Any]) -> list[tuple[str, str]]:
    """(name, SHA-256 hex) of every file: 0.2 lists them as subjects. Raises `InputError`."""
    subjects = take(document, "subject", list, _BAD, "the statement")
    return [_resource(need(subject, dict, _BAD, "a subject")) for subject in subjects]


def _resource(subject: dict[str, Any]) -> tuple[str, str]:
    notes: dict[str, Any] = maybe(subject, "annotations", {}, _BAD)
    actual = notes.get("actual_hash_algorithm", "file-sha256")
    if actual != "file-sha256":
        # 0.2 wrote digests of any algorithm under the key "sha256" and said here which it was.
        raise InputError("algorithm-unknown", f'digests of "{str(actual)[:100]}" are not understood')
    digest = take(subject, "digest", dict, _BAD, "a subject")
    return take(subject, "name", str, _BAD, "a subject"), take(
        digest, "sha256", str, _BAD, "a subject's digest"
    )
