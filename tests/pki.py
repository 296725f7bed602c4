"""A small certificate factory: real keys, real certificates, real revocation lists, made in milliseconds.

Times are given relative to `NOW`, a fixed moment, so that no test depends on the clock of the machine.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
DEFAULT = object()


def make_key(kind: str = "ec-p256") -> Any:
    """A new private key: `ec-p256`, `ec-p384`, `ec-p521`, `secp256k1`, `ed25519`, `ml-dsa-65`, `rsa-BITS`."""
    if kind.startswith("rsa-"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(kind[4:]))
    curves = {
        "ec-p256": ec.SECP256R1,
        "ec-p384": ec.SECP384R1,
        "ec-p521": ec.SECP521R1,
        "secp256k1": ec.SECP256K1,
    }
    if kind in curves:
        return ec.generate_private_key(curves[kind]())
    return {"ed25519": ed25519.Ed25519PrivateKey, "ml-dsa-65": mldsa.MLDSA65PrivateKey}[kind].generate()


def public_pem(key: Any) -> bytes:
    """SubjectPublicKeyInfo PEM of a private key."""
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def private_pem(key: Any, password: bytes | None = None) -> bytes:
    """PKCS#8 PEM, encrypted when a password is given."""
    protection = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)


@dataclass(frozen=True)
class Issued:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: Any

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return private_pem(self.key)


def authority(
    name: str = "Acme Root",
    *,
    under: Issued | None = None,
    key: Any = None,
    kind: str = "ec-p384",
    start: timedelta = -1000 * DAY,
    end: timedelta = 3000 * DAY,
    ca: bool = True,
    path_length: int | None = None,
    key_usage: x509.KeyUsage | object | None = DEFAULT,
    purposes: Sequence[x509.ObjectIdentifier] = (),
    extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
    digest: Any = DEFAULT,
) -> Issued:
    """A certificate authority: self-signed, or an intermediate `under` another."""
    usage = usages("key_cert_sign", "crl_sign") if key_usage is DEFAULT else key_usage
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=ca, path_length=path_length if ca else None), True)
    ]
    return _issue(
        name, under, key or make_key(kind), start, end, usage, purposes, [*extensions, *extra], digest
    )


def leaf(
    under: Issued,
    name: str = "Release",
    *,
    emails: Iterable[str] = (),
    uris: Iterable[str] = (),
    dns: Iterable[str] = (),
    key: Any = None,
    kind: str = "ec-p256",
    start: timedelta = -100 * DAY,
    end: timedelta = 100 * DAY,
    key_usage: x509.KeyUsage | object | None = DEFAULT,
    purposes: Sequence[x509.ObjectIdentifier] = (Purpose.CODE_SIGNING,),
    extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
    digest: Any = DEFAULT,
) -> Issued:
    """A signing certificate: digitalSignature and codeSigning unless said otherwise."""
    usage = usages("digital_signature") if key_usage is DEFAULT else key_usage
    names = [x509.RFC822Name(one) for one in emails]
    names += [x509.UniformResourceIdentifier(one) for one in uris]  # type: ignore[list-item]
    names += [x509.DNSName(one) for one in dns]  # type: ignore[list-item]
    extensions: list[tuple[x509.ExtensionType, bool]] = (
        [(x509.SubjectAlternativeName(names), False)] if names else []
    )
    return _issue(
        name, under, key or make_key(kind), start, end, usage, purposes, [*extensions, *extra], digest
    )


def usages(*wanted: str) -> x509.KeyUsage:
    """A key usage extension with just these bits."""
    known = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{bit: bit in wanted for bit in known})


def revocation_list(
    by: Issued,
    revoked: Iterable[tuple[Issued, datetime]] = (),
    *,
    issued: timedelta = -1 * DAY,
    until: timedelta = 7 * DAY,
    key: Any = None,
    invalid_since: datetime | None = None,
    extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> bytes:
    """A CRL in PEM."""
    builder = (
        x509.CertificateRevocationListBuilder().issuer_name(by.certificate.subject).last_update(NOW + issued)
    )
    builder = builder.next_update(NOW + until)
    for one, when in revoked:
        entry = (
            x509.RevokedCertificateBuilder()
            .serial_number(one.certificate.serial_number)
            .revocation_date(when)
        )
        if invalid_since:
            entry = entry.add_extension(
                x509.InvalidityDate(invalid_since.replace(tzinfo=None)), critical=False
            )
        builder = builder.add_revoked_certificate(entry.build())
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical=critical)
    signing_key = key or by.key
    return builder.sign(signing_key, _digest(signing_key)).public_bytes(serialization.Encoding.PEM)


def _issue(
    name: str,
    under: Issued | None,
    key: Any,
    start: timedelta,
    end: timedelta,
    usage: Any,
    purposes: Sequence[x509.ObjectIdentifier],
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
    digest: Any,
) -> Issued:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) if name else x509.Name([])
    issuer, issuer_key = (under.certificate.subject, under.key) if under else (subject, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + start)
        .not_valid_after(NOW + end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    if usage is not None:
        builder = builder.add_extension(usage, critical=True)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return Issued(builder.sign(issuer_key, _digest(issuer_key) if digest is DEFAULT else digest), key)


def _digest(key: Any) -> Any:
    plain = isinstance(key, (ed25519.Ed25519PrivateKey, mldsa.MLDSA65PrivateKey))
    return None if plain else hashes.SHA256()
