"""A gate's verdict in place of a publisher's statement: it vouches for the very files that the gate weighed."""

from collections.abc import Iterable
from dataclasses import replace

from weighbridge.core.artifact import Obstacle
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.evidence import Outcome
from weighbridge.core.manifest import Difference, Manifest
from weighbridge.core.report import SignatureResult
from weighbridge.core.text import counted, some, visible
from weighbridge.core.verdict import Decision
from weighbridge.sign import gate
from weighbridge.sign.anchor import SignerCheck
from weighbridge.sign.bundle import Bundle
from weighbridge.sign.verify.results import result


def verify_verdict(
    bundle: Bundle, check: SignerCheck, manifest: Manifest, obstacles: Iterable[Obstacle]
) -> SignatureResult:
    """Steps (4) to (8) for a statement of `check --attest`."""
    try:
        said = gate.read_verdict(bundle.envelope.payload)
    except InputError as error:
        return result(bundle, check, Outcome.FAIL, error.code, error.message)
    except LimitError as error:
        return result(bundle, check, Outcome.UNKNOWN, error.code, error.message)
    check = replace(check, how=f"verdict of a gate under policy {visible(said.policy, 120)}, {check.how}")
    measured = manifest.files_digest(said.files.algorithm)
    if measured is None:
        why = f"not measured with {visible(said.files.algorithm, 20)}"
        return result(bundle, check, Outcome.UNKNOWN, "not-measured", why)
    blocked = sorted(obstacle.path for obstacle in obstacles)
    if blocked:
        why = f"the gate cannot have weighed {some(blocked)}"
        return result(
            bundle, check, Outcome.FAIL, "contents-differ", why, difference=Difference(added=tuple(blocked))
        )
    if measured != said.files:
        return result(
            bundle, check, Outcome.FAIL, "contents-differ", f"the gate weighed other files: {said.files}"
        )
    if said.verdict != Decision.ADMITTED.value:
        why = f"the gate did not admit it: {visible(said.verdict, 20)}"
        return result(bundle, check, Outcome.FAIL, "verdict-not-admitted", why)
    covers = f"{len(manifest.entries)} of {counted(len(manifest.entries), 'file')}"
    return result(
        bundle, check, Outcome.PASS, "", f"{check.why}, who admitted it ({said.time})", covers=covers
    )
