"""GGML before GGUF (`ggml`, `ggmf`, `ggjt`, `ggla`): LLaMA and adapters of 2023, whisper.cpp, GPT-2 and GPT-J.

These files have a magic number and then numbers without names, so that only who knows the model can read them. The known
layouts are tried one after the other; the one that reaches the file's end, or else the one that came farthest, is the
reading. Every count, length, dimension and type is checked against the file. Layouts: llama.cpp before August 2023,
whisper.cpp and the examples of the ggml project.
"""

from collections.abc import Callable
from typing import NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.formats.embedded import program_part
from weighbridge.formats.framework import ContradictionError, Cursor, FrameworkReading, product, trailing
from weighbridge.formats.gguf.types import TENSOR_TYPES
from weighbridge.formats.reading import Anomaly, Gap, Part, Reading, TensorRef

MAGICS = {b"lmgg": "ggml", b"fmgg": "ggmf", b"tjgg": "ggjt", b"algg": "ggla"}
"""The magic number as it stands in a file, little-endian → its name."""
SPELLED = {b"ggml": "ggml", b"ggmf": "ggmf", b"ggjt": "ggjt", b"ggla": "ggla"} | {
    b"GGML": "ggml", b"GGMF": "ggmf", b"GGJT": "ggjt", b"GGLA": "ggla"
}  # fmt: skip
"""What people write who take the magic number for letters; loaders refuse it, and it is read all the same."""
MAX_DIMS = 4
MAX_NAME = 256
MAX_WORD = 64 * 1024
ALIGNMENT = 32
QUANTISATION_VERSIONS = 1000
"""A file type of 1000 and more says with which version of the quantisation it was made."""


class _Found(NamedTuple):
    layout: str
    tensors: tuple[TensorRef, ...]
    reached: int
    problem: ContradictionError | None
    in_tensors: bool


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Read one model. `InputError`: `not-this-format`."""
    magic = source.read(0, 4)
    kind = MAGICS.get(magic) or SPELLED.get(magic)
    if kind is None or source.size < 8:
        raise InputError("not-this-format", "no GGML model")
    tried = [_try(layout, source, budget) for layout in LAYOUTS[kind]]
    best = next((found for found in tried if found.problem is None), None)
    best = best or max(tried, key=lambda found: (found.in_tensors, found.reached))
    return _reading(best, source, budget, kind, odd_magic=magic in SPELLED)


def _reading(found: _Found, source: Source, budget: Budget, kind: str, *, odd_magic: bool) -> Reading:
    anomalies: list[Anomaly] = []
    gaps: list[Gap] = list(trailing(found.reached, source.size)) if found.problem is None else []
    if odd_magic:
        anomalies.append(
            Anomaly(code="magic-unusual", message="the magic number stands in the wrong byte order", offset=0)
        )
    if found.problem is not None:
        certain = found.in_tensors or kind != "ggml" or _impossible(source)
        code = found.problem.fact if certain else "layout-unknown"
        anomalies.append(
            Anomaly(
                code=code, message=f"as {found.layout}: {found.problem.message}", offset=found.problem.offset
            )
        )
        gaps.append(found.problem.gap())
    parts: list[Part] = []
    for tensor in found.tensors:
        part = program_part(source, *tensor.spans[0], tensor.name)
        parts += [part] if part else []
    names = [tensor.name for tensor in found.tensors]
    if len(set(names)) != len(names):
        anomalies.append(Anomaly(code="duplicate-tensor", message="two tensors have one name"))
    return FrameworkReading(
        format="ggml",
        anomalies=tuple(anomalies),
        gaps=tuple(gaps),
        parts=tuple(parts),
        tensors=None if anomalies else found.tensors,
        tensors_unlisted=anomalies[0].message if anomalies else "",
    )


def _impossible(source: Source) -> bool:
    """The first number behind the magic is the size of the vocabulary in every known layout."""
    first = int.from_bytes(source.read(4, 4), "little")
    return first >= 2**31 or first * 4 > max(source.size, 2**20)


def _try(layout: "_Layout", source: Source, budget: Budget) -> _Found:
    cursor = Cursor(source, budget, at=4)
    reading = _Attempt(cursor, budget)
    try:
        layout.read(reading)
    except ContradictionError as error:
        return _Found(layout.name, tuple(reading.tensors), cursor.at, error, reading.in_tensors)
    return _Found(layout.name, tuple(reading.tensors), cursor.at, None, in_tensors=True)


class _Attempt:
    """One pass over the file by one layout."""

    def __init__(self, cursor: Cursor, budget: Budget) -> None:
        self.cursor, self.budget = cursor, budget
        self.tensors: list[TensorRef] = []
        self.in_tensors = False

    def numbers(self, names: str) -> dict[str, int]:
        """Parameters of the model, none of them below zero."""
        at = self.cursor.at
        found = {name: self.cursor.number("i", f"parameter {name}") for name in names.split()}
        for name, value in found.items():
            if value < 0:
                raise ContradictionError("count-overflow", f"parameter {name} is {value}", at)
        return found

    def version(self, *known: int) -> int:
        at, value = self.cursor.at, self.cursor.number("I", "a version")
        if value not in known:
            raise ContradictionError("version-unknown", f"version {value} is not known", at)
        return value

    def words(self, count: int, *, scored: bool) -> None:
        """A vocabulary."""
        at = self.cursor.at
        if count * 4 > self.cursor.left:
            raise ContradictionError("count-overflow", f"{count} words cannot fit into the file", at)
        self.budget.spend_members(count)
        for _ in range(count):
            at, length = self.cursor.at, self.cursor.number("I", "a word")
            if length > MAX_WORD or length > self.cursor.left:
                raise ContradictionError("length-overflow", f"a word of {length} bytes", at)
            self.cursor.skip(length + (4 if scored else 0), "a word")

    def table(self, *, aligned: bool) -> None:
        """Tensor behind tensor to the end of the file."""
        self.in_tensors = self.cursor.left > 0
        while self.cursor.left:
            self.budget.spend_members()
            self._tensor(aligned=aligned)

    def _tensor(self, *, aligned: bool) -> None:
        at = self.cursor.at
        dims, length, kind = (self.cursor.number("I", "a tensor") for _ in range(3))
        if not 1 <= dims <= MAX_DIMS:
            raise ContradictionError("too-many-dims", f"a tensor of {dims} dimensions", at)
        if length > MAX_NAME:
            raise ContradictionError("length-overflow", f"a tensor name of {length} bytes", at)
        shape = tuple(self.cursor.number("I", "a dimension") for _ in range(dims))
        name = self.cursor.take(length, "a tensor name").decode("utf-8", "surrogateescape")
        self.tensors.append(self._placed(name, shape, kind, at, aligned=aligned))

    def _placed(self, name: str, shape: tuple[int, ...], kind: int, at: int, *, aligned: bool) -> TensorRef:
        known = TENSOR_TYPES.get(kind)
        if known is None:
            raise ContradictionError("type-invalid", f"tensor type {kind} does not exist", at, name)
        items = product(shape, where=name, offset=at)
        if shape[0] % known.block:
            raise ContradictionError(
                "block-misfit", f"rows of {shape[0]} do not divide into blocks of {known.block}", at, name
            )
        if aligned:
            self.cursor.skip(-self.cursor.at % ALIGNMENT, "padding")
        size = items // known.block * known.size
        begin = self.cursor.skip(size, "a tensor")
        return TensorRef(
            name,
            known.name,
            tuple(reversed(shape)),
            ((begin, size),),
            None,
            known.size if known.block == 1 else 1,
        )


LLAMA = "n_vocab n_embd n_mult n_head n_layer n_rot ftype"
WHISPER = "n_vocab n_audio_ctx n_audio_state n_audio_head n_audio_layer n_text_ctx n_text_state n_text_head n_text_layer n_mels ftype"


def _llama(attempt: _Attempt, *, versions: tuple[int, ...], scored: bool, aligned: bool) -> None:
    if versions:
        attempt.version(*versions)
    attempt.words(attempt.numbers(LLAMA)["n_vocab"], scored=scored)
    attempt.table(aligned=aligned)


def _adapter(attempt: _Attempt) -> None:
    attempt.version(1)
    attempt.numbers("r alpha")
    attempt.table(aligned=True)


def _whisper(attempt: _Attempt) -> None:
    attempt.numbers(WHISPER)
    filters = attempt.numbers("n_mel n_fft")
    attempt.cursor.skip(filters["n_mel"] * filters["n_fft"] * 4, "the filters")
    attempt.words(attempt.numbers("n_words")["n_words"], scored=False)
    attempt.table(aligned=False)


def _gpt(attempt: _Attempt, names: str) -> None:
    """GPT-2 and GPT-J: the vocabulary has its size before it once more."""
    at, sizes = attempt.cursor.at, attempt.numbers(names)
    count = attempt.numbers("n_words")["n_words"]
    if count != sizes["n_vocab"]:
        raise ContradictionError("size-mismatch", f"{count} words in a vocabulary of {sizes['n_vocab']}", at)
    attempt.words(count, scored=False)
    attempt.table(aligned=False)


class _Layout(NamedTuple):
    name: str
    read: Callable[[_Attempt], None]


LAYOUTS: dict[str, tuple[_Layout, ...]] = {
    "ggml": (
        _Layout("LLaMA", lambda a: _llama(a, versions=(), scored=False, aligned=False)),
        _Layout("whisper", _whisper),
        _Layout("GPT-2", lambda a: _gpt(a, "n_vocab n_ctx n_embd n_head n_layer ftype")),
        _Layout("GPT-J", lambda a: _gpt(a, "n_vocab n_ctx n_embd n_head n_layer n_rot ftype")),
    ),
    "ggmf": (_Layout("LLaMA", lambda a: _llama(a, versions=(1,), scored=True, aligned=False)),),
    "ggjt": (_Layout("LLaMA", lambda a: _llama(a, versions=(1, 2, 3), scored=True, aligned=True)),),
    "ggla": (_Layout("LoRA adapter", _adapter),),
}
