"""The patterns of readers and rules: none is compiled before it is asked for, all compile, and what they need is true."""

import ast
import gc
import pkgutil
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import weighbridge.formats
import weighbridge.scan
from weighbridge.core.pattern import _Late

ROOMS = (weighbridge.formats, weighbridge.scan)
FILES = sorted(file for room in ROOMS for file in Path(room.__file__).parent.rglob("*.py"))


def at_import(node):
    """The nodes of a module that are carried out when it is imported."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from at_import(child)


def test_no_module_compiles_a_pattern_when_it_is_imported():
    compiled = [
        f"{file.name}:{node.lineno}"
        for file in FILES
        for node in at_import(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "re.compile"
    ]
    assert compiled == []


def patterns():
    """Every late pattern of the two rooms."""
    for room in ROOMS:
        for module in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
            if not module.name.endswith("__main__"):
                import_module(module.name)
    return {(one.pattern, one._flags): one for one in gc.get_objects() if isinstance(one, _Late)}.values()


def told(parts, needs, before=""):
    """Whether whatever matches these parsed parts holds one of the literals; `before` is what surely stands before them."""
    run = before
    for operation, value in parts:
        name = str(operation)
        if name == "LITERAL":
            run += chr(value).lower()
        elif name == "SUBPATTERN" and all(str(inner) == "LITERAL" for inner, _ in value[3]):
            run += "".join(chr(char).lower() for _, char in value[3])
        elif name == "SUBPATTERN":
            if told(value[3], needs, run):
                return True
            run = ""
        elif name == "BRANCH":
            if all(told(branch, needs, run) for branch in value[1]):
                return True
            run = ""
        elif name in ("MAX_REPEAT", "MIN_REPEAT"):
            if value[0] > 0 and told(value[2], needs, run):
                return True
            run = ""
        elif name != "AT":
            run = ""
        if any(need in run for need in needs):
            return True
    return False


def test_all_patterns_compile_and_need_what_they_say():
    found = list(patterns())
    assert len(found) > 300
    assert len([one for one in found if one.needs]) > 20
    untrue = []
    for one in found:
        re.compile(one.pattern, one._flags)
        needs = [need.lower() for need in one.needs]
        assert list(one.needs) == needs
        if needs and not told(re._parser.parse(one.pattern, one._flags), needs):
            untrue.append(one.pattern)
    assert untrue == []


@pytest.mark.parametrize(
    ("pattern", "needs", "true"),
    [
        ("abx|acy", ("abx", "acy"), True),
        ("ab|cd", ("ab",), False),
        (r"(?i)\.(yml|YAML)$", (".y",), True),
        ("(ab)?c", ("ab",), False),
        ("(?:ab)+c", ("ab",), True),
        ("[ab]c", ("a",), False),
        (r"x(?=ab)", ("ab",), False),
        ("a(bx|cy)d", ("abx", "acy"), True),
    ],
)
def test_the_proof_itself(pattern, needs, true):
    assert told(re._parser.parse(pattern), needs) is true


# -- what a scan imports

ELSEWHERE = ("ast", "configparser", "cryptography", "inspect", "logging", "msgspec", "statistics", "tomllib")
HEAVY = (
    "formats.pickle",
    "formats.hdf5",
    "formats.onnx",
    "formats.tensorflow.graph",
    "formats.gguf",
    "scan.contracts",
    "scan.weights",
    "sign",
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("note.txt", b"hello\n"),
        ("README.md", b"# a model\n"),
        ("config.json", b'{"model_type": "bert", "architectures": ["BertModel"]}'),
        ("a.safetensors", b"\x02\0\0\0\0\0\0\0{}"),
    ],
)
def test_a_small_scan_imports_what_its_format_needs(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    command = [sys.executable, "-S", "-X", "importtime", "-m", "weighbridge", "scan", name]
    paths = [path for path in sys.path if path]
    run = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PYTHONPATH": ":".join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    imported = {
        line.rpartition("|")[2].strip() for line in run.stderr.splitlines() if line.startswith("import time:")
    }
    assert "weighbridge.scan.engine" in imported
    wanted = {*ELSEWHERE, *(f"weighbridge.{room}" for room in HEAVY)}
    assert not wanted & imported
