"""Functions that nobody in the model calls: installers, registries and loaders call them by name."""

import pytest

from tests.scan.samples import scan
from weighbridge.core.evidence import Outcome, worst

RUN = '    os.system("echo weighbridge-sample")\n'
INSTALL = "import os\nfrom setuptools import setup\nfrom setuptools.command.{0} import {0}\nclass C({0}):\n  def run(self):\n"


@pytest.mark.parametrize(
    ("files", "outcome"),
    [
        ({"setup.py": INSTALL.format("install") + RUN + 'setup(cmdclass={"install": C})\n'}, Outcome.FAIL),
        ({"setup.py": INSTALL.format("develop") + RUN + 'setup(cmdclass={"develop": C})\n'}, Outcome.FAIL),
        ({"setup.py": INSTALL.format("build_ext") + RUN + 'setup(cmdclass={"build_ext": C})\n'}, Outcome.UNKNOWN),
        ({"loader.py": f"import os\ndef _load_pyfunc(path):\n{RUN}"}, Outcome.FAIL),
        ({"code.py": f'import os, spacy\n@spacy.registry.callbacks("x.v1")\ndef f():\n{RUN}'}, Outcome.FAIL),
        ({"code.py": f"import os, spacy\ndef f():\n{RUN}"}, Outcome.UNKNOWN),
    ],
    ids=["install", "develop", "build", "mlflow", "spacy", "nobody"],
)  # fmt: skip
def test_what_others_call_by_name_runs(files: dict[str, str], outcome: Outcome) -> None:
    found = scan({name: text.encode() for name, text in files.items()})
    assert worst(file.outcome for file in found.files) is outcome


def test_a_template_that_writes_a_script_fails() -> None:
    page = "{% for m in messages %}{{ m.content }}{% endfor %}<script>go()</script>"
    assert scan({"chat_template.jinja": page.encode()}).files[0].outcome is Outcome.FAIL
