"""Every published hole in Keras' loaders that a file can use: a harmless file of that shape fails, none passes."""

import base64
import io
import json
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.scan.samples import SAMPLES, scan
from weighbridge.core.budget import Budget
from weighbridge.core.evidence import Outcome, worst
from weighbridge.core.source import MemorySource
from weighbridge.formats import read

DATA = Path(__file__).parents[1] / "formats" / "data"
CODE = base64.b64encode(b"\xe3" + bytes(7) + b"echo weighbridge-sample " * 3).decode()


def model(*layers: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "module": "keras",
        "class_name": "Sequential",
        "registered_name": None,
        "config": {"name": "sample", "layers": list(layers)},
        **more,
    }


def layer(name: str, module: str | None = "keras.layers", **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": name, "registered_name": None, "config": config}


def function(name: str, module: str) -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def archive(config: Any, weights: bytes = b"", **members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("metadata.json", json.dumps({"keras_version": "3.8.0"}))
        made.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
        made.writestr("model.weights.h5", weights or (DATA / "dense.h5").read_bytes())
        for name, data in members.items():
            made.writestr(f"assets/{name}", data)
    return file.getvalue()


def in_h5(config: dict[str, Any]) -> bytes:
    """A whole model in HDF5 whose `model_config` is this one: written into the room of the real one."""
    whole = (DATA / "sequential.h5").read_bytes()
    parts = {part.name: part.source for part in read("hdf5", MemorySource(whole), Budget(), "x.h5").parts}
    old = parts["model_config"].read(0, parts["model_config"].size)
    new = json.dumps(config).encode().ljust(len(old))
    assert (whole.count(old), len(new)) == (1, len(old))
    return whole.replace(old, new)


def judged(data: bytes, name: str = "model.keras") -> tuple[Outcome, set[str]]:
    result = scan({name: data})
    return worst([file.outcome for file in result.files]), {
        f.rule for f in result.findings if f.severity == "error"
    }


def fails_by(rule: str, data: bytes, name: str = "model.keras") -> None:
    outcome, rules = judged(data, name)
    assert (outcome, rule in rules) == (Outcome.FAIL, True), (outcome, rules)


def test_the_twin_without_a_hole_passes() -> None:
    assert judged(archive(model(layer("Dense", units=1)))) == (Outcome.PASS, set())


def test_cve_2021_37678_yaml_configuration() -> None:
    """Keras 2 gave YAML configurations to a loader that makes Python objects."""
    text = "class_name: Sequential\nconfig: !!python/object/apply:os.system [echo weighbridge-sample]\n"
    assert judged(text.encode(), "model.yaml")[0] is Outcome.FAIL


@pytest.mark.parametrize(
    "value",
    [
        layer("Lambda", function=[CODE, None, None], function_type="lambda"),
        layer("Lambda", function={"class_name": "__lambda__", "config": {"value": CODE}}),
        layer("TimeDistributed", layer=layer("Lambda", None, function=[CODE, None, None])),
        layer("Activation", activation={"class_name": "__lambda__", "config": {"value": CODE}}),
        layer("Lambda", function="identity", output_shape=[CODE, None, None], output_shape_type="lambda"),
    ],
)
def test_cve_2024_3660_code_in_lambda_layers(value: dict[str, Any]) -> None:
    """Before 2.13 nothing asked before the bytecode in a Lambda layer was run; the layer may stand anywhere."""
    fails_by("keras-lambda-layer", archive(model(value)))


def test_cve_2024_3660_in_losses_and_metrics() -> None:
    lambda_ = {"class_name": "__lambda__", "config": {"value": CODE}}
    fails_by("keras-lambda-layer", archive(model(layer("Dense", units=1), compile_config={"loss": lambda_})))
    fails_by(
        "keras-lambda-layer", archive(model(layer("Dense", units=1), compile_config={"metrics": [[lambda_]]}))
    )


@pytest.mark.parametrize(
    "value",
    [
        function("system", "os"),
        function("run", "subprocess"),
        function("eval", "builtins"),
        function("load", "joblib"),
        function("write_file", "tensorflow.python.ops.gen_io_ops"),
        layer("Popen", "subprocess", args=["echo", "weighbridge-sample"]),
        layer("os.system", None),
        {**layer("Dense"), "registered_name": "os>system"},
        {
            "class_name": "__typespec__",
            "spec_name": "Popen",
            "module": "subprocess",
            "registered_name": None,
            "config": [],
        },
    ],
)
def test_cve_2025_1550_any_module_and_function(value: dict[str, Any]) -> None:
    """Before 3.9 a configuration had any module imported and any of its functions called."""
    fails_by("keras-unsafe-module", archive(model(value)))
    fails_by("keras-unsafe-module", json.dumps(model(layer("Dense", units=value))).encode(), "config.json")


def test_cve_2025_8747_get_file_as_a_gadget() -> None:
    """Before 3.11 functions of Keras itself were allowed, and one of them downloads files."""
    fails_by("keras-unsafe-module", archive(model(function("get_file", "keras.utils"))))


def test_cve_2025_9905_h5_ignores_safe_mode() -> None:
    """The H5 loader ran Lambda layers even with safe_mode=True."""
    small = {"class_name": "Sequential", "config": {"layers": [layer("Lambda", function=[CODE, None, None])]}}
    fails_by("keras-lambda-layer", in_h5(small), "model.h5")


def test_cve_2025_9906_configuration_turns_safe_mode_off() -> None:
    """Before 3.11 a configuration could call `enable_unsafe_deserialization` before its Lambda layer is read."""
    fails_by("keras-unsafe-module", archive(model(function("enable_unsafe_deserialization", "keras.config"))))
    fails_by("keras-unsafe-module", archive(model(layer("Dense", units=1), safe_mode=False)))


@pytest.mark.parametrize(
    "path", ["/etc/hostname", "https://example.com/words.txt", "../words.txt", "words.txt"]
)
@pytest.mark.parametrize("name", ["StringLookup", "IntegerLookup", "TextVectorization"])
def test_cve_2025_12058_vocabulary_is_a_path(name: str, path: str) -> None:
    """Before 3.12 a lookup layer read its vocabulary from any path or address, and gave it away with the model."""
    fails_by("keras-unsafe-module", archive(model(layer(name, vocabulary=path))))


def test_cve_2025_12058_vocabularies_as_lists_pass() -> None:
    assert judged(archive(model(layer("StringLookup", vocabulary=["a", "b"]))))[0] is Outcome.PASS


def test_cve_2025_12060_get_file_unpacks_archives() -> None:
    """Before 3.12 `get_file(extract=True)` let members of a tar file leave the folder."""
    gadget = layer("get_file", "keras.utils", origin="https://example.com/x.tar", extract=True)
    fails_by("keras-unsafe-module", archive(model(gadget)))


def test_cve_2026_0897_shape_that_fills_the_memory() -> None:
    """Up to 3.13 room was made for whatever shape a dataset of the weights claims."""
    bomb = (SAMPLES / "hdf5-malformed" / "sample.h5").read_bytes()
    fails_by("hdf5-malformed", archive(model(layer("Dense", units=1)), bomb))


def test_cve_2026_1462_layer_loads_a_second_model() -> None:
    """Before 3.13.2 `TFSMLayer` loaded the SavedModel at any path, in safe mode too."""
    fails_by("keras-unsafe-module", archive(model(layer("TFSMLayer", filepath="/tmp/weighbridge-sample"))))


def test_cve_2026_1669_weights_in_other_files() -> None:
    """Before 3.13 weights could lie in any file of the machine, by HDF5's external data and links."""
    fails_by(
        "hdf5-external-link", archive(model(layer("Dense", units=1)), (DATA / "outside.h5").read_bytes())
    )


def test_pickled_modules_in_the_configuration() -> None:
    zipped = base64.b64encode(b"PK\x03\x04" + bytes(60)).decode()
    wrapper = layer("TorchModuleWrapper")
    wrapper["config"]["module"] = zipped
    fails_by("keras-unsafe-module", archive(model(wrapper)))
    wrapper["module"] = "my_package"
    assert judged(archive(model(wrapper))) == (Outcome.UNKNOWN, set())


def test_both_values_of_a_doubled_key_are_judged() -> None:
    dense, lambda_ = (
        json.dumps(layer("Dense", units=1)),
        json.dumps(layer("Lambda", function=[CODE, None, None])),
    )
    text = json.dumps(model("LAYERS")).replace(
        '"layers": ["LAYERS"]', f'"layers": [{lambda_}], "layers": [{dense}]'
    )
    fails_by("keras-lambda-layer", archive(text))


def test_pickles_among_the_assets_are_read() -> None:
    bad = b"cposix\nsystem\n(S'echo weighbridge-sample'\ntR."
    fails_by("pickle-unsafe-call", archive(model(layer("Dense", units=1)), **{"tokens.bin": bad}))


@pytest.mark.parametrize(
    "value",
    [
        layer("Attention2", "my_package.layers"),
        {**layer("Attention2", None), "registered_name": "my_package>Attention2"},
        function("my_loss", "builtins"),
        layer("Dense", units=1, activation=function("squash", "my_package.ops")),
        layer("JaxLayer", call_fn=function("apply", "my_package")),
    ],
)
def test_objects_of_others_are_unknown(value: dict[str, Any]) -> None:
    assert judged(archive(model(value))) == (Outcome.UNKNOWN, set())


@pytest.mark.parametrize("name", ["functional.keras", "bf16.keras"])
def test_real_models_pass(name: str) -> None:
    assert judged((DATA / "keras" / name).read_bytes(), name) == (Outcome.PASS, set())


def test_a_real_whole_model_in_h5_passes() -> None:
    assert judged((DATA / "sequential.h5").read_bytes(), "model.h5") == (Outcome.PASS, set())


def test_weights_alone_pass() -> None:
    with zipfile.ZipFile(DATA / "keras" / "functional.keras") as real:
        weights = real.read("model.weights.h5")
    assert struct.unpack("<Q", weights[:8])[0]
    assert judged(weights, "model.weights.h5") == (Outcome.PASS, set())
