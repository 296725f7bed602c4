"""One tensor of an ONNX model as it stands in the file, and how many bytes its shape asks for."""

from dataclasses import field

from weighbridge.core.value import dataclass
from weighbridge.formats.onnx.schema import DATA_TYPES
from weighbridge.formats.onnx.work import Work
from weighbridge.formats.protobuf import Field


@dataclass(slots=True)
class Tensor:
    """One TensorProto as it stands in the file."""

    at: int
    name: str = ""
    dims: list[int] = field(default_factory=list)
    kind: int = 0
    raw: Field | None = None
    numbers: dict[int, list[Field]] = field(default_factory=dict)
    strings: int = 0
    entries: list[tuple[str, str]] = field(default_factory=list)
    external: bool = False
    segment: bool = False

    def filled(self) -> list[str]:
        """Which of the ways to hold data this tensor uses."""
        ways = [f"field {number}" for number in self.numbers]
        ways += ["raw_data"] if self.raw else []
        ways += ["string_data"] if self.strings else []
        return ways + (["external_data"] if self.external or self.entries else [])


def unlist(work: Work, code: str, message: str, tensor: Tensor) -> None:
    """Note what is wrong with it; with one such tensor, the model's tensors cannot be listed."""
    work.odd(code, message, offset=tensor.at, part=tensor.name)
    work.unlisted = work.unlisted or message


def length_of(work: Work, tensor: Tensor) -> int | None:
    """Bytes that the shape asks for; None where it cannot be right or the type has no width."""
    bits = DATA_TYPES[tensor.kind].bits if tensor.kind in DATA_TYPES else 0
    for dim in tensor.dims:
        bits *= dim
        if dim < 0 or bits >= 2**66:
            unlist(work, "shape-overflow", f"dimensions {tensor.dims[:8]} are no size", tensor)
            return None
    return -(-bits // 8)
