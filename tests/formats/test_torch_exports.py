"""Exported programs, packages, mobile bytecode and ExecuTorch, as their own libraries write them, and forged."""

import io
import json
import random
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats import pickles as p
from weighbridge.core.artifact import Member
from weighbridge.core.budget import Budget
from weighbridge.core.evidence import Outcome
from weighbridge.core.source import MemorySource
from weighbridge.formats import candidates, read
from weighbridge.formats.pytorch import PytorchZip
from weighbridge.formats.pytorch.executorch import ExecutorchReading
from weighbridge.formats.pytorch.package import PackageReading
from weighbridge.formats.pytorch.pt2 import Pt2Reading
from weighbridge.formats.reading import Reading
from weighbridge.scan.contracts.exported import troubles
from weighbridge.scan.engine import Examination, Scanner

DATA = Path(__file__).parent / "data"


def of_file(name: str) -> Reading:
    data = (DATA / name).read_bytes()
    source = MemorySource(data)
    return read(candidates(source, name)[0], source, Budget(), name)


def examine(data: bytes, name: str) -> Examination:
    found = Scanner().examine(Member(name, len(data)), MemorySource(data))
    assert [item for item in found.unread if item.code == "internal-error"] == []
    return found


def rezipped(name: str, changes: dict[str, bytes]) -> bytes:
    """The archive with records replaced or added, named without the root."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(DATA / name) as old, zipfile.ZipFile(buffer, "w") as new:
        root = old.namelist()[0].partition("/")[0]
        kept = {member: old.read(member) for member in old.namelist()}
        kept |= {f"{root}/{record}": data for record, data in changes.items()}
        for member, data in kept.items():
            new.writestr(member, data)
    return buffer.getvalue()


# ---- as they are written


def test_an_exported_program_lists_its_tensors() -> None:
    found = of_file("exported.pt2")
    assert isinstance(found, Pt2Reading)
    assert found.tensors is not None
    assert [(t.name, t.dtype, t.shape) for t in found.tensors] == [
        ("layer.weight", "F32", (3, 4)), ("layer.bias", "F32", (3,)), ("shift", "F32", (3,)),
    ]  # fmt: skip
    assert [graph.record for graph in found.graphs] == ["archive/models/model.json"]
    assert (found.native, found.sources) == ((), ())
    assert examine((DATA / "exported.pt2").read_bytes(), "m.pt2").result.outcome is Outcome.PASS


def test_a_package_names_its_modules() -> None:
    found = of_file("torch-package.pt")
    assert isinstance(found, PackageReading)
    assert found.modules == ("mymodel",)
    assert set(found.externs) == {
        "torch",
        "torch.nn.modules.linear",
        "torch._utils",
        "collections",
        "builtins",
    }
    assert sorted(t.name for t in found.tensors or ()) == [
        "model.model._parameters.bias",
        "model.model._parameters.weight",
    ]
    assert ("archive/mymodel.py", "python") in [(part.name, part.kind) for part in found.parts]


def test_mobile_bytecode_is_read() -> None:
    found = of_file("torch-lite.ptl")
    assert isinstance(found, PytorchZip)
    ((_, code),) = found.bytecode
    assert (code.operators, code.problems) == (("aten::linear", "aten::relu"), ())


def test_executorch_lists_operators_and_tensors() -> None:
    found = of_file("executorch.pte")
    assert isinstance(found, ExecutorchReading)
    assert found.operators == ("aten::permute_copy.out", "aten::addmm.out", "aten::relu.out", "aten::add.out")
    assert [t.shape for t in found.tensors or ()] == [(3, 4), (3,), (3,)]
    assert (found.anomalies, found.gaps, found.delegates) == ((), (), ())
    apart = of_file("executorch.ptd")
    assert [(t.name, t.shape) for t in apart.tensors or ()] == [
        ("layer.weight", (3, 4)),
        ("layer.bias", (3,)),
        ("shift", (3,)),
    ]


# ---- forged archives


def graph(**changes: object) -> bytes:
    with zipfile.ZipFile(DATA / "exported.pt2") as file:
        value = json.loads(file.read("archive/models/model.json"))
    return json.dumps({**value, **changes}).encode()


ATTACKS = {
    "a size that evaluates": {"as_expr": {"expr_str": "__import__('os').getpid()"}},
    "a size with an attribute": {"as_expr": {"expr_str": "s0.__class__"}},
    "a size of a call": {"expr_str": "open('x')"},
    "a size of text": {"expr_str": "'x'"},
    "a size that is a bomb": {"expr_str": "9**9**9**9"},
    "a size with a long shift": {"expr_str": "1<<99999999"},
    "an operator of the hub": {"target": "torch.hub.load"},
    "an operator that loads": {"target": "torch.load"},
    "an operator by an attribute": {"target": "torch.ops.aten.add.__globals__"},
    "an operator that saves": {"target": "torch.ops.aten.save.default"},
    "an operator of nobody": {"target": "torch.ops.mylib.run.default"},
    "a getter": {"target": "_operator.attrgetter"},
    "an enumeration to import": {"in_spec": '[1, {"type": "x", "context": "{\\"__enum__\\": true, \\"fqn\\": \\"antigravity:X\\", \\"name\\": \\"A\\"}"}]'},
    "a factory to import": {"out_spec": '[1, {"type": "collections.defaultdict", "context": {"default_factory_module": "os", "default_factory_name": "getpid"}}]'},
    "a factory of Python's": {"in_spec": '[1, {"context": {"default_factory_module": "builtins", "default_factory_name": "exec"}}]'},
    "a guard": {"guards_code": ["print(1)"]},
    "a guard with a class": {"guards_code": ["L['x'].__class__ == 1"]},
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_program_that_makes_its_loader_do_something_fails(attack: str) -> None:
    data = rezipped("exported.pt2", {"models/model.json": graph(more=ATTACKS[attack], **ATTACKS[attack])})
    found = examine(data, "m.pt2")
    assert found.result.outcome is Outcome.FAIL
    assert {f.rule for f in found.findings} >= {"pt2-unsafe-program"}


PLAIN = [
    {"expr_str": "s0 + 2*Max(1, s1)//3"}, {"expr_str": "Mod(s77, 8)"}, {"expr_str": "int_oo"}, {"expr_str": "u0**2"},
    {"target": "_operator.mul"}, {"target": "torch.sym_max"}, {"target": "torch.ops.aten.sym_size.int"}, {"target": "math.ceil"},
    {"guards_code": ["L['x'].size()[0] == 3", "2 <= L['args'][0].size()[1]"]},
]  # fmt: skip


@pytest.mark.parametrize("value", PLAIN)
def test_what_exporters_write_is_inside_the_grammar(value: dict[str, object]) -> None:
    assert list(troubles(value)) == []


def test_native_code_and_pickles_in_an_exported_program() -> None:
    elf = b"\x7fELF\x02\x01\x01" + bytes(121)
    bad = p.proto() + p.system() + b"."
    for record, data in (
        ("data/aotinductor/m/k.so", elf),
        ("data/aotinductor/m/k.cubin", b"x"),
        ("extra/a", bad),
        ("data/constants/opaque_obj_0", bad),
    ):
        assert examine(rezipped("exported.pt2", {record: data}), "m.pt2").result.outcome is Outcome.FAIL, (
            record
        )


def test_a_weight_outside_of_its_record() -> None:
    config = zipfile.ZipFile(DATA / "exported.pt2").read("archive/data/weights/model_weights_config.json")
    data = rezipped(
        "exported.pt2",
        {"data/weights/model_weights_config.json": config.replace(b'"as_int": 3}', b'"as_int": 30000}', 1)},
    )
    found = examine(data, "m.pt2")
    assert {f.rule for f in found.findings} == {"pytorch-tensor-out-of-bounds"}
    assert found.result.outcome is Outcome.FAIL


def test_an_archive_for_two_loaders_passes_neither() -> None:
    data = rezipped("exported.pt2", {"data.pkl": b"\x80\x02]."})
    found = examine(data, "m.pt")
    assert found.result.outcome is Outcome.UNKNOWN
    assert "zip-readers-disagree" in {f.rule for f in found.findings}


def test_a_module_that_takes_the_place_of_a_known_one() -> None:
    found = examine(rezipped("torch-package.pt", {"torch/nn/modules/linear.py": b"x = 1\n"}), "m.pt")
    assert found.result.outcome is Outcome.FAIL
    payload = examine(
        rezipped("torch-package.pt", {"mymodel.py": b"import os\nos.system('echo weighbridge-sample')\n"}),
        "m.pt",
    )
    assert payload.result.outcome is Outcome.FAIL


# ---- forged ExecuTorch

PROGRAM = (DATA / "executorch.pte").read_bytes()


def test_cut_and_changed_programs_never_crash_and_cuts_never_pass() -> None:
    for length in range(8, len(PROGRAM), 37):
        assert examine(PROGRAM[:length], "m.pte").result.outcome is not Outcome.PASS, length
    chooser = random.Random(3)
    for _ in range(300):
        changed = bytearray(PROGRAM)
        for _ in range(chooser.randint(1, 3)):
            changed[chooser.randrange(len(changed))] = chooser.randrange(256)
        examine(bytes(changed), "m.pte")


def test_segments_outside_of_the_file_fail() -> None:
    base = struct.unpack_from("<Q", PROGRAM, 24)[0]
    moved = PROGRAM[:24] + struct.pack("<Q", base + 1000) + PROGRAM[32:]
    found = examine(moved, "m.pte")
    assert "executorch-malformed" in {f.rule for f in found.findings}
    assert found.result.outcome is Outcome.FAIL


def test_bytes_behind_the_segments_are_a_part() -> None:
    bad = p.proto() + p.system() + b"."
    assert examine(PROGRAM + bytes(64) + bad, "m.pte").result.outcome is Outcome.FAIL
    assert examine(PROGRAM + b"\1\2\3\4" * 40, "m.pte").result.outcome is Outcome.UNKNOWN


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"ET12", b"FT01"]))
def test_any_bytes_behind_the_identifier_are_survived(data: bytes, mark: bytes) -> None:
    assert examine(data[:4].ljust(4, b"\0") + mark + data[4:], "m.pte").result.outcome is not Outcome.PASS


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_survived(text: str) -> None:
    for key in ("expr_str", "target", "in_spec"):
        list(troubles({key: text, "guards_code": [text]}))


# ---- sparse tensors


def sparse(index: int, *, size: int = 3) -> bytes:
    """A COO tensor of one value, at an index."""

    def tensor(kind: str, key: str, numel: int, *shape: int) -> bytes:
        storage = (
            p.pack(p.text("storage"), p.name("torch", kind), p.text(key), p.text("cpu"), p.integer(numel))
            + b"Q"
        )
        view = (p.integer(0), p.pack(*map(p.integer, shape)), p.pack(*(p.integer(1) for _ in shape)))
        hooks = p.call(p.name("collections", "OrderedDict"))
        return p.call(p.name("torch._utils", "_rebuild_tensor_v2"), storage, *view, b"\x89", hooks)

    layout = p.call(p.name("torch.serialization", "_get_layout"), p.text("torch.sparse_coo"))
    parts = p.pack(
        tensor("LongStorage", "0", 1, 1, 1),
        tensor("FloatStorage", "1", 1, 1),
        p.pack(p.integer(size)),
        b"\x88",
    )
    program = p.proto(2) + p.call(p.name("torch._utils", "_rebuild_sparse_tensor"), layout, parts) + b"."
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in (
            ("data.pkl", program),
            ("data/0", struct.pack("<q", index)),
            ("data/1", bytes(4)),
            ("version", b"3\n"),
        ):
            file.writestr(f"x/{name}", data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("index", "expected"),
    [(0, Outcome.PASS), (2, Outcome.PASS), (3, Outcome.FAIL), (-1, Outcome.FAIL), (2**40, Outcome.FAIL)],
)
def test_the_indices_of_a_sparse_tensor_lie_inside_of_it(index: int, expected: Outcome) -> None:
    found = examine(sparse(index), "m.pt")
    assert found.result.outcome is expected
    assert found.tensors_unlisted.endswith("is sparse")
