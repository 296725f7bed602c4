"""PickleProgram: the call graph of one load, as found by the machine."""

from collections.abc import Iterator
from dataclasses import field

from weighbridge.core.value import dataclass
from weighbridge.formats.pickle.values import Blob, Call, Change, Extension, Global, Persistent, Value, walk
from weighbridge.formats.reading import Anomaly


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """Where every loader stops with an error, or we do; what the program did before that has happened."""

    offset: int
    opcode: int
    """Its byte."""
    why: str
    code: str = "broken"
    """`broken`, `truncated`, or the limit of ours that was reached (`limit-…`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawArray:
    """Raw bytes of an array between the opcodes (joblib), and the array's description."""

    wrapper: Call
    offset: int
    size: int
    dtype: Value
    shape: tuple[int, ...]
    order: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class PickleProgram:
    """One pickle, executed over abstract values. Everything is in the order in which it would happen."""

    start: int
    end: int
    """Offset behind STOP, or of the opcode that breaks."""
    frame_end: int = 0
    """Where the last frame ends: behind `end` when the frame lies; loaders then go on at one or the other."""
    protocol: int
    """The highest protocol that a PROTO opcode names; 0 without one."""
    opcodes: int
    """How many were executed."""
    value: Value = None
    """What the load returns; None when it breaks."""
    globals: tuple[Global, ...] = ()
    """Each name once, by its first look-up: every one is an import."""
    calls: tuple[Call, ...] = ()
    changes: tuple[Change, ...] = ()
    """State set on anything that is not a plain container."""
    persistents: tuple[Persistent, ...] = ()
    extensions: tuple[Extension, ...] = ()
    """Each use; uses of one code are the same node, of its first use, since loaders look it up once."""
    buffers: int = 0
    """Out-of-band buffers that the loading program must have."""
    arrays: tuple[RawArray, ...] = ()
    nested: tuple["PickleProgram", ...] = ()
    """Pickles that stand between the opcodes of this one (joblib's object arrays)."""
    broken: Break | None = None
    anomalies: tuple[Anomaly, ...] = field(default=())
    view: str = ""
    """Which loader does this, where it is not the ordinary one: `plain pickle.load`, …"""
    memo: int = 0
    """Entries in the memo at the end."""

    @property
    def effects(self) -> bool:
        """Whether loading does anything but build plain containers and constants."""
        return bool(
            self.globals or self.calls or self.changes or self.persistents or self.extensions or self.buffers
        )

    def values(self) -> Iterator[Value]:
        """Every node of the program once, popped ones included."""
        roots = [
            self.value,
            *self.calls,
            *self.persistents,
            *(c.target for c in self.changes),
            *(c.value for c in self.changes),
        ]
        return walk(*roots)


def nested_bytes(program: PickleProgram) -> Iterator[tuple[Call, bytes | Blob]]:
    """Bytes that the program itself hands to another loader, with the call that does so."""
    for call in program.calls:
        target = call.callable
        if (
            type(target) is Global
            and target.name in NESTED_LOADERS
            and type(call.args) is tuple
            and call.args
        ):
            content = _unwrapped(call.args[0])
            if content is not None:
                yield call, content


NESTED_LOADERS = frozenset(
    f"{module}.{name}"
    for modules, names in (
        (("torch.storage",), ("_load_from_bytes",)),
        (
            ("pickle", "_pickle", "cPickle", "dill", "dill._dill", "cloudpickle", "cloudpickle.cloudpickle"),
            ("loads", "load", "_loads", "_load"),
        ),
        (
            ("torch", "torch.serialization", "joblib", "joblib.numpy_pickle", "numpy"),
            ("load", "_load", "_legacy_load"),
        ),
    )
    for module in modules
    for name in names
)
"""A fact of their interface: the first argument is bytes, or a file of bytes, in a format of this family."""


def _unwrapped(value: Value) -> bytes | Blob | None:
    """The bytes of `b"…"` or of `io.BytesIO(b"…")`."""
    if type(value) is Call and type(value.callable) is Global and value.callable.qualname == "BytesIO":
        value = value.args[0] if type(value.args) is tuple and value.args else None
    if type(value) is bytes or type(value) is Blob:
        return value
    return None
