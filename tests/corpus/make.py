"""The corpus: every case of every family; run by hand it writes them all to a folder, for other scanners to be held against.

    PYTHONPATH=.:src python tests/corpus/make.py /tmp/corpus

Each case becomes `FAMILY/NAME/…` and a line of `labels.json`. Payloads are `echo weighbridge` at most; nothing is run.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.corpus import benign, containers, pickles, repositories, sidefiles, tensorflow, tensors
from tests.corpus.case import Case


def cases() -> Iterator[Case]:
    """Everything, in a fixed order."""
    for family in (pickles, containers, tensors, sidefiles, repositories, tensorflow, benign):
        yield from family.cases()


def write(folder: Path) -> None:
    """One directory a case; names that a disk cannot hold are left out."""
    labels = {}
    for number, case in enumerate(cases()):
        directory = folder / case.family / f"{number:04}"
        for path, data in case.files.items():
            target = directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        labels[f"{case.family}/{number:04}"] = {"name": case.name, "expect": str(case.expect)}
    (folder / "labels.json").write_text(json.dumps(labels, indent=1))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
