"""The guard over real libraries: what is signed loads as ever, what is not admitted is refused and does nothing."""

import io
import os
import pickle
import pickle as again
import shelve
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from pickle import loads as copied_loads

import joblib
import numpy as np
import pytest
import safetensors
from numpy import load as copied_load
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import weighbridge
from tests.loading.conftest import ARRAYS
from weighbridge.core.errors import UsageError
from weighbridge.integrations import active, guarding
from weighbridge.integrations.libraries import INSTALLERS
from weighbridge.integrations.places import Home, home_of

ORIGINALS = {
    "load_file": load_file, "safe_open": safe_open, "np": np.load, "joblib": joblib.load, "load": pickle.load,
    "loads": pickle.loads, "Unpickler": pickle.Unpickler,
}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    assert active.guards() == ()
    assert pickle.load is ORIGINALS["load"]
    assert pickle.loads is ORIGINALS["loads"]
    assert copied_loads is ORIGINALS["loads"]
    assert pickle.Unpickler is ORIGINALS["Unpickler"]
    assert np.load is ORIGINALS["np"]
    assert copied_load is ORIGINALS["np"]
    assert joblib.load is ORIGINALS["joblib"]
    assert safe_open is ORIGINALS["safe_open"]
    assert safetensors.safe_open is ORIGINALS["safe_open"]
    assert not any(type(finder).__module__.startswith("weighbridge") for finder in sys.meta_path)


@pytest.fixture
def lax():
    """Unsigned files may pass; nothing that runs code may."""
    with weighbridge.guard(policy="research") as guard:
        yield guard


def refused(call, match="load-refused"):
    with pytest.raises(weighbridge.LoadRefused, match=match) as caught:
        call()
    return caught.value


# safetensors


def test_signed_weights_load_through_every_door(model, key):
    path = model / "model.safetensors"
    with weighbridge.guard(key=key) as guard:
        np.testing.assert_array_equal(load_file(path)["ids"], ARRAYS["ids"])
        with safe_open(str(path), framework="np") as file:
            assert set(file.keys()) == set(ARRAYS)
        with safe_open(filename=path, framework="numpy") as file:
            np.testing.assert_array_equal(file.get_tensor("ids"), ARRAYS["ids"])
        assert guard.weighed == 3


@pytest.mark.parametrize("spoil", ["changed", "unsigned", "unnamed", "other key"])
def test_weights_that_are_not_what_was_signed(model, key, keys, spoil):
    path = model / "model.safetensors"
    if spoil == "changed":
        save_file({"w": np.zeros(3)}, path)
    elif spoil == "unsigned":
        (model / "model.sig").unlink()
    elif spoil == "unnamed":
        path = path.rename(model / "another.safetensors")
    with weighbridge.guard(key=keys / "other.pub" if spoil == "other key" else key):
        for call in (lambda: load_file(path), lambda: safe_open(path, "np")):
            refused(call)


def test_the_library_gets_the_bytes_that_were_weighed_and_not_the_path(model, key, monkeypatch):
    """Whoever exchanges the file between weighing and opening exchanges nothing."""
    path = model / "model.safetensors"
    real = guarding.Guard.admit

    def then_exchange(self, name, beside=()):
        found = real(self, name, beside)
        save_file({"ids": np.zeros(1)}, path)
        return found

    monkeypatch.setattr(guarding.Guard, "admit", then_exchange)
    with weighbridge.guard(key=key):
        np.testing.assert_array_equal(load_file(path)["ids"], ARRAYS["ids"])


def test_a_library_s_own_error_for_what_is_not_there(lax, tmp_path):
    with pytest.raises(FileNotFoundError):
        load_file(tmp_path / "nothing.safetensors")
    with pytest.raises(FileNotFoundError):
        np.load(tmp_path / "nothing.npy")


# pickle


def test_harmless_pickles_load_and_harmful_ones_do_nothing(lax, tmp_path, harmful):
    good = {"a": [1, 2.5, "x"], "b": (None, True)}
    (tmp_path / "good.pkl").write_bytes(pickle.dumps(good))
    (tmp_path / "bad.pkl").write_bytes(harmful)
    assert pickle.loads(pickle.dumps(good)) == good
    assert copied_loads(bytearray(pickle.dumps(good))) == good
    with (tmp_path / "good.pkl").open("rb") as file:
        assert again.load(file) == good
    with (tmp_path / "good.pkl").open("rb") as file:
        assert pickle.Unpickler(file).load() == good
    with (tmp_path / "bad.pkl").open("rb") as file:
        refused(lambda: pickle.load(file), "pickle-unsafe-call")
    with (tmp_path / "bad.pkl").open("rb") as file:
        refused(lambda: pickle.Unpickler(file).load(), "pickle-unsafe-call")
    for call in (pickle.loads, copied_loads):
        refused(lambda call=call: call(harmful), "pickle-unsafe-call")
    refused(lambda: pickle.load(io.BytesIO(harmful)), "pickle-unsafe-call")


class Early(pickle.Unpickler):
    """Derived from the real Unpickler, before any guard."""


KEPT = [pickle.loads]


def test_what_was_copied_before_the_guard_gets_at_no_name(lax, harmful):
    for call in (
        lambda: Early(io.BytesIO(harmful)).load(),
        lambda: KEPT[0](harmful),
        lambda: pickle._Unpickler(io.BytesIO(harmful)).load(),
        lambda: pickle._loads(harmful),
    ):
        refused(call, "past the guard")
    assert KEPT[0](pickle.dumps([1, "x"])) == [1, "x"]  # needs no name, so it can do nothing


def test_several_pickles_in_one_file_and_what_follows(lax, tmp_path):
    path = tmp_path / "two.pkl"
    path.write_bytes(pickle.dumps({"x": 1}) + pickle.dumps([2]))
    with path.open("rb") as file:
        assert pickle.load(file) == {"x": 1}
        assert pickle.load(file) == [2]
        assert file.read() == b""
    with path.open("rb") as file:
        unpickler = pickle.Unpickler(file)
        assert unpickler.load() == {"x": 1}
        assert file.tell() == len(pickle.dumps({"x": 1}))
        assert unpickler.load() == [2]


def test_a_stream_that_can_be_read_only_once(lax):
    reading, writing = os.pipe()
    os.write(writing, pickle.dumps(1))
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        refused(lambda: pickle.load(file), "only be read once")


def test_an_open_file_whose_name_leads_elsewhere(lax, tmp_path):
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(1))
    with path.open("rb") as file:
        (tmp_path / "y.pkl").write_bytes(pickle.dumps(2))
        (tmp_path / "y.pkl").replace(path)
        refused(lambda: pickle.load(file), "not the file that its name leads to")


def test_a_signed_pickle_under_a_policy_that_wants_signatures(tmp_path, sign, key):
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps({"x": 1}))
    with weighbridge.guard(key=key), path.open("rb") as file:
        refused(lambda: pickle.load(file), "no-signature")
        assert pickle.loads(pickle.dumps({"x": 1})) == {
            "x": 1
        }  # lies in no file: only its content is asked about
    sign(path)
    with weighbridge.guard(key=key), path.open("rb") as file:
        assert pickle.load(file) == {"x": 1}


def twice(number):
    return 2 * number


def test_processes_of_one_program_still_talk(lax):
    import multiprocessing

    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(twice, 21).result(timeout=60) == 42


def test_shelves_are_pickles_too(tmp_path, harm):
    with shelve.open(str(tmp_path / "shelf")) as shelf:
        shelf["x"] = harm
        shelf["y"] = [1]
    with weighbridge.guard(policy="research"), shelve.open(str(tmp_path / "shelf")) as shelf:
        assert shelf["y"] == [1]
        refused(lambda: shelf["x"])


# numpy and joblib


def test_numpy(lax, tmp_path, harm):
    np.save(tmp_path / "x.npy", np.arange(5))
    np.savez(tmp_path / "x.npz", a=np.arange(3), b=np.ones(2))
    np.save(tmp_path / "bad.npy", np.array([harm], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "bad.npz", a=np.array([harm], dtype=object))
    assert copied_load(tmp_path / "x.npy").sum() == 10
    assert np.load(tmp_path / "x.npy", mmap_mode="r")[-1] == 4
    with (tmp_path / "x.npy").open("rb") as file:
        assert np.load(file).sum() == 10
    with np.load(tmp_path / "x.npz") as archive:
        assert archive["b"].sum() == 2
    for name in ("bad.npy", "bad.npz"):
        refused(lambda name=name: np.load(tmp_path / name, allow_pickle=True), "pickle-unsafe-call")


def test_joblib(lax, tmp_path, harm):
    joblib.dump({"a": np.arange(3)}, tmp_path / "x.joblib")
    joblib.dump({"a": np.arange(3)}, tmp_path / "x.joblib.gz", compress=3)
    joblib.dump(harm, tmp_path / "bad.joblib")
    joblib.dump(harm, tmp_path / "bad.joblib.z", compress=True)
    assert joblib.load(tmp_path / "x.joblib")["a"].tolist() == [0, 1, 2]
    assert joblib.load(filename=tmp_path / "x.joblib.gz")["a"].tolist() == [0, 1, 2]
    assert joblib.load(tmp_path / "x.joblib", mmap_mode="r")["a"].tolist() == [0, 1, 2]
    for name in ("bad.joblib", "bad.joblib.z"):
        refused(lambda name=name: joblib.load(tmp_path / name))


# The guard itself


def test_every_active_guard_must_admit(model, key, keys):
    path = model / "model.safetensors"
    with weighbridge.guard(key=keys / "other.pub"):
        with weighbridge.guard(policy="research", key=key):
            refused(lambda: load_file(path))
        refused(lambda: load_file(path))
    with weighbridge.guard(key=key), weighbridge.guard(key=key) as inner:
        load_file(path)
        assert inner.weighed == 1
    with weighbridge.guard(key=key) as guard, guard:
        load_file(path)


def test_a_guard_is_the_process_s_not_a_thread_s(model, keys):
    said = []

    def work():
        try:
            load_file(model / "model.safetensors")
        except weighbridge.LoadRefused as error:
            said.append(error.code)

    with weighbridge.guard(key=keys / "other.pub"):
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert said == ["load-refused"] * 8


def test_guards_come_and_go_in_threads(model, key):
    errors = []

    def work():
        try:
            for _ in range(5):
                with weighbridge.guard(key=key):
                    load_file(model / "model.safetensors")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_start_and_stop_without_a_block(model, keys):
    guard = weighbridge.guard(key=keys / "other.pub")
    guard.start()
    try:
        refused(lambda: load_file(model / "model.safetensors"))
    finally:
        guard.stop()
    guard.stop()
    load_file(model / "model.safetensors")


def test_mistakes_are_told_before_anything_is_hooked(tmp_path):
    with pytest.raises(UsageError, match="no-such-path"):
        weighbridge.guard(key=tmp_path / "nothing.pub")
    with pytest.raises(UsageError, match="no-such-policy"), weighbridge.guard(policy="nothing"):
        pytest.fail("watched under a policy that there is not")


def test_libraries_imported_later_are_hooked_and_let_go(tmp_path):
    (tmp_path / "late").mkdir()
    program = """
import sys, weighbridge
assert "safetensors" not in sys.modules and "numpy" not in sys.modules and "joblib" not in sys.modules
with weighbridge.guard(key=sys.argv[2]):
    from safetensors.numpy import load_file
    from numpy import load
    import joblib, safetensors
    for call in (load_file, load, joblib.load, lambda p: safetensors.safe_open(p, "np")):
        try:
            call(sys.argv[1])
        except weighbridge.LoadRefused:
            print("refused")
    hooked = [safetensors.safe_open]
print(len(load_file(sys.argv[1])), safetensors.safe_open is not hooked[0], safetensors.__spec__.loader)
"""
    save_file({"w": np.zeros(2)}, tmp_path / "w.safetensors")
    from weighbridge.trust.keygen import new_key

    new_key(tmp_path / "k.key")
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "w.safetensors"), str(tmp_path / "k.pub")],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:4] == ["refused"] * 4
    assert done.stdout.split("\n")[4].startswith("1 True <_frozen_importlib_external.SourceFileLoader")


def test_nothing_is_left_in_the_temporary_folder(model, key, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with weighbridge.guard(key=key):
        load_file(model / "model.safetensors")
        assert [path.name for path in tmp_path.glob("weighbridge-guard-*/*")] == []
    assert list(tmp_path.glob("weighbridge-guard-*")) == []


def test_every_hook_names_a_module_and_none_is_imported_by_us():
    program = "import sys, weighbridge.integrations.libraries as l; print([n for n in l.INSTALLERS if n in sys.modules])"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert set(eval(said)) <= {"pickle", "_pickle"}
    assert {"torch.serialization", "huggingface_hub.file_download", "transformers.utils.hub"} <= set(
        INSTALLERS
    )


# Whose file it is


def test_the_model_that_a_file_is_of(tmp_path):
    folder = tmp_path / "model" / "unet"
    folder.mkdir(parents=True)
    file = folder / "w.safetensors"
    file.touch()
    assert home_of(str(file)) == Home(str(file), None)
    (tmp_path / "model" / "model.sig").touch()
    assert home_of(str(file)) == Home(str(tmp_path / "model"), "unet/w.safetensors")
    (folder / "w.safetensors.sig").touch()
    assert home_of(str(file)) == Home(str(file), None)


def test_the_search_ends_at_the_hub_s_snapshot(tmp_path):
    snapshot = tmp_path / "models--a--b" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (tmp_path / "model.sig").touch()
    (snapshot / "w.safetensors").touch()
    assert home_of(str(snapshot / "w.safetensors")).inside is None
    assert Path(home_of(str(snapshot / "w.safetensors")).model).name == "w.safetensors"


# Hooks for libraries that are not installed here, with stand-ins of the same names and arguments


def test_readers_and_folders_of_other_libraries(tmp_path, harmful, monkeypatch, lax):
    (tmp_path / "gguf").mkdir()
    (tmp_path / "gguf" / "__init__.py").write_text("")
    (tmp_path / "gguf" / "gguf_reader.py").write_text(
        "class GGUFReader:\n    def __init__(self, path, mode='r'):\n        with open(path, 'rb') as file:\n            self.data = file.read()\n"
    )
    saved = tmp_path / "tensorflow" / "python" / "saved_model"
    saved.mkdir(parents=True)
    for folder in (saved, saved.parent, saved.parent.parent):
        (folder / "__init__.py").write_text("")
    (saved / "load.py").write_text("def load(export_dir, tags=None):\n    return export_dir\n")
    monkeypatch.syspath_prepend(tmp_path)
    from gguf.gguf_reader import GGUFReader
    from tensorflow.python.saved_model.load import load

    good, bad = tmp_path / "good", tmp_path / "bad"
    for folder, data in ((good, b"words"), (bad, harmful)):
        folder.mkdir()
        (folder / "a.txt").write_bytes(data)
    assert GGUFReader(good / "a.txt").data == b"words"
    assert GGUFReader(path=str(good / "a.txt")).data == b"words"
    refused(lambda: GGUFReader(bad / "a.txt"), "pickle-unsafe-call")
    assert load(str(good)) == str(good)
    refused(lambda: load(export_dir=bad), "pickle-unsafe-call")
    for name in [name for name in sys.modules if name.partition(".")[0] in ("gguf", "tensorflow")]:
        monkeypatch.delitem(sys.modules, name)
