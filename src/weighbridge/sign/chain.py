"""The certificates that go with a signing key, leaf first."""

from weighbridge.core.errors import TrustError
from weighbridge.sign import keys


def load_chain(chain_pem: bytes, public: "keys.PublicKey") -> tuple[bytes, ...]:
    """DER of the chain, whose first certificate must be of this key: anything else could never be verified.

    Raises `TrustError` (`certificate-unreadable`, `certificate-of-other-key`).
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        chain = x509.load_pem_x509_certificates(chain_pem)
        leaf = keys.supported_public(chain[0].public_key())
    except ValueError as error:
        raise TrustError(
            "certificate-unreadable", f"the certificates cannot be read: {str(error)[:200]}"
        ) from None
    if keys.fingerprint(leaf) != keys.fingerprint(public):
        raise TrustError(
            "certificate-of-other-key", "the first certificate is not of this private key", "leaf first"
        )
    return tuple(certificate.public_bytes(Encoding.DER) for certificate in chain)
