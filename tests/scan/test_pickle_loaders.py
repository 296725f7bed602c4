"""Every way to an unpickler, and every trick that ends in an exception after the payload has run: none passes.

Published holes by their id stand in `published/`, tricks with names and opcodes in `test_pickle_bypasses.py`.
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
from tests.scan.published.pytorch import instruction, mobile
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


def test_an_operand_more_than_the_stack_can_hold() -> None:
    """The mobile interpreter takes as many values from its stack as an instruction says."""
    assert outcome(mobile(instruction("TUPLE_CONSTRUCT", 2, 0)), "m.ptl") is Outcome.UNKNOWN
    unpacked = mobile(instruction("LIST_UNPACK", 90_000, 0), instruction("TUPLE_CONSTRUCT", 70_000, 0))
    assert outcome(unpacked, "m.ptl") is Outcome.UNKNOWN
    assert outcome(mobile(instruction("TUPLE_CONSTRUCT", 70_000, 0)), "m.ptl") is Outcome.FAIL


def test_a_trainers_state_without_a_payload_passes() -> None:
    assert outcome(torch_zip(GOOD), "rng_state.pth") is Outcome.PASS


def test_pickles_of_a_stream_behind_padding() -> None:
    assert outcome(GOOD + b"\0" * 64 + BAD) is not Outcome.PASS
    assert outcome(b"p-1\n" + p.system() + b".", "x.pkl") is not Outcome.PASS


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
