"""Writing an OMS statement: the payload to sign for a measured manifest, per spec v1.0 with our annotations."""

from collections.abc import Iterable, Sequence
from typing import Any

from weighbridge.core.errors import UsageError
from weighbridge.core.manifest import Entry, Manifest
from weighbridge.core.text import visible
from weighbridge.core.wire import write_json
from weighbridge.sign.bundle import signature_names
from weighbridge.sign.oms.content import (
    DIGESTS,
    EMPTY,
    MIN_SHARD,
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    TENSORS,
    root_digest,
)
from weighbridge.sign.oms.measured import digest_of, part_of, shard_digests
from weighbridge.sign.oms.paths import default_ignores, matcher, name_problem

MAX_TENSORS = 20_000


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
    ignores = _ignores(ignore_paths)
    skip = matcher(() if single else ignores)
    entries = tuple(entry for entry in manifest.entries if not skip(entry.path))
    _check_entries(entries, allow_symlinks=allow_symlinks)
    covered = part_of(manifest, {entry.path for entry in entries})
    resources = _sharded(covered, hash_type, shard_size) if shard_size else _whole(covered, hash_type)
    named = _unnamed(resources) if single and nameless else resources
    listed = sorted(named, key=lambda resource: resource[0])
    notes, by_path = _tensor_notes(covered)
    annotations = {DIGESTS: _digests(covered)} | notes | _empty_note(covered, shard_size)
    how = _serialization(hash_type, shard_size, allow_symlinks, None if single else ignores)
    return write_json(
        {
            "_type": STATEMENT_TYPE,
            "subject": [_subject(name, listed, annotations)],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "resources": [_resource(item, hash_type, by_path) for item in listed],
                "serialization": how,
            },
        }
    )


def _ignores(ignore_paths: Iterable[str]) -> tuple[str, ...]:
    # The signature files too, and the siblings even where there are none yet: one that is added later must not look like
    # an extra file to tools that know nothing of it.
    always = (*default_ignores, *signature_names())
    return tuple(sorted({*always, *(_checked_ignore(path) for path in ignore_paths)}))


def _subject(
    name: str, listed: Sequence[tuple[str, str, bytes]], annotations: dict[str, Any]
) -> dict[str, Any]:
    return {
        "name": name.encode("utf-8", "replace").decode() or "model",
        "digest": {"sha256": root_digest(digest for _, _, digest in listed)},
        "annotations": annotations,
    }


def _serialization(
    hash_type: str, shard_size: int | None, allow_symlinks: bool, ignores: tuple[str, ...] | None
) -> dict[str, Any]:
    """How the files were listed; a one-file model has no `ignores`."""
    how: dict[str, Any] = {"method": "files", "hash_type": hash_type, "allow_symlinks": allow_symlinks}
    if shard_size:
        how |= {"method": "shards", "shard_size": shard_size}
    return how if ignores is None else how | {"ignore_paths": list(ignores)}


def _check_request(hash_type: str, shard_size: int | None) -> None:
    if hash_type not in ("sha256", "blake3"):
        raise UsageError("bad-hash-type", f'cannot sign with hash "{hash_type}"', "one of: sha256, blake3")
    if shard_size is not None and shard_size < MIN_SHARD:
        raise UsageError(
            "bad-shard-size", f"shards of {shard_size} bytes are too small", f"at least {MIN_SHARD}"
        )


def _checked_ignore(path: str) -> str:
    clean = path.removesuffix("/")
    if name_problem(clean) or any(char in clean for char in "*?["):
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
        problem = name_problem(entry.path)
        if problem:
            raise UsageError(problem, f'"{visible(entry.path)}" cannot be written in a signature')


def _whole(manifest: Manifest, hash_type: str) -> list[tuple[str, str, bytes]]:
    """(name, path, digest) of every file."""
    listed = [(entry.path, entry.path, digest_of(entry, hash_type)) for entry in manifest.entries]
    return [(name, path, _measured(digest, path, hash_type)) for name, path, digest in listed]


def _sharded(manifest: Manifest, hash_type: str, size: int) -> list[tuple[str, str, bytes]]:
    shards = shard_digests(manifest, hash_type)
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
