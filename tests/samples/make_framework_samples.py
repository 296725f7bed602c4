"""Makes the binary samples of the rules about other frameworks' formats, from the builders of the tests.

Not a test; run it by hand from the repository's root: `PYTHONPATH=. python tests/samples/make_framework_samples.py`.
"""

import json
import struct
import textwrap
from pathlib import Path

from tests.frameworkfiles import (
    COMMAND,
    R_NIL,
    booster,
    caffe_layer,
    caffe_net,
    fasttext,
    paddle_op,
    paddle_program,
    r_call,
    r_list,
    r_promise,
    r_stream,
    r_strings,
    r_symbol,
    t7,
    ubj,
)
from tests.scan.samples import samples, scan
from tests.tensorfiles import message

from weighbridge.core.evidence import worst

SAMPLES = Path(__file__).parent
PYTHON_LAYER = caffe_layer("p", "Python", message(130, message(1, "sample"), message(2, "Layer")))
FORMULA = r_call("~", r_symbol("y"), r_symbol("x"))
PROMISE = r_promise(r_call("system", r_strings("echo weighbridge-sample")))
MADE: dict[str, dict[str, bytes]] = {
    "framework-malformed": {
        "sample.ubj": ubj(booster(left_children=[1_000_000, -1, -1])),
        "benign.ubj": ubj(booster()),
        "sample-fasttext.bin": fasttext(size=2**31 - 1),
        "benign-fasttext.bin": fasttext(),
        "sample-r.rds": r_stream(struct.pack(">ii", 14, 2**31 - 1)),
        "benign-r.rds": r_stream(struct.pack(">iid", 14, 1, 0.5)),
    },
    "framework-unsafe-operator": {
        "sample.pdmodel": paddle_program(paddle_op("relu"), paddle_op("py_func")),
        "benign.pdmodel": paddle_program(paddle_op("relu"), paddle_op("softmax")),
        "sample-caffe.caffemodel": caffe_net(PYTHON_LAYER),
        "benign-caffe.caffemodel": caffe_net(caffe_layer("ip", "InnerProduct")),
    },
    "framework-unknown-operator": {
        "sample.caffemodel": caffe_net(caffe_layer("x", "SampleLayer")),
        "benign.caffemodel": caffe_net(caffe_layer("x", "ReLU")),
    },
    "framework-text-payload": {
        "sample.ubj": ubj({**booster(), "note": COMMAND}),
        "benign.ubj": ubj({**booster(), "note": "features of 2026 (metres)"}),
    },
    "opaque-format": {"sample.engine": b"ftrt" + bytes(60)},
    "serialized-function": {
        "sample.t7": t7(["forward", ("function", b"\x1bLJ\x02 weighbridge-sample")]),
        "benign.t7": t7(["weight", ("tensor", [2], ("storage", [1, 2]))]),
    },
    "r-carries-code": {
        "sample.rds": r_stream(r_list(PROMISE)),
        "benign.rds": r_stream(FORMULA),
        "sample-image.RData": b"RDX2\n"
        + r_stream(struct.pack(">i", 2 | 1 << 10) + r_symbol("x") + PROMISE + R_NIL),
    },
}


def main() -> None:
    for rule, files in MADE.items():
        folder = SAMPLES / rule
        folder.mkdir(exist_ok=True)
        for name, data in files.items():
            lines = "\n".join(textwrap.wrap(data.hex(), 100))
            (folder / f"{name}.hex").write_text(lines + "\n", "ascii")
            if name.startswith("sample"):
                suffix = name.partition(".")[0].removeprefix("sample")
                expectation = folder / f"expected{suffix}.json"
                expectation.write_text(json.dumps(expected(rule, name, data), indent=2) + "\n", "utf-8")
        assert list(samples(rule))


def expected(rule: str, name: str, data: bytes) -> dict[str, object]:
    result = scan({name: data})
    findings = [
        {"rule": rule, "severity": str(f.severity), "path": f.place.path, "where": f.place.where}
        for f in result.findings
        if f.rule == rule
    ]
    return {"outcome": str(worst([file.outcome for file in result.files])), "findings": findings}


if __name__ == "__main__":
    main()
