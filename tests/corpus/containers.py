"""Malicious archives and framework files: zip, tar, npy, npz, joblib, torch, TorchScript, Keras, HDF5."""

import bz2
import gzip
import io
import json
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.corpus.case import ECHO, Case, Cases, Expect, fail, folder, unknown
from tests.corpus.pickles import CODE, attack, command
from tests.formats.pickles import call, integer, name, pack, proto, text
from tests.formats.test_pytorch import legacy_pieces, legacy_with
from tests.formats.zipmaker import DEFLATED, Item, deflate, make

DATA = Path(__file__).parents[1] / "formats" / "data"
BAD = attack(2)
PLAIN = b"\x80\x02}."
NOTES = b"weights: none\n"
ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 3, 62, 1) + bytes(100)


def record(data: bytes = BAD, path: str = "model/data.pkl", **changes: Any) -> Item:
    """One record of a torch file."""
    return Item(name=path, data=data, **changes)


# -- zip and the quirks of its readers

ZIPS: dict[str, bytes] = {
    "plain": make(record()),
    "deflated": make(record(method=DEFLATED)),
    "with-version": make(record(), record(b"3\n", "model/version")),
    "crc-zero": make(record(local={"crc": 0}, central={"crc": 0})),
    "crc-wrong": make(record(central={"crc": 1})),
    "crc-wrong-locally": make(record(local={"crc": 1})),
    "name-differs": make(record(local={"name": b"model/data.txt"})),
    "name-differs-turned": make(record(path="model/data.txt", local={"name": b"model/data.pkl"})),
    "encrypted-locally": make(record(local={"flags": 0x801})),
    "encrypted": make(record(local={"flags": 0x801}, central={"flags": 0x801})),
    "strong-encryption": make(record(central={"flags": 0x841})),
    "patched": make(record(central={"flags": 0x820})),
    "masked": make(record(central={"flags": 0x2800})),
    "descriptor": make(record(method=DEFLATED, descriptor=True)),
    "size-lie-locally": make(record(local={"size": 1, "packed": 1})),
    "size-lie": make(record(central={"size": 5})),
    "size-too-large": make(record(method=DEFLATED, local={"size": 10**6}, central={"size": 10**6})),
    "method-lie-locally": make(record(local={"method": DEFLATED})),
    "upper-case": make(record(path="model/DATA.PKL")),
    "mixed-case-first": make(record(path="model/data.PkL"), record(PLAIN)),
    "mixed-case-last": make(record(PLAIN), record(path="model/data.PkL")),
    "two-first": make(record(), record(PLAIN)),
    "two-last": make(record(PLAIN), record()),
    "unlisted": make(record(PLAIN), record(path="x.pkl", listed=False)),
    "all-unlisted": make(record(listed=False), Item(name="notes.txt", data=NOTES)),
    "backslash": make(record(path="model\\data.pkl")),
    "absolute": make(record(path="/model/data.pkl")),
    "dot-slash": make(record(path="./model/data.pkl")),
    "two-roots": make(record(PLAIN), record(path="other/data.pkl")),
    "deep-root": make(record(PLAIN), record(path="model/sub/data.pkl")),
    "nul-in-name": make(record(path="model/data.pkl\0.txt")),
    "nul-first": make(record(path="a.txt\0/data.pkl")),
    "bytes-before": BAD + make(record(PLAIN)),
    "bytes-after": make(record(PLAIN)) + BAD,
    "bytes-between": make(record(PLAIN, behind=BAD), Item(name="a", data=NOTES)),
    "comment": make(record(PLAIN), comment=BAD),
    "second-end-in-comment": make(record(), comment=make(record(PLAIN))),
    "second-archive-behind": make(record(PLAIN)) + make(record()),
    "second-archive-before": make(record()) + make(record(PLAIN)),
    "no-directory": make(record())[: 30 + 14 + len(BAD)],
    "cut-end": make(record())[:-4],
    "trailing-zeros": make(record()) + bytes(70_000),
    "extra-record": make(record(PLAIN), record(path="model/extra/head.bin")),
    "in-version": make(record(PLAIN), record(path="model/version")),
    "in-byteorder": make(record(PLAIN), record(path="model/byteorder")),
    "in-storage": make(record(PLAIN), record(path="model/data/0")),
    "in-attributes": make(record(PLAIN), record(path="model/attributes.pkl")),
    "in-serialization-id": make(record(PLAIN), record(path="model/.data/serialization_id")),
    "nested-zip": make(Item(name="a.zip", data=make(record()))),
    "nested-twice": make(Item(name="a.zip", data=make(Item(name="b", data=make(record()))))),
    "nested-gzip": make(Item(name="a.gz", data=gzip.compress(BAD, mtime=0))),
    "nested-tar": make(Item(name="a", data=b"")),  # replaced below
    "nested-npy": make(Item(name="a.bin", data=b"")),  # replaced below
    "member-no-suffix": make(Item(name="weights", data=BAD)),
    "member-as-text": make(Item(name="README.md", data=BAD)),
    "member-elf": make(Item(name="libsample.so", data=ELF)),
    "member-script": make(Item(name="a.pyc", data=b"\xa7\x0d\r\n" + bytes(12) + b"\xe3" + bytes(20))),
    "slip": make(Item(name="../../weighbridge.txt", data=NOTES)),
    "slip-absolute": make(Item(name="/etc/weighbridge.txt", data=NOTES)),
    "slip-drive": make(Item(name="C:\\weighbridge.txt", data=NOTES)),
    "slip-backslash": make(Item(name="..\\..\\weighbridge.txt", data=NOTES)),
    "slip-inside": make(Item(name="a/../../weighbridge.txt", data=NOTES)),
    "symlink": make(Item(name="weights", data=b"../../etc/passwd", central={"mode": 0o120777})),
    "bomb": make(Item(name="zeros", data=b"", method=DEFLATED, packed=deflate(bytes(10**5)),
                      local={"size": 1 << 31, "crc": 0}, central={"size": 1 << 31, "crc": 0})),
    "utf-8-name-in-extra": make(Item(name="notes.txt", data=BAD,
                                     central={"extra": struct.pack("<HHBL", 0x7075, 5 + 8, 1, zlib.crc32(b"notes.txt")) + b"data.pkl"})),
    "zip64-extra-lie": make(record(central={"extra": struct.pack("<HHQ", 1, 8, 5), "size": 0xFFFFFFFF})),
}  # fmt: skip


def _tar(*members: tuple[str, bytes, dict[str, Any]], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for path, data, changes in members:
            made = tarfile.TarInfo(path)
            made.size = len(data)
            for key, value in changes.items():
                setattr(made, key, value)
            archive.addfile(made, io.BytesIO(data))
    return buffer.getvalue()


def npy(program: bytes = BAD, *, version: int = 1, descr: str = "|O", shape: str = "(1,)") -> bytes:
    """An array of objects: a header and a pickle."""
    head = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    head = head.ljust(117) + b"\n"
    length = struct.pack("<H" if version == 1 else "<I", len(head))
    return b"\x93NUMPY" + bytes([version, 0]) + length + head + program


ZIPS["nested-tar"] = make(Item(name="a", data=_tar(("data.pkl", BAD, {}))))
ZIPS["nested-npy"] = make(Item(name="a.bin", data=npy()))


def zips() -> Cases:
    for what, content in ZIPS.items():
        yield fail("zip", what, "model.pt", content)
    for path in (
        "model.bin",
        "weights",
        "model.safetensors",
        "data.json",
        "README.md",
        "model.onnx",
        "model.gguf",
        "x.png",
    ):
        yield fail("zip", f"named-{path}", path, make(record()))
    yield fail("zip", "behind-safetensors", "model.safetensors", _safetensors() + make(record()))
    yield fail("zip", "behind-png", "logo.png", _png() + make(record()))
    yield fail("zip", "behind-text", "README.md", NOTES * 40 + make(record()))
    yield fail("zip", "behind-json", "config.json", b'{"a": 1}\n' + make(record()))
    yield fail("zip", "behind-npy", "a.npy", npy(b"\0" * 8, descr="<f8") + make(record()))
    yield unknown(
        "zip", "method-unknown", "model.pt", make(record(BAD, local={"method": 99}, central={"method": 99}))
    )
    yield unknown("zip", "encrypted-for-real", "model.zip", _locked())


def _locked() -> bytes:
    """An entry whose bytes are random: really encrypted."""
    noise = bytes((i * 167 + 13) % 251 for i in range(200))
    flags = {"flags": 0x801}
    return make(
        Item(
            name="weights.bin",
            data=b"",
            packed=noise,
            local={**flags, "size": 188},
            central={**flags, "size": 188},
        )
    )


def _safetensors() -> bytes:
    head = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    return struct.pack("<Q", len(head)) + head + bytes(8)


def _png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")


# -- tar


def tars() -> Cases:
    link = {"type": tarfile.SYMTYPE, "linkname": "/etc"}
    hard = {"type": tarfile.LNKTYPE, "linkname": "../../etc/passwd"}
    plain = _tar(("model.pkl", BAD, {}))
    files = {
        "member": plain,
        "gnu": _tar(("model.pkl", BAD, {}), form=tarfile.GNU_FORMAT),
        "ustar": _tar(("model.pkl", BAD, {}), form=tarfile.USTAR_FORMAT),
        "v7": _v7(plain),
        "gzip": gzip.compress(plain, mtime=0),
        "bzip2": bz2.compress(plain),
        "xz": lzma.compress(plain),
        "nested": _tar(("a.tar", plain, {})),
        "zip-inside": _tar(("a.bin", make(record()), {})),
        "torch-pickle": _tar(
            ("sys_info", PLAIN, {}),
            ("pickle", BAD, {}),
            ("storages", pack(b"") + b".", {}),
            ("tensors", PLAIN, {}),
        ),
        "torch-storages": _tar(
            ("sys_info", PLAIN, {}), ("pickle", PLAIN, {}), ("storages", BAD, {}), ("tensors", PLAIN, {})
        ),
        "torch-tensors": _tar(
            ("pickle", PLAIN, {}), ("storages", b"\x80\x02K\x00.", {}), ("tensors", BAD, {})
        ),
        "slip": _tar(("../../weighbridge.txt", NOTES, {})),
        "absolute": _tar(("/etc/weighbridge.txt", NOTES, {})),
        "symlink": _tar(("weights", b"", link), ("weights/passwd", NOTES, {})),
        "symlink-relative": _tar(("a/b", b"", {"type": tarfile.SYMTYPE, "linkname": "../../../etc"})),
        "hardlink": _tar(("weights", b"", hard)),
        "device": _tar(("weights", b"", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3})),
        "fifo": _tar(("weights", b"", {"type": tarfile.FIFOTYPE})),
        "behind-end": _tar(("a.txt", NOTES, {})) + _tar(("model.pkl", BAD, {})),
        "long-name": _tar(("d/" * 120 + "model.pkl", BAD, {})),
        "pax-path": _tar(("notes.txt", BAD, {"pax_headers": {"path": "../../model.pkl"}})),
        "twice": _tar(("model.pkl", PLAIN, {}), ("model.pkl", BAD, {})),
        "elf": _tar(("lib.so", ELF, {})),
    }
    for what, content in files.items():
        yield fail("tar", what, "model.tar", content)
    # A reader that does not count from where the zip begins finds the directory of another member.
    hidden = make(record(), prefix=bytes(1024))[1024:]
    twisted = bytearray(_tar(("first.zip", hidden, {}), ("second.zip", make(record(PLAIN)), {})))
    at = twisted.rfind(b"PK\5\6") + 16
    twisted[at : at + 4] = struct.pack("<I", twisted.find(b"PK\1\2"))
    yield fail("tar", "zip-member-with-a-directory-elsewhere", "model.tar", bytes(twisted))
    yield fail("tar", "without-suffix", "weights", plain)
    yield fail(
        "tar",
        "nemo",
        "model.nemo",
        _tar(("model_config.yaml", b"_target_: os.system\n", {}), ("w.ckpt", make(record()), {})),
    )


def _v7(content: bytes) -> bytes:
    """The same archive without `ustar`: the checksum follows."""
    block = bytearray(content[:512])
    block[257:265] = bytes(8)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + content[512:]


# -- numpy and joblib


def arrays() -> Cases:
    files = {
        "object": npy(),
        "version-2": npy(version=2),
        "version-3": npy(version=3),
        "structured": npy(descr="O"),
        "no-magic": BAD,
        "second-array": npy(b"\0" * 8, descr="<f8") + npy(),
        "trailing": npy(b"\0" * 8, descr="<f8") + BAD,
        "scalar": npy(shape="()"),
        "compressed": gzip.compress(npy(), mtime=0),
    }
    for what, content in files.items():
        yield fail("numpy", what, "array.npy", content)
    code = npy().replace(b"(1,)", b"(__import__('os').system(1),)")
    yield fail("numpy", "header-that-is-no-literal", "array.npy", code)
    members = {
        "npz": make(Item(name="x.npy", data=npy())),
        "npz-deflated": make(Item(name="x.npy", data=npy(), method=DEFLATED)),
        "npz-no-suffix": make(Item(name="x", data=npy())),
        "npz-raw-pickle": make(Item(name="x.npy", data=BAD)),
        "npz-second": make(
            Item(name="x.npy", data=npy(b"\0" * 8, descr="<f8")), Item(name="y.npy", data=npy())
        ),
        "npz-twice": make(
            Item(name="x.npy", data=npy(b"\0" * 8, descr="<f8")), Item(name="x.npy", data=npy())
        ),
    }
    for what, content in members.items():
        yield fail("numpy", what, "arrays.npz", content)
    yield fail("joblib", "object-array", "model.joblib", _joblib_object())
    yield fail("joblib", "after-array", "model.joblib", _joblib_array(command() + b"0N."))
    yield fail("joblib", "array-of-calls", "model.joblib", proto(4) + _wrapper(text("|O")) + BAD + b".")
    yield fail("joblib", "old-wrapper", "model.joblib", proto(3) + _old_wrapper() + b"0" + command() + b".")
    yield fail("joblib", "old-wrapper-alone", "model.joblib", proto(3) + _old_wrapper() + b".")


def _wrapper(dtype: bytes, shape: bytes = b"K\x01\x85") -> bytes:
    kind = call(name("numpy", "dtype"), dtype, b"\x89", b"\x88")
    state = [text("subclass"), name("numpy", "ndarray"), text("shape"), shape, text("order"), text("C"), text("dtype"), kind,
             text("allow_mmap"), b"\x88", text("numpy_array_alignment_bytes"), b"K\x10"]  # fmt: skip
    return name("joblib.numpy_pickle", "NumpyArrayWrapper") + b")\x81" + b"}(" + b"".join(state) + b"ub"


def _joblib_object() -> bytes:
    """An array of objects is a whole pickle behind the wrapper."""
    return proto(4) + _wrapper(text("O8")) + BAD + b"."


def _joblib_array(rest: bytes) -> bytes:
    return proto(4) + _wrapper(text("f8")) + b"\x02\xff\xff" + bytes(8) + b"0" + rest


def _old_wrapper() -> bytes:
    state = [text("filename"), text("../x.npy"), text("subclass"), name("numpy", "ndarray")]
    return name("joblib.numpy_pickle_compat", "NDArrayWrapper") + b")\x81" + b"}(" + b"".join(state) + b"ub"


# -- torch


def _replaced(source: str, changes: dict[str, bytes | None], extra: dict[str, bytes] | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(DATA / source) as old, zipfile.ZipFile(buffer, "w") as new:
        for member in old.namelist():
            data = changes.get(member.partition("/")[2], old.read(member))
            if data is not None:
                new.writestr(zipfile.ZipInfo(member), data)
        for member, data in (extra or {}).items():
            new.writestr(zipfile.ZipInfo(member), data)
    return buffer.getvalue()


SCRIPTS = {
    "save": 'torch.save(x, "/tmp/weighbridge")',
    "from-file": 'torch.from_file("/etc/hostname", False, 10)',
    "alias": 'y = torch . from_file("/etc/hostname")',
    "in-loop": 'for i in range(3):\n      _0 = torch.save(x, "/tmp/w")',
    "aten": 'ops.aten.from_file("/etc/hostname", False, 10)',
    "python-op": "ops.prim.PythonOp(x)",
    "rpc": 'ops.prim.rpc_async("worker", x)',
}


def torch() -> Cases:
    old = (DATA / "torch-zip.pt").read_bytes()
    with zipfile.ZipFile(io.BytesIO(old)) as archive:
        program = archive.read("torch-zip/data.pkl")
    yield fail(
        "torch-zip",
        "call-before-weights",
        "m.pt",
        _replaced("torch-zip.pt", {"data.pkl": proto(2) + command() + b"0" + program[2:]}),
    )
    yield fail(
        "torch-zip",
        "call-after-weights",
        "m.pt",
        _replaced("torch-zip.pt", {"data.pkl": program[:-1] + command() + b"0."}),
    )
    yield fail("torch-zip", "second-pickle", "m.pt", _replaced("torch-zip.pt", {"data.pkl": program + BAD}))
    yield fail(
        "torch-zip", "extra-file", "m.pt", _replaced("torch-zip.pt", {}, {"torch-zip/extra/head.bin": BAD})
    )
    yield fail("torch-zip", "outside-root", "m.pt", _replaced("torch-zip.pt", {}, {"other/head.bin": BAD}))
    yield fail(
        "torch-zip",
        "in-a-storage-nobody-uses",
        "m.pt",
        _replaced("torch-zip.pt", {}, {"torch-zip/data/99": BAD}),
    )
    yield fail("torch-zip", "elf", "m.pt", _replaced("torch-zip.pt", {}, {"torch-zip/lib.so": ELF}))
    yield fail(
        "torch-zip",
        "python",
        "m.pt",
        _replaced("torch-zip.pt", {}, {"torch-zip/code/x.py": f"import os\nos.system('{ECHO}')\n".encode()}),
    )
    yield fail(
        "torch-zip",
        "package",
        "m.pt",
        _replaced("torch-zip.pt", {}, {"torch-zip/.data/extern_modules": b"os\n", "torch-zip/m.pkl": BAD}),
    )
    yield fail("torch-zip", "small-storage", "m.pt", _replaced("torch-zip.pt", {"data/0": b"1234"}))
    yield fail("torch-zip", "pickle-before", "m.pt", BAD + old)
    yield fail("torch-zip", "pickle-behind", "m.pt", old + BAD)
    yield fail("torch-zip", "gzip", "m.pt", gzip.compress(make(record()), mtime=0))
    for number in range(5):
        piece = legacy_pieces()[number]
        program = proto(2) + command() + b"0" + piece[2:]
        yield fail("torch-legacy", f"pickle-{number}", "m.pt", legacy_with(number, program))
    legacy = (DATA / "torch-legacy.pt").read_bytes()
    yield fail("torch-legacy", "behind", "m.pt", legacy + BAD)
    yield fail("torch-legacy", "zip-behind", "m.pt", legacy + make(record()))
    yield fail("torch-legacy", "only-magic", "m.pt", legacy_pieces()[0] + BAD)
    yield fail("torch-legacy", "cut-after-call", "m.pt", legacy_with(3, proto(2) + command() + b"0N.")[:400])
    for what, line in SCRIPTS.items():
        yield fail("torchscript", what, "m.pt", _script(line))
    yield fail("torchscript", "constants", "m.pt", _replaced("torchscript.pt", {"constants.pkl": BAD}))
    yield fail("torchscript", "data", "m.pt", _replaced("torchscript.pt", {"data.pkl": BAD}))
    yield fail(
        "torchscript", "extra-pickle", "m.pt", _replaced("torchscript.pt", {}, {"torchscript/extra/x": BAD})
    )
    yield fail(
        "torchscript", "native", "m.pt", _replaced("torchscript.pt", {}, {"torchscript/extra/lib.so": ELF})
    )
    yield fail("torchscript", "unknown-operator", "m.pt", _script("ops.mylib.conv(x)"))


def _script(line: str) -> bytes:
    with zipfile.ZipFile(DATA / "torchscript.pt") as archive:
        member = next(n for n in archive.namelist() if n.endswith(".py"))
        code = archive.read(member).decode()
    body = f"def harm(x: Tensor) -> Tensor:\n  {line}\n  return x\n"
    return _replaced("torchscript.pt", {member.partition("/")[2]: (code + body).encode()})


# -- keras and hdf5


def _keras(config: Any, **files: bytes) -> bytes:
    raw = config if isinstance(config, bytes) else json.dumps(config).encode()
    items = [
        Item(name="config.json", data=raw),
        Item(name="metadata.json", data=b'{"keras_version": "3.8.0"}'),
    ]
    return make(*items, *(Item(name=path.replace("__", "/"), data=data) for path, data in files.items()))


def _sequential(*layers: Any, **extra: Any) -> dict[str, Any]:
    config = {"name": "sequential", "layers": list(layers)}
    return {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None, **extra}


def _function(module: str, qualname: str) -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": qualname, "registered_name": qualname}


def _layer(class_name: str, config: Any = None, module: str | None = "keras.layers") -> dict[str, Any]:
    return {"module": module, "class_name": class_name, "config": config or {}, "registered_name": None}


LAMBDA = {
    "class_name": "__lambda__",
    "config": {"code": "4wEAAAAAAAAAAAAAAAEAAAABAAAA\n", "defaults": None, "closure": None},
}
KERAS: dict[str, Any] = {
    "lambda": _sequential(_layer("Lambda", {"function": LAMBDA})),
    "lambda-old": {"class_name": "Sequential", "config": [{"class_name": "Lambda", "config": {"function": ["4wEAAAAA", None, None], "function_type": "lambda"}}]},
    "lambda-loss": _sequential(compile_config={"loss": LAMBDA}),
    "lambda-activation": _sequential(_layer("Dense", {"units": 1, "activation": LAMBDA})),
    "lambda-in-wrapper": _sequential(_layer("TimeDistributed", {"layer": _layer("Lambda", {"function": LAMBDA})})),
    "function-os": _sequential(_layer("Dense", {"activation": _function("os", "system")})),
    "function-subprocess": _sequential(_layer("Dense", {"kernel_initializer": _function("subprocess", "getoutput")})),
    "function-builtins": _sequential(_layer("Dense", {"activation": _function("builtins", "eval")})),
    "class-of-os": _sequential({"module": "subprocess", "class_name": "Popen", "config": {"args": ECHO}, "registered_name": "Popen"}),
    "class-pathlib": _sequential({"module": "pathlib", "class_name": "Path", "config": {}, "registered_name": None}),
    "get-file": _sequential(_layer("Dense", {"activation": _function("keras.utils", "get_file")})),
    "load-model": _sequential(_layer("Dense", {"activation": _function("keras.saving", "load_model")})),
    "enable-unsafe": _sequential(_layer("Dense", {"activation": _function("keras.config", "enable_unsafe_deserialization")})),
    "tfsm": _sequential(_layer("TFSMLayer", {"filepath": "/tmp/x"})),
    "torch-module": _sequential(_layer("TorchModuleWrapper", {"module": "UEsDBAoAAAAA"})),
    "vocabulary-path": _sequential(_layer("StringLookup", {"vocabulary": "/etc/passwd"})),
    "vocabulary-url": _sequential(_layer("TextVectorization", {"vocabulary": "http://example.com/v"})),
    "duplicate-key": b'{"class_name": "Sequential", "module": "keras", "config": {"layers": [{"class_name": "Lambda", "module": "keras.layers", "config": {"function": {"class_name": "__lambda__", "config": {"code": "4wE="}}}}]}, "config": {"layers": []}}',
    "escaped-key": b'{"cl\\u0061ss_name": "Lambda", "config": {"function": ["4wEAAA", null, null]}, "module": "keras.layers"}',
    "in-optimizer": _sequential(compile_config={"optimizer": {"module": "os", "class_name": "function", "config": "system", "registered_name": "x"}}),
    "in-build-config": _sequential(build_config=_function("os", "popen")),
    "deep": {"class_name": "Sequential", "module": "keras", "config": {"a": [[[{"b": {"c": [_function("os", "system")]}}]]]}},
}  # fmt: skip


def keras() -> Cases:
    for what, config in KERAS.items():
        yield fail("keras", what, "model.keras", _keras(config))
        if not what.startswith("du"):
            raw = config if isinstance(config, bytes) else json.dumps(config).encode()
            yield fail("keras-json", what, "config.json", raw)
    yield fail("keras", "asset-pickle", "model.keras", _keras(_sequential(), assets__a=BAD))
    yield fail(
        "keras",
        "weights-are-a-pickle",
        "model.keras",
        make(
            Item(name="config.json", data=b"{}"),
            Item(name="model.weights.h5", data=BAD),
            Item(name="metadata.json", data=b"{}"),
        ),
    )
    yield fail(
        "keras",
        "weights-with-external-link",
        "model.keras",
        _keras(_sequential(), **{"model.weights.h5": (DATA / "outside.h5").read_bytes()}),
    )
    yield fail("keras", "path-escape", "model.keras", _keras(_sequential(), **{"assets__..__..__x": NOTES}))
    yield unknown(
        "keras",
        "custom-layer",
        "model.keras",
        _keras(_sequential(_layer("Attention2", module="mylib.layers"))),
    )
    yield unknown(
        "keras",
        "named-function",
        "model.keras",
        _keras(_sequential(_layer("Lambda", {"function": "my_function"}))),
    )
    plain = (DATA / "dense.h5").read_bytes()
    model = (DATA / "sequential.h5").read_bytes()
    yield fail("hdf5", "external-link", "m.h5", (DATA / "outside.h5").read_bytes())
    yield fail("hdf5", "user-block-pickle", "m.h5", BAD.ljust(512, b"\0") + plain)
    yield fail("hdf5", "pickle-behind", "m.h5", plain + BAD)
    yield fail("hdf5", "zip-behind", "m.h5", plain + make(record()))
    yield fail("hdf5", "elf-before", "m.h5", ELF.ljust(512, b"\0") + plain)
    yield fail("hdf5", "lambda", "m.h5", _patched_h5(model))
    yield fail("hdf5", "named-safetensors", "model.safetensors", (DATA / "outside.h5").read_bytes())


def _patched_h5(content: bytes) -> bytes:
    """The Keras 2 configuration inside, with a layer turned into a Lambda of the same length."""
    old, new = (
        b'"class_name": "Dense", "config": {"name": "dense", ',
        b'"class_name": "Lambda","config":{"function":["4"],  ',
    )
    assert content.count(old) == 1
    return content.replace(old, new[: len(old)].ljust(len(old)))


def hidden_torch_storage() -> Cases:
    """Views and storages that a loader would follow out of the file."""
    storage = pack(text("storage"), name("torch", "FloatStorage"), text("0"), text("cpu"), integer(4)) + b"Q"
    hooks = call(name("collections", "OrderedDict"))
    view = call(
        name("torch._utils", "_rebuild_tensor_v2"),
        storage,
        integer(0),
        pack(integer(2**31 - 1)),
        pack(integer(1)),
        b"\x89",
        hooks,
    )
    yield fail(
        "torch-zip",
        "view-outside",
        "m.pt",
        make(record(proto(2) + view + b"."), record(bytes(16), "model/data/0")),
    )
    yield unknown(
        "torch-zip",
        "negative-offset",
        "m.pt",
        make(
            record(
                proto(2)
                + call(
                    name("torch._utils", "_rebuild_tensor_v2"),
                    storage,
                    integer(-5),
                    pack(integer(2)),
                    pack(integer(1)),
                    b"\x89",
                    hooks,
                )
                + b"."
            ),
            record(bytes(16), "model/data/0"),
        ),
    )
    yield folder(
        "torch-zip",
        "beside-clean-weights",
        {"model.safetensors": _safetensors(), "extra/head.bin": make(record())},
        Expect.FAIL,
    )
    yield folder(
        "pickle-name",
        "beside-clean-weights",
        {"model.safetensors": _safetensors(), "training_args.bin": BAD, "rng.txt": CODE},
        Expect.FAIL,
    )


def cases() -> Iterator[Case]:
    yield from zips()
    yield from tars()
    yield from arrays()
    yield from torch()
    yield from keras()
    yield from hidden_torch_storage()
