"""Provenance: how a build made its products, as SLSA v1 writes it.

    {"buildDefinition": {"buildType": …, "externalParameters": {…}, "internalParameters": {…}, "resolvedDependencies": […]},
     "runDetails": {"builder": {"id": …, "version": {…}}, "metadata": {"invocationId": …, "startedOn": …, "finishedOn": …},
                    "byproducts": […]}}

What the parameters mean is the build type's affair: they are kept as they are. In builds of our own type (`RUN_BUILD`)
the external parameters `step` and `plan` name the step of a layout and the approved plan, and each dependency says its
relation in an annotation (`attest.resource.RELATION`). https://slsa.dev/spec/v1.0/provenance
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from weighbridge.attest import fields, resource
from weighbridge.attest.resource import Resource
from weighbridge.attest.step import Step
from weighbridge.core.statement import Statement
from weighbridge.core.value import dataclass

TYPE = "https://slsa.dev/provenance/v1"
RUN_BUILD = "weighbridge.run/v1"
"""The build type of `weighbridge run`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """One build."""

    build_type: str
    builder: str
    """The builder's id: who is trusted to have told the truth about all of this."""
    external: Mapping[str, Any] = field(default_factory=dict)
    """What the caller of the build chose; whoever verifies must look at each."""
    internal: Mapping[str, Any] = field(default_factory=dict)
    dependencies: tuple[Resource, ...] = ()
    builder_version: tuple[tuple[str, str], ...] = ()
    builder_dependencies: tuple[Resource, ...] = ()
    invocation: str = ""
    started: str = ""
    finished: str = ""
    byproducts: tuple[Resource, ...] = ()


def read(predicate: Mapping[str, Any], what: str) -> Provenance:
    """Strict in what is known; the rest is ignored. Raises `InputError` (`bad-predicate`, `bad-statement`)."""
    definition = fields.field(predicate, "buildDefinition", dict, what)
    details = fields.field(predicate, "runDetails", dict, what)
    builder = fields.field(details, "builder", dict, what)
    metadata = fields.inner(details, "metadata", what)
    return Provenance(
        build_type=fields.filled(definition, "buildType", what),
        builder=fields.filled(builder, "id", what),
        external=fields.field(definition, "externalParameters", dict, what),
        internal=fields.inner(definition, "internalParameters", what),
        dependencies=resource.read_all(definition, "resolvedDependencies", what),
        builder_version=fields.pairs(builder, "version", what),
        builder_dependencies=resource.read_all(builder, "builderDependencies", what),
        invocation=fields.optional(metadata, "invocationId", "", what),
        started=fields.time(metadata, "startedOn", what, required=False),
        finished=fields.time(metadata, "finishedOn", what, required=False),
        byproducts=resource.read_all(details, "byproducts", what),
    )


def write(build: Provenance) -> dict[str, Any]:
    """`read(write(b)) == b`."""
    return {
        "buildDefinition": {
            "buildType": build.build_type,
            "externalParameters": dict(build.external),
            **fields.given(
                internalParameters=dict(build.internal),
                resolvedDependencies=resource.write_all(build.dependencies),
            ),
        },
        "runDetails": fields.given(
            builder=fields.given(
                id=build.builder,
                version=dict(build.builder_version),
                builderDependencies=resource.write_all(build.builder_dependencies),
            ),
            metadata=fields.given(
                invocationId=build.invocation, startedOn=build.started, finishedOn=build.finished
            ),
            byproducts=resource.write_all(build.byproducts),
        ),
    }


def step(statement: Statement, build: Provenance) -> Step:
    """The build; `build`, or what our own build type calls it."""
    ours = build.external if build.build_type == RUN_BUILD else {}
    name, plan = ours.get("step"), ours.get("plan")
    return Step(
        name=name if isinstance(name, str) and name else "build",
        products=statement.subjects,
        materials=resource.materials(build.dependencies),
        builder=build.builder,
        started=build.started,
        finished=build.finished,
        plan=plan if isinstance(plan, str) else "",
    )


def say(build: Provenance) -> str:
    """In a few words."""
    return f"built by {build.builder} as {build.build_type}"
