"""Keras archives and configurations, and the HDF5 files in which their weights lie."""

import contextlib
import io
import json
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.core.budget import Budget, Limits
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.source import MemorySource
from weighbridge.formats import candidates, read
from weighbridge.formats.hdf5 import Hdf5Reading
from weighbridge.formats.hdf5 import read as read_hdf5
from weighbridge.formats.keras import objects, objects_in
from weighbridge.scan.contracts import keras as contracts

DATA = Path(__file__).parent / "data"


def hdf5(name: str) -> Hdf5Reading:
    return hdf5_of((DATA / name).read_bytes())


def hdf5_of(data: bytes) -> Hdf5Reading:
    found = read_hdf5(MemorySource(data), Budget(), "x.h5")
    assert isinstance(found, Hdf5Reading)
    return found


# -- hdf5 ----------------------------------------------------------------------------------------------------------


def test_every_dataset_is_a_tensor_of_the_file() -> None:
    found = hdf5("sequential.h5")
    data = (DATA / "sequential.h5").read_bytes()
    (kernel,) = [t for t in found.tensors or () if t.name == "model_weights/dense/sequential/dense/kernel"]
    assert (kernel.dtype, kernel.shape, kernel.swap) == ("F32", (4, 3), False)
    ((start, length),) = kernel.spans
    values = struct.unpack("<12f", data[start : start + length])
    assert all(-1 < value < 1 for value in values)
    assert len(set(values)) == 12


def test_keras_2_configurations_are_parts() -> None:
    parts = {part.name: part for part in hdf5("sequential.h5").parts}
    assert {name: part.kind for name, part in parts.items()} == {
        "model_config": "json",
        "training_config": "json",
    }
    config = json.loads(parts["model_config"].source.read(0, 10**6))
    assert config["class_name"] == "Sequential"


def test_dense_groups_and_attributes_are_read_whole() -> None:
    """More than eight links or attributes lie in a fractal heap, indexed by a B-tree."""
    found = hdf5("dense.h5")
    assert found.gaps == ()
    assert sorted(name for _, name, _ in found.attributes) == sorted(f"attribute{n}" for n in range(12))
    assert sorted(found.datasets) == ["/c", "/numbers"]


def test_what_leads_out_of_the_file_is_named() -> None:
    assert [(a.code, a.part) for a in hdf5("outside.h5").anomalies] == [
        ("hdf5-external-data", "/raw"),
        ("hdf5-external-link", "/folder/link"),
    ]


def test_attributes_that_pytables_would_unpickle_are_parts() -> None:
    assert [(part.name, part.kind) for part in hdf5("outside.h5").parts] == [("/@pickled", "pickle")]


def test_a_user_block_and_a_tail_are_parts() -> None:
    """libhdf5 looks for its signature at 512, 1024, 2048, … and moves all addresses along."""
    plain = (DATA / "dense.h5").read_bytes()
    found = hdf5_of(b"#!/bin/sh\n".ljust(1024) + plain + b"tail of the file")
    assert [a.code for a in found.anomalies] == ["hdf5-data-after", "hdf5-user-block"]
    assert {part.source.read(0, 9) for part in found.parts} == {b"#!/bin/sh", b"tail of t"}
    assert sorted(found.datasets) == ["/c", "/numbers"]
    assert found.gaps == ()


def test_zeros_around_the_file_are_padding() -> None:
    found = hdf5_of(bytes(512) + (DATA / "dense.h5").read_bytes() + bytes(100))
    assert (found.anomalies, found.parts) == ((), ())


def test_a_megabyte_of_zeros_may_hide_something_behind_it() -> None:
    found = hdf5_of((DATA / "dense.h5").read_bytes() + bytes(1024**2) + b"hidden")
    assert [a.code for a in found.anomalies] == ["hdf5-data-after"]


@pytest.mark.parametrize("at", [0, 512, 1024, 2048, 4096])
def test_the_signature_is_sniffed_where_the_library_finds_it(at: int) -> None:
    data = bytes(at) + (DATA / "dense.h5").read_bytes()
    assert "hdf5" in candidates(MemorySource(data), "weights.bin")


@pytest.mark.parametrize("name", ["sequential.h5", "dense.h5"])
def test_a_cut_file_is_never_whole(name: str) -> None:
    data = (DATA / name).read_bytes()
    for cut in range(1, len(data), 397):
        with contextlib.suppress(InputError):
            assert hdf5_of(data[:-cut]).gaps


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["sequential.h5", "dense.h5", "outside.h5"]),
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_changed_bytes_never_break_the_reader(name: str, changes: list[tuple[int, int]]) -> None:
    broken = bytearray((DATA / name).read_bytes())
    for at, value in changes:
        broken[at % len(broken)] = value
    with contextlib.suppress(InputError, LimitError):
        read_hdf5(MemorySource(bytes(broken)), Budget(Limits(members=20_000, memory=2**24)), "x.h5")


# -- archives ------------------------------------------------------------------------------------------------------


def test_an_archive_lists_its_weights() -> None:
    data = (DATA / "sequential.keras").read_bytes()
    found = read("zip", MemorySource(data), Budget(), "model.keras")
    assert found.format == "keras"
    assert [part.name for part in found.parts] == ["metadata.json", "config.json", "model.weights.h5"]
    assert sorted(t.name for t in found.tensors or () if "layers" in t.name) == [
        "layers/dense/vars/0", "layers/dense/vars/1", "layers/dense_1/vars/0", "layers/dense_1/vars/1",
    ]  # fmt: skip


def test_packed_weights_have_their_own_source() -> None:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(DATA / "sequential.keras") as old,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for member in old.namelist():
            new.writestr(member, old.read(member))
    found = read("zip", MemorySource(buffer.getvalue()), Budget(), "model.keras")
    kernel = next(t for t in found.tensors or () if t.name == "layers/dense/vars/0")
    assert kernel.source is not None
    assert len(kernel.source.read(*kernel.spans[0])) == 48


# -- configurations ------------------------------------------------------------------------------------------------


def nested(inner: object) -> dict[str, object]:
    return {"class_name": "Sequential", "config": {"layers": [{"wrapped": [inner]}]}}


def test_objects_are_found_however_deep() -> None:
    (_, lambda_) = objects(nested({"class_name": "Lambda", "config": {"function": ["code", None, None]}}))
    assert (lambda_.class_name, lambda_.path) == ("Lambda", ("config", "layers", 0, "wrapped", 0))


def test_a_document_without_a_class_of_its_own_is_still_followed() -> None:
    """Keras descends into dictionaries that name no class."""
    assert [o.name for o in objects({"x": {"y": nested({"class_name": "function", "config": "system", "module": "os"})}})] == [
        "Sequential", "system",
    ]  # fmt: skip


def test_both_views_of_a_doubled_key_are_followed() -> None:
    text = b'{"class_name": "Lambda", "config": {}, "class_name": "Dense"}'
    found = read("json", MemorySource(text), Budget(), "config.json")
    assert {o.class_name for o in objects_in(found)} == {"Lambda", "Dense"}


def test_escapes_in_the_key_hide_nothing() -> None:
    text = rb'{"class\u005Fname": "Lambda", "config": {}}'
    found = read("json", MemorySource(text), Budget(), "config.json")
    assert [o.class_name for o in objects_in(found)] == ["Lambda"]


def one(**value: object) -> object:
    (found,) = objects(value)
    return found


SAFE = [
    {"class_name": "Dense", "config": {}},
    {"class_name": "Dense", "module": "keras.layers", "config": {}, "registered_name": None},
    {
        "class_name": "Functional",
        "module": "keras.src.models.functional",
        "config": {},
        "registered_name": "Functional",
    },
    {
        "class_name": "Adam",
        "module": "keras.src.backend.torch.optimizers.torch_adam",
        "config": {},
        "registered_name": "Adam",
    },
    {"class_name": "function", "module": "builtins", "config": "relu", "registered_name": "relu"},
]
UNSAFE = [
    {"class_name": "Dense", "module": "os", "config": {}},
    {"class_name": "Dense", "module": "my_layers", "config": {}},
    {"class_name": "Dense", "module": "keras.layers", "config": {}, "registered_name": "mine>Dense"},
    {"class_name": "Lambda", "module": "keras.layers", "config": {}},
    {"class_name": "MyLayer", "config": {}},
    {"class_name": "function", "module": "keras.utils", "config": "get_file"},
    {"class_name": "function", "module": "os", "config": "relu"},
    {"class_name": "function", "module": "kerasx", "config": "relu"},
    {"class_name": "Dense", "module": "kerasx.layers", "config": {}},
]


@pytest.mark.parametrize("value", SAFE)
def test_keras_own_objects_are_safe(value: dict[str, object]) -> None:
    assert contracts.is_safe(one(**value))  # type: ignore[arg-type]


@pytest.mark.parametrize("value", UNSAFE)
def test_everything_else_is_not(value: dict[str, object]) -> None:
    assert not contracts.is_safe(one(**value))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(contracts.book().dangerous))
def test_a_dangerous_name_is_on_no_other_list(name: str) -> None:
    book = contracts.book()
    assert name not in book.classes | book.functions
