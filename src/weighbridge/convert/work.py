"""THE CONVERSION on one page: measure and scan, settle, write aside, read again and compare, put in place.

    MODEL → Artifact → Manifest + Scan → Plan → files under another name → Equality → Receipt, files in place

Nothing gets its final name before every tensor was found equal. The source is opened as it was listed: a file that
changes between two reads ends the work (`file-changed`). Nothing here unpickles, imports or renders anything.
"""

import os
import posixpath
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from weighbridge.convert import names, proof
from weighbridge.convert.copying import Copier
from weighbridge.convert.gather import Weights, gather
from weighbridge.convert.plan import Plan, Written, make
from weighbridge.convert.recipe import Recipe, Target
from weighbridge.core.artifact import Artifact, Member
from weighbridge.core.budget import Budget
from weighbridge.core.durable import put_in_place, refuse_no_folder, refuse_taken, sync_folder
from weighbridge.core.errors import BrokenError, InputError, UsageError
from weighbridge.core.evidence import Outcome
from weighbridge.core.finding import Finding, Severity
from weighbridge.core.manifest import Manifest, TensorEntry
from weighbridge.core.moment import write_moment
from weighbridge.core.receipt import Dropped, Equality, Kind, Output, Receipt, Seen, Side
from weighbridge.core.text import some, visible
from weighbridge.core.value import dataclass
from weighbridge.core.version import __version__
from weighbridge.measure import Measurement, Progress, measure
from weighbridge.measure import Plan as MeasuringPlan
from weighbridge.scan.engine import Scan, Scanner
from weighbridge.store import open_artifact

PIECE = 1024**2
MOST_SEEN = 100
"""Findings that a receipt holds."""
BAD_CODE = "not-convertible"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What was done."""

    receipt: Receipt
    place: str
    """The file or folder that was written."""
    seconds: float
    read: int
    """Bytes of the source."""


def convert(recipe: Recipe, progress: Progress | None = None, *, now: datetime) -> Conversion:
    """Convert one model; the receipt tells `now`.

    Raises `UsageError` (`no-such-path`, `file-exists`, `output-inside-model`, `not-lossless`, `architecture-needed`, …),
    `InputError` (`nothing-to-convert`, `not-convertible`, `file-changed`, …), `BrokenError` (`disk`, `conversion-unequal`).
    """
    clock = time.monotonic()

    # 1. One read of everything: digests, findings, and where tensors lie.
    artifact = open_artifact(recipe.path, links=recipe.links, exclude=recipe.exclude)
    early = refuse_place(recipe, artifact)
    scanner = Scanner(recipe.limits)
    measurement = measure(
        artifact,
        MeasuringPlan(tensors=True),
        examine=scanner.examine,
        progress=progress,
        jobs=recipe.jobs,
        seconds=recipe.limits.seconds,
    )
    for item in measurement.unread:
        raise InputError(item.code, f'cannot convert "{visible(item.place.path)}": {item.message}')
    scan = scanner.finish(artifact, measurement.examined)

    # 2. What becomes of each file and each tensor?
    budget = Budget(recipe.limits)
    weights = {
        member.path: found
        for member in artifact.members
        if not recipe.dropped(member.path) and (found := gather(artifact, member, budget)) is not None
    }
    plan = _accepted(recipe, make(recipe, artifact, scan, weights, measurement.manifest.tensors or ()))
    place = early or _place(recipe, artifact, plan)
    if is_one_file(recipe, artifact, len(plan.written)):
        plan = _called(plan, place.name)

    # 3. Write under another name, read that again, compare; only then give it its name.
    copier = Copier(budget, progress)
    with put_in_place(place, overwrite=recipe.force) as making:
        root = _write(recipe, artifact, plan, making, copier)
        _refuse_changed(measurement, copier)
        output = measure(
            open_artifact(root), MeasuringPlan(tensors=True), progress=progress, jobs=recipe.jobs
        )
        if output.unread:
            raise BrokenError(
                "conversion-unequal", f"what was written cannot be read: {output.unread[0].message}"
            )
        equality = _proved(plan, weights, copier, root, output)
        _refuse_other_copies(plan, measurement.manifest, output.manifest)
        (root / place.name if is_one_file(recipe, artifact, len(plan.written)) else root).rename(making)
    receipt = _receipt(recipe, artifact, plan, scan, measurement, output, equality, place, now)
    return Conversion(
        receipt=receipt, place=str(place), seconds=time.monotonic() - clock, read=measurement.manifest.size
    )


# -- where to


def refuse_place(recipe: Recipe, artifact: Artifact) -> Path | None:
    """Refuse an impossible place before any work; the place itself where one was named."""
    if recipe.out is None:
        files = 1 if recipe.shard_size is None else 2
        _refuse(recipe, _beside(recipe, artifact, one=is_one_file(recipe, artifact, files)))
        return None
    place = Path(recipe.out)
    if artifact.single and place.is_dir() and recipe.shard_size is None:
        place = place / f"{names.stem(artifact.name)}.{recipe.target}"
    _refuse(recipe, place)
    return place


def _refuse(recipe: Recipe, place: Path) -> None:
    refuse_no_folder(place)
    model, there = recipe.place, place.parent.resolve() / place.name
    if there == model or there.is_relative_to(model) or model.is_relative_to(there):
        raise UsageError(
            "output-inside-model",
            f'"{visible(str(place))}" is the model itself, lies in it or holds it',
            "choose another place with --out",
        )
    refuse_taken(place, overwrite=recipe.force)


def _beside(recipe: Recipe, artifact: Artifact, *, one: bool) -> Path:
    """A name beside the model: of one file, or of a folder."""
    model = recipe.place if recipe.path.rstrip("/") in (".", "..", "") else Path(recipe.path)
    name = names.stem(artifact.name) if artifact.single else artifact.name
    return model.with_name(f"{name}.{recipe.target}" if one else f"{name}-{recipe.target}")


def _place(recipe: Recipe, artifact: Artifact, plan: Plan) -> Path:
    place = _beside(recipe, artifact, one=is_one_file(recipe, artifact, len(plan.written)))
    _refuse(recipe, place)
    return place


def is_one_file(recipe: Recipe, artifact: Artifact, files: int) -> bool:
    """Whether one file is written and no folder: a one-file model that is not cut, GGUF, a whole ONNX file."""
    if recipe.target is Target.SAFETENSORS:
        return artifact.single and files == 1
    return recipe.target is Target.GGUF or not recipe.external


def _called(plan: Plan, name: str) -> Plan:
    """The plan with its one file under the name that was asked for."""
    (file,) = plan.written
    moved = tuple((path, proof.set_of(name)) for path, _ in plan.converted)
    return replace(plan, written=(replace(file, path=name),), converted=moved, sets={})


# -- what cannot be done


def _accepted(recipe: Recipe, plan: Plan) -> Plan:
    """The plan, where nothing is refused or the rest was asked for. Raises `InputError`, `UsageError`."""
    if plan.refused and not recipe.partial:
        raise _not_convertible(recipe, plan)
    if not plan.written:
        raise InputError("nothing-to-convert", "no tensor was found that could be converted")
    if recipe.target is Target.GGUF and not recipe.architecture:
        raise UsageError(
            "architecture-needed", "a GGUF file must name its architecture", "--architecture llama"
        )
    if recipe.target is not Target.SAFETENSORS and len(plan.written) != 1:
        what = f"one {recipe.target} file is made of one set of weights, here are {len(plan.written)}"
        raise UsageError("not-lossless", what, "--drop PATH")
    gone = [Dropped(Kind.TENSOR if name else Kind.FILE, path, name, why) for path, name, why in plan.refused]
    return replace(plan, dropped=(*plan.dropped, *gone), refused=())


def _not_convertible(recipe: Recipe, plan: Plan) -> InputError | UsageError:
    first = plan.refused[0]
    what = (
        f'tensor "{visible(first[1], 100)}" of "{visible(first[0])}"'
        if first[1]
        else f'"{visible(first[0])}"'
    )
    more = f" (and {len(plan.refused) - 1} more)" if len(plan.refused) > 1 else ""
    message = f"{what} cannot be converted{more}: {first[2]}"
    hints = (f"--drop {visible(first[0])}" if not first[1] else "--partial writes the other tensors",)
    if recipe.target is not Target.SAFETENSORS:
        return UsageError("not-lossless", message, *hints)
    return InputError(BAD_CODE, message, *hints)


# -- writing


def _write(recipe: Recipe, artifact: Artifact, plan: Plan, making: Path, copier: Copier) -> Path:
    """Write everything below a folder of its own; returns that folder."""
    root = making.with_name(f"{making.name}.files")
    root.mkdir()
    for file in plan.written:
        _write_one(recipe, artifact, plan, file, _folder_of(root, file.path), copier)
    by_path = {file.path: file.tensors for file in plan.written}
    for index, files in plan.sets.items():
        from weighbridge.convert import safetensors

        shards = {posixpath.basename(path): by_path[path] for path in files}
        _whole(_folder_of(root, index), safetensors.index(shards))
    for member in plan.copies:
        _copy(artifact, member, _folder_of(root, member.path))
    for here, _, _ in os.walk(root):
        sync_folder(Path(here))
    return root


def _write_one(
    recipe: Recipe, artifact: Artifact, plan: Plan, file: Written, path: Path, copier: Copier
) -> None:
    if recipe.target is Target.GGUF:
        from weighbridge.convert import gguf

        gguf.write(path, file.tensors, {"general.architecture": recipe.architecture}, copier)
    elif recipe.target is Target.ONNX:
        from weighbridge.convert import onnx

        ((origin, _),) = plan.converted
        graph = artifact.files.open(next(member for member in artifact.members if member.path == origin))
        onnx.write(path, graph, file.tensors, copier, Budget(recipe.limits), external=bool(recipe.external))
    else:
        from weighbridge.convert import safetensors

        safetensors.write(path, file.tensors, file.metadata, copier)


def _folder_of(root: Path, path: str) -> Path:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _whole(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _copy(artifact: Artifact, member: Member, path: Path) -> None:
    source = artifact.files.open(member)
    with path.open("xb") as file:
        for at in range(0, member.size, PIECE):
            file.write(source.read(at, PIECE))
        file.flush()
        os.fsync(file.fileno())


# -- proof


def _refuse_changed(measurement: Measurement, copier: Copier) -> None:
    """What was copied must be what was measured, wherever both are known."""
    for tensor in measurement.manifest.tensors or ():
        copied = copier.digests.get((tensor.path, tensor.name))
        if copied is not None and copied != tensor.digest:
            raise InputError(
                "file-changed",
                f'"{visible(tensor.path)}" changed since it was measured: tensor "{visible(tensor.name)}"',
            )


def _proved(
    plan: Plan, weights: Mapping[str, Weights], copier: Copier, root: Path, output: Measurement
) -> Equality:
    """Every tensor that was taken against every tensor that is there now. Raises `BrokenError` (`conversion-unequal`)."""
    taken = entries(weights.values(), copier.digests)
    there = output.manifest.tensors
    if there is None:  # a copied file of some other format holds tensors that nobody can list
        written = {file.path for file in plan.written}
        artifact = open_artifact(root)
        only = replace(artifact, members=tuple(m for m in artifact.members if m.path in written))
        there = measure(only, MeasuringPlan(tensors=True)).manifest.tensors
    found = proof.equality(
        taken, there or (), converted=dict(plan.converted), renamed=plan.renamed, dropped=plan.dropped
    )
    if not found.holds:
        wrong = (*found.different, *found.missing, *found.extra)
        raise BrokenError("conversion-unequal", f"what was written is not equal to the source: {some(wrong)}")
    return found


def entries(weights: Iterable[Weights], digests: Mapping[tuple[str, str], bytes]) -> list[TensorEntry]:
    """The tensors of the source that were read, as measured ones are written."""
    return [
        TensorEntry(one.name, one.ref.dtype, tuple(one.ref.shape), digests[file.path, one.name], file.path)
        for file in weights
        for one in file.found
        if (file.path, one.name) in digests
    ]


def _refuse_other_copies(plan: Plan, source: Manifest, output: Manifest) -> None:
    before = {entry.path: entry.sha256 for entry in source.entries}
    after = {entry.path: entry.sha256 for entry in output.entries}
    for member in plan.copies:
        if before[member.path] != after.get(member.path):
            raise InputError("file-changed", f'"{visible(member.path)}" changed since it was measured')


# -- the receipt


def _receipt(
    recipe: Recipe,
    artifact: Artifact,
    plan: Plan,
    scan: Scan,
    measurement: Measurement,
    output: Measurement,
    equality: Equality,
    place: Path,
    now: datetime,
) -> Receipt:
    findings = sorted(scan.findings, key=_rank)
    copies = {member.path for member in plan.copies}
    obstacles = [Dropped(Kind.FILE, o.path, "", o.message) for o in artifact.obstacles]
    return Receipt(
        target=recipe.target.value,
        source=side(artifact.name, measurement.manifest),
        output=side(place.name, output.manifest),
        outputs=tuple(
            Output(
                entry.path,
                entry.size,
                (entry.sha256 or b"").hex(),
                entry.path if entry.path in copies else "",
            )
            for entry in output.manifest.entries
        ),
        equality=equality,
        converted=plan.converted,
        renamed=plan.renamed,
        dropped=tuple(sorted((*plan.dropped, *obstacles), key=lambda d: (d.path, d.kind, d.name))),
        tied=plan.tied,
        findings=tuple(_seen(finding) for finding in findings[:MOST_SEEN]),
        findings_more=max(0, len(findings) - MOST_SEEN),
        dangerous=any(file.outcome is Outcome.FAIL for file in scan.files),
        version=__version__,
        time=write_moment(now),
    )


def side(name: str, manifest: Manifest) -> Side:
    """One side of the receipt. Raises `InputError` (`no-digest`) where a file could not be hashed."""
    digest = manifest.files_digest()
    if digest is None:
        raise InputError("no-digest", f'"{visible(name)}" has no digest over its files')
    tensors = manifest.tensors_digest()
    return Side(
        name=name,
        files=len(manifest.entries),
        bytes=manifest.size,
        files_digest=str(digest),
        tensors_digest=str(tensors) if tensors else None,
    )


def _rank(finding: Finding) -> tuple[int, str, str]:
    return list(Severity).index(finding.severity), finding.place.path, finding.rule


def _seen(finding: Finding) -> Seen:
    return Seen(
        finding.rule,
        finding.severity.value,
        finding.place.path,
        finding.place.where,
        visible(finding.message, 400),
    )
