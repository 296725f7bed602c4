"""Verify: one signature against the people you trust and the files you have. `verify` below is the whole algorithm.

Takes bytes, values and `now`; opens no file, asks no network, reads no clock. It never raises for what a bundle or a
statement says: every refusal is a result with a code, and a result is PASS only at the last line.

Spec: OMS v1.0 section 8 (verification procedure); stricter where docs/formats/oms.md says so.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from weighbridge.core.artifact import Obstacle
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.evidence import Outcome
from weighbridge.core.manifest import Difference, Manifest
from weighbridge.core.report import SignatureResult
from weighbridge.core.text import counted, some
from weighbridge.sign import gate, oms
from weighbridge.sign.anchor import Anchor, TimestampAuthority
from weighbridge.sign.bundle import Bundle
from weighbridge.sign.verify.plan import Wanted, expected_files, wanted_plan
from weighbridge.sign.verify.results import result, summary
from weighbridge.sign.verify.signer import check_signer
from weighbridge.sign.verify.statement import parsed
from weighbridge.sign.verify.verdict import verify_verdict

__all__ = ["Wanted", "check_signer", "expected_files", "summary", "verify", "wanted_plan"]


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
        return result(bundle, check, check.outcome, check.code, check.why)

    # A gate's verdict over these very files vouches for the same as a publisher's signature, in its own statement.
    if gate.is_verdict(bundle.envelope.payload):
        if only is not None:
            why = "a gate's verdict is about all files of a model, and only some were measured"
            return result(bundle, check, Outcome.UNKNOWN, "not-measured", why)
        return verify_verdict(bundle, check, manifest, obstacles)

    # (4) What did they sign? Strict parsing; whatever two readers could understand differently is refused (8.3).
    try:
        statement = oms.resolve(parsed(bundle.envelope.payload), manifest)
        statement = statement if only is None else oms.part(statement, only)
    except InputError as error:
        later = error.code in oms.NOT_UNDERSTOOD
        return result(bundle, check, Outcome.UNKNOWN if later else Outcome.FAIL, error.code, error.message)
    except LimitError as error:
        return result(bundle, check, Outcome.UNKNOWN, error.code, error.message)
    check = replace(check, how=f"OpenSSF model signing {statement.version}, {check.how}")

    # (5) Was everything measured that the statement speaks of? A digest that is missing is not a digest that matches.
    lacking = oms.unmeasured(statement, manifest)
    if lacking:
        why = f"not measured with {statement.hash_type}: {some(lacking)}"
        return result(bundle, check, Outcome.UNKNOWN, "not-measured", why)

    # (6) Does the model equal what was signed? Every signed file is there with that content, and nothing else is (8.4).
    #     Files that cannot be measured (devices, broken links) are extra files too: nobody signed them.
    covers = _covers(statement, manifest)
    difference = _with_obstacles(oms.compare(statement, manifest), statement, obstacles)
    if not difference.empty:
        why = summary(difference)
        return result(
            bundle, check, Outcome.FAIL, "contents-differ", why, covers=covers, difference=difference
        )

    # (7) Do links follow the signer's policy? With `allow_symlinks` false plain files were signed, and what a link
    #     points to may change after this check (6.1.1: the verifier must apply the recorded policy).
    links = () if statement.allow_symlinks or accept_links else _links(statement, manifest)
    if links:
        why = f"symbolic links stand where plain files were signed: {some(links)}"
        return result(bundle, check, Outcome.FAIL, "link-not-signed", why, covers=covers)

    # (8) Does the statement agree with itself? Our own signer also records the file-set digest, which binds names.
    if not _same_digest(statement, manifest):
        why = "the file-set digest in the statement is of other files"
        return result(bundle, check, Outcome.FAIL, "annotation-wrong", why, covers=covers)

    # (9) What does the signature not speak of? The format leaves out `.git` and what the signer chose to ignore; files
    #     planted there are seen by nobody else, so they are never passed in silence.
    left_out = _left_out(statement, manifest, obstacles)
    doubtful = _doubtful(left_out, allow_ignored)
    if doubtful:
        why = f"{counted(len(doubtful), 'file')} left out by the signer: {some(doubtful)}"
        return result(bundle, check, Outcome.UNKNOWN, "uncovered-files", why, covers=covers)

    note = f"; not covered: {some(left_out)}" if left_out else ""
    return result(
        bundle, check, Outcome.PASS, "", f"{check.why}; {covers} as signed{note}", covers=covers + note
    )


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
