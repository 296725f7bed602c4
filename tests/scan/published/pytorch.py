"""PyTorch, and what loads its files: torch.load, TorchScript, ExecuTorch, TorchServe, Lightning, MONAI, vLLM and others."""

from tests.formats import pickles as p
from tests.formats.zipmaker import Item, make
from tests.scan.published.row import (
    BAD,
    Bypass,
    Cases,
    calls,
    either,
    files,
    pickled,
    sample,
    tarred,
    torch_legacy,
    torch_zip,
    zipped,
)

CALL, OUTSIDE = "pickle-unsafe-call", "archive-path-escape"


def row(id_: str, also: str, product: str, affected: str, what: str, rule: str, cases: Cases) -> Bypass:
    return Bypass(
        id=id_,
        also=(also,) if also else (),
        product=product,
        affected=affected,
        what=what,
        rule=rule,
        cases=cases,
    )


def tensor(items: int, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    """A torch file of one tensor over a storage of 24 bytes."""
    storage = p.pack(
        p.text("storage"), p.name("torch", "FloatStorage"), p.text("0"), p.text("cpu"), p.integer(items)
    )
    made = p.call(
        p.name("torch._utils", "_rebuild_tensor_v2"),
        storage + b"Q",
        p.integer(offset),
        p.pack(*map(p.integer, shape)),
        p.pack(*map(p.integer, stride)),
        b"\x89",
        p.call(p.name("collections", "OrderedDict")),
    )
    data = p.proto(2) + p.dictionary(p.text("w"), made) + b"."
    return make(
        Item(name="model/data.pkl", data=data),
        Item(name="model/version", data=b"3\n"),
        Item(name="model/data/0", data=bytes(24)),
    )


def mobile(*instructions: bytes, operators: bytes = b")") -> bytes:
    """A file of the mobile interpreter with one function of these instructions."""
    tables = (
        p.pack(p.text("instructions"), p.pack(*instructions)),
        p.pack(p.text("operators"), operators),
        p.pack(p.text("constants"), b")"),
        p.pack(p.text("types"), b")"),
        p.pack(p.text("register_size"), p.integer(2)),
    )
    code = p.proto(2) + p.pack(p.integer(8), p.pack(p.text("f"), p.pack(*tables))) + b"."
    records = {
        "data.pkl": b"\x80\x02N.",
        "constants.pkl": b"\x80\x02).",
        "bytecode.pkl": code,
        "version": b"3\n",
    }
    return zipped({f"m/{name}": data for name, data in records.items()})


def instruction(name: str, x: int, n: int) -> bytes:
    return p.pack(p.text(name), p.integer(x), p.integer(n))


def weights_only() -> list[dict[str, bytes]]:
    """A call in any of the five pickles of the old layout, and in the three members of the oldest."""
    names = ("magic", "protocol", "system", "value", "keys")
    empty = b"\x80\x02K\x00."
    members = {"pickle": b"\x80\x02}.", "tensors": empty, "storages": empty + b"\x80\x02]."}
    return [
        *({"model.pt": torch_legacy(**{name: BAD})} for name in names),
        *(
            {
                "model.pt": tarred(
                    *((name, BAD if name == bad else data, {}) for name, data in members.items())
                )
            }
            for bad in members
        ),
    ]


CHECKPOINT = lambda name: lambda: [{name: torch_zip(BAD)}, {name: BAD}, {name: torch_legacy(value=BAD)}]  # noqa: E731
CLOUDPICKLE = ("cloudpickle", "joblib.externals.cloudpickle.cloudpickle", "ray.cloudpickle.cloudpickle_fast")

ROWS = (
    row(
        "CVE-2022-45907",
        "GHSA-47fc-vmwq-366v",
        "torch",
        "<1.13.1",
        "`torch.jit.annotations.parse_type_line` evaluates a text",
        CALL,
        calls(("torch.jit.annotations", "parse_type_line")),
    ),
    row(
        "CVE-2024-5480",
        "",
        "torch",
        "<2.2.3",
        "`torch.distributed.rpc` calls any function on another machine",
        CALL,
        calls(("torch.distributed.rpc", "rpc_sync"), ("torch.distributed.rpc.api", "remote")),
    ),
    row(
        "CVE-2024-48063",
        "",
        "torch",
        "<2.5 (disputed)",
        "`RemoteModule` builds a module on another machine out of a pickle",
        CALL,
        calls(("torch.distributed.nn.api.remote_module", "RemoteModule")),
    ),
    row(
        "CVE-2024-31580",
        "GHSA-5pcm-hx3q-hm94",
        "torch",
        "<2.2",
        "an instruction with a variable number of operands takes more than lie on the stack",
        "torchscript-bytecode-malformed",
        files(
            "m.ptl",
            mobile(instruction("LIST_CONSTRUCT", 0, 70_000)),
            mobile(instruction("TUPLE_CONSTRUCT", 70_000, 0)),
        ),
    ),
    row(
        "CVE-2024-31583",
        "GHSA-pg7h-5qx3-wjr3",
        "torch",
        "<2.2",
        "an instruction of the mobile interpreter uses a register that there is not",
        "torchscript-bytecode-malformed",
        either(
            files("m.ptl", mobile(instruction("LOAD", 70_000, 0)), mobile(instruction("STORE", 70_000, 0))),
            sample("torchscript-bytecode-malformed"),
        ),
    ),
    row(
        "CVE-2024-31584",
        "",
        "torch",
        "<2.2",
        "an index of the mobile bytecode lies outside of its table",
        "torchscript-bytecode-malformed",
        files("m.ptl", mobile(instruction("LOADC", 70_000, 0)), mobile(instruction("OP", 70_000, 0))),
    ),
    row(
        "CVE-2025-32434",
        "GHSA-53q9-r3pm-6pq6",
        "torch",
        "<2.6",
        "`weights_only=True` did not keep the older layouts from calling anything",
        CALL,
        weights_only,
    ),
    row(
        "CVE-2026-24747",
        "",
        "torch",
        "<2.10",
        "`weights_only=True` built tensors that reach behind their storage",
        "pytorch-tensor-out-of-bounds",
        either(
            files(
                "model.pt",
                tensor(1000, 0, (2, 3), (3, 1)),
                tensor(6, 1, (2, 3), (3, 1)),
                tensor(6, 0, (3, 3), (3, 1)),
                tensor(6, 0, (2, 3), (4, 1)),
            ),
            sample("pytorch-tensor-out-of-bounds"),
        ),
    ),
    row(
        "CVE-2023-48299",
        "GHSA-m2mj-pr4f-h9jp",
        "torchserve",
        ">=0.1,<0.9",
        "a model archive is unpacked outside of its folder",
        OUTSIDE,
        lambda: [
            {
                "model.mar": zipped(
                    {"MAR-INF/MANIFEST.json": b'{"model": {"modelName": "m"}}', name: b"weighbridge-sample"}
                )
            }
            for name in ("../notes.txt", "/tmp/notes.txt", "a/../../notes.txt")
        ],
    ),
    row(
        "CVE-2025-30405",
        "GHSA-84m3-f99p-cqx5",
        "executorch",
        "<0.7",
        "a size overflows, and an object is placed outside of its memory",
        "executorch-malformed",
        sample("executorch-malformed"),
    ),
    row(
        "CVE-2025-54949",
        "GHSA-9m39-3mf3-xwch",
        "executorch",
        "<0.7",
        "a program writes behind a buffer while it is loaded",
        "executorch-malformed",
        sample("executorch-malformed"),
    ),
    row(
        "CVE-2025-54950",
        "GHSA-f9hx-c6jf-3qxm",
        "executorch",
        "<0.7",
        "an index in a program lies outside of its table",
        "executorch-malformed",
        sample("executorch-malformed"),
    ),
    row(
        "CVE-2025-54951",
        "GHSA-xc7w-r669-48pf",
        "executorch",
        "<0.7",
        "buffers of a program are shorter than they say",
        "executorch-malformed",
        sample("executorch-malformed"),
    ),
    row(
        "CVE-2026-31221",
        "GHSA-75m9-98v2-hjpm",
        "pytorch-lightning",
        "<=2.6.0",
        "`load_from_checkpoint` unpickles without asking",
        CALL,
        CHECKPOINT("model.ckpt"),
    ),
    row(
        "CVE-2025-24357",
        "GHSA-rh4j-5rhw-hr54",
        "vllm",
        "<0.7",
        "weights of a hub are unpickled without asking",
        CALL,
        CHECKPOINT("pytorch_model.bin"),
    ),
    row(
        "CVE-2024-10073",
        "GHSA-9rw2-jf8x-cgwm",
        "flair",
        "<0.15",
        "`ClusteringModel` unpickles what it loads",
        CALL,
        CHECKPOINT("model.pt"),
    ),
    row(
        "CVE-2025-58756",
        "GHSA-6vm5-6jv9-rjpj",
        "monai",
        "<1.5.1",
        "checkpoints of a bundle are unpickled without asking",
        CALL,
        CHECKPOINT("models/model.pt"),
    ),
    row(
        "GHSA-89gg-p5r5-q6r4",
        "GHSA-qxq5-qhx6-94qw",
        "monai",
        "<1.6",
        "`algo_from_pickle` unpickles what it is given; the first repair changed nothing",
        CALL,
        files(
            "algo_object.pkl", BAD, p.proto() + p.call(p.name("subprocess", "call"), p.text(p.ECHO)) + b"."
        ),
    ),
    row(
        "CVE-2026-21851",
        "GHSA-9rg3-9pvr-6p27",
        "monai",
        "<1.5.2",
        "a bundle is unpacked outside of its folder",
        OUTSIDE,
        files(
            "bundle.zip", zipped({"configs/metadata.json": b"{}", "../../notes.txt": b"weighbridge-sample"})
        ),
    ),
    row(
        "CVE-2025-23298",
        "",
        "transformers4rec",
        "before the bulletin of August 2025",
        "a checkpoint is loaded by cloudpickle, which carries functions as code",
        "pickle-carries-code",
        pickled(
            p.proto()
            + p.call(p.stack_name("cloudpickle.cloudpickle", "_make_function"), b"N", b"}", b"N", b"N", b"N")
            + b".",
            *(
                p.proto() + p.call(p.stack_name(module, name), *arguments) + b"."
                for module in CLOUDPICKLE
                for name, arguments in (
                    ("_make_skel_func", (b"N", b"K\0", b"N")),
                    ("subimport", (p.text("os"),)),
                )
            ),
            p.proto() + p.call(p.stack_name("dill._dill", "_create_function"), b"N", b"}") + b".",
            p.proto()
            + p.call(
                p.stack_name("dill._dill", "_create_type"),
                p.name("builtins", "type"),
                p.text("X"),
                b")",
                b"}",
            )
            + b".",
        ),
    ),
)
