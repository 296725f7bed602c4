"""OpenVINO's IR (versions 6 to 11): layers, the operators that they are, and where constants lie in the `.bin` beside.

The document names no file: the loader takes the `.bin` of the same name. A layer that is no operator of a published set
needs an extension, a native library that the program around must load. The IR's text:
https://docs.openvino.ai/2026/documentation/openvino-ir-format.html. The numbers are not read here.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from math import prod

from weighbridge.core.pattern import late
from weighbridge.core.text import visible
from weighbridge.formats.reading import TensorRef
from weighbridge.formats.xml.meaning import Fact

TYPES: dict[str, tuple[str, int]] = {
    "f64": ("F64", 8), "f32": ("F32", 4), "f16": ("F16", 2), "bf16": ("BF16", 2), "i64": ("I64", 8), "i32": ("I32", 4),
    "i16": ("I16", 2), "i8": ("I8", 1), "u64": ("U64", 8), "u32": ("U32", 4), "u16": ("U16", 2), "u8": ("U8", 1),
    "boolean": ("BOOL", 1), "f8e4m3": ("F8_E4M3", 1), "f8e5m2": ("F8_E5M2", 1), "f8e8m0": ("F8_E8M0", 1),
}  # fmt: skip
"""Element type → canonical name, bytes of an item."""
BITS = {"u1": 1, "u2": 2, "u3": 3, "u4": 4, "u6": 6, "i4": 4, "nf4": 4, "f4e2m1": 4}
OTHER = frozenset({"string", "undefined", "dynamic", "bin"})

OPERATORS = frozenset(
    {
        "Abs", "Acos", "Acosh", "AdaptiveAvgPool", "AdaptiveMaxPool", "Add", "Asin", "Asinh", "Assign", "Atan",
        "Atanh", "Attention", "AUGRUCell", "AUGRUSequence", "AvgPool", "BatchNormInference", "BatchToSpace",
        "BinaryConvolution", "BitwiseAnd", "BitwiseLeftShift", "BitwiseNot", "BitwiseOr", "BitwiseRightShift",
        "BitwiseXor", "Broadcast", "Bucketize", "Ceiling", "Clamp", "Col2Im", "Concat", "Const", "Constant",
        "Convert", "ConvertLike", "ConvertPromoteTypes", "Convolution", "ConvolutionBackpropData", "Cos",
        "Cosh", "CTCGreedyDecoder", "CTCGreedyDecoderSeqLen", "CTCLoss", "CumSum", "DeformableConvolution",
        "DeformablePSROIPooling", "DepthToSpace", "DetectionOutput", "DFT", "Divide", "Einsum", "Elu", "ELU",
        "EmbeddingBagOffsets", "EmbeddingBagOffsetsSum", "EmbeddingBagPacked", "EmbeddingBagPackedSum",
        "EmbeddingSegmentsSum", "Equal", "Erf", "Exp", "ExperimentalDetectronDetectionOutput",
        "ExperimentalDetectronGenerateProposalsSingleImage", "ExperimentalDetectronPriorGridGenerator",
        "ErfInv", "ExperimentalDetectronROIFeatureExtractor", "ExperimentalDetectronTopKROIs",
        "ExtractImagePatches", "Eye", "FakeConvert", "FakeQuantize", "Floor", "FloorMod", "Gather",
        "GatherElements", "GatherND", "GatherTree", "Gelu", "GELU", "GenerateProposals", "Greater",
        "GreaterEqual", "GridSample", "GRN", "GroupConvolution", "GroupConvolutionBackpropData",
        "GroupNormalization", "GRUCell", "GRUSequence", "HardSigmoid", "HSigmoid", "HSwish", "I420toBGR",
        "I420toRGB", "Identity", "IDFT", "If", "Interpolate", "Inverse", "IRDFT", "IsFinite", "IsInf", "IsNaN",
        "ISTFT", "Less", "LessEqual", "Log", "LogicalAnd", "LogicalNot", "LogicalOr", "LogicalXor",
        "LogSoftmax", "Loop", "LRN", "LSTMCell", "LSTMSequence", "MatMul", "MatrixNms", "MaxPool", "Maximum",
        "Minimum", "Mish", "Mod", "MulticlassNms", "Multinomial", "Multiply", "MVN", "Negative", "NMSRotated",
        "NonMaxSuppression", "NonZero", "NormalizeL2", "NotEqual", "NV12toBGR", "NV12toRGB", "OneHot", "Pad",
        "Parameter", "Power", "PReLU", "PriorBox", "PriorBoxClustered", "Proposal", "PSROIPooling",
        "RandomUniform", "Range", "RDFT", "ReadValue", "ReduceL1", "ReduceL2", "ReduceLogicalAnd",
        "ReduceLogicalOr", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "RegionYolo",
        "Relu", "ReLU", "ReorgYolo", "Reshape", "Result", "Reverse", "ReverseSequence", "RMS", "RNNCell",
        "RNNSequence", "ROIAlign", "ROIAlignRotated", "ROIPooling", "Roll", "Round",
        "ScaledDotProductAttention", "ScatterElementsUpdate", "ScatterNDUpdate", "ScatterUpdate",
        "SearchSorted", "SegmentMax", "Select", "Selu", "SELU", "ShapeOf", "ShuffleChannels", "Sigmoid", "Sign",
        "Sin", "Sinh", "Slice", "SliceScatter", "SoftMax", "Softmax", "SoftPlus", "SoftSign", "SpaceToBatch",
        "SpaceToDepth", "SparseFillEmptyRows", "Split", "Sqrt", "SquaredDifference", "Squeeze", "STFT",
        "StridedSlice", "StringTensorPack", "StringTensorUnpack", "Subtract", "Swish", "Tan", "Tanh",
        "TensorIterator", "Tile", "TopK", "Transpose", "Unique", "Unsqueeze", "VariadicSplit",
    }
)  # fmt: skip
"""Operators of opset 1 to 16, as an IR spells them."""
OLD = frozenset(
    {
        "Activation", "ArgMax", "BatchNormalization", "BinaryFakeQuantize", "Copy", "Crop", "CTCGreedyDecoder",
        "Deconvolution", "Eltwise", "Flatten", "FullyConnected", "Gemm", "Input", "Memory", "Norm", "Normalize",
        "Permute", "Pooling", "QuantizeNode", "Quantize", "RNN", "Resample", "ReduceAnd", "ReduceOr",
        "ScaleShift", "SimplerNMS", "Upsampling",
    }
)  # fmt: skip
"""Layers of IR versions before 10, which had no operator sets."""
TOKENIZERS = frozenset(
    {
        "BPETokenizer", "BytesToChars", "CaseFold", "CharsMapNormalization", "ChatTemplate", "CharsToBytes",
        "CombineSegments", "EqualStr", "FuzeRagged", "NormalizeUnicode", "RaggedTensorPack", "RaggedToDense",
        "RaggedToRagged", "RaggedToSparse", "RegexNormalization", "RegexSplit", "SentencepieceDetokenizer",
        "SentencepieceStreamDetokenizer", "SentencepieceTokenizer", "SpecialTokensSplit", "StringTensorPack",
        "StringTensorUnpack", "StringToHashBucket", "Truncate", "TrieTokenizer", "UTF8Validate",
        "UnigramTokenizer", "VocabDecoder", "VocabEncoder", "WordpieceTokenizer",
    }
)  # fmt: skip
"""Operators of openvino-tokenizers, a library that its own program must load."""
_OPSET = late(r"opset([1-9]\d?)\Z")
LAST_OPSET = 16
_LIBRARY = late(r"(?i)\.(so(\.\d+)*|dll|dylib|cl|pyd)\Z")
_PATH_KEYS = late(r"(?i)(path|file|filename|location|library|lib|source|weights|uri|url|extension)s?\Z")
_FAR = 2**63
MAX_TENSORS = 1_000_000


class Openvino:
    """Collects the layers of one IR; see `formats.xml.Dialect`."""

    format = "openvino"

    def __init__(self, path: str) -> None:
        stem, _ = posixpath.splitext(posixpath.basename(path))
        self._bin = f"{stem}.bin"
        self._layer = self._kind = ""
        self._version = 0
        self._told: set[str] = set()
        self._tensors: list[TensorRef] = []
        self._unlisted = False
        self._noted = False
        self.reach = 0

    def start(self, name: str, attributes: Mapping[str, str], line: int) -> Iterator[Fact]:
        """See `Dialect.start`."""
        if name == "net":
            version = attributes.get("version", "")
            self._noted = False
            self._version = int(version) if version.isdecimal() and len(version) < 4 else 0
        elif name in ("rt_info", "meta_data", "cli_parameters"):
            self._noted = True
        elif name == "layer":
            self._noted = False
            self._layer, self._kind = attributes.get("name", ""), attributes.get("type", "")
            yield from self._operator(attributes, line)
        elif name in ("CustomLayer", "Kernel", "Source"):
            yield Fact("openvino-library", "names a kernel that the plug-in compiles and runs", line)
        elif "offset" in attributes and "size" in attributes:
            yield from self._constant(name, attributes, line)
        if name in ("layer", "data", "net", "weights", "biases", "blobs") or self._noted:
            yield from self._paths(attributes, line)

    def text(self, data: str, line: int) -> Iterator[Fact]:
        """See `Dialect.text`."""
        return iter(())

    def end(self, name: str) -> None:
        """See `Dialect.end`."""

    def close(self) -> Iterator[Fact]:
        """See `Dialect.close`."""
        return iter(())

    @property
    def tensors(self) -> tuple[TensorRef, ...] | None:
        """The constants; None where one is of a type that is not listed."""
        return None if self._unlisted else tuple(self._tensors)

    @property
    def externals(self) -> tuple[str, ...]:
        """The `.bin` beside, where a constant lies in it."""
        return (self._bin,) if self.reach else ()

    def _operator(self, attributes: Mapping[str, str], line: int) -> Iterator[Fact]:
        version = attributes.get("version", "")
        key = f"{version}:{self._kind}"
        if key in self._told:
            return
        self._told.add(key)
        found = _OPSET.match(version)
        shown = visible(self._kind, 80)
        if self._kind in OPERATORS and (found or version in ("", "experimental", "extension")):
            if found and int(found[1]) > LAST_OPSET:
                yield Fact("openvino-unknown", f'"{shown}" is of the unknown operator set {version}', line)
        elif not version and 0 < self._version < 10 and self._kind in OLD:
            return
        elif found or self._kind in TOKENIZERS:
            yield Fact(
                "openvino-unknown", f'the operator "{shown}" of "{visible(version, 40)}" is not known', line
            )
        else:
            message = (
                f'the layer "{shown}" of "{visible(version, 40)}" runs code of a native extension library'
            )
            yield Fact("openvino-custom", message, line)

    def _constant(self, element: str, attributes: Mapping[str, str], line: int) -> Iterator[Fact]:
        where = f'"{visible(self._layer, 80)}"'
        offset, size = _number(attributes["offset"]), _number(attributes["size"])
        if offset is None or size is None or offset + size >= _FAR:
            yield Fact("openvino-bounds", f"the constant {where} has no possible place in the .bin", line)
            return
        self.reach = max(self.reach, offset + size)
        kind, shape = attributes.get("element_type", ""), _shape(attributes.get("shape", ""))
        if element != "data" or self._kind not in ("Const", "Constant") or kind in OTHER or shape is None:
            self._unlisted = True
            return
        dtype, item = TYPES.get(kind, ("", 0))
        bits = item * 8 or BITS.get(kind, 0)
        if not bits:
            self._unlisted = True
            yield Fact(
                "openvino-unknown", f'the element type "{visible(kind, 40)}" of {where} is not known', line
            )
        elif size != -(-prod(shape) * bits // 8):
            yield Fact(
                "openvino-bounds", f"the constant {where} has {size} bytes, and its shape needs others", line
            )
            self._unlisted = True
        elif not dtype or len(self._tensors) >= MAX_TENSORS:
            self._unlisted = True
        else:
            spans = ((offset, size),) if size else ()
            self._tensors.append(
                TensorRef(
                    name=self._layer, dtype=dtype, shape=shape, spans=spans, itemsize=item, external=self._bin
                )
            )

    def _paths(self, attributes: Mapping[str, str], line: int) -> Iterator[Fact]:
        for key, value in attributes.items():
            if _LIBRARY.search(value) and ("/" in value or "\\" in value or _PATH_KEYS.search(key)):
                yield Fact(
                    "openvino-library", f'names the native library or kernel "{visible(value, 200)}"', line
                )
            elif _PATH_KEYS.search(key) and _outside(value):
                yield Fact("openvino-library", f'takes data from "{visible(value, 200)}"', line)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 20 else None


def _shape(text: str) -> tuple[int, ...] | None:
    """`1, 3` → (1, 3); the empty text is a scalar; None for what is no shape."""
    sizes = [_number(size.strip()) for size in text.split(",")] if text.strip() else []
    return None if None in sizes or len(sizes) > 64 else tuple(size for size in sizes if size is not None)


def _outside(value: str) -> bool:
    steps = value.replace("\\", "/").split("/")
    return (
        value.startswith(("/", "\\"))
        or ".." in steps
        or bool(re.match(r"[A-Za-z][A-Za-z0-9+.-]*:[/\\]", value))
    )
