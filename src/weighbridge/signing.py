"""From a folder to `model.sig`: measure, state, sign, and leave the signature whole or not at all.

The statement covers every file that was found; what cannot be read or may not be followed ends the signing, since a
signature over a part would read like one over the whole.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

from weighbridge.check import bundles_of, signature_path
from weighbridge.core.artifact import MAX_BUNDLE, SIBLINGS_SUFFIX, Artifact
from weighbridge.core.durable import one_writer, refuse_no_folder, write_file
from weighbridge.core.errors import InputError, UsageError
from weighbridge.core.manifest import Manifest
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.measure import Plan, Progress, measure
from weighbridge.sign import oms
from weighbridge.sign.bundle import read_bundles, write_siblings
from weighbridge.sign.signer import AnySigner, Signatures, sign_all
from weighbridge.store import Links, open_artifact, read_beside


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What to sign, and how."""

    path: str
    hash_type: str = "sha256"
    shard_size: int | None = None
    allow_symlinks: bool = False
    ignore_paths: tuple[str, ...] = ()
    nameless: bool = False
    """Leave the name out of the statement about a one-file model, as model-signing does (docs/formats/oms.md)."""
    output: str | None = None
    """Where the signature goes; None for the place where `verify` looks."""
    add: bool = False
    """Keep the signatures that are there and add these beside them."""
    jobs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What was done."""

    manifest: Manifest
    seconds: float
    files: tuple[str, ...]
    """Written, the primary first."""


def sign_model(
    wish: Wish,
    signers: Sequence[AnySigner],
    *,
    timestamp: Callable[[bytes], bytes] | None = None,
    progress: Progress | None = None,
) -> Signed:
    """Sign a model. Raises `UsageError` (`no-such-path`, `cannot-sign`, `empty-model`, …), `InputError`, `TrustError`."""
    root = Path(wish.path)
    target = Path(wish.output) if wish.output else signature_path(root)
    siblings = target.with_name(target.name + SIBLINGS_SUFFIX)
    # A file that another signer is just putting here would be one too many: wait for its turn to end.
    with one_writer(target.parent) if target.parent.is_dir() else nullcontext():
        artifact = _open(wish, root, (target, siblings))
    refuse_no_folder(target)
    plan = Plan(
        hashes=frozenset({wish.hash_type}),
        tensors=True,
        shards=((wish.hash_type, wish.shard_size),) if wish.shard_size else (),
    )
    measurement = measure(artifact, plan, progress=progress, jobs=wish.jobs)
    for item in measurement.unread:
        raise InputError(item.code, f'cannot sign "{visible(item.place.path)}": {item.message}')
    payload = oms.statement(
        measurement.manifest,
        name=artifact.name,
        hash_type=wish.hash_type,
        shard_size=wish.shard_size,
        allow_symlinks=wish.allow_symlinks,
        ignore_paths=wish.ignore_paths,
        single=artifact.single,
        nameless=wish.nameless,
    )
    signatures = sign_all(payload, signers, timestamp=timestamp)
    with one_writer(target.parent):  # two that add at once would each keep only what they had read
        written = _write(target, siblings, signatures, root.resolve().parent, add=wish.add)
    return Signed(manifest=measurement.manifest, seconds=measurement.seconds, files=written)


def attest(predicate: bytes, signers: Sequence[AnySigner], target: Path) -> None:
    """Sign a statement of our own and leave it at `target`, one bundle a line."""
    signatures = sign_all(predicate, signers)
    write_file(target, signatures.siblings or write_siblings([signatures.primary]))


def now() -> datetime:
    """The clock, in UTC."""
    return datetime.now(UTC)


def _open(wish: Wish, root: Path, signature_files: Sequence[Path]) -> Artifact:
    exclude = {path for path in (_inside(file, root) for file in signature_files) if path}
    exclude |= bundles_of(root)[1]  # a signature is no part of what is signed: `verify` leaves it out too
    links = Links.FOLLOW if wish.allow_symlinks else Links.REFUSE
    artifact = open_artifact(wish.path, links=links, exclude=exclude)
    for obstacle in artifact.obstacles:
        if not oms.left_out(obstacle.path, wish.ignore_paths):
            hints = ["--allow-symlinks signs what links point to"] if obstacle.code.startswith("link") else []
            hints.append(f"--ignore {visible(obstacle.path)}")
            raise UsageError("cannot-sign", f'"{visible(obstacle.path)}": {obstacle.message}', *hints)
    return artifact


def _inside(file: Path, root: Path) -> str | None:
    """The path below the model of a signature file that may not be there yet, however either was spelled."""
    real = file.parent.resolve() / file.name
    model = root.resolve()
    return real.relative_to(model).as_posix() if real.is_relative_to(model) else None


def _write(
    target: Path, siblings: Path, signatures: Signatures, aside: Path, *, add: bool
) -> tuple[str, ...]:
    lines = [line for line in (signatures.siblings or signatures.primary).split(b"\n") if line.strip()]
    if not add:
        write_file(target, signatures.primary, aside=aside)
        if signatures.siblings:
            write_file(siblings, signatures.siblings, aside=aside)
            return str(target), str(siblings)
        siblings.unlink(missing_ok=True)  # siblings of the signature just replaced would contradict it
        return (str(target),)
    there = read_beside(siblings, MAX_BUNDLE) or read_beside(target, MAX_BUNDLE)
    if there is None:
        return _write(target, siblings, signatures, aside, add=False)
    for bundle in read_bundles(there, str(siblings)):
        if bundle.code:
            raise UsageError(bundle.code, f'cannot add to "{siblings}": {bundle.why}')
    kept = [line for line in there.split(b"\n") if line.strip()]
    write_file(siblings, b"\n".join([*kept, *lines]) + b"\n", aside=aside)
    return (str(siblings),)
