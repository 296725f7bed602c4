"""TensorFlow's models in protobuf: SavedModel, MetaGraphDef (`.meta`), GraphDef (`.pb`), as bytes or as text.

All meta graphs with all functions are read; assets, savers, collections and the object graph are listed where they lead
to files or code. `keras_metadata.pb` and the metadata of objects are JSON of Keras and become parts. A fingerprint and a
TF-Hub marker hold only numbers. SavedModels in several chunks (`.cpb`) are named and not read.
"""

from collections.abc import Iterator
from dataclasses import replace

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import MemorySource, Slice, Source
from weighbridge.core.value import dataclass
from weighbridge.formats.embedded import text_part
from weighbridge.formats.protobuf import FIXED64, LENGTH, VARINT, Field, Wire
from weighbridge.formats.reading import Gap, Part, Reading
from weighbridge.formats.tensorflow.functions import allocations, function_problem
from weighbridge.formats.tensorflow.graph import Asset, Graph, GraphReading, Program
from weighbridge.formats.tensorflow.nodes import read_graph
from weighbridge.formats.tensorflow.schema import SCHEMA
from weighbridge.formats.tensorflow.walk import MAX_PARTS, WIRES, GraphWalk

FORMATS = {
    "SavedModel": "tf-savedmodel",
    "MetaGraph": "tf-metagraph",
    "Graph": "tf-graph",
    "KerasMetadata": "keras-metadata",
}
PROBED = 40
"""Fields of the top message that are looked at to tell which message it is, and of each message in it."""
MAX_METADATA = 16 * 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkReading(Reading):
    """A small file of numbers beside a SavedModel."""


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Read a model. `InputError`: `not-this-format`, `bad-protobuf`, `bad-textproto`."""
    plain = name.rpartition("/")[2].lower()
    if plain.endswith(".cpb"):
        return _chunks()
    if plain in ("fingerprint.pb", "tfhub_module.pb") and (mark := _mark(source, budget, plain)):
        return mark
    if _is_text(source):
        return _text(source, budget)
    kind = message_kind(source, budget)
    if not kind:
        raise InputError("not-this-format", "no message of TensorFlow's")
    return _Model(GraphWalk(source=source, budget=budget)).reading(kind)


def message_kind(source: Source, budget: Budget) -> str:
    """Which message the bytes are: `SavedModel`, `MetaGraph`, `Graph`, `KerasMetadata`; "" for none of them."""
    for kind in FORMATS:
        if _fits(Wire(source, budget), kind, source.size):
            return kind
    return ""


def _fits(wire: Wire, kind: str, size: int) -> bool:
    """Whether the first fields, and the first fields in them, are this message's."""
    try:
        seen: set[str] = set()
        for index, item in enumerate(wire.fields(0, size)):
            known = SCHEMA[kind].get(item.number)
            if known is None or item.wire != WIRES.get(known[1], (LENGTH,))[0]:
                # Where the beginning tells, what stands behind is the walk's to name.
                return _TELLING[kind] <= seen
            if known[1] in SCHEMA and not _inner_fits(wire, known[1], item):
                return False
            seen.add(known[0])
            if index >= PROBED:
                break
    except InputError:
        pass  # what broke off may stand behind what tells
    return _TELLING[kind] <= seen


_TELLING = {
    "SavedModel": {"saved_model_schema_version", "meta_graphs"},
    "MetaGraph": {"graph_def"},
    "Graph": {"node"},
    "KerasMetadata": {"nodes"},
}


def _inner_fits(wire: Wire, message: str, item: Field) -> bool:
    count = 0
    for count, part in enumerate(wire.fields(item.start, item.end), 1):
        known = SCHEMA[message].get(part.number)
        if known is None or part.wire not in WIRES.get(known[1], (LENGTH,)):
            return False
        if known[1] == "text" and not _printable(wire.bytes(part.start, min(part.end, part.start + 200))):
            return False
        if count >= PROBED:
            break
    return count > 0 or item.end == item.start


def _printable(raw: bytes) -> bool:
    return not any(byte < 9 or 13 < byte < 32 for byte in raw)


class _Model:
    """One file: programs, and what stands around them."""

    def __init__(self, walk: GraphWalk) -> None:
        self._walk = walk
        self._programs: list[Program] = []

    def reading(self, kind: str) -> Reading:
        """Walk the message."""
        walk, size = self._walk, self._walk.source.size
        whole = Field(0, LENGTH, 0, 0, size)
        if kind == "SavedModel":
            for key, _, item in walk.each("SavedModel", 0, size, 0):
                if key == "meta_graphs":
                    self._meta_graph(item, f"meta graph {len(self._programs)}")
        elif kind == "MetaGraph":
            self._meta_graph(whole, "")
        elif kind == "Graph":
            self._programs.append(Program("", read_graph(walk, (whole,), "", 0)))
        else:
            self._keras(whole)
        for program in self._programs:
            if (problem := function_problem(program.graphs)) is not None:
                walk.odd(problem.code, problem.message, None, program.name)
            for node, problem in allocations(program.graphs):
                walk.odd(problem.code, problem.message, node.offset, program.name)
        return self._made(kind)

    def _made(self, kind: str) -> Reading:
        walk = self._walk
        listed = kind == "Graph" or bool(walk.tensors)
        why = f"{len(walk.unlisted)} constants are not written out in the file" if walk.unlisted else ""
        return GraphReading(
            format=FORMATS[kind],
            programs=tuple(self._programs),
            anomalies=tuple(walk.anomalies),
            gaps=tuple(walk.gaps),
            parts=tuple(walk.parts),
            tensors=tuple(walk.tensors) if listed and not why else None,
            tensors_unlisted=why,
            tensors_found=tuple(walk.tensors) if why else (),
            tensors_left=tuple(walk.unlisted),
        )

    def _meta_graph(self, item: Field, name: str) -> None:
        walk = self._walk
        graphs: list[Field] = []
        savers: list[str] = []
        assets: list[Asset] = []
        tensors: list[str] = []
        for key, kind, part in walk.each("MetaGraph", item.start, item.end, 1):
            if key == "graph_def":
                graphs.append(part)
            elif key == "saver_def":
                savers.append(walk.name_of("Saver", part, 2, "filename_tensor_name"))
            elif key == "asset_file_def":
                assets.append(self._asset(part))
            elif key == "collection_def":
                tensors += self._collection(part)
            elif key == "object_graph_def":
                self._objects(part, name)
            elif kind in SCHEMA:
                walk.check(kind, part.start, part.end, 2)
        found = read_graph(walk, graphs, name, 2)
        self._programs.append(Program(name, found, tuple(savers), tuple(assets), tuple(tensors)))

    def _asset(self, item: Field) -> Asset:
        filename, tensor = "", ""
        for key, _, part in self._walk.each("Asset", item.start, item.end, 2):
            if key == "filename":
                filename = self._walk.text(part)
            else:
                tensor = self._walk.name_of("Info", part, 3)
        return Asset(filename, tensor, item.start)

    def _collection(self, item: Field) -> Iterator[str]:
        """Texts of the collection of assets; bytes of any other are looked at for programs and pickles."""
        walk, key = self._walk, ""
        for name, _, part in walk.each("CollectionEntry", item.start, item.end, 2):
            if name == "key":
                key = walk.text(part)
                continue
            for kind, message, held in walk.each("Collection", part.start, part.end, 3):
                if kind == "bytes_list":
                    for _, _, value in walk.each(message, held.start, held.end, 4):
                        self._bytes(value, f"collection {key}")
                elif kind == "node_list" and key == "asset_filepaths":
                    yield from (
                        walk.text(value) for _, _, value in walk.each(message, held.start, held.end, 4)
                    )
                elif message in SCHEMA:
                    walk.check(message, held.start, held.end, 4)

    def _bytes(self, item: Field, name: str) -> None:
        walk = self._walk
        walk.program(item, name)
        if item.end - item.start <= MAX_METADATA and len(walk.parts) < MAX_PARTS:
            part = text_part(walk.wire.bytes(item.start, item.end), name)
            walk.parts += [part] if part is not None else []

    def _objects(self, item: Field, name: str) -> None:
        """The object graph: only the metadata of Keras' objects leads anywhere."""
        walk = self._walk
        for key, kind, part in walk.each("Objects", item.start, item.end, 2):
            if key != "nodes":
                walk.check(kind, part.start, part.end, 3)
                continue
            for inner, message, held in walk.each("Object", part.start, part.end, 3):
                if inner == "user_object":
                    self._user_object(held, message, f"{name} object" if name else "object")
                elif message in SCHEMA:
                    walk.check(message, held.start, held.end, 4)

    def _user_object(self, item: Field, message: str, name: str) -> None:
        identifier = ""
        for key, kind, part in self._walk.each(message, item.start, item.end, 4):
            if key == "identifier":
                identifier = self._walk.text(part)
            elif key == "metadata":
                self._metadata(part, f"{name} {identifier}".strip())
            elif kind in SCHEMA:
                self._walk.check(kind, part.start, part.end, 5)

    def _keras(self, whole: Field) -> None:
        for _, _, item in self._walk.each("KerasMetadata", whole.start, whole.end, 0):
            path = ""
            for key, kind, part in self._walk.each("KerasNode", item.start, item.end, 1):
                if key == "node_path":
                    path = self._walk.text(part)
                elif key == "metadata":
                    self._metadata(part, path or "object")
                elif kind in SCHEMA:
                    self._walk.check(kind, part.start, part.end, 2)

    def _metadata(self, item: Field, name: str) -> None:
        """The configuration of a layer: JSON, as Keras reads it."""
        if item.end > item.start:
            self._walk.budget.spend_members()
            start = self._walk.wire.bytes(item.start, min(item.end, item.start + 16)).lstrip()
            window = Slice(self._walk.source, item.start, item.end - item.start)
            if start[:1] in (b"{", b"["):
                self._walk.parts.append(Part(name=name, source=window, kind="keras-object"))
            else:
                self._bytes(item, name)


def _chunks() -> Reading:
    message = "a SavedModel in several chunks, whose container is not read"
    gap = Gap(code="not-parsed", message=message)
    return GraphReading(format="tf-savedmodel", gaps=(gap,), tensors_unlisted=message)


def _mark(source: Source, budget: Budget, name: str) -> Reading | None:
    """`fingerprint.pb` and `tfhub_module.pb`: a few numbers and a name; None for anything else under these names."""
    if source.size > 4096:
        return None
    try:
        for item in Wire(source, budget).fields(0, source.size):
            number = item.wire in (VARINT, FIXED64) and item.number in (1, 2, 3, 4, 5)
            raw = source.read(item.start, item.end - item.start) if item.wire == LENGTH else b""
            text = item.number in (6, 7) and item.wire == LENGTH and len(raw) <= 64
            if not number and not text:
                return None
    except InputError:
        return None
    return MarkReading(format="tf-mark")


def _is_text(source: Source) -> bool:
    from weighbridge.formats.tensorflow.text import looks_like_model

    return looks_like_model(source.read(0, 4096))


def _text(source: Source, budget: Budget) -> Reading:
    """The text form, turned into the bytes that it stands for."""
    from weighbridge.formats.tensorflow import text as tftext

    kind, data = tftext.encoded(source, budget)
    reading = _Model(GraphWalk(source=MemorySource(data), budget=budget)).reading(kind)
    if not isinstance(reading, GraphReading):
        return reading
    unlisted = "tensors in the text form are not listed"
    anomalies = tuple(replace(odd, offset=None) for odd in reading.anomalies)
    gaps = tuple(replace(gap, offset=None) for gap in reading.gaps)
    programs = tuple(
        program._replace(graphs=tuple(_without_offsets(graph) for graph in program.graphs))
        for program in reading.programs
    )
    reading = replace(reading, programs=programs)
    return replace(
        reading,
        anomalies=anomalies,
        gaps=gaps,
        tensors=None,
        tensors_unlisted=unlisted,
        tensors_found=(),
        tensors_left=(),
    )


def _without_offsets(graph: Graph) -> Graph:
    """Offsets in the bytes mean nothing to who reads the text."""
    return graph._replace(nodes=tuple(node._replace(offset=None) for node in graph.nodes))
