"""Sealed memory: nobody can change it, in this process or another, and who opens it sees the verified bytes."""

import errno
import fcntl
import gc
import mmap
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

import weighbridge
from tests.loading.conftest import ARRAYS
from weighbridge.loading.memory import SEALS, Sealing, private

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="no memfd here")


@pytest.fixture
def shared(model, key):
    with weighbridge.share(model, key=key) as found:
        yield found


def test_every_file_of_the_model_is_there(shared, model):
    assert set(shared) == {"config.json", "model.safetensors"}
    for path, file in shared.items():
        assert Path(file.name).read_bytes() == (model / path).read_bytes()
        assert file.size == (model / path).stat().st_size
        assert fcntl.fcntl(file.fd, fcntl.F_GET_SEALS) & SEALS == SEALS
    assert shared.report.verdict.decision.value == "admitted"


def test_libraries_open_it_by_its_path(shared):
    with safe_open(shared["model.safetensors"].name, "np") as file:
        assert set(file.keys()) == set(ARRAYS)
        np.testing.assert_array_equal(file.get_tensor("layer.weight"), ARRAYS["layer.weight"])


def test_the_seals_hold(shared):
    file = shared["model.safetensors"]
    for attempt in (
        lambda: os.pwrite(file.fd, b"x", 0),
        lambda: os.ftruncate(file.fd, 0),
        lambda: os.ftruncate(file.fd, file.size + 1),
        lambda: fcntl.fcntl(file.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW),
        lambda: mmap.mmap(file.fd, file.size, flags=mmap.MAP_SHARED),
    ):
        with pytest.raises(OSError, match=r"not permitted|denied") as refused:
            attempt()
        assert refused.value.errno in (errno.EPERM, errno.EACCES)
    again = os.open(file.name, os.O_RDWR)
    with pytest.raises(PermissionError):
        os.write(again, b"x")
    os.close(again)


def test_another_process_can_read_and_not_write(shared):
    file = shared["config.json"]
    program = (
        "import os, sys\n"
        "print(open(sys.argv[1]).read())\n"
        "fd = os.open(sys.argv[1], os.O_RDWR)\n"
        "try: os.write(fd, b'x')\n"
        "except PermissionError: print('sealed')\n"
    )
    for name, kept in ((file.name_for_others, ()), (file.name, (file.fd,))):
        done = subprocess.run(
            [sys.executable, "-c", program, name], capture_output=True, text=True, pass_fds=kept, check=True
        )
        assert done.stdout.split("\n")[:2] == ['{"hidden_size": 4}', "sealed"]


def test_changing_the_file_afterwards_changes_nothing(shared, model):
    (model / "config.json").write_bytes(b"another")
    assert Path(shared["config.json"].name).read_bytes() == b'{"hidden_size": 4}'


def test_a_shared_load_gives_arrays_over_the_sealed_memory(model, key):
    found = weighbridge.load(model, key=key, share=True)
    file = found.shared["model.safetensors"]
    array = found["layer.weight"]
    np.testing.assert_array_equal(array, ARRAYS["layer.weight"])
    assert fcntl.fcntl(file.fd, fcntl.F_GET_SEALS) & SEALS == SEALS
    fd = file.fd
    file.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
    assert array.sum() == ARRAYS["layer.weight"].sum()  # memory that is mapped stays


def test_descriptors_are_given_back(model, key):
    weighbridge.load(model, key=key, share=True)
    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        weighbridge.load(model, key=key, share=True)
        with weighbridge.share(model, key=key):
            pass
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    (model / "config.json").write_text("changed")
    for _ in range(5):
        with pytest.raises(weighbridge.LoadRefused):
            weighbridge.share(model, key=key)
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_memory_that_there_is_not():
    with pytest.raises(weighbridge.WeighbridgeError, match="limit-memory"):
        private(2**62)
    with pytest.raises(weighbridge.WeighbridgeError, match="limit-memory"):
        Sealing(2**62, "x")


def test_an_empty_file_is_sealed_too():
    held = Sealing(0, "empty").seal()
    assert held.size == 0
    with pytest.raises(PermissionError):
        os.write(held.fd, b"x")
