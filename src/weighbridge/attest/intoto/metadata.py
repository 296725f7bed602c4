"""Signed metadata of in-toto: a layout or a link, in the old wrapping (Metablock) or in DSSE, and whose keys made it.

A Metablock's signature is over the canonical JSON of OLPC (http://wiki.laptop.org/go/Canonical_JSON), DSSE's over its
pre-authentication encoding. Everything is read strictly: duplicate keys would let two readers see two layouts.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from weighbridge.core.errors import InputError
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.core.wire import read_json
from weighbridge.sign.dsse import PAYLOAD_TYPE, decode_base64, pae
from weighbridge.sign.fields import need, take

if TYPE_CHECKING:
    from collections.abc import Sequence

BAD = "bad-in-toto"
MAX_METADATA = 64 * 1024**2
MOST_SIGNATURES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """One file of metadata."""

    body: Mapping[str, Any]
    """The layout or link."""
    message: bytes
    """What was signed."""
    signatures: "tuple[tuple[str, bytes], ...]"
    """(key id as stated, signature)."""

    def is_signed_by(self, key: "Key") -> bool:
        """Whether any of the signatures is this key's; the stated key ids are not believed."""
        return any(key.verifies(signature, self.message) for _, signature in self.signatures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A public key of a layout's owner or of somebody who does a step."""

    id: str
    public: Any
    """Of `cryptography`: Ed25519, EC on a NIST curve, RSA of at least 2048 bits."""
    scheme: str = ""

    @property
    def identity(self) -> bytes:
        """The key itself, whatever it is called."""
        from cryptography.hazmat.primitives import serialization as form

        return bytes(self.public.public_bytes(form.Encoding.DER, form.PublicFormat.SubjectPublicKeyInfo))

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether the signature over the message is this key's."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding

        try:
            if isinstance(self.public, ed25519.Ed25519PublicKey):
                self.public.verify(signature, message)
            elif isinstance(self.public, ec.EllipticCurvePublicKey):
                sizes = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}
                self.public.verify(signature, message, ec.ECDSA(sizes[self.public.curve.key_size]))
            else:
                scheme = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)
                chosen = padding.PKCS1v15() if "pkcs1v15" in self.scheme else scheme
                self.public.verify(signature, message, chosen, hashes.SHA256())
        except InvalidSignature:
            return False
        return True


def read_signed(data: bytes, what: str) -> Signed:
    """A file of metadata. Raises `InputError` (`bad-in-toto`, `bad-json`, `duplicate-key`), `LimitError`."""
    document = need(read_json(data, what, limit=MAX_METADATA), dict, BAD, what)
    rows = [need(row, dict, BAD, "a signature") for row in take(document, "signatures", list, BAD, what)]
    if not 0 < len(rows) <= MOST_SIGNATURES:
        raise InputError(BAD, f"{what} has {len(rows)} signatures")
    if "payload" not in document:
        body = take(document, "signed", dict, BAD, what)
        signatures = [
            (take(row, "keyid", str, BAD, what), _hex(take(row, "sig", str, BAD, what))) for row in rows
        ]
        return Signed(body=body, message=canonical(body), signatures=tuple(signatures))
    if take(document, "payloadType", str, BAD, what) != PAYLOAD_TYPE:
        raise InputError("payload-type", f"{what} carries something else than in-toto's metadata")
    payload = decode_base64(take(document, "payload", str, BAD, what), "payload")
    body = need(read_json(payload, what, limit=MAX_METADATA), dict, BAD, what)
    signatures = [
        (str(row.get("keyid", "")), decode_base64(take(row, "sig", str, BAD, what), "sig")) for row in rows
    ]
    return Signed(body=body, message=pae(payload), signatures=tuple(signatures))


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise InputError(BAD, "a signature is no hex") from None


def canonical(value: Any) -> bytes:
    """Canonical JSON of OLPC: sorted keys, no spaces, whole numbers only, quotes and backslashes alone escaped."""
    try:
        return "".join(_parts(value)).encode("utf-8")
    except (RecursionError, UnicodeEncodeError):
        raise InputError(BAD, "the metadata has no canonical form: too deep, or no text") from None


def _parts(value: Any) -> "Sequence[str]":
    if isinstance(value, str):
        return ['"', value.replace("\\", "\\\\").replace('"', '\\"'), '"']
    if value is None or isinstance(value, bool):
        return [{None: "null", True: "true", False: "false"}[value]]
    if isinstance(value, int):
        return [str(value)]
    if isinstance(value, list):
        return ["[", ",".join("".join(_parts(item)) for item in value), "]"]
    if isinstance(value, dict):
        items = (f"{''.join(_parts(key))}:{''.join(_parts(value[key]))}" for key in sorted(value))
        return ["{", ",".join(items), "}"]
    raise InputError(BAD, "a number with a fraction has no canonical form")


def read_key(document: Mapping[str, Any], name: str) -> Key | None:
    """A key of a layout; None for a kind that is not understood (GPG). Raises `InputError` (`bad-in-toto`)."""
    kind, scheme = document.get("keytype"), str(document.get("scheme", ""))
    value = need(document.get("keyval"), dict, BAD, f'the key "{visible(name, 20)}"').get("public")
    if (
        kind not in ("ed25519", "ecdsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "rsa")
        or "gpg" in scheme
    ):
        return None
    text = need(value, str, BAD, f'the key "{visible(name, 20)}"')
    return Key(id=name, public=_ed25519(text) if kind == "ed25519" else _pem(text.encode()), scheme=scheme)


def key_of_pem(pem: bytes) -> Key:
    """The key of a layout's owner. Raises `InputError` (`bad-in-toto`)."""
    return Key(id="", public=_pem(pem))


def _ed25519(text: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
    except ValueError:
        raise InputError(BAD, "an Ed25519 key has 32 bytes as hex") from None


def _pem(pem: bytes) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise InputError(BAD, "a key is no public key in PEM") from None
    curve = isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size in (256, 384, 521)
    large = isinstance(key, rsa.RSAPublicKey) and 2048 <= key.key_size <= 16384
    if not (curve or large or isinstance(key, ed25519.Ed25519PublicKey)):
        raise InputError(BAD, "a key is of a kind or size that is not accepted")
    return key
