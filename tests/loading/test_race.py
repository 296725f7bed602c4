"""The gap between check and use, for real: somebody rewrites the file while it is loaded, hundreds of times."""

import hashlib
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from safetensors.numpy import save_file

import weighbridge

TRIES = 60

WRITER = """
import os, sys, itertools
good, bad = (open(name, "rb").read() for name in sys.argv[2:4])
how = sys.argv[4]
print("ready", flush=True)
for number in itertools.count():
    data = bad if number % 2 else good
    if how == "in place":
        with open(sys.argv[1], "r+b") as file:
            file.write(data)
    elif how == "rename":
        with open(sys.argv[1] + ".new", "wb") as file:
            file.write(data)
        os.replace(sys.argv[1] + ".new", sys.argv[1])
    elif how == "link":
        os.symlink(sys.argv[3 if number % 2 else 2], sys.argv[1] + ".new")
        os.replace(sys.argv[1] + ".new", sys.argv[1])
    elif how == "truncate":
        os.truncate(sys.argv[1], number % len(good))
        with open(sys.argv[1], "wb") as file:
            file.write(good)
"""


@pytest.fixture
def contested(tmp_path, sign):
    """A signed one-file model, its good and its bad bytes."""
    good = np.random.default_rng(7).integers(0, 255, 300_000, dtype=np.uint8)
    path = tmp_path / "model.safetensors"
    save_file({"w": good}, path)
    sign(path)
    (tmp_path / "good").write_bytes(path.read_bytes())
    bad = good.copy()
    bad[1000:2000] ^= 1
    save_file({"w": bad}, tmp_path / "bad")
    return path, tmp_path / "good", tmp_path / "bad", good


@pytest.mark.parametrize("how", ["in place", "rename", "link", "truncate"])
@pytest.mark.parametrize("share", [False, True], ids=["private", "sealed"])
def test_the_signed_bytes_or_a_refusal(contested, key, how, share):
    path, good, bad, array = contested
    command = [sys.executable, "-c", WRITER, str(path), str(good), str(bad), how]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE)
    expected = hashlib.sha256(array.tobytes()).digest()
    loaded = refused = 0
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        for _ in range(TRIES):
            try:
                found = weighbridge.load(path, key=key, jobs=1, share=share)["w"]
            except (weighbridge.LoadRefused, weighbridge.WeighbridgeError):
                refused += 1
            else:
                assert hashlib.sha256(found.tobytes()).digest() == expected
                loaded += 1
    finally:
        writer.kill()
        writer.communicate()
    assert loaded + refused == TRIES
    assert refused > 0, "nothing was contested"


def test_a_single_tensor_under_fire(contested, key):
    path, good, bad, array = contested
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(good), str(bad), "in place"], stdout=subprocess.PIPE
    )
    expected = array.tobytes()
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        for _ in range(TRIES):
            try:
                found = weighbridge.load(path, key=key, jobs=1, tensors=["w"])["w"]
            except weighbridge.WeighbridgeError:
                continue
            assert found.tobytes() == expected
    finally:
        writer.kill()
        writer.communicate()


def test_what_was_loaded_does_not_change_under_fire(contested, key):
    """The arrays are no mapping of the file."""
    path, good, bad, array = contested
    path.write_bytes(good.read_bytes())
    found = weighbridge.load(path, key=key)["w"]
    done = threading.Event()

    def write():
        while not done.is_set():
            with path.open("r+b") as file:
                file.write(bad.read_bytes())
            os.truncate(path, 0)
            path.write_bytes(good.read_bytes())

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(100):
            assert found.tobytes() == array.tobytes()
    finally:
        done.set()
        thread.join()
