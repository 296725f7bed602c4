"""`weighbridge guard -- COMMAND`: programs that nobody can edit, as processes of their own."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.loading.conftest import ARRAYS
from tests.tensorfiles import Gguf
from weighbridge.cli.guard import _refuse_unguarded
from weighbridge.core.errors import UsageError
from weighbridge.integrations.child import NEEDED, SITE

PROGRAM = [sys.executable, "-m", "weighbridge", "guard"]


@pytest.fixture
def guard(tmp_path):
    def run(*arguments, env=None, **words):
        return subprocess.run(
            [*PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=120, cwd=tmp_path,
            env={**os.environ, **(env or {})}, **words,
        )  # fmt: skip

    return run


LOAD = "import sys; from safetensors.numpy import load_file; print(sorted(load_file(sys.argv[1])))"


def test_a_python_program_and_its_own_exit_code(guard, model, key):
    path = model / "model.safetensors"
    done = guard("--key", key, "--", sys.executable, "-c", LOAD + "; sys.exit(7)", path)
    assert done.returncode == 7, done.stderr
    assert done.stdout == f"{sorted(ARRAYS)}\n"
    assert done.stderr.startswith("weighbridge guard: policy default, trusting publisher.pub; ")


def test_a_model_that_is_not_admitted_ends_in_the_one_exception(guard, model, keys):
    path = model / "model.safetensors"
    done = guard("--key", keys / "other.pub", "--", sys.executable, "-c", LOAD, path)
    assert done.returncode == 1
    assert "LoadRefused: REFUSED, so nothing was loaded" in done.stderr
    assert done.stdout == ""


def test_children_and_grandchildren_are_guarded_too(guard, tmp_path, harmful, trace):
    (tmp_path / "bad.pkl").write_bytes(harmful)
    leaf = "import pickle; pickle.load(open('bad.pkl', 'rb'))"
    middle = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-W', 'ignore', '-c', {leaf!r}]).returncode + 40)"
    done = guard("--policy", "research", "--", sys.executable, "-c", middle)
    assert done.returncode == 41
    assert "pickle-unsafe-call" in done.stderr


def test_scripts_by_their_shebang_and_shells(guard, tmp_path, harmful, trace):
    (tmp_path / "bad.pkl").write_bytes(harmful)
    script = tmp_path / "serve"
    script.write_text(f"#!{sys.executable}\nimport pickle\npickle.load(open('bad.pkl', 'rb'))\n")
    script.chmod(0o755)
    for command in ([str(script)], ["sh", "-c", f"exec {script}"], ["env", "X=1", str(script)]):
        done = guard("--policy", "research", "--", *command)
        assert done.returncode == 1
        assert "pickle-unsafe-call" in done.stderr


@pytest.mark.parametrize("flags", [["-I"], ["-E"], ["-S"], ["-sE"], ["-X", "dev", "-IB"], ["-Wignore", "-S"]])
def test_flags_that_would_leave_the_process_unguarded(guard, flags, tmp_path):
    done = guard("--", sys.executable, *flags, "-c", f"open({str(tmp_path / 'ran')!r}, 'w')")
    assert done.returncode == 2
    assert "[guard-impossible]" in done.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("command", [
    ["env", "-i", "python3", "x.py"], ["env", "-u", "PYTHONPATH", "python3"], ["env", "--unset=WEIGHBRIDGE_GUARD", "x"],
    ["env", "PYTHONPATH=/x", "python3"], ["env", "-S", "python3 -I x.py"], ["/usr/bin/env", "A=1", "python3.11", "-I"],
    ["python3", "-bI", "x.py"],
])  # fmt: skip
def test_ways_around_the_guard_are_seen(command):
    with pytest.raises(UsageError, match="guard-impossible"):
        _refuse_unguarded(command)


@pytest.mark.parametrize("command", [
    ["python3", "x.py", "-I"], ["python3", "-c", "-I"], ["python3", "-m", "x", "-S"], ["python3", "-W", "I", "x.py"],
    ["python3", "-cI"], ["python3", "-uB", "x.py"], ["python", "-", "-E"], ["python3", "--check-hash-based-pycs", "default", "x.py"],
])  # fmt: skip
def test_flags_of_the_program_are_its_own(command):
    assert _refuse_unguarded(command)


def test_a_shebang_with_a_flag(tmp_path):
    for first in ("/usr/bin/python3 -Es", "/usr/bin/env -S python3 -I", "/usr/bin/python3 -I"):
        script = tmp_path / "tool"
        script.write_text(f"#!{first}\n")
        with pytest.raises(UsageError, match="guard-impossible"):
            _refuse_unguarded([str(script)])
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    assert not _refuse_unguarded([str(tmp_path / "tool")])


# Programs that are not Python


def test_a_model_among_the_arguments_is_handed_over_as_sealed_memory(guard, model, key):
    path = model / "model.safetensors"
    done = guard("--key", key, "--", "sh", "-c", 'cat "$0" | wc -c; readlink "$0"; : > "$0"', path)
    size, target = done.stdout.split()
    assert int(size) == path.stat().st_size
    assert "/proc/" in target
    assert path.stat().st_size == int(size), "the file itself was handed over"
    assert "weighed and admitted before the start" in done.stderr
    assert "what else it opens is not watched" in done.stderr


def test_by_path_and_after_an_equals_sign(guard, model, key):
    path = model / "model.safetensors"
    done = guard("--key", key, "--by-path", "--", "echo", f"--model={path}")
    assert done.stdout == f"--model={path}\n"
    done = guard("--key", key, "--", "echo", f"--model={path}")
    assert done.stdout.startswith("--model=/")
    assert done.stdout.endswith("/model.safetensors\n")
    assert str(path) not in done.stdout


def test_a_model_that_is_refused_and_a_program_that_is_not_started(guard, model, keys, tmp_path):
    for named in (model / "model.safetensors", model):
        done = guard("--key", keys / "other.pub", "--", "touch", tmp_path / "ran", named)
        assert done.returncode == 1
        assert done.stdout.startswith("REFUSED")
        assert "the program was not started" in done.stderr
        assert not (tmp_path / "ran").exists()
    done = guard("--key", keys / "other.pub", "-f", "json", "--", "touch", tmp_path / "ran", model)
    assert json.loads(done.stdout)["verdict"] == "refused"


def test_nothing_is_claimed_where_nothing_was_weighed(guard):
    done = guard("--", "echo", "hello")
    assert done.returncode == 0
    assert done.stdout == "hello\n"
    assert "nothing was weighed" in done.stderr


def test_split_models_are_weighed_together(guard, tmp_path, harmful, trace):
    for number, data in ((1, Gguf().bytes()), (2, harmful)):
        (tmp_path / f"m-0000{number}-of-00002.gguf").write_bytes(data)
    done = guard("--policy", "research", "--", "touch", "ran", tmp_path / "m-00001-of-00002.gguf")
    assert done.returncode == 1
    assert "m-00002-of-00002.gguf" in done.stdout
    assert not (tmp_path / "ran").exists()


# How it runs


def test_no_program_and_none_of_that_name(guard):
    assert guard("--").returncode == 2
    done = guard("--", "no-such-program-at-all")
    assert done.returncode == 2
    assert "[no-such-path]" in done.stderr
    assert guard("--key", "nothing.pub", "--", "true").returncode == 2
    assert guard("--policy", "nothing", "--", "true").returncode == 2


def test_signals_are_handed_on_and_told(guard, tmp_path):
    assert guard("--", "sh", "-c", "kill -9 $$").returncode == 137
    ready = tmp_path / "ready"
    program = f"import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(9)); open({str(ready)!r}, 'w'); time.sleep(60)"
    process = subprocess.Popen([*PROGRAM, "-q", "--", sys.executable, "-c", program])
    for _ in range(600):
        if ready.exists():
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 9


def test_the_policy_that_holds_is_the_one_where_it_was_started(guard, tmp_path, harmful, trace):
    (tmp_path / "weighbridge.toml").write_text('[policy]\nextends = "research"\n')
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "weighbridge.toml").write_text(
        '[policy]\nfindings = "any"\nsignature = "optional"\n'
    )
    (tmp_path / "elsewhere" / "bad.pkl").write_bytes(harmful)
    program = "import os, pickle; os.chdir('elsewhere'); pickle.load(open('bad.pkl', 'rb'))"
    done = guard("--", sys.executable, "-c", program)
    assert done.returncode == 1
    assert "pickle-unsafe-call" in done.stderr


def test_the_sitecustomize_of_the_machine_runs_too(guard, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("import builtins; builtins.SITE = 'ran'")
    done = guard("-q", "--", sys.executable, "-c", "print(SITE)", env={"PYTHONPATH": str(tmp_path / "site")})
    assert done.stdout == "ran\n"
    assert done.stderr == ""


def test_the_hook_does_nothing_where_no_guard_is_asked_for(tmp_path):
    env = {**os.environ, "PYTHONPATH": str(SITE)}
    program = "import sys; print('weighbridge' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_a_process_that_cannot_be_guarded_ends(tmp_path):
    env = {**os.environ, "PYTHONPATH": str(SITE), "WEIGHBRIDGE_GUARD": "no settings"}
    done = subprocess.run([sys.executable, "-c", "print('ran')"], env=env, capture_output=True, text=True)
    assert done.returncode == 3
    assert done.stdout == ""
    assert "cannot be guarded" in done.stderr


def test_an_environment_without_weighbridge_is_lent_it(guard, tmp_path, harmful, trace):
    """A program's own environment need not have weighbridge, and gets nothing else of ours."""
    (tmp_path / "bad.pkl").write_bytes(harmful)
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    program = "import pickle\ntry:\n import numpy\nexcept ImportError: print('bare')\npickle.load(open('bad.pkl', 'rb'))"
    env = {"PYTHONPATH": ""}
    done = guard("--policy", "research", "--", bare / "bin" / "python", "-c", program, env=env)
    assert done.stdout == "bare\n"
    assert done.returncode == 1
    assert "pickle-unsafe-call" in done.stderr


def test_everything_that_weighbridge_needs_is_lent():
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    names = {
        line.split(">")[0].split(";")[0].strip().lower().replace("-", "_") for line in project["dependencies"]
    }
    known = {"pyyaml": "yaml", "backports.zstd": "backports"}
    assert {known.get(name, name) for name in names} <= set(NEEDED)


def test_pickles_that_do_nothing_pass(guard):
    data = pickle.dumps({"a": 1})
    done = guard("-q", "--", sys.executable, "-c", f"import pickle; print(pickle.loads({data!r}))")
    assert done.stdout == "{'a': 1}\n"
