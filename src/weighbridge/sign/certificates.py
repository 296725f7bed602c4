"""Certificate chains: does this leaf, at this time, speak for somebody the caller trusts?

Path validation after RFC 5280 section 6, in named steps, so that a refusal can say which one failed. Trust starts at the
root certificates of the caller's anchors alone: never at the web's roots, never at a certificate that came in a bundle.
`cryptography`'s own verifier then has to agree (it also evaluates name constraints), wherever it knows the algorithms.

Usage: a leaf needs key usage digitalSignature where it has that extension, extended key usage codeSigning where it has
that one, and at least one of the two: a certificate made for TLS alone is refused. `anyExtendedKeyUsage` does not count.

Deliberately not here: fetching (OCSP, CRL distribution points, missing intermediates), certificate policies, and
self-signed leaves: pin their public key instead.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from weighbridge.core.errors import InputError, TrustError
from weighbridge.core.evidence import Outcome
from weighbridge.core.text import visible
from weighbridge.sign.anchor import CertificateAnchor, SignerCheck
from weighbridge.sign.keys import describe, fingerprint, supported_public

if TYPE_CHECKING:
    from cryptography import x509

    from weighbridge.sign.keys import PublicKey

MAX_CERTIFICATES = 16
"""Certificates that one bundle may bring."""
MAX_CERTIFICATE_BYTES = 64 * 1024
MAX_DEPTH = 8
"""Certificates in one path, root included."""
MAX_STEPS = 64
"""Path extensions tried for one anchor; certificates that all sign each other end here."""
FIRST_PLAUSIBLE_YEAR, LAST_PLAUSIBLE_YEAR = 1990, 2100
"""A clock outside these years is broken, and so is every judgement about validity made by it."""

Path = tuple["x509.Certificate", ...]
"""Leaf first, trusted root last."""
Refusal = tuple[int, SignerCheck]
"""How many steps were passed before, and the refusal: the one that came furthest explains most."""


def check_chain(
    chain_der: Sequence[bytes], anchors: Sequence[CertificateAnchor], at: datetime
) -> tuple[CertificateAnchor | None, SignerCheck]:
    """The anchor that the chain's leaf speaks for at the time `at`; None unless the check passes.

    `at` is a trusted signing time where there is one, else now. `chain_der` has the leaf first; roots in it are no
    more than hints. Raises `TrustError` where an anchor's own files cannot be read.
    """
    if implausible(at):
        return None, _refuse(
            "clock-implausible", f"the clock says {at:%Y}: validity cannot be judged", unknown=True
        )
    try:
        chain = load_chain(chain_der)
        return _best(chain, anchors, at)
    except InputError as error:
        return None, _refuse(error.code, error.message)


def load_chain(chain_der: Sequence[bytes]) -> "list[x509.Certificate]":
    """The certificates of a bundle. Raises `InputError` (`certificate-malformed`)."""
    if not 1 <= len(chain_der) <= MAX_CERTIFICATES:
        raise InputError(
            "certificate-malformed", f"{len(chain_der)} certificates, expected 1 to {MAX_CERTIFICATES}"
        )
    return [_load(der) for der in chain_der]


def leaf_public_key(chain_der: Sequence[bytes]) -> "PublicKey":
    """The public key of the first certificate. Raises `InputError` (`certificate-malformed`, `certificate-algorithm`)."""
    from cryptography.exceptions import UnsupportedAlgorithm

    leaf = load_chain(chain_der[:1])[0]
    try:
        return supported_public(leaf.public_key())
    except (ValueError, UnsupportedAlgorithm, TrustError) as error:
        raise InputError("certificate-algorithm", f"the key of {subject(leaf)}: {_short(error)}") from None


def load_roots(pem: bytes, name: str) -> "list[x509.Certificate]":
    """The root certificates of an anchor. Raises `TrustError` (`certificate-unreadable`)."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise TrustError(
            "certificate-unreadable", f'root certificates of "{name}": {_short(error)}'
        ) from None


def load_crl(data: bytes, name: str) -> "x509.CertificateRevocationList":
    """A certificate revocation list in PEM or DER. Raises `TrustError` (`crl-unreadable`)."""
    from cryptography import x509

    try:
        crl = x509.load_pem_x509_crl(data) if b"-----BEGIN" in data else x509.load_der_x509_crl(data)
        _ = crl.issuer, crl.next_update_utc, crl.extensions  # parsed when first asked for: see `_load`
        return crl  # noqa: TRY300 - one statement reads better than an else branch
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise TrustError("crl-unreadable", f'revocation list of "{name}": {_short(error)}') from None


def leaf_names(leaf: "x509.Certificate", *, with_common_name: bool = True) -> tuple[str, ...]:
    """Every name a leaf claims: SAN e-mail, URI and DNS, then the subject's common name."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    kinds = (x509.RFC822Name, x509.UniformResourceIdentifier, x509.DNSName)
    san = _extension(leaf, x509.SubjectAlternativeName)
    names = [str(one.value) for one in san if isinstance(one, kinds)] if san is not None else []
    common = [str(one.value) for one in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return tuple(names + common) if with_common_name else tuple(names)


def implausible(at: datetime) -> bool:
    """True when a clock that says `at` cannot be right."""
    return not FIRST_PLAUSIBLE_YEAR <= at.year < LAST_PLAUSIBLE_YEAR


def _best(
    chain: "Sequence[x509.Certificate]", anchors: Sequence[CertificateAnchor], at: datetime
) -> tuple[CertificateAnchor | None, SignerCheck]:
    """The first anchor and path that pass, else the refusal that came furthest."""
    best: Refusal = (-1, _refuse("certificate-untrusted", _untrusted(chain[0])))
    for anchor in anchors:
        for path in _paths(chain, load_roots(anchor.roots_pem, anchor.name)):
            refusal = _judge(path, anchor, at)
            if refusal is None:
                return anchor, _accept(path, anchor)
            best = max(best, refusal, key=lambda one: one[0])
    return None, best[1]


def _paths(chain: "Sequence[x509.Certificate]", roots: "Sequence[x509.Certificate]") -> Iterator[Path]:
    """Paths from the leaf to a root in which each certificate signed the one before; shortest first, bounded."""
    queue: deque[Path] = deque([(chain[0],)])
    for _ in range(MAX_STEPS):
        if not queue:
            return
        path = queue.popleft()
        yield from ((*path, root) for root in roots if root not in path and _issued(path[-1], root))
        if len(path) < MAX_DEPTH - 1:
            queue.extend((*path, one) for one in chain[1:] if one not in path and _issued(path[-1], one))


def _issued(certificate: "x509.Certificate", issuer: "x509.Certificate") -> bool:
    """True when the names meet and the issuer's key made the signature."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _judge(path: Path, anchor: CertificateAnchor, at: datetime) -> Refusal | None:
    """The first step that the path fails, with its place in the order; None when it passes them all."""
    from cryptography.exceptions import UnsupportedAlgorithm

    steps = (_refuse_name, _refuse_usage, _refuse_algorithm, _refuse_time, _refuse_revoked, _refuse_invalid)
    try:
        return next(((place, no) for place, step in enumerate(steps) if (no := step(path, anchor, at))), None)
    except (ValueError, UnsupportedAlgorithm) as error:
        return 0, _refuse("certificate-malformed", f"a certificate cannot be read: {_short(error)}")


def _refuse_name(path: Path, anchor: CertificateAnchor, _at: datetime) -> SignerCheck | None:
    """Names are compared exactly. Under name constraints, which do not bind it, a common name does not count."""
    from cryptography import x509

    if not anchor.names:
        return None
    constrained = any(_extension(one, x509.NameConstraints) is not None for one in path)
    names = leaf_names(path[0], with_common_name=not constrained)
    if set(names) & set(anchor.names):
        return None
    said = ", ".join(f'"{visible(name, 100)}"' for name in names[:3]) or "nobody"
    return _refuse("certificate-name", f'the certificate names {said}, not "{anchor.names[0]}"', key=path[0])


def _refuse_usage(path: Path, _anchor: CertificateAnchor, _at: datetime) -> SignerCheck | None:
    why = _leaf_misuse(path[0]) or next(
        (why for below, one in enumerate(path[1:]) if (why := _authority_misuse(one, below))), None
    )
    return _refuse("certificate-wrong-usage", why, key=path[0]) if why else None


def _leaf_misuse(leaf: "x509.Certificate") -> str | None:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    constraints = _extension(leaf, x509.BasicConstraints)
    usage = _extension(leaf, x509.KeyUsage)
    purposes = _extension(leaf, x509.ExtendedKeyUsage)
    # Certificates that say CA and may sign no certificate are in use (model-signing's own fixtures): they are only leaves.
    if constraints is not None and constraints.ca and (usage is None or usage.key_cert_sign):
        return "the leaf is a certificate authority, not a signing certificate"
    if usage is None and purposes is None:
        return "the leaf states neither key usage digitalSignature nor extended key usage codeSigning"
    if usage is not None and not usage.digital_signature:
        return "the leaf's key usage lacks digitalSignature"
    if purposes is not None and ExtendedKeyUsageOID.CODE_SIGNING not in purposes:
        return "the leaf's extended key usage lacks codeSigning"
    return None


def _authority_misuse(certificate: "x509.Certificate", below: int) -> str | None:
    """`below` counts the authorities between this certificate and the leaf."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    constraints = _extension(certificate, x509.BasicConstraints)
    usage = _extension(certificate, x509.KeyUsage)
    purposes = _extension(certificate, x509.ExtendedKeyUsage)
    who = subject(certificate)
    if constraints is None or not constraints.ca:
        return f"{who} issued a certificate but is no certificate authority"
    if constraints.path_length is not None and below > constraints.path_length:
        return f"{who} allows {constraints.path_length} authorities below it, the chain has {below}"
    if usage is not None and not usage.key_cert_sign:
        return f"the key usage of {who} lacks keyCertSign"
    allowed = {ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if purposes is not None and not allowed & set(purposes):
        return f"{who} may not issue code signing certificates"
    return None


def _refuse_algorithm(path: Path, _anchor: CertificateAnchor, _at: datetime) -> SignerCheck | None:
    """Authorities may also use RSA and all of ML-DSA; the leaf's key has to be one that signs models."""
    why = next((why for one in path if (why := _weak_key(one))), None)
    why = why or next((why for one in path[:-1] if (why := _weak_digest(one))), None)
    try:
        supported_public(path[0].public_key())
    except TrustError as error:
        why = why or f"the key of {subject(path[0])}: {error.message}"
    return _refuse("certificate-algorithm", why, key=path[0]) if why else None


def _weak_key(certificate: "x509.Certificate") -> str | None:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa

    strong = (
        ed25519.Ed25519PublicKey,
        mldsa.MLDSA44PublicKey,
        mldsa.MLDSA65PublicKey,
        mldsa.MLDSA87PublicKey,
    )
    match certificate.public_key():
        case rsa.RSAPublicKey() as key if key.key_size < 2048:
            return f"{subject(certificate)} has an RSA key of {key.key_size} bits, fewer than 2048"
        case ec.EllipticCurvePublicKey() as key if key.curve.name not in (
            "secp256r1",
            "secp384r1",
            "secp521r1",
        ):
            return f"{subject(certificate)} has a key on the curve {key.curve.name}"
        case rsa.RSAPublicKey() | ec.EllipticCurvePublicKey():
            return None
        case key:
            return None if isinstance(key, strong) else f"{subject(certificate)} has a key of an unknown kind"


def _weak_digest(certificate: "x509.Certificate") -> str | None:
    """Ed25519 and ML-DSA name no digest. A root's own signature proves nothing and is not looked at."""
    digest = certificate.signature_hash_algorithm
    if digest is None or digest.name in ("sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"):
        return None
    return f"{subject(certificate)} was signed with {digest.name}"


def _refuse_time(path: Path, _anchor: CertificateAnchor, at: datetime) -> SignerCheck | None:
    for one in path:
        if at < one.not_valid_before_utc:
            why = f"{subject(one)} is valid only from {_day(one.not_valid_before_utc)}, judged at {_day(at)}"
            return _refuse("certificate-not-yet-valid", why, key=path[0])
        if at > one.not_valid_after_utc:
            why = f"{subject(one)} expired on {_day(one.not_valid_after_utc)}, judged at {_day(at)}"
            return _refuse("certificate-expired", why, key=path[0])
    return None


def _refuse_revoked(path: Path, anchor: CertificateAnchor, at: datetime) -> SignerCheck | None:
    """Every certificate that a list covers; and once the caller gave lists, one of them must cover the leaf."""
    crls = [load_crl(data, anchor.name) for data in anchor.crls_pem]
    refusals = []
    for certificate, issuer in pairwise(path):
        covering = [crl for crl in crls if crl.issuer == issuer.subject]
        if covering:
            refusals.append(_revoked(certificate, issuer, covering, at))
        elif crls and certificate is path[0]:
            why = f"no revocation list of {subject(issuer)} was given, which issued the leaf"
            refusals.append(_refuse("crl-missing", why, unknown=True, key=path[0]))
    found = [one for one in refusals if one]
    return next((one for one in found if one.outcome is Outcome.FAIL), found[0] if found else None)


def _revoked(
    certificate: "x509.Certificate",
    issuer: "x509.Certificate",
    crls: "Sequence[x509.CertificateRevocationList]",
    at: datetime,
) -> SignerCheck | None:
    usable = [crl for crl in crls if _crl_usable(crl, issuer)]
    if not usable:
        why = f"the revocation list of {subject(issuer)} is not signed by it, or is only a part"
        return _refuse("crl-unusable", why, unknown=True, key=certificate)
    for crl in usable:
        since = _revoked_since(crl, certificate)
        if since is not None and at >= since:
            why = f"{subject(certificate)} was revoked on {_day(since)} by {subject(issuer)}"
            return _refuse("certificate-revoked", why, key=certificate)
    until = max((crl.next_update_utc for crl in usable if crl.next_update_utc), default=None)
    if until is None or at > until:
        end = f"ended on {_day(until)}" if until else "states no end"
        why = f"the revocation list of {subject(issuer)} {end}, judged at {_day(at)}"
        return _refuse("crl-stale", why, unknown=True, key=certificate)
    return None


def _crl_usable(crl: "x509.CertificateRevocationList", issuer: "x509.Certificate") -> bool:
    """Signed by the issuer, whole, and without an extension that changes what it means (delta, partial, indirect)."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    usage = _extension(issuer, x509.KeyUsage)
    if usage is not None and not usage.crl_sign:
        return False
    if any(one.critical or isinstance(one.value, x509.IssuingDistributionPoint) for one in crl.extensions):
        return False
    try:
        return crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


def _revoked_since(crl: "x509.CertificateRevocationList", certificate: "x509.Certificate") -> datetime | None:
    """When the certificate stopped being good: the earlier of its revocation and its stated invalidity."""
    from cryptography import x509

    entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
    if entry is None:
        return None
    stated = [
        one.value.invalidity_date_utc
        for one in entry.extensions
        if isinstance(one.value, x509.InvalidityDate)
    ]
    return min([entry.revocation_date_utc, *stated])


def _refuse_invalid(path: Path, _anchor: CertificateAnchor, at: datetime) -> SignerCheck | None:
    """`cryptography`'s verifier over the same path; it knows no Ed25519, and there we refuse what only it can judge."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ed25519
    from cryptography.x509 import verification

    if any(isinstance(one.public_key(), ed25519.Ed25519PublicKey) for one in path):
        why = next((why for one in path if (why := _beyond_us(one))), None)
        return _refuse("certificate-untrusted", why, key=path[0]) if why else None
    anything = verification.ExtensionPolicy.permit_all()
    authorities = anything.require_present(x509.BasicConstraints, verification.Criticality.AGNOSTIC, None)
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store([path[-1]]))
        .time(at)
        .max_chain_depth(MAX_DEPTH)
        .extension_policies(ca_policy=authorities, ee_policy=anything)
        .build_client_verifier()
    )
    try:
        verifier.verify(path[0], list(path[1:-1]))
    except (verification.VerificationError, x509.UnsupportedGeneralNameType) as error:
        return _refuse("certificate-untrusted", f"the chain is not valid: {_short(error)}", key=path[0])
    return None


def _beyond_us(certificate: "x509.Certificate") -> str | None:
    from cryptography import x509

    known = (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage, x509.SubjectAlternativeName)
    for extension in certificate.extensions:
        limits = isinstance(extension.value, x509.NameConstraints)
        if limits or (extension.critical and not isinstance(extension.value, known)):
            return f"{subject(certificate)} has the extension {extension.oid.dotted_string}, not judged with Ed25519"
    return None


def _accept(path: Path, anchor: CertificateAnchor) -> SignerCheck:
    key = supported_public(path[0].public_key())
    how = f"certificate {describe(key)} under {subject(path[-1])}"
    return SignerCheck(
        outcome=Outcome.PASS,
        why=f"{subject(path[0])} speaks for {anchor.name}",
        by=anchor.name,
        roles=anchor.roles,
        how=how,
        key=fingerprint(key),
    )


def _refuse(
    code: str, why: str, *, unknown: bool = False, key: "x509.Certificate | None" = None
) -> SignerCheck:
    how = f"certificate {subject(key)}" if key is not None else ""
    return SignerCheck(outcome=Outcome.UNKNOWN if unknown else Outcome.FAIL, why=why, code=code, how=how)


def _untrusted(leaf: "x509.Certificate") -> str:
    return f"no trusted root stands above {subject(leaf)}, issued by {_quoted(leaf.issuer)}"


def _load(der: bytes) -> "x509.Certificate":
    from cryptography import x509

    if len(der) > MAX_CERTIFICATE_BYTES:
        raise InputError(
            "certificate-malformed", f"a certificate of {len(der)} bytes, limit {MAX_CERTIFICATE_BYTES}"
        )
    try:
        certificate = x509.load_der_x509_certificate(der)
        # The library parses these when they are first asked for: ask here, so that later steps meet no surprise.
        _ = (
            certificate.subject,
            certificate.issuer,
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
        )
        _ = certificate.extensions, certificate.serial_number
    except (
        ValueError,
        x509.InvalidVersion,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ) as error:
        raise InputError("certificate-malformed", f"not a certificate we can read: {_short(error)}") from None
    if not der.endswith(b"\0" + certificate.signature):
        # The last field is a BIT STRING; the library overlooks a count of unused bits, and DER has one form for each.
        raise InputError("certificate-malformed", "the certificate's signature is no whole number of bytes")
    return certificate


def _extension(certificate: "x509.Certificate", kind: Any) -> Any:
    """The extension's value, or None."""
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def subject(certificate: "x509.Certificate") -> str:
    """The subject as one harmless word in quotes: its common name where it has one."""
    return _quoted(certificate.subject)


def _quoted(name: "x509.Name") -> str:
    """A name as one harmless word: its common name where it has one."""
    from cryptography.x509.oid import NameOID

    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return f'"{visible(str(common[0].value) if common else name.rfc4514_string(), 100)}"'


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _short(error: Exception) -> str:
    return visible(str(error), 150)
