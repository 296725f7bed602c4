"""Sigstore: keyless signatures, checked offline under a trusted root that the caller gives. Needs the extra `keyless`.

The `sigstore` library does the whole check (certificate chain at the logged time, SCT, inclusion proof and checkpoint,
inclusion promise, signature, entry against envelope). This file chooses what it checks against: the trusted root,
identity and issuer of the caller's anchors, never anything the bundle says, and never a trusted root from the network or
from the library's own cache.

Signing is the one thing here that needs the network: a certificate for the identity token's holder, and a log entry.
Which services are asked stands in the given ClientTrustConfig. Not here: getting an identity token through a browser.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from weighbridge.core.errors import InputError, LimitError, TrustError, UnavailableError, UsageError
from weighbridge.core.evidence import Outcome
from weighbridge.core.text import visible
from weighbridge.core.wire import read_json
from weighbridge.sign import keys
from weighbridge.sign.anchor import SignerCheck, SigstoreAnchor, TimestampAuthority
from weighbridge.sign.certificates import leaf_names, load_chain
from weighbridge.sign.dsse import decode_base64, read_envelope

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

MAX_BUNDLE = 64 * 1024**2


def check_bundle(bundle_json: bytes, anchors: Sequence[SigstoreAnchor]) -> SignerCheck:
    """Who signed this bundle, if it is one of these identities. UNKNOWN (`extra-missing`) without the library.

    Raises `TrustError` (`trusted-root-unreadable`, `anchor-incomplete`) where an anchor of ours cannot be used.
    """
    return match_bundle(bundle_json, anchors)[1]


def match_bundle(
    bundle_json: bytes, anchors: Sequence[SigstoreAnchor]
) -> tuple[tuple[SigstoreAnchor, ...], SignerCheck]:
    """All anchors that made the bundle's signature (one person may stand under several), and the check of the first."""
    try:
        document = read_json(bundle_json, "the bundle", limit=MAX_BUNDLE)
        payload = read_envelope(document["dsseEnvelope"]).payload
    except (InputError, LimitError) as error:
        return (), _refuse(error.code, error.message)
    except (KeyError, TypeError):
        return (), _refuse("no-envelope", "the bundle has no DSSE envelope")
    if not _installed():
        return (), _refuse(
            "extra-missing", 'Sigstore bundles need: pip install "weighbridge[keyless]"', unknown=True
        )
    refusal = _refuse("signer-unknown", "signed with Sigstore, and no Sigstore identity is trusted")
    for root, group in groupby(sorted(anchors, key=_root), key=_root):
        found, check = _check_under(bundle_json, payload, document, root, tuple(group))
        if found:
            return found, check
        refusal = check
    return (), refusal


def _root(anchor: SigstoreAnchor) -> bytes:
    return anchor.trusted_root_json


def _installed() -> bool:
    try:
        import sigstore.verify  # noqa: F401 - only whether it is there
    except ImportError:
        return False
    return True


def _check_under(
    bundle_json: bytes, payload: bytes, document: Any, root: bytes, anchors: tuple[SigstoreAnchor, ...]
) -> tuple[tuple[SigstoreAnchor, ...], SignerCheck]:
    """The check under one trusted root."""
    from sigstore.errors import Error
    from sigstore.models import Bundle
    from sigstore.verify import Verifier

    trusted = _trusted_root(root, anchors[0].name)
    wanted = _Identities(anchors)
    try:
        bundle = Bundle.from_json(bundle_json)
        _, verified = Verifier(trusted_root=trusted).verify_dsse(bundle, wanted)
    except (Error, ValueError) as error:
        # ValueError is how the library's models refuse a bundle that is not of their form.
        return (), _refusal(error, wanted)
    except Exception as error:  # a hostile certificate can raise anything inside the library; it never passes
        why = f"the Sigstore library could not judge it: {type(error).__name__}: {visible(str(error), 150)}"
        return (), _refuse("sigstore-broken", why, unknown=True)
    if verified != payload:
        return (), _refuse("bundle-ambiguous", "two readers of this bundle see different payloads")
    return wanted.found, _accept(bundle.signing_certificate, document, wanted.found[0])


class _Identities:
    """A `VerificationPolicy` that any of the anchors may meet, and that remembers which did."""

    def __init__(self, anchors: tuple[SigstoreAnchor, ...]) -> None:
        for anchor in anchors:
            # The library takes an empty issuer as "any issuer", who could then vouch for any name.
            if not (anchor.identity and anchor.issuer):
                raise TrustError(
                    "anchor-incomplete", f'Sigstore identity "{anchor.name}" needs identity and issuer'
                )
        self._anchors = anchors
        self.found: tuple[SigstoreAnchor, ...] = ()
        self.names: tuple[str, ...] = ()
        """What the certificate says instead, when nobody is found."""

    def verify(self, cert: "Certificate") -> None:
        """Raises the library's `VerificationError` when the certificate is nobody's."""
        from sigstore.errors import VerificationError

        self.found = tuple(anchor for anchor in self._anchors if _is(cert, anchor))
        if not self.found:
            self.names = _names(cert)
            raise VerificationError("identity")


def _is(cert: "Certificate", anchor: SigstoreAnchor) -> bool:
    from sigstore.errors import VerificationError
    from sigstore.verify import policy

    try:
        policy.Identity(identity=anchor.identity, issuer=anchor.issuer).verify(cert)
    except VerificationError:
        return False
    return True


def _names(cert: "Certificate") -> tuple[str, ...]:
    issuer = next(
        (one.value.value for one in cert.extensions if one.oid.dotted_string == "1.3.6.1.4.1.57264.1.1"), b"?"
    )
    return (
        *leaf_names(cert, with_common_name=False)[:3],
        f"issuer {issuer.decode('utf-8', 'backslashreplace')}",
    )


def _refusal(error: Exception, wanted: _Identities) -> SignerCheck:
    if wanted.names:
        said = ", ".join(visible(name, 100) for name in wanted.names)
        return _refuse("signer-unknown", f"signed with Sigstore by {said}, who is not trusted here")
    text = visible(str(error), 200)
    for code, signs in _CODES.items():
        if any(sign in str(error).lower() for sign in signs):
            return _refuse(code, f"the Sigstore bundle does not verify: {text}")
    return _refuse("sigstore-invalid", f"the Sigstore bundle does not verify: {text}")


_CODES = {
    "signature-wrong": ("dsse: invalid signature",),
    "certificate-untrusted": ("certificate chain", "sct"),
    "no-trusted-time": ("verified time", "timestamp"),
    "log-entry-wrong": ("inclusion", "checkpoint", "log entry", "transparency", "rekor", "set:"),
}
"""Our code for what the library says, first match wins."""


def _accept(cert: "Certificate", document: Any, anchor: SigstoreAnchor) -> SignerCheck:
    time = _log_time(document) or _stamp_time(document, anchor)
    return SignerCheck(
        outcome=Outcome.PASS,
        why=f"signed by {anchor.name}",
        by=anchor.name,
        roles=anchor.roles,
        how=f"sigstore, {visible(anchor.identity, 200)} according to {visible(anchor.issuer, 200)}",
        key=keys.fingerprint(keys.supported_public(cert.public_key())),
        time=time,
    )


def _log_time(document: Any) -> datetime | None:
    """When the log says it was entered; the inclusion promise, which the library verified, covers this time."""
    entry = document["verificationMaterial"]["tlogEntries"][0]
    if not (entry.get("inclusionPromise") and entry.get("integratedTime")):
        return None
    return datetime.fromtimestamp(int(entry["integratedTime"]), tz=UTC)


def _stamp_time(document: Any, anchor: SigstoreAnchor) -> datetime | None:
    """The time of an RFC 3161 timestamp by an authority of the same trusted root."""
    from weighbridge.sign.timestamps import check_timestamps

    stamps = (document["verificationMaterial"].get("timestampVerificationData") or {}).get(
        "rfc3161Timestamps"
    ) or []
    tokens = [decode_base64(stamp["signedTimestamp"], "signedTimestamp") for stamp in stamps]
    signature = read_envelope(document["dsseEnvelope"]).signature
    return check_timestamps(tokens, signature, tuple(_authorities(anchor.trusted_root_json)))[0]


def _authorities(trusted_root_json: bytes) -> Iterator[TimestampAuthority]:
    from cryptography.hazmat.primitives.serialization import Encoding

    root = read_json(trusted_root_json, "the trusted root")
    for number, authority in enumerate(root.get("timestampAuthorities") or []):
        raw = [decode_base64(one["rawBytes"], "rawBytes") for one in authority["certChain"]["certificates"]]
        pem = b"".join(one.public_bytes(Encoding.PEM) for one in load_chain(raw))
        yield TimestampAuthority(
            name=f"time-stamping authority {number + 1} of the trusted root", roots_pem=pem
        )


def load_trusted_root(data: bytes, name: str) -> None:
    """Look whether a trusted root can be used, without the library: strict JSON with the parts that verification needs.

    Raises `TrustError` (`trusted-root-unreadable`).
    """
    try:
        document = read_json(data, "the trusted root")
    except (InputError, LimitError) as error:
        raise TrustError("trusted-root-unreadable", f'trusted root of "{name}": {error.message}') from None
    lacking = [part for part in ("mediaType", "tlogs", "certificateAuthorities") if not _has(document, part)]
    if lacking:
        raise TrustError("trusted-root-unreadable", f'trusted root of "{name}" has no "{lacking[0]}"')


def _has(document: Any, part: str) -> bool:
    return isinstance(document, dict) and bool(document.get(part))


def _trusted_root(data: bytes, name: str) -> Any:
    from sigstore.errors import Error
    from sigstore.models import TrustedRoot
    from sigstore_models.trustroot.v1 import TrustedRoot as Model

    load_trusted_root(data, name)
    try:
        return TrustedRoot(Model.from_json(data))
    except (Error, ValueError) as error:
        why = visible(str(error).splitlines()[0], 200)
        raise TrustError("trusted-root-unreadable", f'trusted root of "{name}": {why}') from None


def _refuse(code: str, why: str, *, unknown: bool = False) -> SignerCheck:
    return SignerCheck(
        outcome=Outcome.UNKNOWN if unknown else Outcome.FAIL, why=why, code=code, how="sigstore"
    )


class SigstoreSigner:
    """A `BundleSigner`: signs with a key that lives for minutes, in a certificate that names the token's holder."""

    def __init__(self, trust_config_json: bytes, identity_token: str | None = None) -> None:
        """Read the configuration; nothing is asked of the network yet.

        Raises `UsageError` (`trust-config-missing`), `TrustError` (`trust-config-unreadable`) and `UnavailableError`
        (`extra-missing`).
        """
        if not trust_config_json:
            raise UsageError(
                "trust-config-missing", "keyless signing needs a Sigstore client trust configuration (JSON)"
            )
        self._config = _client_config(trust_config_json)
        self._token = identity_token

    @property
    def describe(self) -> str:
        """What it signs with, for screens."""
        return "sigstore, keyless"

    def sign_statement(self, payload: bytes) -> bytes:
        """A whole bundle over this in-toto statement.

        Raises `UnavailableError` (`identity-token-missing`, `sigstore-unavailable`) and `TrustError`
        (`identity-token-unusable`, `sigstore-refused`). No message contains the token.
        """
        from sigstore.dsse import Statement
        from sigstore.sign import SigningContext

        token = _identity_token(self._token)
        try:
            with SigningContext.from_trust_config(self._config).signer(token) as signer:
                bundle = signer.sign_dsse(Statement(payload)).to_json().encode("utf-8")
        except (
            Exception
        ) as error:  # requests, urllib3 and pydantic speak through it, and each has its own tree
            raise _sign_error(error) from None
        if (
            read_envelope(read_json(bundle, "the bundle", limit=MAX_BUNDLE)["dsseEnvelope"]).payload
            != payload
        ):
            raise TrustError("sigstore-refused", "the bundle that came back is over something else")
        return bundle


def _client_config(data: bytes) -> Any:
    try:
        from sigstore.errors import Error
        from sigstore.models import ClientTrustConfig
    except ImportError:
        raise UnavailableError(
            "extra-missing",
            "keyless signing needs the sigstore library",
            'pip install "weighbridge[keyless]"',
        ) from None
    try:
        read_json(data, "the client trust configuration")
        config = ClientTrustConfig.from_json(data.decode("utf-8"))
        _ = config.trusted_root, config.signing_config
    except (InputError, LimitError) as error:
        raise TrustError("trust-config-unreadable", error.message) from None
    except (Error, ValueError) as error:
        why = visible(str(error).splitlines()[0], 200)
        raise TrustError("trust-config-unreadable", f"the client trust configuration: {why}") from None
    return config


def _identity_token(given: str | None) -> Any:
    """The token that was given, else the one that a CI service offers this job."""
    from sigstore.oidc import IdentityError, IdentityToken, detect_credential

    try:
        raw = given or detect_credential()
    except Exception as error:  # the detector of each CI service raises its own kind
        raise UnavailableError(
            "identity-token-missing", f"no identity token: {visible(str(error), 200)}"
        ) from None
    if not raw:
        raise UnavailableError(
            "identity-token-missing",
            "keyless signing needs an identity token",
            "WEIGHBRIDGE_IDENTITY_TOKEN=…",
        )
    try:
        return IdentityToken(raw)
    except IdentityError as error:
        raise TrustError("identity-token-unusable", visible(str(error), 200).lower()) from None


def _sign_error(error: Exception) -> UnavailableError | TrustError:
    from sigstore.errors import NetworkError

    said = visible(str(error) or type(error).__name__, 200)
    if isinstance(error, (OSError, NetworkError)):  # whatever `requests` raises is an OSError
        return UnavailableError("sigstore-unavailable", f"the Sigstore services could not be asked: {said}")
    return TrustError("sigstore-refused", f"the Sigstore services refused: {said}")
