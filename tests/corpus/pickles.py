"""Malicious pickles: each gadget of `gadgets.txt`, and the tricks that hide one; written opcode by opcode, never pickled."""

import bz2
import gzip
import lzma
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.corpus.case import ECHO, Case, Cases, fail, unknown
from tests.formats.pickles import (
    call,
    data,
    dictionary,
    frame,
    integer,
    name,
    new,
    pack,
    proto,
    short,
    stack_name,
    text,
)

HERE = Path(__file__).parent
CODE = f"__import__('os').system('{ECHO}')"
STOP = b"."


def command() -> bytes:
    """The plainest attack."""
    return call(name("os", "system"), text(ECHO))


def attack(protocol: int = 4) -> bytes:
    """A whole pickle that runs the command."""
    return proto(protocol) + command() + STOP


# -- gadgets

_LIST = b"](" + text("sh") + text("-c") + text(ECHO) + b"e"
ARGUMENTS: dict[str, tuple[bytes, ...]] = {
    "cmd": (text(ECHO),),
    "code": (text(CODE),),
    "path": (text("/tmp/weighbridge-sample"),),
    "url": (text("https://example.com/weighbridge"),),
    "call": (name("os", "system"), b"](" + text(ECHO) + b"e"),
    "none": (),
    "name": (text("os.system"),),
    "bytes": (data(attack()),),
    "list": (_LIST,),
}


def listed() -> Iterator[tuple[str, str, str]]:
    """(module, qualified name, kind of argument) of every line."""
    for line in (HERE / "gadgets.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            words = line.split()
            yield words[0], words[1], words[2] if len(words) > 2 else "cmd"


def in_protocol(protocol: int, module: str, qualname: str, arguments: tuple[bytes, ...]) -> bytes:
    """The call as a pickler of that protocol writes it; protocol 0 and 1 have no header."""
    if protocol < 4:
        head = proto(protocol) if protocol >= 2 else b""
        return head + call(name(module, qualname), *arguments) + STOP
    body = short(module) + b"\x94" + short(qualname) + b"\x94\x93\x94" + pack(*arguments) + b"\x94R\x94."
    return proto(protocol) + frame(body)


def gadgets() -> Cases:
    for number, (module, qualname, kind) in enumerate(listed()):
        protocol = number % 6
        content = in_protocol(protocol, module, qualname, ARGUMENTS[kind])
        yield fail("pickle-gadget", f"{module}.{qualname}-p{protocol}", "model.pkl", content)


# -- tricks


def _memo(at: int) -> bytes:
    return b"h" + bytes([at])


def _getattr(owner: bytes, attribute: str) -> bytes:
    return call(name("builtins", "getattr"), owner, text(attribute))


def _imported(module: str) -> bytes:
    return call(name("importlib", "import_module"), text(module))


def _codec(value: str, codec: str) -> bytes:
    return call(name("_codecs", "encode"), text(value), text(codec))


TRICKS: dict[str, bytes] = {
    "inst": b"(" + text(ECHO) + b"ios\nsystem\n",
    "obj": b"(" + name("os", "system") + text(ECHO) + b"o",
    "newobj": name("subprocess", "Popen") + pack(text(ECHO)) + b"\x81",
    "newobj-ex": name("subprocess", "Popen") + b")" + dictionary(text("args"), text(ECHO)) + b"\x92",
    "stack-global": call(stack_name("os", "system"), text(ECHO)),
    "stack-global-of-lines": call(b"Vos\nVsystem\n\x93", text(ECHO)),
    "stack-global-escaped": call(b"V\\u006fs\nVsyst\\u0065m\n\x93", text(ECHO)),
    "stack-global-quoted": call(b"S'o\\x73'\nS'syste\\155'\n\x93", text(ECHO)),
    "stack-global-double-quoted": call(b'S"os"\nS"system"\n\x93', text(ECHO)),
    "stack-global-binunicode8": call(
        b"\x8d" + struct.pack("<Q", 2) + b"os" + b"\x8d" + struct.pack("<Q", 6) + b"system" + b"\x93", text(ECHO)
    ),
    "stack-global-dup": call(text("code") + b"2\x93", text(CODE)),
    "stack-global-memo": text("os") + b"q\x00" + text("system") + b"q\x0100" + call(b"h\x00h\x01\x93", text(ECHO)),
    "stack-global-long-memo": text("os") + b"r\x00\x01\x00\x00" + text("system") + b"r\x01\x01\x00\x0000"
    + call(b"j\x00\x01\x00\x00j\x01\x01\x00\x00\x93", text(ECHO)),
    "stack-global-text-memo": text("os") + b"p99\n" + text("system") + b"p98\n00" + call(b"g99\ng98\n\x93", text(ECHO)),
    "memo-overwritten": text("math") + b"q\x000" + text("os") + b"q\x000" + call(_memo(0) + text("system") + b"\x93", text(ECHO)),
    "memoize-shifted": text("x") + b"\x940" + text("os") + b"\x940" + call(_memo(1) + text("system") + b"\x93", text(ECHO)),
    "memo-of-callable": name("os", "system") + b"q\x050" + call(_memo(5), text(ECHO)),
    "memo-of-arguments": pack(text(ECHO)) + b"q\x050" + name("os", "system") + _memo(5) + b"R",
    "name-by-rot13": call(_codec("bf", "rot13") + _codec("flfgrz", "rot13") + b"\x93", text(ECHO)),
    "name-by-decode": call(call(name("_codecs", "decode"), data(b"os"), text("ascii")) + text("system") + b"\x93", text(ECHO)),
    "name-by-hex": call(call(name("binascii", "unhexlify"), text("6f73")) + text("system") + b"\x93", text(ECHO)),
    "name-by-base64": call(call(name("base64", "b64decode"), text("b3M=")) + text("system") + b"\x93", text(ECHO)),
    "name-by-join": call(call(name("builtins", "str.join"), text(""), b"](" + text("o") + text("s") + b"e") + text("system") + b"\x93", text(ECHO)),
    "name-by-replace": call(call(name("builtins", "str.replace"), text("oxs"), text("x"), text("")) + text("system") + b"\x93", text(ECHO)),
    "name-by-bound-method": call(call(_getattr(text("xos"), "strip"), text("x")) + text("system") + b"\x93", text(ECHO)),
    "name-by-add": call(call(name("operator", "add"), text("o"), text("s")) + text("system") + b"\x93", text(ECHO)),
    "name-by-concat": call(call(name("operator", "concat"), text("o"), text("s")) + text("system") + b"\x93", text(ECHO)),
    "name-by-choice": call(call(name("random", "choice"), b"](" + text("os") + b"e") + text("system") + b"\x93", text(ECHO)),
    "name-by-str-of-bytes": call(call(name("builtins", "str"), data(b"os"), text("ascii")) + text("system") + b"\x93", text(ECHO)),
    "name-by-format": call(call(name("builtins", "str.format"), text("{}s"), text("o")) + text("system") + b"\x93", text(ECHO)),
    "name-by-chr": call(call(name("builtins", "chr"), integer(111)) + text("system") + b"\x93", text(ECHO)),
    "name-by-getitem": call(call(name("operator", "getitem"), b"](" + text("os") + b"e", integer(0)) + text("system") + b"\x93", text(ECHO)),
    "dotted-shutil": call(stack_name("shutil", "os.system"), text(ECHO)),
    "dotted-collections": call(stack_name("collections", "_sys.modules"), text(ECHO)),
    "dotted-contracted": call(stack_name("collections", "OrderedDict.__class__.__base__.__subclasses__")),
    "dotted-globals": call(stack_name("torch._utils", "_rebuild_tensor_v2.__globals__.get"), text("os")),
    "dotted-torch-os": call(stack_name("torch.serialization", "os.system"), text(ECHO)),
    "dotted-numpy-sys": call(stack_name("numpy", "sys.modules.get"), text("os")),
    "dotted-sklearn-warnings": call(stack_name("sklearn.base", "warnings.sys.modules.get"), text("os")),
    "dotted-joblib-os": call(stack_name("joblib.numpy_pickle", "os.system"), text(ECHO)),
    "dotted-pandas-subprocess": call(stack_name("pandas.io.clipboard", "subprocess.Popen"), text(ECHO)),
    "dotted-unknown-os": call(stack_name("mymodel.layers", "os.system"), text(ECHO)),
    "getattr-of-import": call(_getattr(_imported("os"), "system"), text(ECHO)),
    "getattr-of-dunder-import": call(_getattr(call(name("builtins", "__import__"), text("os")), "system"), text(ECHO)),
    "getattr-of-module-name": call(_getattr(name("shutil", "os"), "system"), text(ECHO)),
    "getattr-chain": call(_getattr(_getattr(name("shutil", "os"), "path"), "os.system"), text(ECHO)),
    "getattr-with-default": call(call(name("builtins", "getattr"), name("shutil", "os"), text("system"), b"N"), text(ECHO)),
    "getattr-renamed": call(call(name("__builtin__", "getattr"), name("shutil", "os"), text("system")), text(ECHO)),
    "object-getattribute": call(call(name("builtins", "object.__getattribute__"), name("shutil", "os"), text("system")), text(ECHO)),
    "inspect-getattr-static": call(call(name("inspect", "getattr_static"), name("shutil", "os"), text("system")), text(ECHO)),
    "vars-get": call(call(name("builtins", "dict.get"), call(name("builtins", "vars"), name("shutil", "os")), text("system")), text(ECHO)),
    "attrgetter": call(call(call(name("operator", "attrgetter"), text("system")), _imported("os")), text(ECHO)),
    "attrgetter-dunder": call(call(name("operator", "attrgetter"), text("__globals__")), name("torch._utils", "_rebuild_tensor_v2")),
    "methodcaller": call(call(name("operator", "methodcaller"), text("system"), text(ECHO)), _imported("os")),
    "itemgetter": call(call(call(name("operator", "itemgetter"), text("system")), call(name("builtins", "vars"), name("shutil", "os"))), text(ECHO)),
    "partial": call(call(name("functools", "partial"), name("os", "system"), text(ECHO))),
    "partial-state": call(call(name("functools", "partial"), name("builtins", "print"))
                          + pack(name("os", "system"), pack(text(ECHO)), b"}", b"N") + b"b"),
    "partial-of-partial": call(call(name("functools", "partial"), call(name("functools", "partial"), name("os", "system")), text(ECHO))),
    "method-type": call(call(name("types", "MethodType"), name("os", "system"), text(ECHO))),
    "reduce": call(name("functools", "reduce"), name("builtins", "getattr"), b"](" + text("system") + b"e", name("shutil", "os")),
    "map-of-list": call(name("builtins", "list"), call(name("builtins", "map"), name("os", "system"), b"](" + text(ECHO) + b"e")),
    "map-by-set": call(name("builtins", "set"), call(name("builtins", "map"), name("os", "system"), b"](" + text(ECHO) + b"e")),
    "map-by-append": b"](" + call(name("builtins", "map"), name("os", "system"), b"](" + text(ECHO) + b"e") + b"e",
    "iter-with-sentinel": call(name("builtins", "next"), call(name("builtins", "iter"), call(name("functools", "partial"), name("os", "system"), text(ECHO)), b"N")),
    "deque-of-map": call(name("collections", "deque"), call(name("builtins", "map"), name("os", "system"), b"](" + text(ECHO) + b"e")),
    "bytes-of-map": call(name("builtins", "bytes"), call(name("builtins", "map"), name("os", "system"), b"](" + text(ECHO) + b"e")),
    "sorted-with-key": call(name("heapq", "nsmallest"), integer(1), b"](" + text(ECHO) + b"e", name("os", "system")),
    "max-with-key": name("builtins", "max") + pack(b"](" + text(ECHO) + b"e") + dictionary(text("key"), name("os", "system")) + b"\x92",
    "defaultdict-called": call(call(name("builtins", "getattr"), call(name("collections", "defaultdict"), name("os", "getcwd")), text("__missing__")), text("x")),
    "defaultdict-of-danger": call(name("collections", "defaultdict"), name("os", "abort")),
    "reconstructor": call(name("copyreg", "_reconstructor"), name("subprocess", "Popen"), name("builtins", "object"), b"N")
    + dictionary(text("args"), text(ECHO)) + b"b",
    "newobj-function": call(name("copyreg", "__newobj__"), name("subprocess", "Popen"), text(ECHO)),
    "newobj-ex-function": call(name("copyreg", "__newobj_ex__"), name("subprocess", "Popen"), pack(text(ECHO)), b"}"),
    "extension-registered": call(name("copyreg", "add_extension"), text("os"), text("system"), b"K\x07") + b"0" + call(b"\x82\x07", text(ECHO)),
    "extension-2": call(name("copyreg", "add_extension"), text("os"), text("system"), b"M\x07\x01") + b"0" + call(b"\x83\x07\x01", text(ECHO)),
    "extension-4": call(name("copyreg", "add_extension"), text("os"), text("system"), integer(70000)) + b"0"
    + call(b"\x84" + struct.pack("<i", 70000), text(ECHO)),
    "extension-registry": name("copyreg", "_inverted_registry") + b"K\x05" + pack(text("os"), text("system")) + b"s0" + call(b"\x82\x05", text(ECHO)),
    "extension-cache": name("copyreg", "_extension_cache") + b"K\x05" + name("os", "system") + b"s0" + call(b"\x82\x05", text(ECHO)),
    "dispatch-table": name("copyreg", "dispatch_table") + name("builtins", "int") + name("os", "system") + b"s",
    "set-on-modules": name("sys", "modules") + text("os") + name("builtins", "object") + b"s",
    "set-on-environment": name("os", "environ") + text("LD_PRELOAD") + text("/tmp/x.so") + b"s",
    "append-to-path": name("sys", "path") + text("/tmp/weighbridge") + b"a",
    "appends-to-meta-path": name("sys", "meta_path") + b"(" + name("builtins", "object") + b"e",
    "build-on-class": name("sklearn.base", "BaseEstimator") + b"N" + dictionary(text("fit"), name("os", "system")) + b"\x86b",
    "build-on-function": name("torch._utils", "_rebuild_tensor_v2") + b"N" + dictionary(text("__code__"), b"N") + b"\x86b",
    "build-on-module": name("shutil", "os") + b"N" + dictionary(text("path"), b"N") + b"\x86b",
    "build-with-class": call(name("collections", "OrderedDict")) + b"N" + dictionary(text("__class__"), name("subprocess", "Popen")) + b"\x86b",
    "build-with-setstate": call(name("collections", "OrderedDict")) + dictionary(text("__setstate__"), name("os", "system")) + b"b" + text(ECHO) + b"b",
    "build-twice-with-setstate": call(name("argparse", "Namespace")) + dictionary(text("__setstate__"), name("os", "system")) + b"b" + text(ECHO) + b"b",
    "setitem-on-partial": call(name("functools", "partial"), name("builtins", "int")) + pack(name("os", "system"), b")", b"}", b"N") + b"b" + b")R",
    "append-method": call(name("argparse", "Namespace")) + dictionary(text("append"), name("os", "system")) + b"b" + text(ECHO) + b"a",
    "extend-method": call(name("argparse", "Namespace")) + dictionary(text("extend"), name("os", "system")) + b"b" + b"(" + text(ECHO) + b"e",
    "add-method": call(name("types", "SimpleNamespace")) + dictionary(text("add"), name("os", "system")) + b"b" + b"(" + text(ECHO) + b"\x90",
    "class-with-append": call(name("builtins", "type"), text("X"), b")", dictionary(text("append"), name("os", "system"))) + text(ECHO) + b"a",
    "class-with-del": call(name("builtins", "type"), text("X"), b")", dictionary(text("__del__"), name("os", "system"))),
    "class-with-set-name": call(name("builtins", "type"), text("X"), b")", dictionary(text("a"), call(name("functools", "partial"), name("os", "system")))),
    "class-by-enum": call(name("enum", "Enum"), text("X"), dictionary(text("a"), name("os", "system"))),
    "popped": command() + b"0N",
    "popped-with-mark": b"(" + command() + b"1N",
    "as-key": b"}" + command() + b"Ns",
    "as-argument": call(name("builtins", "list"), b"](" + command() + b"e"),
    "as-persistent-id": command() + b"Q",
    "as-state": call(name("collections", "OrderedDict")) + command() + b"b",
    "in-frozenset": b"(" + command() + b"\x91",
    "in-tuple": command() + b"\x85",
    "nested-pickle": call(name("pickle", "loads"), data(attack())),
    "nested-pickle-in-text": call(name("_pickle", "loads"), _codec("\x80\x02cos\nsystem\n(X\x02\x00\x00\x00lstR.", "latin1")),
    "nested-joblib": call(name("joblib", "load"), call(name("io", "BytesIO"), data(attack()))),
    "nested-torch": call(name("torch.storage", "_load_from_bytes"), data(attack())),
    "nested-marshal": call(call(name("types", "FunctionType"), call(name("marshal", "loads"), data(b"\xe3")), b"}")),
    "nested-in-numpy": call(name("numpy", "load"), call(name("io", "BytesIO"), data(b"\x93NUMPY"))),
    "compressed-nested": call(name("pickle", "loads"), call(name("zlib", "decompress"), data(zlib.compress(attack())))),
    "base64-nested": call(name("pickle", "loads"), call(name("base64", "b64decode"), text("gARjb3MKc3lzdGVtCg=="))),
    "function-of-code": call(call(name("types", "FunctionType"), call(name("types", "CodeType")), b"}")),
    "dill-function": call(call(name("dill._dill", "_create_function"), call(name("dill._dill", "_create_code"), b"N"), b"}")),
    "cloudpickle-function": call(call(name("cloudpickle.cloudpickle", "_make_function"), b"N", b"N", b"N", b"N", b"N")),
    "eval-of-compile": call(name("builtins", "eval"), call(name("builtins", "compile"), text(CODE), text(""), text("eval"))),
    "exec-of-decompress": call(name("builtins", "exec"), call(name("zlib", "decompress"), data(zlib.compress(CODE.encode())))),
    "exec-of-b64": call(name("builtins", "exec"), call(name("base64", "b64decode"), text("cGFzcw=="))),
    "arguments-in-a-list": name("os", "system") + b"](" + text(ECHO) + b"eR",
    "python-2-module": call(name("commands", "getoutput"), text(ECHO)),
    "python-2-builtin": call(name("__builtin__", "apply"), name("os", "system"), pack(text(ECHO))),
    "python-2-urllib": call(name("urllib", "urlopen"), text("http://example.com")),
    "python-2-cstringio": call(name("UserDict", "IterableUserDict"), command()),
    "carriage-returns": b"cos\r\nsystem\r\n" + pack(text(ECHO)) + b"R",
    "blank-in-name": b"cos\nsystem\n(" + b"S'" + ECHO.encode() + b"'\ntR",
    "lines-only": b"cos\nsystem\n(V" + ECHO.encode() + b"\ntR",
    "base-0-int": b"I0x10\n0" + command(),
    "long-line": b"L" + b"1" * 50 + b"L\n0" + command(),
    "float-inf": b"Finf\n0" + command(),
    "many-nones": b"N0" * 5000 + command(),
    "many-marks": b"(" * 2000 + command(),
    "deep-tuples": b"N" + b"\x85" * 5000 + b"0" + command(),
    "scipy-distribution": new(name("scipy.stats._continuous_distns", "norm_gen"))
    + dictionary(text("_parse_arg_template"), text(CODE)) + b"b",
    "tensor-outside-storage": call(
        name("torch._utils", "_rebuild_tensor_v2"),
        pack(text("storage"), name("torch", "FloatStorage"), text("0"), text("cpu"), integer(4)) + b"Q",
        integer(100), pack(integer(4)), pack(integer(1)), b"\x89", call(name("collections", "OrderedDict")),
    ),
    "sympy-through-known-module": call(name("sklearn.utils", "sympy.sympify"), text(CODE)),
    "huge-allocation": call(name("builtins", "bytearray"), b"\x8a\x05\x00\x00\x00\x00\x10") + b"0" + command(),
    "pow-bomb": call(name("builtins", "pow"), integer(10), integer(10**9)),
    "range-of-list": call(name("builtins", "list"), call(name("builtins", "range"), integer(10**9))),
    "property-call": call(call(name("builtins", "property"), name("os", "system")), text(ECHO)),
    "lru-cache": call(call(name("functools", "lru_cache"), name("os", "system")), text(ECHO)),
    "staticmethod": call(call(name("builtins", "staticmethod"), name("os", "system")), text(ECHO)),
    "getattr-dunder-call": call(_getattr(name("os", "system"), "__call__"), text(ECHO)),
    "copy-of-callable": call(call(name("copy", "copy"), name("os", "system")), text(ECHO)),
    "weakref-of-callable": call(call(name("weakref", "ref"), name("os", "system"))),
    "exception-caught-nowhere": command() + b"0" + call(name("builtins", "getattr"), b"N", text("missing")),
    "numpy-ufunc": call(call(name("numpy", "frompyfunc"), name("os", "system"), integer(1), integer(1)), text(ECHO)),
    "numpy-object-reconstructed": call(name("numpy", "vectorize"), name("os", "system")),
    "sklearn-scorer": call(call(name("sklearn.metrics._scorer", "_Scorer"), name("os", "system")), text(ECHO)),
    "sklearn-transformer-called": call(
        call(name("builtins", "getattr"), new(name("sklearn.preprocessing._function_transformer", "FunctionTransformer"))
             + dictionary(text("func"), name("os", "system")) + b"b", text("transform")), text(ECHO)),
}  # fmt: skip


UNSURE = {"carriage-returns", "range-of-list", "defaultdict-of-danger"}
"""They import nothing that there is, only cost time, or name what is not called while loading."""


def tricks() -> Cases:
    for number, (trick, program) in enumerate(TRICKS.items()):
        case = unknown if trick in UNSURE else fail
        yield case("pickle-trick", trick, "model.pkl", proto(2 + number % 4) + program + STOP)


FRAMED: dict[str, Callable[[bytes], bytes]] = {
    "without-protocol": lambda p: p + STOP,
    "without-stop": lambda p: proto() + p,
    "before-a-bad-opcode": lambda p: proto() + p + b"\xff\xff",
    "before-a-cut-string": lambda p: proto() + p + b"X\xff\xff\x00\x00abc",
    "before-an-empty-stack": lambda p: proto() + p + b"0000000R.",
    "before-a-bad-memo": lambda p: proto() + p + b"h\xfe.",
    "before-a-wrong-build": lambda p: proto() + p + b"K\x01}b.",
    "before-stop-with-nothing": lambda p: proto() + p + b"0.",
    "second-pickle": lambda p: proto() + b"N." + proto() + p + STOP,
    "third-pickle-without-protocol": lambda p: proto() + b"N." + b"N." + p + STOP,
    "hundredth-pickle": lambda p: b"N." * 99 + p + STOP,
    "behind-zeros": lambda p: proto() + b"N." + bytes(8) + proto() + p + STOP,
    "long-frame": lambda p: proto() + frame(p + STOP, 10**6),
    "short-frame": lambda p: proto() + frame(p + STOP, 3),
    "empty-frame": lambda p: proto() + frame(b"") + p + STOP,
    "frame-in-frame": lambda p: proto() + frame(frame(p + STOP)),
    "frame-in-protocol-2": lambda p: proto(2) + frame(p + STOP),
    "two-protocols": lambda p: proto(4) + proto(0) + p + STOP,
    "newline-first": lambda p: b"N0" + p + STOP,
    "garbage-behind": lambda p: proto() + p + STOP + b"\x00\x01\x02 garbage \xff" * 20,
    "text-behind": lambda p: proto() + p + STOP + b"# this is a README\n" * 20,
    "gzip": lambda p: gzip.compress(proto() + p + STOP, mtime=0),
    "bzip2": lambda p: bz2.compress(proto() + p + STOP),
    "xz": lambda p: lzma.compress(proto() + p + STOP),
    "lzma": lambda p: lzma.compress(proto() + p + STOP, lzma.FORMAT_ALONE),
    "zlib": lambda p: zlib.compress(proto() + p + STOP),
    "zlib-fast": lambda p: zlib.compress(proto() + p + STOP, 1),
    "gzip-of-gzip": lambda p: gzip.compress(gzip.compress(proto() + p + STOP, mtime=0), mtime=0),
    "two-gzip-members": lambda p: gzip.compress(proto() + p[: len(p) // 2], mtime=0) + gzip.compress(p[len(p) // 2 :] + STOP, mtime=0),
    "gzip-without-trailer": lambda p: gzip.compress(proto() + p + STOP, mtime=0)[:-8],
    "gzip-with-wrong-checksum": lambda p: gzip.compress(proto() + p + STOP, mtime=0)[:-8] + bytes(8),
    "gzip-with-name": lambda p: b"\x1f\x8b\x08\x08" + bytes(6) + b"model.json\0" + gzip.compress(proto() + p + STOP, mtime=0)[10:],
    "joblib-zfile": lambda p: _zfile(proto() + p + STOP),
    "lz4": lambda p: _lz4(proto() + p + STOP),
}  # fmt: skip


def _zfile(content: bytes) -> bytes:
    """joblib's own container of before 0.10 (`numpy_pickle_compat.write_zfile`)."""
    return b"ZF" + hex(len(content)).encode().ljust(19) + zlib.compress(content)


def _lz4(content: bytes) -> bytes:
    """An LZ4 frame with one block that is stored: version 1, independent blocks, no checksums."""
    descriptor = bytes([0x60, 0x40])
    header = b"\x04\x22\x4d\x18" + descriptor + bytes([_xxh32(descriptor) >> 8 & 0xFF])
    return header + struct.pack("<I", 0x80000000 | len(content)) + content + bytes(4)


def _xxh32(content: bytes) -> int:
    """xxHash-32 with seed 0 of fewer than four bytes."""
    value = (374761393 + len(content)) & 0xFFFFFFFF
    for byte in content:
        value = (value + byte * 374761393) & 0xFFFFFFFF
        value = ((value << 11 | value >> 21) * 2654435761) & 0xFFFFFFFF
    for shift, factor in ((15, 2246822519), (13, 3266489917), (16, 1)):
        value = ((value ^ value >> shift) * factor) & 0xFFFFFFFF
    return value


def framings() -> Cases:
    for how, wrap in FRAMED.items():
        path = (
            "model.joblib"
            if how in ("gzip", "bzip2", "xz", "lzma", "zlib", "joblib-zfile", "lz4")
            else "model.pkl"
        )
        case = unknown if how == "behind-zeros" else fail
        yield case("pickle-framing", how, path, wrap(command()))


NAMES = (
    "model.bin", "weights", "pytorch_model.bin", "model.safetensors", "model.gguf", "model.onnx", "config.json", "README.md",
    "notes.txt", "image.png", "logo.svg", "data.csv", "vocab.txt", "model.h5", "model.npy", "arrays.npz", "model.keras",
    "merges.txt", ".hidden", "model.pkl.txt", "model", "a.zip", "a.tar", "a.tar.gz", "model.pt2", "requirements.txt",
    "train.py", "notes.ipynb", "chat_template.jinja", "model.msgpack", "x.7z", "model.PKL", "model.yaml", "model.dat",
)  # fmt: skip


def disguises() -> Cases:
    for path in NAMES:
        yield fail("pickle-name", path, path, attack(2 if len(path) % 2 else 4))
    yield fail(
        "pickle-name", "text-only-pickle", "README.md", b"cos\nsystem\n(S'" + ECHO.encode() + b"'\ntR."
    )
    yield fail(
        "pickle-name", "text-only-pickle-json", "config.json", b"(S'" + ECHO.encode() + b"'\nios\nsystem\n."
    )
    yield fail(
        "pickle-name", "text-only-pickle-txt", "vocab.txt", b"(cos\nsystem\nV" + ECHO.encode() + b"\no."
    )


# -- what cannot be judged


def unjudged() -> Cases:
    layers = dictionary(text("layers"), integer(3))
    programs = {
        "custom-class": new(name("mymodel.net", "Net")) + layers + b"b",
        "custom-function": call(name("mymodel.util", "_rebuild"), text("small")),
        "custom-enum": call(name("builtins", "getattr"), name("mymodel.kinds", "Kind"), text("SMALL")),
        "main-class": new(name("__main__", "Net")) + layers + b"b",
        "persistent-id": text("weights-7") + b"Q",
        "extension-unregistered": b"\x82\x07",
        "out-of-band-buffer": b"\x97",
        "dangerous-name-alone": name("os", "system"),
        "sklearn-class-of-tomorrow": new(name("sklearn.newthing._quantum", "QuantumForest")) + layers + b"b",
    }
    for what, program in programs.items():
        yield unknown("pickle-unjudged", what, "model.pkl", proto(5) + program + STOP)


def cases() -> Iterator[Case]:
    yield from gadgets()
    yield from tricks()
    yield from framings()
    yield from disguises()
    yield from unjudged()
