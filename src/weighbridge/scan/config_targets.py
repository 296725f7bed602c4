"""What a dotted name in a config makes its loader do: harm that can be named, nothing, or nobody knows.

Hydra, Lightning, NeMo, torchtune, MLflow and others import what such a name says and call it with the config's own
arguments. Harmless are classes under the reviewed prefixes, whose making only builds layers and options; a class that
starts programs or reads code is no such class wherever it stands. All else is not known.
"""

from functools import lru_cache

from weighbridge.core.pattern import late

UNKNOWN = "?"

FRAMEWORKS = late(
    r"(torch\.(nn|optim|distributions|utils\.data)|torchvision|torchaudio|torchmetrics|torchtune|transformers|diffusers|peft|trl|timm"
    r"|sentence_transformers|nemo\.(collections|core|utils|lightning)|lightning|lightning_fabric|pytorch_lightning|uni2ts|gluonts|monai|flextok|fourm"
    r"|langchain|langchain_core|langchain_openai|langchain_community|speechbrain|fairseq|open_clip|kornia|albumentations|einops|sklearn|omegaconf|accelerate|datasets|mmengine|mmcv|mmdet|gpytorch"
    r"|megatron|physicsnemo|modulus|bionemo|anomalib|pytorch_forecasting|neuralforecast|darts|botorch|e3nn|mace|optax|flax|jax)"
    r"(\.[a-zA-Z_]\w*)*\.[A-Z]\w*\Z"
)
"""Prefixes under which classes are layers, optimisers, data sets and options."""
FUNCTIONS = late(
    r"(torch\.(relu|tanh|sigmoid|zeros|ones|tensor|float16|bfloat16|float32|float64|device|Generator|Size|nn\.functional\.\w+|nn\.init\.\w+)"
    r"|torchvision\.models\.((detection|segmentation|video|optical_flow)\.)?(resnet|resnext|wide_resnet|densenet|vgg|alexnet|squeezenet|inception_v|googlenet|shufflenet_v|mobilenet_v"
    r"|mnasnet|efficientnet_|regnet_|vit_|swin|convnext_|maxvit_|fasterrcnn_|maskrcnn_|retinanet_|fcos_|ssd|keypointrcnn_|deeplabv3_|fcn_|lraspp_|r3d_|mc3_|r2plus1d_|s3d|mvit_|raft_)[a-z0-9_]{0,30}"
    r"|torchtune\.(models|modules|datasets|training|data|config)(\.[a-z]\w*)*\.\w+|functools\.partial|collections\.OrderedDict"
    r"|builtins\.(dict|list|tuple|set|str|int|float|bool|slice|range|len|min|max|sum)|pathlib\.(Pure)?Path|datetime\.(timedelta|datetime|date)"
    r"|numpy\.(float32|float64|int32|int64|array|asarray|linspace|arange)|math\.\w+|gluonts(\.\w+)+|sentence_transformers(\.[a-z]\w*)+"
    r"|(mlflow|nemo|transformers|diffusers|sentence_transformers|peft)(\.[a-z]\w*)*)\Z"
)
"""Functions and modules that compute, and nothing else."""
POWERFUL = late(
    r"(Popen|Process|Shell|Command|Subprocess|Interpreter|REPL|Unpickl|Importer|CodeExec|Exec(utor)?\Z|Bash|Runner\Z|LightningCLI|ConfigParser"
    r"|CppExtension|BuildExtension|RemoteModule|PythonTool|FileHandler|Downloader|Webhook|Tunnel)"
)
"""What the names of classes have in them that do more than build a model."""
GETTERS = frozenset(
    (
        "hydra.utils.get_method",
        "hydra.utils.get_class",
        "hydra.utils.get_object",
        "hydra.utils.get_static_method",
    )
)
"""Functions of Hydra that look up what their argument `path` says."""
_ALSO = {
    "psutil.Popen": "runs a program",
    "hydra._internal": "imports what its arguments name",
    "monai.bundle.ConfigParser": "runs code from text",
    "monai.bundle.run": "runs code from text",
    "monai.bundle.scripts.run": "runs code from text",
    "operator.attrgetter": "reaches attributes by name",
    "operator.methodcaller": "calls methods by name",
    "builtins.getattr": "reaches attributes by name",
    "builtins.setattr": "changes attributes by name",
    "builtins.open": "opens files",
    "builtins.__import__": "imports what its arguments name",
    "builtins.compile": "compiles code from text",
    "builtins.input": "waits for somebody at the keyboard",
    "pydoc.locate": "imports what its arguments name",
    "torch.hub.load": "fetches and runs code from a repository",
    "huggingface_hub.snapshot_download": "fetches something from the network",
    "huggingface_hub.hf_hub_download": "fetches something from the network",
    "nemo.core.classes.common.import_class_by_path": "imports what its arguments name",
}
"""Names that the lists for pickles and Python code have no reason to hold, or hold for other arguments."""
_DOTTED = late(r"[A-Za-z_]\w*([.:][A-Za-z_]\w*)+\Z")


def is_dotted(text: str) -> bool:
    """Whether it has the form `package.module.name`."""
    return len(text) <= 300 and _DOTTED.match(text) is not None


@lru_cache(maxsize=4096)
def harm(target: str) -> str:
    """What calling a dotted name does to whoever loads the config; "" for nothing that is known."""
    from weighbridge.scan import python_names as known
    from weighbridge.scan.contracts import harm as lists
    from weighbridge.scan.python_effects import danger

    parts = target.strip().replace(":", ".").split(".")
    name = ".".join(parts)
    for start in range(len(parts)):
        tail = ".".join(parts[start:])
        if tail in _ALSO:
            return _ALSO[tail]
        if parts[start] == "builtins" and FUNCTIONS.match(tail):
            return ""
        if parts[start] in known.MODULES_NOT_TO_PASS_ON:
            return danger(tail, True) or known.REWIRES
    if what := danger(name, True) or (danger(f"builtins.{name}", True) if len(parts) == 1 else ""):
        return what
    if len(parts) == 1 and f"builtins.{name}" in _ALSO:
        return _ALSO[f"builtins.{name}"]
    return lists.harm_of(name) if lists.is_stdlib(parts[0]) else ""


@lru_cache(maxsize=4096)
def judged(target: str) -> str:
    """What calling a dotted name does, in a word; `?` where that is not known, "" where it is harmless."""
    name = target.strip().replace(":", ".")
    if what := harm(name):
        return what
    last = name.rpartition(".")[2]
    if "__" in name or POWERFUL.search(last):
        return UNKNOWN
    if FRAMEWORKS.match(name) or FUNCTIONS.match(name) or name in GETTERS:
        return ""
    from weighbridge.scan.contracts import harm as lists

    return (lists.harm_of(name) if "." in name else "") or UNKNOWN
