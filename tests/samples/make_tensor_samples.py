"""Makes `tests/formats/tensors/`, files of the formats' own libraries, and the binary samples of the tensor rules.

Not a test; run it by hand from the repository's root, in an environment with `safetensors gguf onnx numpy ml_dtypes`:
`PYTHONPATH=. python tests/samples/make_tensor_samples.py`. `expected.json` in the first folder holds, for each file, every
tensor's name, shape and the SHA-256 of its bytes as the library gives them.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import gguf
import ml_dtypes
import numpy as np
import onnx
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save as save_safetensors
from tests.tensorfiles import Gguf, attribute, external, message, model, node, safetensors, tensor

OUT = Path(__file__).parents[1] / "formats" / "tensors"
SAMPLES = Path(__file__).parent
TEMPLATE = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] }}\n{% endfor %}"
Rows = dict[str, list[Any]]


def row(shape: tuple[int, ...], data: bytes) -> list[Any]:
    return [list(shape), hashlib.sha256(data).hexdigest()]


def safetensors_file() -> Rows:
    types = [
        "bool",
        "uint8",
        "int8",
        "int16",
        "uint16",
        "float16",
        "int32",
        "uint32",
        "float32",
        "complex64",
        "float64",
        "int64",
        "uint64",
    ]
    extra = ["bfloat16", "float8_e4m3fn", "float8_e5m2"]
    tensors = {name: np.arange(6, dtype=np.uint8).astype(np.dtype(name)).reshape(2, 3) for name in types}
    tensors |= {name: np.arange(4, dtype=np.float32).astype(getattr(ml_dtypes, name)) for name in extra}
    tensors |= {"scalar": np.array(7, dtype=np.int64), "empty": np.zeros((0, 4), dtype=np.float32)}
    metadata = {"format": "pt", "note": "made for tests"}
    (OUT / "dtypes.safetensors").write_bytes(save_safetensors(tensors, metadata))
    return {name: row(value.shape, value.tobytes()) for name, value in tensors.items()}


def gguf_file(name: str, order: gguf.GGUFEndian, alignment: int | None) -> Rows:
    writer = gguf.GGUFWriter(OUT / name, "llama", endianess=order)
    if alignment:
        writer.add_custom_alignment(alignment)
    writer.add_chat_template(TEMPLATE)
    writer.add_array("tokenizer.ggml.tokens", ["<s>", "</s>", "wörd"])
    writer.add_array("tokenizer.ggml.scores", [0.0, -1.0, -2.5])
    writer.add_bool("tokenizer.ggml.add_bos_token", True)
    writer.add_float64("test.float64", 0.5)
    writer.add_int64("test.int64", -7)
    writer.add_uint8("test.uint8", 255)
    rows: Rows = {}
    for kind in (np.float32, np.float16, np.int8, np.int16, np.int32, np.int64, np.float64):
        value = np.arange(6).astype(kind).reshape(2, 3)
        writer.add_tensor(np.dtype(kind).name, value.copy())
        rows[np.dtype(kind).name] = row(value.shape, value.tobytes())
    for kind in GGMLQuantizationType if order is gguf.GGUFEndian.LITTLE else ():
        block, size = GGML_QUANT_SIZES[kind]
        if block > 1 and kind.name != "Q8_1":
            data = np.frombuffer(bytes(i % 251 for i in range(2 * size)), dtype=np.uint8).reshape(2, size)
            writer.add_tensor(kind.name, data, raw_dtype=kind)
            rows[kind.name] = row((2, block), data.tobytes())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return rows


def initializers() -> list[TensorProto]:
    values = [1, 2, 3, 4, 5, 6]
    plain = [
        "FLOAT",
        "DOUBLE",
        "INT64",
        "INT32",
        "INT16",
        "INT8",
        "UINT8",
        "UINT16",
        "UINT32",
        "UINT64",
        "BOOL",
        "FLOAT16",
        "BFLOAT16",
    ]
    found = []
    for name in plain:
        kind = getattr(TensorProto, name)
        numbers = [1, 0, 1, 1, 0, 0] if name == "BOOL" else values
        found.append(helper.make_tensor(f"{name}_numbers", kind, [2, 3], numbers))
        array = numpy_helper.to_array(found[-1])
        found.append(helper.make_tensor(f"{name}_raw", kind, [2, 3], array.tobytes(), raw=True))
    found.append(helper.make_tensor("COMPLEX64_numbers", TensorProto.COMPLEX64, [2], [1 + 2j, 3 - 4j]))
    found.append(helper.make_tensor("INT64_negative", TensorProto.INT64, [2], [-1, -(2**63)]))
    found.append(helper.make_tensor("INT8_negative", TensorProto.INT8, [2], [-1, -128]))
    found.append(helper.make_tensor("scalar", TensorProto.FLOAT, [], [2.5]))
    found.append(helper.make_tensor("empty", TensorProto.FLOAT, [0, 3], []))
    return found


def graph(extra: list[onnx.NodeProto]) -> onnx.GraphProto:
    branch = helper.make_graph(
        [helper.make_node("Add", ["x", "inner"], ["then_out"])],
        "then",
        [],
        [helper.make_tensor_value_info("then_out", TensorProto.FLOAT, [1])],
        [helper.make_tensor("inner", TensorProto.FLOAT, [1], [1.0])],
    )
    nodes = [
        helper.make_node("Constant", [], ["k"], value=helper.make_tensor("", TensorProto.FLOAT, [1], [3.0])),
        helper.make_node("Greater", ["x", "k"], ["bigger"]),
        helper.make_node("If", ["bigger"], ["y"], name="choice", then_branch=branch, else_branch=branch),
        helper.make_node("Twice", ["y"], ["z"], domain="local.functions"),
        *extra,
    ]
    info = helper.make_tensor_value_info
    outputs = [info("z", TensorProto.FLOAT, [1])]
    return helper.make_graph(nodes, "main", [info("x", TensorProto.FLOAT, [1])], outputs, initializers())


def onnx_file() -> Rows:
    twice = helper.make_function(
        "local.functions", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 21)],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("local.functions", 1)]
    model = helper.make_model(graph([]), functions=[twice], opset_imports=opsets, ir_version=10)
    values = numpy_helper.from_array(np.array([5.0, 6.0], dtype=np.float32), "sparse")
    indices = numpy_helper.from_array(np.array([1, 3], dtype=np.int64), "")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4]))
    model.metadata_props.add(key="note", value="made for tests")
    onnx.checker.check_model(model)
    (OUT / "model.onnx").write_bytes(model.SerializeToString())
    return {t.name: row(tuple(t.dims), _bytes(t)) for t in model.graph.initializer}


def onnx_external() -> Rows:
    weights = np.arange(12, dtype=np.float32).reshape(3, 4)
    tensor = numpy_helper.from_array(weights, "weights")
    info = helper.make_tensor_value_info
    nodes = [helper.make_node("MatMul", ["x", "weights"], ["y"])]
    inputs, outputs = [info("x", TensorProto.FLOAT, [1, 3])], [info("y", TensorProto.FLOAT, [1, 4])]
    model = helper.make_model(helper.make_graph(nodes, "main", inputs, outputs, [tensor]), ir_version=10)
    path = OUT / "external.onnx"
    (OUT / "external.data").unlink(missing_ok=True)
    onnx.save_model(
        model,
        path,
        save_as_external_data=True,
        location="external.data",
        size_threshold=0,
        convert_attribute=False,
    )
    return {"weights": row((3, 4), weights.tobytes())}


def _bytes(tensor: TensorProto) -> bytes:
    data: bytes = numpy_helper.to_array(tensor).tobytes()
    return data


def samples() -> None:
    """Samples and their benign twins; see README.md beside this file for the names."""
    two = {"a": ("F32", [2], 0, 8), "b": ("F32", [2], 8, 16)}
    overlapping = {"a": ("F32", [2], 0, 8), "b": ("F32", [2], 4, 12)}
    write("safetensors-malformed/sample.safetensors", safetensors(overlapping, bytes(12)))
    write(
        "safetensors-malformed/benign.safetensors",
        safetensors(two, bytes(range(16)), metadata={"format": "pt"}),
    )
    write(
        "safetensors-malformed/sample-trailing.safetensors",
        safetensors(two, bytes(16) + b"weighbridge-sample"),
    )
    gguf_samples()
    onnx_samples()


def gguf_samples() -> None:
    def start() -> Gguf:
        return Gguf().text("general.architecture", "llama")

    write(
        "gguf-malformed/sample.gguf", start().info("token_embd.weight", [1 << 20], 0, 0).bytes() + bytes(32)
    )
    write("gguf-malformed/sample-overflow.gguf", start().info("w", [2**32, 2**32], 0, 0).bytes() + bytes(32))
    write(
        "gguf-malformed/sample-trailing.gguf",
        start().tensor("w", [8], 0, bytes(32)).bytes() + b"weighbridge-sample",
    )
    write("gguf-malformed/benign.gguf", start().tensor("token_embd.weight", [32, 2], 2, bytes(36)).bytes())


def onnx_samples() -> None:
    data = message(9, bytes(8))
    write("onnx-malformed/sample.onnx", model(node("Relu"), tensor(5, "w", [1024], 1, data)))
    write("onnx-malformed/benign.onnx", model(node("Relu"), tensor(5, "w", [2], 1, data)))
    calls = [message(7, message(4, "Inner"), message(7, "sample"))] * 2
    functions = message(25, message(1, "Outer"), message(10, "sample"), *calls)
    functions += message(
        25, message(1, "Inner"), message(10, "sample"), message(7, message(4, "Outer"), message(7, "sample"))
    )
    write("onnx-malformed/sample-functions.onnx", model(node("Relu"), extra=functions))
    for name, location in {"sample": "../../etc/hostname", "sample-missing": "weights.bin"}.items():
        weights = tensor(5, "w", [2], 1, external(location, length="8"))
        write(f"onnx-external-path/{name}.onnx", model(node("Relu"), weights))
    weights = tensor(5, "w", [2], 1, external("weights.bin", length="8"))
    write("onnx-external-path/benign/model.onnx", model(node("Relu"), weights))
    write("onnx-external-path/benign/weights.bin", b"\x01\x02\x03\x04\x05\x06\x07\x08")
    write("onnx-custom-op/sample.onnx", model(node("FastTokenizer", domain="com.example")))
    own = message(25, message(1, "FastTokenizer"), message(10, "com.example"), message(7, message(4, "Relu")))
    write("onnx-custom-op/benign.onnx", model(node("FastTokenizer", domain="com.example"), extra=own))
    module = attribute("module", message(4, "weighbridge_sample"))
    write("onnx-python-op/sample.onnx", model(node("PyOp", domain="ai.onnx.contrib", attributes=module)))
    write("onnx-python-op/benign.onnx", model(node("Attention", domain="com.microsoft")))


def write(name: str, data: bytes) -> None:
    """As hexadecimal text, 32 bytes a line."""
    path = SAMPLES / f"{name}.hex"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{data[at : at + 32].hex()}\n" for at in range(0, len(data), 32)))


def main() -> None:
    samples()
    OUT.mkdir(exist_ok=True)
    expected = {
        "dtypes.safetensors": safetensors_file(),
        "little.gguf": gguf_file("little.gguf", gguf.GGUFEndian.LITTLE, None),
        "big.gguf": gguf_file("big.gguf", gguf.GGUFEndian.BIG, 64),
        "model.onnx": onnx_file(),
        "external.onnx": onnx_external(),
    }
    (OUT / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")
    print(
        *(f"{path.name} {path.stat().st_size}" for path in sorted(OUT.iterdir())), sep="\n", file=sys.stderr
    )


if __name__ == "__main__":
    main()
