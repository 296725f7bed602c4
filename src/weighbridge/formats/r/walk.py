"""The walk over an R object: what still has to be read lies on a pile, so that nesting costs no recursion.

Beside it the small things that items are made of: lengths, strings, names, and references to earlier names.
"""

from collections.abc import Callable

from weighbridge.core.budget import Budget
from weighbridge.core.errors import LimitError
from weighbridge.formats.framework import ContradictionError
from weighbridge.formats.r.encodings import Ascii, Input
from weighbridge.formats.r.found import Code, Here
from weighbridge.formats.r.kinds import CHARS, WIDTHS

MAX_RECORDS = 2000
MAX_NAMES = 2000
MAX_PENDING = 1_000_000
MAX_STEPS = 20_000_000
"""Items of one stream; each costs a few microseconds."""
TICK = 4096

Task = Callable[[], None]


class Walk:
    """What all steps of one reading share."""

    def __init__(self, stream: Input, budget: Budget, read_item: "Callable[[Walk, Here], None]") -> None:
        self.stream, self.budget, self._read_item = stream, budget, read_item
        self.pending: list[Task] = []
        self.refs: list[str] = []
        self.codes: list[Code] = []
        self.packages: dict[str, None] = {}
        self.altreps: dict[str, None] = {}
        self.names: list[str] = []
        self.hooks = self.steps = 0
        self.lost = 0

    def item(self, here: Here) -> None:
        """Read one item, of whichever kind it is."""
        self._read_item(self, here)

    def step(self) -> None:
        """Read the next of what lies on the pile. Raises `LimitError`."""
        self.steps += 1
        if self.steps % TICK == 0:
            self.budget.tick()
            if self.steps > MAX_STEPS:
                raise LimitError("limit-members", f"stopped after {MAX_STEPS} items of an R object")
        if len(self.pending) > MAX_PENDING:
            raise ContradictionError(
                "nesting-too-deep", f"more than {MAX_PENDING} items wait for others", self.stream.at
            )
        self.pending.pop()()

    def push(self, *tasks: Task) -> None:
        """What is to be read next, in this order."""
        self.pending += reversed(tasks)

    def width(self, kind: int) -> int:
        """The least that one item takes in the stream."""
        return 1 if isinstance(self.stream, Ascii) else WIDTHS[kind]

    def length(self, width: int) -> int:
        """The length of a vector, which must fit into what is left."""
        at, length = self.stream.at, self.stream.integer()
        if length == -1:
            high, low = self.stream.integer(), self.stream.integer()
            length = (high & 0xFFFFFFFF) * 2**32 + (low & 0xFFFFFFFF)
        if length < 0 or length * width > self.stream.left:
            message = f"a vector of {length} items, and {self.stream.left} bytes are left in the file"
            raise ContradictionError("count-overflow", message, at)
        return length

    def characters(self) -> str:
        """A string without its flags, which must fit into what is left; "" for a missing one."""
        at, length = self.stream.at, self.stream.integer()
        if length == -1:
            return ""
        if length < 0 or length > self.stream.left:
            message = f"a string of {length} bytes, and {self.stream.left} are left in the file"
            raise ContradictionError("length-overflow", message, at)
        return self.stream.chars(length)

    def string(self) -> str:
        """A string with its flags in front, where a name belongs."""
        at, flags = self.stream.at, self.stream.integer()
        if flags & 0xFF != CHARS:
            raise ContradictionError("type-invalid", "a name is no string", at)
        return self.characters()

    def referred(self, flags: int, at: int) -> str:
        """The name that stood earlier in the stream; "" where it was no name."""
        index = (flags >> 8) & 0xFFFFFF or self.stream.integer()
        if not 1 <= index <= len(self.refs):
            raise ContradictionError("index-out-of-range", f"reference {index} of {len(self.refs)}", at)
        return self.refs[index - 1]

    def name(self, name: str, here: Here) -> None:
        """Note a name of the code that it is part of: called, or only named."""
        if here.code is not None:
            self._note(here.code.called if here.head else here.code.words, name)

    def word(self, text: str, here: Here) -> None:
        """Note a string of the code that it is part of."""
        if here.code is not None and text:
            self._note(here.code.words, text)

    def _note(self, names: set[str], name: str) -> None:
        if len(names) < MAX_NAMES:
            names.add(name)
        else:
            self.lost += 1

    def code(self, kind: str, here: Here, at: int, *, natural: bool = True) -> Code:
        """Note a piece of code; what stands in the place of a function is computed then."""
        if here.head and here.code is not None:
            self._note(here.code.called, "")
        code = Code(kind=kind, offset=at, bound=here.bound, natural=natural)
        if len(self.codes) < MAX_RECORDS:
            self.codes.append(code)
        else:
            self.lost += 1
        return code
