"""Orbax checkpoints: Zarr arrays, OCDBT stores, and the documents that describe them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.scan.samples import SAMPLES, scan, scan_folder
from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.evidence import Outcome
from weighbridge.core.source import MemorySource
from weighbridge.formats import orbax, zarr
from weighbridge.formats.reading import Reading

ARRAYS = SAMPLES / "zarr-malformed" / "benign"
STORE = SAMPLES / "orbax-outside" / "benign"


def metadata(**changes: Any) -> dict[str, Any]:
    plain = {
        "zarr_format": 2,
        "shape": [5, 2],
        "chunks": [2, 2],
        "dtype": "<f4",
        "order": "C",
        "filters": None,
    }
    return {**plain, "compressor": None, "fill_value": 0, **changes}


def read(value: Any, name: str = "w/.zarray") -> Reading:
    return zarr.read(MemorySource(json.dumps(value).encode()), Budget(), name)


def codes(value: Any, name: str = "w/.zarray") -> list[str]:
    return [anomaly.code for anomaly in read(value, name).anomalies]


@pytest.mark.parametrize("folder", [ARRAYS, STORE])
def test_real_checkpoints_pass(folder: Path) -> None:
    assert {file.outcome for file in scan_folder(folder).files} == {Outcome.PASS}


def test_only_what_the_metadata_names_is_explained(tmp_path: Path) -> None:
    shutil.copytree(ARRAYS, tmp_path / "c")
    (tmp_path / "c" / "dense.kernel" / "0.9").write_bytes(bytes(range(128, 200)))
    shutil.copytree(STORE, tmp_path / "s")
    (tmp_path / "s" / "other").write_bytes(bytes(range(128, 200)))
    for folder, stranger in (("c", "dense.kernel/0.9"), ("s", "other")):
        left = [
            file.path for file in scan_folder(tmp_path / folder).files if file.outcome is not Outcome.PASS
        ]
        assert left == [stranger]


def test_pickles_in_a_store_are_read(tmp_path: Path) -> None:
    shutil.copytree(STORE, tmp_path / "s")
    (tmp_path / "s" / "d" / "0f").write_bytes(b"cposix\nsystem\n(S'echo weighbridge-sample'\ntR.")
    failed = [file.path for file in scan_folder(tmp_path / "s").files if file.outcome is Outcome.FAIL]
    assert failed == ["d/0f"]


def test_chunk_names_follow_from_the_shape() -> None:
    assert read(metadata()).externals == ("0.0", "1.0", "2.0")
    assert read(metadata(dimension_separator="/")).externals == ("0/0", "1/0", "2/0")
    assert read(metadata(shape=[], chunks=[])).externals == ("0",)
    third = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [3],
        "data_type": "float32",
        "codecs": [{"name": "bytes"}],
    }
    third["chunk_grid"] = {"name": "regular", "configuration": {"chunk_shape": [2]}}
    assert read({**third, "chunk_key_encoding": {"name": "default"}}, "zarr.json").externals == ("c/0", "c/1")
    assert read({**third, "chunk_key_encoding": {"name": "v2"}}, "zarr.json").externals == ("0", "1")


def test_an_array_of_one_plain_chunk_is_a_tensor() -> None:
    (tensor,) = read(metadata(chunks=[5, 2])).tensors or ()
    assert (tensor.dtype, tensor.shape, tensor.spans, tensor.external) == ("F32", (5, 2), ((0, 40),), "0.0")
    assert read(metadata(chunks=[5, 2], compressor={"id": "zstd"})).tensors is None


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (metadata(dtype="|O", filters=[{"id": "pickle"}]), "zarr-pickle"),
        (metadata(compressor={"id": "pickle"}), "zarr-pickle"),
        (metadata(codecs=[{"name": "numcodecs.pickle"}]), "zarr-pickle"),
        (metadata(dtype="|O"), "zarr-pickle"),
        (metadata(dtype=[["a", "|O"], ["b", "<f4"]]), "zarr-pickle"),
        (metadata(shape=[2**62, 2]), "zarr-size"),
        (metadata(shape=[-1, 2]), "zarr-size"),
        (metadata(chunks=[0, 2]), "zarr-size"),
        (metadata(chunks=[2]), "zarr-size"),
    ],
)
def test_what_makes_an_array_harmful(value: dict[str, Any], code: str) -> None:
    assert codes(value) == [code]


def test_pickles_inside_of_shards_and_groups_are_found() -> None:
    shard = {
        "name": "sharding_indexed",
        "configuration": {"chunk_shape": [1, 1], "codecs": [{"name": "numcodecs.pickle"}]},
    }
    assert codes(metadata(codecs=[shard])) == ["zarr-pickle"]
    group = {"metadata": {"w/.zarray": metadata(compressor={"id": "pickle"}), "../x/.zarray": metadata()}}
    assert sorted(codes(group, ".zmetadata")) == ["zarr-path", "zarr-pickle"]


def test_texts_are_no_objects_and_other_codecs_are_unknown() -> None:
    assert codes(metadata(dtype="|O", filters=[{"id": "vlen-utf8"}])) == []
    assert [gap.code for gap in read(metadata(compressor={"id": "mine"})).gaps] == ["codec-unknown"]


def test_manifests_of_other_places_and_lengths() -> None:
    manifest = (STORE / "manifest.ocdbt").read_bytes()
    assert orbax.read(MemorySource(manifest), Budget(), "manifest.ocdbt").externals == ("d/",)
    with pytest.raises(InputError, match="declares"):
        orbax.read(MemorySource(manifest + b"x"), Budget(), "manifest.ocdbt")
    body = b"\x01 ../../../tmp/weighbridge-sample"
    plain = orbax.MANIFEST + (14 + len(body) + 4).to_bytes(8, "little") + b"\0\0" + body + bytes(4)
    found = orbax.read(MemorySource(plain), Budget(), "manifest.ocdbt")
    assert [anomaly.code for anomaly in found.anomalies] == ["orbax-path"]
    assert scan({"manifest.ocdbt": plain}).files[0].outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("handler", "outcome"),
    [
        ("orbax.checkpoint.handlers.StandardCheckpointHandler", Outcome.PASS),
        ("my_package.Handler", Outcome.UNKNOWN),
        ("subprocess.run", Outcome.FAIL),
    ],
)
def test_handlers_are_orbax_own(handler: str, outcome: Outcome) -> None:
    document = json.dumps({"item_handlers": {"state": handler}}).encode()
    assert scan({"_CHECKPOINT_METADATA": document}).files[0].outcome is outcome
