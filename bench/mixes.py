"""The mixes of opcodes that `opcodes.py` measures: every opcode, every kind of callee, of arguments, of state.

A mix is written the same each time or, where that matters, different each time. Payloads are names and texts that nobody runs.
"""

import pickletools
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.formats import pickles as p

Unit = bytes | Callable[[int], bytes]
"""What is repeated; as a function of its number where it differs each time."""
Mix = tuple[bytes, Unit]
"""What stands once before, and the unit. A unit leaves the stack as it was, or grows it."""


def memo(*values: bytes) -> bytes:
    """Put values into memo entries 0, 1, 2, …"""
    return b"\x80\x04" + b"".join(value + b"q" + bytes([place]) + b"0" for place, value in enumerate(values))


def get(*places: int) -> bytes:
    """Push memo entries."""
    return b"".join(b"h" + bytes([place]) for place in places)


PLAIN: dict[str, Mix] = {
    name: (b"\x80\x04", unit)
    for name, unit in {
        "MARK POP": b"(0", "MARK POP_MARK": b"(1", "MARK": b"(", "NONE DUP": b"N2", "INT": b"I7\n0", "INT bool": b"I01\n0",
        "INT octal": b"I010\n0", "INT odd": b"I+7\n0", "LONG": b"L7L\n0", "FLOAT": b"F1.5\n0", "FLOAT odd": b"F 1.5\n0",
        "BININT": b"J\1\2\3\0040", "BININT1": b"K\0010", "BININT2": b"M\1\0020", "BINFLOAT": b"G" + bytes(8) + b"0",
        "LONG1": b"\x8a\x09" + b"\1" * 9 + b"0", "LONG4": b"\x8b\x04\0\0\0" + b"\1" * 4 + b"0", "STRING": b"S'a'\n0",
        "STRING escaped": b"S'\\x41'\n0", "BINSTRING": b"T\1\0\0\0a0", "SHORT_BINSTRING": b"U\1\xe90", "UNICODE": b"Va\n0",
        "BINUNICODE": b"X\1\0\0\0a0", "SHORT_BINUNICODE": b"\x8c\1a0", "BINUNICODE8": b"\x8d\1" + bytes(7) + b"a0",
        "BINBYTES": b"B\1\0\0\0a0", "SHORT_BINBYTES": b"C\1a0", "BINBYTES8": b"\x8e\1" + bytes(7) + b"a0",
        "BYTEARRAY8": b"\x96" + bytes(8), "BYTEARRAY8 POP": b"\x96" + bytes(8) + b"0", "NEXT_BUFFER": b"\x97",
        "NEXT_BUFFER READONLY_BUFFER": b"\x97\x98", "NEWTRUE NEWFALSE": b"\x88\x89", "PROTO": b"\x80\4",
        "FRAME": b"\x95\2" + bytes(7) + b"N0", "FRAME in FRAME": b"\x95\x20" + bytes(7), "EMPTY_TUPLE": b")",
        "TUPLE": b"(t0", "TUPLE1": b"N\x85", "TUPLE2": b"NN\x86", "TUPLE3": b"NNN\x87", "EMPTY_LIST": b"]", "EMPTY_DICT": b"}",
        "EMPTY_SET": b"\x8f", "LIST": b"(l", "DICT": b"(NNd", "FROZENSET": b"(N\x91", "APPEND": b"]Na", "APPENDS": b"](Ne",
        "SETITEM": b"}NNs0", "SETITEMS": b"}(NNu0", "ADDITEMS": b"\x8f(N\x900", "SETITEM tuple": b"}N\x85Ns0",
        "PUT GET": b"Np1\ng1\n00", "BINPUT BINGET": b"Nq\1h\00100", "LONG_BINPUT LONG_BINGET": b"Nr\1\0\0\0j\1\0\0\00000",
        "MEMOIZE": b"N\x940", "GLOBAL": b"cbuiltins\nint\n0", "STACK_GLOBAL": b"\x8c\1m\x8c\1f\x930", "PERSID": b"Pa\n0",
        "BINPERSID": b"NQ0", "EXT1": b"\x82\1", "EXT2": b"\x83\1\1", "EXT4": b"\x84\1\1\1\1", "INST": b"(iposix\nsystem\n0",
        "INST unknown": b"(im\nf\n0", "INST known": b"(ibuiltins\nobject\n0", "OBJ known": b"(cbuiltins\nobject\no0",
    }.items()
}  # fmt: skip

DIFFERENT: dict[str, Mix] = {
    "PERSID": (b"", lambda n: b"P%d\n" % n),
    "BINPERSID": (b"", lambda n: p.integer(n) + b"Q0"),
    "BINPERSID tuple": (b"", lambda n: p.integer(n) + b"\x85Q0"),
    "EXT4": (b"", lambda n: b"\x84" + (n + 1).to_bytes(4, "little")),
    "GLOBAL": (b"", lambda n: b"cm\nf%d\n" % n),
    "GLOBAL harmful": (b"", lambda n: b"cos.f%d\nx\n" % n),
    "STACK_GLOBAL": (b"\x80\x04", lambda n: b"\x8c\1m" + p.short(f"f{n}") + b"\x930"),
    "STACK_GLOBAL computed": (memo(p.name("m", "f") + b")R"), get(0, 0) + b"\x930"),
    "INST": (b"", lambda n: b"(im\nf%d\n0" % n),
    "MEMOIZE": (b"", lambda n: p.integer(n) + b"\x94"),
    "BINUNICODE": (b"", lambda n: p.text(f"text {n}")),
    "SETITEM": (b"\x80\x04}", lambda n: p.integer(n) + b"Ns"),
    "APPEND": (b"\x80\x04]", lambda n: p.integer(n) + b"a"),
}

CALLEES = {
    "safe": p.name("builtins", "object"), "safe with arguments": p.name("builtins", "complex"), "harmful": p.name("posix", "system"),
    "unknown function": p.name("m", "f"), "unknown class": p.name("m.n", "Class"), "of Python's own": p.name("os.path", "join"),
    "of a library": p.name("torch", "f"), "getattr": p.name("builtins", "getattr"), "partial": p.name("functools", "partial"),
    "getattr result": p.call(p.name("builtins", "getattr"), p.name("m", "C"), p.text("f")),
    "harmful getattr result": p.call(p.name("builtins", "getattr"), p.name("os", "path"), p.text("system")),
    "dict.fromkeys": p.call(p.name("builtins", "getattr"), p.name("builtins", "dict"), p.text("fromkeys")),
    "persistent id": b"\x8c\1aQ", "extension": b"\x82\7", "call result": p.name("m", "f") + b")R",
    "deep call result": p.name("m", "f") + b")R)R)R", "made function": p.call(p.name("types", "FunctionType")),
    "code maker": p.name("types", "CodeType"), "folded": p.name("builtins", "str"), "pickle.loads": p.name("pickle", "loads"),
    "_reconstruct": p.name("numpy.core.multiarray", "_reconstruct"), "_rebuild_tensor_v2": p.name("torch._utils", "_rebuild_tensor_v2"),
    "_rebuild_parameter": p.name("torch._utils", "_rebuild_parameter"), "_rebuild_from_type_v2": p.name("torch._tensor", "_rebuild_from_type_v2"),
    "copyreg._reconstructor": p.name("copyreg", "_reconstructor"), "import_module": p.name("importlib", "import_module"),
    "dill _create_array": p.name("dill._dill", "_create_array"), "dill _load_type": p.name("dill._dill", "_load_type"),
    "attrgetter result": p.call(p.name("operator", "attrgetter"), p.text("a.b")), "OrderedDict": p.name("collections", "OrderedDict"),
    "bytes": p.name("builtins", "bytes"), "numpy.dtype": p.name("numpy", "dtype"), "ufunc": p.name("numpy.core", "_ufunc_reconstruct"),
    "computed name": p.name("m", "f") + b")R2\x93",
}  # fmt: skip

STORAGE = (
    p.pack(p.text("storage"), p.name("torch", "FloatStorage"), p.text("0"), p.text("cpu"), p.integer(9))
    + b"Q"
)
TENSOR = p.pack(
    STORAGE, b"K\0", p.pack(b"K\3"), p.pack(b"K\1"), b"\x89", p.call(p.name("collections", "OrderedDict"))
)
WIDE = p.pack(
    *[p.text(f"{n:04}" * 1000) for n in range(100)], *[p.data(b"%04d" % n * 1000) for n in range(100)]
)

ARGUMENTS = {
    "no arguments": b")", "a number": b"K\1\x85", "a text": p.text("a.b") + b"\x85", "a command": p.text("rm -r x; ls") + b"\x85",
    "an empty list": b"]\x85", "a global and a text": p.name("m", "C") + p.text("f") + b"\x86", "wide arguments": WIDE,
    "a call": p.name("m", "f") + b")R\x85", "a tensor": TENSOR, "an array": p.pack(p.name("numpy", "ndarray"), b"K\0\x85", p.data(b"b")),
    "deep arguments": b"N" + b"\x85" * 300, "bytes": p.data(b"abc") + b"\x85", "a list for a tuple": b"]",
}  # fmt: skip

FRESH: dict[str, Unit] = {
    "a number": lambda n: p.integer(n) + b"\x85",
    "a text": lambda n: p.text(f"{n} x") + b"\x85",
    "an empty list": b"]\x85",
    "a global and a text": lambda n: get(2) + p.text(f"a{n}") + b"\x86",
    "wide arguments": lambda n: get(1) + p.integer(n) + b"\x86",
    "a growing path": b"h\3\x85",
}
"""Arguments that are built anew each time; memo entry 0 is the callee, 1 the wide arguments, 2 a global, 3 a long text."""


def fresh(callee: bytes, arguments: Unit, call: bytes) -> Mix:
    """A call whose arguments are built anew each time."""
    wide = not isinstance(arguments, bytes) and b"h\1" in arguments(1)
    long = arguments == FRESH["a growing path"]
    before = memo(callee, WIDE if wide else b"N", p.name("m", "C"), p.text("a." * 10_000) if long else b"N")
    if isinstance(arguments, bytes):
        return before, get(0) + arguments + call + b"0"
    made = arguments
    return before, lambda n: get(0) + made(n) + call + b"0"


CALLS: dict[str, Mix] = {
    f"{how}: {callee} with {arguments}": (
        memo(CALLEES[callee], ARGUMENTS[arguments]),
        get(0, 1) + opcode + b"0",
    )
    for callee in CALLEES
    for arguments in ARGUMENTS
    for how, opcode in (("REDUCE", b"R"), ("NEWOBJ", b"\x81"))
}
CALLS |= {
    f"REDUCE: {callee} with {arguments}, fresh": fresh(CALLEES[callee], FRESH[arguments], b"R")
    for callee in CALLEES
    for arguments in FRESH
}
CALLS |= {
    "OBJ: unknown": (memo(p.name("m", "C")), b"(h\0o0"), "NEWOBJ_EX: unknown": (memo(p.name("m", "C")), b"h\0)}\x920"),
    "NEWOBJ_EX: safe": (memo(p.name("builtins", "object")), b"h\0)}\x920"),
    "REDUCE: result of the last": (p.name("m", "f"), b")R"), "REDUCE: getattr of the last": (memo(CALLEES["getattr"], p.text("f"))
     + p.name("m", "C") + b"q\2", b"0h\0h\2h\1\x86Rq\2h\2)R0"),
    "REDUCE: getattr each time": (memo(CALLEES["getattr"], p.name("m", "C"), p.text("f")), b"h\0h\1h\2\x86R)R0"),
    "REDUCE: harmful getattr each time": (memo(CALLEES["getattr"], p.name("os", "path"), p.text("system")), b"h\0h\1h\2\x86R)R0"),
    "REDUCE: getattr of long texts": (memo(CALLEES["getattr"], p.name("m", "C"), p.text("a." * 10_000)), b"h\0h\1h\2\x86R)R0"),
    "REDUCE: getattr of long texts on a result": (memo(p.call(CALLEES["getattr"], p.name("m", "C"), p.text("a." * 10_000))), b"h\0)R0"),
    "REDUCE: nested arguments": (p.name("m", "f") + b"q\0000N", b"\x85q\x010h\0h\1Rh\1"),
    "REDUCE: tensors each time": (memo(CALLEES["_rebuild_tensor_v2"], STORAGE, b"K\3\x85", b"K\1\x85", CALLEES["OrderedDict"]),
     b"h\0(h\1K\0h\2h\3\x89h\4)RtR0"),
    "REDUCE: arrays with state each time": (memo(CALLEES["_reconstruct"], p.name("numpy", "ndarray"), b"K\0\x85", p.data(b"b"),
     p.pack(b"K\1", b"K\1\x85", p.call(p.name("numpy", "dtype"), p.text("u1"), b"\x89", b"\x88"), b"\x89", p.data(b"a"))),
     b"h\0h\1h\2h\3\x87Rh\4b0"),
    "REDUCE: scalars each time": (memo(p.name("numpy.core.multiarray", "scalar"), p.call(p.name("numpy", "dtype"), p.text("u1"), b"\x89", b"\x88"),
     p.data(b"a")), b"h\0h\1h\2\x86R0"),
    "REDUCE: nested pickles": (memo(p.name("torch.storage", "_load_from_bytes"), p.data(b"\x80\x04N.") + b"\x85"), b"h\0h\1R0"),
    "REDUCE: nested pickles each time": (memo(p.name("pickle", "loads")), b"h\0B\4\0\0\0\x80\4N.\x85R0"),
}  # fmt: skip

OBJECTS = {
    "unknown": p.name("m", "C") + b")\x81", "Python's own": p.name("builtins", "object") + b")\x81", "deque": p.name("collections", "deque") + b")R",
    "OrderedDict": p.name("collections", "OrderedDict") + b")R", "set": p.name("builtins", "set") + b")R", "name": p.name("m", "C"),
    "harmful": p.call(p.name("posix", "system"), p.text("true")), "dtype": p.call(p.name("numpy", "dtype"), p.text("V8"), b"\x89", b"\x88"),
    "array": p.call(p.name("numpy.core.multiarray", "_reconstruct"), p.name("numpy", "ndarray"), b"K\0\x85", p.data(b"b")),
    "estimator": p.name("sklearn.linear_model._base", "LinearRegression") + b")\x81", "persistent id": b"\x8c\1aQ", "extension": b"\x82\7",
    "tree": p.name("scipy.spatial._ckdtree", "cKDTree") + b")\x81", "distribution": p.name("scipy.stats._continuous_distns", "norm_gen") + b")\x81",
    "wrapper": p.name("joblib.numpy_pickle", "NumpyArrayWrapper") + b")\x81", "result": p.name("m", "f") + b")R)R", "list": b"]", "tuple": b")",
    "namespace": p.name("argparse", "Namespace") + b")\x81", "optimizer": p.name("torch.optim.sgd", "SGD") + b")\x81",
}  # fmt: skip
STATES = {
    "none": b"N", "empty dict": b"}", "attributes": p.dictionary(p.text("a"), b"K\1"), "dunder": p.dictionary(p.text("__class__"), b"N"),
    "slots": b"N" + p.dictionary(p.text("a"), b"K\1") + b"\x86", "wide": p.dictionary(*[p.text(f"a{n}") + b"N" for n in range(1000)]), "list": b"]",
    "array state": p.pack(b"K\1", b"K\1\x85", p.call(p.name("numpy", "dtype"), p.text("u1"), b"\x89", b"\x88"), b"\x89", p.data(b"a")),
    "wide array state": p.pack(b"K\1", b"M\xe8\x03\x85", p.call(p.name("numpy", "dtype"), p.text("O"), b"\x89", b"\x88"), b"\x89",
                               b"](" + b"N" * 1000 + b"e"),
}  # fmt: skip

BUILDS: dict[str, Mix] = {
    f"BUILD: {state} on {made}, {'one' if one else 'each its own'}": (
        memo(OBJECTS[made], STATES[state]) + (get(0) if one else b""),
        b"h\1b" if one else OBJECTS[made] + b"h\1b0",
    )
    for made in OBJECTS
    for state in STATES
    for one in (True, False)
    if not (made in ("list", "tuple") and state != "none")
}
BUILDS |= {
    f"{how} on {made}": (memo(b"K\1", OBJECTS[made]) + get(1), unit)
    for made in OBJECTS
    for how, unit in (("APPEND", b"Na"), ("APPENDS", b"(NNe"), ("SETITEM", b"\x8c\1aNs"), ("SETITEMS", b"(\x8c\1aNu"), ("ADDITEMS", b"(N\x90"))
    if made not in ("list", "tuple")
}  # fmt: skip
BUILDS |= {
    "BUILD: a new dict each time": (memo(OBJECTS["unknown"]) + get(0), b"}b"),
    "BUILD: a new dict on deque each time": (memo(OBJECTS["deque"]) + get(0), b"}b"),
    "BUILD: a new list on deque each time": (memo(OBJECTS["deque"]) + get(0), b"]b"),
    "BUILD: a new state on new objects": (memo(p.name("sklearn.linear_model._base", "LinearRegression")), b"h\0)\x81}\x8c\1aNsb0"),
    "BUILD: a bad state on new objects": (memo(p.name("sklearn.linear_model._base", "LinearRegression")), b"h\0)\x81}\x8c\1aNs\x85b0"),
}  # fmt: skip

ORDINARY: dict[str, Mix] = {
    "dict of texts": (b"\x80\x04", lambda n: b"}(" + p.short(f"key {n}") + p.short("value") + b"\x8c\1aNu0"),
    "list of numbers": (b"\x80\x04]", lambda n: b"(" + b"".join(p.integer(n + i) for i in range(100)) + b"e"),
    "tuples": (b"\x80\x04", lambda n: p.integer(n) + p.integer(n) + b"\x86\x940"),
    "torch state dict": (
        memo(CALLEES["_rebuild_tensor_v2"], p.name("torch", "FloatStorage"), CALLEES["OrderedDict"]) + b"}",
        lambda n: p.short(f"layer.{n}.weight") + b"h\0((\x8c\7storageh\1" + p.short(str(n)) + b"\x8c\3cpuK\4tQK\0K\2K\2\x86K\2K\1\x86\x89h\2)RtRs",
    ),
    "arrays in a dict": (
        memo(CALLEES["_reconstruct"], p.name("numpy", "ndarray"), b"K\0\x85", p.data(b"b"), p.call(p.name("numpy", "dtype"), p.text("u1"), b"\x89", b"\x88"))
        + b"}",
        lambda n: p.short(f"array {n}") + b"h\0h\1h\2h\3\x87R(K\1K\4\x85h\4\x89C\4" + n.to_bytes(4, "little") + b"tbs",
    ),
    "estimators in a list": (
        memo(p.name("sklearn.linear_model._base", "LinearRegression")) + b"]",
        lambda n: b"h\0)\x81}(\x8c\6n_jobsN\x8c\rfit_intercept\x88\x8c\5rank_" + p.integer(n) + b"uba",
    ),
    "nested calls": (memo(CALLEES["OrderedDict"]) + b"N", b"\x85h\0)R\x8c\1aNs\x860N"),
}  # fmt: skip
"""What models are made of."""

MIXES: dict[str, Mix] = {
    **PLAIN,
    **{f"ordinary: {name}": mix for name, mix in ORDINARY.items()},
    **{f"{name}, different": mix for name, mix in DIFFERENT.items()},
    **CALLS,
    **BUILDS,
}


def program(mix: Mix, opcodes: int) -> bytes:
    """The mix until there are so many opcodes."""
    before, unit = mix
    first = unit if isinstance(unit, bytes) else unit(0)
    times = opcodes // (sum(1 for _ in pickletools.genops(first + b".")) - 1)
    body = unit * times if isinstance(unit, bytes) else b"".join(map(unit, range(times)))
    return before + body + b"N."
