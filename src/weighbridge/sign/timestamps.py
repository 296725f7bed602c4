"""RFC 3161 timestamps: proof, checked offline, that a signature existed at a time somebody else vouches for.

A trusted time takes the place of "now" when a certificate's expiry or revocation is judged: a signature made while its
certificate was good stays good. Tokens stand in a bundle as DER TimeStampResp (Sigstore's form) or as a bare
TimeStampToken, over the signature's bytes; `rfc3161-client` parses and verifies them against the given authorities only.

Only `request_timestamp` speaks to the network, and only because somebody named a service. A token that does not verify
is no trusted time; it is never a reason to believe anything else.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from weighbridge.core.errors import TrustError, UnavailableError, UsageError
from weighbridge.core.text import visible
from weighbridge.sign.anchor import TimestampAuthority
from weighbridge.sign.certificates import load_roots
from weighbridge.sign.clock import implausible

if TYPE_CHECKING:
    from cryptography import x509

MAX_TOKENS = 16
"""Tokens looked at in one bundle."""
MAX_TOKEN_BYTES = 64 * 1024
CLOCK_TOLERANCE = timedelta(minutes=10)
"""How far a token may lie in the future of our own clock."""
REQUEST_SECONDS = 20.0

_GRANTED = b"\x30\x03\x02\x01\x00"
"""PKIStatusInfo { status granted(0) }: what a response has before its token."""


def check_timestamps(
    tokens_der: Sequence[bytes],
    signature: bytes,
    authorities: Sequence[TimestampAuthority],
    *,
    now: datetime | None = None,
) -> tuple[datetime | None, str]:
    """The earliest trusted time at which `signature` existed, or None and why there is none.

    Raises `TrustError` where an authority's own certificates cannot be read.
    """
    if not tokens_der:
        return None, "no timestamp"
    if not authorities:
        return None, "no time-stamping authority is trusted here"
    if len(tokens_der) > MAX_TOKENS:
        return None, f"{len(tokens_der)} timestamps, limit {MAX_TOKENS}"
    answers = [_check(token, signature, authorities, now) for token in tokens_der]
    times = [time for time, _ in answers if time is not None]
    return (min(times), "") if times else (None, answers[0][1])


def _check(
    token: bytes, signature: bytes, authorities: Sequence[TimestampAuthority], now: datetime | None
) -> tuple[datetime | None, str]:
    try:
        response = decode(token)
        time: datetime = response.tst_info.gen_time
    except ValueError as error:
        return None, _decode_cause(error)
    if implausible(time) or (now is not None and time > now + CLOCK_TOLERANCE):
        return (
            None,
            f"the timestamp says {time:%Y-%m-%d %H:%M} UTC, which lies in the future of this machine's clock",
        )
    whys = [_why_not(token, signature, authority) for authority in authorities]
    return (time, "") if "" in whys else (None, whys[0])


def decode(token: bytes) -> Any:
    """A TimeStampResp, or a bare TimeStampToken in the clothes of one. Raises `ValueError`."""
    from rfc3161_client import decode_timestamp_response

    if not 2 <= len(token) <= MAX_TOKEN_BYTES:
        raise ValueError(f"{len(token)} bytes are no timestamp")
    length_bytes = token[1] & 0x7F if token[1] & 0x80 else 0
    bare = (
        token[2 + length_bytes : 3 + length_bytes] == b"\x06"
    )  # ContentInfo begins with an OBJECT IDENTIFIER
    return decode_timestamp_response(_sequence(_GRANTED + token) if bare else token)


def _sequence(content: bytes) -> bytes:
    """A DER SEQUENCE."""
    if len(content) < 0x80:
        return b"\x30" + bytes([len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return b"\x30" + bytes([0x80 | len(length)]) + length + content


def _decode_cause(error: ValueError) -> str:
    if "InvalidSetOrdering" in str(error):
        return (
            "the timestamp is not DER: its certificates are not sorted, "
            'as "openssl ts" writes them when it adds a chain; ask for the authority\'s own certificate alone'
        )
    return f"the timestamp cannot be read: {visible(str(error), 150)}"


def _why_not(token: bytes, signature: bytes, authority: TimestampAuthority) -> str:
    """Empty when the authority vouches for the token over `signature`."""
    from rfc3161_client import VerificationError

    why = ""
    for verifier in _verifiers(authority):
        try:
            # Decoded anew: the library's verifier takes the signer infos out of the response that it is given.
            verifier.verify_message(decode(token), signature)
        except (VerificationError, ValueError) as error:
            why = _verify_cause(error, authority)
        else:
            return ""
    return why


def _verify_cause(error: Exception, authority: TimestampAuthority) -> str:
    text = str(error)
    known = {
        "Mismatch between messages": "the timestamp was made over something else than this signature",
        "issuer certificate": f'the timestamp does not come from "{authority.name}"',
        "PKIStatus": "the time-stamping authority did not grant the timestamp",
        "Certificates neither": f'the timestamp brings no certificate, and "{authority.name}" names none for it',
    }
    return next(
        (said for sign, said in known.items() if sign in text),
        f"the timestamp is wrong: {visible(text, 200)}",
    )


def _verifiers(authority: TimestampAuthority) -> Iterator[Any]:
    """One verifier, or one for each certificate made for time-stamping that the caller pinned beside the root."""
    from rfc3161_client import VerifierBuilder

    certificates = load_roots(authority.roots_pem, authority.name)
    roots = [one for one in certificates if one.issuer == one.subject]
    if not roots:
        raise TrustError(
            "timestamp-no-root",
            f'time-stamping authority "{authority.name}" has no self-signed root certificate',
        )
    pinned = [one for one in certificates if one not in roots and _stamps(one)]
    between = [one for one in certificates if one not in roots and one not in pinned]
    stampers: Sequence[x509.Certificate | None] = pinned or [None]
    for stamper in stampers:
        # The builder shares its lists between copies, so each verifier gets lists of its own.
        yield VerifierBuilder(tsa_certificate=stamper, intermediates=list(between), roots=list(roots)).build()


def _stamps(certificate: "x509.Certificate") -> bool:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    try:
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound as missing:
        if missing.oid != x509.BasicConstraints.oid:
            return False
        return ExtendedKeyUsageOID.TIME_STAMPING in purposes
    return ExtendedKeyUsageOID.TIME_STAMPING in purposes and not constraints.ca


def request_timestamp(signature: bytes, url: str) -> bytes:
    """Ask the service at `url` for a timestamp over `signature`; the DER TimeStampResp, nonce and contents compared.

    Whether the service is to be trusted is judged by whoever verifies. Raises `UsageError` (`timestamp-url`) and
    `UnavailableError` (`timestamp-unavailable`, `timestamp-refused`).
    """
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    if not url.lower().startswith(("http://", "https://")):
        raise UsageError("timestamp-url", f'"{visible(url)}" is no http or https address')
    request = TimestampRequestBuilder().data(signature).hash_algorithm(HashAlgorithm.SHA256).build()
    answer = _post(url, request.as_bytes())
    why = _refusal(request, answer)
    if why:
        raise UnavailableError("timestamp-refused", f'time-stamping service "{visible(url)}": {why}')
    return answer


def _post(url: str, query: bytes) -> bytes:
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import Request, build_opener

    headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
    request = Request(url, data=query, headers=headers, method="POST")  # noqa: S310 - http and https only, see above
    try:
        with build_opener(_no_redirect()).open(request, timeout=REQUEST_SECONDS) as reply:
            answer: bytes = reply.read(MAX_TOKEN_BYTES + 1)
    except (OSError, ValueError, HTTPException) as error:
        if isinstance(error, HTTPError):
            error.close()  # it is the reply, and holds the connection
        said = visible(str(error), 200)
        raise UnavailableError(
            "timestamp-unavailable", f'time-stamping service "{visible(url)}": {said}'
        ) from None
    return answer


def _no_redirect() -> Any:
    """A handler that follows no redirect: a POST would become a GET, and the service was named by a person."""
    from urllib.request import HTTPRedirectHandler

    class NoRedirect(HTTPRedirectHandler):
        def redirect_request(self, *_: object, **__: object) -> None:
            return None

    return NoRedirect()


def _refusal(request: Any, answer: bytes) -> str:
    """Empty when the answer grants exactly what was asked."""
    try:
        response = decode(answer)
        if response.status != 0:
            said = "; ".join(str(one) for one in response.status_string)
            return f"refused with status {response.status} {visible(said, 200)}".rstrip()
        info = response.tst_info
        asked, stamped = request.message_imprint, info.message_imprint
        same = asked.message == stamped.message and asked.hash_algorithm == stamped.hash_algorithm
        if info.nonce != request.nonce or not same:
            return "the answer belongs to another request"
    except ValueError as error:
        return _decode_cause(error)
    return ""
