"""fastText models (`.bin`, `.ftz`, versions 11 and 12) and word vectors in word2vec's binary form.

Arguments, dictionary, matrices and quantised matrices: each length is held against the file, and all of them together
must make up the file to the last byte. Matrices are listed as tensors where they are plain floats. Layout: the sources of
fastText 0.9.2, which gives no text of its format.
"""

from typing import NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.source import Source
from weighbridge.formats.framework import ContradictionError, Cursor, FrameworkReading, trailing
from weighbridge.formats.opaque import hidden_programs
from weighbridge.formats.reading import Anomaly, Gap, Reading, TensorRef
from weighbridge.formats.sniff import looks_like_text

MAGIC = (793712314).to_bytes(4, "little")
ARGUMENTS = (
    "dim", "ws", "epoch", "minCount", "neg", "wordNgrams", "loss", "model", "bucket", "minn", "maxn", "lrUpdateRate",
)  # fmt: skip
LOSSES, MODELS = range(1, 5), range(1, 4)
SUPERVISED = 3
MAX_WORD = 64 * 1024
CENTROIDS = 256
_WORD2VEC = late(rb"([1-9][0-9]{0,9}) ([1-9][0-9]{0,5})\n")


class _Matrix(NamedTuple):
    rows: int
    columns: int
    span: tuple[int, int] | None
    """None for a quantised one."""


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Read one model. `InputError`: `not-this-format`, `version-unknown`."""
    head = source.read(0, 64)
    if head[:4] != MAGIC:
        return _word2vec(source, budget, head)
    version = int.from_bytes(head[4:8], "little")
    if version not in (11, 12):
        raise InputError("version-unknown", f"fastText version {version} is not known (11 and 12 are)")
    model = _Model(Cursor(source, budget, at=8), version)
    anomalies: tuple[Anomaly, ...] = ()
    gaps: tuple[Gap, ...] = ()
    try:
        model.walk()
        gaps = trailing(model.cursor.at, source.size)
    except ContradictionError as error:
        anomalies, gaps = (error.anomaly(),), (error.gap(),)
    return FrameworkReading(
        format="fasttext",
        anomalies=anomalies,
        gaps=gaps,
        parts=hidden_programs(source, budget),
        tensors=None if anomalies or model.quantised else tuple(model.tensors),
        tensors_unlisted=anomalies[0].message if anomalies else model.quantised,
    )


class _Model:
    def __init__(self, cursor: Cursor, version: int) -> None:
        self.cursor, self.version = cursor, version
        self.tensors: list[TensorRef] = []
        self.quantised = ""

    def walk(self) -> None:
        """Arguments, dictionary, input matrix, output matrix: in the order of the file."""
        arguments = self._arguments()
        words, labels, pruned = self._dictionary()
        buckets = pruned if pruned >= 0 else arguments["bucket"]
        rows = self._matrix("input", {words + buckets, words + labels + buckets})
        if rows.columns != arguments["dim"]:
            raise ContradictionError(
                "size-mismatch", f"input has {rows.columns} columns where dim is {arguments['dim']}"
            )
        wanted = {labels} if arguments["model"] == SUPERVISED else {words}
        out = self._matrix("output", wanted)
        if out.columns != arguments["dim"]:
            raise ContradictionError(
                "size-mismatch", f"output has {out.columns} columns where dim is {arguments['dim']}"
            )

    def _arguments(self) -> dict[str, int]:
        at = self.cursor.at
        found = {name: self.cursor.number("i", f"argument {name}") for name in ARGUMENTS}
        self.cursor.unpack("d", "argument t")
        for name, value in found.items():
            if value < 0 and name not in ("minCount",):
                raise ContradictionError("count-overflow", f"argument {name} is {value}", at)
        if not found["dim"]:
            raise ContradictionError("size-mismatch", "vectors without numbers, by which it divides", at)
        if found["loss"] not in LOSSES or found["model"] not in MODELS:
            raise ContradictionError(
                "type-invalid", f"loss {found['loss']} or model {found['model']} does not exist", at
            )
        if self.version == 11 and found["model"] == SUPERVISED:
            found["maxn"] = 0
        return found

    def _dictionary(self) -> tuple[int, int, int]:
        at = self.cursor.at
        size = self.cursor.count("i", 10, "number of words and labels")
        words, labels = self.cursor.number("i"), self.cursor.number("i")
        self.cursor.number("q", "number of tokens")
        pruned = self.cursor.number("q", "number of pruned n-grams")
        if min(words, labels) < 0 or words + labels != size:
            raise ContradictionError(
                "size-mismatch", f"{words} words and {labels} labels are not {size} entries", at
            )
        kinds = [0, 0]
        for index in range(size):
            if index % 65_536 == 0:
                self.cursor.tick()
            self.cursor.until(b"\0", MAX_WORD)
            self.cursor.skip(8, "a word's count")
            kind = self.cursor.take(1, "a word's kind")[0]
            if kind > 1:
                raise ContradictionError(
                    "type-invalid", f"an entry is neither word nor label but {kind}", self.cursor.at
                )
            kinds[kind] += 1
        if kinds != [words, labels]:
            raise ContradictionError(
                "size-mismatch", f"{kinds[0]} words and {kinds[1]} labels stand there", at
            )
        if pruned > 0:
            if pruned * 8 > self.cursor.left:
                raise ContradictionError(
                    "count-overflow", f"{pruned} pruned n-grams cannot fit into the file", at
                )
            self.cursor.skip(pruned * 8)
        return words, labels, max(pruned, -1)

    def _flag(self, what: str) -> bool:
        value = self.cursor.take(1, what)[0]
        if value > 1:
            raise ContradictionError("type-invalid", f"{what} is {value}", self.cursor.at - 1)
        return bool(value)

    def _matrix(self, name: str, rows: set[int]) -> _Matrix:
        matrix = self._quantised(name) if self._flag(f"whether {name} is quantised") else self._plain(name)
        if matrix.rows not in rows:
            wanted = " or ".join(str(count) for count in sorted(rows))
            raise ContradictionError(
                "size-mismatch", f"{name} has {matrix.rows} rows where {wanted} belong", self.cursor.at
            )
        return matrix

    def _shape(self, name: str) -> tuple[int, int]:
        at = self.cursor.at
        rows, columns = (
            self.cursor.number("q", f"rows of {name}"),
            self.cursor.number("q", f"columns of {name}"),
        )
        if min(rows, columns) < 0 or rows * columns >= 2**63:
            raise ContradictionError("shape-overflow", f"{name} of {rows} × {columns} is no matrix", at)
        return rows, columns

    def _plain(self, name: str) -> _Matrix:
        rows, columns = self._shape(name)
        size = rows * columns * 4
        begin = self.cursor.skip(size, f"matrix {name}")
        self.tensors.append(TensorRef(name, "F32", (rows, columns), ((begin, size),), None, 4))
        return _Matrix(rows, columns, (begin, size))

    def _quantised(self, name: str) -> _Matrix:
        self.quantised = "quantised matrices have no canonical tensors"
        normed = self._flag(f"whether {name} has norms")
        rows, columns = self._shape(name)
        at, codes = self.cursor.at, self.cursor.count("i", 1, f"codes of {name}")
        self.cursor.skip(codes)
        parts = self._quantiser(columns)
        if codes != rows * parts:
            raise ContradictionError("size-mismatch", f"{codes} codes for {rows} rows of {parts} parts", at)
        if normed:
            self.cursor.skip(rows, f"norms of {name}")
            self._quantiser(1)
        return _Matrix(rows, columns, None)

    def _quantiser(self, columns: int) -> int:
        """A product quantiser: dim, parts, width of a part, width of the last; then the centroids."""
        at = self.cursor.at
        dim, parts, width, last = (self.cursor.number("i", "a quantiser") for _ in range(4))
        if dim != columns or min(parts, width, last) < 1 or (parts - 1) * width + last != dim:
            message = f"a quantiser of {parts} parts of {width} and {last} is none for {columns} columns"
            raise ContradictionError("size-mismatch", message, at)
        self.cursor.skip(dim * CENTROIDS * 4, "centroids")
        return parts


def _word2vec(source: Source, budget: Budget, head: bytes) -> Reading:
    """`COUNT DIM\\n`, then word, blank, DIM floats, and maybe a newline, COUNT times."""
    match = _WORD2VEC.match(head)
    if match is None or looks_like_text(source.read(0, 4096)):
        raise InputError("not-this-format", "no fastText model and no word vectors")
    cursor = Cursor(source, budget, at=match.end())
    anomalies: tuple[Anomaly, ...] = ()
    try:
        _entries(cursor, int(match[1]), int(match[2]))
        gaps = trailing(cursor.at, source.size)
    except ContradictionError as error:
        anomalies, gaps = (error.anomaly(),), (error.gap(),)
    return FrameworkReading(
        format="word2vec",
        anomalies=anomalies,
        gaps=gaps,
        tensors_unlisted="word vectors stand between their words",
    )


def _entries(cursor: Cursor, count: int, dim: int) -> None:
    if count * (dim * 4 + 2) > cursor.left + count:
        raise ContradictionError("count-overflow", f"{count} words of {dim} numbers cannot fit into the file")
    for index in range(count):
        if index % 65_536 == 0:
            cursor.tick()
        cursor.until(b" ", MAX_WORD)
        cursor.skip(dim * 4, "a vector")
    if cursor.left == 1 and cursor.take(1) != b"\n":
        cursor.at -= 1
