"""Where did it come from, who approved it, and does it still stand: what others state about the model."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge import evidence
from weighbridge.check.request import BELIEVES, Request
from weighbridge.core.artifact import Artifact
from weighbridge.core.evidence import Evidence
from weighbridge.core.report import SignatureResult
from weighbridge.evidence.signatures import bundles_of, good_statements, signed_as
from weighbridge.measure import Measurement, Plan, measure
from weighbridge.store import open_artifacts

if TYPE_CHECKING:
    from weighbridge.core.chain import Node
    from weighbridge.core.statement import Named
    from weighbridge.sign.bundle import Bundle


def stated(
    request: Request,
    artifact: Artifact,
    measurement: Measurement,
    bundles: Sequence["Bundle"],
    signatures: Sequence[SignatureResult],
) -> tuple[tuple[Evidence, ...], "Node | None"]:
    """The rows, and the chain where `trace` asks; nothing where nobody asks and nobody states anything."""
    if not request.ask & BELIEVES:
        return (), None
    anchors, authorities = request.believed
    question = evidence.Question(
        path=None if artifact.remote else Path(request.paths[0]),
        named=request.statements,
        policy=request.policy,
        command=request.command,
        anchors=anchors,
        authorities=authorities,
        recallers=request.recallers,
        now=request.now,
        state=request.state,
        base=_base(request),
        statements=good_statements(bundles, signatures),
        signed_as=tuple(signed_as(bundles, signatures)) if request.only is not None else (),
        whole=not (
            artifact.obstacles or measurement.unread or measurement.claimed or request.only is not None
        ),
    )
    return evidence.weigh(question, artifact, measurement.manifest, signatures)


def _base(request: Request) -> "Named | None":
    """The base as measured; without digests where a part of it cannot be. Raises `UsageError` (`no-such-path`)."""
    if request.base is None:
        return None
    from weighbridge.attest.subject import subject_of
    from weighbridge.core.statement import Named

    artifact = open_artifacts((request.base,), links=request.links, exclude=bundles_of(Path(request.base))[1])
    found = measure(artifact, Plan(tensors=True), jobs=request.jobs, seconds=request.limits.seconds)
    if artifact.obstacles or found.unread:
        return Named(name=artifact.name)
    return subject_of(artifact.name, found.manifest, single=artifact.single).what
