"""Reading an OMS statement: whatever model-signing 0.2 to 1.1 has signed, where it has one safe meaning.

Everything else is refused with a code of its own. Who signed is not looked at here.
"""

import re
from collections.abc import Sequence
from typing import Any

from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.text import visible
from weighbridge.core.wire import read_json
from weighbridge.sign import legacy
from weighbridge.sign.fields import maybe, need, take
from weighbridge.sign.oms.content import (
    DIGESTS,
    EMPTY,
    MIN_SHARD,
    STATEMENT_TYPE,
    TENSORS,
    OmsStatement,
    Resource,
    SignedTensor,
    root_digest,
)
from weighbridge.sign.oms.paths import name_problem

MAX_STATEMENT = 48 * 1024**2
MAX_NODES = 3_000_000
"""Commas and brackets in a statement: four a file. Each costs memory when decoded, so they are counted before."""

NOT_UNDERSTOOD = frozenset({"predicate-unknown", "predicate-version", "method-unknown", "algorithm-unknown"})
"""Codes of statements that may well be right; a newer release may understand them."""

_BAD = "bad-statement"
_PREDICATE = re.compile(r"https://model_signing/signature/v(\d{1,9})\.(\d{1,9})", re.ASCII)
_SHARD = re.compile(r"(.+):(\d{1,18}):(\d{1,18})", re.ASCII | re.DOTALL)
_SHARDED = re.compile(r"(\w{1,20})-sharded-(\d{1,18})", re.ASCII)
_HEX = re.compile(r"[0-9a-f]+", re.ASCII)

_ALGORITHMS = {"sha256": "sha256", "blake3": "blake3", "blake2b": "blake2b", "blake2": "blake2b"}
_DIGEST_SIZE = {"sha256": 32, "blake3": 32, "blake2b": 64}


def parse_statement(payload: bytes) -> OmsStatement:
    """The statement in a payload. Raises `InputError` and `LimitError`; each refusal has its own code."""
    if payload.count(b",") + payload.count(b"[") + payload.count(b"{") > MAX_NODES:
        raise LimitError("limit-json", f"the statement has more than {MAX_NODES} values")
    document = need(read_json(payload, "the statement", limit=MAX_STATEMENT), dict, _BAD, "the statement")
    if take(document, "_type", str, _BAD, "the statement") != STATEMENT_TYPE:
        raise InputError(
            "statement-type", f'the payload is "{str(document["_type"])[:100]}", not an in-toto statement v1'
        )
    predicate = take(document, "predicateType", str, _BAD, "the statement")
    if predicate == legacy.PREDICATE:
        return _parse_legacy(document)
    version = _PREDICATE.fullmatch(predicate)
    if not version:
        raise InputError(
            "predicate-unknown", f'statements of type "{predicate[:100]}" are not model signatures'
        )
    if int(version[1]) != 1:
        raise InputError("predicate-version", f"model signatures of version {version[1]} are not understood")
    # A new minor version only adds optional fields and must still be accepted (OMS VERSIONING, "Predicate Type URI").
    return _parse_v1(document, predicate)


def _parse_legacy(document: dict[str, Any]) -> OmsStatement:
    listed = legacy.resources(document)
    resources = tuple(Resource(_checked_name(name), _checked_digest(text, "sha256")) for name, text in listed)
    _check_unique(resources)
    return OmsStatement(name="", predicate=legacy.PREDICATE, resources=resources)


def _parse_v1(document: dict[str, Any], predicate_type: str) -> OmsStatement:
    subject = _only_subject(take(document, "subject", list, _BAD, "the statement"))
    predicate = take(document, "predicate", dict, _BAD, "the statement")
    how = take(predicate, "serialization", dict, _BAD, "the predicate")
    method = take(how, "method", str, _BAD, '"serialization"')
    if method not in ("files", "shards"):
        raise InputError("method-unknown", f'serialization "{method[:100]}" is not understood')
    hash_type = _algorithm(take(how, "hash_type", str, _BAD, '"serialization"'), None)
    shard_size = _shard_size(how) if method == "shards" else None
    documents, resources = _resources(predicate, hash_type, shard_size)
    _check_root(subject, resources)
    notes = _annotations(subject)
    tensors, tensor_paths = _parse_tensors(documents, resources)
    return OmsStatement(
        name=take(subject, "name", str, _BAD, "the subject"),
        predicate=predicate_type,
        method=method,
        hash_type=hash_type,
        shard_size=shard_size,
        allow_symlinks=take(how, "allow_symlinks", bool, _BAD, '"serialization"'),
        ignore_paths=_parse_ignores(how),
        resources=resources,
        digests=_parse_digests(notes),
        tensors=tensors,
        tensor_paths=tensor_paths,
        empty=_parse_empty(notes) if method == "shards" else None,
    )


def _resources(
    predicate: dict[str, Any], hash_type: str, shard_size: int | None
) -> tuple[list[dict[str, Any]], tuple[Resource, ...]]:
    """What is listed, as it stands there and read; names and shards are checked."""
    listed = take(predicate, "resources", list, _BAD, "the predicate")
    documents = [need(item, dict, _BAD, "a resource") for item in listed]
    resources = tuple(_parse_resource(item, hash_type, shard_size) for item in documents)
    _check_unique(resources)
    if shard_size is not None:
        _check_shards(resources, shard_size)
    return documents, resources


def _only_subject(subjects: list[Any]) -> dict[str, Any]:
    if not subjects:
        raise InputError("no-subject", "the statement has no subject")
    if len(subjects) > 1:
        raise InputError(
            "several-subjects", f"the statement has {len(subjects)} subjects, exactly 1 is allowed"
        )
    return need(subjects[0], dict, _BAD, "the subject")


def _algorithm(text: str, shard_size: int | None) -> str:
    """The algorithm's registered name; `blake2` and `sha256-sharded-1000000000` are model-signing's spellings."""
    if text in _ALGORITHMS:
        return _ALGORITHMS[text]
    sharded = _SHARDED.fullmatch(text)
    if sharded and int(sharded[2]) == shard_size and sharded[1] in _ALGORITHMS:
        return _ALGORITHMS[sharded[1]]
    raise InputError("algorithm-unknown", f'hash "{text[:100]}" is not understood')


def _shard_size(how: dict[str, Any]) -> int:
    size = how.get("shard_size")
    # model-signing writes 1000000000.0, since its statement passes through protobuf's one number type.
    if isinstance(size, float) and size.is_integer():
        size = int(size)
    if not isinstance(size, int) or isinstance(size, bool) or not 0 < size < 2**60:
        raise InputError("bad-shards", '"shard_size" is not a positive integer')
    if size < MIN_SHARD:
        raise LimitError(
            "limit-shards", f"shards of {size} bytes are not read, the smallest allowed is {MIN_SHARD}"
        )
    return size


def _parse_resource(item: dict[str, Any], hash_type: str, shard_size: int | None) -> Resource:
    algorithm = _algorithm(take(item, "algorithm", str, _BAD, "a resource"), shard_size)
    if algorithm != hash_type:
        raise InputError(
            "algorithm-mixed", f'a resource has hash "{algorithm}", the statement says "{hash_type}"'
        )
    digest = _checked_digest(take(item, "digest", str, _BAD, "a resource"), algorithm)
    name = take(item, "name", str, _BAD, "a resource")
    if shard_size is None:
        return Resource(_checked_name(name), digest)
    # Paths may hold colons themselves, so the range is the *last* two numbers (OMS section 6.3.2).
    shard = _SHARD.fullmatch(name)
    if not shard:
        raise InputError("bad-shards", f'"{visible(name, 100)}" names no shard')
    return Resource(_checked_name(shard[1]), digest, int(shard[2]), int(shard[3]))


def _checked_digest(text: str, algorithm: str) -> bytes:
    if not _HEX.fullmatch(text) or len(text) != 2 * _DIGEST_SIZE[algorithm]:
        raise InputError(
            "bad-digest", f'"{visible(text, 140)}" is not a {algorithm} digest in lower-case hex'
        )
    return bytes.fromhex(text)


def _checked_name(name: str) -> str:
    problem = "" if name == "." else name_problem(name)
    if problem:
        raise InputError(problem, f'"{visible(name, 200)}" is no name that a signed file may have')
    return name


def _check_unique(resources: Sequence[Resource]) -> None:
    if not resources:
        # An empty list is satisfied by an empty folder, and MUST be refused (OMS section 5.2.1).
        raise InputError("no-resources", "the statement lists no file")
    seen: set[tuple[str, int]] = set()
    for resource in resources:
        if (resource.path, resource.start) in seen:
            raise InputError("name-twice", f'"{visible(resource.path, 200)}" is listed twice')
        seen.add((resource.path, resource.start))
    if any(resource.path == "." for resource in resources) and any(
        resource.path != "." for resource in resources
    ):
        raise InputError("name-not-canonical", 'the name "." stands beside others')


def _check_shards(resources: Sequence[Resource], size: int) -> None:
    """Every file's shards cover it from 0 without gap or overlap, all but the last being `size` long."""
    ends: dict[str, int] = {}
    for path, _, start, end in sorted(resources, key=lambda resource: (resource.path, resource.start)):
        expected = ends.get(path, 0)
        if end is None or start != expected or start % size or not start < end <= start + size:
            raise InputError("bad-shards", f'the shards of "{visible(path, 200)}" do not cover it')
        ends[path] = end


def _check_root(subject: dict[str, Any], resources: Sequence[Resource]) -> None:
    digest = take(subject, "digest", dict, _BAD, "the subject")
    signed = take(digest, "sha256", str, _BAD, "the subject's digest")
    # Listed order: the specification sorts by code points, model-signing by path components.
    if signed != root_digest(resource.digest for resource in resources):
        raise InputError(
            "root-digest-wrong", "the statement contradicts itself: its root digest is of other files"
        )


def _parse_ignores(how: dict[str, Any]) -> tuple[str, ...]:
    listed: list[Any] = maybe(how, "ignore_paths", [], _BAD)
    ignores = [need(item, str, _BAD, "an ignored path").removesuffix("/") for item in listed]
    for path in ignores:
        if name_problem(path):
            raise InputError("bad-ignore-path", f'"{visible(path, 200)}" is no path inside the model')
    return tuple(ignores)


def _annotations(document: dict[str, Any]) -> dict[str, Any]:
    return maybe(document, "annotations", {}, _BAD)


def _parse_digests(notes: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    digests: dict[str, Any] = maybe(notes, DIGESTS, {}, "bad-annotation")
    return tuple((name, need(text, str, "bad-annotation", DIGESTS)) for name, text in digests.items())


def _parse_empty(notes: dict[str, Any]) -> tuple[str, ...] | None:
    if EMPTY not in notes:
        return None
    listed = need(notes[EMPTY], list, "bad-annotation", EMPTY)
    return tuple(_checked_name(need(path, str, "bad-annotation", EMPTY)) for path in listed)


def _parse_tensors(
    documents: Sequence[dict[str, Any]], resources: Sequence[Resource]
) -> tuple[tuple[SignedTensor, ...], frozenset[str]]:
    tensors: list[SignedTensor] = []
    paths: set[str] = set()
    for document, resource in zip(documents, resources, strict=True):
        listed = _annotations(document).get(TENSORS)
        if listed is not None:
            paths.add(resource.path)
            items = need(listed, dict, "bad-annotation", TENSORS).items()
            tensors += [_parse_tensor(name, value, resource.path) for name, value in items]
    return tuple(tensors), frozenset(paths)


def _parse_tensor(name: str, value: Any, path: str) -> SignedTensor:
    match value:
        case [str(dtype), [*shape], str(digest)] if all(type(size) is int for size in shape):
            return SignedTensor(name, dtype, tuple(shape), _checked_digest(digest, "blake3"), path)
    raise InputError("bad-annotation", f'{TENSORS} of "{visible(path, 200)}" is malformed')
