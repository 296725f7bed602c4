"""Several processes measure as one does: the same result, the same limits, and nothing left behind.

Each test runs a process of its own, since helpers are only forked where there is one thread.
"""

import io
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from weighbridge.measure.crew import BATCH_BYTES, BATCH_FILES, _Results, batches, worth_it

HEAD = """
import os, sys
from weighbridge.core.budget import Limits
from weighbridge.measure import Plan, crew, measure
from weighbridge.scan.engine import Scanner
from weighbridge.store import open_artifacts

def scan(jobs, limits=None, plan=None):
    artifact = open_artifacts([sys.argv[1]])
    scanner = Scanner(limits)
    found = measure(artifact, plan or Plan(), examine=scanner.examine, jobs=jobs, meter=scanner.budget)
    return found.manifest, found.unread, found.unlisted, scanner.finish(artifact, found.examined), scanner.budget.spent

forked = []
fork = os.fork
def counted():
    pid = fork()
    forked.append(pid)
    return pid
os.fork = counted
"""


def run(folder: Path, script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", HEAD + script, str(folder)], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("crew")
    for number in range(40):
        (path / f"notes-{number}.txt").write_text(f"weights: {number}\n" * 4000)
        (path / f"config-{number}.json").write_text(
            f'{{"layers": {number}, "auto_map": {{"AutoModel": "x.Y"}}}}'
        )
        (path / f"model-{number}.pkl").write_bytes(
            b"\x80\x02cposix\nsystem\nX\x17\0\0\0echo weighbridge-sample\x85R."
            if number % 8 == 0
            else b"\x80\x02}."
        )
    for number in range(3):
        header = b'{"w":{"dtype":"U8","shape":[1500000],"data_offsets":[0,1500000]}}'
        (path / f"model-{number}.safetensors").write_bytes(
            len(header).to_bytes(8, "little") + header + bytes([number]) * 1_500_000
        )
    return path


def test_helpers_see_what_one_process_sees(folder: Path) -> None:
    script = """
for plan in (Plan(), Plan(hashes=frozenset({"sha256", "blake3"}), tensors=True, shards=(("sha256", 100_000),), blake2b=True)):
    alone, together = scan(1, plan=plan), scan(3, plan=plan)
    for one, other in zip(alone, together): assert one == other, (str(one)[:900], str(other)[:900])
    assert len(alone[0].entries) == 123
    assert {f.rule for f in alone[3].findings} >= {"pickle-unsafe-call"}
assert len(forked) == 4, forked
print("same")
"""
    assert run(folder, script) == "same\n"


def test_a_helper_that_dies_leaves_nothing_out(folder: Path) -> None:
    script = """
alone = scan(1)
parent = os.getpid()
examine = Scanner.examine
def dies(self, member, source):
    if os.getpid() != parent and member.path.startswith("model-1"):
        os._exit(9)
    return examine(self, member, source)
Scanner.examine = dies
together = scan(3)
assert together[:4] == alone[:4]
print("same", len(forked))
"""
    assert run(folder, script) == "same 2\n"


def test_what_cannot_be_sent_is_done_again(folder: Path) -> None:
    script = """
alone = scan(1)
parent = os.getpid()
examine = Scanner.examine
def odd(self, member, source):
    found = examine(self, member, source)
    if os.getpid() == parent or not member.path.startswith("model-2"):
        return found
    return type("Other", (type(found),), {})(**{n: getattr(found, n) for n in found.__dataclass_fields__})
Scanner.examine = odd
together = scan(3)
assert together[:4] == alone[:4]
print("same")
"""
    assert run(folder, script) == "same\n"


def test_results_hold_values_of_our_own_classes_and_nothing_else() -> None:
    from weighbridge.core.finding import Place

    fine = [Place(path="a"), {1, 2}, frozenset(), 1j, ...]
    assert _Results(io.BytesIO(pickle.dumps(fine))).load() == fine
    for data in (b"cposix\nsystem\n.", b"cbuiltins\neval\n.", b"cweighbridge.measure.crew\nos.system\n.",
                 b"cweighbridge.measure.crew\nbatches\n.", b"\x80\x04\x8c\x18weighbridge.measure.crew\x8c\x02os\x93."):  # fmt: skip
        with pytest.raises((pickle.UnpicklingError, AttributeError)):
            _Results(io.BytesIO(data)).load()


def test_limits_are_for_all_together_and_end_at_the_same_place(folder: Path) -> None:
    script = """
limits = Limits(bytes=100)
alone, together = scan(1, limits), scan(3, limits)
for one, other in zip(alone[:4], together[:4]): assert one == other, (str(one)[:1500], str(other)[:1500])
assert [u for u in alone[3].unread if u.code == "limit-bytes"], alone[3].unread
print("same", len(forked))
"""
    assert run(folder, script) == "same 2\n"


def test_a_process_with_threads_does_not_fork(folder: Path) -> None:
    script = """
import threading
event = threading.Event()
threading.Thread(target=event.wait).start()
scan(3)
event.set()
print(len(forked))
"""
    assert run(folder, script) == "0\n"


def test_an_interrupt_leaves_no_process_behind(folder: Path) -> None:
    script = (
        HEAD
        + """
import time
parent = os.getpid()
examine = Scanner.examine
def slow(self, member, source):
    os.write(1, b"%d\\n" % os.getpid())
    time.sleep(60)
    return examine(self, member, source)
Scanner.examine = slow
scan(2)
"""
    )
    running = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert running.stdout is not None
    pids = {int(running.stdout.readline()), int(running.stdout.readline())}
    assert len(pids) == 2
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait(20) != 0
    running.stdout.close()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_small_files_are_not_shared_out() -> None:
    assert not worth_it([1000] * 500, 8)
    assert not worth_it([10**6] * 100, 1)


def test_batches_hold_every_file_once_the_large_ones_first() -> None:
    sizes = [10, BATCH_BYTES, *[1000] * 100, 3 * BATCH_BYTES, *[BATCH_BYTES // 2] * 5]
    made = batches(sizes, range(len(sizes)))
    assert sorted(index for batch in made for index in batch) == list(range(len(sizes)))
    assert made[:2] == [[102], [1]]
    assert all(len(batch) <= BATCH_FILES for batch in made)
    assert all(sum(sizes[i] for i in batch) <= BATCH_BYTES for batch in made[2:])
    assert len(batches([5] * 600_000, range(600_000))) < 10_000
