"""Core ML models (`.mlmodel`, the `Data/…/model.mlmodel` of a package): which kinds of model, layers and operations.

One walk over the protobuf of coremltools 9 (`Model.proto` and its parts), pipelines included: the model's type, the
layers of neural networks by field number, the operations of ML programs by name, the Swift or Objective-C classes
that custom parts name, files that linked models and blob values name. Weights are stepped over. The numbers of a
program's weights lie in a file beside (`@model_path/weights/weight.bin`), whose blobs start with a header each.
"""

import posixpath
from collections.abc import Iterator
from dataclasses import field

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.framework import Text
from weighbridge.formats.membernames import escapes
from weighbridge.formats.opaque import hidden_programs
from weighbridge.formats.protobuf import LENGTH, VARINT, Field, Wire
from weighbridge.formats.reading import Anomaly, Gap, Reading

MAX_DEPTH = 64
MAX_ANOMALIES = 100
MAX_TEXT = 4096
LATEST = 12
"""Specification version of coremltools 9 is 10; two more are allowed for, since versions only add types."""

PIPELINES = {200: 1, 201: 1, 202: 0}
"""Model type → field in which its `Pipeline` lies; 0 where it is one itself."""
NETWORKS = {303, 403, 500}
PROGRAM, CUSTOM, LINKED, SERIALIZED = 502, 555, 556, 3000
PLAIN = {
    300, 301, 302, 304, 400, 401, 402, 404, 501, 560, 600, 601, 602, 603, 604, 606, 607, 609, 610, 900,
    2000, 2001, 2002, 2003, 2004, 2005, 2006,
}  # fmt: skip
"""Types that are tables and numbers."""
LAYERS = frozenset(
    {
        100, 120, 130, 140, 150, 160, 165, 170, 175, 180, 190, 200, 210, 211, 212, 220, 230, 231, 240, 245, 250, 260, 261,
        270, 280, 290, 300, 301, 310, 320, 330, 340, 345, 350, 400, 410, 420, 430, 600, 605, 615, 620, 625, 635, 640, 660,
        665, 670, 680, 685, 700, 710, 715, 720, 730, 735, 740, 750, 755, 760, 770, 775, 780, 790, 795, 815, 820, 825, 827,
        830, 832, 840, 845, 850, 855, 865, 870, 875, 880, 885, 890, 895, 900, 905, 920, 925, 930, 935, 940, 945, 950, 952,
        954, 960, 965, 975, 980, 985, 995, 1000, 1005, 1015, 1020, 1025, 1040, 1045, 1065, 1070, 1080, 1085, 1090, 1100,
        1105, 1110, 1120, 1125, 1130, 1135, 1140, 1145, 1150, 1155, 1170, 1175, 1180, 1190, 1195, 1200, 1210, 1215, 1220,
        1230, 1250, 1255, 1260, 1265, 1270, 1275, 1280, 1285, 1290, 1295, 1313, 1315, 1320, 1325, 1330, 1350, 1400, 1450,
        1455, 1460, 1461, 1465, 1466, 1470, 1471,
    }
)  # fmt: skip
"""Layer kinds of NeuralNetwork.proto without `custom` (500)."""
CUSTOM_LAYER = 500
BRANCH, LOOP = 605, 615
NESTED_NETWORKS = {BRANCH: (1, 2), LOOP: (3, 4)}
"""Layers that hold networks, and in which fields."""
OPERATIONS = frozenset(
    {
        "abs", "acos", "add", "affine", "argsort", "asin", "atan", "atanh", "avg_pool", "band_part",
        "batch_norm", "batch_to_space", "cast", "ceil", "clamped_relu", "classify", "clip", "concat", "cond",
        "const", "constexpr_affine_dequantize", "constexpr_blockwise_shift_scale", "constexpr_cast",
        "constexpr_lut_to_dense", "constexpr_lut_to_sparse", "constexpr_sparse_blockwise_shift_scale",
        "constexpr_sparse_to_dense", "conv", "conv_quantized", "conv_transpose", "cos", "cosh",
        "coreml_update_state", "crop", "crop_resize", "cumsum", "depth_to_space", "dequantize", "einsum", "elu",
        "equal", "erf", "exp", "exp2", "expand_dims", "fill", "fill_like", "flatten2d", "floor", "floor_div",
        "gather", "gather_along_axis", "gather_nd", "gelu", "greater", "greater_equal", "gru", "identity",
        "instance_norm", "inverse", "l2_norm", "l2_pool", "layer_norm", "leaky_relu", "less", "less_equal",
        "linear", "linear_activation", "list_gather", "list_length", "list_read", "list_scatter", "list_write",
        "local_response_norm", "log", "logical_and", "logical_not", "logical_or", "logical_xor", "lstm",
        "make_list", "matmul", "max_pool", "maximum", "minimum", "mod", "mul", "non_maximum_suppression",
        "non_zero", "not_equal", "one_hot", "pad", "pixel_shuffle", "pixel_unshuffle", "pow", "prelu",
        "quantize", "random_bernoulli", "random_categorical", "random_normal", "random_uniform", "range_1d",
        "read_state", "real_div", "reduce_argmax", "reduce_argmin", "reduce_l1_norm", "reduce_l2_norm",
        "reduce_log_sum", "reduce_log_sum_exp", "reduce_max", "reduce_mean", "reduce_min", "reduce_prod",
        "reduce_sum", "reduce_sum_square", "relu", "relu6", "resample", "reshape", "reshape_like", "resize",
        "resize_bilinear", "resize_nearest_neighbor", "reverse", "reverse_sequence", "rnn", "round", "rsqrt",
        "scaled_dot_product_attention", "scaled_tanh", "scatter", "scatter_along_axis", "scatter_nd", "select",
        "shape", "sigmoid", "sigmoid_hard", "sign", "silu", "sin", "sinh", "slice_by_index", "slice_by_size",
        "slice_update", "sliding_windows", "softmax", "softplus", "softplus_parametric", "softsign",
        "space_to_batch", "space_to_depth", "split", "sqrt", "square", "squeeze", "stack", "sub", "tan", "tanh",
        "threshold", "thresholded_relu", "tile", "topk", "transpose", "upsample_bilinear",
        "upsample_nearest_neighbor", "while_loop", "write_state",
    }
)  # fmt: skip
"""Operations of ML programs up to iOS 18, as coremltools 9 registers them."""
MODEL_PATH = "@model_path/"
METADATA = 100
BLOB_HEADER = 64
BLOB_MARK = 0xDEADBEEF


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """Where a value of an ML program lies."""

    file: str
    """As written, usually `@model_path/weights/weight.bin`."""
    offset: int
    at: int
    """Byte of the model file where this stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoremlReading(Reading):
    """What a Core ML model is made of."""

    blobs: tuple[Blob, ...] = ()
    texts: tuple[Text, ...] = ()
    """What the model says of itself, and what its publisher adds to it by key."""


@dataclass(slots=True)
class _Work:
    wire: Wire
    budget: Budget
    anomalies: list[Anomaly] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    told: set[tuple[str, str]] = field(default_factory=set)
    blobs: dict[tuple[str, int], Blob] = field(default_factory=dict)
    models: int = 0
    texts: list[Text] = field(default_factory=list)

    def note(self, code: str, message: str, at: int) -> None:
        if (code, message) not in self.told and len(self.told) < MAX_ANOMALIES:
            self.told.add((code, message))
            self.anomalies.append(Anomaly(code=code, message=message, offset=at))

    def gap(self, message: str, at: int) -> None:
        if ("", message) not in self.told and len(self.told) < MAX_ANOMALIES:
            self.told.add(("", message))
            self.gaps.append(Gap(code="codec-unknown", message=message, offset=at))

    def text(self, item: Field) -> str:
        return self.wire.bytes(item.start, min(item.end, item.start + MAX_TEXT)).decode("utf-8", "replace")

    def inside(self, item: Field) -> Iterator[Field]:
        if item.wire != LENGTH:
            raise InputError("bad-protobuf", f"field {item.number} at byte {item.start} holds no message")
        return self.wire.fields(item.start, item.end)


def read(source: Source, budget: Budget, name: str) -> CoremlReading:
    """Walk the model. Raises `InputError` (`not-this-format`, `bad-protobuf`)."""
    work = _Work(Wire(source, budget), budget)
    promised = name.lower().endswith(".mlmodel")
    try:
        top = _top(work, source.size)
    except InputError as error:
        raise error if promised else InputError("not-this-format", "no Core ML model") from None
    kinds = [item for item in top if _is_kind(item.number)]
    if not promised and not (kinds and any(item.number == 2 for item in top)):
        raise InputError("not-this-format", "no Core ML model")
    _model(work, top, 0)
    files = {_beside(blob.file) for blob in work.blobs.values()}
    return CoremlReading(
        format="coreml",
        anomalies=tuple(work.anomalies),
        gaps=tuple(work.gaps),
        tensors_unlisted="weights of Core ML models are not listed",
        parts=hidden_programs(source, budget),
        externals=tuple(sorted(file for file in files if file)),
        texts=tuple(work.texts),
        blobs=tuple(work.blobs.values()),
        keep=bool(work.blobs),
    )


def _top(work: _Work, size: int) -> list[Field]:
    """The fields of the outermost message; there are few, since the model itself is one of them."""
    found: list[Field] = []
    for item in work.wire.fields(0, size):
        found.append(item)
        if len(found) > 1000:
            raise InputError("bad-protobuf", "a Core ML model has at most three fields")
    if not found or found[0].number != 1 or found[0].wire != VARINT:
        raise InputError("bad-protobuf", "a Core ML model begins with its specification's version")
    return found


def _description(work: _Work, item: Field) -> None:
    """The metadata in a model's description: texts, and a map of the publisher's own."""
    for metadata in work.inside(item):
        if metadata.number != METADATA or metadata.wire != LENGTH:
            continue
        for one in work.inside(metadata):
            if one.wire != LENGTH or len(work.texts) >= MAX_ANOMALIES:
                continue
            values = work.inside(one) if one.number == METADATA else (one,)
            work.texts += (
                Text(work.text(value), "metadata", value.start) for value in values if value.wire == LENGTH
            )


def _is_kind(number: int) -> bool:
    special = {PROGRAM, CUSTOM, LINKED, SERIALIZED}
    return number in PIPELINES or number in NETWORKS or number in PLAIN or number in special


def _model(work: _Work, items: list[Field], depth: int) -> None:
    """One `Model` message: its version and its one type."""
    if depth > MAX_DEPTH:
        raise InputError("bad-protobuf", f"models are nested more than {MAX_DEPTH} deep")
    kinds = [item for item in items if _is_kind(item.number)]
    for item in items:
        if item.number == 1 and item.wire == VARINT and not 1 <= item.value <= LATEST:
            work.gap(f"specification version {item.value} is not known", item.start)
        elif not _is_kind(item.number) and item.number not in (1, 2, 10):
            work.gap(f"field {item.number} of a model is not known", item.start)
    if len({item.number for item in kinds}) > 1:
        work.note(
            "coreml-ambiguous",
            "the model is of two types, and readers differ in which counts",
            kinds[0].start,
        )
    for item in items:
        if item.number == 2 and item.wire == LENGTH:
            _description(work, item)
    if not kinds:
        work.gap("the model has no type", items[0].start if items else 0)
    for item in kinds:
        _typed(work, item, depth)


def _typed(work: _Work, item: Field, depth: int) -> None:
    """What stands in the field that tells the model's type."""
    number = item.number
    if number in PIPELINES:
        inner = PIPELINES[number]
        for pipeline in [one for one in work.inside(item) if one.number == inner] if inner else [item]:
            for one in work.inside(pipeline):
                if one.number == 1:
                    work.budget.spend_members()
                    _model(work, list(work.inside(one)), depth + 1)
    elif number in NETWORKS:
        _network(work, item, depth)
    elif number == PROGRAM:
        _program(work, item)
    elif number == CUSTOM:
        work.note(
            "coreml-custom",
            f'the model is the class "{_class_name(work, item)}" of the program around it',
            item.start,
        )
    elif number == LINKED:
        _linked(work, item)
    elif number == SERIALIZED:
        work.gap("a model in a serialization of its own", item.start)


def _class_name(work: _Work, item: Field) -> str:
    names = [work.text(one) for one in work.inside(item) if one.number == 10 and one.wire == LENGTH]
    return visible(names[-1] if names else "", 120)


def _linked(work: _Work, item: Field) -> None:
    """A model that is another file's: LinkedModelFile, whose name and search path are StringParameters."""
    for file in work.inside(item):
        for parameter in work.inside(file) if file.number == 1 else ():
            for value in work.inside(parameter) if parameter.number in (1, 2) else ():
                text = work.text(value) if value.number == 1 and value.wire == LENGTH else ""
                if text and any(escapes(step) for step in text.split(":")):
                    work.note("coreml-path", f'the model is loaded from "{visible(text, 200)}"', value.start)
    work.gap("the model is linked to another file", item.start)


def _network(work: _Work, network: Field, depth: int) -> None:
    """The layers of a NeuralNetwork, NeuralNetworkClassifier or NeuralNetworkRegressor."""
    if depth > MAX_DEPTH:
        raise InputError("bad-protobuf", f"networks are nested more than {MAX_DEPTH} deep")
    for item in work.inside(network):
        if item.number != 1:
            continue
        work.budget.spend_members()
        for layer in work.inside(item):
            if layer.number == CUSTOM_LAYER:
                name = _class_name(work, layer)
                work.note(
                    "coreml-custom", f'a layer is the class "{name}" of the program around it', layer.start
                )
            elif layer.number in NESTED_NETWORKS:
                for inner in work.inside(layer):
                    if inner.number in NESTED_NETWORKS[layer.number] and inner.wire == LENGTH:
                        _network(work, inner, depth + 1)
            elif layer.number > 10 and layer.number not in LAYERS:
                work.gap(f"a layer of the unknown kind {layer.number}", layer.start)


def _program(work: _Work, program: Field) -> None:
    """All operations of an ML program, blocks in blocks included."""
    todo: list[tuple[str, Field, int]] = [("program", program, 0)]
    while todo:
        kind, message, depth = todo.pop()
        if depth > 4 * MAX_DEPTH:
            raise InputError("bad-protobuf", "blocks of operations are nested too deep")
        for item in work.inside(message):
            below = _PROGRAM.get(kind, {}).get(item.number)
            if below is None or item.wire != LENGTH:
                continue
            work.budget.spend_members()
            if below == "type":
                _operation(work, item)
            elif below == "blob":
                _blob(work, item)
            else:
                todo.append((below, item, depth + 1))


_PROGRAM: dict[str, dict[int, str]] = {
    "program": {2: "function-entry", 4: "value-entry"},
    "function-entry": {2: "function"},
    "function": {3: "block-entry", 4: "value-entry"},
    "block-entry": {2: "block"},
    "block": {3: "operation", 4: "value-entry"},
    "operation": {1: "type", 2: "argument-entry", 4: "block", 5: "value-entry"},
    "argument-entry": {2: "argument"},
    "argument": {1: "binding"},
    "binding": {2: "value"},
    "value-entry": {2: "value"},
    "value": {3: "immediate", 5: "blob"},
    "immediate": {2: "values", 3: "values", 4: "pairs"},
    "values": {1: "value"},
    "pairs": {1: "pair"},
    "pair": {1: "value", 2: "value"},
}
"""MIL.proto, as far as operations and blob values are concerned: message → field → message."""


def _operation(work: _Work, item: Field) -> None:
    name = work.text(item)
    base = name.rpartition(".")[2] if name.startswith(("ios", "tensor_buffer_")) else name
    if base not in OPERATIONS:
        shown = visible(name, 120)
        if "custom" in name.lower():
            work.note(
                "coreml-custom", f'the operation "{shown}" is a class of the program around it', item.start
            )
        else:
            work.gap(f'the operation "{shown}" is not known', item.start)


def _blob(work: _Work, item: Field) -> None:
    file, offset = "", 0
    for one in work.inside(item):
        if one.number == 1 and one.wire == LENGTH:
            file = work.text(one)
        elif one.number == 2 and one.wire == VARINT:
            offset = one.value
    if not _beside(file):
        work.note("coreml-path", f'a weight is read from "{visible(file, 200)}"', item.start)
    elif offset % BLOB_HEADER:
        work.note(
            "coreml-blob", f"a weight begins at byte {offset}, which is no blob's beginning", item.start
        )
    if len(work.blobs) < 1_000_000:
        work.blobs.setdefault((file, offset), Blob(file=file, offset=offset, at=item.start))


def _beside(file: str) -> str:
    """The file relative to the model's folder; "" where it leads elsewhere."""
    path = file.removeprefix(MODEL_PATH)
    if (
        not file.startswith(MODEL_PATH)
        or escapes(path)
        or "\\" in path
        or ".." in path.split("/")
        or "\0" in path
    ):
        return ""
    return posixpath.normpath(path) if path else ""
