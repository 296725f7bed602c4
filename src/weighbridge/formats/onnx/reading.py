"""What is read of an ONNX model: the operators it calls, the files it refers to, and its texts."""

from weighbridge.core.value import dataclass
from weighbridge.formats.framework import Text
from weighbridge.formats.reading import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator that the model calls."""

    domain: str
    """"" for ONNX's own, also where the file says `ai.onnx`."""
    name: str
    count: int
    offset: int
    """Of the first node that calls it."""
    local: bool
    """True when the model itself defines it as a function of other operators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalData:
    """Where one tensor says that its bytes lie."""

    tensor: str
    location: str
    offset: int
    length: int
    at: int
    """Byte of the model file at which the tensor stands."""
    problem: str
    """What `location_problem` says; "" when the path stays in the model's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxReading(Reading):
    """What the model calls and refers to."""

    ir_version: int = 0
    producer: str = ""
    opsets: tuple[tuple[str, int], ...] = ()
    operators: tuple[Operator, ...] = ()
    external: tuple[ExternalData, ...] = ()
    texts: tuple[Text, ...] = ()
    """Values of metadata, the first 4 KiB of each."""
