"""Names: which tensors are training state, which wrapper's name is stripped, and what files are called afterwards.

A checkpoint is a dict of dicts; the keys on the way are joined by dots. Only a key that really is one of its outermost
keys counts as a wrapper or an optimizer, so that a layer called `optimizer.weight` is never lost.
"""

import posixpath
import re
from collections import Counter
from collections.abc import Mapping

from weighbridge.convert.gather import Found, Weights
from weighbridge.convert.recipe import Recipe
from weighbridge.core.receipt import Dropped, Kind, Renamed

WRAPPERS = (
    "state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "params", "parameters", "module",
    "generator", "ema", "model_ema", "ema_state_dict", "params_ema",
)  # fmt: skip
"""Keys under which training programs put the state dict."""

TRAINING = {
    key: what
    for what, keys in {
        "optimizer state": (
            "optimizer", "optimizers", "optimizer_state", "optimizer_states", "optimizer_state_dict", "optim", "optim_state",
            "optim_state_dict", "optimizer_weights", "opt", "opt_state", "opt_state_dict", "optimizer_dict",
        ),
        "learning-rate schedule": ("scheduler", "schedulers", "lr_scheduler", "lr_schedulers", "lr_scheduler_state_dict",
                                   "scheduler_state_dict"),
        "loss scaling": ("scaler", "grad_scaler", "scaler_state_dict", "amp", "amp_scaling_state", "native_amp_scaling_state"),
        "state of random generators": ("rng_state", "rng_states", "cuda_rng_state", "cuda_rng_states", "torch_rng_state",
                                       "random_rng_state", "numpy_rng_state"),
        "state of callbacks and loops": ("callbacks", "loops"),
    }.items()
    for key in keys
}  # fmt: skip
"""Outermost key → what it is; none of it is needed to use the model."""

PLAIN = frozenset({"safetensors", "gguf", "onnx", "npy", "npz"})
"""Formats in which nobody leaves training state under such names."""

SLOT = "/.OPTIMIZER_SLOT/"
"""In the names of TensorFlow's checkpoints."""

SUFFIXES = (
    ".safetensors", ".gguf", ".onnx", ".npy", ".npz", ".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle", ".joblib", ".h5",
    ".hdf5", ".keras", ".msgpack", ".ot", ".pdparams", ".pdiparams", ".params", ".index", ".torch", ".model", ".t7", ".tar",
    ".gz", ".bz2", ".xz", ".zst", ".lz4", ".z",
)  # fmt: skip
SHARD = re.compile(r"-[0-9]{1,9}-of-[0-9]{1,9}\Z", re.ASCII)


def training(weights: Weights) -> dict[str, str]:
    """Beginning of names → what it is, for the training state among a file's tensors and values."""
    if weights.contents is not None:
        outer = weights.contents.top | {one.name for one in weights.found if "." not in one.name}
        return {f"{key}.": TRAINING[key] for key in sorted(TRAINING.keys() & outer)}
    if set(weights.formats) <= PLAIN:
        return {}
    firsts = {re.split(r"[./]", one.name, maxsplit=1)[0]: one.name for one in weights.found}
    return {
        name[: len(first) + 1]: TRAINING[first]
        for first, name in firsts.items()
        if first in TRAINING and name != first
    }


def in_objects(weights: Weights, beginnings: dict[str, str]) -> dict[str, str]:
    """Beginning of names → the object, for tensors inside objects beside a state dict (metrics, hyper-parameters).

    Where there is no state dict beside them, the objects are the model, and their tensors are what is wanted.
    """
    if weights.contents is None:
        return {}
    objects = {f"{path}.": what for path, what in weights.contents.objects if path}
    wrappers = tuple(f"{key}." for key in sorted(weights.contents.top & set(WRAPPERS)))
    plain = (one.name for one in weights.found if not is_training(one.name, beginnings))
    if not any(name.startswith(wrappers) and not name.startswith(tuple(objects)) for name in plain):
        return {}
    return {beginning: f"inside {what}" for beginning, what in objects.items()}


def whole_training(weights: Weights) -> str:
    """What a file is that holds nothing but training state, as training programs leave it beside the weights."""
    if weights.contents is None:
        return ""
    if {"state", "param_groups"} <= weights.contents.top:
        return "optimizer state"
    name = posixpath.basename(weights.path)
    return "state of random generators" if re.match(r"(random|rng)_states?(_[0-9]+)?\.", name) else ""


def is_training(name: str, beginnings: Mapping[str, str]) -> str:
    """What a tensor is when it is no weight; "" when it is one."""
    if SLOT in name:
        return "optimizer state"
    return beginnings.get(beginning(name, beginnings), "")


def beginning(name: str, beginnings: Mapping[str, str]) -> str:
    """The beginning in `beginnings` that the name has, or is without its last character; "" for none."""
    ends = (at for at, char in enumerate(name, 1) if char in "./")
    return next(
        (name[:at] for at in ends if name[:at] in beginnings),
        next((f"{name}{end}" for end in "./" if f"{name}{end}" in beginnings), ""),
    )


def without_training(
    weights: Weights, recipe: Recipe
) -> tuple[tuple[Found, ...], tuple[Dropped, ...], dict[str, str]]:
    """The tensors to keep, what is left out, and how the names of all that is left out begin."""
    if recipe.keep_optimizer:
        return weights.found, (), {}
    beginnings = training(weights)
    beginnings |= in_objects(weights, beginnings)
    gone = {one.name: what for one in weights.found if (what := is_training(one.name, beginnings))}
    begun = Counter(beginning(name, beginnings) for name in gone if beginning(name, beginnings) != f"{name}.")
    dropped = [
        Dropped(Kind.TENSORS, weights.path, name, beginnings[name], count)
        for name, count in begun.items()
        if name
    ]
    alone = [name for name in gone if beginning(name, beginnings) in ("", f"{name}.")]
    dropped += [Dropped(Kind.TENSOR, weights.path, name, gone[name]) for name in alone]
    kept = tuple(one for one in weights.found if one.name not in gone)
    return kept, tuple(dropped), {name: beginnings[name] for name in begun if name} | training(weights)


def wrapper(weights: Weights, kept: tuple[Found, ...], recipe: Recipe) -> Renamed | None:
    """The wrapper's name that all tensors begin with, where it is stripped."""
    if recipe.keep_names or weights.contents is None or not kept:
        return None
    first = kept[0].name.partition(".")[0]
    whole = first in WRAPPERS and first in weights.contents.top
    if not whole or not all(
        one.name.startswith(f"{first}.") and len(one.name) > len(first) + 1 for one in kept
    ):
        return None
    return Renamed(weights.path, f"{first}.", "", prefix=True)


def bad_name(name: str) -> str:
    """Why a tensor cannot keep its name; "" when it can."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "its name is no text"
    return 'it is called "__metadata__", which the format keeps for itself' if name == "__metadata__" else ""


def stem(path: str) -> str:
    """The file's name without folder, shard number and suffixes of weights."""
    name = posixpath.basename(path)
    lower = name.lower()
    while (suffix := posixpath.splitext(lower)[1]) in SUFFIXES and len(suffix) < len(lower):
        name, lower = name[: -len(suffix)], lower[: -len(suffix)]
    return SHARD.sub("", name)


def transformers_stem(name: str) -> str:
    """`pytorch_model` becomes `model`, as the loaders of safetensors files look for it."""
    return f"model{name.removeprefix('pytorch_model')}" if name.startswith("pytorch_model") else name
