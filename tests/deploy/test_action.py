"""The body of the GitHub Action, run as a runner would run it: inputs in the environment, files for what it leaves."""

import json
import os
import re
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cli.conftest import write_model

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    summary: str
    outputs: dict[str, str]
    sarif: Path


@pytest.fixture
def action(tmp_path):
    model = write_model(tmp_path / "model")

    def run(**inputs: str) -> Ran:
        given = {
            "path": str(model),
            "command": "scan",
            "key": "",
            "policy": "",
            "version": "",
            "sarif": "w.sarif",
        }
        environment = {f"INPUT_{name.upper()}": value for name, value in (given | inputs).items()}
        environment |= {
            "PATH": f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}",
            "ACTION_PATH": str(ROOT),
            "RUNNER_TEMP": str(tmp_path),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
            "GITHUB_OUTPUT": str(tmp_path / "output"),
        }
        done = subprocess.run(
            ["bash", ROOT / "deploy" / "action.sh"],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        read = {
            name: (tmp_path / name).read_text() if (tmp_path / name).exists() else ""
            for name in ("summary.md", "output")
        }
        outputs = dict(line.split("=", 1) for line in read["output"].splitlines())
        return Ran(done.returncode, done.stdout, read["summary.md"], outputs, tmp_path / "w.sarif")

    run.model = model
    return run


def test_a_clean_model_gets_a_summary_too(action):
    ran = action()
    assert ran.code == 0
    assert "ADMITTED" in ran.summary
    assert ran.outputs["verdict"] == "admitted"
    assert json.loads(ran.sarif.read_text())["version"] == "2.1.0"


def test_a_harmful_file_fails_the_step_and_is_annotated(action):
    (action.model / "head.bin").write_bytes(b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00echoq\x00\x85R.")
    ran = action()
    assert ran.code == 1
    assert ran.outputs["verdict"] == "refused"
    assert "REFUSED" in ran.summary
    assert re.search(r"^::error .*head\.bin", ran.out, re.MULTILINE)


@pytest.mark.parametrize("command", ["scan; echo owned", "$(echo owned)", "", "report"])
def test_an_input_is_never_a_command(action, command):
    ran = action(command=command)
    assert ran.code == 2
    assert "owned" not in ran.out.replace(command, "")


@pytest.mark.parametrize("path", ["$(touch owned)", "-h", "; touch owned", "nowhere"])
def test_a_path_is_never_an_option_or_a_command(action, path, tmp_path):
    assert action(path=path).code == 2
    assert not (tmp_path / "owned").exists()


def test_the_action_hands_every_input_to_the_script():
    text = (ROOT / "action.yml").read_text()
    script = (ROOT / "deploy" / "action.sh").read_text()
    declared = set(re.findall(r"^  (\w+):\n    description", text.partition("outputs:")[0], re.MULTILINE))
    handed = {name.lower() for name in re.findall(r"INPUT_(\w+): \$\{\{ inputs\.\w+ \}\}", text)}
    used = {name.lower() for name in re.findall(r"INPUT_(\w+)", script)}
    assert declared == handed == used
    assert "${{ inputs" not in text.partition("run: bash")[2]
