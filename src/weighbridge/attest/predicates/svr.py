"""Simple verification result: a verifier checked the subjects and found these properties, as in-toto writes it.

    {"verifier": {"id": …, "policy": {…}}, "timeCreated": …, "properties": ["SLSA_BUILD_LEVEL_3", …]}

It lists what passed and cannot say that something failed: a property that is not there was not shown, and no more.
https://github.com/in-toto/attestation/blob/main/spec/predicates/svr.md
"""

from collections.abc import Mapping
from typing import Any

from weighbridge.attest import fields, resource
from weighbridge.attest.resource import Resource
from weighbridge.core.text import some
from weighbridge.core.value import dataclass

TYPE = "https://in-toto.io/attestation/svr/v0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Svr:
    """One verification."""

    verifier: str
    time: str
    properties: tuple[str, ...] = ()
    policy: Resource | None = None
    """Which policy the verifier used; an extension that verifiers with a choice of policies write."""


def read(predicate: Mapping[str, Any], what: str) -> Svr:
    """Strict in what is known; the rest is ignored. Raises `InputError` (`bad-predicate`, `bad-statement`)."""
    verifier = fields.field(predicate, "verifier", dict, what)
    fields.field(predicate, "properties", list, what)
    return Svr(
        verifier=fields.filled(verifier, "id", what),
        time=fields.time(predicate, "timeCreated", what),
        properties=fields.texts(predicate, "properties", what),
        policy=resource.read_one(verifier, "policy", what),
    )


def write(found: Svr) -> dict[str, Any]:
    """`read(write(s)) == s`."""
    return {
        "verifier": fields.given(id=found.verifier, policy=resource.write(found.policy)),
        "timeCreated": found.time,
        "properties": list(found.properties),
    }


def say(found: Svr) -> str:
    """In a few words."""
    return f"{found.verifier} found {some(found.properties, 4) or 'no property'}"
