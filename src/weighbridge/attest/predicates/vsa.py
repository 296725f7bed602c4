"""Verification summary: a verifier judged the subject by a policy, as SLSA v1 writes it.

    {"verifier": {"id": …, "version": {…}}, "timeVerified": …, "resourceUri": …, "policy": {"uri": …, "digest": {…}},
     "inputAttestations": […], "verificationResult": "PASSED|FAILED", "verifiedLevels": […], "dependencyLevels": {…}}

https://slsa.dev/spec/v1.0/verification_summary
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from weighbridge.attest import fields, resource
from weighbridge.attest.resource import Resource
from weighbridge.core.errors import InputError
from weighbridge.core.text import some
from weighbridge.core.value import dataclass

TYPE = "https://slsa.dev/verification_summary/v1"


class Result(StrEnum):
    """What the verifier decided."""

    PASSED = "PASSED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vsa:
    """One verification."""

    verifier: str
    time: str
    resource_uri: str
    policy: Resource
    result: Result
    levels: tuple[str, ...] = ()
    """`SLSA_BUILD_LEVEL_3`, or words of the verifier's own; each implies the lower ones of its track."""
    inputs: tuple[Resource, ...] = ()
    """Every attestation that was used, by digest; () where the verifier does not say."""
    dependency_levels: tuple[tuple[str, int], ...] = ()
    verifier_version: tuple[tuple[str, str], ...] = ()
    slsa_version: str = ""


def read(predicate: Mapping[str, Any], what: str) -> Vsa:
    """Strict in what is known; the rest is ignored. Raises `InputError` (`bad-predicate`, `bad-statement`)."""
    verifier = fields.field(predicate, "verifier", dict, what)
    fields.field(predicate, "verifiedLevels", list, what)
    policy = resource.read(fields.field(predicate, "policy", dict, what), f'"policy" of {what}')
    inputs = resource.read_all(predicate, "inputAttestations", what)
    if any(not one.what.digests for one in inputs):
        raise InputError(fields.BAD, f"{what} has an input attestation without a digest")
    counts = fields.inner(predicate, "dependencyLevels", what)
    return Vsa(
        verifier=fields.filled(verifier, "id", what),
        time=fields.time(predicate, "timeVerified", what),
        resource_uri=fields.field(predicate, "resourceUri", str, what),
        policy=policy,
        result=Result(fields.word(predicate, "verificationResult", tuple(Result), what)),
        levels=fields.texts(predicate, "verifiedLevels", what),
        inputs=inputs,
        dependency_levels=tuple((level, fields.number(counts, level, what)) for level in counts),
        verifier_version=fields.pairs(verifier, "version", what),
        slsa_version=fields.optional(predicate, "slsaVersion", "", what),
    )


def write(found: Vsa) -> dict[str, Any]:
    """`read(write(v)) == v`."""
    return {
        "verifier": fields.given(id=found.verifier, version=dict(found.verifier_version)),
        "timeVerified": found.time,
        "resourceUri": found.resource_uri,
        "policy": resource.write(found.policy),
        "verificationResult": found.result.value,
        "verifiedLevels": list(found.levels),
        **fields.given(
            inputAttestations=resource.write_all(found.inputs),
            dependencyLevels=dict(found.dependency_levels),
            slsaVersion=found.slsa_version,
        ),
    }


def say(found: Vsa) -> str:
    """In a few words."""
    return f"{found.result} by {found.verifier}: {some(found.levels, 4) or 'no level'}"
