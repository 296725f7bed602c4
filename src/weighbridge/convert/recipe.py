"""Recipe: what a person asks of one conversion."""

from dataclasses import field
from enum import StrEnum
from pathlib import Path

from weighbridge.core.budget import Limits
from weighbridge.core.value import dataclass
from weighbridge.store import Links


class Target(StrEnum):
    """What can be written."""

    SAFETENSORS = "safetensors"
    GGUF = "gguf"
    ONNX = "onnx"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What to convert, and how."""

    path: str
    """The model's folder or file."""
    target: Target = Target.SAFETENSORS
    out: str | None = None
    """File or folder to write; None for a name beside the model."""
    force: bool = False
    """Replace what stands there."""
    shard_size: int | None = None
    """Most bytes of tensors in one file; None keeps the files as the model has them."""
    drop: tuple[str, ...] = ()
    """Files or folders of the model to leave out."""
    keep_optimizer: bool = False
    """Keep the tensors of optimizers, schedulers, random generators and of objects beside the state dict."""
    keep_names: bool = False
    """Do not strip the wrapper's name (`state_dict.`) that all tensors of a checkpoint begin with."""
    partial: bool = False
    """Write the rest where some tensors cannot be taken over; else nothing is written then."""
    architecture: str = ""
    """`general.architecture` of a GGUF file."""
    external: bool | None = None
    """ONNX: True puts the tensors into a file beside the graph, False into it, None leaves them."""
    exclude: frozenset[str] = frozenset()
    """Paths that are no part of the model (its signatures)."""
    links: Links = Links.INSIDE
    limits: Limits = field(default_factory=Limits)
    jobs: int | None = None

    def dropped(self, path: str) -> bool:
        """Whether a file of the model was asked to be left out."""
        asked = [name.strip("/").removeprefix("./") for name in self.drop]
        return any(path == name or path.startswith(f"{name}/") for name in asked)

    @property
    def place(self) -> Path:
        """The model itself, without links on the way."""
        return Path(self.path).resolve()
