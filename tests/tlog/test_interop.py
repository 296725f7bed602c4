"""Another implementation reads our logs: tlog-scales, in an environment of its own."""

import base64
import json
import subprocess
from pathlib import Path

import pytest

from tests.services import ROOT, skip_unless
from weighbridge.tlog.client import LogReader, from_directory
from weighbridge.tlog.entry import write_entry
from weighbridge.tlog.note import Kind
from weighbridge.tlog.publish import publish
from weighbridge.tlog.sequencer import Sequencer
from weighbridge.tlog.targets import DirectoryTarget

from .logs import EAST, LOG, NOW, ORIGIN, SOUTH, cosigners, entries, entry, policy, rfc_root, signer

READER = """
import json, sys
from pathlib import Path
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey, VkeySet
from tlog_scales.tiles import leaf_hash
from tlog_scales.utils import b64enc

folder, numbers, keys = json.loads(sys.argv[1])
reader = TilesReader(LocalBackend(Path(folder)))
head = reader.get_checkpoint()
found = {"size": head.size, "root": b64enc(head.root_hash), "tiles": b64enc(reader.calculate_root_hash())}
vkeys = VkeySet(*map(Vkey.from_string, keys))
found["signed"] = sorted(key.serialize() for key, _ in vkeys.verify(head.signatures, head))
found["proofs"] = {}
for number in numbers:
    entry, proof = reader.get_entry(number), reader.get_inclusion_proof(number, head.size)
    proof.check(leaf_hash(entry), head.root_hash)
    found["proofs"][number] = [entry.decode(), [b64enc(one) for one in proof.node_hashes]]
print(json.dumps(found))
"""


def program() -> Path:
    """The interpreter that has it."""
    python = ROOT / ".venv-interop/bin/python"
    there = python.exists() and not subprocess.run([python, "-c", "import tlog_scales"], stderr=-3).returncode
    skip_unless(there, "tlog-scales")
    return python


@pytest.mark.real
@pytest.mark.parametrize("size", [1, 256, 700])
def test_another_implementation_reads_our_log(tmp_path: Path, size: int) -> None:
    """Head, root, entries, proofs, and signatures of all three kinds."""
    python = program()
    log, second = Sequencer(tmp_path / "log.db", ORIGIN), signer(ORIGIN, Kind.MLDSA44)
    log.append(entries(0, size))
    public = tmp_path / "public"
    publish(
        log, DirectoryTarget(public), [LOG, second], now=NOW, cosigners=cosigners(tmp_path, (EAST, SOUTH))
    )
    log.close()
    numbers = sorted({0, size // 2, size - 1})
    keys = sorted(str(key.vkey) for key in (LOG, second, EAST, SOUTH))
    asked = json.dumps([str(public), numbers, keys])
    done = subprocess.run([python, "-c", READER, asked], capture_output=True)
    assert not done.returncode, done.stderr.decode()
    found = json.loads(done.stdout)
    root = base64.b64encode(rfc_root([write_entry(one) for one in entries(0, size)])).decode()
    assert (found["size"], found["root"], found["tiles"]) == (size, root, root)
    assert found["signed"] == keys
    ours = LogReader(from_directory(public), policy(0))
    ours.refresh(NOW)
    for number in numbers:
        hashes = [base64.b64encode(one).decode() for one in ours.prove(number).hashes]
        assert found["proofs"][str(number)] == [write_entry(entry(number)).decode(), hashes]
