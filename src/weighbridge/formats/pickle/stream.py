"""A window over the source that the machine reads from: everything once, long byte strings not at all."""

from weighbridge.core.budget import Budget
from weighbridge.core.source import Source

WINDOW = 256 * 1024
SLACK = 64
"""A window is renewed when fewer bytes are left, so that an opcode with a fixed argument lies in one."""
OPCODE_COST = 64
"""Bytes of memory that one opcode costs on average (measured: 40 to 110 for the dearest mixes)."""


class TruncatedError(Exception):
    """The stream ends inside an opcode's argument."""


class Stream:
    """Position, window and meter; `edge` is where the machine must call `advance` before it goes on."""

    __slots__ = (
        "base",
        "budget",
        "data",
        "drops",
        "edge",
        "frame_end",
        "index",
        "jump",
        "pos",
        "size",
        "skipped",
        "source",
        "start",
        "unended",
    )

    def __init__(self, source: Source, budget: Budget, offset: int, *, drops: bool = False) -> None:
        self.drops = drops
        self.unended = False
        self.source = source
        self.budget = budget
        self.size = source.size
        self.start = offset
        self.base = offset
        self.pos = 0
        self.data = b""
        self.edge = 0
        self.index = -1
        self.skipped = 0
        self.frame_end: int | None = None
        """Where the current frame ends, for the reader that keeps to frames."""
        self.jump: tuple[int, int] | None = None
        """(at, to): raw bytes between two frames were already taken by a hook."""

    @property
    def here(self) -> int:
        """The absolute offset of the next byte."""
        return self.base + self.pos

    def go(self, offset: int) -> None:
        """Put the window at an absolute offset; the meters are read here, where bytes are."""
        self.budget.tick()
        read = offset - self.start - self.skipped
        self.budget.need_memory(read + OPCODE_COST * self.index, "the objects of this pickle")
        self.base, self.pos = offset, 0
        self.data = self.source.read(offset, WINDOW)
        self.set_edge()

    def advance(self) -> bool:
        """Renew the window where it runs low; True when a frame was crossed in the middle of an opcode."""
        crossed = False
        if self.frame_end is not None and self.here >= self.frame_end:
            crossed = self.here > self.frame_end
            self.frame_end = None
        if self.jump is not None and self.here >= self.jump[0]:
            self.base, self.pos, self.data = self.jump[1], 0, b""
            self.jump = None
        if len(self.data) - self.pos < SLACK and self.base + len(self.data) < self.size:
            self.go(self.here)
        self.set_edge()
        return crossed

    def set_edge(self) -> None:
        """Where to stop next: the window's end, the frame's end, or a jump."""
        end = len(self.data)
        edge = end - SLACK + 1 if self.base + end < self.size else end + 1
        if self.frame_end is not None and self.frame_end - self.base < edge:
            edge = self.frame_end - self.base
        if self.jump is not None and self.jump[0] - self.base < edge:
            edge = self.jump[0] - self.base
        self.edge = edge

    def take(self, count: int) -> bytes:
        """The next `count` bytes; raises `TruncatedError` where the stream ends first."""
        if self.drops:
            self.drop(count)
        pos = self.pos
        end = pos + count
        if end <= len(self.data):
            self.pos = end
            return self.data[pos:end]
        start = self.need(count)
        self.budget.need_memory(count, "one string")
        piece = self.source.read(start, count)
        self.go(start + count)
        return piece

    def drop(self, count: int) -> None:
        """What is left of a frame is lost to a reader that must fetch more to have `count` bytes."""
        if self.frame_end is not None and self.here < self.frame_end < self.here + count:
            self.go(self.frame_end)
            self.frame_end = None
            self.set_edge()

    def need(self, count: int) -> int:
        """The absolute offset of the next `count` bytes, which must be there."""
        start = self.here
        if start + count > self.size:
            raise TruncatedError
        return start

    def skip(self, count: int) -> int:
        """Pass over `count` bytes without reading them; returns where they start."""
        start = self.need(count)
        self.skipped += count
        if self.pos + count <= len(self.data):
            self.pos += count
        else:
            self.go(start + count)
        return start

    def line(self) -> bytes:
        """A line without its newline; at the end of the stream, as pickle.py has it, without its last byte."""
        if self.drops:
            end = self.data.find(b"\n", self.pos)
            self.drop(end - self.pos + 1 if end >= 0 else self.size)
        end = self.data.find(b"\n", self.pos)
        if end < 0:
            return self._long_line()
        text = self.data[self.pos : end]
        self.pos = end + 1
        return text

    def _long_line(self) -> bytes:
        pieces = [self.data[self.pos :]]
        at = self.base + len(self.data)
        while at < self.size:
            piece = self.source.read(at, WINDOW)
            end = piece.find(b"\n")
            if end >= 0:
                self.go(at + end + 1)
                return b"".join([*pieces, piece[:end]])
            pieces.append(piece)
            at += len(piece)
            self.budget.need_memory(at - self.start, "one line")
        self.go(self.size)
        text = b"".join(pieces)
        if not text:
            raise TruncatedError
        self.unended = True
        return text[:-1]
