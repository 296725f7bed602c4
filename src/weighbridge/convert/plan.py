"""From what was found to what will be written: every file of the model is converted, copied, or left out by name.

A file that is already safe to load stays as it is in a model that has others to convert. A pickle without tensors is
copied only when it is proved safe; a document is copied unless something dangerous was found in it. Nothing is written
yet, and whatever cannot be taken over is in `Plan.refused`.
"""

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field

from weighbridge.convert import names
from weighbridge.convert.copying import Placed
from weighbridge.convert.gather import Found, Weights
from weighbridge.convert.metadata import metadata_of
from weighbridge.convert.recipe import Recipe, Target
from weighbridge.core.artifact import Artifact, Member
from weighbridge.core.errors import InputError, UsageError
from weighbridge.core.evidence import Outcome
from weighbridge.core.finding import FileResult
from weighbridge.core.manifest import TensorEntry, weights_set
from weighbridge.core.receipt import Dropped, Kind, Renamed
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.scan.engine import Scan

SAFE = frozenset({"safetensors", "gguf", "onnx", "external-data"})
"""Formats that may stay as they are."""

DOCUMENTS = frozenset({
    "empty", "json", "jsonl", "lfs-pointer", "notebook", "python", "sentencepiece", "template", "text", "unknown", "xml",
    "yaml", "gif", "jpeg", "png", "svg", "webp", "pdf",
}) | {"external-data"}  # fmt: skip
"""Formats that are copied unless something dangerous was found; all others only when they are proved safe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One file to write."""

    path: str
    tensors: tuple[Placed, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be done."""

    written: tuple[Written, ...]
    sets: Mapping[str, tuple[str, ...]]
    """Path of an index → the files that it is of."""
    converted: tuple[tuple[str, str], ...]
    """(source file, weights set of the output that has its tensors)."""
    copies: tuple[Member, ...] = ()
    renamed: tuple[Renamed, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    refused: tuple[tuple[str, str, str], ...] = ()
    """(file, tensor or "", why) of what cannot be taken over."""
    tied: tuple[tuple[str, ...], ...] = ()


@dataclass(slots=True)
class _Draft:
    """What is collected on the way."""

    recipe: Recipe
    renamed: list[Renamed] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    refused: list[tuple[str, str, str]] = field(default_factory=list)
    tied: list[tuple[str, ...]] = field(default_factory=list)

    def drop(self, kind: Kind, path: str, name: str, why: str, count: int = 1) -> None:
        self.dropped.append(Dropped(kind, path, name, why, count))


def make(
    recipe: Recipe,
    artifact: Artifact,
    scan: Scan,
    weights: Mapping[str, Weights],
    tensors: Sequence[TensorEntry],
) -> Plan:
    """Settle everything. `tensors` are the measured ones, to see which files say the same twice.

    Raises `InputError` (`nothing-to-convert`, `tensor-ambiguous`), `UsageError` (`no-such-path`).
    """
    draft = _Draft(recipe=recipe)
    data = {name for one in weights.values() for name in one.externals}
    weights = {path: one for path, one in weights.items() if path not in data}
    results = {file.path: file for file in scan.files}
    for name in recipe.drop:
        if not any(Recipe(path="", drop=(name,)).dropped(member.path) for member in artifact.members):
            raise UsageError("no-such-path", f'the model has no file "{visible(name)}" to drop')
    chosen = _chosen(draft, artifact, results, weights, tensors)
    parts = {path: _part(draft, weights[path]) for path in chosen}
    parts = {path: part for path, part in parts.items() if part[0]}
    written, sets, converted = _files(draft, parts, {m.path for m in artifact.members} - set(chosen))
    replaced = _replaced(chosen, sets, weights)
    copies = [
        member
        for member in artifact.members
        if member.path not in chosen and _copied(draft, member, results[member.path], weights, replaced)
    ]
    return Plan(
        written=written,
        sets=sets,
        converted=converted,
        copies=() if artifact.single or recipe.target is not Target.SAFETENSORS else tuple(copies),
        renamed=tuple(draft.renamed),
        dropped=tuple(draft.dropped),
        refused=tuple(draft.refused),
        tied=tuple(draft.tied),
    )


# -- which files


def _chosen(
    draft: _Draft,
    artifact: Artifact,
    results: Mapping[str, FileResult],
    weights: Mapping[str, Weights],
    tensors: Sequence[TensorEntry],
) -> list[str]:
    """The files to convert: those that are not safe as they are, or all where there are only safe ones."""
    recipe = draft.recipe
    there = [m.path for m in artifact.members if m.path in weights and not recipe.dropped(m.path)]
    unsafe = [path for path in there if not _stays(results[path], weights[path])]
    chosen = unsafe if unsafe and recipe.shard_size is None and recipe.target is Target.SAFETENSORS else there
    kept = [path for path in there if path not in chosen]
    content = _by_file(tensors)
    for path in list(chosen):
        same = next((other for other in kept if _says_the_same(path, other, content)), None)
        if same:
            chosen.remove(path)
            draft.drop(Kind.FILE, path, "", f"the same tensors stand in {visible(same)}")
    return chosen


def _stays(result: FileResult, weights: Weights) -> bool:
    return bool(weights.formats) and SAFE.issuperset(weights.formats) and result.outcome is Outcome.PASS


def _by_file(tensors: Sequence[TensorEntry]) -> dict[str, dict[str, tuple[str, tuple[int, ...], bytes]]]:
    found: dict[str, dict[str, tuple[str, tuple[int, ...], bytes]]] = {}
    for tensor in tensors:
        found.setdefault(tensor.path, {})[tensor.name] = (tensor.dtype, tensor.shape, tensor.digest)
    return found


def _says_the_same(
    path: str, other: str, content: Mapping[str, Mapping[str, tuple[str, tuple[int, ...], bytes]]]
) -> bool:
    """Whether every tensor of a file is in another of its folder: by name, or (tied weights) under another name."""
    mine, theirs = content.get(path), content.get(other)
    if not mine or not theirs or posixpath.dirname(path) != posixpath.dirname(other):
        return False
    values = set(theirs.values())
    return all(
        theirs.get(name) == one or (name not in theirs and one in values) for name, one in mine.items()
    )


def _copied(
    draft: _Draft,
    member: Member,
    result: FileResult,
    weights: Mapping[str, Weights],
    replaced: Mapping[str, str],
) -> bool:
    """Whether a file that is not converted is copied; what is not is noted."""
    path, recipe = member.path, draft.recipe
    if any(item.kind is Kind.FILE and item.path == path for item in draft.dropped):
        return False
    formats = set(result.format.split("+"))
    if recipe.dropped(path):
        why = "left out as asked"
    elif result.outcome is Outcome.FAIL:
        why = "something dangerous was found in it"
    elif not formats <= DOCUMENTS and result.outcome is not Outcome.PASS and not _refusable(path, weights):
        why = f"a {result.format} file that is not proved safe"
    elif path in replaced:
        why = replaced[path]
    elif _refusable(path, weights) and result.outcome is not Outcome.PASS:
        draft.refused.append((path, "", weights[path].unlisted))
        return False
    else:
        return True
    draft.drop(Kind.FILE, path, "", why)
    return False


def _refusable(path: str, weights: Mapping[str, Weights]) -> bool:
    """Whether a file holds weights that nobody can list: leaving it out silently would lose them."""
    return path in weights and bool(weights[path].unlisted)


def _replaced(
    chosen: Sequence[str], sets: Mapping[str, tuple[str, ...]], weights: Mapping[str, Weights]
) -> dict[str, str]:
    """Files that have no use once others are converted."""
    there = [posixpath.join(posixpath.dirname(path), weights_set(path)) for path in chosen]
    found = {f"{path}.index.json": "the index of files that were converted" for path in there}
    found |= dict.fromkeys(sets, "a new index is written")
    for path in chosen:
        found |= dict.fromkeys(weights[path].externals, f"its tensors were converted with {visible(path)}")
    return found


# -- the tensors of one file


def _part(draft: _Draft, weights: Weights) -> tuple[tuple[Placed, ...], dict[str, str]]:
    """The tensors of one file under their new names, and its metadata."""
    path = weights.path
    if weights.unlisted:
        draft.refused.append((path, "", weights.unlisted))
        return (), {}
    whole = "" if draft.recipe.keep_optimizer else names.whole_training(weights)
    if whole:
        draft.drop(Kind.FILE, path, "", whole)
        return (), {}
    kept, dropped, beginnings = names.without_training(weights, draft.recipe)
    draft.dropped += dropped
    left = [(name, why) for name, why in weights.left if not names.is_training(name, beginnings)]
    draft.refused += [(path, name, why) for name, why in left]
    kept = tuple(one for one in kept if not _refuse(draft, weights, one))
    rule = names.wrapper(weights, kept, draft.recipe)
    draft.renamed += [rule] if rule else []
    placed = tuple(_placed(draft, one, rule) for one in kept)
    _note_tied(draft, placed)
    _once(path, placed)
    metadata, gone = metadata_of(weights, beginnings)
    draft.dropped += gone
    return placed, metadata


def _refuse(draft: _Draft, weights: Weights, found: Found) -> bool:
    why = names.bad_name(found.name) or _refused_by(draft.recipe.target, weights, found)
    if why:
        draft.refused.append((found.path, found.name, why))
    return bool(why)


def _refused_by(target: Target, weights: Weights, found: Found) -> str:
    if target is Target.ONNX:
        return "" if weights.formats == ("onnx",) else "an ONNX file is a graph, and is only made from one"
    if target is Target.GGUF:
        from weighbridge.convert import gguf

        return gguf.refused(found.ref.dtype, found.ref.shape, found.name)
    from weighbridge.convert import safetensors

    return safetensors.refused(found.ref.dtype)


def _placed(draft: _Draft, found: Found, rule: Renamed | None) -> Placed:
    name = found.name.removeprefix(rule.old) if rule else found.name
    if not name:  # a file that holds one tensor and no dict
        name = "tensor"
        draft.renamed.append(Renamed(found.path, found.name, name))
    return Placed(name, found)


def _note_tied(draft: _Draft, placed: Sequence[Placed]) -> None:
    groups: dict[object, list[str]] = {}
    for one in placed:
        if one.found.size:
            groups.setdefault((id(one.found.source), one.found.ref.spans, one.found.ref.shape), []).append(
                one.name
            )
    draft.tied += [tuple(group) for group in groups.values() if len(group) > 1]


def _once(path: str, placed: Iterable[Placed]) -> None:
    seen: set[str] = set()
    for one in placed:
        if one.name in seen:
            raise InputError(
                "tensor-ambiguous",
                f'"{visible(path)}" has two tensors that would be called "{visible(one.name, 100)}"',
            )
        seen.add(one.name)


# -- the files of the output


def _files(
    draft: _Draft, parts: Mapping[str, tuple[tuple[Placed, ...], dict[str, str]]], others: set[str]
) -> tuple[tuple[Written, ...], dict[str, tuple[str, ...]], tuple[tuple[str, str], ...]]:
    """Names and shards: files of one weights set stay together, and no two sets get one name."""
    groups: dict[str, list[str]] = {}
    for path in parts:
        groups.setdefault(posixpath.join(posixpath.dirname(path), weights_set(path)), []).append(path)
    written: list[Written] = []
    sets: dict[str, tuple[str, ...]] = {}
    converted: list[tuple[str, str]] = []
    taken = {posixpath.join(posixpath.dirname(path), names.stem(path)) for path in others if path.endswith(f".{draft.recipe.target}")}  # fmt: skip
    for group, paths in groups.items():
        base = _base(group, taken)
        taken.add(base)
        files = _sharded(draft.recipe, base, {path: parts[path] for path in sorted(paths)})
        written += files
        converted += [(path, f"{base}.{draft.recipe.target}") for path in paths]
        if len(files) > 1 or names.SHARD.search(files[0].path.removesuffix(f".{draft.recipe.target}")):
            sets[f"{base}.{draft.recipe.target}.index.json"] = tuple(file.path for file in files)
    return tuple(written), sets, tuple(converted)


def _base(group: str, taken: set[str]) -> str:
    folder, own = posixpath.dirname(group), names.stem(group)
    for name in (names.transformers_stem(own), own, posixpath.basename(group)):
        if (base := posixpath.join(folder, name)) not in taken:
            return base
    raise InputError("tensor-ambiguous", f'two files would both be converted to "{visible(group)}"')


def _sharded(
    recipe: Recipe, base: str, parts: Mapping[str, tuple[tuple[Placed, ...], dict[str, str]]]
) -> list[Written]:
    suffix = f".{recipe.target}"
    _once(base, (one for tensors, _ in parts.values() for one in tensors))
    metadata: dict[str, str] = {}
    for _, own in parts.values():
        metadata |= own
    if recipe.shard_size is None and len(parts) > 1:
        shards = [tensors for tensors, _ in parts.values()]
    else:
        shards = _cut([one for tensors, _ in parts.values() for one in tensors], recipe.shard_size)
    if len(shards) == 1:
        return [Written(path=base + suffix, tensors=shards[0], metadata=metadata)]
    return [
        Written(path=f"{base}-{number:05}-of-{len(shards):05}{suffix}", tensors=shard, metadata=metadata)
        for number, shard in enumerate(shards, 1)
    ]


def _cut(tensors: Sequence[Placed], size: int | None) -> list[tuple[Placed, ...]]:
    """Fill one file after the other; a tensor that is larger than a file gets one of its own."""
    shards: list[list[Placed]] = [[]]
    room = size
    for one in tensors:
        if room is not None and shards[-1] and one.found.size > room:
            shards.append([])
            room = size
        shards[-1].append(one)
        room = room - one.found.size if room is not None else None
    return [tuple(shard) for shard in shards]
