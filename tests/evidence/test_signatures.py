"""Which files beside a model are signatures and nothing else, so that they are left out of what is weighed."""

from pathlib import Path

import pytest

from weighbridge.core.artifact import Artifact, Member
from weighbridge.core.source import MemorySource, Source
from weighbridge.evidence.signatures import bundles_of, remote_bundles

VECTORS = Path(__file__).parent.parent / "vectors" / "oms"
GOOD = b"".join((VECTORS / "spec-1.0-key.sig").read_bytes().split(b"\n")) + b"\n"
LINES = {
    "one bundle": (GOOD, True),
    "two bundles": (GOOD + GOOD, True),
    "a blank line": (GOOD + b"\n" + GOOD, True),
    "a line that is none": (GOOD + b"{junk\n", False),
    "a program behind it": (GOOD + b"import os; os.system('echo weighbridge-sample')\n", False),
    "another object": (GOOD + b'{"auto_map": {}}\n', False),
    "nothing": (b"\n", False),
}


@pytest.mark.parametrize("name", LINES)
def test_a_file_of_signatures_is_left_out_where_every_line_is_one(tmp_path: Path, name: str) -> None:
    data, left_out = LINES[name]
    (tmp_path / "model.sig.jsonl").write_bytes(data)
    assert bundles_of(tmp_path)[1] == (frozenset({"model.sig.jsonl"}) if left_out else frozenset())


class _Files:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def open(self, member: Member) -> Source:
        return MemorySource(self.data)


@pytest.mark.parametrize("name", LINES)
def test_so_it_is_for_a_model_that_lies_elsewhere(name: str) -> None:
    data, left_out = LINES[name]
    member = Member("model.sig.jsonl", len(data))
    artifact = Artifact(name="model", files=_Files(data), members=(member,), obstacles=())
    assert remote_bundles(artifact, ())[0].members == (() if left_out else (member,))
