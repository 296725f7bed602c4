"""Writes model files of other frameworks byte by byte, right and wrong ones; shared by the tests of readers and rules.

Files that the frameworks themselves wrote lie in `tests/formats/frameworks/` (xgboost 3, lightgbm 4.7, catboost 1.2.10,
paddle 3.3.1, mxnet 1.9.1, R 4.2.2, scipy 1.17).
"""

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.tensorfiles import message, number

REAL = Path(__file__).parent / "formats" / "frameworks"
COMMAND = "os.system('echo weighbridge-sample')"


def real(name: str) -> bytes:
    return (REAL / name).read_bytes()


# -- UBJSON


def ubj(value: Any) -> bytes:
    match value:
        case None:
            return b"Z"
        case bool():
            return b"T" if value else b"F"
        case int():
            return b"L" + struct.pack(">q", value)
        case float():
            return b"D" + struct.pack(">d", value)
        case str():
            return b"S" + ubj(len(value.encode())) + value.encode()
        case list():
            return b"[" + b"".join(map(ubj, value)) + b"]"
    return b"{" + b"".join(ubj(k)[1:] + ubj(v) for k, v in value.items()) + b"}"


def booster(**changes: Any) -> dict[str, Any]:
    """A model of one tree with three nodes and two features."""
    tree = {
        "tree_param": {"num_nodes": "3", "num_feature": "2", "size_leaf_vector": "1"},
        "left_children": [1, -1, -1],
        "right_children": [2, -1, -1],
        "parents": [2147483647, 0, 0],
        "split_indices": [1, 0, 0],
        "split_conditions": [0.5, 1.0, 2.0],
        **changes,
    }
    model = {
        "gbtree_model_param": {"num_trees": "1"},
        "iteration_indptr": [0, 1],
        "tree_info": [0],
        "trees": [tree],
    }
    learner = {
        "learner_model_param": {"num_feature": "2"},
        "objective": {"name": "reg:squarederror"},
        "gradient_booster": {"name": "gbtree", "model": model},
    }
    return {"learner": learner, "version": [3, 0, 0]}


# -- Paddle


def paddle_op(name: str, **attributes: str) -> bytes:
    attrs = (message(4, message(1, key), number(2, 2), message(5, text)) for key, text in attributes.items())
    return message(4, message(3, name), *attrs)


def paddle_program(*ops: bytes) -> bytes:
    return message(1, number(1, 0), number(2, -1), *ops) + message(4, number(1, 0))


def paddle_tensor(dims: Iterable[int], data: bytes, kind: int = 5) -> bytes:
    desc = number(1, kind) + b"".join(number(2, dim) for dim in dims)
    return struct.pack("<IQIi", 0, 0, 0, len(desc)) + desc + data


# -- MXNet


def mxnet_params(arrays: Iterable[bytes], names: Iterable[str]) -> bytes:
    arrays, raw = list(arrays), [name.encode() for name in names]
    head = struct.pack("<QQQ", 0x112, 0, len(arrays)) + b"".join(arrays)
    return head + struct.pack("<Q", len(raw)) + b"".join(struct.pack("<Q", len(n)) + n for n in raw)


def mxnet_array(dims: Iterable[int], data: bytes, kind: int = 0) -> bytes:
    dims = list(dims)
    shape = struct.pack(f"<i{len(dims)}q", len(dims), *dims)
    return struct.pack("<Ii", 0xF993FAC9, 0) + shape + struct.pack("<iii", 1, 0, kind) + data


# -- CNTK


def cntk_value(value: Any) -> bytes:
    match value:
        case bool():
            return number(2, 1) + number(3, int(value))
        case int():
            return number(2, 3) + number(5, value)
        case str():
            return number(2, 6) + message(8, value)
        case list():
            return number(2, 9) + message(11, *(message(1, cntk_value(item)) for item in value))
        case bytes():
            return number(2, 11) + message(13, value)
    return number(2, 10) + message(12, cntk(value))


def cntk(entries: dict[str, Any]) -> bytes:
    """A Dictionary."""
    return number(1, 1) + b"".join(
        message(2, message(1, key), message(2, number(1, 1), cntk_value(value)))
        for key, value in entries.items()
    )


def cntk_array(dims: Iterable[int], values: Iterable[float]) -> bytes:
    shape = message(3, message(1, bytes(dims)))
    return number(1, 1) + shape + message(4, message(1, b"".join(struct.pack("<f", v) for v in values)))


def cntk_model(**function: Any) -> bytes:
    functions = [{"type": "PrimitiveFunction", "op": 30, "uid": "Times1", "inputs": ["Input0"]}]
    functions += [function] if function else []
    weights = {"uid": "W", "kind": 2, "value": cntk_array([2, 2], [1, 2, 3, 4])}
    return cntk(
        {
            "version": 1,
            "type": "CompositeFunction",
            "root": "Times1",
            "inputs": [weights],
            "primitive_functions": functions,
        }
    )


# -- Caffe


def caffe_layer(name: str, kind: str, *fields: bytes) -> bytes:
    return message(100, message(1, name), message(2, kind), *fields)


def caffe_blob(dims: Iterable[int], values: Iterable[float]) -> bytes:
    raw = b"".join(struct.pack("<f", v) for v in values)
    return message(7, message(5, raw), message(7, message(1, bytes(dims))))


def caffe_net(*layers: bytes) -> bytes:
    return message(1, "net") + b"".join(layers)


# -- fastText


def fasttext(
    words: Iterable[str] = ("ja", "nein"),
    labels: Iterable[str] = ("__label__x",),
    *,
    dim: int = 2,
    bucket: int = 3,
    rows: int | None = None,
    data: bytes | None = None,
    size: int | None = None,
) -> bytes:
    words, labels = list(words), list(labels)
    head = struct.pack("<2i", 793712314, 12)
    head += struct.pack("<12id", dim, 5, 5, 1, 5, 1, 3, 3, bucket, 0, 0, 100, 1e-4)
    total = len(words) + len(labels)
    head += struct.pack("<3i2q", total if size is None else size, len(words), len(labels), 100, -1)
    entries = [(word, 0) for word in words] + [(label, 1) for label in labels]
    head += b"".join(word.encode() + b"\0" + struct.pack("<qb", 5, kind) for word, kind in entries)
    count = len(words) + bucket if rows is None else rows
    head += struct.pack("<?2q", False, count, dim)
    head += bytes(4 * count * dim) if data is None else data
    return head + struct.pack("<?2q", False, len(labels), dim) + bytes(4 * len(labels) * dim)


# -- GGML


def ggml_tensor(name: str, dims: list[int], kind: int, data: bytes, *, at: int | None = None) -> bytes:
    head = struct.pack(f"<3I{len(dims)}I", len(dims), len(name), kind, *dims) + name.encode()
    pad = -(at + len(head)) % 32 if at is not None else 0
    return head + bytes(pad) + data


def ggjt(
    *tensors: tuple[str, list[int], int, bytes], words: Iterable[str] = ("a", "b"), n_vocab: int | None = None
) -> bytes:
    words = list(words)
    out = b"tjgg" + struct.pack("<I7i", 3, len(words) if n_vocab is None else n_vocab, 4, 256, 1, 1, 4, 0)
    out += b"".join(struct.pack("<I", len(w)) + w.encode() + struct.pack("<f", 0.5) for w in words)
    for name, dims, kind, data in tensors:
        out += ggml_tensor(name, dims, kind, data, at=len(out))
    return out


def whisper(*tensors: tuple[str, list[int], int, bytes]) -> bytes:
    out = (
        b"lmgg" + struct.pack("<11i", 2, 1, 1, 1, 1, 1, 1, 1, 1, 2, 0) + struct.pack("<2i2f", 2, 1, 0.0, 1.0)
    )
    out += struct.pack("<i", 2) + b"".join(struct.pack("<I", 1) + word for word in (b"a", b"b"))
    return out + b"".join(ggml_tensor(*tensor) for tensor in tensors)


# -- Torch7


def t7(value: Any, index: int = 1) -> bytes:
    """Numbers, strings, lists as tables, and `("class", name, inner)` or `("function", code)`."""
    match value:
        case None:
            return struct.pack("<i", 0)
        case bool():
            return struct.pack("<ii", 5, int(value))
        case int() | float():
            return struct.pack("<id", 1, float(value))
        case str():
            return struct.pack("<ii", 2, len(value)) + value.encode()
        case list():
            pairs = b"".join(t7(i + 1) + t7(item, index * 10 + i + 1) for i, item in enumerate(value))
            return struct.pack("<iii", 3, index, len(value)) + pairs
        case ("function", code):
            return struct.pack("<iii", 8, index, len(code)) + code + t7(None)
        case ("storage", numbers):
            raw = struct.pack(f"<q{len(numbers)}f", len(numbers), *numbers)
            return t7_class("torch.FloatStorage", index) + raw
        case ("tensor", dims, storage):
            strides = [1] * len(dims)
            raw = struct.pack(f"<i{2 * len(dims) + 1}q", len(dims), *dims, *strides, 1)
            return t7_class("torch.FloatTensor", index) + raw + t7(storage, index * 10 + 1)
    return t7_class(value[1], index) + t7(value[2], index * 10 + 1)


def t7_class(name: str, index: int) -> bytes:
    return struct.pack("<iii", 4, index, 3) + b"V 1" + struct.pack("<i", len(name)) + name.encode()


# -- R


def r_stream(*items: bytes) -> bytes:
    return b"X\n" + struct.pack(">3i", 2, 0x040202, 0x020300) + b"".join(items)


def r_chars(text: str) -> bytes:
    return struct.pack(">ii", 9 | 1 << 18, len(text)) + text.encode()


def r_symbol(name: str) -> bytes:
    return struct.pack(">i", 1) + r_chars(name)


def r_strings(*texts: str) -> bytes:
    return struct.pack(">ii", 16, len(texts)) + b"".join(map(r_chars, texts))


R_NIL = struct.pack(">i", 254)
R_GLOBAL = struct.pack(">i", 253)


def r_call(name: str, *arguments: bytes) -> bytes:
    rest = b"".join(struct.pack(">i", 2) + argument for argument in arguments)
    return struct.pack(">i", 6) + r_symbol(name) + rest + R_NIL


def r_promise(expression: bytes) -> bytes:
    unbound = struct.pack(">i", 252)
    return struct.pack(">i", 5 | 1 << 10) + R_GLOBAL + unbound + expression


def r_list(*items: bytes) -> bytes:
    return struct.pack(">ii", 19, len(items)) + b"".join(items)
