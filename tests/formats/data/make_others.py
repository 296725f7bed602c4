"""Makes the Keras and HDF5 files of the folders here, and the real files among the scanner's samples for Flax, Orbax,
Core ML and OpenVINO.

Run by hand, in an environment with keras 3.15, h5py, flax 0.12, orbax-checkpoint 0.12, coremltools 9 and openvino 2026.4:

    KERAS_BACKEND=numpy JAX_PLATFORMS=cpu python tests/formats/data/make_others.py

The tests need only the files. Identifiers and times in them differ from run to run.
"""

import os
import pickle
import shutil
from pathlib import Path

import coremltools as ct
import h5py
import jax.numpy as jnp
import keras
import numpy as np
import openvino
import orbax.checkpoint as ocp
from coremltools.converters.mil import Builder
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder
from coremltools.proto import Model_pb2
from flax import serialization
from keras import layers
from openvino import opset13

HERE = Path(__file__).parent
SAMPLES = HERE.parents[1] / "samples"
RANGE = np.arange(105, dtype="f4").reshape(7, 5, 3)


def hdf5_files() -> None:
    with h5py.File(HERE / "hdf5" / "chunked.h5", "w") as file:
        options = {"compression": "gzip", "shuffle": True, "fletcher32": True}
        file.create_dataset("gzip", data=RANGE, chunks=(3, 2, 3), **options)
        file.create_dataset("plain", data=RANGE.astype(">i2"), chunks=(7, 5, 1))
        file.create_dataset("bool", data=RANGE > 3, chunks=(4, 5, 3), compression="gzip")
        file.create_dataset("lzf", data=RANGE, compression="lzf")
    for path in (HERE / "hdf5" / "latest.h5", SAMPLES / "hdf5-malformed" / "benign.h5"):
        with h5py.File(path, "w", libver="latest") as file:
            file.create_dataset("single", data=RANGE, chunks=(7, 5, 3), compression="gzip")
            file.create_dataset("array", data=RANGE, chunks=(3, 5, 3))
            file.create_dataset("arrayz", data=RANGE, chunks=(3, 2, 3), compression="gzip", shuffle=True)
            file.create_dataset("implicit", data=RANGE, chunks=(7, 5, 3))
    with h5py.File(SAMPLES / "hdf5-malformed" / "sample.h5", "w") as file:
        file.create_dataset("w", shape=(2**31 - 1, 2**31 - 1), dtype="f4", chunks=(64, 64))
    with h5py.File(HERE / "hdf5" / "vlen.h5", "w") as file:
        objects = file.create_dataset("objects", (1,), dtype=h5py.vlen_dtype(np.uint8))
        objects[0] = np.frombuffer(pickle.dumps(Calls()), np.uint8)


class Calls:
    """What an unpickler calls."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("echo weighbridge-sample",)


def keras_files() -> None:
    """`functional.keras` was packed again with deflate, to be small."""
    start = keras.Input((8,))
    limits = {"kernel_regularizer": keras.regularizers.L2(1e-3), "kernel_constraint": "max_norm"}
    inner = keras.Sequential([layers.Dense(4, activation="relu"), layers.LayerNormalization()], name="inner")
    middle = inner(layers.Dense(4, activation="gelu", **limits)(start))
    end = keras.ops.multiply(layers.Dense(2, activation="softmax")(layers.Add()([middle, middle])), 2.0)
    model = keras.Model(start, end)
    rate = keras.optimizers.schedules.ExponentialDecay(1e-3, 10, 0.9)
    metrics = ["accuracy", keras.metrics.TopKCategoricalAccuracy(k=2)]
    model.compile(keras.optimizers.AdamW(rate), keras.losses.SparseCategoricalCrossentropy(), metrics)
    model.save(HERE / "keras" / "functional.keras")
    keras.config.set_dtype_policy("bfloat16")
    keras.Sequential([keras.Input((3,)), layers.Dense(2)]).save(HERE / "keras" / "bf16.keras")


def flax_and_orbax_files() -> None:
    dense = {"kernel": np.arange(12, dtype=np.float32).reshape(4, 3), "bias": np.zeros(3, dtype=jnp.bfloat16)}
    tree = {
        "params": {"dense": dense},
        "step": 3,
        "lr": np.float32(0.1),
        "z": 1 + 2j,
        "name": "tiny",
        "flag": True,
    }
    (SAMPLES / "msgpack-malformed" / "benign.msgpack").write_bytes(serialization.msgpack_serialize(tree))
    state = {
        "dense": {name: jnp.asarray(value) for name, value in dense.items()},
        "step": np.int64(3),
        "lr": 0.1,
    }
    for rule, ocdbt in (("zarr-malformed", False), ("orbax-outside", True)):
        folder = SAMPLES / rule / "benign"
        shutil.rmtree(folder, ignore_errors=True)
        ocp.Checkpointer(ocp.PyTreeCheckpointHandler(use_ocdbt=ocdbt)).save(folder, state)


def coreml_files() -> None:
    made = NeuralNetworkBuilder([("x", datatypes.Array(4))], [("y", datatypes.Array(3))])
    made.add_inner_product("fc", np.arange(12.0).reshape(3, 4), np.zeros(3), 4, 3, True, "x", "h")
    made.add_activation("act", "RELU", "h", "y")
    folder = SAMPLES / "coreml-custom-class"
    (folder / "benign.mlmodel").write_bytes(made.spec.SerializeToString())
    model = Model_pb2.Model()
    model.CopyFrom(made.spec)
    layer = model.neuralNetwork.layers.add(name="run", input=["x"], output=["q"])
    layer.custom.className = "SampleLayer"
    (folder / "sample.mlmodel").write_bytes(model.SerializeToString())
    model.CopyFrom(made.spec)
    model.customModel.className = "SampleModel"
    (folder / "sample-model.mlmodel").write_bytes(model.SerializeToString())

    @Builder.program(input_specs=[Builder.TensorSpec(shape=(1, 4))], opset_version=ct.target.iOS15)
    def program(x: object) -> object:
        weight = np.random.RandomState(0).rand(32, 4).astype(np.float32)
        return Builder.relu(x=Builder.linear(x=x, weight=weight, bias=np.zeros(32, np.float32)))

    options = {"minimum_deployment_target": ct.target.iOS15, "compute_precision": ct.precision.FLOAT32}
    package = HERE / "tiny.mlpackage"
    ct.convert(program, skip_model_load=True, **options).save(str(package))
    shutil.copytree(package, SAMPLES / "coreml-path-escape" / "benign", dirs_exist_ok=True)
    shutil.rmtree(package)


def openvino_files() -> None:
    x = opset13.parameter([1, 4], np.float32, name="x")
    weight = opset13.constant(np.arange(12, dtype=np.float32).reshape(4, 3))
    bias = opset13.constant(np.array([1, 2, 3], np.float32))
    y = opset13.result(opset13.add(opset13.relu(opset13.matmul(x, weight, False, False)), bias))
    for rule in ("openvino-custom-layer", "openvino-out-of-bounds"):
        path = SAMPLES / rule / "benign" / "tiny.xml"
        openvino.save_model(openvino.Model([y], [x], "tiny"), path, compress_to_fp16=False)


if __name__ == "__main__":
    hdf5_files()
    keras_files()
    flax_and_orbax_files()
    coreml_files()
    openvino_files()
