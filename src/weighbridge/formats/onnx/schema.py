"""The schema of ONNX models, as far as a walk over the wire format needs it: onnx.proto of onnx 1.23 (IR version 13)."""

from typing import NamedTuple

from weighbridge.formats.protobuf import FIXED32, FIXED64, LENGTH, VARINT

SCHEMA: dict[str, dict[int, str]] = {
    "Model": {
        1: "int", 2: "bytes", 3: "bytes", 4: "bytes", 5: "int", 6: "bytes", 7: "Graph", 8: "OperatorSet",
        14: "Entry", 20: "Training", 25: "Function", 26: "Device",
    },
    "Graph": {
        1: "Node", 2: "bytes", 5: "Tensor", 10: "bytes", 11: "ValueInfo", 12: "ValueInfo", 13: "ValueInfo",
        14: "Annotation", 15: "Sparse", 16: "Entry",
    },
    "Node": {
        1: "bytes", 2: "bytes", 3: "bytes", 4: "bytes", 5: "Attribute", 6: "bytes", 7: "bytes", 8: "bytes",
        9: "Entry", 10: "NodeDevice",
    },
    "Attribute": {
        1: "bytes", 2: "float", 3: "int", 4: "bytes", 5: "Tensor", 6: "Graph", 7: "floats", 8: "ints", 9: "bytes",
        10: "Tensor", 11: "Graph", 13: "bytes", 14: "Type", 15: "Type", 20: "int", 21: "bytes", 22: "Sparse",
        23: "Sparse",
    },
    "Tensor": {
        1: "ints", 2: "int", 3: "Segment", 4: "floats", 5: "ints", 6: "bytes", 7: "ints", 8: "bytes", 9: "bytes",
        10: "doubles", 11: "ints", 12: "bytes", 13: "Entry", 14: "int", 16: "Entry",
    },
    "Sparse": {1: "Tensor", 2: "Tensor", 3: "ints"},
    "Function": {
        1: "bytes", 4: "bytes", 5: "bytes", 6: "bytes", 7: "Node", 8: "bytes", 9: "OperatorSet", 10: "bytes",
        11: "Attribute", 12: "ValueInfo", 13: "bytes", 14: "Entry",
    },
    "Training": {1: "Graph", 2: "Graph", 3: "Entry", 4: "Entry"},
    "OperatorSet": {1: "bytes", 2: "int"},
    "Entry": {1: "bytes", 2: "bytes"},
    "Segment": {1: "int", 2: "int"},
    "Device": {1: "bytes", 2: "int", 3: "bytes"},
    "NodeDevice": {1: "bytes", 2: "Sharding", 3: "int"},
    "Sharding": {1: "bytes", 2: "ints", 3: "IntList", 4: "ShardedDim"},
    "IntList": {1: "int", 2: "ints"},
    "ShardedDim": {1: "int", 2: "SimpleSharded"},
    "SimpleSharded": {1: "int", 2: "bytes", 3: "int"},
    "Annotation": {1: "bytes", 2: "Entry"},
    "ValueInfo": {1: "bytes", 2: "Type", 3: "bytes", 4: "Entry"},
    "Type": {
        1: "TensorType", 4: "ElementType", 5: "MapType", 6: "bytes", 7: "Opaque", 8: "TensorType", 9: "ElementType",
    },
    "TensorType": {1: "int", 2: "Shape"},
    "ElementType": {1: "Type"},
    "MapType": {1: "int", 2: "Type"},
    "Opaque": {1: "bytes", 2: "bytes"},
    "Shape": {1: "Dimension"},
    "Dimension": {1: "int", 2: "bytes", 3: "bytes"},
}  # fmt: skip
"""Message → field number → number kind (`int`, `ints`, …), `bytes`, or the message inside."""

WIRES = {
    "int": (VARINT,),
    "ints": (VARINT, LENGTH),
    "float": (FIXED32,),
    "floats": (FIXED32, LENGTH),
    "doubles": (FIXED64, LENGTH),
}
"""Wire types of number kinds; everything else is length-delimited."""

SINGLE = {
    "Model": {1, 7},
    "Node": {4, 7, 8},
    "Attribute": {1, 4, 5, 6, 20, 22},
    "Tensor": {2, 8, 9, 14},
    "Sparse": {1, 2},
    "Function": {1, 10, 13},
    "Entry": {1, 2},
}
"""Fields that stand once: of two, one parser takes the last, another merges them."""


class DataType(NamedTuple):
    """One ONNX element type: its canonical name, bits of an item, and the field that holds items as numbers."""

    name: str
    bits: int
    field: int


FLOATS, INT32S, INT64S, DOUBLES, UINT64S = 4, 5, 7, 10, 11
STRINGS = 8
DATA_TYPES: dict[int, DataType] = {
    1: DataType("F32", 32, FLOATS),
    2: DataType("U8", 8, INT32S),
    3: DataType("I8", 8, INT32S),
    4: DataType("U16", 16, INT32S),
    5: DataType("I16", 16, INT32S),
    6: DataType("I32", 32, INT32S),
    7: DataType("I64", 64, INT64S),
    9: DataType("BOOL", 8, INT32S),
    10: DataType("F16", 16, INT32S),
    11: DataType("F64", 64, DOUBLES),
    12: DataType("U32", 32, UINT64S),
    13: DataType("U64", 64, UINT64S),
    14: DataType("C64", 64, FLOATS),
    15: DataType("C128", 128, DOUBLES),
    16: DataType("BF16", 16, INT32S),
    17: DataType("F8_E4M3", 8, INT32S),
    18: DataType("F8_E4M3FNUZ", 8, INT32S),
    19: DataType("F8_E5M2", 8, INT32S),
    20: DataType("F8_E5M2FNUZ", 8, INT32S),
    21: DataType("U4", 4, INT32S),
    22: DataType("I4", 4, INT32S),
    23: DataType("F4", 4, INT32S),
    24: DataType("F8_E8M0", 8, INT32S),
    25: DataType("U2", 2, INT32S),
    26: DataType("I2", 2, INT32S),
    27: DataType("F6_E2M3", 6, INT32S),
    28: DataType("F6_E3M2", 6, INT32S),
}
"""8 is STRING, which has no fixed width."""
