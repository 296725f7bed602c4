"""OMS statements: the sentence "these files have these digests", written per spec v1.0 and read as tools wrote it.

Spec: github.com/ossf/model-signing-spec, v1.0. docs/formats/oms.md says what we emit, what else we accept, and why.

`parse_statement` accepts whatever model-signing 0.2 to 1.1 has signed where it has one safe meaning, and refuses the
rest with a code of its own. `compare` says what differs between a statement and a measured manifest, `uncovered` what
the statement leaves out on purpose. Neither knows who signed. The root digest does not bind names, so it is checked
and never used as an identity.
"""

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import field
from typing import Any, NamedTuple

from weighbridge.core.errors import InputError, LimitError, UsageError
from weighbridge.core.manifest import Difference, Entry, Manifest
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.core.wire import read_json, write_json
from weighbridge.sign import legacy
from weighbridge.sign.bundle import signature_names
from weighbridge.sign.fields import maybe, need, take

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"

default_ignores = (".git", ".gitattributes", ".github", ".gitignore")
"""Left out at the model's root by every OMS tool (OMS section 6.2); `sub/.git` is not."""

HARMLESS = frozenset({".gitattributes", ".gitignore"})
"""Files that the format leaves out, that ordinary Hub folders have, and that nothing loads."""

DIGESTS = "dev.weighbridge.digests/v1"
TENSORS = "dev.weighbridge.tensors/v1"
EMPTY = "dev.weighbridge.empty/v1"
"""Our annotations; OMS leaves `annotations` of the subject and of resources open (section 5.2.1)."""

MIN_SHARD = 1024**2
"""Smaller shards cost more to list than to read; a statement must not choose how much memory its check takes."""

MAX_TENSORS = 20_000
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


class Resource(NamedTuple):
    """A signed file, or the shard `[start, end)` of one."""

    path: str
    digest: bytes
    start: int = 0
    end: int | None = None
    """None for a whole file, whose size OMS does not record."""


class SignedTensor(NamedTuple):
    """A tensor of a signed file, when the signer was ours."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    digest: bytes
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OmsStatement:
    """What somebody signed about a model."""

    name: str
    """What the signer called it; says nothing about the contents."""
    predicate: str = PREDICATE_TYPE
    method: str = "files"
    """`files` or `shards`."""
    hash_type: str = "sha256"
    shard_size: int | None = None
    allow_symlinks: bool = False
    ignore_paths: tuple[str, ...] = ()
    """As recorded; the defaults are ignored besides."""
    resources: tuple[Resource, ...]
    digests: tuple[tuple[str, str], ...] = ()
    """Our annotation: (`files`, `tensors` or `card`; `algorithm:hex`)."""
    tensors: tuple[SignedTensor, ...] = ()
    tensor_paths: frozenset[str] = frozenset()
    """Files whose tensors are listed in `tensors`."""
    empty: tuple[str, ...] | None = None
    """Empty files of a sharded model, which OMS cannot list; None when the signer did not say."""
    paths: frozenset[str] = field(init=False, compare=False, repr=False)
    """Every path the statement vouches for."""

    def __post_init__(self) -> None:
        paths = {resource.path for resource in self.resources}
        object.__setattr__(self, "paths", frozenset(paths.union(self.empty or ())))

    @property
    def nameless(self) -> bool:
        """True for a one-file model whose name was not signed: model-signing writes "." for it."""
        return self.paths == {"."}

    @property
    def version(self) -> str:
        """The version of the OMS predicate: `1.0`."""
        return self.predicate.rpartition("/v")[2]


# ---------------------------------------------------------------------------------------------------------- writing


def statement(
    manifest: Manifest,
    *,
    name: str,
    hash_type: str = "sha256",
    shard_size: int | None = None,
    allow_symlinks: bool = False,
    ignore_paths: Iterable[str] = (),
    single: bool = False,
    nameless: bool = False,
) -> bytes:
    """The payload to sign: everything in `manifest` that is not ignored; `ignore_paths` come on top of the defaults.

    `manifest` must hold the digests of `hash_type` (`sha256` or `blake3`), or with `shard_size` the shards. For a
    one-file model (`single`) the name is the file's own and nothing is ignored; `nameless` writes "." for it, against the
    specification, because model-signing up to 1.1.1 verifies nothing else. Raises `UsageError`: `empty-model`,
    `link-not-allowed`, `name-not-utf8`, `bad-ignore-path`, `bad-hash-type`, `bad-shard-size`, `not-measured`.
    """
    _check_request(hash_type, shard_size)
    # The signature files too, and the siblings even where there are none yet: one that is added later must not look like
    # an extra file to tools that know nothing of it.
    always = (*default_ignores, *signature_names())
    ignores = tuple(sorted({*always, *(_checked_ignore(path) for path in ignore_paths)}))
    skip = _matcher(() if single else ignores)
    entries = tuple(entry for entry in manifest.entries if not skip(entry.path))
    _check_entries(entries, allow_symlinks=allow_symlinks)
    covered = _part(manifest, {entry.path for entry in entries})
    resources = _sharded(covered, hash_type, shard_size) if shard_size else _whole(covered, hash_type)
    listed = sorted(
        _unnamed(resources) if single and nameless else resources, key=lambda resource: resource[0]
    )
    notes, by_path = _tensor_notes(covered)
    serialization: dict[str, Any] = {
        "method": "files",
        "hash_type": hash_type,
        "allow_symlinks": allow_symlinks,
    }
    if shard_size:
        serialization |= {"method": "shards", "shard_size": shard_size}
    if not single:
        serialization["ignore_paths"] = list(ignores)
    return write_json(
        {
            "_type": STATEMENT_TYPE,
            "subject": [
                {
                    "name": name.encode("utf-8", "replace").decode() or "model",
                    "digest": {"sha256": root_digest(digest for _, _, digest in listed)},
                    "annotations": {DIGESTS: _digests(covered)} | notes | _empty_note(covered, shard_size),
                }
            ],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "resources": [_resource(item, hash_type, by_path) for item in listed],
                "serialization": serialization,
            },
        }
    )


def _check_request(hash_type: str, shard_size: int | None) -> None:
    if hash_type not in ("sha256", "blake3"):
        raise UsageError("bad-hash-type", f'cannot sign with hash "{hash_type}"', "one of: sha256, blake3")
    if shard_size is not None and shard_size < MIN_SHARD:
        raise UsageError(
            "bad-shard-size", f"shards of {shard_size} bytes are too small", f"at least {MIN_SHARD}"
        )


def _checked_ignore(path: str) -> str:
    clean = path.removesuffix("/")
    if _name_problem(clean) or any(char in clean for char in "*?["):
        raise UsageError("bad-ignore-path", f'"{visible(path)}" is not a plain path inside the model')
    return clean


def _check_entries(entries: Sequence[Entry], *, allow_symlinks: bool) -> None:
    if not entries:
        raise UsageError("empty-model", "nothing to sign: no file is left after what is ignored")
    for entry in entries:
        if entry.link is not None and not allow_symlinks:
            raise UsageError(
                "link-not-allowed",
                f'"{visible(entry.path)}" is a symbolic link',
                "--allow-symlinks signs its contents",
            )
        problem = _name_problem(entry.path)
        if problem:
            raise UsageError(problem, f'"{visible(entry.path)}" cannot be written in a signature')


def _whole(manifest: Manifest, hash_type: str) -> list[tuple[str, str, bytes]]:
    """(name, path, digest) of every file."""
    listed = [(entry.path, entry.path, _digest_of(entry, hash_type)) for entry in manifest.entries]
    return [(name, path, _measured(digest, path, hash_type)) for name, path, digest in listed]


def _sharded(manifest: Manifest, hash_type: str, size: int) -> list[tuple[str, str, bytes]]:
    shards = _shard_digests(manifest, hash_type)
    return [
        (
            f"{entry.path}:{start}:{end}",
            entry.path,
            _measured(shards.get((entry.path, start, end)), entry.path, hash_type),
        )
        for entry in manifest.entries
        for start, end in ((start, min(start + size, entry.size)) for start in range(0, entry.size, size))
    ]


def _unnamed(resources: list[tuple[str, str, bytes]]) -> list[tuple[str, str, bytes]]:
    return [("." + name.removeprefix(path), path, digest) for name, path, digest in resources]


def _measured(digest: bytes | None, path: str, hash_type: str) -> bytes:
    if digest is None:
        raise UsageError("not-measured", f'"{visible(path)}" was not measured with {hash_type}')
    return digest


def _resource(item: tuple[str, str, bytes], hash_type: str, by_path: dict[str, Any]) -> dict[str, Any]:
    name, path, digest = item
    resource: dict[str, Any] = {"name": name, "algorithm": hash_type, "digest": digest.hex()}
    tensors = by_path.pop(path, None)  # the first shard of a file carries its tensors
    return resource | {"annotations": {TENSORS: tensors}} if tensors else resource


def root_digest(digests: Iterable[bytes]) -> str:
    """SHA-256 hex over the digests in listed order (OMS section 6.5.1). It binds neither names nor sizes."""
    return hashlib.sha256(b"".join(digests)).hexdigest()


def _digests(manifest: Manifest) -> dict[str, str]:
    named = {
        "files": manifest.files_digest("sha256") or manifest.files_digest("blake3"),
        "tensors": manifest.tensors_digest(),
        "card": manifest.card_digest(),
    }
    return {name: str(digest) for name, digest in named.items() if digest is not None}


def _tensor_notes(manifest: Manifest) -> tuple[dict[str, Any], dict[str, Any]]:
    """The subject's note on tensors, and per path the note of its resource."""
    tensors = manifest.tensors or ()
    if len(tensors) > MAX_TENSORS:
        return {TENSORS: {"omitted": len(tensors), "limit": MAX_TENSORS}}, {}
    by_path: dict[str, dict[str, Any]] = {}
    twice: set[str] = set()
    for tensor in tensors:
        listed = by_path.setdefault(tensor.path, {})
        if tensor.name in listed:
            twice.add(tensor.path)
        listed[tensor.name] = [tensor.dtype, list(tensor.shape), tensor.digest.hex()]
    return {}, {path: listed for path, listed in by_path.items() if path not in twice}


def _empty_note(manifest: Manifest, shard_size: int | None) -> dict[str, Any]:
    """Spec v1.0 leaves empty files out of sharded statements, so that adding one would go unseen."""
    return {EMPTY: [entry.path for entry in manifest.entries if not entry.size]} if shard_size else {}


def _part(manifest: Manifest, paths: set[str] | frozenset[str]) -> Manifest:
    """The manifest of these paths alone."""
    tensors = manifest.tensors
    return Manifest(
        entries=tuple(entry for entry in manifest.entries if entry.path in paths),
        tensors=None if tensors is None else tuple(tensor for tensor in tensors if tensor.path in paths),
        shards=manifest.shards,
    )


# ---------------------------------------------------------------------------------------------------------- reading


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
    listed = take(predicate, "resources", list, _BAD, "the predicate")
    documents = [need(item, dict, _BAD, "a resource") for item in listed]
    resources = tuple(_parse_resource(item, hash_type, shard_size) for item in documents)
    _check_unique(resources)
    if shard_size is not None:
        _check_shards(resources, shard_size)
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
    problem = "" if name == "." else _name_problem(name)
    if problem:
        raise InputError(problem, f'"{visible(name, 200)}" is no name that a signed file may have')
    return name


def _name_problem(name: str) -> str:
    """Why a name is not a canonical path inside the model (OMS section 6.1.2); "" when it is."""
    if "\x00" in name:
        return "name-nul"
    if name.startswith("/"):
        return "name-absolute"
    parts = name.split("/")
    if ".." in parts:
        return "name-escapes"
    if "" in parts or "." in parts:
        return "name-not-canonical"
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return "name-not-utf8"
    return ""


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
        if _name_problem(path):
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


# -------------------------------------------------------------------------------------------------------- comparing


def left_out(path: str, ignore_paths: Iterable[str]) -> bool:
    """Whether signing with these `ignore_paths` leaves `path` out."""
    return _matcher((*default_ignores, *signature_names(), *ignore_paths))(path)


def ignorer(statement: OmsStatement) -> Callable[[str], bool]:
    """Tells whether the statement leaves a path out on purpose. A path that it lists is never left out."""
    if statement.nameless:
        return lambda path: False
    matches = _matcher((*default_ignores, *statement.ignore_paths))
    return lambda path: path not in statement.paths and matches(path)


def _matcher(ignores: Iterable[str]) -> Callable[[str], bool]:
    """Exact relative paths and what lies below them; no patterns (OMS section 6.2.1)."""
    wanted = frozenset(ignores)
    roots = frozenset(path.partition("/")[0] for path in wanted)

    def matches(path: str) -> bool:
        if path.partition("/")[0] not in roots:
            return False
        parts = path.split("/")
        return any("/".join(parts[:count]) in wanted for count in range(1, len(parts) + 1))

    return matches


def resolve(statement: OmsStatement, manifest: Manifest) -> OmsStatement:
    """The statement about these files: gives a nameless one-file model the name of the one file there is."""
    if not statement.nameless or len(manifest.entries) != 1 or "/" in manifest.entries[0].path:
        return statement
    from dataclasses import replace

    path = manifest.entries[0].path
    return replace(statement, resources=tuple(item._replace(path=path) for item in statement.resources))


def part(statement: OmsStatement, paths: Collection[str]) -> OmsStatement:
    """What the statement says of these files alone; nothing of the set, so that no digest over all of it is left."""
    from dataclasses import replace

    return replace(
        statement,
        resources=tuple(item for item in statement.resources if item.path in paths),
        digests=(),
        tensors=tuple(item for item in statement.tensors if item.path in paths),
        tensor_paths=statement.tensor_paths & frozenset(paths),
        empty=None if statement.empty is None else tuple(path for path in statement.empty if path in paths),
    )


def compare(statement: OmsStatement, manifest: Manifest, *, tensors: bool = True) -> Difference:
    """What differs between what was signed and what was measured; a file not measured as needed counts as changed.

    `tensors` also names tensors that differ in files that differ, where the signer recorded them and they were measured.
    """
    statement = resolve(statement, manifest)
    skip = ignorer(statement)
    found = {entry.path: entry for entry in manifest.entries}
    changed = _changed(statement, manifest, found)
    added = [
        path
        for path in found
        if path not in statement.paths and not skip(path) and not _unlistable(statement, found[path])
    ]
    removed = statement.paths - found.keys()
    names = _tensor_difference(statement, manifest, {*changed, *added, *removed}) if tensors else {}
    return Difference(
        changed=tuple(sorted(changed)), added=tuple(sorted(added)), removed=tuple(sorted(removed)), **names
    )


def _changed(statement: OmsStatement, manifest: Manifest, found: dict[str, Entry]) -> set[str]:
    changed = {path for path in statement.empty or () if path in found and found[path].size}
    digests = _shard_digests(manifest, statement.hash_type)
    for path, digest, start, end in statement.resources:
        entry = found.get(path)
        if entry is None:
            continue
        whole = end is None or (start == 0 and end == entry.size)
        actual = _digest_of(entry, statement.hash_type) if whole else None
        if actual is None:
            actual = digests.get((path, start, entry.size if end is None else end))
        if actual != digest:
            changed.add(path)
    if statement.method == "shards":
        changed |= _resized(statement, found)
    return changed


def _resized(statement: OmsStatement, found: dict[str, Entry]) -> set[str]:
    sizes: dict[str, int] = {}
    for path, _, _, end in statement.resources:
        sizes[path] = max(sizes.get(path, 0), end or 0)
    return {path for path, size in sizes.items() if path in found and found[path].size != size}


def _digest_of(entry: Entry, algorithm: str) -> bytes | None:
    return {"sha256": entry.sha256, "blake3": entry.blake3}.get(algorithm)


def _shard_digests(manifest: Manifest, algorithm: str) -> dict[tuple[str, int, int], bytes]:
    return {
        (path, start, end): digest for path, start, end, name, digest in manifest.shards if name == algorithm
    }


def unmeasured(statement: OmsStatement, manifest: Manifest) -> tuple[str, ...]:
    """Signed files that are there but were not measured with the hash, or the shards, that the statement needs."""
    statement = resolve(statement, manifest)
    found = {entry.path: entry for entry in manifest.entries}
    shards = _shard_digests(manifest, statement.hash_type)
    lacking = set()
    for path, _, start, end in statement.resources:
        entry = found.get(path)
        if entry is None or (end is not None and end > entry.size):
            continue
        whole = end is None or (start == 0 and end == entry.size)
        if whole and _digest_of(entry, statement.hash_type) is not None:
            continue
        if (path, start, entry.size if end is None else end) not in shards:
            lacking.add(path)
    return tuple(sorted(lacking))


def _unlistable(statement: OmsStatement, entry: Entry) -> bool:
    """An empty file of a sharded model: OMS leaves it out, so nobody signed whether it is there."""
    return statement.method == "shards" and statement.empty is None and entry.size == 0


def uncovered(statement: OmsStatement, manifest: Manifest) -> tuple[str, ...]:
    """Files that are there and that the statement leaves out on purpose, harmless ones included."""
    statement = resolve(statement, manifest)
    skip = ignorer(statement)
    return tuple(
        entry.path
        for entry in manifest.entries
        if entry.path not in statement.paths and (skip(entry.path) or _unlistable(statement, entry))
    )


def covered(statement: OmsStatement, manifest: Manifest) -> Manifest:
    """The part of the manifest that the statement vouches for: what its `digests` are of."""
    return _part(manifest, resolve(statement, manifest).paths)


def expected(statement: OmsStatement) -> dict[str, bytes]:
    """path → SHA-256 where the statement says it, so that measuring can stop at the first file that differs."""
    if statement.hash_type != "sha256" or statement.method != "files" or statement.nameless:
        return {}
    return {resource.path: resource.digest for resource in statement.resources}


def _tensor_difference(
    statement: OmsStatement, manifest: Manifest, touched: set[str]
) -> dict[str, tuple[str, ...]]:
    """Names of tensors that differ, over all files that differ together: a tensor may move from shard to shard."""
    if manifest.tensors is None or not touched & statement.tensor_paths:
        return {}
    # A signed file without a record of its tensors says nothing about them; a file that was added does.
    paths = {path for path in touched if path in statement.tensor_paths or path not in statement.paths}
    signed = {t.name: (t.dtype, t.shape, t.digest) for t in statement.tensors if t.path in paths}
    now = {t.name: (t.dtype, tuple(t.shape), t.digest) for t in manifest.tensors if t.path in paths}
    return {
        "tensors_changed": tuple(
            sorted(name for name in signed.keys() & now.keys() if signed[name] != now[name])
        ),
        "tensors_added": tuple(sorted(now.keys() - signed.keys())),
        "tensors_removed": tuple(sorted(signed.keys() - now.keys())),
    }
