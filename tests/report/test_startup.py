"""The screen and the JSON document come without the libraries that only other formats need."""

import subprocess
import sys
from pathlib import Path

SRC = Path(__file__).parents[2] / "src"
PROGRAM = """
import sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
from tests.report import reports
from weighbridge.policy import judge, load_preset
from weighbridge.report import render
load_preset("production")
render(reports.refused()), render(reports.refused(), "json")
print(sorted({"msgspec", "jinja2", "cel", "rich", "xml", "cryptography", "difflib"} & set(sys.modules)))
"""


def test_lazy_imports() -> None:
    arguments = [sys.executable, "-c", PROGRAM, str(SRC), str(SRC.parent)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
