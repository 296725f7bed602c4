"""PKCS#11: signing with a key that never leaves its token. Keys are named by RFC 7512 URIs.

    pkcs11:token=release;object=model-key?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=/run/pin

The token signs with CKM_ECDSA over the hash of the bytes (it hashes nothing itself, so that a bundle of any size is one
short call); its r‖s answer becomes the DER that every other verifier expects, and is verified before it is handed out.
Needs the extra `hsm`.

The module is code that runs inside this process: its path is the caller's to name, absolute, and is never guessed. A PIN
is looked for in the argument (which doors fill from the environment or a prompt), in `pin-value`, in the file that
`pin-source` names; no message and no representation ever shows it. Not here: creating keys, certificates on the token.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, unquote_to_bytes

from weighbridge.core.errors import TrustError, UnavailableError, UsageError
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.sign import bundle, keys
from weighbridge.sign.chain import load_chain

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

PATH_ATTRIBUTES = ("token", "serial", "manufacturer", "model", "object", "id", "type")
"""What we understand before the `?` (RFC 7512 section 2.3); one that we do not could select another key."""
QUERY_ATTRIBUTES = ("module-path", "pin-value", "pin-source")
MAX_PIN = 256

_HASH_OF_CURVE = {"secp256r1": "sha256", "secp384r1": "sha384", "secp521r1": "sha512"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pkcs11Uri:
    """A private key on a token. Empty fields match anything; what they leave must be exactly one key."""

    module_path: str
    token: str = ""
    serial: str = ""
    manufacturer: str = ""
    model: str = ""
    object: str = ""
    id: bytes = b""
    pin: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, uri: str) -> "Pkcs11Uri":
        """Read a URI. Raises `UsageError` (`pkcs11-uri`); the message never contains the PIN."""
        scheme, _, rest = uri.partition(":")
        if scheme.lower() != "pkcs11":
            raise _bad_uri("a PKCS#11 URI begins with pkcs11:")
        path, _, query = rest.partition("?")
        where = _attributes(path, ";", PATH_ATTRIBUTES)
        how = _attributes(query, "&", QUERY_ATTRIBUTES)
        if where.pop("type", "private") != "private":
            raise _bad_uri("only type=private can sign")
        module_path = unquote(how.get("module-path", ""))
        if not Path(module_path).is_absolute():
            raise _bad_uri("module-path has to name the token's library with an absolute path")
        if not (where.get("object") or where.get("id")):
            raise _bad_uri("object or id has to name the key")
        identifier = unquote_to_bytes(where.pop("id", ""))
        names = {name: unquote(value) for name, value in where.items()}
        return cls(module_path=module_path, id=identifier, pin=_pin(how), **names)

    @property
    def name(self) -> str:
        """The key's name for screens: `token "release", key "model-key"`."""
        key = visible(self.object, 100) or self.id.hex()
        return f'token "{visible(self.token or self.serial, 100) or "any"}", key "{key}"'


def _attributes(text: str, separator: str, known: tuple[str, ...]) -> dict[str, str]:
    """`name=value` pairs, each once, values still percent-encoded."""
    found: dict[str, str] = {}
    for pair in filter(None, text.split(separator)):
        name, equals, value = pair.partition("=")
        if name not in known:
            guess = get_close_matches(name, known, 1)
            raise _bad_uri(f'unknown attribute "{visible(name, 50)}"', *(f"{one}=…" for one in guess))
        if not equals or name in found:
            raise _bad_uri(f'"{name}" needs exactly one value')
        found[name] = value
    return found


def _pin(query: dict[str, str]) -> str | None:
    if "pin-value" in query and "pin-source" in query:
        raise _bad_uri("pin-value and pin-source exclude each other")
    if "pin-source" not in query:
        return unquote(query["pin-value"]) if "pin-value" in query else None
    path = unquote(query["pin-source"]).removeprefix("file://").removeprefix("file:")
    try:
        with Path(path).open("rb") as file:
            return file.read(MAX_PIN).decode("utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise UsageError("pin-source", f'cannot read the PIN from "{visible(path, 200)}": {reason}') from None


def _bad_uri(why: str, *hints: str) -> UsageError:
    example = "pkcs11:token=NAME;object=KEY?module-path=/usr/lib/softhsm/libsofthsm2.so"
    return UsageError("pkcs11-uri", why, *(hints or (example,)))


class Pkcs11Signer:
    """A `Signer` whose key lives on a token; as a bare key or, with `chain_pem`, as the certificate of that key."""

    def __init__(self, uri: str, pin: str | None = None, chain_pem: bytes = b"") -> None:
        """Log in once and read the public key.

        Raises `UsageError` (`pkcs11-uri`, `pin-source`), `UnavailableError` (`extra-missing`, `token-unavailable`) and
        `TrustError` (`pin-missing`, `pin-wrong`, `token-key`, `key-unsupported`, those of the certificates).
        """
        self._uri = Pkcs11Uri.parse(uri)
        self._pin = pin if pin is not None else self._uri.pin
        with self._session() as session:
            _find_key(session, self._uri, private=True)
            self._public = _public_key(session, self._uri)
        self._chain = load_chain(chain_pem, self._public) if chain_pem else ()

    @property
    def describe(self) -> str:
        """`key ECDSA P-256 on token "release", key "model-key"`."""
        kind = "certificate" if self._chain else "key"
        return f"{kind} {keys.describe(self._public)} on {self._uri.name}"

    @property
    def fingerprint(self) -> str:
        """See `keys.fingerprint`."""
        return keys.fingerprint(self._public)

    def sign(self, pae: bytes) -> bytes:
        """See `Signer.sign`."""
        import pkcs11

        digest = hashlib.new(_HASH_OF_CURVE[self._public.curve.name], pae).digest()
        with self._session() as session:
            key = _find_key(session, self._uri, private=True)
            signature = _der(key.sign(digest, mechanism=pkcs11.Mechanism.ECDSA))
        if not keys.verify(self._public, pae, signature):
            raise TrustError(
                "token-key", f"{self._uri.name}: the private key does not belong to the public one"
            )
        return signature

    def material(self) -> dict[str, Any]:
        """See `Signer.material`."""
        if self._chain:
            return bundle.certificate_material(self._chain)
        return bundle.key_material(keys.hint(self._public))

    @contextmanager
    def _session(self) -> Iterator[Any]:
        """A logged-in session; whatever the token says becomes one of our errors."""
        library = _library(self._uri.module_path)
        import pkcs11

        try:
            token = _find_token(library, self._uri)
            needs_pin = bool(token.flags & pkcs11.TokenFlag.LOGIN_REQUIRED)
            if needs_pin and not self._pin:
                raise TrustError(
                    "pin-missing", f"{self._uri.name}: the token wants its PIN", "give its password"
                )
            with token.open(user_pin=self._pin if needs_pin else None) as session:
                yield session
        except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange):
            raise TrustError("pin-wrong", f"{self._uri.name}: the PIN is wrong") from None
        except pkcs11.PinLocked:
            raise TrustError(
                "pin-locked", f"{self._uri.name}: the PIN is locked after too many tries"
            ) from None
        except pkcs11.PKCS11Error as error:
            raise UnavailableError("token-unavailable", f"{self._uri.name}: {_said(error)}") from None


def _library(path: str) -> Any:
    try:
        import pkcs11
    except ImportError:
        raise UnavailableError(
            "extra-missing", "PKCS#11 tokens need python-pkcs11", 'pip install "weighbridge[hsm]"'
        ) from None
    try:
        return pkcs11.lib(path)
    except (RuntimeError, OSError) as error:
        raise UnavailableError(
            "token-unavailable", f'PKCS#11 module "{visible(path, 200)}": {_said(error)}'
        ) from None


def _find_token(library: Any, uri: Pkcs11Uri) -> Any:
    tokens = [slot.get_token() for slot in library.get_slots(token_present=True)]
    found = [token for token in tokens if _matches(token, uri)]
    if len(found) != 1:
        raise UnavailableError(
            "token-unavailable", f"{uri.name}: {len(found) or 'no'} tokens match, wanted 1"
        )
    return found[0]


def _matches(token: Any, uri: Pkcs11Uri) -> bool:
    serial = token.serial.decode("ascii", "replace")
    pairs = (
        (uri.token, token.label),
        (uri.serial, serial),
        (uri.manufacturer, token.manufacturer_id),
        (uri.model, token.model),
    )
    return all(not wanted or wanted == str(given).strip() for wanted, given in pairs)


def _find_key(session: Any, uri: Pkcs11Uri, *, private: bool) -> Any:
    """The one key that the URI names. Raises `TrustError` (`token-key`)."""
    from pkcs11 import Attribute, ObjectClass

    template: dict[Any, Any] = {
        Attribute.CLASS: ObjectClass.PRIVATE_KEY if private else ObjectClass.PUBLIC_KEY
    }
    if uri.object:
        template[Attribute.LABEL] = uri.object
    if uri.id:
        template[Attribute.ID] = uri.id
    found = list(session.get_objects(template))
    if len(found) != 1:
        kind = "private" if private else "public"
        raise TrustError("token-key", f"{uri.name}: {len(found) or 'no'} {kind} keys match, wanted 1")
    return found[0]


def _public_key(session: Any, uri: Pkcs11Uri) -> "ec.EllipticCurvePublicKey":
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_der_public_key
    from pkcs11 import KeyType
    from pkcs11.util.ec import encode_ec_public_key

    found = _find_key(session, uri, private=False)
    if found.key_type is not KeyType.EC:
        raise TrustError(
            "key-unsupported", f"{uri.name}: {found.key_type.name} keys are not supported on tokens"
        )
    try:
        public = keys.supported_public(load_der_public_key(encode_ec_public_key(found)))
    except ValueError as error:
        raise TrustError("token-key", f"{uri.name}: the public key cannot be read: {_said(error)}") from None
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise TrustError("key-unsupported", f"{uri.name}: only ECDSA keys are supported on tokens")
    return public


def _der(signature: bytes) -> bytes:
    """PKCS#11's r‖s as DER Ecdsa-Sig-Value (RFC 3279 section 2.2.3)."""
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    half = len(signature) // 2
    return encode_dss_signature(
        int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    )


def _said(error: Exception) -> str:
    """What the library said: its exceptions often carry no more than their name."""
    return visible(str(error), 200) or type(error).__name__
