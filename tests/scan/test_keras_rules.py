"""What a Keras configuration may hold, and real models of Keras; published holes stand in `published/keras.py`."""

import base64
import json
import struct
import zipfile
from typing import Any

import pytest

from tests.kerasfiles import CODE, DATA, archive, function, layer, model
from tests.scan.samples import scan
from weighbridge.core.evidence import Outcome, worst


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


def test_vocabularies_as_lists_pass() -> None:
    assert judged(archive(model(layer("StringLookup", vocabulary=["a", "b"]))))[0] is Outcome.PASS


def test_names_of_layers_that_lead_out() -> None:
    """A slash in front is what Keras 2 makes of a scope; Keras 3 takes the name for a path."""
    assert judged(archive(model(layer("Dense", name="block/conv", units=1)))) == (Outcome.PASS, set())
    old = layer("Dense", None, name="/stem/conv", units=1)
    assert judged(archive(model(old)))[1] == set()
    fails_by("keras-unsafe-module", archive(model(layer("Dense", name="/stem/conv", units=1))))


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
