"""Looking into a file before its bytes are hashed: the examiner, or the readers alone when only tensors are wanted.

Tensors that lie in the file in order are left to the pass that hashes the file; all others (compressed, strided,
big-endian, already passed) are hashed here, through the same source that the examiner saw. What knows where tensors lie is
imported where somebody asks for them.
"""

from collections.abc import Iterable
from dataclasses import is_dataclass, replace
from typing import TYPE_CHECKING, Any

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.manifest import TensorEntry
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.formats.reading import TensorRef
from weighbridge.measure.file import File
from weighbridge.measure.hashes import Tensors, hasher, in_order
from weighbridge.measure.ledger import Examiner, Ledger
from weighbridge.measure.tap import Tap

if TYPE_CHECKING:
    from weighbridge.measure.tensors import Listing

SLACK = 64 * 1024**2
"""Bytes that the tensors of a file (or of an unpacked member) may cost beyond four times its size."""

OVERLAPPING = "its tensors overlap far too often"


MAX_UNLISTED = 100
"""The tensors of the artifact are unknown when those of one file are; after this many the readers need not go on."""


class Looker:
    """Looks at one file after the other, in the calling thread."""

    def __init__(self, ledger: Ledger, examine: Examiner | None) -> None:
        self._ledger, self._examine = ledger, examine
        self._tensors = ledger.plan.tensors
        self._budget = Budget()
        self._externals: dict[str, list[tuple[str, TensorRef]]] = {}
        """Path of a raw data file → tensors of other files that lie in it."""

    def look(self, file: File, source: Source) -> None:
        """Examine the file, and get its tensors ready or hashed."""
        found: Listing | None = None
        if self._examine is not None:
            answer = self._examine(file.member, source)
            found = _listing(file.member.path, answer) if self._tensors else None
            self._ledger.examined[file.index] = _without_sources(answer)
        if not self._tensors:
            return
        from weighbridge.measure.tensors import NOTHING, list_tensors

        if found is None and len(self._ledger.unlisted) < MAX_UNLISTED:
            found = list_tensors(source, file.member.path, self._budget)
        if found is not None and found is not NOTHING:
            self._take_all(file, source, found)
        self._take_over(file, source.size)

    def look_at_failure(self, file: File, error: InputError) -> None:
        """Let the examiner hear of a file that it cannot see, so that no file vanishes from its account."""
        if self._examine is not None and file.index not in self._ledger.examined:
            self._ledger.examined[file.index] = self._examine(file.member, _FailedSource(error))

    def settle(self, file: File) -> None:
        """The file's bytes have all streamed by: its tensors are known."""
        if not self._tensors:
            return
        if file.stream is not None:
            digests = dict(zip(_places(file), file.stream.digests, strict=True))
            file.tensors += [_entry(owner, ref, digests[ref.spans]) for owner, ref in file.pending]
        self._ledger.tensors[file.index] = sorted(file.tensors, key=lambda tensor: (tensor.path, tensor.name))

    def finish(self) -> None:
        """All files are done: tensors that still wait for their data file wait in vain."""
        for path, refs in self._externals.items():
            for owner, _ in refs:
                self._unlisted(
                    owner, f'its data file "{visible(path, 200)}" is not in the model, or came before it'
                )

    def _take_all(self, file: File, source: Source, found: "Listing") -> None:
        path = file.member.path
        if found.unlisted and path not in self._externals:
            self._unlisted(path, found.unlisted)
        if self._ledger.unlisted:
            return  # the artifact's tensors are unknown, whatever these hash to
        if _overlapping(found.tensors, source.size):
            self._unlisted(path, OVERLAPPING)
            return
        hashed: dict[Any, bytes] = {}
        for ref in sorted(found.tensors, key=_first_byte):
            try:
                self._take(file, source, ref, hashed)
            except (InputError, LimitError) as error:
                self._unlisted(path, f'tensor "{visible(ref.name, 100)}": {error.message}')

    def _take(self, file: File, source: Source, ref: TensorRef, hashed: dict[Any, bytes]) -> None:
        """Hash it here, or leave it to a pass over the bytes.

        Reading here may move the tap's cursor. Tensors come in the order in which they can be left to the pass (see
        `_first_byte`), so none that was left to it is overtaken.
        """
        from weighbridge.measure.tensors import external_path, refused

        path = file.member.path
        if ref.external:
            if not _streams(ref):
                raise InputError("bad-tensor", "its items lie out of order in another file")
            self._externals.setdefault(external_path(path, ref), []).append((path, ref))
            return
        why = refused(ref, (ref.source or source).size)
        if why:
            raise InputError("bad-tensor", why)
        if _streams(ref, source.cursor if isinstance(source, Tap) else 0):
            file.pending.append((path, ref))
            return
        place = _place(ref)
        if place not in hashed:
            hashed[place] = self._hashed(ref, ref.source or source)
        file.tensors.append(_entry(path, ref, hashed[place]))

    def _hashed(self, ref: TensorRef, source: Source) -> bytes:
        from weighbridge.measure.tensors import content

        digest = hasher("blake3")
        for piece in content(ref, source):
            digest.update(piece)
            self._ledger.tick()
        return bytes(digest.digest())

    def _take_over(self, file: File, size: int) -> None:
        """Add the tensors of other files that lie in this one. Equal spans (tied weights) are hashed once."""
        others = self._externals.pop(file.member.path, [])
        if not others and not file.pending:
            return
        if _overlapping([ref for _, ref in others], size):
            self._unlisted(others[0][0], OVERLAPPING)
            return
        from weighbridge.measure.tensors import refused

        for owner, ref in others:
            why = refused(ref, size)
            if why:
                self._unlisted(owner, f'tensor "{visible(ref.name, 100)}": {why}')
            else:
                file.pending.append((owner, ref))
        if file.pending and not self._ledger.unlisted:
            file.stream = Tensors(_places(file))

    def _unlisted(self, path: str, why: str) -> None:
        self._ledger.unlisted.setdefault(path, why)


class _FailedSource:
    """Stands for a file that could not be opened; says so whatever is asked of it."""

    def __init__(self, error: InputError) -> None:
        self._error = error

    @property
    def size(self) -> int:
        raise self._error

    def read(self, offset: int, length: int) -> bytes:
        raise self._error


def _listing(path: str, answer: Any) -> "Listing | None":
    """The tensors in an examiner's answer, if it is one that knows of tensors (`scan.engine.Examination`)."""
    if not hasattr(answer, "tensors_unlisted"):
        return None
    from weighbridge.measure.tensors import listing

    formats = frozenset(answer.result.format.split("+"))
    gaps = any(not item.place.parts for item in answer.unread)
    return listing(path, formats, answer.tensors, answer.tensors_unlisted, gaps=gaps)


def _without_sources(answer: Any) -> Any:
    """The answer without the sources of its tensors, which would hold their file's bytes in memory."""
    if not is_dataclass(answer) or isinstance(answer, type) or not getattr(answer, "tensors", None):
        return answer
    held: Any = answer
    return replace(
        held, tensors=tuple(ref._replace(source=None) if ref.source else ref for ref in held.tensors)
    )


def _places(file: File) -> list[tuple[tuple[int, int], ...]]:
    return list(dict.fromkeys(ref.spans for _, ref in file.pending))


def _entry(path: str, ref: TensorRef, digest: bytes) -> TensorEntry:
    return TensorEntry(ref.name, ref.dtype, tuple(ref.shape), bytes(digest), path)


def _streams(ref: TensorRef, start: int = 0) -> bool:
    """Whether a tensor's content is simply its spans, in file order, at or behind `start`."""
    return ref.source is None and ref.strides is None and not ref.swap and in_order(ref.spans, start)


def _first_byte(ref: TensorRef) -> int:
    """Where it begins in the file; before everything else when no pass can take it."""
    return min((offset for offset, length in ref.spans if length), default=0) if _streams(ref) else -1


def _place(ref: TensorRef) -> Any:
    """Everything that its content depends on: tied weights are stored and hashed once, whatever their names."""
    if ref.strides is None and not ref.swap:
        return id(ref.source), ref.external, ref.spans
    return id(ref.source), ref.spans, ref.strides, ref.shape, ref.itemsize, ref.swap, ref.dtype[:1]


def _overlapping(refs: Iterable[TensorRef], size: int) -> bool:
    """Whether hashing them would cost more than any honest model: views overlap, hostile ones without end."""
    from weighbridge.measure.tensors import cost

    costs: dict[int, list[int]] = {}
    for ref in {_place(ref): ref for ref in refs}.values():
        _, so_far = costs.setdefault(id(ref.source), [ref.source.size if ref.source else size, 0])
        costs[id(ref.source)][1] = so_far + cost(ref)
    return any(spent > 4 * there + SLACK for there, spent in costs.values())
