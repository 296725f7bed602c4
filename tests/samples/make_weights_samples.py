"""Makes the samples of the rules `weights-…`. Not a test; run it by hand: `PYTHONPATH=. python tests/samples/make_weights_samples.py`."""

import json
import random
import struct
from array import array
from pathlib import Path
from typing import Any

from tests.measure.models import safetensors
from tests.tensorfiles import external, message, model, node, tensor

SAMPLES = Path(__file__).parent
CHANCE = random.Random(20260801)
PICKLE = b"cos\nsystem\n(S'echo weighbridge-sample'\ntR."
ELF = (
    b"\x7fELF\x02\x01\x01"
    + bytes(9)
    + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x400000, 64, 0, 0, 64, 56, 0, 64, 0, 0)
)


def numbers(count: int) -> bytes:
    """What trained weights look like."""
    return array("f", [CHANCE.gauss(0, 0.02) for _ in range(count)]).tobytes()


def written(data: bytes, payload: bytes) -> bytes:
    """The payload in the low byte of each number."""
    changed = bytearray(data)
    changed[: 4 * len(payload) : 4] = payload
    return bytes(changed)


def f32(**tensors: bytes) -> bytes:
    return safetensors({name: ("F32", (len(data) // 4,), data) for name, data in tensors.items()})


def leave(rule: str, files: dict[str, bytes], outcome: str, *findings: dict[str, Any]) -> None:
    folder = SAMPLES / rule
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    expected = {"outcome": outcome, "findings": [{"rule": rule, **finding} for finding in findings]}
    (folder / "expected.json").write_text(json.dumps(expected, indent=2) + "\n")


def found(severity: str, where: str = "", path: str = "sample.safetensors") -> dict[str, Any]:
    return {"severity": severity, "path": path, "where": where}


def pair(bad: bytes, good: bytes, suffix: str = "safetensors") -> dict[str, bytes]:
    return {f"sample.{suffix}": bad, f"benign.{suffix}": good}


def main() -> None:
    """Write all of them."""
    good = numbers(1000)
    nan = struct.pack("<f", float("nan")) + good[4:400]
    leave("weights-not-finite", pair(f32(w=nan), f32(w=good[:400])), "pass", found("warning", "w"))
    leave("weights-constant", pair(f32(w=good[:4] * 64), f32(w=good[:256])), "pass", found("note"))
    leave(
        "weights-duplicate",
        pair(f32(a=good[:256], b=good[:256]), f32(a=good[:256], b=good[256:512])),
        "pass",
        found("note"),
    )
    leave("weights-low-bits", pair(f32(w=written(good, PICKLE)), f32(w=good)), "fail", found("error", "w"))
    carried = good[:260] + ELF + good[324:]
    leave("weights-appended", pair(f32(w=carried), f32(w=good)), "fail", found("error", "w"))
    raw = message(9, good[:32])
    weights = [tensor(5, name, (8,), 1, raw) for name in ("x", "spare")]
    ends = [message(11, message(1, "x")), message(12, message(1, "y"))]
    unused, used = model(node("Relu"), *weights, *ends), model(node("Relu"), weights[0], *ends)
    leave("weights-unused", pair(unused, used, "onnx"), "pass", found("note", path="sample.onnx"))
    outside = model(node("Relu"), tensor(5, "x", (8,), 1, external("w.bin", length="32")), *ends)
    inside = model(node("Relu"), tensor(5, "x", (8,), 1, raw), *ends)
    files = {"sample/m.onnx": outside, "sample/w.bin": good[:32], "benign/m.onnx": inside}
    leave("weights-unseen", files, "pass", found("note", path="m.onnx"))


if __name__ == "__main__":
    main()
