"""What the operators, layers, objectives and classes of other frameworks do when a model names them.

Three answers: harm that can be named, computing only, and neither (somebody's own, which nobody here knows). The lists of
the two large frameworks are `paddle_operators` and `mxnet_operators`.
"""

import re
from enum import StrEnum

from weighbridge.core.pattern import late
from weighbridge.formats.framework import Call

PYTHON = "calls Python code"
READS = "reads a file whose path the model chooses"
WRITES = "writes a file whose path the model chooses"
LIBRARY = "needs a native library that nobody here knows, loaded into the process that runs the model"
"""Of Paddle's dialect for such operators, and of MXNet, which is retired: no later version has more of its own."""
CONNECTS = "connects to another machine, whose address the model chooses"
POINTER = "calls the machine address that stands in the model"


class Effect(StrEnum):
    """What is known of one name."""

    COMPUTES = "computes"
    HARM = "harm"
    UNKNOWN = "unknown"


HARM: dict[str, dict[str, str]] = {
    "paddle": {
        "py_func": PYTHON, "pylayer": PYTHON, "py_layer": PYTHON, "create_py_reader": PYTHON, "load": READS, "load_combine": READS,
        "read_file": READS, "save": WRITES, "save_combine": WRITES,
        **dict.fromkeys((
            "listen_and_serv", "fl_listen_and_serv", "heter_listen_and_serv", "send", "recv", "send_and_recv", "recv_save", "prefetch",
            "checkpoint_notify", "gen_nccl_id", "c_gen_nccl_id", "c_gen_bkcl_id", "distributed_lookup_table",
        ), CONNECTS),
    },
    "mxnet": {
        "Custom": PYTHON, "_CustomFunction": PYTHON, "CustomFunction": PYTHON, "_npi_Custom": PYTHON, "_Native": POINTER, "_NDArray": POINTER,
        "_cvimread": READS, "_npi_cvimread": READS,
    },
    "cntk": {
        "UserDefinedFunction": "makes a function of a class or library that the model names",
        "NativeUserDefinedFunction": "loads the native library that the model names",
    },
    "caffe": {"Python": "imports the Python module that the net names", "HDF5Output": WRITES},
}  # fmt: skip

CAFFE = frozenset(
    """
    AbsVal Accuracy ArgMax BNLL BatchNorm BatchReindex Bias Clip Concat ContrastiveLoss Convolution Crop
    Data Deconvolution DepthwiseConvolution DummyData Dropout ELU Eltwise Embed EuclideanLoss Exp Filter
    Flatten HDF5Data HingeLoss Im2col ImageData InfogainLoss InnerProduct Input LRN LSTM LSTMUnit Log MVN
    MemoryData MultinomialLogisticLoss PReLU Parameter Pooling Power RNN ReLU ReLU6 Reduction Reshape SPP
    Scale Sigmoid SigmoidCrossEntropyLoss Silence Slice Softmax SoftmaxLoss SoftmaxWithLoss Split Swish TanH
    Threshold Tile WindowData Permute PriorBox DetectionOutput Normalize MultiBoxLoss AnnotatedData Interp
    ROIPooling Upsample ShuffleChannel ConvolutionDepthwise Axpy xavier constant gaussian msra bilinear
    uniform positive_unitball
    """.split()  # noqa: SIM905 - easier to read than a list
)
"""Layers of BVLC Caffe and its well-known branches, and the fillers that a definition names with the same word."""
OLD_CAFFE = range(40)
XGBOOST = late(
    r"gradient_booster:(gbtree|gblinear|dart)\Z"
    r"|objective:(reg:(squarederror|squaredlogerror|logistic|pseudohubererror|absoluteerror|quantileerror|expectileerror|gamma|tweedie|linear)"
    r"|binary:(logistic|logitraw|hinge)|count:poisson|survival:(cox|aft)|multi:(softmax|softprob)|rank:(pairwise|ndcg|map))\Z"
)
LIGHTGBM = frozenset(
    """
    regression regression_l1 huber fair poisson quantile mape gamma tweedie binary multiclass multiclassova
    cross_entropy cross_entropy_lambda lambdarank rank_xendcg
    """.split()  # noqa: SIM905 - easier to read than a list
)
TORCH7 = late(
    r"(torch|nn|cudnn|cunn|nngraph|inn|nnx|rnn|dpnn|stn|image)\.[A-Za-z0-9_.]{1,80}\Z|(tds\.(Hash|Vec))\Z"
)
RUNS = late(
    r"(?i)^(py_?(func|op|call|code|exec)|python|shell|bash|exec|system|command|eval|subprocess|spawn|popen)"
    r"|(exec(ute)?|system|shell|command)(call|cmd|code|command|op|layer|script|process)?$"
    r"|load_?(library|plugin|dll|so)|dlopen|import_?module|(read|write|delete|download)_?file|http_?(get|post|request)"
)
"""Names of operators, layers or classes that say what they are for."""
_TWIN = late(r"(_double|_triple)?_grad(_grad|2)*\Z|_sp\Z")


def effect(family: str, call: Call) -> tuple[Effect, str]:
    """What the name does in that framework, and in words where it is harm."""
    name = _base(family, call.name)
    harm = HARM.get(family, {}).get(name)
    if harm is not None:
        return Effect.HARM, harm
    if _computes(family, name):
        return Effect.COMPUTES, ""
    if RUNS.search(name):
        return Effect.HARM, "says by its name that it runs commands or loads code"
    if name.startswith("custom_op.") or family == "mxnet":
        return Effect.HARM, LIBRARY
    return Effect.UNKNOWN, ""


def _base(family: str, name: str) -> str:
    if family != "paddle":
        return re.sub(r"\A_(backward|grad)_", "", name) if family == "mxnet" else name
    name = re.sub(r"\A(pd_op|cf|builtin|dist_op)\.", "", name)
    while True:
        shorter = _TWIN.sub("", name.rstrip("_") or name)
        if shorter == name:
            return name
        name = shorter


def _computes(family: str, name: str) -> bool:
    if family == "paddle":
        from weighbridge.scan.operators import paddle as paddle_operators

        return name in paddle_operators.COMPUTE
    if family == "mxnet":
        from weighbridge.scan.operators import mxnet as mxnet_operators

        return name in mxnet_operators.COMPUTE
    if family == "caffe":
        old, _, number = name.partition(":")
        return name in CAFFE or (old == "V1" and number.isdigit() and int(number) in OLD_CAFFE)
    if family == "lightgbm":
        return name.removeprefix("objective:") in LIGHTGBM
    if family == "torch7":
        return TORCH7.match(name) is not None
    return family == "xgboost" and XGBOOST.match(name) is not None
