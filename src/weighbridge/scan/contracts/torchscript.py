"""Which operators TorchScript code calls, and whether they are on the list of `torchscript.toml`.

TorchScript is serialized as a small subset of Python in which every operator is spelt `torch.NAME` (namespace `aten`) or
`ops.NAMESPACE.NAME`; tensor methods are written as functions. So the names are found without parsing expressions, once
strings and comments are out of the way.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache

from weighbridge.core.pattern import late
from weighbridge.scan.contracts.compiled import document

HARMFUL = frozenset(
    {
        "aten::save",
        "aten::from_file",
        "prim::PythonOp",
        "prim::rpc_async",
        "prim::rpc_remote",
        "prim::rpc_sync",
    }
)
"""They write a file, map a file, call Python, or call another process."""
LIBRARIES = frozenset({
    "torchvision", "torchaudio", "torchtext", "torchao", "torchcodec", "fbgemm", "xformers", "flash_attn", "vllm", "_c10d_functional",
    "c10d", "c10d_functional", "mkldnn", "onednn", "inductor", "image", "video", "text", "torchrec", "sgl_kernel", "triton", "mps", "cuda",
    "quantized_decomposed", "executorch_prim", "dim_order_ops", "et_vk", "cortex_m", "cadence", "llama", "metal", "vulkan", "xnnpack",
    "_xnnpack", "torch_cluster", "torch_scatter", "torch_sparse", "torch_spline_conv", "torch_tensorrt", "tensorrt", "neuron", "xla",
    "detectron2", "mmcv", "mmdeploy", "internal", "static_runtime", "higher_order", "rngprims", "debugprims", "custom_op",
})  # fmt: skip
"""Namespaces of well-known libraries: their operators are in no list here, but they are somebody's."""
BUILTINS = frozenset(
    [
        "abs",
        "annotate",
        "bin",
        "bool",
        "chr",
        "complex",
        "dict",
        "divmod",
        "enumerate",
        "float",
        "floordiv",
        "getattr",
        "hasattr",
        "hash",
        "hex",
        "int",
        "isinstance",
        "len",
        "list",
        "max",
        "min",
        "oct",
        "ord",
        "pow",
        "print",
        "range",
        "reversed",
        "round",
        "sorted",
        "str",
        "sum",
        "tuple",
        "uninitialized",
        "unchecked_cast",
        "zip",
    ]
)
"""Functions of the language itself (torch/csrc/jit/frontend)."""
KEYWORDS = frozenset(
    [
        "and",
        "assert",
        "else",
        "elif",
        "for",
        "if",
        "in",
        "is",
        "not",
        "or",
        "print",
        "return",
        "while",
        "with",
        "del",
        "raise",
        "class",
        "def",
    ]
)

_STRING = late(r"""'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|\#[^\n]*""")
_DOT = late(r"\s*\.\s*")
_OPERATOR = late(r"(?<![\w.])(torch|ops\.\w+|prim|aten)\.([A-Za-z_]\w*)")
_ASSIGNED = late(r"^\s*((?:[A-Za-z_]\w*, )*[A-Za-z_]\w*),? = ", re.MULTILINE)
_BARE = late(r"(?<![\w.])(?<!def )(?<!class )([A-Za-z_]\w*)\s*\(")


def is_foreign(operator: str) -> bool:
    """Whether `namespace::name` is an operator of a library that nobody here knows: native code that must be loaded for it."""
    namespace, separator, _ = operator.partition("::")
    return bool(separator) and namespace not in LIBRARIES and namespace not in book()


@cache
def book() -> Mapping[str, frozenset[str]]:
    """Namespace → names, read once."""
    return {namespace: frozenset(table["names"]) for namespace, table in document("torchscript").items()}


def unlisted(code: str) -> Iterator[str]:
    """Every operator and free function in the code that is not on the list, each once."""
    text = _DOT.sub(".", _STRING.sub('""', code))
    found: dict[str, None] = {}
    for match in _OPERATOR.finditer(text):
        namespace = "aten" if match[1] == "torch" else match[1].removeprefix("ops.")
        if match[2] not in book().get(namespace, ()):
            found[f"{namespace}::{match[2]}"] = None
    # A local name can only stand for a function of the archive, or for an operator, which was found where it got its name.
    local = {name for match in _ASSIGNED.finditer(text) for name in match[1].split(", ")}
    for match in _BARE.finditer(text):
        if match[1] not in BUILTINS | KEYWORDS | local:
            found[match[1]] = None
    yield from found
