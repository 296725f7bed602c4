"""Who made a signature, and might they: one way for bare keys, one for certificates, one for Sigstore."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar, assert_never

from weighbridge.core.errors import InputError, LimitError, TrustError, WeighbridgeError
from weighbridge.core.evidence import Outcome
from weighbridge.core.text import some, visible
from weighbridge.core.wire import write_json
from weighbridge.sign import dsse, keys, legacy
from weighbridge.sign.anchor import (
    Anchor,
    CertificateAnchor,
    KeyAnchor,
    SignerCheck,
    SigstoreAnchor,
    TimestampAuthority,
)
from weighbridge.sign.bundle import UNDERSTOOD_LATER, Bundle, Method
from weighbridge.sign.verify.statement import parsed
from weighbridge.sign.verify.validity import in_time, trusted_time

A = TypeVar("A", bound=Anchor)


def check_signer(
    bundle: Bundle, anchors: Sequence[Anchor], authorities: Sequence[TimestampAuthority], now: datetime
) -> SignerCheck:
    """Which anchor made the bundle's signature, and was it allowed to, at that time? Never raises."""
    if bundle.code:
        outcome = Outcome.UNKNOWN if bundle.code in UNDERSTOOD_LATER else Outcome.FAIL
        return SignerCheck(outcome=outcome, code=bundle.code, why=bundle.why)
    if not anchors:
        return SignerCheck(
            outcome=Outcome.UNKNOWN, code="no-anchors", why="nobody is trusted: no key or certificate given"
        )
    try:
        match bundle.method:
            case Method.KEY:
                return _check_key(bundle, _of(KeyAnchor, anchors), authorities, now)
            case Method.CERTIFICATE:
                return _check_certificate(bundle, _of(CertificateAnchor, anchors), authorities, now)
            case Method.SIGSTORE:
                return _check_sigstore(bundle, _of(SigstoreAnchor, anchors), now)
            case Method.NONE:
                return SignerCheck(
                    outcome=Outcome.UNKNOWN, code="material-unknown", why="the bundle names no signer"
                )
            case _:
                assert_never(bundle.method)
    except WeighbridgeError as error:
        # An anchor of ours that cannot be read, or an extra that is not installed: we could not look.
        return SignerCheck(outcome=Outcome.UNKNOWN, code=error.code, why=error.message)
    except Exception as bug:
        # A certificate that breaks a library must not break the report about all other signatures.
        why = f"checking the signer broke: {type(bug).__name__}: {visible(str(bug), 200)}"
        return SignerCheck(outcome=Outcome.UNKNOWN, code="internal-error", why=why)


def _of(kind: type[A], anchors: Sequence[Anchor]) -> tuple[A, ...]:
    return tuple(anchor for anchor in anchors if isinstance(anchor, kind))


def _check_key(
    bundle: Bundle, anchors: Sequence[KeyAnchor], authorities: Sequence[TimestampAuthority], now: datetime
) -> SignerCheck:
    if not anchors:
        return _unknown_signer("signed with a bare key, and no key is trusted")
    known, problems = _load(anchors)
    # The hint is not signed, so it is never a reason to accept or to refuse; the right key just comes first.
    known.sort(key=lambda pair: keys.hint(pair[1]) != bundle.hint)
    makers = [(anchor, key) for anchor, key in known if _made_by(key, bundle)]
    if not makers and problems:
        raise problems[0]
    if not makers:
        return _no_maker(bundle, known)
    time, note = trusted_time(bundle, authorities, now)
    checks = [in_time(anchor, _signed_by(anchor, key), time, note, now) for anchor, key in makers]
    return _first_good(checks)


def _load(anchors: Sequence[KeyAnchor]) -> tuple[list[tuple[KeyAnchor, "keys.PublicKey"]], list[TrustError]]:
    loaded, problems = [], []
    for anchor in anchors:
        try:
            loaded.append((anchor, keys.load_public(anchor.public_key_pem)))
        except TrustError as error:
            problems.append(
                TrustError(error.code, f'the key of "{anchor.name}": {error.message}', *error.hints)
            )
    return loaded, problems


def _made_by(key: "keys.PublicKey", bundle: Bundle) -> bool:
    envelope = bundle.envelope
    if keys.verify(key, dsse.pae(envelope.payload, envelope.payload_type), envelope.signature):
        return True
    # 0.2's bytes count for 0.2's statements only, so that its mistakes stay where they were made. The first test only
    # spares work: encoding a payload by 0.2's rule is slow, and a hostile one would be encoded for every key.
    return (
        legacy.PREDICATE.encode() in envelope.payload
        and legacy.verify(key, envelope.payload, envelope.signature)
        and _is_legacy(envelope.payload)
    )


def _is_legacy(payload: bytes) -> bool:
    try:
        return parsed(payload).predicate == legacy.PREDICATE
    except (InputError, LimitError):
        return False


def _no_maker(bundle: Bundle, known: Sequence[tuple[KeyAnchor, "keys.PublicKey"]]) -> SignerCheck:
    names = some([anchor.name for anchor, _ in known])
    if bundle.hint and all(keys.hint(key) != bundle.hint for _, key in known):
        return _unknown_signer(
            f'signed with another key (hint "{visible(bundle.hint, 20)}") than that of {names}'
        )
    why = f"the signature is not that of {names}: it was made with another key or for other contents"
    return SignerCheck(outcome=Outcome.FAIL, code="signature-wrong", why=why)


def _unknown_signer(why: str) -> SignerCheck:
    return SignerCheck(outcome=Outcome.FAIL, code="signer-unknown", why=why)


def _signed_by(anchor: Anchor, key: "keys.PublicKey") -> SignerCheck:
    return SignerCheck(
        outcome=Outcome.PASS,
        why=f"signed by {anchor.name}",
        by=anchor.name,
        roles=anchor.roles,
        how=f"key {keys.describe(key)}",
        key=keys.fingerprint(key),
    )


def _check_certificate(
    bundle: Bundle,
    anchors: Sequence[CertificateAnchor],
    authorities: Sequence[TimestampAuthority],
    now: datetime,
) -> SignerCheck:
    from weighbridge.sign import certificates

    if not anchors:
        return _unknown_signer("signed with a certificate, and no certificate authority is trusted")
    time, note = trusted_time(bundle, authorities, now)
    refusals: list[SignerCheck] = []
    while anchors:
        anchor, check = certificates.check_chain(bundle.chain, anchors, time or now)
        if anchor is None or check.outcome is not Outcome.PASS:
            return refusals[0] if refusals else replace(check, why=check.why + note)
        check = in_time(anchor, _by_leaf(bundle, anchor, check), time, note, now)
        if check.outcome is Outcome.PASS:
            return check
        # The same root may stand under a second name that is still good.
        refusals.append(check)
        anchors = tuple(other for other in anchors if other != anchor)
    return refusals[0]


def _by_leaf(bundle: Bundle, anchor: CertificateAnchor, check: SignerCheck) -> SignerCheck:
    """The chain's check, refused when its leaf did not make the signature."""
    from weighbridge.sign import certificates

    if _made_by(certificates.leaf_public_key(bundle.chain), bundle):
        return check
    why = f"the signature is not that of the certificate of {anchor.name}"
    return SignerCheck(outcome=Outcome.FAIL, code="signature-wrong", why=why)


def _check_sigstore(bundle: Bundle, anchors: Sequence[SigstoreAnchor], now: datetime) -> SignerCheck:
    from weighbridge.sign import sigstore

    if not anchors:
        return _unknown_signer("signed with Sigstore, and no Sigstore identity is trusted")
    # Written anew from what our strict reader read, so that the library cannot read something else.
    found, check = sigstore.match_bundle(write_json(bundle.document), anchors)
    if check.outcome is not Outcome.PASS or not found:
        return check
    named = [replace(check, why=f"signed by {one.name}", by=one.name, roles=one.roles) for one in found]
    checks = [in_time(one, said, said.time, "", now) for one, said in zip(found, named, strict=True)]
    return _first_good(checks)


def _first_good(checks: Sequence[SignerCheck]) -> SignerCheck:
    """One key or person may stand under several names; the first that may still sign counts."""
    return next((check for check in checks if check.outcome is Outcome.PASS), checks[0])
