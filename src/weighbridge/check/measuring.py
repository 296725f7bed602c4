"""One read of the bytes: which digests it makes, and where it may stop."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from weighbridge.check.request import BELIEVES, Ask, Measurer, Request
from weighbridge.core.artifact import Artifact
from weighbridge.core.evidence import Outcome
from weighbridge.evidence import asks_recalls
from weighbridge.measure import Measurement, Plan, Progress

if TYPE_CHECKING:
    from weighbridge.scan.engine import Scanner
    from weighbridge.sign.bundle import Bundle


def measured(
    request: Request,
    artifact: Artifact,
    bundles: Sequence["Bundle"],
    scanner: "Scanner | None",
    progress: Progress | None,
    measurer: Measurer,
) -> tuple[Measurement, dict[str, Any]]:
    """The measurement, and what the report says beyond it: how much of a model elsewhere was fetched."""
    if scanner and artifact.remote:
        from weighbridge.measure.survey import survey

        seen = survey(artifact, scanner.examine, seconds=request.limits.seconds)
        return seen.measurement, {"fetched": {"bytes": seen.fetched, "requests": seen.requests}}
    measurement = measurer(
        artifact,
        _plan(request, bundles),
        examine=scanner.examine if scanner else None,
        expected=_expected(request, bundles) or None,
        progress=progress,
        jobs=request.jobs,
        seconds=request.limits.seconds,
        meter=scanner.budget if scanner else None,
    )
    return measurement, {}


def _plan(request: Request, bundles: Sequence["Bundle"]) -> Plan:
    """What to compute: what the bundles speak about, SHA-256 for the names that reports use, tensors for `check`.

    A `verify` computes only what was signed: one large file signed with BLAKE3 is then hashed on every core.
    """
    recalls = bool(request.ask & BELIEVES) and asks_recalls(request.policy, request.state)
    tensors = Ask.STATEMENTS in request.ask or recalls
    if not bundles:
        return Plan(tensors=tensors)
    from weighbridge.sign.verify import wanted_plan

    wanted = wanted_plan(bundles)
    alone = bool(wanted.hashes) and not recalls and Ask.CONTENT not in request.ask
    return Plan(
        hashes=wanted.hashes if alone else wanted.hashes | {"sha256"},
        tensors=tensors,
        shards=wanted.shards,
        blake2b=wanted.blake2b,
    )


def _expected(request: Request, bundles: Sequence["Bundle"]) -> dict[str, bytes]:
    """path → SHA-256 by the first bundle that somebody trusted signed; nothing unless an early stop was asked for."""
    if not request.fail_fast or Ask.CONTENT in request.ask:
        return {}
    from weighbridge.sign.verify import check_signer, expected_files

    for bundle in bundles:
        check = check_signer(bundle, *request.believed, request.now)
        if check.outcome is Outcome.PASS:
            return expected_files(bundle)
    return {}
