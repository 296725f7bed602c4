"""ONNX data out of the graph's file and back, and GGUF byte by byte."""

import struct
from pathlib import Path

import pytest

from tests.convert.makers import checkpoint, tensor
from tests.convert.test_convert import converted, floats, listed, refusal
from weighbridge.convert import Recipe, Target, compare_again
from weighbridge.core.budget import Budget
from weighbridge.core.source import MemorySource
from weighbridge.formats import read

BIG = bytes(range(256)) * 16
SMALL = floats(1, 2)


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def part(number: int, data: bytes | int) -> bytes:
    if isinstance(data, int):
        return varint(number << 3) + varint(data)
    return varint(number << 3 | 2) + varint(len(data)) + data


def initial(name: str, shape: tuple[int, ...], data: bytes, *, external: str = "", offset: int = 0) -> bytes:
    """A TensorProto of FLOAT, with a documentation string that must survive."""
    head = (
        b"".join(part(1, n) for n in shape)
        + part(2, 1)
        + part(8, name.encode())
        + part(12, b"about " + name.encode())
    )
    if not external:
        return head + part(9, data)
    entries = {"location": external, "offset": str(offset), "length": str(len(data))}
    pairs = (part(13, part(1, key.encode()) + part(2, value.encode())) for key, value in entries.items())
    return head + b"".join(pairs) + part(14, 1)


def model(*tensors: bytes, nodes: tuple[bytes, ...] = ()) -> bytes:
    add = part(1, b"big") + part(1, b"small") + part(2, b"y") + part(4, b"Add")
    graph = (
        b"".join(part(1, node) for node in (add, *nodes))
        + part(2, b"g")
        + b"".join(part(5, one) for one in tensors)
    )
    return part(1, 8) + part(2, b"tests") + part(7, graph) + part(8, part(2, 17))


INLINE = model(initial("big", (32, 32), BIG), initial("small", (2,), SMALL))


def test_large_tensors_go_beside_the_graph_and_back(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    out = tmp_path / "net-onnx"
    receipt = converted(path, INLINE, target=Target.ONNX, external=True)
    assert listed(out) == ["net.onnx", "net.onnx.data"]
    assert (out / "net.onnx.data").read_bytes() == BIG
    graph = (out / "net.onnx").read_bytes()
    assert BIG not in graph
    assert SMALL in graph
    assert b"about big" in graph
    assert receipt.source.tensors_digest == receipt.output.tensors_digest
    back = converted(out, target=Target.ONNX, external=False, out=str(tmp_path / "back.onnx"))
    whole = (tmp_path / "back.onnx").read_bytes()
    assert sorted(whole) == sorted(INLINE)
    assert back.equality.equal == 2
    assert {gone.path: gone.why for gone in back.dropped} == {
        "net.onnx.data": "its tensors were converted with net.onnx"
    }
    assert compare_again(Recipe(path=str(out)), str(tmp_path / "back.onnx"), back).holds


def test_nothing_but_the_tensors_changes(tmp_path: Path) -> None:
    converted(tmp_path / "net.onnx", INLINE, target=Target.ONNX, out=str(tmp_path / "same.onnx"))
    assert (tmp_path / "same.onnx").read_bytes() == INLINE


def test_external_tensors_elsewhere_in_the_graph_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "w.data").write_bytes(BIG)
    attribute = part(1, b"value") + part(5, initial("inner", (32, 32), BIG, external="w.data")) + part(20, 4)
    constant = part(2, b"c") + part(4, b"Constant") + part(5, attribute)
    (folder / "net.onnx").write_bytes(model(initial("small", (2,), SMALL), nodes=(constant,)))
    error = refusal(folder, target=Target.ONNX)
    assert error.code == "not-lossless"
    assert "not as an initial value of the graph" in error.message


def test_external_tensors_become_safetensors(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "w.data").write_bytes(b"????" + BIG)
    (folder / "net.onnx").write_bytes(model(initial("big", (32, 32), BIG, external="w.data", offset=4)))
    receipt = converted(folder)
    assert listed(tmp_path / "m-safetensors") == ["net.safetensors"]
    assert receipt.source.tensors_digest == receipt.output.tensors_digest
    (folder / "w.data").unlink()
    assert refusal(folder, out=str(tmp_path / "other")).code == "not-convertible"


def test_a_graph_is_never_made_from_weights(tmp_path: Path) -> None:
    error = refusal(tmp_path / "a.pt", checkpoint({"w": tensor("F32", (2,), SMALL)}), target=Target.ONNX)
    assert (error.code, error.exit_code) == ("not-lossless", 2)
    assert "only made from one" in error.message


def test_gguf_byte_by_byte(tmp_path: Path) -> None:
    data = checkpoint({"a": tensor("F32", (1, 2), SMALL), "b": tensor("I64", (1,), bytes(range(8)))})
    converted(tmp_path / "m.pt", data, target=Target.GGUF, architecture="tiny")
    raw = (tmp_path / "m.gguf").read_bytes()

    def text(value: bytes) -> bytes:
        return struct.pack("<Q", len(value)) + value

    head = (
        b"GGUF"
        + struct.pack("<IQQ", 3, 2, 1)
        + text(b"general.architecture")
        + struct.pack("<I", 8)
        + text(b"tiny")
    )
    head += text(b"a") + struct.pack("<IQQIQ", 2, 2, 1, 0, 0)
    head += text(b"b") + struct.pack("<IQIQ", 1, 1, 27, 32)
    head += bytes(-len(head) % 32)
    assert raw == head + SMALL + bytes(24) + bytes(range(8)) + bytes(24)
    found = read("gguf", MemorySource(raw), Budget(), "m.gguf")
    assert (found.anomalies, found.gaps) == ((), ())


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ({"w": tensor("F32", (1, 1, 1, 1, 1), floats(1))}, "GGUF has no tensors of 5 dimensions"),
        ({"w": tensor("F32", (), floats(1))}, "GGUF has no tensors of 0 dimensions"),
        ({"w": tensor("F32", (0, 2), b"")}, "GGUF has no empty tensors"),
        ({"w" * 64: tensor("F32", (1,), floats(1))}, "its name has more than 63 bytes"),
        ({"w": tensor("BOOL", (1,), b"\x01")}, "GGUF has no type BOOL"),
    ],
)
def test_what_gguf_cannot_hold(state: dict[str, object], why: str, tmp_path: Path) -> None:
    error = refusal(tmp_path / "m.pt", checkpoint(state), target=Target.GGUF, architecture="t")
    assert error.code == "not-lossless"
    assert error.message.endswith(why)


def test_quantized_blocks_have_no_place_in_safetensors(tmp_path: Path) -> None:
    from tests.tensorfiles import Gguf

    data = Gguf().text("general.architecture", "llama").tensor("q", [32], 8, bytes(34)).bytes()
    error = refusal(tmp_path / "q.gguf", data)
    assert error.code == "not-convertible"
    assert error.message.endswith("safetensors has no type Q8_0")
