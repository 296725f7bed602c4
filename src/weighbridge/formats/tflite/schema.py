"""The tables of the TFLite schema (version 3c, as of TensorFlow 2.21) that the reader and the rules need.

Field numbers are slots of flatbuffer tables. Only what leads somewhere is named: tables, vectors, texts, and numbers that
must lie in a range.
"""

from collections.abc import Mapping

BUILTINS = (
    "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "DEQUANTIZE",
    "EMBEDDING_LOOKUP", "FLOOR", "FULLY_CONNECTED", "HASHTABLE_LOOKUP", "L2_NORMALIZATION", "L2_POOL_2D",
    "LOCAL_RESPONSE_NORMALIZATION", "LOGISTIC", "LSH_PROJECTION", "LSTM", "MAX_POOL_2D", "MUL", "RELU", "RELU_N1_TO_1",
    "RELU6", "RESHAPE", "RESIZE_BILINEAR", "RNN", "SOFTMAX", "SPACE_TO_DEPTH", "SVDF", "TANH", "CONCAT_EMBEDDINGS",
    "SKIP_GRAM", "CALL", "CUSTOM", "EMBEDDING_LOOKUP_SPARSE", "PAD", "UNIDIRECTIONAL_SEQUENCE_RNN", "GATHER",
    "BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND", "TRANSPOSE", "MEAN", "SUB", "DIV", "SQUEEZE",
    "UNIDIRECTIONAL_SEQUENCE_LSTM", "STRIDED_SLICE", "BIDIRECTIONAL_SEQUENCE_RNN", "EXP", "TOPK_V2", "SPLIT",
    "LOG_SOFTMAX", "DELEGATE", "BIDIRECTIONAL_SEQUENCE_LSTM", "CAST", "PRELU", "MAXIMUM", "ARG_MAX", "MINIMUM", "LESS",
    "NEG", "PADV2", "GREATER", "GREATER_EQUAL", "LESS_EQUAL", "SELECT", "SLICE", "SIN", "TRANSPOSE_CONV",
    "SPARSE_TO_DENSE", "TILE", "EXPAND_DIMS", "EQUAL", "NOT_EQUAL", "LOG", "SUM", "SQRT", "RSQRT", "SHAPE", "POW",
    "ARG_MIN", "FAKE_QUANT", "REDUCE_PROD", "REDUCE_MAX", "PACK", "LOGICAL_OR", "ONE_HOT", "LOGICAL_AND", "LOGICAL_NOT",
    "UNPACK", "REDUCE_MIN", "FLOOR_DIV", "REDUCE_ANY", "SQUARE", "ZEROS_LIKE", "FILL", "FLOOR_MOD", "RANGE",
    "RESIZE_NEAREST_NEIGHBOR", "LEAKY_RELU", "SQUARED_DIFFERENCE", "MIRROR_PAD", "ABS", "SPLIT_V", "UNIQUE", "CEIL",
    "REVERSE_V2", "ADD_N", "GATHER_ND", "COS", "WHERE", "RANK", "ELU", "REVERSE_SEQUENCE", "MATRIX_DIAG", "QUANTIZE",
    "MATRIX_SET_DIAG", "ROUND", "HARD_SWISH", "IF", "WHILE", "NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5",
    "SCATTER_ND", "SELECT_V2", "DENSIFY", "SEGMENT_SUM", "BATCH_MATMUL", "PLACEHOLDER_FOR_GREATER_OP_CODES", "CUMSUM",
    "CALL_ONCE", "BROADCAST_TO", "RFFT2D", "CONV_3D", "IMAG", "REAL", "COMPLEX_ABS", "HASHTABLE", "HASHTABLE_FIND",
    "HASHTABLE_IMPORT", "HASHTABLE_SIZE", "REDUCE_ALL", "CONV_3D_TRANSPOSE", "VAR_HANDLE", "READ_VARIABLE",
    "ASSIGN_VARIABLE", "BROADCAST_ARGS", "RANDOM_STANDARD_NORMAL", "BUCKETIZE", "RANDOM_UNIFORM", "MULTINOMIAL", "GELU",
    "DYNAMIC_UPDATE_SLICE", "RELU_0_TO_1", "UNSORTED_SEGMENT_PROD", "UNSORTED_SEGMENT_MAX", "UNSORTED_SEGMENT_SUM",
    "ATAN2", "UNSORTED_SEGMENT_MIN", "SIGN", "BITCAST", "BITWISE_XOR", "RIGHT_SHIFT", "STABLEHLO_LOGISTIC",
    "STABLEHLO_ADD", "STABLEHLO_DIVIDE", "STABLEHLO_MULTIPLY", "STABLEHLO_MAXIMUM", "STABLEHLO_RESHAPE",
    "STABLEHLO_CLAMP", "STABLEHLO_CONCATENATE", "STABLEHLO_BROADCAST_IN_DIM", "STABLEHLO_CONVOLUTION",
    "STABLEHLO_SLICE", "STABLEHLO_CUSTOM_CALL", "STABLEHLO_REDUCE", "STABLEHLO_ABS", "STABLEHLO_AND",
    "STABLEHLO_COSINE", "STABLEHLO_EXPONENTIAL", "STABLEHLO_FLOOR", "STABLEHLO_LOG", "STABLEHLO_MINIMUM",
    "STABLEHLO_NEGATE", "STABLEHLO_OR", "STABLEHLO_POWER", "STABLEHLO_REMAINDER", "STABLEHLO_RSQRT", "STABLEHLO_SELECT",
    "STABLEHLO_SUBTRACT", "STABLEHLO_TANH", "STABLEHLO_SCATTER", "STABLEHLO_COMPARE", "STABLEHLO_CONVERT",
    "STABLEHLO_DYNAMIC_SLICE", "STABLEHLO_DYNAMIC_UPDATE_SLICE", "STABLEHLO_PAD", "STABLEHLO_IOTA",
    "STABLEHLO_DOT_GENERAL", "STABLEHLO_REDUCE_WINDOW", "STABLEHLO_SORT", "STABLEHLO_WHILE", "STABLEHLO_GATHER",
    "STABLEHLO_TRANSPOSE", "DILATE", "STABLEHLO_RNG_BIT_GENERATOR", "REDUCE_WINDOW", "STABLEHLO_COMPOSITE",
    "STABLEHLO_SHIFT_LEFT", "STABLEHLO_CBRT", "STABLEHLO_CASE",
)  # fmt: skip
"""Built-in operators by their code."""
CUSTOM = 32
PLACEHOLDER = 127
"""The older field of the code holds at most this; the newer one then tells."""

TYPES: Mapping[int, tuple[str, int]] = {
    0: ("F32", 32), 1: ("F16", 16), 2: ("I32", 32), 3: ("U8", 8), 4: ("I64", 64), 6: ("BOOL", 8), 7: ("I16", 16), 8: ("C64", 64),
    9: ("I8", 8), 10: ("F64", 64), 11: ("C128", 128), 12: ("U64", 64), 15: ("U32", 32), 16: ("U16", 16), 17: ("I4", 4),
    18: ("BF16", 16), 19: ("I2", 2), 20: ("U4", 4),
}  # fmt: skip
"""Tensor type → (name, bits of one item)."""
STRING, RESOURCE, VARIANT = 5, 13, 14

OPTION_VECTORS: Mapping[int, Mapping[int, int]] = {3: {1: 4, 2: 4}, 17: {0: 4}, 30: {0: 4}, 115: {0: 4}}
"""Kind of options → slot of a vector → bytes of one item."""
OPTION_TEXTS: Mapping[int, tuple[int, ...]] = {111: (0, 1)}
OPTION_2_VECTORS: Mapping[int, Mapping[int, int]] = {
    2: {0: 8}, 3: {0: 8, 1: 8, 2: 8},
    4: {0: 8, 1: 8, 2: 8, 3: 8, 4: 1, 7: 8, 10: 8, 13: 8, 16: 4},
    5: {4: 4, 5: 1}, 6: {0: 8}, 7: {1: 8, 2: 8, 3: 8}, 9: {0: 8}, 10: {0: 8, 1: 8, 2: 8},
    12: {0: 8, 1: 8, 2: 8, 3: 8, 4: 4}, 13: {0: 8, 1: 8, 2: 8, 3: 8, 4: 8}, 16: {0: 8, 1: 8, 2: 8, 4: 8}, 17: {0: 8},
    21: {2: 1}, 23: {0: 4},
}  # fmt: skip
OPTION_2_TEXTS: Mapping[int, tuple[int, ...]] = {5: (0, 2), 21: (0,)}

SUBGRAPHS: Mapping[int, tuple[int, ...]] = {92: (0, 1), 93: (0, 1), 103: (0,)}
"""Kind of options → slots that hold the number of another subgraph (If, While, CallOnce)."""
SUBGRAPHS_2: Mapping[int, tuple[int, ...]] = {6: (1,), 7: (6,), 13: (5,), 14: (2,), 15: (0, 1), 21: (1,)}
SUBGRAPH_LISTS_2: Mapping[int, int] = {23: 0}
STRIDES: Mapping[int, tuple[int, ...]] = {1: (1, 2), 2: (1, 2), 5: (1, 2), 49: (1, 2), 106: (1, 2, 3)}
"""Kind of options → slots that a kernel divides by (convolutions and pools)."""
