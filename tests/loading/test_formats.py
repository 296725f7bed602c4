"""Every container and element type that `load` gives arrays of, against the numbers that were put in."""

import hashlib
import json
import zipfile
from io import BytesIO
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

import weighbridge
from tests.tensorfiles import Gguf, safetensors
from weighbridge.core.errors import UsageError
from weighbridge.formats.safetensors import DTYPE_BITS
from weighbridge.loading.memory import HUGE

DATA = Path(__file__).parents[1] / "formats" / "data"


def loaded(path, **words):
    return weighbridge.load(path, policy="research", **words)


# numpy


@pytest.mark.parametrize("array", [
    np.arange(6.0).reshape(2, 3),
    np.asfortranarray(np.arange(24, dtype=np.int16).reshape(2, 3, 4)),
    np.arange(6, dtype=">f4").reshape(3, 2),
    np.array([1 + 2j, 3 - 4j], dtype=np.complex64),
    np.array(["a", "bcd"]),
    np.array([b"xy", b"z"]),
    np.array(["2026-01-02", "NaT"], dtype="datetime64[D]"),
    np.zeros((0, 4), dtype=np.uint8),
    np.float32(7),
], ids=["F64", "fortran", "big-endian", "complex", "text", "bytes", "dates", "empty", "scalar"])  # fmt: skip
def test_npy_and_npz(tmp_path, array):
    np.save(tmp_path / "x.npy", array)
    np.savez(tmp_path / "x.npz", x=array)
    np.savez_compressed(tmp_path / "xc.npz", x=array)
    for name, key in (("x.npy", "array"), ("x.npz", "x"), ("xc.npz", "x")):
        found = loaded(tmp_path / name)
        assert list(found) == [key]
        np.testing.assert_array_equal(found[key], np.asarray(array))
        assert found[key].dtype.newbyteorder("=") == np.asarray(array).dtype.newbyteorder("=")
        assert not found[key].flags.writeable or name == "xc.npz"


def test_records_are_given_as_bytes(tmp_path):
    np.save(tmp_path / "r.npy", np.array([(1, 2.0), (3, 4.0)], dtype=[("a", "i4"), ("b", "f8")]))
    found = loaded(tmp_path / "r.npy")
    assert found["array"].dtype == np.dtype("V12")
    assert found.info("array").raw


def test_pickled_arrays_in_npy_are_no_tensors(tmp_path):
    np.save(tmp_path / "o.npy", np.array([{}, None], dtype=object), allow_pickle=True)
    with pytest.raises(weighbridge.WeighbridgeError):
        loaded(tmp_path / "o.npy")


# safetensors: every element type


@pytest.mark.parametrize("dtype", sorted(DTYPE_BITS))
def test_every_element_type_of_safetensors(tmp_path, dtype):
    bits, data = DTYPE_BITS[dtype], bytes(range(1, 97))
    if dtype == "BOOL":
        data = bytes([0, 1] * 48)
    shape = [4, len(data) * 8 // bits // 4]
    (tmp_path / "x.safetensors").write_bytes(safetensors({"x": (dtype, shape, 0, len(data))}, data))
    found = loaded(tmp_path / "x.safetensors")
    assert found["x"].tobytes() == data
    assert found.info("x").dtype == dtype
    assert found.info("x").shape == tuple(shape)
    if bits % 8:
        assert found["x"].dtype == np.uint8
        assert found["x"].shape == (4, 24)
        assert found.info("x").raw
    else:
        assert found["x"].shape == tuple(shape)
        assert found["x"].dtype.itemsize * 8 == bits
        assert not found.info("x").raw


def test_bfloat16_as_numbers_and_without_ml_dtypes_as_bits(tmp_path, monkeypatch):
    numbers = np.array([1.5, -2.0, 3.0], dtype=ml_dtypes.bfloat16)
    (tmp_path / "b.safetensors").write_bytes(safetensors({"b": ("BF16", [3], 0, 6)}, numbers.tobytes()))
    found = loaded(tmp_path / "b.safetensors")
    assert found["b"].dtype == ml_dtypes.bfloat16
    assert found["b"].astype(np.float32).tolist() == [1.5, -2.0, 3.0]
    monkeypatch.setitem(__import__("sys").modules, "ml_dtypes", None)
    bits = loaded(tmp_path / "b.safetensors")
    assert bits["b"].dtype == np.uint16
    assert bits.info("b").raw
    assert bits.info("b").dtype == "BF16"


def test_sharded_safetensors_with_an_index(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    parts = [{"a": np.arange(3.0)}, {"b": np.arange(4.0)}]
    names = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    for name, part in zip(names, parts, strict=True):
        save_file(part, folder / name)
    index = {"metadata": {}, "weight_map": {"a": names[0], "b": names[1]}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    found = loaded(folder)
    assert {name: array.tolist() for name, array in found.items()} == {"a": [0, 1, 2], "b": [0, 1, 2, 3]}


def test_a_file_on_huge_pages(tmp_path):
    array = np.random.default_rng(3).standard_normal(HUGE // 4 + 10, dtype=np.float32)
    save_file({"w": array}, tmp_path / "w.safetensors")
    np.testing.assert_array_equal(loaded(tmp_path / "w.safetensors")["w"], array)


# GGUF


def test_gguf_numbers_and_quantised_blocks(tmp_path):
    f32 = np.arange(6, dtype=np.float32).reshape(2, 3)
    blocks = bytes(range(18)) * 4
    file = Gguf().text("general.architecture", "llama")
    file.tensor("f", [3, 2], 0, f32.tobytes())
    file.tensor("h", [4], 1, np.arange(4, dtype=np.float16).tobytes())
    file.tensor("b", [2], 30, np.array([1, 2], dtype=ml_dtypes.bfloat16).tobytes())
    file.tensor("i", [2], 24, b"\x01\xff")
    file.tensor("q", [64, 2], 2, blocks)
    (tmp_path / "m.gguf").write_bytes(file.bytes())
    found = loaded(tmp_path / "m.gguf")
    np.testing.assert_array_equal(found["f"], f32)
    assert found["h"].tolist() == [0, 1, 2, 3]
    assert found["b"].dtype == ml_dtypes.bfloat16
    assert found["i"].tolist() == [1, -1]
    assert found["q"].dtype == np.uint8
    assert found["q"].shape == (2, 36)
    assert found["q"].tobytes() == blocks
    assert found.info("q") == type(found.info("q"))(dtype="Q4_0", shape=(2, 64), path="m.gguf", raw=True)


def test_big_endian_gguf(tmp_path):
    file = Gguf(order=">").tensor("f", [3], 0, np.array([1, 2, 3], dtype=">f4").tobytes())
    (tmp_path / "m.gguf").write_bytes(file.bytes())
    assert loaded(tmp_path / "m.gguf")["f"].tolist() == [1, 2, 3]


# PyTorch: the digests of what `torch.load` gave for these files stand in the data folder


EXPECTED = json.loads((DATA / "tensors.json").read_text())


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_pytorch_files_are_read_without_unpickling(name):
    found = weighbridge.load(DATA / name, policy=_unknowns_admitted())
    digests = {key: hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest() for key, a in found.items()}
    assert {key: digests[key] for key in EXPECTED[name]} == EXPECTED[name]


def _unknowns_admitted():
    from weighbridge.policy import load_preset
    from weighbridge.policy.words import Unknown

    return load_preset("research").override("test", unknown=(("default", Unknown.ADMIT),))


def test_strided_views_are_no_copies():
    found = weighbridge.load(DATA / "torch-zip.pt", policy=_unknowns_admitted())
    strided = found["turned"]
    assert not strided.flags.c_contiguous
    assert not strided.flags.owndata
    assert not strided.flags.writeable


# Containers in which bytes do not lie as arrays want them


def test_compressed_members_are_unpacked_from_verified_bytes(tmp_path):
    buffer = BytesIO()
    np.save(buffer, np.arange(1000))
    with zipfile.ZipFile(tmp_path / "z.npz", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.npy", buffer.getvalue())
    assert loaded(tmp_path / "z.npz")["a"].sum() == 499500


def test_torch_is_asked_for_only_when_it_is_wanted(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(3))
    with pytest.raises(weighbridge.WeighbridgeError, match="extra-missing"):
        loaded(tmp_path / "x.npy", framework="torch")


def test_an_unknown_name(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(3))
    with pytest.raises(UsageError, match="no-such-tensor"):
        loaded(tmp_path / "x.npy", tensors=["weights"])
    assert list(loaded(tmp_path / "x.npy", tensors=["array"])) == ["array"]
