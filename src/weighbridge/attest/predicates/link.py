"""Link: one step of an in-toto supply chain: a command, what it took, what it left (the statement's subjects).

    {"name": "train", "command": ["python", "train.py"], "materials": […], "byproducts": {…}, "environment": {…}}

By-products and environment are opaque and kept as they are.
https://github.com/in-toto/attestation/blob/main/spec/predicates/link.md
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from weighbridge.attest import fields, resource
from weighbridge.attest.resource import Resource
from weighbridge.attest.step import Step
from weighbridge.core.errors import InputError
from weighbridge.core.statement import Statement
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass

TYPE = "https://in-toto.io/attestation/link/v0.3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One step as it was done."""

    name: str
    command: tuple[str, ...] = ()
    materials: tuple[Resource, ...] = ()
    """Each by digest, and no two of one name."""
    byproducts: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)


def read(predicate: Mapping[str, Any], what: str) -> Link:
    """Strict in what is known; the rest is ignored. Raises `InputError` (`bad-predicate`, `bad-statement`)."""
    materials = resource.read_all(predicate, "materials", what)
    names = set[str]()
    for one in materials:
        if not one.what.digests:
            raise InputError(
                fields.BAD, f'a material of {what} has no digest: "{visible(one.what.name, 80)}"'
            )
        if one.what.name in names:
            raise InputError(fields.BAD, f'{what} has the material "{visible(one.what.name, 80)}" twice')
        names.add(one.what.name)
    return Link(
        name=fields.filled(predicate, "name", what),
        command=fields.texts(predicate, "command", what),
        materials=materials,
        byproducts=fields.inner(predicate, "byproducts", what),
        environment=fields.inner(predicate, "environment", what),
    )


def write(link: Link) -> dict[str, Any]:
    """`read(write(l)) == l`."""
    return {
        "name": link.name,
        "command": list(link.command),
        "materials": resource.write_all(link.materials),
        "byproducts": dict(link.byproducts),
        "environment": dict(link.environment),
    }


def step(statement: Statement, link: Link) -> Step:
    """The step of its name."""
    return Step(name=link.name, products=statement.subjects, materials=resource.materials(link.materials))


def say(link: Link) -> str:
    """In a few words."""
    return f'step "{link.name}"'
