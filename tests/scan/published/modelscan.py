"""modelscan, saferpickle and modelaudit: holes that were reported in public and got no id of a database."""

from collections.abc import Iterator

from tests.formats import pickles as p
from tests.scan.published import picklescan
from tests.scan.published.row import (
    BAD,
    COMMAND,
    GOOD,
    Bypass,
    Files,
    calls,
    either,
    pickled,
    tarred,
    torch_zip,
)

ZIP_GAPS = ("CVE-2025-1716", "CVE-2025-1889", "CVE-2025-1944", "CVE-2025-1945")


def zip_gaps() -> Iterator[Files]:
    for row in picklescan.ROWS:
        if row.id in ZIP_GAPS:
            yield from row.cases()


# -- the ways of modelscan#338, in its order

RUN = p.system() + b"0"
"""The payload, whose result is thrown away: what stands behind it is there to break a scanner."""


def got(owner: bytes, *names: str) -> bytes:
    """Attributes of what is on the stack, one after the other."""
    for name in names:
        owner = p.call(p.name("builtins", "getattr"), owner, p.text(name))
    return owner


def typed(value: bytes) -> bytes:
    return p.call(p.name("builtins", "type"), value)


CODE = p.call(p.name("types", "CodeType"), *[b"K\x00"] * 6, p.data(b"d\0S\0"), p.pack(p.text(p.ECHO)))
NESTED_YAML = p.call(
    p.name("yaml", "load"),
    p.text(f"!!python/object/apply:os.system [{p.ECHO}]"),
    p.name("yaml.loader", "UnsafeLoader"),
)
CODE_OF_COPY = p.call(
    p.call(p.name("operator", "methodcaller"), p.text("__getattribute__"), p.text("__code__")),
    p.name("copy", "copy"),
)
INDIRECT = p.call(typed(p.name("copy", "copy")), p.call(typed(CODE_OF_COPY), b"K\x00", p.text(p.ECHO)), b"}")
EXTENSION = p.call(
    p.name("copyreg", "add_extension"), p.text("multiprocessing.util"), p.text("spawnv_passfds"), b"Miz"
)
INTROSPECTION = p.name("builtins", "print.__class__.__base__.__subclasses__") + b")R"
GADGET = p.name("builtins", "gadget.__init__.__builtins__.__getitem__") + p.short("eval") + b"\x85R"
WAYS = {
    "nested yaml": p.proto() + NESTED_YAML + b".",
    "nested pickle": p.proto() + p.call(p.name("torch.storage", "_load_from_bytes"), p.data(BAD)) + b".",
    "pickletools stops": p.proto(2) + p.system() + b"X.",
    "a memo that is not there": p.proto() + RUN + p.short("os") + b"\x94h\x03h\x00\x93KB.",
    "bytes as a name": p.proto() + RUN + b"C\x02os" + p.short("system") + b"\x93.",
    "a number as a name": p.proto() + RUN + p.integer(42) + p.short("os") + b"\x93.",
    "an array as a name": p.proto(5)
    + RUN
    + p.short("os")
    + b"\x96"
    + (6).to_bytes(8, "little")
    + b"system\x93.",
    "packed code": p.proto()
    + p.call(p.name("builtins", "exec"), p.call(p.name("zlib", "decompress"), p.data(b"x\x9c")))
    + b".",
    "a name of Python 2": b"ccommands\nrun\n(" + p.text(p.ECHO) + b"tR.",
    "a code object": p.proto() + p.call(p.call(p.name("types", "FunctionType"), CODE, b"}")) + b".",
    "types found at run time": p.proto() + p.call(INDIRECT) + b".",
    "marshalled code": p.proto()
    + p.call(
        p.call(p.name("types", "FunctionType"), p.call(p.name("marshal", "loads"), p.data(b"\xe3")), b"}")
    )
    + b".",
    "an extension": p.proto(2) + EXTENSION + b"0\x83iz" + p.pack(p.data(b"/bin/sh"), b"]") + b"R.",
    "a name by INST": p.proto()
    + b"("
    + p.short("os")
    + b"ibuiltins\nstr\nq\0h\0"
    + p.short("system")
    + b"\x93"
    + p.short(p.ECHO)
    + b"\x85R.",
    "introspection": p.proto()
    + p.call(p.name("builtins", "__setattr__"), p.text("subclasses"), INTROSPECTION)
    + b"0"
    + p.call(GADGET, p.text(COMMAND))
    + b".",
    "another model is fetched": p.proto()
    + p.call(
        p.call(
            p.name("transformers.models.auto.auto_factory", "getattribute_from_module"),
            p.name("transformers.models.auto.tokenization_auto", "AutoTokenizer"),
            p.text("from_pretrained"),
        ),
        p.text("example/sample"),
    )
    + b".",
}
"""Names are those of the report, in short."""


def other_files() -> Iterator[Files]:
    """Raw pickles under names of torch, the layout of torch 0.1, and a zip that only torch reads."""
    yield from ({f"model.{suffix}": BAD} for suffix in ("bin", "pt", "pth", "ckpt"))
    empty = b"\x80\x02K\x00."
    yield {
        "model.pt": tarred(
            ("pickle", BAD, {}), ("tensors", empty, {}), ("storages", empty + b"\x80\x02].", {})
        )
    }
    yield {"model.pt": torch_zip(BAD, local={"name": b"model/data.pal"})}
    yield {"model.pkl": GOOD * 40 + BAD}


def numpy_builtins() -> bytes:
    """A function of numpy is given another attribute, and the builtins are reached through it."""
    size, builtins = p.stack_name("numpy", "size"), p.stack_name("numpy", "__builtins__")
    state = b"}}" + p.short("shape") + builtins + b"s\x86b"
    return p.proto() + p.call(size + state, size, p.text("eval")) + p.pack(p.text(COMMAND)) + b"R."


def names_in_attributes() -> bytes:
    """Two attributes of a function of numpy are set to a name's halves."""
    prod = p.name("numpy", "prod")
    first, second = (
        b"N}" + p.text(key) + p.text(value) + b"s\x86b" for key, value in (("a", "os"), ("b", "system"))
    )
    return (
        p.proto()
        + prod
        + first
        + second
        + b"0"
        + p.name("numpy", "prod.a")
        + p.name("numpy", "prod.b")
        + (b"\x93" + p.pack(p.text(p.ECHO)) + b"R.")
    )


DOUBLED = b"N" + b"2\x86" * 5000
"""A value that is small in the stream and of 2**5000 leaves where somebody walks it."""


def row(id_: str, product: str, what: str, *cases: object, rule: str = "pickle-unsafe-call") -> Bypass:
    return Bypass(
        id=id_,
        product=product,
        affected="not repaired when it was looked up",
        what=what,
        rule=rule,
        cases=either(*cases),  # type: ignore[arg-type]
    )


UNLISTED = (
    ("torch.utils.collect_env", "run"),
    ("multiprocessing.util", "spawnv_passfds"),
    ("mlflow.projects.backend.local", "_run_entry_point"),
    ("pandas.io.parsers.readers", "read_csv"),
    ("urllib.request", "urlretrieve"),
    ("yaml", "unsafe_load"),
    ("torch.hub", "download_url_to_file"),
)

ROWS = (
    row(
        "modelscan#85",
        "modelscan",
        "the value that PUT keeps was not followed, and BUILD sets attributes of functions",
        pickled(names_in_attributes()),
    ),
    row(
        "modelscan#263",
        "modelscan",
        "what picklescan repaired early in 2025: zip flags and names, extensions, `pip`",
        zip_gaps,
    ),
    row(
        "modelscan#272",
        "modelscan",
        "`timeit.timeit` was on no list",
        calls(("timeit", "timeit"), ("timeit", "repeat")),
    ),
    row(
        "modelscan#330",
        "modelscan",
        "`numpy` as a whole was allowed: BUILD gives `numpy.size` the builtins, and a call takes `eval` out",
        pickled(numpy_builtins()),
    ),
    Bypass(
        id="modelscan#338",
        also=("saferpickle#18",),
        product="modelscan, saferpickle",
        affected="not repaired when it was looked up",
        what="twenty-one ways of malicious models found on a hub: unlisted functions, streams that break a scanner, "
        "code objects, names of Python 2, extensions, introspection, old layouts",
        rule="pickle-unsafe-call",
        cases=either(calls(*UNLISTED), pickled(*WAYS.values()), other_files),
    ),
    row(
        "modelaudit#6266",
        "modelaudit",
        "a scan of a malicious pickle never ended; here a value that doubles itself for whoever walks it",
        pickled(
            p.proto() + DOUBLED + b"0" + p.system() + b".", p.proto() + DOUBLED + b"0" + RUN + DOUBLED + b"."
        ),
    ),
)
