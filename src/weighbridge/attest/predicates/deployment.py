"""Deployment: the statement's subject is in use somewhere.

    {"name": "xray-triage", "environment": "production", "place": "https://clinic-7.example/triage",
     "timeDeployed": …, "timeEnded": …, "operatingPoint": "sha256:…"}

A deployment has no bytes of its own; in chains and lineages it is known by the hash of its environment and name.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from weighbridge.attest import fields
from weighbridge.attest.step import Material, Relation, Step
from weighbridge.core.statement import Named, Statement
from weighbridge.core.value import dataclass

TYPE = "weighbridge.deployment/v1"
_KNOWN = ("name", "environment", "place", "timeDeployed", "timeEnded", "operatingPoint")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One model in use."""

    name: str
    environment: str
    """`production`, `staging`, a site, a ward: where a deployment of this name is one and the same."""
    time: str
    place: str = ""
    """An address or a description; for people."""
    ended: str = ""
    """Since when it is in use no more; "" while it is."""
    operating_point: str = ""
    """Digest of the statement of the operating point that it is used at."""

    @property
    def named(self) -> Named:
        """The deployment as something that a lineage can point at."""
        text = f"{TYPE}\n{self.environment}\n{self.name}"
        known = ("sha256", hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest())
        return Named(name=f"{self.name} ({self.environment})", others=(known,))


def read(predicate: Mapping[str, Any], what: str) -> Deployment:
    """Strict. Raises `InputError` (`bad-predicate`)."""
    fields.refuse_unknown(predicate, _KNOWN, what)
    return Deployment(
        name=fields.filled(predicate, "name", what),
        environment=fields.filled(predicate, "environment", what),
        place=fields.optional(predicate, "place", "", what),
        time=fields.time(predicate, "timeDeployed", what),
        ended=fields.time(predicate, "timeEnded", what, required=False),
        operating_point=fields.digest(predicate, "operatingPoint", what),
    )


def write(deployment: Deployment) -> dict[str, Any]:
    """`read(write(d)) == d`."""
    return {
        "name": deployment.name,
        "environment": deployment.environment,
        "timeDeployed": deployment.time,
        **fields.given(
            place=deployment.place, timeEnded=deployment.ended, operatingPoint=deployment.operating_point
        ),
    }


def step(statement: Statement, deployment: Deployment) -> Step:
    """`deploy`: its product is the deployment, its materials are the models that are in use there."""
    return Step(
        name="deploy",
        products=(deployment.named,),
        materials=tuple(Material(what=one, relation=Relation.DEPLOYED_AS) for one in statement.subjects),
        finished=deployment.time,
    )


def say(deployment: Deployment) -> str:
    """In a few words."""
    until = f", ended {deployment.ended}" if deployment.ended else ""
    return f"{deployment.name} in {deployment.environment} since {deployment.time}{until}"
