"""DSSE v1: what exactly is signed (the pre-authentication encoding) and the envelope that carries it.

Spec: github.com/secure-systems-lab/dsse, protocol.md and envelope.md v1.0, narrowed as OMS section 6.7 does: one
payload type, one signature. Nothing here verifies a signature or looks into the payload; both stay bytes.
"""

import base64
import binascii
from typing import Any

from weighbridge.core.errors import InputError
from weighbridge.core.value import dataclass
from weighbridge.sign.fields import maybe, need, take

PAYLOAD_TYPE = "application/vnd.in-toto+json"

_BAD = "bad-envelope"


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A payload and the one signature over it."""

    payload: bytes
    """The signed bytes, never canonicalised or written anew."""
    signature: bytes
    payload_type: str = PAYLOAD_TYPE
    keyid: str = ""
    """Kept, and used for nothing: who signed follows from the caller's anchors alone."""


def pae(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """The pre-authentication encoding: `DSSEv1 LEN(type) type LEN(payload) payload`, the bytes that are signed."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def read_envelope(value: Any) -> Envelope:
    """The envelope in decoded JSON.

    Raises `InputError`: `bad-envelope`, `bad-base64`, `payload-type`, `no-signatures`, `several-signatures`.
    """
    document = need(value, dict, _BAD, "the envelope")
    payload_type = take(document, "payloadType", str, _BAD, "the envelope")
    if payload_type != PAYLOAD_TYPE:
        raise InputError(
            "payload-type", f'the signed payload is "{payload_type[:100]}", not "{PAYLOAD_TYPE}"'
        )
    signature = _only_signature(take(document, "signatures", list, _BAD, "the envelope"))
    return Envelope(
        payload=decode_base64(take(document, "payload", str, _BAD, "the envelope"), "payload"),
        signature=decode_base64(take(signature, "sig", str, _BAD, "the signature"), "sig"),
        payload_type=payload_type,
        keyid=maybe(signature, "keyid", "", _BAD),
    )


def _only_signature(signatures: list[Any]) -> dict[str, Any]:
    if not signatures:
        raise InputError("no-signatures", "the envelope carries no signature")
    if len(signatures) > 1:
        # Tools disagree about which of several they check (first, any, all), so several are worth none.
        # Several signers write several bundles side by side instead.
        raise InputError(
            "several-signatures", f"the envelope carries {len(signatures)} signatures, exactly 1 is allowed"
        )
    return need(signatures[0], dict, _BAD, "the signature")


def write_envelope(envelope: Envelope) -> dict[str, Any]:
    """The JSON value of an envelope; `read_envelope(write_envelope(e)) == e`."""
    return {
        "payload": encode_base64(envelope.payload),
        "payloadType": envelope.payload_type,
        "signatures": [{"sig": encode_base64(envelope.signature), "keyid": envelope.keyid}],
    }


def encode_base64(data: bytes) -> str:
    """Standard base64 with padding (RFC 4648 section 4)."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str, what: str) -> bytes:
    """The bytes of standard base64, not empty. Raises `InputError` (`bad-base64`).

    Only the canonical text is accepted: no line breaks, no missing padding, no stray bits in the last character,
    so that a bundle cannot be changed without changing what it says.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data or encode_base64(data) != text:
        raise InputError("bad-base64", f'"{what}" is empty or not standard base64')
    return data
