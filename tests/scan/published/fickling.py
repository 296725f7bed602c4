"""fickling: a decompiler that trusted the standard library, and lost calls on its way to a syntax tree."""

from tests.formats import pickles as p
from tests.scan.published.row import BAD, Bypass, Cases, calls, either, pickled


def row(
    id_: str, also: str, affected: str, what: str, cases: Cases, rule: str = "pickle-unsafe-call"
) -> Bypass:
    return Bypass(
        id=id_,
        also=(also,) if also else (),
        product="fickling",
        affected=affected,
        what=what,
        rule=rule,
        cases=cases,
    )


CODE = p.call(p.name("marshal", "loads"), p.data(b"\xe3\0"))
SMTP = p.name("smtplib", "SMTP") + p.pack(p.text("example.com"))
EMPTY = p.call(p.name("collections", "OrderedDict"))
FILLED = p.dictionary(p.text("x"), p.text("y")) + b"b"


def got(module: str, qualname: str, *arguments: bytes, name: str) -> bytes:
    """An attribute of what a call returns, called."""
    attribute = p.call(
        p.name("builtins", "getattr"), p.call(p.stack_name(module, qualname), *arguments), p.text(name)
    )
    return p.proto() + p.call(attribute, p.text(p.ECHO)) + b"."


ROWS = (
    row(
        "CVE-2025-67747",
        "GHSA-565g-hwwr-4pp3",
        "<0.1.6",
        "`marshal.loads` and `types.FunctionType` make a function of bytes",
        either(
            pickled(
                p.proto() + p.call(p.call(p.name("types", "FunctionType"), CODE, b"}")) + b".",
                p.proto() + p.call(p.call(p.name("types", "FunctionType"), CODE, b"}")) + p.text("x") + b"b.",
            ),
        ),
    ),
    row(
        "CVE-2025-67748",
        "GHSA-r7v6-mfhq-g3m2",
        "<0.1.6",
        "`pty.spawn`, and a result that is used so that nothing looks left over",
        either(
            calls(("pty", "spawn")),
            pickled(
                b"(cpty\nspawn\n" + p.text(p.ECHO) + b"o.",
                b"(" + p.text(p.ECHO) + b"ipty\nspawn\n.",
                p.proto() + p.call(p.name("pty", "spawn"), p.text("id")) + p.text("x") + b"b.",
            ),
        ),
    ),
    row(
        "CVE-2026-22606",
        "GHSA-wfq2-52f7-7qvj",
        "<0.1.7",
        "`runpy` runs a file or a module by its name",
        calls(("runpy", "run_path"), ("runpy", "run_module"), ("runpy", "_run_code")),
    ),
    row(
        "CVE-2026-22607",
        "GHSA-p523-jq9w-64x9",
        "<0.1.7",
        "`cProfile.run` runs a text",
        calls(("cProfile", "run"), ("cProfile", "runctx"), ("profile", "run")),
    ),
    row(
        "CVE-2026-22608",
        "GHSA-5hvc-6wx8-mvv4",
        "<0.1.7",
        "`pydoc.locate` and `ctypes` reach every function of the system",
        either(
            calls(("ctypes", "CDLL"), ("pydoc", "locate")),
            pickled(
                p.proto()
                + p.call(p.call(p.name("pydoc", "locate"), p.text("os.system")), p.text(p.ECHO))
                + b".",
                got("ctypes", "CDLL", p.text("libc.so.6"), name="system"),
                p.proto() + p.call(p.name("ctypes", "CDLL"), b"N") + b".",
            ),
        ),
    ),
    row(
        "CVE-2026-22609",
        "GHSA-q5qq-mvfm-j35x",
        "<0.1.7",
        "`ctypes`, `importlib`, `code` and `multiprocessing` were on no list, and the whole name was compared",
        either(
            calls(
                ("multiprocessing.util", "spawnv_passfds"), ("importlib", "import_module"), ("ctypes", "CDLL")
            ),
            pickled(
                got("importlib", "import_module", p.text("os"), name="system"),
                got("code", "InteractiveInterpreter", name="runsource"),
            ),
        ),
    ),
    row(
        "CVE-2026-22612",
        "GHSA-h4rm-mm56-xf63",
        "<0.1.7",
        "imports of `builtins` were left out of the syntax tree",
        pickled(
            got("builtins", "__import__", p.text("os"), name="system"),
            b"cbuiltins\n__import__\nS'os'\n\x85Rp0\n0cbuiltins\ngetattr\ng0\nS'system'\n\x86Rp1\n0g1\nS'"
            + p.ECHO.encode()
            + b"'\n\x85R.",
        ),
    ),
    row(
        "CVE-2026-14535",
        "GHSA-cffv-grgg-g429",
        "<0.1.12",
        "the pass that held imports against the list of machine learning never ran",
        calls(
            ("smtplib", "SMTP"),
            ("sqlite3", "connect"),
            ("webbrowser", "open"),
            ("_posixsubprocess", "fork_exec"),
        ),
    ),
    row(
        "GHSA-mhc9-48gj-9gp3",
        "",
        "<0.1.8",
        "a call followed by BUILD was judged by neither, and network modules were taken for harmless",
        either(
            calls(
                ("socketserver", "TCPServer"),
                ("smtplib", "SMTP"),
                ("signal", "signal"),
                ("sqlite3", "connect"),
            ),
            pickled(p.proto() + p.call(p.name("smtplib", "SMTP"), p.text("example.com")) + FILLED + b"."),
        ),
    ),
    row(
        "GHSA-mxhj-88fx-4pcv",
        "",
        "<0.1.8",
        "a call by OBJ or NEWOBJ whose result is thrown away was lost",
        pickled(
            p.proto() + b"(" + p.stack_name("smtplib", "SMTP") + p.text("example.com") + b"o0N.",
            p.proto() + b"(" + p.stack_name("posix", "system") + p.text(p.ECHO) + b"o0N.",
            p.proto() + p.new(p.stack_name("subprocess", "Popen"), p.text(p.ECHO)) + b"0N.",
        ),
    ),
    row(
        "GHSA-5hwf-rc88-82xm",
        "",
        "<0.1.9",
        "`uuid`, `_osx_support` and `_aix_support` start programs",
        calls(
            ("uuid", "_get_command_stdout"),
            ("_osx_support", "_read_output"),
            ("_aix_support", "_read_cmd_output"),
        ),
    ),
    row(
        "GHSA-wccx-j62j-r448",
        "",
        "<0.1.9",
        "`pickle.loads` inside of a pickle went around the hook",
        either(
            pickled(
                *(
                    p.proto() + p.call(p.name(*loader.split()), p.data(BAD)) + b"."
                    for loader in ("pickle loads", "_pickle loads", "dill loads", "cloudpickle loads")
                ),
                p.proto() + p.call(p.name("torch.storage", "_load_from_bytes"), p.data(BAD)) + b".",
            ),
        ),
    ),
    row(
        "GHSA-5cxw-w2xg-2m8h",
        "",
        "<0.1.10",
        "`platform` starts programs",
        calls(("platform", "popen"), ("platform", "_syscmd_file"), ("platform", "_syscmd_ver")),
    ),
    row(
        "GHSA-r48f-3986-4f9c",
        "",
        "<0.1.10",
        "`linecache`, `difflib` and `gc` read files and the objects of the process",
        either(
            calls(
                ("linecache", "getlines"), ("linecache", "getline"), ("gc", "get_objects"), ("filecmp", "cmp")
            ),
            pickled(
                p.proto()
                + p.call(
                    p.name("builtins", "list"),
                    p.call(
                        p.name("difflib", "unified_diff"),
                        p.call(p.name("linecache", "getlines"), p.text("/etc/hostname")),
                        b"]",
                    ),
                )
                + FILLED
                + b"."
            ),
        ),
    ),
    row(
        "GHSA-m6fh-58r7-x697",
        "",
        "before pull request 272",
        "`_posixsubprocess` starts programs, `site` runs the lines of `.pth` files, `atexit` runs later",
        calls(
            ("_posixsubprocess", "fork_exec"),
            ("site", "addsitedir"),
            ("site", "addpackage"),
            ("atexit", "register"),
        ),
    ),
)
