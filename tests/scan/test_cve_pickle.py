"""Published holes of pickle loaders and of the scanners in front of them, one test an id: the payload is harmless, none passes.

Those about archives are in `test_container_rules.py`, the older ones about names in `test_pickle_bypasses.py`.
"""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib

import lz4.frame
import pytest

from tests.formats import pickles as p
from weighbridge.core.artifact import Member
from weighbridge.core.evidence import Outcome
from weighbridge.core.source import MemorySource
from weighbridge.scan.engine import Examination, Scanner

BAD = p.proto() + p.system() + b"."
GOOD = p.proto() + b"]."


def examine(content: bytes, path: str = "model.pkl") -> Examination:
    found = Scanner().examine(Member(path, len(content)), MemorySource(content))
    assert [item for item in found.unread if item.code == "internal-error"] == []
    return found


def outcome(content: bytes, path: str = "model.pkl") -> Outcome:
    return examine(content, path).result.outcome


def rules(content: bytes, path: str = "model.pkl") -> set[str]:
    return {finding.rule for finding in examine(content, path).findings}


def made(module: str, qualname: str, *args: bytes) -> bytes:
    return p.proto() + p.call(p.stack_name(module, qualname), *args) + b"."


# ---- scanners that were passed


def test_cve_2025_67747_code_objects_from_marshal_and_types() -> None:
    code = p.call(p.name("marshal", "loads"), p.data(b"\xe3\0"))
    assert (
        outcome(p.proto() + p.call(p.call(p.name("types", "FunctionType"), code, b"}")) + b".")
        is Outcome.FAIL
    )
    assert outcome(made("types", "FunctionType", b"N", b"}")) is Outcome.FAIL


def test_cve_2025_67748_pty_spawn_whose_result_is_used() -> None:
    assert outcome(b"(cpty\nspawn\n" + p.text(p.ECHO) + b"o.") is Outcome.FAIL
    assert outcome(b"(" + p.text(p.ECHO) + b"ipty\nspawn\n.") is Outcome.FAIL


def test_cve_2026_22612_builtins_are_calls_too() -> None:
    imported = p.call(p.name("builtins", "__import__"), p.text("os"))
    got = p.call(p.name("builtins", "getattr"), imported, p.text("system"))
    assert outcome(p.proto() + p.call(got, p.text(p.ECHO)) + b".") is Outcome.FAIL


@pytest.mark.parametrize("getter", ["attrgetter", "methodcaller", "itemgetter"])
def test_ghsa_m273_6v24_x4m4_and_955r_x9j8_7rhh_operator(getter: str) -> None:
    applied = p.call(
        p.call(p.name("_operator", getter), p.text("system")),
        p.call(p.name("builtins", "__import__"), p.text("os")),
    )
    assert outcome(p.proto() + p.call(applied, p.text(p.ECHO)) + b".") is Outcome.FAIL


@pytest.mark.parametrize(
    "target",
    [
        ("profile", "run"),
        ("trace", "Trace.run"),
        ("pdb", "run"),
        ("bdb", "Bdb.run"),
        ("timeit", "timeit"),
        ("doctest", "debug_script"),
    ],
)
def test_ghsa_46h3_79wf_xr6c_and_4675_36f9_wf6r_debuggers(target: tuple[str, str]) -> None:
    assert outcome(made(*target, p.text("pass"))) is Outcome.FAIL


def test_ghsa_84r2_jw7c_4r5q_pickles_in_pickles() -> None:
    for loader in (("pickle", "loads"), ("_pickle", "loads"), ("dill", "loads"), ("cloudpickle", "loads")):
        assert outcome(made(*loader, p.data(BAD))) is Outcome.FAIL
    assert outcome(made("torch.storage", "_load_from_bytes", p.data(BAD))) is Outcome.FAIL


@pytest.mark.parametrize("target", [("pip", "main"), ("venv", "create"), ("ensurepip", "_run_pip")])
def test_ghsa_vqmv_47xg_9wpr_package_managers(target: tuple[str, str]) -> None:
    assert outcome(made(*target, p.text("x"))) is Outcome.FAIL


@pytest.mark.parametrize(
    "target",
    [
        ("aiohttp.client", "ClientSession.get"),
        ("http.client", "HTTPSConnection"),
        ("ssl", "get_server_certificate"),
        ("requests.api", "get"),
    ],
)
def test_ghsa_hgrh_qx5j_jfwx_network_modules(target: tuple[str, str]) -> None:
    assert outcome(made(*target, p.text("http://example.com"))) is Outcome.FAIL


@pytest.mark.parametrize(
    "target",
    [
        ("idlelib.run", "Executive.runcode"),
        ("idlelib.pyshell", "ModifiedInterpreter.runcode"),
        ("lib2to3.pgen2.grammar", "Grammar.loads"),
    ],
)
def test_ghsa_r8g5_cgf2_4m4m_tools_of_the_editor(target: tuple[str, str]) -> None:
    assert outcome(made(*target, b"N", p.text(p.ECHO))) is Outcome.FAIL


def test_ghsa_9gvj_pp9x_gcfr_a_stream_that_only_the_loader_reads_on() -> None:
    """Opcodes at which pickletools stops and CPython goes on: a number with a leading zero, a string with an odd escape."""
    assert outcome(b"I012\n0" + p.system() + b".") is Outcome.FAIL
    assert outcome(b"F1_0\n0" + p.system() + b".") is Outcome.FAIL
    assert outcome(b"p-1\n" + p.system() + b".", "x.pkl") is not Outcome.PASS
    assert outcome(b"Np99999\n0g99999\n0" + p.system() + b".") is Outcome.FAIL


def test_modelscan_338_reads_every_pickle_of_a_stream() -> None:
    assert outcome(GOOD * 40 + BAD) is Outcome.FAIL
    assert outcome(GOOD + b"\0" * 64 + BAD) is not Outcome.PASS


def test_modelaudit_6266_a_pickle_that_takes_a_scanner_long() -> None:
    doubled = b"N" + b"2\x86" * 5000
    assert outcome(p.proto() + doubled + b"0" + p.system() + b".") is Outcome.FAIL
    assert outcome(p.proto() + b"}" + doubled + b"Ns.") is Outcome.FAIL


# ---- loaders


def test_cve_2019_6446_numpy_load_unpickles() -> None:
    assert outcome(BAD, "weights.npy") is Outcome.FAIL
    head = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    assert outcome(b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head + BAD, "x.npy") is Outcome.FAIL


def test_cve_2020_13092_joblib_load_unpickles() -> None:
    assert outcome(zlib.compress(BAD), "model.joblib") is Outcome.FAIL


def test_cve_2025_23298_cloudpickle_in_a_checkpoint() -> None:
    function = p.call(p.stack_name("cloudpickle.cloudpickle", "_make_function"), b"N", b"}", b"N", b"N", b"N")
    assert rules(p.proto() + function + b".") == {"pickle-carries-code"}
    assert outcome(p.proto() + function + b".") is Outcome.FAIL
    for module in (
        "cloudpickle",
        "joblib.externals.cloudpickle.cloudpickle",
        "ray.cloudpickle.cloudpickle_fast",
    ):
        assert outcome(made(module, "_make_skel_func", b"N", b"K\x00", b"N")) is Outcome.FAIL
        assert outcome(made(module, "subimport", p.text("os"))) is Outcome.FAIL
    assert outcome(made("dill._dill", "_create_function", b"N", b"}")) is Outcome.FAIL
    assert (
        outcome(made("dill._dill", "_create_type", p.name("builtins", "type"), p.text("X"), b")", b"}"))
        is Outcome.FAIL
    )


def test_cve_2026_1839_the_state_of_a_random_generator() -> None:
    """`rng_state.pth` of a trainer is loaded without restrictions."""
    assert outcome(torch_zip(BAD), "rng_state.pth") is Outcome.FAIL
    assert outcome(torch_zip(GOOD), "rng_state.pth") is Outcome.PASS


def test_cve_2024_31583_and_31584_bytecode_of_the_mobile_interpreter() -> None:
    good, bad = (
        b"X\x04\0\0\0LOAD" + p.integer(register) + p.integer(0) + b"\x87" for register in (1, 70_000)
    )
    for instruction, expected in ((good, Outcome.UNKNOWN), (bad, Outcome.FAIL)):
        tables = (
            p.pack(p.text("instructions"), p.pack(instruction)), p.pack(p.text("operators"), b")"), p.pack(p.text("constants"), b")"),
            p.pack(p.text("types"), b")"), p.pack(p.text("register_size"), p.integer(2)),
        )  # fmt: skip
        code = p.proto(2) + p.pack(p.integer(8), p.pack(p.text("f"), p.pack(*tables))) + b"."
        records = {
            "data.pkl": b"\x80\x02N.",
            "constants.pkl": b"\x80\x02).",
            "bytecode.pkl": code,
            "version": b"3\n",
        }
        assert outcome(zipped({f"m/{name}": data for name, data in records.items()}), "m.ptl") is expected


# ---- twenty-two ways to a loader (arXiv 2508.19774, section 4)


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


def tarred(members: dict[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as file:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def torch_zip(data: bytes, **others: bytes) -> bytes:
    members = {"data.pkl": data, "version": b"3\n", "byteorder": b"little", **others}
    return zipped({f"x/{name}": content for name, content in members.items()})


def legacy(position: int) -> bytes:
    """The five pickles of the old layout, one of them the payload."""
    magic = p.proto(2) + b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
    five = [magic, p.proto(2) + b"M\xe9\x03.", p.proto(2) + b"}.", p.proto(2) + b"}.", p.proto(2) + b"]."]
    five[position] = BAD
    return b"".join(five)


def npy(inner: bytes) -> bytes:
    head = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head + inner


PATHS = {
    "pickle.load": ("m.pkl", BAD),
    "joblib plain": ("m.joblib", BAD),
    "joblib zlib": ("m.joblib", zlib.compress(BAD)),
    "joblib gzip": ("m.joblib", gzip.compress(BAD)),
    "joblib bz2": ("m.joblib", bz2.compress(BAD)),
    "joblib xz": ("m.joblib", lzma.compress(BAD)),
    "joblib lzma": ("m.joblib", lzma.compress(BAD, lzma.FORMAT_ALONE)),
    "joblib lz4": ("m.joblib", lz4.frame.compress(BAD)),
    "joblib of 2010": ("m.joblib", b"ZF" + hex(len(BAD)).encode().ljust(19) + zlib.compress(BAD)),
    "numpy raw": ("m.npy", BAD),
    "numpy object array": ("m.npy", npy(BAD)),
    "numpy archive": ("m.npz", zipped({"a.npy": npy(BAD)})),
    "numpy archive, raw member": ("m.npz", zipped({"a.npy": BAD})),
    "torch zip": ("m.pt", torch_zip(BAD)),
    "torch zip, name in capitals": ("m.pt", zipped({"x/DATA.PKL": BAD, "x/version": b"3\n"})),
    **{f"torch legacy, pickle {n}": ("m.pt", legacy(n)) for n in range(5)},
    "torch tar": ("m.pt", tarred({"pickle": BAD, "tensors": b"\x80\x02K\x00.", "storages": b"\x80\x02K\x00.\x80\x02]."})),
    "torch.jit": ("m.pt", zipped({"x/data.pkl": BAD, "x/constants.pkl": b"\x80\x02).", "x/version": b"3\n"})),
    "torch.package": ("m.pt", zipped({"x/.data/extern_modules": b"os\n", "x/.data/version": b"6\n", "x/model/model.pkl": BAD})),
    "torch.export": ("m.pt2", zipped({"x/archive_format": b"pt2", "x/data/sample_inputs/model.pt": torch_zip(BAD)})),
    "torch.export of 2.1": ("m.pt2", zipped({"serialized_exported_program.json": b"{}", "serialized_state_dict.pt": torch_zip(BAD)})),
    "torch.export, pickled constant": ("m.pt2", zipped({"x/archive_format": b"pt2", "x/data/constants/opaque_obj_0": BAD})),
    "NeMo": ("m.nemo", tarred({"model_config.yaml": b"a: 1\n", "model_weights.ckpt": torch_zip(BAD)}, "w:gz")),
    "lightning": ("m.ckpt", torch_zip(BAD)),
    "trainer": ("training_args.bin", torch_zip(BAD)),
    "optimizer": ("optimizer.pt", torch_zip(BAD)),
}  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_a_way_to_the_loader_fails(path: str) -> None:
    name, content = PATHS[path]
    assert outcome(content, name) is Outcome.FAIL


@pytest.mark.parametrize("path", PATHS)
def test_its_name_does_not_matter(path: str) -> None:
    assert outcome(PATHS[path][1], "README") is Outcome.FAIL


# ---- tricks that end in an exception after the payload has run (the same, section 5)

CENTRAL = b"PK\x01\x02"
TRICKS = {
    "an opcode that there is not": p.proto() + p.system() + b"\xff.",
    "no STOP": p.proto() + p.system(),
    "a value that is not there": p.proto() + p.system() + b"00000.",
    "a memo entry that is not there": p.proto() + p.system() + b"h\xfe.",
    "a protocol that there is not": p.proto() + p.system() + b"\x80\x63.",
    "a name that there is not": p.proto() + p.system() + p.name("nowhere", "nothing") + b".",
    "a frame without an end": p.proto() + p.frame(p.system() + b".", 2**40),
    "a torch file whose magic is another": BAD + b"\x80\x02K\x01.",
    "a torch file that ends after its first pickle": legacy(0)[: len(BAD)],
    "a zip file whose end is cut": torch_zip(BAD)[:-10],
    "a zip file with a wrong checksum": torch_zip(BAD).replace(zlib.crc32(BAD).to_bytes(4, "little"), b"\1\2\3\4"),
    "a zip file behind the pickle": BAD + torch_zip(GOOD),
    "a compressed file that is cut": gzip.compress(BAD + b"\0" * 4096)[:-12],
    "a compressed file with a wrong checksum": gzip.compress(BAD)[:-8] + bytes(8),
    "an array whose shape is wrong": npy(BAD).replace(b"(1,)", b"(9,)"),
    "an array with junk behind": npy(BAD) + b"junk",
}  # fmt: skip


@pytest.mark.parametrize("trick", TRICKS)
def test_an_exception_hides_nothing(trick: str) -> None:
    assert outcome(TRICKS[trick], "model.bin") is Outcome.FAIL


# ---- found by trying


def space(*items: bytes) -> bytes:
    return p.call(p.name("types", "SimpleNamespace")) + p.dictionary(*items) + b"b"


def adam(*items: bytes) -> bytes:
    return p.new(p.name("torch.optim.adam", "Adam")) + p.dictionary(*items) + b"b"


def test_an_empty_object_set_as_state_does_not_end_the_load() -> None:
    """pickle.py, and so joblib, takes an empty object for no state at all and goes on to what follows."""
    assert (
        outcome(
            p.proto() + b"K\x01" + p.call(p.name("collections", "OrderedDict")) + b"b0" + p.system() + b"."
        )
        is Outcome.FAIL
    )


def test_an_optimizer_cannot_hide_a_method() -> None:
    """`Optimizer.__setstate__` calls a method of its own after it has filled the attributes."""
    groups = p.text("param_groups") + b"]"
    assert (
        outcome(p.proto() + adam(groups, p.text("state"), b"}", p.text("defaults"), b"}") + b".")
        is Outcome.PASS
    )
    assert (
        outcome(p.proto() + adam(groups, p.text("_patch_step_function"), p.name("builtins", "len")) + b".")
        is not Outcome.PASS
    )
    inner = b"]" + space(p.text("setdefault"), p.name("builtins", "len")) + b"a"
    assert outcome(p.proto() + adam(p.text("param_groups"), inner) + b".") is not Outcome.PASS


def test_data_of_a_statistical_model_cannot_evaluate_a_formula() -> None:
    state = p.dictionary(
        p.text("restore_design_info"), b"\x88", p.text("formula"), p.text("y ~ __import__('os').getpid()")
    )
    found = p.proto() + p.new(p.name("statsmodels.base.data", "PandasData")) + state + b"b."
    assert rules(found) == {"pickle-state-set"}
    assert (
        outcome(found.replace(b"__import__('os').getpid()", b"np.log(abcdefghijklmnopq)")) is Outcome.UNKNOWN
    )


def test_helpers_of_dill_are_taken_apart() -> None:
    array = p.stack_name("dill._dill", "_create_array")
    assert (
        outcome(p.proto() + p.call(array, p.name("posix", "system"), p.pack(p.text(p.ECHO)), b")") + b".")
        is Outcome.FAIL
    )
    kind = p.call(p.stack_name("dill._dill", "_load_type"), p.text("PartialType"))
    assert outcome(p.proto() + p.call(kind, p.name("builtins", "len")) + b".") is Outcome.PASS
    assert outcome(p.proto() + p.call(kind, p.name("posix", "system"), p.text(p.ECHO)) + b".") is Outcome.FAIL
    file = p.call(p.stack_name("dill._dill", "_load_type"), p.text("FileType"))
    assert outcome(p.proto() + p.call(file, p.text("x"), p.text("w")) + b".") is Outcome.FAIL
    assert outcome(made("dill._dill", "_eval_repr", p.text("range(0, 3)"))) is Outcome.PASS
    assert outcome(made("dill._dill", "_eval_repr", p.text("range(0, 3) or x"))) is Outcome.FAIL


def test_a_class_given_by_an_old_persistent_id_is_judged_by_its_name() -> None:
    def module(name: bytes) -> bytes:
        return p.pack(p.text("module"), name, b"N", b"N") + b"Q"

    assert (
        outcome(p.proto(2) + module(p.name("posix", "system")) + p.pack(p.text(p.ECHO)) + b"R.")
        is Outcome.FAIL
    )
    linear = module(p.name("torch.nn.modules.linear", "Linear")) + b")\x81}b."
    assert outcome(p.proto(2) + linear) is Outcome.PASS
    assert outcome(p.proto(2) + module(p.name("mymodel", "Net")) + b")\x81}b.") is Outcome.UNKNOWN


def test_bytes_that_look_like_a_command_by_chance_accuse_nobody() -> None:
    noise = bytes(range(128, 256)) + b"; rm -x " + bytes(range(128, 256))
    assert outcome(made("mymodel.kinds", "Table", p.data(noise))) is Outcome.UNKNOWN
    assert outcome(made("mymodel.kinds", "Table", p.data(b"import os; os.system('x')"))) is Outcome.FAIL
