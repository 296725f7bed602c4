"""torch, transformers, keras, joblib and ONNX Runtime themselves under a guard, in an environment of their own.

The Python that has them is named by WEIGHBRIDGE_TORCH_PYTHON, else it is `.venv-torch/bin/python` (`make .venv-torch/.ready`).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("WEIGHBRIDGE_TORCH_PYTHON") or ROOT / ".venv-torch" / "bin" / "python")
WANTED = "import torch, transformers, keras, onnx, onnxruntime, joblib"


def there() -> bool:
    env = {**os.environ, "KERAS_BACKEND": "torch"}
    return not subprocess.run([PYTHON, "-c", WANTED], capture_output=True, env=env).returncode


pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        os.environ.get("WEIGHBRIDGE_REAL") != "1" and not PYTHON.exists(),
        reason="there is no Python with torch",
    ),
]


def run(folder: Path, keys: Path) -> dict[str, object]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(str(path) for path in sys.path if path)}
    command = [str(PYTHON), str(Path(__file__).with_name("real_libraries.py")), str(folder)]
    command += [str(keys / "publisher.key"), str(keys / "publisher.pub")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, env=env)
    assert done.returncode == 0, done.stderr
    answers: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answers


def test_real_libraries_load_what_is_admitted_and_refuse_the_rest(tmp_path, keys):
    if not there() and os.environ.get("WEIGHBRIDGE_REAL") != "1":
        pytest.skip("not all of these libraries are there")
    answers = run(tmp_path, keys)
    assert answers.pop("trace") is False
    bad = {name: answer for name, answer in answers.items() if name.startswith(("bad", "changed"))}
    good = {name: answer for name, answer in answers.items() if name not in bad}
    assert good == dict.fromkeys(good, "loaded")
    assert len(good) == 21
    changed = {name: answer for name, answer in bad.items() if name.startswith("changed")}
    assert changed == {name: ["contents-differ"] for name in changed}
    assert len(changed) == 3
    harmful = {name: answer for name, answer in bad.items() if name.startswith("bad")}
    assert harmful == {name: ["error-finding"] for name in harmful}
    assert len(harmful) == 7
