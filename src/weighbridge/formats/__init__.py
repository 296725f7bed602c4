"""Safe readers, one file a format: they say what is in the bytes and hold no opinion about it.

`candidates` names every format whose loader could accept the bytes (a polyglot has several); `read` runs one reader.
A reader is a module with `read(source, budget, name) -> Reading`; it takes bytes only from its `Source`, spends from
its `Budget`, raises `InputError` where the bytes break the format, and never imports, unpickles or renders anything.
"""

from importlib import import_module

from weighbridge.core.budget import Budget
from weighbridge.core.source import Source
from weighbridge.formats.reading import Reading
from weighbridge.formats.sniff import candidates

__all__ = ["FORMATS", "Reading", "candidates", "read"]

FORMATS: dict[str, str] = {
    "pickle": "weighbridge.formats.pickle",
    "zip": "weighbridge.formats.zip",
    "tar": "weighbridge.formats.tar",
    "7z": "weighbridge.formats.sevenzip",
    "unopened": "weighbridge.formats.unopened",
    "hdf5": "weighbridge.formats.hdf5",
    "executorch": "weighbridge.formats.pytorch.executorch",
    "compressed": "weighbridge.formats.compressed",
    "npy": "weighbridge.formats.numpy.npy",
    "safetensors": "weighbridge.formats.safetensors",
    "gguf": "weighbridge.formats.gguf",
    "onnx": "weighbridge.formats.onnx",
    "onnx-text": "weighbridge.formats.onnx.text",
    "json": "weighbridge.formats.json",
    "yaml": "weighbridge.formats.yaml",
    "python": "weighbridge.formats.python",
    "notebook": "weighbridge.formats.notebook",
    "template": "weighbridge.formats.template",
    "xml": "weighbridge.formats.xml",
    "zarr": "weighbridge.formats.zarr",
    "orbax": "weighbridge.formats.orbax",
    "coreml": "weighbridge.formats.coreml",
    "msgpack": "weighbridge.formats.msgpack",
    "coreml-weights": "weighbridge.formats.coreml.weights",
    "paddle": "weighbridge.formats.paddle",
    "mxnet": "weighbridge.formats.mxnet",
    "cntk": "weighbridge.formats.cntk",
    "caffe": "weighbridge.formats.caffe",
    "xgboost": "weighbridge.formats.xgboost",
    "lightgbm": "weighbridge.formats.lightgbm",
    "catboost": "weighbridge.formats.catboost",
    "fasttext": "weighbridge.formats.fasttext",
    "r": "weighbridge.formats.r",
    "rlazy": "weighbridge.formats.r.lazy",
    "ggml": "weighbridge.formats.ggml",
    "torch7": "weighbridge.formats.torch7",
    "matlab": "weighbridge.formats.matlab",
    "tensorflow": "weighbridge.formats.tensorflow.savedmodel",
    "keras-object": "weighbridge.formats.keras.object",
    "tf-checkpoint": "weighbridge.formats.tensorflow.checkpoint",
    "tflite": "weighbridge.formats.tflite",
    "opaque": "weighbridge.formats.opaque",
    "text": "weighbridge.formats.text",
    "sentencepiece": "weighbridge.formats.sentencepiece",
    "image": "weighbridge.formats.image",
    "document": "weighbridge.formats.document",
    "executable": "weighbridge.formats.executable",
    "lfs-pointer": "weighbridge.formats.lfs",
    "empty": "weighbridge.formats.empty",
}
"""Candidate name → reader module. A reader may answer with a narrower `Reading.format` (`zip` → `pytorch-zip`)."""


def read(candidate: str, source: Source, budget: Budget, name: str) -> Reading:
    """Run the reader of one candidate. Raises `InputError` and `LimitError`."""
    reading: Reading = import_module(FORMATS[candidate]).read(source, budget, name)
    return reading
