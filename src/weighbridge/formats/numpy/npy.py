"""NumPy's `.npy` files: the header, and the array behind it as a tensor.

An array of objects is a pickle behind the header: it becomes a part, and nothing is loaded. Layout: numpy.lib.format,
versions 1.0 to 3.0.
"""

from collections.abc import Iterator

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.source import Slice, Source
from weighbridge.core.value import dataclass
from weighbridge.formats.embedded import program_part
from weighbridge.formats.numpy.dtypes import DType
from weighbridge.formats.numpy.header import MAX_HEADER, NpyHeader, read_header, tensor
from weighbridge.formats.numpy.literal import TOO_DEEP
from weighbridge.formats.reading import Anomaly, Gap, Part, Reading, TensorRef
from weighbridge.formats.sniff import starts_like_pickle

_CALL = late(r"\b[A-Za-z_]\w{0,40}\s{0,9}\(|\blambda\b|__\w{1,40}__")
_NEGATIVE = late(r"'shape'\s*:\s*\([^)]{0,200}-\s*[0-9]")
_OBJECTS = late(r"['\"]\s*[|<>=]?O[0-9]{0,2}\s*['\"]|object")


@dataclass(frozen=True, slots=True, kw_only=True)
class NpyReading(Reading):
    """A `.npy` file."""

    dtype: DType
    shape: tuple[int, ...]
    fortran_order: bool
    objects: bool
    """True when the items are a pickle behind the header."""


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Read one `.npy` file. Raises `InputError` (`not-this-format`, `bad-npy`)."""
    try:
        header = read_header(source, budget)
    except InputError as error:
        attack = _attack(source, error)
        if attack is None:
            raise
        return attack
    rest = source.size - header.start
    if header.size >= 2**63:
        return _unreadable("npy-shape-overflow", "an npy shape multiplies to more than 63 bits hold", ())
    anomalies = tuple(
        Anomaly(code=f"npy-{code}", message=f"npy header: {code.replace('-', ' ')}") for code in header.odd
    )
    if header.dtype.objects:
        part = Part(name="objects", source=Slice(source, header.start, rest), kind="pickle")
        return _reading(header, anomalies, (), (part,), None)
    gaps = tuple(_gaps(header, rest))
    inside = program_part(source, header.start, min(rest, header.size), "array")
    parts = (inside,) if inside is not None else ()
    return _reading(header, anomalies, gaps, parts, None if gaps else (tensor(header, "array"),))


def _gaps(header: NpyHeader, rest: int) -> Iterator[Gap]:
    """Where the array's bytes are fewer, or more, than the header promises."""
    if rest < header.size:
        message = f"array data ends after {rest} of {header.size} bytes"
        yield Gap(code="truncated", message=message, offset=header.start)
    elif rest > header.size:
        end = header.start + header.size
        yield Gap(code="trailing-bytes", message=f"{rest - header.size} bytes behind the array", offset=end)


def _attack(source: Source, error: InputError) -> Reading | None:
    """What an unreadable header is for, where that can be said; None for what is merely broken.

    Some readers of the format evaluate the header, unpickle what stands behind it, or allocate by its numbers.
    """
    if error.code != "bad-npy":
        return None
    version = source.read(6, 2)
    known, wide = version in (b"\x01\0", b"\x02\0", b"\x03\0"), 2 if version == b"\x01\0" else 4
    length = int.from_bytes(source.read(8, wide), "little")
    start = 8 + wide + length
    text = source.read(8 + wide, min(length, MAX_HEADER)).decode("latin-1")
    parts = _behind(source, start, text)
    facts = (
        (
            "npy-header-length",
            known and length > MAX_HEADER,
            f"an npy header of {length} bytes, which readers allocate",
        ),
        ("npy-header-code", bool(_CALL.search(text)), "an npy header that calls something"),
        ("npy-shape-negative", bool(_NEGATIVE.search(text)), "an npy shape with a negative size"),
        (
            "npy-header-nested",
            error.message == TOO_DEEP,
            "an npy header nested so deep that it exhausts readers",
        ),
    )
    found = next(((code, message) for code, holds, message in facts if holds), None)
    if found is not None:
        return _unreadable(*found, parts)
    return _unreadable("", error.message, parts) if parts else None


def _behind(source: Source, start: int, text: str) -> tuple[Part, ...]:
    """A pickle behind a header that speaks of objects."""
    rest = Slice(source, start, source.size - start) if start < source.size else None
    if rest is not None and starts_like_pickle(rest.read(0, 4096), rest.size) and _OBJECTS.search(text):
        return (Part(name="behind the header", source=rest, kind="pickle"),)
    return ()


def _unreadable(code: str, message: str, parts: tuple[Part, ...]) -> Reading:
    return Reading(
        format="npy",
        anomalies=(Anomaly(code=code, message=message),) if code else (),
        gaps=(Gap(code="bad-npy", message=message),),
        parts=parts,
        tensors_unlisted=message,
    )


def _reading(
    header: NpyHeader,
    anomalies: tuple[Anomaly, ...],
    gaps: tuple[Gap, ...],
    parts: tuple[Part, ...],
    tensors: tuple[TensorRef, ...] | None,
) -> NpyReading:
    why = (
        ""
        if tensors
        else "an array of Python objects"
        if header.dtype.objects
        else "the array's bytes are not all there"
    )
    return NpyReading(
        format="npy",
        dtype=header.dtype,
        shape=header.shape,
        fortran_order=header.fortran_order,
        objects=header.dtype.objects,
        anomalies=anomalies,
        gaps=gaps,
        parts=parts,
        tensors=tensors,
        tensors_unlisted=why,
    )
