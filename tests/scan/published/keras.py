"""Keras: a configuration that names what is called, code in layers, and weights that lie elsewhere."""

import base64
import json

from tests.kerasfiles import CODE, DATA, archive, function, in_h5, layer, model
from tests.scan.published.row import BAD, Bypass, Cases, either, files, sample
from tests.scan.samples import SAMPLES

CALL, LAMBDA, LINK = "keras-unsafe-module", "keras-lambda-layer", "hdf5-external-link"


def row(id_: str, also: str, affected: str, what: str, rule: str, cases: Cases) -> Bypass:
    return Bypass(
        id=id_,
        also=(also,) if also else (),
        product="keras",
        affected=affected,
        what=what,
        rule=rule,
        cases=cases,
    )


def models(*configs: object) -> Cases:
    return lambda: [{"model.keras": archive(config)} for config in configs]


def layers(*values: dict[str, object]) -> Cases:
    return models(*map(model, values))


LAYER = layer("Lambda", function=[CODE, None, None], function_type="lambda")
CODED = {"class_name": "__lambda__", "config": {"value": CODE}}
DENSE = layer("Dense", units=1)
TYPE = {
    "class_name": "__typespec__",
    "spec_name": "Popen",
    "module": "subprocess",
    "registered_name": None,
    "config": [],
}
NAMED = (
    function("system", "os"),
    function("run", "subprocess"),
    function("eval", "builtins"),
    function("load", "joblib"),
    function("write_file", "tensorflow.python.ops.gen_io_ops"),
    layer("Popen", "subprocess", args=["echo", "weighbridge-sample"]),
    layer("os.system", None),
    {**layer("Dense"), "registered_name": "os>system"},
    TYPE,
)


def torch_module() -> dict[str, object]:
    """A wrapper whose module is a torch file in base64."""
    wrapper = layer("TorchModuleWrapper")
    wrapper["config"]["module"] = base64.b64encode(b"PK\x03\x04" + BAD).decode()
    return wrapper


def shapes() -> list[dict[str, bytes]]:
    bomb = (SAMPLES / "hdf5-malformed" / "sample.h5").read_bytes()
    return [{"model.keras": archive(model(DENSE), bomb)}, {"model.weights.h5": bomb}]


def linked() -> list[dict[str, bytes]]:
    outside = (DATA / "outside.h5").read_bytes()
    return [
        {"model.keras": archive(model(DENSE), outside)},
        {"model.weights.h5": outside},
        {"model.h5": outside},
    ]


ROWS = (
    row(
        "CVE-2021-37678",
        "",
        "tensorflow <2.6",
        "a YAML configuration makes any object of Python",
        "config-yaml-tag",
        files(
            "model.yaml",
            b"class_name: Sequential\nconfig: !!python/object/apply:os.system [echo weighbridge-sample]\n",
        ),
    ),
    row(
        "CVE-2024-3660",
        "",
        "<2.13",
        "the code of a Lambda layer is run, wherever the layer stands",
        LAMBDA,
        either(
            layers(
                LAYER,
                layer("Lambda", function=CODED),
                layer("TimeDistributed", layer=layer("Lambda", None, function=[CODE, None, None])),
                layer("Activation", activation=CODED),
                layer(
                    "Lambda", function="identity", output_shape=[CODE, None, None], output_shape_type="lambda"
                ),
            ),
            models(
                model(DENSE, compile_config={"loss": CODED}),
                model(DENSE, compile_config={"metrics": [[CODED]]}),
            ),
        ),
    ),
    row(
        "CVE-2025-1550",
        "GHSA-48g7-3x6r-xfhp",
        ">=3,<3.9",
        "a configuration has any module imported and any of its functions called, in safe mode too",
        CALL,
        either(
            layers(*NAMED),
            lambda: [{"config.json": json.dumps(model(layer("Dense", units=one))).encode()} for one in NAMED],
        ),
    ),
    row(
        "CVE-2025-8747",
        "",
        ">=3,<3.11",
        "functions of Keras itself were allowed, and `get_file` downloads to anywhere",
        CALL,
        layers(function("get_file", "keras.utils"), function("get_file", "keras.src.utils.file_utils")),
    ),
    row(
        "CVE-2025-9905",
        "",
        ">=3,<3.11.3",
        "safe mode has no effect on `.h5`: Lambda layers are run",
        LAMBDA,
        lambda: [
            {
                "model.h5": in_h5(
                    {
                        "class_name": "Sequential",
                        "config": {"layers": [layer("Lambda", function=[CODE, None, None])]},
                    }
                )
            }
        ],
    ),
    row(
        "CVE-2025-9906",
        "GHSA-36fq-jgmw-4r9c",
        "<3.11",
        "a configuration turns safe mode off before its Lambda layer is read",
        CALL,
        models(
            model(function("enable_unsafe_deserialization", "keras.config")), model(DENSE, safe_mode=False)
        ),
    ),
    row(
        "CVE-2025-12058",
        "GHSA-mq84-hjqx-cwf2",
        "<3.12",
        "a lookup layer reads its vocabulary from any path or address",
        CALL,
        layers(
            *(
                layer(name, vocabulary=path)
                for name in ("StringLookup", "IntegerLookup", "TextVectorization")
                for path in ("/etc/hostname", "https://example.com/words.txt", "../words.txt", "words.txt")
            )
        ),
    ),
    row(
        "CVE-2025-12060",
        "",
        "<3.12",
        "`get_file(extract=True)` unpacks a tar file outside of its folder",
        CALL,
        layers(layer("get_file", "keras.utils", origin="https://example.com/x.tar", extract=True)),
    ),
    row(
        "CVE-2025-49655",
        "",
        ">=3.11,<3.11.3",
        "a `TorchModuleWrapper` unpickles its module",
        CALL,
        layers(torch_module()),
    ),
    row(
        "CVE-2026-0897",
        "GHSA-mgx6-5cf9-rr43",
        ">=3,<3.12.1; >=3.13,<3.13.2",
        "room is made for whatever shape a data set claims",
        "hdf5-malformed",
        shapes,
    ),
    row(
        "CVE-2026-1462",
        "GHSA-4f3f-g24h-fr8m",
        "<3.13.2",
        "a `TFSMLayer` loads the SavedModel at any path, in safe mode too",
        CALL,
        layers(
            layer("TFSMLayer", filepath="/tmp/weighbridge-sample"), layer("TFSMLayer", filepath="../other")
        ),
    ),
    row(
        "CVE-2026-1669",
        "GHSA-3m4q-jmj6-r34q",
        ">=3,<3.12.1; >=3.13,<3.13.2",
        "the bytes of a data set lie in any file of the machine",
        LINK,
        linked,
    ),
    row(
        "CVE-2026-9335",
        "GHSA-m8wh-29wm-52mv",
        "<3.12.3; >=3.13,<3.15",
        "links to other HDF5 files are followed, where only one of three readers looks at them",
        LINK,
        either(linked, sample("hdf5-external-link")),
    ),
    row(
        "CVE-2026-12479",
        "GHSA-gh82-f9x8-5frx",
        "<3.12.3; >=3.13,<3.15",
        "the name of a layer is a path, and files are written where it leads",
        CALL,
        layers(
            layer("Dense", name="../../weighbridge-sample", units=1),
            layer("StringLookup", name="/tmp/weighbridge-sample", vocabulary=["a"]),
            layer("Dense", name="a/../../b", units=1),
        ),
    ),
    row(
        "CVE-2026-12480",
        "GHSA-26c4-7vv6-867j",
        "<3.12.3; >=3.13,<3.15",
        "a virtual data set is put together from other files",
        LINK,
        lambda: [
            {"model.weights.h5": (DATA / "hdf5" / "virtual.h5").read_bytes()},
            {"model.keras": archive(model(DENSE), (DATA / "hdf5" / "virtual.h5").read_bytes())},
        ],
    ),
    row(
        "CVE-2026-12481",
        "GHSA-5gwj-m78q-7pq3",
        "<3.12.3; >=3.13,<3.15",
        "safe mode is `None` where a layer is read by itself, and its code is run",
        LAMBDA,
        lambda: [
            {"config.json": json.dumps(LAYER).encode()},
            {"layer.json": json.dumps(layer("Lambda", function=CODED)).encode()},
        ],
    ),
    row(
        "CVE-2026-12484",
        "GHSA-v2w2-w228-c444",
        "<3.12.3; >=3.13,<3.15",
        "a `TorchModuleWrapper` that is read by itself unpickles its module",
        CALL,
        lambda: [
            {"model.keras": archive(model(layer("TimeDistributed", layer=torch_module())))},
            {"config.json": json.dumps(torch_module()).encode()},
        ],
    ),
    row(
        "CVE-2026-12570",
        "GHSA-74m6-m3xx-3vmj",
        "<3.15",
        "the same of shapes, in the reader that the first repair left out",
        "hdf5-malformed",
        shapes,
    ),
)
