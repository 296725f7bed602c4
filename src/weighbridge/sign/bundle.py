"""Bundles: the file that carries a signature, read strictly and written as the OMS specification has it.

A bundle is one JSON object (Sigstore bundle v0.3, OMS section 4): a media type, a DSSE envelope, and material that says
*what kind* of signer to look for. The material never says whom to trust: keys and chains in it select an anchor of the
caller's or fail. Several signers write several bundles, one a line, in a `.jsonl` file beside the first.

`read_bundles` never raises for what the bytes say. A bundle that cannot be read is returned with its `code`, so that no
line of a file can vanish from a report.
"""

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from enum import StrEnum
from typing import Any

from weighbridge.core.artifact import MAX_BUNDLE, SIBLINGS_SUFFIX, SIGNATURE_NAME
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.value import dataclass
from weighbridge.core.wire import read_json, write_json
from weighbridge.sign.dsse import Envelope, decode_base64, encode_base64, read_envelope, write_envelope
from weighbridge.sign.fields import maybe, need, take

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"

MAX_BUNDLES = 100
MAX_LINES = 100_000
"""Bundles in a file of statements."""
MAX_STATEMENTS_FILE = 512 * 1024**2
MAX_CERTIFICATES = 16
MAX_TIMESTAMPS = 16
MAX_NODES = 20_000
"""Commas and brackets outside the payload: real bundles have some hundred, and each costs memory when decoded."""

_MEDIA_TYPES = re.compile(
    r"application/vnd\.dev\.sigstore\.bundle(\.v0\.3\+json|\+json;\s?version=0\.[123])", re.ASCII
)
_MEDIA_PREFIX = "application/vnd.dev.sigstore.bundle"

_BAD = "bad-bundle"
_NO_ENVELOPE = Envelope(payload=b"", signature=b"")

UNDERSTOOD_LATER = frozenset(
    {"bundle-version", "material-unknown", "no-envelope", "limit-json", "limit-bundles"}
)
"""Codes of bundles that are not known to be wrong: a newer tool may read them. Their signature stays UNKNOWN."""


class Method(StrEnum):
    """How the signer is identified (OMS section 4.1)."""

    KEY = "key"
    CERTIFICATE = "certificate"
    SIGSTORE = "sigstore"
    NONE = "none"
    """The bundle could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """One signature over one statement, and what was said about its signer. Nothing in it is trusted yet."""

    source: str
    """The file it came from, with the line from the second bundle on: `model.sig.jsonl:2`."""
    method: Method = Method.NONE
    envelope: Envelope = _NO_ENVELOPE
    hint: str = ""
    """Which key, says the bundle. Not signed, hence only used to explain a failure."""
    chain: tuple[bytes, ...] = ()
    """DER certificates, leaf first."""
    timestamps: tuple[bytes, ...] = ()
    """RFC 3161 tokens, DER."""
    document: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """The whole JSON object, unknown fields included, to be written again without loss."""
    code: str = ""
    """Why the bundle cannot be used; "" when it can."""
    why: str = ""


def signature_names(file: str = "") -> tuple[str, str]:
    """Names of the signature files: inside a folder, or beside the one-file model `file`."""
    name = f"{file}.sig" if file else SIGNATURE_NAME
    return name, name + SIBLINGS_SUFFIX


def read_bundles(data: bytes, name: str) -> tuple[Bundle, ...]:
    """All bundles of a signature file: one JSON object, or one a line when `name` ends in `.jsonl`."""
    if len(data) > MAX_BUNDLE:
        return (_unusable(name, "limit-json", f"the file has {len(data)} bytes, limit {MAX_BUNDLE}"),)
    if not name.endswith(SIBLINGS_SUFFIX):
        return (_read(data, name),)
    lines = [line for line in data.split(b"\n", MAX_BUNDLES + 1) if line.strip()]
    if not lines:
        return (_unusable(name, _BAD, "the file holds no bundle"),)
    if len(lines) > MAX_BUNDLES:
        return (_unusable(name, "limit-bundles", f"the file holds more than {MAX_BUNDLES} bundles"),)
    return tuple(_read(line, f"{name}:{number}") for number, line in enumerate(lines, 1))


def read_lines(data: bytes, name: str) -> Iterator[Bundle]:
    """The bundles of a file of statements, one a line; a line that cannot be read keeps its place with its code."""
    for source, line in split_lines(data, name):
        yield line if isinstance(line, Bundle) else read_line(line, source)


def split_lines(data: bytes, name: str) -> Iterator[tuple[str, bytes | Bundle]]:
    """(place, line) for each line of a file of statements that is not blank; what is over a limit as a bundle with its code."""
    if len(data) > MAX_STATEMENTS_FILE:
        why = f"the file has more than {MAX_STATEMENTS_FILE} bytes"
        yield name, _unusable(name, "limit-json", why)
        return
    number = 0
    for place, line in enumerate(io.BytesIO(data), 1):
        if line.isspace():
            continue
        number += 1
        source = f"{name}:{place}"
        if number > MAX_LINES:
            yield name, _unusable(name, "limit-bundles", f"the file holds more than {MAX_LINES} bundles")
            return
        if len(line) > MAX_BUNDLE:
            yield (
                source,
                _unusable(source, "limit-json", f"the line has {len(line)} bytes, limit {MAX_BUNDLE}"),
            )
        else:
            yield source, line


def read_line(line: bytes, source: str) -> Bundle:
    """One bundle; never raises."""
    return _read(line, source)


def distinct(bundles: Iterable[Bundle]) -> tuple[Bundle, ...]:
    """The bundles in their order, each signature once: `model.sig` stands in `model.sig.jsonl` again."""
    seen: set[tuple[Method, bytes, bytes]] = set()
    kept = []
    for bundle in bundles:
        same = (bundle.method, bundle.envelope.signature, bundle.envelope.payload)
        if bundle.code or same not in seen:
            kept.append(bundle)
        seen.add(same)
    return tuple(kept)


def _unusable(source: str, code: str, why: str) -> Bundle:
    return Bundle(source=source, code=code, why=why)


def _read(data: bytes, source: str) -> Bundle:
    try:
        return _bundle(need(_decode(data), dict, _BAD, "the bundle"), source)
    except (InputError, LimitError) as error:
        return _unusable(source, error.code, error.message)


def _decode(data: bytes) -> Any:
    # Counted before decoding: a few bytes of JSON text can cost a hundred times as much as Python objects.
    if data.count(b",") + data.count(b"[") + data.count(b"{") > MAX_NODES:
        raise LimitError("limit-json", f"the bundle has more than {MAX_NODES} values")
    return read_json(data, "the bundle", limit=MAX_BUNDLE)


def _bundle(document: dict[str, Any], source: str) -> Bundle:
    _check_media_type(take(document, "mediaType", str, _BAD, "the bundle"))
    if "dsseEnvelope" not in document:
        raise InputError("no-envelope", "the bundle has no DSSE envelope")
    if "messageSignature" in document:
        raise InputError("bundle-ambiguous", "the bundle has both a DSSE envelope and a message signature")
    envelope = read_envelope(document["dsseEnvelope"])
    material = take(document, "verificationMaterial", dict, _BAD, "the bundle")
    method = _method(material)
    return Bundle(
        source=source,
        method=method,
        envelope=envelope,
        hint=_hint(material) if method is Method.KEY else "",
        chain=_chain(material, method),
        timestamps=_timestamps(material),
        document=document,
    )


def _check_media_type(media_type: str) -> None:
    if _MEDIA_TYPES.fullmatch(media_type):
        return
    if media_type.startswith(_MEDIA_PREFIX):
        raise InputError("bundle-version", f'bundles of type "{media_type[:100]}" are not understood')
    raise InputError("media-type", f'"{media_type[:100]}" is not the media type of a bundle')


_MATERIALS = {
    "publicKey": Method.KEY,
    "x509CertificateChain": Method.CERTIFICATE,
    "certificate": Method.SIGSTORE,
}


def _method(material: dict[str, Any]) -> Method:
    # A null counts as absent, as in every protobuf reader.
    given = [name for name in _MATERIALS if material.get(name) is not None]
    if not given:
        raise InputError("material-unknown", "the bundle names no kind of signer that is understood")
    if len(given) > 1:
        raise InputError(
            "material-ambiguous", f"the bundle names several kinds of signer: {', '.join(given)}"
        )
    method = _MATERIALS[given[0]]
    entries: list[Any] = maybe(material, "tlogEntries", [], _BAD)
    if method is Method.SIGSTORE and not entries:
        raise InputError("no-log-entry", "a Sigstore bundle without a transparency log entry")
    return method


def _hint(material: dict[str, Any]) -> str:
    """`hint` since 1.1; before, `rawBytes` held the PEM text whose SHA-256 the hint is now."""
    import hashlib

    key = need(material["publicKey"], dict, _BAD, '"publicKey"')
    hint = maybe(key, "hint", "", _BAD)
    raw = maybe(key, "rawBytes", "", _BAD)
    if hint or not raw:
        return hint[:200]
    return hashlib.sha256(decode_base64(raw, "rawBytes")).hexdigest()


def _chain(material: dict[str, Any], method: Method) -> tuple[bytes, ...]:
    if method is Method.SIGSTORE:
        return (_certificate(material["certificate"]),)
    if method is Method.KEY:
        return ()
    chain = need(material["x509CertificateChain"], dict, _BAD, '"x509CertificateChain"')
    certificates = take(chain, "certificates", list, _BAD, '"x509CertificateChain"')
    if not 0 < len(certificates) <= MAX_CERTIFICATES:
        raise InputError(
            _BAD, f"a chain of {len(certificates)} certificates, 1 to {MAX_CERTIFICATES} are allowed"
        )
    return tuple(_certificate(certificate) for certificate in certificates)


def _certificate(value: Any) -> bytes:
    document = need(value, dict, _BAD, "a certificate")
    return decode_base64(take(document, "rawBytes", str, _BAD, "a certificate"), "rawBytes")


def _timestamps(material: dict[str, Any]) -> tuple[bytes, ...]:
    data: dict[str, Any] = maybe(material, "timestampVerificationData", {}, _BAD)
    stamps: list[Any] = maybe(data, "rfc3161Timestamps", [], _BAD)
    if len(stamps) > MAX_TIMESTAMPS:
        raise InputError(_BAD, f"{len(stamps)} timestamps, at most {MAX_TIMESTAMPS} are allowed")
    documents = [need(stamp, dict, _BAD, "a timestamp") for stamp in stamps]
    return tuple(
        decode_base64(take(stamp, "signedTimestamp", str, _BAD, "a timestamp"), "signedTimestamp")
        for stamp in documents
    )


def key_material(hint: str) -> dict[str, Any]:
    """Material of a bare key: its hint (`keys.hint`)."""
    return {"publicKey": {"hint": hint}, "tlogEntries": []}


def certificate_material(chain_der: Sequence[bytes]) -> dict[str, Any]:
    """Material of a certificate: the leaf, then what a verifier needs to reach its root."""
    certificates = [{"rawBytes": encode_base64(der)} for der in chain_der]
    return {"x509CertificateChain": {"certificates": certificates}, "tlogEntries": []}


def write_bundle(envelope: Envelope, material: dict[str, Any], timestamps: Sequence[bytes] = ()) -> bytes:
    """The bytes of `model.sig`: one compact JSON object, no line end."""
    if timestamps:
        stamps = [{"signedTimestamp": encode_base64(token)} for token in timestamps]
        material = {**material, "timestampVerificationData": {"rfc3161Timestamps": stamps}}
    return write_json(
        {"mediaType": MEDIA_TYPE, "verificationMaterial": material, "dsseEnvelope": write_envelope(envelope)}
    )


def write_siblings(bundles: Iterable[bytes]) -> bytes:
    """The bytes of `model.sig.jsonl`: bundles as `write_bundle` made them, one a line."""
    return b"".join(write_json(read_json(bundle, "a bundle", limit=MAX_BUNDLE)) + b"\n" for bundle in bundles)
