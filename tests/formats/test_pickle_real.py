"""What really happens while a pickle is loaded, as the interpreter reports it, was predicted: names, imports, calls.

Every name in these programs is a harmless one of Python's own; they are loaded in a throw-away process with limits. The law:
what either unpickler finds and imports is among the names of the machine, and what the one in Python calls is, in order, what
the machine says is called. A call that happened and was not predicted fails the test.

`WEIGHBRIDGE_PROGRAMS=100000` makes the long run. joblib and torch are looked for in `WEIGHBRIDGE_TORCH_PYTHON` or
`.venv-torch/bin/python`.
"""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.formats import pickles as p
from weighbridge.core.budget import Budget
from weighbridge.formats.joblib import hook
from weighbridge.formats.pickle import Global, PickleProgram, run

ROOT = Path(__file__).parents[2]
PROGRAMS = int(os.environ.get("WEIGHBRIDGE_PROGRAMS", "2000"))
SEEDS = 20


def torch_python() -> str:
    """A Python that has torch, joblib and numpy; "" for none."""
    named = os.environ.get("WEIGHBRIDGE_TORCH_PYTHON") or str(ROOT / ".venv-torch" / "bin" / "python")
    return named if Path(named).exists() else ""


class Audited:
    """The child process."""

    def __init__(self, python: str = sys.executable, *preload: str) -> None:
        self._child = subprocess.Popen(
            [python, "-I", str(Path(__file__).with_name("pickle_audit.py")), *preload],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={"PATH": "/usr/bin:/bin"},
        )

    def ask(self, loader: str, program: bytes) -> dict[str, Any]:
        assert self._child.stdin
        assert self._child.stdout
        self._child.stdin.write(f"{loader} {program.hex()}\n")
        self._child.stdin.flush()
        answer: dict[str, Any] = json.loads(self._child.stdout.readline())
        return answer

    def close(self) -> None:
        assert self._child.stdin
        assert self._child.stdout
        self._child.stdin.close()
        self._child.wait(30)
        self._child.stdout.close()


@pytest.fixture(scope="module")
def audited() -> Iterator[Audited]:
    child = Audited()
    yield child
    child.close()


@pytest.fixture(scope="module")
def with_torch() -> Iterator[Audited]:
    python = torch_python()
    found = (
        subprocess.run([python, "-c", "import joblib, numpy, torch"], capture_output=True, check=False)
        if python
        else None
    )
    if found is None or found.returncode:
        assert os.environ.get("WEIGHBRIDGE_REAL") != "1", (
            "a Python with torch and joblib is missing: make .venv-torch/.ready"
        )
        pytest.skip("no Python with torch and joblib")
    child = Audited(python, "numpy", "joblib", "torch")
    yield child
    child.close()


def views(program: bytes, *, joblib: bool = False) -> list[PickleProgram]:
    """What the machine says; a second view where the C loader, reading without look-ahead, drops the rest of a frame."""
    found = [run(program, Budget(), hook=hook if joblib else None)]
    if {"frame-crossed", "frame-in-frame"} & {a.code for a in found[0].anomalies}:
        found.append(run(program, Budget(), drops=True))
    return found


def names(programs: list[PickleProgram]) -> set[tuple[str, str]]:
    every = [inner for one in programs for inner in (one, *one.nested)]
    return {(str(g.module), str(g.qualname)) for one in every for g in one.globals}


def computed(programs: list[PickleProgram]) -> bool:
    """Whether a name is computed in a way that the machine did not follow, and said so."""
    return any(g.module is None for one in programs for g in one.globals)


def check(child: Audited, loader: str, program: bytes) -> dict[str, Any]:
    """One program, really loaded."""
    predicted = views(program, joblib=loader == "joblib")
    answer = child.ask(loader, program)
    assert answer["events"] == [], (loader, program)
    if not computed(predicted):
        assert {tuple(found) for found in answer["found"]} <= renamed(names(predicted)), (loader, program)
        assert set(answer["imports"]) <= {module for module, _ in renamed(names(predicted))}, (
            loader,
            program,
        )
    if loader == "python":
        compare_calls(answer["calls"], predicted[0], program)
    return answer


def renamed(found: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The audit event tells the names as they stand in the stream; the machine tells what protocols 0 to 2 make of them."""
    return found | {(OLD.get(module, module), name) for module, name in found}


OLD = {"builtins": "__builtin__", "copyreg": "copy_reg"}


def compare_calls(seen: list[list[str]], predicted: PickleProgram, program: bytes) -> None:
    """Calls in their order; the machine's go on where a real function gave something that cannot be used."""
    assert len(seen) <= len(predicted.calls), (program, seen, predicted.calls)
    for called, call in zip(seen, predicted.calls, strict=False):
        wanted = call.callable
        if called == ["object"] or not isinstance(wanted, Global) or wanted.module is None:
            continue  # what a call gave, as predicted: nobody knows the object
        known = f"{wanted.module}:{wanted.qualname}"
        assert known in {*called, *(PYTHON3.get(name, name) for name in called)}, (program, called)


PYTHON3 = {
    "__builtin__:unicode": "builtins:str",
    "__builtin__:xrange": "builtins:range",
    "copy_reg:_reconstructor": "copyreg:_reconstructor",
}

# ---- programs of harmless names

FUNCTIONS = [
    ("builtins", "len"), ("builtins", "str"), ("builtins", "abs"), ("builtins", "repr"), ("builtins", "tuple"), ("builtins", "list"),
    ("builtins", "dict"), ("builtins", "getattr"), ("builtins", "complex"), ("builtins", "object"), ("builtins", "str.upper"),
    ("builtins", "str.join"), ("_codecs", "encode"), ("collections", "OrderedDict"), ("collections", "Counter"),
    ("collections", "deque"), ("datetime", "date"), ("datetime", "timedelta"), ("fractions", "Fraction"), ("functools", "partial"),
    ("operator", "attrgetter"), ("operator", "itemgetter"), ("operator", "add"), ("math", "sqrt"), ("types", "SimpleNamespace"),
    ("copyreg", "_reconstructor"), ("copyreg", "__newobj__"), ("argparse", "Namespace"), ("colorsys", "rgb_to_hls"),
    ("posixpath", "join"), ("importlib", "import_module"), ("sndhdr_not_there", "what"), ("collections", "nothing_there"),
    ("string", "Template"), ("uuid", "UUID"), ("decimal", "Decimal"), ("platform", "node"), ("keyword", "iskeyword"),
]  # fmt: skip
TEXTS = ["upper", "real", "colorsys", "a", "", "x.y", "__class__", "rot13", "latin1", "1/3", "12"]


def program_from(chooser: random.Random) -> bytes:
    protocol = chooser.choice([b"", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"])
    body = b"".join(fragment(chooser) for _ in range(chooser.randint(1, 8)))
    return protocol + body + chooser.choice([b".", b".", b".", b"t.", b"l.", b"", b"\xff"])


def fragment(chooser: random.Random) -> bytes:
    kind = chooser.randrange(13)
    target = reference(chooser)
    args = [value(chooser) for _ in range(chooser.randrange(4))]
    made = {
        0: lambda: p.call(target, *args),
        1: lambda: p.new(target, *args),
        2: lambda: target + p.pack(*args) + b"}\x92",
        3: lambda: b"(" + target + b"".join(args) + b"o",
        4: lambda: b"(" + b"".join(args) + inst(chooser),
        5: lambda: p.call(target, *args) + p.dictionary(p.text("a"), value(chooser)) + b"b",
        6: lambda: p.call(target, *args) + b"N" + p.dictionary(p.text("a"), value(chooser)) + b"\x86b",
        7: lambda: p.call(target) + value(chooser) + value(chooser) + b"s",
        8: lambda: p.call(target) + b"(" + value(chooser) + b"e",
        9: lambda: p.call(p.call(target, *args), *args),
        10: lambda: value(chooser) + chooser.choice([b"\x94", b"q\0", b"p3\n", b"r\x01\0\0\0"]),
        11: lambda: chooser.choice(
            [b"h\0", b"g3\n", b"j\x01\0\0\0", b"0", b"1", b"2", b"(", b"\x85", b"R", b"b", b"\x93", b"\x91"]
        ),
        12: lambda: p.frame(p.call(target, *args), chooser.choice([None, 4, 1000])),
    }
    return made[kind]()


def inst(chooser: random.Random) -> bytes:
    module, qualname = chooser.choice(FUNCTIONS)
    return f"i{module}\n{qualname}\n".encode()


def reference(chooser: random.Random) -> bytes:
    module, qualname = chooser.choice(FUNCTIONS)
    kind = chooser.randrange(5)
    if kind == 0:
        return p.name(module, qualname)
    if kind == 1:
        return p.text(module) + p.text(qualname) + b"\x93"
    if kind == 2:
        return p.call(p.name("builtins", "str.lower"), p.text(module.upper())) + p.short(qualname) + b"\x93"
    if kind == 3:
        return (
            p.call(p.name("_codecs", "encode"), p.text(module), p.text("latin1"))
            + b"0"
            + p.stack_name(module, qualname)
        )
    return (
        p.short(module)
        + p.call(p.name("operator", "add"), p.text(qualname[:2]), p.text(qualname[2:]))
        + b"\x93"
    )


def value(chooser: random.Random) -> bytes:
    simple = [
        b"N",
        b"\x88",
        b"K\x07",
        b"K\x00",
        b"]",
        b"}",
        b")",
        b"M\x01\x02",
        b"I3\n",
        b"F1.5\n",
        b"S'ab'\n",
        b"\x8f",
        p.data(b"xy"),
        p.name("builtins", "object"),
    ]
    return chooser.choice(
        [
            *simple,
            *(p.text(text) for text in TEXTS),
            p.text(chooser.choice(TEXTS)),
            p.pack(b"K\x01", b"K\x02"),
        ]
    )


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_happens_that_was_not_predicted(audited: Audited, seed: int) -> None:
    chooser = random.Random(1000 + seed)
    happened = 0
    for _ in range(PROGRAMS // SEEDS):
        program = program_from(chooser)
        check(audited, "c", program)
        happened += len(check(audited, "python", program)["calls"])
    assert happened > PROGRAMS // SEEDS // 4


def test_the_child_sees_what_happens(audited: Audited) -> None:
    """The test itself can fail: calls, names and imports are all reported."""
    program = p.proto() + p.call(p.name("colorsys", "rgb_to_hls"), b"K\x00", b"K\x00", b"K\x00") + b"."
    answer = audited.ask("python", program)
    assert answer["found"] == [["colorsys", "rgb_to_hls"]]
    assert answer["imports"] == ["colorsys"]
    assert answer["calls"] == [["colorsys:rgb_to_hls"]]
    other = run(p.proto() + p.call(p.name("builtins", "len"), b"]") + b".", Budget())
    with pytest.raises(AssertionError):
        compare_calls(answer["calls"], other, program)


@pytest.mark.real
@pytest.mark.parametrize("loader", ["c", "python", "joblib", "torch", "torch-weights"])
def test_loaders_of_libraries_do_nothing_that_was_not_predicted(with_torch: Audited, loader: str) -> None:
    chooser = random.Random(loader)
    for _ in range(200):
        check(with_torch, loader, program_from(chooser))


@pytest.mark.real
@pytest.mark.parametrize("loader", ["torch", "torch-weights"])
def test_torch_loads_a_state_dict_that_was_predicted(with_torch: Audited, loader: str) -> None:
    storage = (
        p.pack(p.text("storage"), p.name("torch", "FloatStorage"), p.text("0"), p.text("cpu"), p.integer(16))
        + b"Q"
    )
    view = (p.integer(0), p.pack(p.integer(4), p.integer(4)), p.pack(p.integer(4), p.integer(1)))
    hooks = p.call(p.name("collections", "OrderedDict"))
    tensor = p.call(p.name("torch._utils", "_rebuild_tensor_v2"), storage, *view, b"\x89", hooks)
    answer = check(with_torch, loader, p.proto(2) + p.dictionary(p.text("w"), tensor) + b".")
    assert answer["error"] == ""
