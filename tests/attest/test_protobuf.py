"""in-toto's own bindings read what we write, and we read what they write."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.attest.examples import EXAMPLES, payload
from weighbridge.attest import predicates
from weighbridge.core.statement import read_statement

ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("WEIGHBRIDGE_INTEROP_PYTHON") or ROOT / ".venv-interop/bin/python")
REQUIRED = os.environ.get("WEIGHBRIDGE_REAL") == "1"


@pytest.mark.real
def test_the_bindings_agree() -> None:
    bindings = [PYTHON, "-c", "import in_toto_attestation"]
    if not REQUIRED and (
        not PYTHON.exists() or subprocess.run(bindings, capture_output=True, check=False).returncode
    ):
        pytest.skip("in-toto-attestation is not installed")
    lines = b"\n".join(payload(word) for word in EXAMPLES)
    script = Path(__file__).with_name("make_protobuf.py")
    done = subprocess.run([PYTHON, script], input=lines, capture_output=True, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(EXAMPLES)
    assert sum(answer["checked"] for answer in answers) == 3
    for word, answer in zip(EXAMPLES, answers, strict=True):
        theirs = read_statement(json.dumps(answer["statement"]).encode())
        ours = read_statement(payload(word))
        assert theirs.subjects == ours.subjects
        if word not in FLOATS:
            assert predicates.read(theirs) == predicates.read(ours), word


FLOATS = frozenset({"dataset", "training", "scan", "check", "convert", "recall", "plan", "eval-result"})
"""Protobuf's `Struct` holds every number as a float; our reader wants whole numbers to be written as such."""
