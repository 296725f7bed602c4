"""Signers: one port, one implementation a file, found by the scheme of a URI.

`release.pem` and `file:release.pem` are PEM keys, `pkcs11:…` is a token (RFC 7512), `sigstore:` is keyless. A signer gets
bytes and gives bytes; it never sees the model. Several signers make several bundles side by side: tools disagree about
envelopes with more than one signature, so we never write one.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from weighbridge.core.errors import UsageError
from weighbridge.core.value import dataclass
from weighbridge.sign import bundle, dsse, keys
from weighbridge.sign.chain import load_chain


class Signer(Protocol):
    """Something that holds a private key."""

    @property
    def describe(self) -> str:
        """What it signs with, for screens: `key ECDSA P-256`. Contains `ECDSA` when every OMS tool can verify it."""

    def sign(self, pae: bytes) -> bytes:
        """The signature over these very bytes; ECDSA in DER. Raises `TrustError` and `UnavailableError`."""

    def material(self) -> dict[str, Any]:
        """The bundle's `verificationMaterial`, without timestamps."""


@runtime_checkable
class BundleSigner(Protocol):
    """A signer whose service decides over the whole bundle (Sigstore: certificate, signature and log entry are one)."""

    @property
    def describe(self) -> str:
        """See `Signer.describe`."""

    def sign_statement(self, payload: bytes) -> bytes:
        """A whole bundle over this in-toto statement, as JSON bytes."""


AnySigner: TypeAlias = Signer | BundleSigner


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerOptions:
    """What a signer may need besides its URI; each scheme takes what it knows."""

    password: bytes | str | None = None
    """Of an encrypted PEM key, or the token's PIN when the URI has none."""
    chain_pem: bytes = b""
    """Certificates, leaf first: signs as a certificate instead of a bare key."""
    trust_config_json: bytes = b""
    """Sigstore ClientTrustConfig."""
    identity_token: str | None = None
    """OIDC token for Sigstore; None for ambient credentials."""


class PemSigner:
    """Signs with a private key in PEM, as a bare key or, with `chain_pem`, as the certificate of that key."""

    def __init__(
        self, private_pem: bytes, password: bytes | str | None = None, chain_pem: bytes = b""
    ) -> None:
        """Raises `TrustError`: those of `keys.load_private`, `certificate-unreadable`, `certificate-of-other-key`."""
        self._key = keys.load_private(private_pem, password)
        self._public = self._key.public_key()
        self._chain = load_chain(chain_pem, self._public) if chain_pem else ()

    @property
    def describe(self) -> str:
        """`key ECDSA P-256` or `certificate ECDSA P-256`."""
        return f"{'certificate' if self._chain else 'key'} {keys.describe(self._public)}"

    @property
    def fingerprint(self) -> str:
        """See `keys.fingerprint`."""
        return keys.fingerprint(self._public)

    def sign(self, pae: bytes) -> bytes:
        """See `Signer.sign`."""
        return keys.sign(self._key, pae)

    def material(self) -> dict[str, Any]:
        """See `Signer.material`."""
        if self._chain:
            return bundle.certificate_material(self._chain)
        return bundle.key_material(keys.hint(self._public))


def open_signer(
    uri: str,
    *,
    password: bytes | str | None = None,
    chain_pem: bytes = b"",
    trust_config_json: bytes = b"",
    identity_token: str | None = None,
) -> AnySigner:
    """The signer that a URI names. Raises `UsageError` (`signer-unknown`, `no-such-path`) and `TrustError`."""
    options = SignerOptions(
        password=password,
        chain_pem=chain_pem,
        trust_config_json=trust_config_json,
        identity_token=identity_token,
    )
    scheme, colon, rest = uri.partition(":")
    if not colon or Path(uri).is_file():
        return _open_pem(uri, options)
    if scheme not in SIGNER_FOR_SCHEME:
        known = ", ".join(f"{name}:" for name in SIGNER_FOR_SCHEME)
        raise UsageError("signer-unknown", f'no signer for "{uri[:100]}"', f"a key file, or one of: {known}")
    return SIGNER_FOR_SCHEME[scheme](uri if scheme == "pkcs11" else rest, options)


def _open_pem(path: str, options: SignerOptions) -> AnySigner:
    try:
        with Path(path).open("rb") as file:
            pem = file.read(keys.MAX_PEM + 1)
    except OSError as error:
        raise UsageError("no-such-path", f'cannot read the key "{path}": {error.strerror}') from None
    return PemSigner(pem, options.password, options.chain_pem)


def _open_pkcs11(uri: str, options: SignerOptions) -> AnySigner:
    from weighbridge.sign.pkcs11 import Pkcs11Signer

    pin = options.password.decode() if isinstance(options.password, bytes) else options.password
    return Pkcs11Signer(uri, pin=pin, chain_pem=options.chain_pem)


def _open_sigstore(_uri: str, options: SignerOptions) -> AnySigner:
    from weighbridge.sign.sigstore import SigstoreSigner

    return SigstoreSigner(trust_config_json=options.trust_config_json, identity_token=options.identity_token)


SIGNER_FOR_SCHEME: dict[str, Callable[[str, SignerOptions], AnySigner]] = {
    "file": _open_pem,
    "pkcs11": _open_pkcs11,
    "sigstore": _open_sigstore,
}
"""Scheme → signer. A new kind of key store is one line here and one file beside this one."""


def sign_statement(
    payload: bytes, signer: AnySigner, *, timestamp: Callable[[bytes], bytes] | None = None
) -> bytes:
    """One bundle over an in-toto statement. `timestamp` gets the signature and gives an RFC 3161 token (DER)."""
    if isinstance(signer, BundleSigner):
        return signer.sign_statement(payload)
    envelope = dsse.Envelope(payload=payload, signature=signer.sign(dsse.pae(payload)))
    tokens = (timestamp(envelope.signature),) if timestamp else ()
    return bundle.write_bundle(envelope, signer.material(), tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signatures:
    """The files to write: `primary` at `model.sig` (or `FILE.sig`), `siblings` at the same name plus `.jsonl`."""

    primary: bytes
    """One bundle, which any OMS tool can read."""
    siblings: bytes | None = None
    """All bundles, one a line, the primary among them; None when there is one signer."""


def sign_all(
    payload: bytes, signers: Sequence[AnySigner], *, timestamp: Callable[[bytes], bytes] | None = None
) -> Signatures:
    """Sign one statement with every signer; the first that other tools verify (ECDSA) makes the primary bundle."""
    if not signers:
        raise UsageError("no-signer", "nobody to sign with")
    # `sorted` is stable: with equal keys the order of the command line stays.
    ordered = sorted(
        signers, key=lambda signer: not (isinstance(signer, BundleSigner) or "ECDSA" in signer.describe)
    )
    bundles = [sign_statement(payload, signer, timestamp=timestamp) for signer in ordered]
    return Signatures(
        primary=bundles[0], siblings=bundle.write_siblings(bundles) if len(bundles) > 1 else None
    )
