"""Adapters: what makes a model one, which tensors of a base it is for, and whether a merge is W + (alpha / r) · B · A.

PEFT writes `adapter_config.json` and names such as `base_model.model.h.0.attn.lora_A.weight`; GGUF says
`general.type = adapter` and names its halves `blk.0.attn_q.weight.lora_a`. Only what both libraries agree on is computed:
a low-rank update of a matrix. DoRA, convolutions, patterns of alpha that are regular expressions stay claims.
https://huggingface.co/docs/peft/developer_guides/checkpoint
"""

import math
from collections.abc import Mapping
from typing import Any

from weighbridge.convert.relate_casts import FLOATS, numbers
from weighbridge.convert.relate_sides import One, Side, blocks, whole
from weighbridge.core.artifact import Artifact
from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.value import dataclass
from weighbridge.core.wire import read_json
from weighbridge.formats.gguf.reading import GgufReading
from weighbridge.measure.tensors import list_tensors

CONFIG = "adapter_config.json"
MAX_CONFIG = 1024**2
MOST_AT_ONCE = 1024 * 1024
"""Numbers of a matrix that are computed at once, where a row is not longer."""
WIDEST = 1 / 32
"""Of a matrix' largest number: a tolerance that is wider proves nothing."""
MOST_OF_SUMS = 2.0**-10
"""Of a row's usual number: what the sums of a product may be off. Huge factors that cancel out would else hide anything."""
MOST_AROUND = 8
"""Modules around a model that are looked through for its own name of a tensor."""
_HALVES = (
    (".lora_A.default.weight", ".lora_B.default.weight", ".weight", False),
    (".lora_A.weight", ".lora_B.weight", ".weight", False),
    (".lora_embedding_A", ".lora_embedding_B", ".weight", True),
    (".lora_a", ".lora_b", "", False),
)
"""End of the name of A, of B, of the tensor of the base, and whether B · A is turned over."""
_PREFIX = "base_model.model."


@dataclass(frozen=True, slots=True, kw_only=True)
class Low:
    """One update of low rank."""

    a: One
    b: One
    scale: float
    turned: bool
    """B · A is transposed before it is added."""

    @property
    def rank(self) -> int:
        """Rows of A."""
        return self.a.entry.shape[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the matrix that it is added to."""
        rows, columns = self.b.entry.shape[0], self.a.entry.shape[1]
        return (columns, rows) if self.turned else (rows, columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A recognised adapter."""

    lows: Mapping[str, Low]
    """Name in the base, as the adapter spells it → its update."""
    others: Mapping[str, One]
    """Name in the base → a tensor that takes its place."""
    why: str = ""
    """Why a merge cannot be computed again; "" where it can."""

    @property
    def targets(self) -> tuple[str, ...]:
        """Every tensor of the base that it changes."""
        return tuple(sorted({*self.lows, *self.others}))


def adapter_of(side: Side, budget: Budget) -> Adapter | None:
    """The adapter that a model is; None for a model that is none. Raises `InputError` for a configuration that is none."""
    config = _config(side.artifact)
    gguf = _gguf(side.artifact, budget)
    names = side.named
    halves = {name for name in names if _half(name)}
    if not (halves or config is not None or gguf is not None):
        return None
    if gguf is None and config is None and len(halves) < len(names):
        return None  # a base that was saved with its adapter still in it
    return _made(names, config, gguf)


def _config(artifact: Artifact) -> Mapping[str, Any] | None:
    member = next((one for one in artifact.members if one.path == CONFIG), None)
    if member is None:
        return None
    data = artifact.files.open(member).read(0, min(member.size, MAX_CONFIG + 1))
    document = read_json(data, CONFIG, limit=MAX_CONFIG)
    if not isinstance(document, dict):
        raise InputError("bad-json", f"{CONFIG} holds no object")
    return document


def _gguf(artifact: Artifact, budget: Budget) -> Mapping[str, Any] | None:
    """The metadata of a GGUF adapter."""
    for member in artifact.members:
        source = artifact.files.open(member)
        if source.size >= 8 and source.read(0, 4) == b"GGUF":
            try:
                readings = list_tensors(source, member.path, budget).readings
            except (InputError, LimitError):
                continue
            for reading in readings:
                pairs = {p.key: p.value for p in getattr(reading, "metadata", ()) if isinstance(reading, GgufReading)}  # fmt: skip
                if pairs.get("general.type") == "adapter":
                    return pairs
    return None


def _half(name: str) -> tuple[str, str, bool] | None:
    """("a" or "b", name in the base, turned) of a half; None for any other tensor."""
    for a, b, end, turned in _HALVES:
        for half, ending in (("a", a), ("b", b)):
            if name.endswith(ending):
                return half, name[: -len(ending)].removeprefix(_PREFIX) + end, turned
    return None


def _made(
    names: Mapping[str, One], config: Mapping[str, Any] | None, gguf: Mapping[str, Any] | None
) -> Adapter:
    halves: dict[tuple[str, bool], dict[str, One]] = {}
    others: dict[str, One] = {}
    for name, one in names.items():
        half = _half(name)
        if half is None:
            others[name.removeprefix(_PREFIX)] = one
        else:
            halves.setdefault((half[1], half[2]), {})[half[0]] = one
    lows: dict[str, Low] = {}
    why = _unsupported(config, gguf)
    for (target, turned), found in halves.items():
        flipped = turned or bool(config and config.get("fan_in_fan_out"))
        if not _fit(found):
            why = why or f"{target} has no pair of matrices that fit each other"
            others |= {f"{target} ({half})": one for half, one in found.items()}
            continue
        scale = _scale(target, found["a"].entry.shape[0], config, gguf)
        if scale is None:
            why = why or "its scale (alpha) is not stated, or not in a way that is computed here"
        lows[target] = Low(a=found["a"], b=found["b"], scale=scale or 0.0, turned=flipped)
    return Adapter(lows=lows, others=others, why=why)


def _fit(found: Mapping[str, One]) -> bool:
    if set(found) != {"a", "b"}:
        return False
    a, b = found["a"].entry, found["b"].entry
    two = len(a.shape) == len(b.shape) == 2 and a.dtype in FLOATS and b.dtype in FLOATS
    return two and a.shape[0] == b.shape[1] > 0


def _unsupported(config: Mapping[str, Any] | None, gguf: Mapping[str, Any] | None) -> str:
    if gguf is not None:
        kind = gguf.get("adapter.type")
        return "" if kind in ("lora", None) else "it is no LoRA adapter"
    if config is None:
        return f"there is no {CONFIG}, which states its scale"
    if config.get("peft_type") != "LORA":
        return "it is no LoRA adapter"
    for key in ("use_dora", "lora_bias", "use_qalora", "alora_invocation_tokens", "megatron_config"):
        if config.get(key):
            return f"{key} is not computed here"
    return ""


def _scale(
    target: str, rank: int, config: Mapping[str, Any] | None, gguf: Mapping[str, Any] | None
) -> float | None:
    """alpha / r, as the library computes it; None where it is not stated plainly."""
    if gguf is not None:
        alpha = gguf.get("adapter.lora.alpha")
    else:
        patterns = (config or {}).get("alpha_pattern") or {}
        alpha = (config or {}).get("lora_alpha")
        for pattern, own in patterns.items() if isinstance(patterns, dict) else [("", None)]:
            module = target.removesuffix(".weight")
            if not pattern.replace("_", "").replace(".", "").isalnum():
                return None
            if module == pattern or module.endswith(f".{pattern}"):
                alpha = own
                break
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not abs(alpha) < 1e30:
        return None
    below = math.sqrt(rank) if (config or {}).get("use_rslora") else rank
    return float(alpha) / below


def place_of(target: str, base: Mapping[str, One]) -> str:
    """The base's own name of a target: as it is, or without the outermost modules that the adapter's maker had around it."""
    name = target
    for _ in range(MOST_AROUND):
        if name in base:
            return name
        name = name.partition(".")[2]
    return ""


def merged(np: Any, base: One, low: Low, child: One, budget: Budget) -> tuple[bool, str]:
    """Whether the child's matrix is W + scale · B · A within the tolerance, and what was found in a few words.

    The tolerance of a number: u · (2 |W| + 4 |Δ|) for the roundings to the types that weights are kept in, of which u is the
    wider half unit, and 2 · r · 2⁻²⁴ · |scale| · |B| · |A| for those of a product of matrices in F32, at most
    `MOST_OF_SUMS` of the row's median number.
    """
    rows, columns = base.entry.shape
    if low.shape != (rows, columns) or tuple(child.entry.shape) != (rows, columns):
        return False, "its shape is not that of the update"
    if not rows * columns:
        return False, "it holds nothing"
    size = min(rows, max(1, MOST_AT_ONCE // max(1, columns))) or 1
    budget.need_memory(size * columns * 4 * 8, f'the rows of "{base.entry.name[:100]}"')
    left, right = _factors(np, low, budget)
    olds = blocks(base, size * columns * FLOATS[base.entry.dtype].bits // 8, budget)
    news = blocks(child, size * columns * FLOATS[child.entry.dtype].bits // 8, budget)
    unit = max(FLOATS[base.entry.dtype].half_ulp, FLOATS[child.entry.dtype].half_ulp)
    least = 2.0**-23 if "F16" in (base.entry.dtype, child.entry.dtype) else 0.0
    scale = np.float32(low.scale)
    widest = top = used = 0.0
    with np.errstate(all="ignore"):
        for number, (before, after) in enumerate(zip(olds, news, strict=True)):
            part = left[number * size : (number + 1) * size]
            old = numbers(np, before, base.entry.dtype).astype("<f4").reshape(-1, columns)
            new = numbers(np, after, child.entry.dtype).astype("<f4").reshape(-1, columns)
            update = scale * (part @ right)
            sizes = np.abs(old) + np.abs(update)
            sums = 2 * low.rank * 2.0**-24 * abs(low.scale) * (np.abs(part) @ np.abs(right))
            sums = np.minimum(sums, MOST_OF_SUMS * np.median(sizes, axis=1, keepdims=True))
            room = unit * (2 * np.abs(old) + 4 * np.abs(update)) + sums + least
            off = np.abs(new - (old + update))
            if not (np.isfinite(off).all() and np.isfinite(room).all()):
                return False, "it holds numbers that are infinite or none"
            if (off > room).any():
                return False, "it is not the base with the update added"
            widest, top = max(widest, float(room.max())), max(top, float(np.abs(new).max()))
            used = max(used, float(off.max()))
    if used and widest > WIDEST * top:
        return False, f"the tolerance would be {widest:.2g} beside numbers of {top:.2g}, which proves nothing"
    return True, f"off by at most {used:.2g}, tolerance {widest:.2g}"


def _factors(np: Any, low: Low, budget: Budget) -> tuple[Any, Any]:
    """Two matrices in F32 whose product is the update without its scale."""
    a = numbers(np, whole(low.a, budget), low.a.entry.dtype).astype("<f4").reshape(low.a.entry.shape)
    b = numbers(np, whole(low.b, budget), low.b.entry.dtype).astype("<f4").reshape(low.b.entry.shape)
    return (a.T, b.T) if low.turned else (b, a)
