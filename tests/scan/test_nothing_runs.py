"""Nothing from a model runs: our source has no way to run it, and a scan of every harmful sample starts nothing."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "weighbridge"
LOADERS = frozenset(
    [
        "_pickle",
        "pickle",
        "marshal",
        "shelve",
        "dill",
        "cloudpickle",
        "joblib",
        "skops",
        "torch",
        "numpy",
        "onnx",
        "onnxruntime",
        "h5py",
        "tensorflow",
        "keras",
        "safetensors",
        "gguf",
        "yaml",
        "runpy",
        "subprocess",
        "multiprocessing",
        "code",
        "pty",
        "ctypes",
    ]
)
"""Modules that load models, start programs, or run what they read."""
STANDARD = frozenset(["_pickle", "pickle", "marshal", "code"])
"""Those that other libraries, such as Jinja's cache, import without our doing."""
RUNNERS = frozenset({"eval", "exec", "compile", "__import__"})

WATCH = """
import sys
from pathlib import Path
from weighbridge.core.budget import Limits
from weighbridge.measure import Plan, measure
from weighbridge.scan.engine import Scanner
from weighbridge.store import open_artifact
import yaml.constructor

def constructs(*args):
    print("a YAML constructor was made")

yaml.constructor.BaseConstructor.__init__ = constructs

def watch(event, args):
    if event in WATCHED:
        print(event, str(args)[:200])

WATCHED = {"os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.Popen", "pty.spawn",
           "socket.connect", "socket.getaddrinfo", "urllib.Request", "os.remove", "os.rename", "os.mkdir",
           "pickle.find_class", "ctypes.dlopen"}
artifact = open_artifact(sys.argv[1])
sys.addaudithook(watch)
scanner = Scanner(Limits())
measured = measure(artifact, Plan(tensors=True), examine=scanner.examine)
scanned = scanner.finish(artifact, measured.examined)
print("errors", sum(finding.severity == "error" for finding in scanned.findings))
print("modules", sorted(name for name in sys.modules if name.partition(".")[0] in set(sys.argv[2].split())))
"""


def calls_and_imports() -> Iterator[tuple[str, str]]:
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                names = [f"{node.func.id}()"]
            yield from ((path.relative_to(SOURCE).as_posix(), name) for name in names)


YAML_EVENTS = frozenset(
    {("formats/yaml.py", name) for name in ("yaml", "yaml.parser", "yaml.reader", "yaml.scanner")}
)
"""The parts of PyYAML that make events; the scan below shows that no constructor is ever made."""
OUR_OWN = YAML_EVENTS | {
    (
        "measure/crew.py",
        "pickle",
    ),  # forked helpers hand over values of our own classes, in memory that only they write
    (
        "core/value.py",
        "exec()",
    ),  # makes `__init__` out of the names of fields, as the standard dataclass does
    ("cli/guard.py", "subprocess"),  # the program that a person asked to be guarded
    ("integrations/pickles.py", "pickle"),  # is replaced, so that what other code unpickles is weighed first
    ("lineage/index.py", "numpy"),  # only where it is installed: arrays of numbers that this machine made
    ("pipeline/command.py", "subprocess"),  # the step that a person asked to be recorded
    ("pipeline/environment.py", "subprocess"),  # the Python of that step, asked what is installed in it
    ("pipeline/git.py", "subprocess"),  # git, without anything of the repository's configuration
    ("pipeline/host.py", "subprocess"),  # the driver's own tool, where a person allows the GPU to be told
    ("scan/weights/regions.py", "numpy"),  # only where it is installed: numbers out of bytes
}


def test_the_source_has_no_way_to_load_or_run_a_model() -> None:
    wrong = [
        (path, name)
        for path, name in calls_and_imports()
        if name.partition(".")[0] in LOADERS or name.removesuffix("()") in RUNNERS
    ]
    assert [place for place in wrong if place not in OUR_OWN] == []


def test_modules_are_only_imported_by_names_of_our_own() -> None:
    """`import_module` stands in few places, each over a table, a constant or a prefix of this package."""
    places = {path for path, name in calls_and_imports() if name == "import_module()"}
    assert sorted(places) == [
        "__init__.py",
        "attest/predicates/__init__.py",
        "cli/app.py",
        "cli/log/__init__.py",
        "convert/relate_casts.py",
        "core/value.py",
        "formats/__init__.py",
        "formats/pickle/__init__.py",
        "loading/views.py",
        "report/__init__.py",
        "scan/engine.py",
        "store/remote/__init__.py",
    ]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="audit events are named as on Linux")
def test_a_scan_of_every_sample_starts_nothing() -> None:
    """The interpreter itself is the witness: no program, no connection, no loader of models."""
    samples = SOURCE.parents[1] / "tests" / "samples"
    done = subprocess.run(
        [sys.executable, "-c", WATCH, str(samples), " ".join(sorted(LOADERS - STANDARD - {"yaml"}))],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert [line for line in done.stdout.splitlines() if not line.startswith(("errors", "modules"))] == []
    assert "modules []" in done.stdout
    assert int(done.stdout.partition("errors ")[2].split()[0]) > 20, "the samples are not what they were"
