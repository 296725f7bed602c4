"""TensorFlow's checkpoints: the index (`.index`) of a bundle of shards, and the file `checkpoint` that names the newest.

The index is a LevelDB table of BundleEntryProto; it says of every tensor what it is and where in which shard it lies. The
shards (`.data-00000-of-00001`) are raw bytes and become external data. The object graph in a shard is not read: it only
names variables. Checkpoints of version 1 are recognised and not read. Schema: tensor_bundle.proto, checkpoint_state.proto.
"""

from itertools import pairwise

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import MemorySource, Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.framework import ContradictionError, product
from weighbridge.formats.membernames import escapes
from weighbridge.formats.protobuf import LENGTH, VARINT, Wire, signed
from weighbridge.formats.reading import Anomaly, Gap, Reading, TensorRef
from weighbridge.formats.tensorflow.constants import read_shape
from weighbridge.formats.tensorflow.leveldb import is_table, pairs
from weighbridge.formats.tensorflow.schema import DTYPES, KNOWN_TYPES, SCHEMA, STRING
from weighbridge.formats.tensorflow.text import message
from weighbridge.formats.tensorflow.walk import GraphWalk

MAX_STATE = 1024**2
MAX_SHARDS = 100_000
MAX_ANOMALIES = 100
KEEP = 16 * 1024**2
PATHS = ("model_checkpoint_path", "all_model_checkpoint_paths")


@dataclass(frozen=True, slots=True, kw_only=True)
class StateReading(Reading):
    """The file `checkpoint`."""

    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexReading(Reading):
    """The index of a bundle."""

    entries: tuple[TensorRef, ...] = ()
    """All tensors with their places, those of strings and slices too."""


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Read an index or a state. `InputError`: `not-this-format`, `bad-textproto`."""
    if is_table(source):
        return _index(source, budget, name)
    return _state(source, budget)


# -- the state


def _state(source: Source, budget: Budget) -> Reading:
    if source.size > MAX_STATE:
        raise InputError("not-this-format", "too long for the state of checkpoints")
    data = source.read(0, source.size)
    if not any(path.encode() in data for path in PATHS):
        raise InputError("not-this-format", "no path of a checkpoint")
    source = MemorySource(message(data, "CheckpointState", budget))
    walk = GraphWalk(source=source, budget=budget)
    paths = [
        walk.text(item) for key, _, item in walk.each("CheckpointState", 0, source.size, 0) if key in PATHS
    ]
    anomalies = tuple(Anomaly(code=odd.code, message="a field that is not known") for odd in walk.anomalies)
    return StateReading(
        format="tf-checkpoint", paths=tuple(dict.fromkeys(paths)), anomalies=anomalies, keep=True
    )


# -- the index


def _index(source: Source, budget: Budget, name: str) -> Reading:
    index = _Index(budget, name.rpartition("/")[2].removesuffix(".index"))
    gaps: tuple[Gap, ...] = ()
    try:
        for pair in pairs(source, budget):
            if not pair.key and index.header(pair.value):
                return _version_1()
            if pair.key:
                index.entry(pair.key, pair.value)
    except ContradictionError as error:
        index.anomalies.append(error.anomaly())
        gaps = (error.gap(),)
    if not index.shards and not gaps:
        raise InputError("not-this-format", "a table without the header of a checkpoint")
    return index.reading(gaps, keep=source.size <= KEEP)


def _version_1() -> Reading:
    why = "checkpoints of version 1, which TensorFlow wrote before 2017, are not read"
    return Reading(
        format="tf-checkpoint-v1", gaps=(Gap(code="not-parsed", message=why),), tensors_unlisted=why
    )


class _Index:
    """The entries of one index, as they are read."""

    def __init__(self, budget: Budget, base: str) -> None:
        self._budget, self._base = budget, base
        self._big = False
        self._seen: set[str] = set()
        self._tensors: list[TensorRef] = []
        self._others: list[TensorRef] = []
        self._left: list[tuple[str, str]] = []
        self.shards = 0
        self.anomalies: list[Anomaly] = []

    def header(self, value: bytes) -> bool:
        """Read the header; True where it is that of version 1."""
        for item in Wire(MemorySource(value), self._budget).fields(0, len(value)):
            if item.number == 1 and item.wire == LENGTH:
                return True
            if item.number == 1:
                self.shards = item.value
            elif item.number == 2 and item.wire == VARINT:
                self._big = item.value == 1
        if not 0 < self.shards <= MAX_SHARDS:
            raise ContradictionError("count-overflow", f"a checkpoint of {self.shards} shards")
        return False

    def entry(self, key: bytes, value: bytes) -> None:
        """One tensor."""
        name = key.decode("utf-8", "surrogateescape")
        if "../" in name and escapes(name):
            self._odd(
                "name-escapes",
                "the name is a path out of the folder, for whoever unpacks tensors to files",
                name,
            )
        if name in self._seen:
            self._odd("duplicate-tensor", f'"{visible(name, 80)}" stands twice', name)
        self._seen.add(name)
        walk = GraphWalk(source=MemorySource(value), budget=self._budget)
        numbers = dict.fromkeys(("dtype", "shard_id", "offset", "size"), 0)
        shape: tuple[int, ...] = ()
        sliced = not name.isprintable()
        for field_name, kind, item in walk.each("BundleEntry", 0, len(value), 0):
            if field_name in numbers:
                numbers[field_name] = signed(item.value)
            elif field_name == "shape":
                shape, _ = read_shape(walk, item, 1)
            elif field_name == "slices":
                sliced = True
            elif kind in SCHEMA:
                walk.check(kind, item.start, item.end, 1)
        if walk.gaps:
            self._odd("structure-invalid", walk.gaps[0].message, name)
        self.anomalies += walk.anomalies[: MAX_ANOMALIES - len(self.anomalies)]
        self._place(name, shape, numbers, sliced=sliced)

    def _place(self, name: str, shape: tuple[int, ...], numbers: dict[str, int], *, sliced: bool) -> None:
        """Hold the entry against itself, and note the tensor."""
        shard, offset, size = numbers["shard_id"], numbers["offset"], numbers["size"]
        if not 0 <= shard < max(1, self.shards):
            self._odd("index-out-of-range", f"a tensor in shard {shard} of {self.shards}", name)
            return
        if offset < 0 or size < 0 or offset + size >= 2**63:
            self._odd("offset-invalid", f"a tensor of {size} bytes at byte {offset}", name)
            return
        try:
            items = product(shape, where=name)
        except ContradictionError as error:
            self.anomalies.append(error.anomaly())
            return
        kind = numbers["dtype"]
        if kind not in KNOWN_TYPES:
            self._odd("type-invalid", f"a tensor of the data type {kind}", name)
            return
        dtype, width = DTYPES.get(kind, ("STRING", 1))
        external = f"{self._base}.data-{shard:05d}-of-{self.shards:05d}"
        ref = TensorRef(
            name, dtype, shape, ((offset, size),), None, width, None, self._big and width > 1, external
        )
        if sliced or kind not in DTYPES:
            self._others.append(ref)
            if kind != STRING:
                self._left.append(
                    (name, "it is stored in slices" if sliced else "its items have no fixed size")
                )
        elif items * width != size:
            self._odd(
                "size-mismatch", f"a tensor of {items * width} bytes with {size} bytes in its shard", name
            )
        else:
            self._tensors.append(ref)

    def _odd(self, code: str, text: str, name: str) -> None:
        if len(self.anomalies) < MAX_ANOMALIES:
            self.anomalies.append(Anomaly(code=code, message=text, part=visible(name, 80)))

    def _overlaps(self) -> None:
        """No saver writes one tensor over another."""
        spans = sorted(
            (ref.external, *ref.spans[0], ref.name)
            for ref in (*self._tensors, *self._others)
            if ref.spans[0][1]
        )
        for (shard, begin, length, _), (other, start, _, name) in pairwise(spans):
            if shard == other and start < begin + length:
                self._odd(
                    "overlap", f"begins {begin + length - start} bytes before the end of another tensor", name
                )

    def reading(self, gaps: tuple[Gap, ...], *, keep: bool) -> IndexReading:
        """All of it."""
        self._overlaps()
        why = (
            gaps[0].message
            if gaps
            else f"{len(self._left)} tensors are stored in slices"
            if self._left
            else ""
        )
        count = self.shards if not gaps else 0
        return IndexReading(
            format="tf-checkpoint-index",
            entries=(*self._tensors, *self._others),
            anomalies=tuple(self.anomalies),
            gaps=gaps,
            tensors=tuple(self._tensors) if not why else None,
            tensors_unlisted=why,
            tensors_found=tuple(self._tensors) if why else (),
            tensors_left=tuple(self._left),
            externals=tuple(f"{self._base}.data-{shard:05d}-of-{count:05d}" for shard in range(count)),
            keep=keep,
        )
