"""Evaluation result: claims about a model's metrics against thresholds; in-toto's open proposal, hence experimental.

    {"evaluator": {"id": …}, "evaluatedAt": …, "suite": {"name": …, "version": …}, "sampleSize": 500,
     "claims": [{"metric": "auroc", "comparator": ">=", "threshold": "0.9", "passed": true}],
     "model": resource | "commitments": {"model": {"alg", "value", "salted": true}}, the same for "dataset",
     "assuranceLevel": "self_attested", "subjectProfile": "public-model", "harness": {…}, "evidence": […]}

A model or a data set is named by its digest or withheld behind a salted commitment, exactly one of both. A commitment
is no digest and never becomes a material. https://github.com/in-toto/attestation/pull/575 (September 2026)
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from weighbridge.attest import fields, resource
from weighbridge.attest.resource import Resource
from weighbridge.attest.step import Relation, Step
from weighbridge.core.errors import InputError
from weighbridge.core.statement import Named, Statement
from weighbridge.core.text import counted
from weighbridge.core.value import dataclass

TYPE = "https://in-toto.io/attestation/eval-result/v0.1"
VERSION = "v0.1"
"""What has to be said to write one, as long as it is a proposal."""
COMPARATORS = (">=", ">", "<=", "<")


class Assurance(StrEnum):
    """How the result was produced, as whoever signs declares."""

    SELF_ATTESTED = "self_attested"
    THIRD_PARTY = "third_party"
    REPRODUCED = "reproduced"
    ENCLAVE_ATTESTED = "enclave_attested"


class Profile(StrEnum):
    """What the statement's subject is."""

    RECEIPT = "receipt"
    PUBLIC_MODEL = "public-model"
    RELEASE_GATE = "release-gate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One metric against its threshold."""

    metric: str
    comparator: str
    threshold: str
    """A decimal number as a text."""
    passed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """Something that stays private: a hash over a secret salt and its name."""

    algorithm: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Harness:
    """What ran the evaluation."""

    name: str
    version: str
    digests: tuple[tuple[str, str], ...] = ()
    """(algorithm, hex)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalResult:
    """One evaluation."""

    evaluator: str
    time: str
    suite: tuple[str, str]
    """Name and version."""
    claims: tuple[Claim, ...]
    sample_size: int
    model: Resource | Commitment
    dataset: Resource | Commitment
    assurance: Assurance
    profile: Profile
    pre_registration: Commitment | None = None
    """A hash over the protocol, published before the run."""
    evidence: tuple[Resource, ...] = ()
    harness: Harness | None = None


def read(predicate: Mapping[str, Any], what: str) -> EvalResult:
    """Strict in what is known; the rest is ignored. Raises `InputError` (`bad-predicate`, `bad-statement`)."""
    suite = fields.field(predicate, "suite", dict, what)
    claims = tuple(_claim(row, what) for row in fields.rows(predicate, "claims", what))
    evidence = resource.read_all(predicate, "evidence", what)
    if not claims:
        raise InputError(fields.BAD, f"{what} makes no claim")
    if any(not one.what.digests for one in evidence):
        raise InputError(fields.BAD, f"{what} has evidence without a digest")
    return EvalResult(
        evaluator=fields.filled(fields.field(predicate, "evaluator", dict, what), "id", what),
        time=fields.time(predicate, "evaluatedAt", what),
        suite=(fields.filled(suite, "name", what), fields.field(suite, "version", str, what)),
        claims=claims,
        sample_size=fields.number(predicate, "sampleSize", what),
        model=_one_of(predicate, "model", what),
        dataset=_one_of(predicate, "dataset", what),
        assurance=Assurance(fields.word(predicate, "assuranceLevel", tuple(Assurance), what)),
        profile=Profile(fields.word(predicate, "subjectProfile", tuple(Profile), what)),
        pre_registration=_commitment(predicate, "preRegistration", what, salted=False),
        evidence=evidence,
        harness=_harness(predicate, what),
    )


def _claim(row: Mapping[str, Any], what: str) -> Claim:
    return Claim(
        metric=fields.filled(row, "metric", what),
        comparator=fields.word(row, "comparator", COMPARATORS, what),
        threshold=fields.decimal(row, "threshold", what),
        passed=fields.field(row, "passed", bool, what),
    )


def _one_of(predicate: Mapping[str, Any], key: str, what: str) -> Resource | Commitment:
    """The proposal's exactly-once rule: named by digest, or withheld, and never both."""
    public = resource.read_one(predicate, key, what)
    private = _commitment(fields.inner(predicate, "commitments", what), key, what, salted=True)
    found = [one for one in (public, private) if one is not None]
    if len(found) != 1:
        raise InputError(fields.BAD, f'{what} must name its {key} once: by "{key}" or in "commitments"')
    if public is not None and not public.what.digests:
        raise InputError(fields.BAD, f'"{key}" of {what} has no digest')
    return found[0]


def _commitment(row: Mapping[str, Any], key: str, what: str, *, salted: bool) -> Commitment | None:
    if row.get(key) is None:
        return None
    inner = fields.field(row, key, dict, what)
    if salted and fields.field(inner, "salted", bool, what) is not True:
        raise InputError(
            fields.BAD, f'the commitment to the {key} of {what} is not salted: "salted" must be true'
        )
    return Commitment(
        algorithm=fields.filled(inner, "alg", what),
        value=fields.hexadecimal(inner, "value", what, required=True),
    )


def _harness(predicate: Mapping[str, Any], what: str) -> Harness | None:
    if predicate.get("harness") is None:
        return None
    row = fields.field(predicate, "harness", dict, what)
    digests = fields.inner(row, "digest", what)
    return Harness(
        name=fields.filled(row, "name", what),
        version=fields.field(row, "version", str, what),
        digests=tuple((key, fields.hexadecimal(digests, key, what, required=True)) for key in digests),
    )


def write(result: EvalResult) -> dict[str, Any]:
    """`read(write(r)) == r`."""
    sides = {"model": result.model, "dataset": result.dataset}
    private = {key: one for key, one in sides.items() if isinstance(one, Commitment)}
    public = {key: one for key, one in sides.items() if isinstance(one, Resource)}
    return {
        "evaluator": {"id": result.evaluator},
        "evaluatedAt": result.time,
        "suite": {"name": result.suite[0], "version": result.suite[1]},
        "claims": [
            {
                "metric": claim.metric,
                "comparator": claim.comparator,
                "threshold": claim.threshold,
                "passed": claim.passed,
            }
            for claim in result.claims
        ],
        "sampleSize": result.sample_size,
        "assuranceLevel": result.assurance.value,
        "subjectProfile": result.profile.value,
        **{key: resource.write(one) for key, one in public.items()},
        **fields.given(
            commitments={key: {**_hash(one), "salted": True} for key, one in private.items()},
            preRegistration=_hash(result.pre_registration) if result.pre_registration else None,
            evidence=resource.write_all(result.evidence),
            harness=_write_harness(result.harness),
        ),
    }


def _hash(one: Commitment) -> dict[str, Any]:
    return {"alg": one.algorithm, "value": one.value}


def _write_harness(harness: Harness | None) -> dict[str, Any] | None:
    if harness is None:
        return None
    return {
        "name": harness.name,
        "version": harness.version,
        **fields.given(digest=dict(harness.digests)),
    }


def step(statement: Statement, result: EvalResult) -> Step:
    """`evaluate`: of the model that the predicate or the statement names, on the data set where it is not withheld."""
    model: tuple[Named, ...] = (result.model.what,) if isinstance(result.model, Resource) else ()
    data = (result.dataset,) if isinstance(result.dataset, Resource) else ()
    return Step(
        name="evaluate",
        products=tuple(dict.fromkeys((*statement.subjects, *model))),
        materials=resource.materials(data, Relation.EVALUATED_ON),
        looks=True,
        builder=result.evaluator,
        finished=result.time,
    )


def say(result: EvalResult) -> str:
    """In a few words."""
    missed = [claim.metric for claim in result.claims if not claim.passed]
    how = (
        f"missed {counted(len(missed), 'claim')}: {', '.join(missed[:3])}" if missed else "every claim passed"
    )
    return f"{result.suite[0]} {result.suite[1]}: {how}"
