"""picklescan: a list of dangerous names, and zip files read as Python reads them. Everything else loaded all the same."""

from collections.abc import Iterator

from tests.formats import pickles as p
from tests.formats.zipmaker import Item, make
from tests.scan.published.row import (
    BAD,
    COMMAND,
    GOOD,
    Bypass,
    Cases,
    Files,
    calls,
    either,
    pickled,
    torch_legacy,
    torch_zip,
    zipped,
)


def row(id_: str, also: str, fixed: str, what: str, cases: Cases, rule: str = "pickle-unsafe-call") -> Bypass:
    return Bypass(
        id=id_,
        also=(also,) if also else (),
        product="picklescan",
        affected=f"<{fixed}",
        what=what,
        rule=rule,
        cases=cases,
    )


GADGETS = """
CVE-2025-71321 GHSA-m273-6v24-x4m4 0.0.33 distutils.file_util write_file
CVE-2025-71322 GHSA-hgrh-qx5j-jfwx 0.0.33 pty spawn
CVE-2025-71323 GHSA-4675-36f9-wf6r 0.0.33 ctypes CDLL
CVE-2025-71339 GHSA-6556-fwc2-fg2p 0.0.33 numpy.f2py.crackfortran _eval_length
CVE-2025-71340 GHSA-3gf5-cxq9-w223 0.0.30 idlelib.pyshell ModifiedInterpreter.runcode
CVE-2025-71342 GHSA-m869-42cg-3xwr 0.0.30 idlelib.run Executive.runcode
CVE-2025-71343 GHSA-p9w7-82w4-7q8m 0.0.30 lib2to3.pgen2.pgen ParserGenerator.make_label
CVE-2025-71344 GHSA-xp4f-hrf8-rxw7 0.0.30 ensurepip _run_pip
CVE-2025-71345 GHSA-4whj-rm5r-c2v8 0.0.30 torch.utils.bottleneck.__main__ run_autograd_prof
CVE-2025-71347 GHSA-cffc-mxrf-mhh4 0.0.33 numpy.f2py.crackfortran param_eval
CVE-2025-71348 GHSA-vv6j-3g6g-2pvj 0.0.28 torch.utils._config_module ConfigModule.load_config
CVE-2025-71349 GHSA-5qwp-399c-mjwf 0.0.29 trace Trace.run
CVE-2025-71350 GHSA-f745-w6jp-hpxx 0.0.28 torch.utils.collect_env run
CVE-2025-71351 GHSA-v7x6-rv5q-mhwc 0.0.25 timeit timeit
CVE-2025-71352 GHSA-g344-hcph-8vgg 0.0.29 trace Trace.runctx
CVE-2025-71353 GHSA-86cj-95qr-2p4f 0.0.28 torch._dynamo.guards GuardBuilder.get
CVE-2025-71354 GHSA-3vg9-h568-4w9m 0.0.29 idlelib.debugobj ObjectTreeItem.SetText
CVE-2025-71355 GHSA-fj43-3qmq-673f 0.0.25 numpy.testing._private.utils runstring
CVE-2025-71356 GHSA-f4x7-rfwp-v3xw 0.0.28 torch.fx.experimental.symbolic_shapes ShapeEnv.evaluate_guards_expression
CVE-2025-71357 GHSA-j343-8v2j-ff7w 0.0.30 idlelib.pyshell ModifiedInterpreter.runcommand
CVE-2025-71358 GHSA-6w4w-5w54-rjvr 0.0.29 idlelib.autocomplete AutoComplete.get_entity
CVE-2025-71359 GHSA-f54q-57x4-jg88 0.0.29 lib2to3.pgen2.grammar Grammar.loads
CVE-2025-71360 GHSA-9xph-j2h6-g47v 0.0.29 idlelib.calltip get_entity
CVE-2025-71361 GHSA-8r4j-24qv-fmq9 0.0.29 idlelib.calltip Calltip.fetch_tip
CVE-2025-71363 GHSA-49gj-c84q-6qm9 0.0.30 cProfile run
CVE-2025-71364 GHSA-q77w-mwjj-7mqx 0.0.30 asyncio.unix_events _UnixSubprocessTransport._start
CVE-2025-71365 GHSA-3329-ghmp-jmv5 0.0.33 numpy.f2py.crackfortran myeval
CVE-2025-71366 GHSA-4r9r-ch6f-vxmx 0.0.28 torch.utils.bottleneck.__main__ run_cprofile
CVE-2025-71368 GHSA-fqq6-7vqf-w3fg 0.0.30 doctest debug_script
CVE-2025-71369 GHSA-h3qp-7fh3-f8h4 0.0.28 torch.utils.data.datapipes.utils.decoder basichandlers
CVE-2025-71370 GHSA-vr7h-p6mm-wpmh 0.0.28 torch.jit.unsupported_tensor_ops execWrapper
CVE-2025-71371 GHSA-cj3c-v495-4xqh 0.0.29 code InteractiveInterpreter.runcode
CVE-2025-71372 GHSA-rrxm-2pvv-m66x 0.0.33 numpy.f2py.crackfortran getlincoef
CVE-2025-71374 GHSA-x696-vm39-cp64 0.0.29 profile Profile.run
CVE-2025-71376 GHSA-7cq8-mj8x-j263 0.0.29 idlelib.autocomplete AutoComplete.fetch_completions
CVE-2025-71378 GHSA-9w88-8rmg-7g2p 0.0.30 cProfile runctx
GHSA-6vqj-c2q5-j97w - 0.0.29 profile Profile.runctx
GHSA-jhph-76pp-mggw - 0.0.28 torch.utils.collect_env run_and_read_all
GHSA-r8g5-cgf2-4m4m - 0.0.33 numpy.f2py.crackfortran getlincoef
GHSA-vqmv-47xg-9wpr - 0.0.33 pty spawn
GHSA-7wx9-6375-f5wh - 1.0.4 profile run
"""
"""Functions of libraries that run what they are given, and were on no list: id, other id, repaired in, module, name."""


def gadgets() -> Iterator[Bypass]:
    for line in GADGETS.split("\n")[1:-1]:
        id_, also, fixed, module, qualname = line.split()
        what = f"`{module}.{qualname}` was on no list"
        yield row(id_, also.strip("-"), fixed, what, calls((module, qualname)))


def applied(getter: str, *arguments: bytes) -> bytes:
    """What `operator` makes of a name, applied to the module that has it."""
    made = p.call(p.name(*getter.split()), p.text("system"), *arguments)
    return p.proto() + p.call(made, p.call(p.name("builtins", "__import__"), p.text("os"))) + b"."


def evaluated() -> bytes:
    """`eval` reached through `getattr`, whose own name is all that stands there."""
    got = p.call(
        p.name("builtins", "getattr"),
        p.call(p.name("builtins", "__import__"), p.text("builtins")),
        p.text("eval"),
    )
    return p.proto() + p.call(got, p.text(COMMAND)) + b"."


def hidden(**fields: object) -> bytes:
    return torch_zip(BAD, **fields)


def renamed() -> Iterator[Files]:
    """A pickle under names whose endings say something else, plain and among the members of a torch file."""
    for path in ("model.bin", "model.pt", "weights", "notes.txt", "image.png", "model.safetensors", "a.json"):
        yield {path: BAD}
        yield {path: p.proto(2) + p.system() + b"."}


def members() -> Iterator[Files]:
    for name in ("config.p", "data.txt", "extra.json"):
        data = make(Item(name="model/data.pkl", data=GOOD), Item(name=f"model/{name}", data=BAD))
        yield {"model.pt": data}


ROWS = (
    row(
        "CVE-2025-1716",
        "GHSA-655q-fx9r-782v",
        "0.0.21",
        "`pip.main` installs a package of the attacker and was on no list",
        calls(("pip", "main"), ("pip._internal", "main"), ("pip._internal.cli.main", "main")),
    ),
    row(
        "CVE-2025-1889",
        "GHSA-769v-p64c-89pr",
        "0.0.22",
        "a second pickle in a torch file was not read because of its extension",
        members,
    ),
    row(
        "CVE-2025-1944",
        "GHSA-7q5r-7gvp-wc82",
        "0.0.23",
        "another name in the local header than in the directory made Python's zipfile give up, and torch load",
        lambda: [
            {"model.pt": make(Item(name=central, data=BAD, local={"name": local.encode()}))}
            for central, local in (("model/data.pkl", "model/data.txt"), ("model/data.txt", "model/data.pkl"))
        ],
    ),
    row(
        "CVE-2025-1945",
        "GHSA-w8jq-xcqf-f792",
        "0.0.23",
        "a flag bit made Python's zipfile take an entry for encrypted or patched, and torch load it",
        lambda: [
            {"model.pt": hidden(**fields)}
            for fields in (
                {"central": {"flags": 0x801}, "local": {"flags": 0x801}},
                {"local": {"flags": 0x801}},
                {"central": {"flags": 0x820}},
                {"central": {"flags": 0x840}},
            )
        ],
    ),
    row(
        "CVE-2025-10155",
        "GHSA-jgw4-cr84-mqxg",
        "0.0.31",
        "a plain pickle called `.bin` or `.pt` was read as a torch file, and not at all",
        renamed,
    ),
    row(
        "CVE-2025-10156",
        "GHSA-mjqp-26hc-grxg",
        "0.0.31",
        "a wrong checksum made Python's zipfile give up, and torch load",
        lambda: [
            {"model.pt": hidden(local={"crc": 0}, central={"crc": 0})},
            {"model.zip": zipped({"data.pkl": BAD}).replace(b"weighbridge", b"weighbridgf")},
        ],
    ),
    row(
        "CVE-2025-10157",
        "GHSA-f7qq-56ww-84cr",
        "0.0.31",
        "a module below a listed one was taken for another module",
        calls(
            ("asyncio.unix_events", "_UnixSubprocessTransport._start"),
            ("urllib.request", "urlopen"),
            ("aiohttp.client", "ClientSession.get"),
            ("http.client", "HTTPSConnection"),
            ("requests.api", "get"),
        ),
    ),
    row(
        "CVE-2025-46417",
        "GHSA-93mv-x874-956g",
        "0.0.25",
        "`linecache` reads a file and `ssl.get_server_certificate` sends it away as a host's name",
        either(
            calls(("ssl", "get_server_certificate"), ("linecache", "getline")),
            pickled(
                p.proto()
                + p.call(
                    p.name("ssl", "get_server_certificate"),
                    p.pack(
                        p.call(p.name("linecache", "getline"), p.text("/etc/hostname"), b"K\x01"),
                        p.integer(443),
                    ),
                )
                + b"."
            ),
        ),
    ),
    row(
        "CVE-2025-71320",
        "GHSA-84r2-jw7c-4r5q",
        "0.0.33",
        "`pydoc.locate` finds a module and `operator.methodcaller` calls what is in it",
        pickled(
            p.proto()
            + p.call(
                p.call(p.name("operator", "methodcaller"), p.text("system"), p.text(p.ECHO)),
                p.call(p.name("pydoc", "locate"), p.text("os")),
            )
            + b".",
            p.proto() + p.call(p.name("pydoc", "locate"), p.text("os")) + b".",
        ),
    ),
    row(
        "CVE-2025-71325",
        "GHSA-9gvj-pp9x-gcfr",
        "0.0.27",
        "a name whose module is the first thing in the stream was not followed, and what follows a broken opcode was not read",
        pickled(
            b"S'os'\nS'system'\n\x93S'" + p.ECHO.encode() + b"'\n\x85R.",
            b"I012\n0" + p.system() + b".",
            b"F1_0\n0" + p.system() + b".",
            b"Np99999\n0g99999\n0" + p.system() + b".",
        ),
    ),
    row(
        "CVE-2025-71362",
        "",
        "0.0.33",
        "functions of `numpy.f2py.crackfortran` evaluate their arguments, and were on no list",
        calls(
            *(
                ("numpy.f2py.crackfortran", name)
                for name in ("_eval_length", "_eval_scalar", "getlincoef", "myeval", "param_eval")
            )
        ),
    ),
    row(
        "CVE-2025-71367",
        "GHSA-46h3-79wf-xr6c",
        "0.0.34",
        "`operator` was listed, `_operator` is the module that pickles name: `attrgetter`",
        pickled(
            applied("_operator attrgetter"),
            applied("_operator attrgetter")[:-1] + p.pack(p.text(p.ECHO)) + b"R.",
            applied("_operator itemgetter"),
        ),
    ),
    row(
        "CVE-2025-71373",
        "",
        "0.0.33",
        "`operator.methodcaller` was on no list",
        pickled(applied("operator methodcaller", p.text(p.ECHO))),
    ),
    row(
        "CVE-2025-71375",
        "GHSA-955r-x9j8-7rhh",
        "0.0.34",
        "`operator` was listed, `_operator` is the module that pickles name: `methodcaller`",
        pickled(applied("_operator methodcaller", p.text(p.ECHO))),
    ),
    row(
        "CVE-2026-53872",
        "GHSA-9726-w42j-3qjr",
        "0.0.35",
        "`io.FileIO` reads a file and `urllib.request.urlopen` sends it away",
        calls(("io", "FileIO"), ("_io", "FileIO"), ("urllib.request", "urlopen")),
    ),
    row(
        "CVE-2026-53874",
        "GHSA-9m3x-qqw2-h32h",
        "1.0.1",
        "`eval` reached by its name through `getattr` was only suspicious",
        pickled(evaluated(), p.proto() + p.call(p.name("builtins", "eval"), p.text("1+1")) + b"."),
    ),
    row(
        "CVE-2026-53875",
        "GHSA-97f8-7cmv-76j2",
        "1.0.3",
        "the magic number of a torch file is computed by a call, so that the file was taken for none of torch",
        lambda: [
            {
                "model.pt": torch_legacy(
                    magic=p.proto(2)
                    + p.call(p.name("builtins", "eval"), p.text("0x1950a86a20f9469cfc6c"))
                    + b".",
                    value=BAD,
                )
            },
            {
                "model.pt": torch_legacy(
                    magic=p.proto(2)
                    + p.call(p.name("builtins", "eval"), p.text("0x1950a86a20f9469cfc6c"))
                    + b"."
                )
            },
        ],
    ),
    row(
        "CVE-2026-56304",
        "GHSA-m7j5-r2p5-c39r",
        "1.0.1",
        "`logging.FileHandler` makes a file anywhere",
        calls(("logging", "FileHandler"), ("logging.handlers", "RotatingFileHandler")),
    ),
    row(
        "CVE-2026-56315",
        "GHSA-g38g-8gr9-h9xp",
        "1.0.4",
        "functions of seven modules of the standard library start programs, and were on no list",
        calls(
            ("uuid", "_get_command_stdout"),
            ("_osx_support", "_read_output"),
            ("_osx_support", "_find_build_tool"),
            ("_aix_support", "_read_cmd_output"),
            ("_pyrepl.pager", "pipe_pager"),
            ("_pyrepl.pager", "tempfile_pager"),
            ("imaplib", "IMAP4_stream"),
            ("test.support.script_helper", "assert_python_ok"),
        ),
    ),
    row(
        "GHSA-vvpj-8cmc-gx39",
        "",
        "1.0.4",
        "`pkgutil.resolve_name` makes any listed function of a text",
        pickled(
            p.proto()
            + p.call(p.call(p.name("pkgutil", "resolve_name"), p.text("os:system")), p.text(p.ECHO))
            + b".",
            p.proto()
            + p.call(p.call(p.name("pkgutil", "resolve_name"), p.text("builtins:exec")), p.text("pass"))
            + b".",
        ),
    ),
    row(
        "picklescan#22",
        "",
        "0.0.13",
        "the memo was followed by position and not by key, so that a name was taken for another",
        pickled(
            b"Vos\np2\n0Vsystem\np3\n0Vtorch\np0\n0VLongStorage\np1\n0g2\ng3\n\x93(V"
            + p.ECHO.encode()
            + b"\ntR."
        ),
    ),
    row(
        "picklescan#66",
        "",
        "1.0.5",
        "functions that make a callable of a text: `importlib` and whatever imports by name",
        pickled(
            p.proto()
            + p.call(
                p.call(
                    p.name("builtins", "getattr"),
                    p.call(p.name("importlib", "import_module"), p.text("os")),
                    p.text("system"),
                ),
                p.text(p.ECHO),
            )
            + b".",
            p.proto() + p.call(p.name("importlib", "import_module"), p.text("antigravity")) + b".",
            p.proto() + p.call(p.name("importlib.util", "find_spec"), p.text("os")) + b".",
        ),
    ),
    *gadgets(),
)
