"""Verify: one signature against the people you trust and the files you have. `verify` below is the whole algorithm.

Takes bytes, values and `now`; opens no file, asks no network, reads no clock. It never raises for what a bundle or a
statement says: every refusal is a result with a code, and a result is PASS only at the last line.

Spec: OMS v1.0 section 8 (verification procedure); stricter where docs/formats/oms.md says so.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TypeVar, assert_never

from weighbridge.core.artifact import Obstacle
from weighbridge.core.errors import InputError, LimitError, TrustError, WeighbridgeError
from weighbridge.core.evidence import Outcome
from weighbridge.core.manifest import Difference, Manifest
from weighbridge.core.report import SignatureResult
from weighbridge.core.text import counted, some, visible
from weighbridge.core.value import dataclass
from weighbridge.core.verdict import Decision
from weighbridge.core.wire import write_json
from weighbridge.sign import dsse, gate, keys, legacy, oms
from weighbridge.sign.anchor import (
    Anchor,
    CertificateAnchor,
    KeyAnchor,
    SignerCheck,
    SigstoreAnchor,
    TimestampAuthority,
)
from weighbridge.sign.bundle import UNDERSTOOD_LATER, Bundle, Method
from weighbridge.sign.certificates import implausible

CLOCK_SLACK = timedelta(days=1)
"""A trusted time may be this much later than our clock; beyond, one of the two is wrong and nothing is decided."""

A = TypeVar("A", bound=Anchor)


def verify(
    bundle: Bundle,
    anchors: Sequence[Anchor],
    authorities: Sequence[TimestampAuthority],
    now: datetime,
    manifest: Manifest,
    *,
    allow_ignored: Collection[str] = (),
    accept_links: bool = False,
    obstacles: Sequence[Obstacle] = (),
    only: Collection[str] | None = None,
) -> SignatureResult:
    """Judge one signature over a measured model.

    `manifest` holds every file of the model except the signature files. `allow_ignored` names paths (and what lies
    below them) that may be there although the signer left them out. `accept_links` compares the contents behind
    symbolic links although the signer signed plain files. `obstacles` are what could not be measured. With `only`, the
    manifest holds these files alone, and what else was signed is not missed.
    """
    # (1) Read the bundle. `read_bundles` did; what it could not read is refused here, so that it is in the report.
    #
    # (2) Who signed? The envelope's signature must be made by an anchor of the caller's: over the raw payload bytes,
    #     so nothing of the payload is interpreted before somebody we trust vouches for it (OMS section 8.2).
    #
    # (3) When? A trusted time (RFC 3161, log) where there is one, else `now`, must lie inside the anchor's and the
    #     certificate's validity and before their revocation.
    check = check_signer(bundle, anchors, authorities, now)
    if check.outcome is not Outcome.PASS:
        return _result(bundle, check, check.outcome, check.code, check.why)

    # A gate's verdict over these very files vouches for the same as a publisher's signature, in its own statement.
    if gate.is_verdict(bundle.envelope.payload):
        if only is not None:
            why = "a gate's verdict is about all files of a model, and only some were measured"
            return _result(bundle, check, Outcome.UNKNOWN, "not-measured", why)
        return _verify_verdict(bundle, check, manifest, obstacles)

    # (4) What did they sign? Strict parsing; whatever two readers could understand differently is refused (8.3).
    try:
        statement = oms.resolve(_parsed(bundle.envelope.payload), manifest)
        statement = statement if only is None else oms.part(statement, only)
    except InputError as error:
        later = error.code in oms.NOT_UNDERSTOOD
        return _result(bundle, check, Outcome.UNKNOWN if later else Outcome.FAIL, error.code, error.message)
    except LimitError as error:
        return _result(bundle, check, Outcome.UNKNOWN, error.code, error.message)
    check = replace(check, how=f"OpenSSF model signing {statement.version}, {check.how}")

    # (5) Was everything measured that the statement speaks of? A digest that is missing is not a digest that matches.
    lacking = oms.unmeasured(statement, manifest)
    if lacking:
        why = f"not measured with {statement.hash_type}: {some(lacking)}"
        return _result(bundle, check, Outcome.UNKNOWN, "not-measured", why)

    # (6) Does the model equal what was signed? Every signed file is there with that content, and nothing else is (8.4).
    #     Files that cannot be measured (devices, broken links) are extra files too: nobody signed them.
    covers = _covers(statement, manifest)
    difference = _with_obstacles(oms.compare(statement, manifest), statement, obstacles)
    if not difference.empty:
        why = summary(difference)
        return _result(
            bundle, check, Outcome.FAIL, "contents-differ", why, covers=covers, difference=difference
        )

    # (7) Do links follow the signer's policy? With `allow_symlinks` false plain files were signed, and what a link
    #     points to may change after this check (6.1.1: the verifier must apply the recorded policy).
    links = () if statement.allow_symlinks or accept_links else _links(statement, manifest)
    if links:
        why = f"symbolic links stand where plain files were signed: {some(links)}"
        return _result(bundle, check, Outcome.FAIL, "link-not-signed", why, covers=covers)

    # (8) Does the statement agree with itself? Our own signer also records the file-set digest, which binds names.
    if not _same_digest(statement, manifest):
        why = "the file-set digest in the statement is of other files"
        return _result(bundle, check, Outcome.FAIL, "annotation-wrong", why, covers=covers)

    # (9) What does the signature not speak of? The format leaves out `.git` and what the signer chose to ignore; files
    #     planted there are seen by nobody else, so they are never passed in silence.
    left_out = _left_out(statement, manifest, obstacles)
    doubtful = _doubtful(left_out, allow_ignored)
    if doubtful:
        why = f"{counted(len(doubtful), 'file')} left out by the signer: {some(doubtful)}"
        return _result(bundle, check, Outcome.UNKNOWN, "uncovered-files", why, covers=covers)

    note = f"; not covered: {some(left_out)}" if left_out else ""
    return _result(
        bundle, check, Outcome.PASS, "", f"{check.why}; {covers} as signed{note}", covers=covers + note
    )


# ------------------------------------------------------------------------------------------------------- who and when


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
    time, note = _trusted_time(bundle, authorities, now)
    checks = [_in_time(anchor, _signed_by(anchor, key), time, note, now) for anchor, key in makers]
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
        return _parsed(payload).predicate == legacy.PREDICATE
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
    time, note = _trusted_time(bundle, authorities, now)
    refusals: list[SignerCheck] = []
    while anchors:
        anchor, check = certificates.check_chain(bundle.chain, anchors, time or now)
        if anchor is None or check.outcome is not Outcome.PASS:
            return refusals[0] if refusals else replace(check, why=check.why + note)
        check = _in_time(anchor, _by_leaf(bundle, anchor, check), time, note, now)
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
    checks = [_in_time(one, said, said.time, "", now) for one, said in zip(found, named, strict=True)]
    return _first_good(checks)


def _first_good(checks: Sequence[SignerCheck]) -> SignerCheck:
    """One key or person may stand under several names; the first that may still sign counts."""
    return next((check for check in checks if check.outcome is Outcome.PASS), checks[0])


def _trusted_time(
    bundle: Bundle, authorities: Sequence[TimestampAuthority], now: datetime
) -> tuple[datetime | None, str]:
    """The signing time that a trusted authority vouches for; else None and a half-sentence that says why not."""
    if not bundle.timestamps:
        return None, ""
    if not authorities:
        return None, "; its timestamp is not used: no time-stamping authority is trusted"
    from weighbridge.sign import timestamps

    signature = bundle.envelope.signature
    time, why_not = timestamps.check_timestamps(bundle.timestamps, signature, authorities, now=now)
    return time, "" if time else f"; its timestamp does not count: {why_not}"


def _in_time(
    anchor: Anchor, check: SignerCheck, time: datetime | None, note: str, now: datetime
) -> SignerCheck:
    """The check, or its refusal when the anchor might not sign at that time."""
    if check.outcome is not Outcome.PASS:
        return check
    check = replace(check, time=time, why=check.why + note)
    if time is None and implausible(now) and (anchor.not_before or anchor.not_after or anchor.revoked_at):
        why = f"the clock here says {now:%Y}, so nobody can say whether {anchor.name} may sign"
        return replace(check, outcome=Outcome.UNKNOWN, code="clock-implausible", why=why)
    if time and time > now + CLOCK_SLACK:
        why = f"signed {_stamp(time)} says a trusted time, but the clock here says {_stamp(now)}"
        return replace(check, outcome=Outcome.UNKNOWN, code="clock-wrong", why=why)
    code, why = _outside(anchor, time, now)
    return replace(check, outcome=Outcome.FAIL, code=code, why=why + note) if code else check


def _outside(anchor: Anchor, time: datetime | None, now: datetime) -> tuple[str, str]:
    """Code and reason when the anchor was not, or is no longer, allowed to sign; ("", "") when it was."""
    at = time or now
    when = f"signed {_stamp(time)}" if time else "no trusted time says when it was signed"
    if anchor.not_before and at < anchor.not_before:
        return "anchor-not-yet-valid", f"{anchor.name} is trusted from {_stamp(anchor.not_before)} on; {when}"
    if anchor.not_after and at > anchor.not_after:
        return "anchor-expired", f"{anchor.name} was trusted until {_stamp(anchor.not_after)}; {when}"
    if anchor.revoked_at and at >= anchor.revoked_at:
        reason = f" ({visible(anchor.revocation_reason, 100)})" if anchor.revocation_reason else ""
        return "anchor-revoked", f"{anchor.name} was revoked {_stamp(anchor.revoked_at)}{reason}; {when}"
    return "", ""


# --------------------------------------------------------------------------------------------------------- over what


def _verify_verdict(
    bundle: Bundle, check: SignerCheck, manifest: Manifest, obstacles: Iterable[Obstacle]
) -> SignatureResult:
    """Steps (4) to (8) for a statement of `check --attest`."""
    try:
        said = gate.read_verdict(bundle.envelope.payload)
    except InputError as error:
        return _result(bundle, check, Outcome.FAIL, error.code, error.message)
    except LimitError as error:
        return _result(bundle, check, Outcome.UNKNOWN, error.code, error.message)
    check = replace(check, how=f"verdict of a gate under policy {visible(said.policy, 120)}, {check.how}")
    measured = manifest.files_digest(said.files.algorithm)
    if measured is None:
        why = f"not measured with {visible(said.files.algorithm, 20)}"
        return _result(bundle, check, Outcome.UNKNOWN, "not-measured", why)
    blocked = sorted(obstacle.path for obstacle in obstacles)
    if blocked:
        why = f"the gate cannot have weighed {some(blocked)}"
        return _result(
            bundle, check, Outcome.FAIL, "contents-differ", why, difference=Difference(added=tuple(blocked))
        )
    if measured != said.files:
        return _result(
            bundle, check, Outcome.FAIL, "contents-differ", f"the gate weighed other files: {said.files}"
        )
    if said.verdict != Decision.ADMITTED.value:
        why = f"the gate did not admit it: {visible(said.verdict, 20)}"
        return _result(bundle, check, Outcome.FAIL, "verdict-not-admitted", why)
    covers = f"{len(manifest.entries)} of {counted(len(manifest.entries), 'file')}"
    return _result(
        bundle, check, Outcome.PASS, "", f"{check.why}, who admitted it ({said.time})", covers=covers
    )


@lru_cache(maxsize=2)
def _parsed(payload: bytes) -> oms.OmsStatement:
    """Statements are read up to three times (plan, signer, contents), and siblings share theirs."""
    return oms.parse_statement(payload)


def _with_obstacles(
    difference: Difference, statement: oms.OmsStatement, obstacles: Iterable[Obstacle]
) -> Difference:
    skip = oms.ignorer(statement)
    extra = {item.path for item in obstacles if item.path not in statement.paths and not skip(item.path)}
    return replace(difference, added=tuple(sorted(extra.union(difference.added)))) if extra else difference


def _links(statement: oms.OmsStatement, manifest: Manifest) -> tuple[str, ...]:
    return tuple(e.path for e in manifest.entries if e.link is not None and e.path in statement.paths)


def _same_digest(statement: oms.OmsStatement, manifest: Manifest) -> bool:
    """Whether the recorded file-set digest is that of the files; True where it was not recorded or not measured.

    The tensor-set and card digests are not compared: which formats hold tensors and which files are documentation may
    grow from release to release, and both follow from the files.
    """
    signed = dict(statement.digests).get("files", "")
    actual = oms.covered(statement, manifest).files_digest(signed.partition(":")[0]) if signed else None
    return actual is None or str(actual) == signed


def _left_out(
    statement: oms.OmsStatement, manifest: Manifest, obstacles: Iterable[Obstacle]
) -> tuple[str, ...]:
    skip = oms.ignorer(statement)
    return (*oms.uncovered(statement, manifest), *(item.path for item in obstacles if skip(item.path)))


def _doubtful(left_out: Iterable[str], allowed: Collection[str]) -> tuple[str, ...]:
    """What was left out, is there, is not harmless, and was not allowed by the caller."""

    def fine(path: str) -> bool:
        return path in oms.HARMLESS or any(path == one or path.startswith(f"{one}/") for one in roots)

    roots = [path.removesuffix("/") for path in allowed]
    return tuple(path for path in left_out if not fine(path))


def _covers(statement: oms.OmsStatement, manifest: Manifest) -> str:
    there = sum(entry.path in statement.paths for entry in manifest.entries)
    return f"{there} of {counted(len(manifest.entries), 'file')}"


# ------------------------------------------------------------------------------------------------------------- saying


def _result(
    bundle: Bundle,
    check: SignerCheck,
    outcome: Outcome,
    code: str,
    why: str,
    *,
    covers: str = "",
    difference: Difference | None = None,
) -> SignatureResult:
    return SignatureResult(
        outcome=outcome,
        why=why,
        code=code,
        by=check.by,
        roles=check.roles,
        how=check.how,
        when=_stamp(check.time) if check.time else "",
        covers=covers,
        key=check.key,
        bundle=bundle.source,
        difference=difference,
    )


def _stamp(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def summary(difference: Difference) -> str:
    """One line: `2 files differ from what was signed: changed model.safetensors, extra adapter.bin`."""
    parts = {"changed": difference.changed, "extra": difference.added, "missing": difference.removed}
    total = [path for paths in parts.values() for path in paths]
    said = ", ".join(f"{word} {some(paths)}" for word, paths in parts.items() if paths)
    return f"{counted(len(total), 'file')} {'differs' if len(total) == 1 else 'differ'} from what was signed: {said}"


# --------------------------------------------------------------------------------------------------- before measuring


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What must be measured so that a set of bundles can be verified. From unverified bundles, hence bounded."""

    hashes: frozenset[str] = frozenset()
    """`sha256`, `blake3`."""
    blake2b: bool = False
    shards: tuple[tuple[str, int], ...] = ()
    """(algorithm, shard size)."""
    tensors: bool = False
    """Whether tensors were recorded, so that a difference can be told by tensor."""
    allow_symlinks: bool = False
    """Whether some statement was made over the contents behind links."""
    ignore_paths: tuple[str, ...] = ()
    """What some signer left out; it is measured all the same, since it is shown."""


MAX_SHARD_SIZES = 4


def wanted_plan(bundles: Iterable[Bundle]) -> Wanted:
    """What measuring needs to know of these bundles. Bundles that cannot be read ask for nothing."""
    bundles = tuple(bundles)
    statements = [statement for bundle in bundles for statement in _readable(bundle)]
    sharded = {(s.hash_type, s.shard_size) for s in statements if s.shard_size}
    return Wanted(
        hashes=frozenset(s.hash_type for s in statements if s.hash_type != "blake2b")
        | _verdict_hashes(bundles),
        blake2b=any(s.hash_type == "blake2b" and not s.shard_size for s in statements),
        shards=tuple(sorted(sharded))[:MAX_SHARD_SIZES],
        tensors=any(s.tensor_paths for s in statements),
        allow_symlinks=any(s.allow_symlinks for s in statements),
        ignore_paths=tuple(sorted({path for s in statements for path in s.ignore_paths})),
    )


def expected_files(bundle: Bundle) -> dict[str, bytes]:
    """path → SHA-256 as the bundle has it, for an early stop; {} where it says so in another way."""
    return next((oms.expected(statement) for statement in _readable(bundle)), {})


def _verdict_hashes(bundles: Iterable[Bundle]) -> frozenset[str]:
    """Gates speak of the file-set digest; ours writes it with SHA-256."""
    verdicts = any(gate.is_verdict(bundle.envelope.payload) for bundle in bundles if not bundle.code)
    return frozenset({"sha256"} if verdicts else ())


def _readable(bundle: Bundle) -> list[oms.OmsStatement]:
    try:
        return [] if bundle.code else [_parsed(bundle.envelope.payload)]
    except (InputError, LimitError):
        return []
