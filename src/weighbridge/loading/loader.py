"""`load` and `share`: weigh a model with its bytes held in memory, and hand out that memory if it is admitted.

    path → held and hashed → Evidence → Verdict ─ADMITTED→ tensors over the same memory
                                               └─ else ──→ LoadRefused

The weighing is `check.weigh`, the same as everywhere; only the measurer keeps what it read. Nothing of the model is
looked at for its tensors before the verdict, and nothing of it is read a second time.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from weighbridge.check import Ask, Request, find_bundles, weigh
from weighbridge.core.artifact import Artifact, Member
from weighbridge.core.budget import Budget, Limits
from weighbridge.core.errors import InputError, LimitError, UsageError
from weighbridge.core.report import Report
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass, replace
from weighbridge.core.verdict import Decision
from weighbridge.formats.reading import TensorRef
from weighbridge.loading import part
from weighbridge.loading.ask import Asked, Key, PathLike, ask
from weighbridge.loading.holder import HeldFiles, Holder
from weighbridge.loading.memory import Held, SealedFile
from weighbridge.loading.placed import PLAIN, Found, place
from weighbridge.loading.refusal import refused
from weighbridge.loading.signed import plan_for
from weighbridge.loading.views import Maker, TensorInfo, Tensors, maker
from weighbridge.measure import Progress
from weighbridge.policy import Policy
from weighbridge.store import Links


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """An admitted model in memory."""

    report: Report
    artifact: Artifact
    """Its files are the held bytes."""
    held: Mapping[str, Held]
    refs: Mapping[str, tuple[TensorRef, ...]]
    """Path of each file that may hold tensors → those that were found when it was examined, () where not all were."""
    limits: Limits


def load(
    path: PathLike,
    *,
    key: Key | Sequence[Key] | None = None,
    trust: PathLike | None = None,
    policy: Policy | PathLike | None = None,
    by: str | Sequence[str] | None = None,
    signature: PathLike | Sequence[PathLike] | None = None,
    tensors: Sequence[str] | None = None,
    files: Sequence[str] | None = None,
    framework: str = "numpy",
    share: bool = False,
    base: PathLike | None = None,
    links: Links | str = Links.INSIDE,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Tensors:
    """The tensors of a model, a folder or one file, out of memory that was hashed against what was signed.

    `key` (public keys, as files or PEM), `trust` (a keyring folder), `policy` (a preset, a file or a `Policy`), `by` (whose
    signature counts) and `signature` say what is asked, as on the command line. A model that the policy does not admit
    raises `LoadRefused`, which says why.

    `tensors` takes these alone: where the signer recorded digests of tensors or shards, nothing else is read. `files` takes
    only the tensors of these files (patterns such as `unet/*.safetensors`); the others are verified and let go. `framework`
    is `numpy` or `torch`. With `share` the bytes lie in sealed memfds that other processes can open (`Tensors.shared`).

    With `base` the model is an adapter that shall be used with that base: it is refused unless somebody trusted signed that
    it is for the very weights that are measured there (docs/transform.md). The base itself is not loaded or judged.

    Names are those in the files; in a subfolder they have its path in front (`unet/conv.weight`). Raises `LoadRefused`,
    `UsageError`, `TrustError`, `InputError` (`no-tensors`) and `UnavailableError` (`extra-missing`).
    """
    asked = ask(
        key=key, trust=trust, policy=policy, by=by, signature=signature, links=links, jobs=jobs, base=base
    )
    model = os.fspath(path)
    names = tuple(dict.fromkeys(tensors)) if tensors is not None else None
    make = maker(framework, Budget())
    if names and not share and asked.base is None:
        taken = part.take(asked.request(model), model, names)
        if taken is not None:
            return _tensors(taken.report, taken.found, {}, make, {}, names)
    holding = hold(asked, model, wanted=_matching(files), sealed=share, progress=progress)
    found, left = _gathered(holding)
    return _tensors(holding.report, found, left, make, _sealed(holding), names)


def share(
    path: PathLike,
    *,
    key: Key | Sequence[Key] | None = None,
    trust: PathLike | None = None,
    policy: Policy | PathLike | None = None,
    by: str | Sequence[str] | None = None,
    signature: PathLike | Sequence[PathLike] | None = None,
    files: Sequence[str] | None = None,
    links: Links | str = Links.INSIDE,
    jobs: int | None = None,
) -> "Shared":
    """The files of an admitted model as sealed memfds: path in the model → `SealedFile`. Linux only.

    Asked as `load`, and refused as `load`. The files live until `close`, or the end of a `with` block.
    """
    asked = ask(key=key, trust=trust, policy=policy, by=by, signature=signature, links=links, jobs=jobs)
    holding = hold(asked, os.fspath(path), wanted=_matching(files), sealed=True)
    return Shared(_sealed(holding), holding.report)


class Shared(Mapping[str, SealedFile]):
    """Path in the model → its sealed memfd, which whoever may look into this process can open."""

    def __init__(self, files: Mapping[str, SealedFile], report: Report) -> None:
        self._files = dict(files)
        self.report = report
        """The weighing that admitted the model."""

    def __getitem__(self, path: str) -> SealedFile:
        return self._files[path]

    def __iter__(self) -> Any:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __enter__(self) -> "Shared":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all of them; who has opened one keeps it."""
        for file in self._files.values():
            file.close()


def hold(
    asked: Asked,
    path: str,
    *,
    only: tuple[str, ...] | None = None,
    wanted: Callable[[str], bool] = lambda path: True,
    sealed: bool = False,
    progress: Progress | None = None,
) -> Holding:
    """Weigh a model (or `only` some files of it) and keep the `wanted` files' bytes. Raises `LoadRefused`, `UsageError`."""
    request = asked.request(path, only=only)
    bundles, _ = find_bundles(request)
    holder = Holder(
        plan_for(request.policy, bundles), wanted=wanted, sealed=sealed, max_bytes=request.limits.bytes
    )
    report = weigh(request, progress, measurer=holder.measure)
    if report.verdict.decision is not Decision.ADMITTED:
        raise refused(report, path)
    return _holding(request, report, holder)


def _holding(request: Request, report: Report, holder: Holder) -> Holding:
    artifact = holder.artifact
    assert artifact is not None  # noqa: S101 - the weighing measured
    held = dict(holder.held)
    return Holding(
        report=report,
        artifact=replace(artifact, files=holder.files()),
        held=held,
        refs=holder.refs,
        limits=request.limits,
    )


def _matching(patterns: Sequence[str] | None) -> Callable[[str], bool]:
    if patterns is None:
        return lambda path: True
    wanted = (patterns,) if isinstance(patterns, str) else tuple(patterns)
    return lambda path: any(fnmatchcase(path, pattern) for pattern in wanted)


def _sealed(holding: Holding) -> dict[str, SealedFile]:
    return {path: SealedFile(path, held) for path, held in holding.held.items() if held.fd >= 0}


def _gathered(holding: Holding) -> tuple[list[Found], dict[str, str]]:
    """Every tensor of the held files, and what cannot be taken with the reason."""
    budget = Budget(holding.limits)
    formats = {file.path: file.format for file in holding.report.files}
    found: list[Found] = []
    left: dict[str, str] = {}
    for member in holding.artifact.members:
        refs = holding.refs.get(member.path)
        if member.path not in holding.held or refs is None:
            continue
        if formats.get(member.path) in PLAIN and refs:
            more, missing = place(member.path, holding.held[member.path], refs)
        else:
            more, missing = _sifted(holding, member, budget)
        found += more
        left |= {
            name if name == member.path else part.label(member.path, name): why
            for name, why in missing.items()
        }
    return found, left


def _sifted(holding: Holding, member: Member, budget: Budget) -> tuple[list[Found], dict[str, str]]:
    """The tensors of a file in which calls may stand between the bytes and the tensors."""
    from weighbridge.convert.gather import gather

    try:
        weights = gather(holding.artifact, member, budget)
    except (InputError, LimitError) as error:
        return [], {member.path: error.message}
    if weights is None:
        return [], {}
    left = dict(weights.left)
    if weights.unlisted and not weights.found:
        left[member.path] = weights.unlisted
    return [Found(*one) for one in weights.found], left


def _tensors(
    report: Report,
    found: Sequence[Found],
    left: Mapping[str, str],
    make: Maker,
    shared: Mapping[str, SealedFile],
    names: Sequence[str] | None,
) -> Tensors:
    by_label: dict[str, Found] = {}
    for one in found:
        label = part.label(one.path, one.name)
        if names is not None and label not in names:
            continue
        first = by_label.setdefault(label, one)
        if first is not one and not _equal(first, one):
            raise UsageError(
                "tensor-ambiguous",
                f'"{visible(first.path, 200)}" and "{visible(one.path, 200)}" have different tensors '
                f'called "{visible(one.name, 200)}"',
                f'choose: files=["{visible(first.path, 200)}"]',
            )
    _refuse_missing(report, by_label, left, names)
    made = {label: make(one) for label, one in by_label.items()}
    infos = {
        label: TensorInfo(dtype=one.ref.dtype, shape=tuple(one.ref.shape), path=one.path, raw=made[label][1])
        for label, one in by_label.items()
    }
    arrays = {label: array for label, (array, _) in made.items()}
    return Tensors(arrays, infos, report, left, shared)


def _refuse_missing(
    report: Report, found: Mapping[str, Found], left: Mapping[str, str], names: Sequence[str] | None
) -> None:
    name = visible(report.subject.name)
    for missing in [one for one in names or () if one not in found]:
        why = left.get(missing, "the model has none of this name")
        raise UsageError("no-such-tensor", f'cannot take "{visible(missing, 200)}" out of {name}: {why}')
    if not found and names is None:
        why = next(iter(left.values()), "no file of it holds any that can be listed")
        raise InputError("no-tensors", f"{name} was admitted, but there are no tensors to load: {why}")


def _equal(one: Found, other: Found) -> bool:
    """Whether two files hold the same tensor: weights that come in two formats do."""
    from weighbridge.measure.tensors import content

    if (one.ref.dtype, tuple(one.ref.shape), one.size) != (
        other.ref.dtype,
        tuple(other.ref.shape),
        other.size,
    ):
        return False
    return b"".join(content(one.ref, one.source)) == b"".join(content(other.ref, other.source))


def weigh_bytes(asked: Asked, data: bytes | bytearray | memoryview, name: str) -> Report:
    """Weigh bytes that lie in no file: nobody can have signed them, so only what they would do is asked.

    Raises `LoadRefused`.
    """
    request = replace(
        asked.request(name), command="scan", ask=frozenset({Ask.CONTENT}), keyring=None, signatures=()
    )
    held = Held(data)
    artifact = Artifact(
        name=name, files=HeldFiles({name: held}), members=(Member(name, held.size),), single=True
    )
    report = weigh(request, artifact=artifact)
    if report.verdict.decision is not Decision.ADMITTED:
        raise refused(report, name)
    return report
