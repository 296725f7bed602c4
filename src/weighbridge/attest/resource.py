"""Resource: what in-toto calls a ResourceDescriptor, as the predicates of others use it.

    {"name": …, "uri": …, "digest": {algorithm: hex}, "downloadLocation": …, "mediaType": …, "annotations": {…}}

One without a digest may be described, and is never a material of a step: a name or an address is nothing that can be
followed. The `content` field is checked for being text and not kept.
https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from typing import Any

from weighbridge.attest import fields
from weighbridge.attest.step import Material, Relation
from weighbridge.core.errors import InputError
from weighbridge.core.statement import Named, read_named, write_named
from weighbridge.core.value import dataclass

RELATION = "weighbridge.relation"
"""Annotation: how a product hangs on this resource, in the words of `Relation`."""
_CODE = frozenset({"gitCommit", "gitTree", "gitBlob", "gitTag", "sha1"})
"""Digests of source code: what a thing was made with, and nothing that it has in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource that a predicate names."""

    what: Named
    """Without digests where it is only described."""
    uri: str = ""
    download_location: str = ""
    media_type: str = ""
    annotations: Mapping[str, Any] = field(default_factory=dict)


def read(value: Any, what: str) -> Resource:
    """Raises `InputError` (`bad-predicate`, `bad-statement`) where it neither has a digest nor says where it is."""
    row = fields.field({"it": value}, "it", dict, what)
    name, uri = fields.optional(row, "name", "", what), fields.optional(row, "uri", "", what)
    content = fields.optional(row, "content", "", what)
    digests = fields.inner(row, "digest", what)
    if not (digests or uri or content):
        raise InputError(fields.BAD, f"{what} has no digest, no uri and no content")
    return Resource(
        what=read_named(row, what) if digests else Named(name=name),
        uri=uri,
        download_location=fields.optional(row, "downloadLocation", "", what),
        media_type=fields.optional(row, "mediaType", "", what),
        annotations=fields.inner(row, "annotations", what),
    )


def read_all(predicate: Mapping[str, Any], key: str, what: str) -> tuple[Resource, ...]:
    """A list of resources; () where it is absent."""
    return tuple(read(row, f'an item of "{key}" of {what}') for row in fields.rows(predicate, key, what))


def read_one(predicate: Mapping[str, Any], key: str, what: str) -> Resource | None:
    """One resource; None where it is absent."""
    return None if predicate.get(key) is None else read(predicate[key], f'"{key}" of {what}')


def write(resource: Resource | None) -> dict[str, Any] | None:
    """The descriptor as JSON."""
    if resource is None:
        return None
    what = write_named(resource.what) if resource.what.digests else {"name": resource.what.name}
    return fields.given(
        **what,
        uri=resource.uri,
        downloadLocation=resource.download_location,
        mediaType=resource.media_type,
        annotations=dict(resource.annotations),
    )


def write_all(resources: Iterable[Resource]) -> list[Any]:
    """The list that `read_all` reads."""
    return [write(one) for one in resources]


def of_material(material: Material) -> Resource:
    """A material as a resource that says its relation."""
    return Resource(what=material.what, uri=material.uri, annotations={RELATION: material.relation.value})


def materials(
    resources: Iterable[Resource | None], relation: Relation = Relation.DERIVED_FROM
) -> tuple[Material, ...]:
    """The resources that are known by digest. Each in the relation it says, else source code as a tool, else `relation`."""
    return tuple(_materials(resources, relation))


def _materials(resources: Iterable[Resource | None], relation: Relation) -> Iterator[Material]:
    for one in resources:
        if one is not None and one.what.digests:
            said = one.annotations.get(RELATION)
            code = {digest.partition(":")[0] for digest in one.what.digests} <= _CODE
            default = Relation.BUILT_WITH if code else relation
            known = Relation(said) if isinstance(said, str) and said in tuple(Relation) else default
            yield Material(what=one.what, relation=known, uri=one.uri)
