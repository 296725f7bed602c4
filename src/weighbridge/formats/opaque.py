"""Formats that are recognised and not read: plans for one accelerator, and models of frameworks that few people use.

Says which one it is and why nobody here can say what running it does. Whole programs and strings of a programmer's kind
are looked for in the bytes all the same, since a plan may hold a library that its runtime loads. TensorRT plans hold
programs for the GPU, which are ELF files as well; those are not counted.
"""

import base64
import re
from collections.abc import Iterator
from typing import NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.source import MemorySource, Slice, Source
from weighbridge.core.value import dataclass
from weighbridge.formats.framework import FrameworkReading, Text
from weighbridge.formats.reading import Gap, Part, Reading
from weighbridge.formats.sniff import candidates

CHUNK = 1024**2
OVERLAP = 4096
SEARCHED = 256 * 1024**2
"""Bytes of one file that are searched; plans of large models are larger."""
MAX_FOUND = 20
MAX_TEXTS = 20_000
MAX_HELD = 16 * 1024**2
PLAN = (
    "is a compiled plan for one device: nobody can read what it runs, so it is as good as whoever signed it"
)
WEIGHTS = "holds weights without names, which only its framework and the file beside it explain"


class Kind(NamedTuple):
    """One format."""

    name: str
    magic: tuple[bytes, ...]
    suffixes: tuple[str, ...]
    reason: str


KINDS: tuple[Kind, ...] = (
    Kind("tensorrt", (b"ftrt", b"ptrt"), (".engine", ".plan", ".trt"), PLAN),
    Kind("rknn", (b"RKNN",), (".rknn",), PLAN),
    Kind("hailo", (b"\x01HEF",), (".hef",), PLAN),
    Kind("mnn", (), (".mnn",), "is a graph of MNN, whose flatbuffer is not read here"),
    Kind("ncnn", (b"7767517\n",), (), "is a network of NCNN, which is not read here"),
    Kind("darknet", (), (".weights",), WEIGHTS),
    Kind("armnn", (), (".armnn",), "is a network of Arm NN, whose flatbuffer is not read here"),
    Kind("tesseract", (), (".traineddata",), "is a language of Tesseract, whose parts are not read here"),
    Kind("ggml-session", (b"nsgg", b"sgg\0"), (), "is the saved state of a conversation, not a model"),
    Kind("dlib", (), (".dat",), "is an object of dlib, whose numbers have no frame that could be followed"),
)
_STRING = late(rb"[\x20-\x7e\t]{6,4096}")
_ELF = late(rb"\x7fELF[\x01\x02][\x01\x02]\x01")
_MACHO = late(
    rb"[\xce\xcf]\xfa\xed\xfe(?:\x07|\x0c)\0\0[\0\x01]...[\0\x80][\x01-\x0c]\0\0\0"
    rb"|\xca\xfe\xba\xbe\0\0\0[\x01-\x14][\0\x01]\0\0[\x07\x0c]",
    re.DOTALL,
)
"""For x86 and ARM, thin (magic, processor, subtype, file type) or universal."""
_BASE64_PROGRAM = late(rb"f0VMR[gQ][IE][A-Za-z0-9+/]{80,}={0,2}|TVqQAAMAAAAEAAAA[A-Za-z0-9+/]{80,}={0,2}")
_GADGET = rb"(os|posix|nt|subprocess|builtins|__builtin__|pty|socket|runpy|importlib|shutil|ctypes|webbrowser|marshal|commands)"
_PICKLED_CALL = late(
    rb"c" + _GADGET + rb"\n([a-z_A-Z]\w{0,40})\n"
    rb"|\x8c." + _GADGET + rb"(?:\x94|q.)?\x8c.([a-z_A-Z]\w{0,40})(?:\x94|q.)?\x93",
    re.DOTALL,
)
"""How a pickle imports what runs something: the text of `GLOBAL`, or the strings of `STACK_GLOBAL`."""
_STUB = late(rb"This program cannot be run in DOS mode")
STUB_WITHIN = 512
"""Bytes behind the beginning of a Windows program in which its words for DOS stand."""
GPU_MACHINES = frozenset({190})
"""EM_CUDA."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpaqueReading(FrameworkReading):
    """A file of a format that is known by name."""

    reason: str
    """Why nobody can say what using it does."""


def kind_of(head: bytes, suffix: str) -> Kind | None:
    """The format with this beginning, or that goes by this suffix."""
    for kind in KINDS:
        if kind.magic and head.startswith(kind.magic):
            return kind
    return next((kind for kind in KINDS if suffix in kind.suffixes), None)


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Recognise the format and search its bytes. `InputError`: `not-this-format`."""
    _, dot, last = name.rpartition(".")
    head = source.read(0, 16)
    kind = kind_of(head, f".{last.lower()}" if dot else "")
    marked = kind is not None and bool(kind.magic) and head.startswith(kind.magic)
    if kind is None or not (marked or {"opaque"}.issuperset(candidates(source, ""))):
        raise InputError("not-this-format", "no format that is known by name")
    parts, texts = _searched(source, budget)
    gaps = list[Gap]()
    if source.size > SEARCHED:
        gaps.append(
            Gap(code="not-read", message=f"only its first {SEARCHED} bytes were searched for programs")
        )
    return OpaqueReading(
        format=kind.name,
        reason=kind.reason,
        gaps=tuple(gaps),
        parts=tuple(parts),
        texts=tuple(texts),
        tensors_unlisted=f"it {kind.reason}",
    )


def searched(source: Source, budget: Budget) -> Reading | None:
    """Programs and calls of pickles in a file that no reader understood; None where there are none."""
    parts, texts = _searched(source, budget)
    harmful = [text for text in texts if text.where != "string"]
    if not parts and not harmful:
        return None
    return OpaqueReading(
        format="unrecognised",
        reason="is of no format that is known",
        parts=tuple(parts),
        texts=tuple(harmful),
        tensors_unlisted="its format is not known",
    )


def hidden_programs(source: Source, budget: Budget) -> tuple[Part, ...]:
    """Programs anywhere in a file of a format whose numbers its reader steps over."""
    parts: dict[int, Part] = {}
    for at in range(0, min(source.size, SEARCHED), CHUNK):
        data = source.read(at, CHUNK + OVERLAP)
        budget.spend_bytes(len(data))
        _note_programs(parts, data, at, source)
    return tuple(parts.values())


def suspicious(source: Source, budget: Budget) -> tuple[tuple[Part, ...], tuple[Text, ...]]:
    """Programs, and calls of pickles, in a file that is recognised and not read."""
    parts, texts = _searched(source, budget)
    return tuple(parts), tuple(text for text in texts if text.where != "string")


def _searched(source: Source, budget: Budget) -> tuple[list[Part], list[Text]]:
    parts: dict[int, Part] = {}
    texts: list[Text] = []
    held = 0
    for at in range(0, min(source.size, SEARCHED), CHUNK):
        data = source.read(at, CHUNK + OVERLAP)
        budget.spend_bytes(len(data))
        _note_programs(parts, data, at, source)
        for match in _BASE64_PROGRAM.finditer(data) if len(parts) < MAX_FOUND else ():
            program = MemorySource(base64.b64decode(match[0][: len(match[0]) // 4 * 4]))
            parts[-1 - at - match.start()] = Part(
                name=f"program as base64 at byte {at + match.start()}", source=program, kind="executable"
            )
        for match in _PICKLED_CALL.finditer(data) if len(texts) < MAX_TEXTS else ():
            module, name = match[1] or match[3], match[2] or match[4]
            call = f"a pickle that imports {module.decode()}.{name.decode()}"
            texts.append(Text(f"c{module.decode()}\n{name.decode()}\n", call, at + match.start()))
        if len(texts) < MAX_TEXTS and held < MAX_HELD:
            found = [Text(m[0].decode("ascii"), "string", at + m.start()) for m in _STRING.finditer(data)]
            held += sum(len(text.value) for text in found)
            texts += found
    return list(parts.values()), texts[:MAX_TEXTS]


def _note_programs(parts: dict[int, Part], data: bytes, at: int, source: Source) -> None:
    for start in _programs(data):
        if len(parts) < MAX_FOUND and at + start not in parts:
            where = Slice(source, at + start, source.size - at - start)
            parts[at + start] = Part(name=f"program at byte {at + start}", source=where, kind="executable")


def _programs(data: bytes) -> Iterator[int]:
    for match in _ELF.finditer(data):
        order = "little" if data[match.start() + 5] == 1 else "big"
        machine = int.from_bytes(data[match.start() + 18 : match.start() + 20], order)  # type: ignore[arg-type]
        if machine not in GPU_MACHINES and len(data) - match.start() >= 64:
            yield match.start()
    for match in _MACHO.finditer(data):
        yield match.start()
    for match in _STUB.finditer(data):
        start = data.rfind(b"MZ", max(0, match.start() - STUB_WITHIN), match.start())
        if start >= 0:
            yield start
