"""Merkle trees: hashes, tiles, entry bundles, roots, proofs and their verification; bytes in, bytes out.

RFC 6962 section 2.1 and RFC 9162 section 2.1 (SHA-256), cut into tiles of 256 hashes as C2SP tlog-tiles names them.
Proofs are made from tiles that nobody has authenticated: what comes out is worth nothing until it is verified against
a root that somebody signed. Nothing is signed or fetched here.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache

from weighbridge.core.errors import InputError, UsageError
from weighbridge.core.value import dataclass

HEIGHT = 8
WIDTH = 1 << HEIGHT
"""Hashes in a full tile, and entries in a full bundle."""
HASH = 32
MAX_SIZE = 1 << 48
"""Entries that a log may have here; a larger size is a lie, and would only cost time."""
MAX_PROOF = 63
MAX_ENTRY = 65_535
EMPTY = hashlib.sha256(b"").digest()
"""The root of a log without entries."""

_DAMAGED = "log-damaged"
_sha256 = hashlib.sha256


def leaf_hash(entry: bytes) -> bytes:
    """The hash of an entry: SHA-256(0x00 || entry)."""
    return _sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256(0x01 || left || right)."""
    return _sha256(b"\x01" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """The root over these leaf hashes, or over perfect subtrees of one height. `EMPTY` over none."""
    if not hashes:
        return EMPTY
    row = list(hashes)
    while len(row) > 1:
        # An odd last one goes up as it is, which is what the recursive definition comes to.
        odd = row[-1:] if len(row) % 2 else []
        pairs = zip(row[::2], row[1::2], strict=False)
        row = [_sha256(b"\x01" + left + right).digest() for left, right in pairs] + odd
    return row[0]


# ---------------------------------------------------------------------------------------------------------- tiles


@dataclass(frozen=True, slots=True)
class Tile:
    """Where a tile stands: `width` hashes of level `level`, the `number`-th such row; 256 wide is full."""

    level: int
    number: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """`tile/0/x001/x234/067`, with `.p/112` behind it where the tile is partial."""
        return f"tile/{self.level}/{_number(self.number)}{_partial(self.width)}"

    @property
    def full(self) -> "Tile":
        """The same tile once it is full, which may stand where the partial one no longer does."""
        return Tile(self.level, self.number)


def bundle_path(number: int, width: int = WIDTH) -> str:
    """Where the entries below the level 0 tile of this number stand: `tile/entries/x001/x234/067`."""
    return f"tile/entries/{_number(number)}{_partial(width)}"


def _number(number: int) -> str:
    parts = [f"{number % 1000:03d}"]
    while number >= 1000:
        number //= 1000
        parts.append(f"x{number % 1000:03d}")
    return "/".join(reversed(parts))


def _partial(width: int) -> str:
    return "" if width == WIDTH else f".p/{width}"


def tiles_of(size: int, old: int = 0) -> Iterator[Tile]:
    """Every tile that a log of `size` entries has and one of `old` entries did not, lowest level first.

    A partial tile is named again at each size, since it stands at a path of its own.
    """
    level = 0
    while size >> (HEIGHT * level):
        now, before = size >> (HEIGHT * level), old >> (HEIGHT * level)
        for number in range(before // WIDTH, now // WIDTH):
            yield Tile(level, number)
        if now % WIDTH and now != before:
            yield Tile(level, now // WIDTH, now % WIDTH)
        level += 1


def edge_tiles(size: int) -> tuple[Tile, ...]:
    """The partial tiles of a log of this size, lowest level first: together they make its root."""
    counts = [size >> (HEIGHT * level) for level in range(_levels(size))]
    return tuple(
        Tile(level, count // WIDTH, count % WIDTH) for level, count in enumerate(counts) if count % WIDTH
    )


def _levels(size: int) -> int:
    return -(-size.bit_length() // HEIGHT)


def cut(data: bytes, tile: Tile) -> tuple[bytes, ...]:
    """The hashes of a tile's bytes. Raises `InputError` (`log-damaged`) where their number is another one."""
    if len(data) != tile.width * HASH:
        raise InputError(_DAMAGED, f'"{tile.path}" has {len(data)} bytes, not {tile.width * HASH}')
    return tuple(data[at : at + HASH] for at in range(0, len(data), HASH))


def write_bundle(entries: Iterable[bytes]) -> bytes:
    """Entries, each behind its length in two bytes. Raises `UsageError` (`log-entry`) for one that is too long."""
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY:
            raise UsageError("log-entry", f"an entry has {len(entry)} bytes, limit {MAX_ENTRY}")
        parts += (len(entry).to_bytes(2, "big"), entry)
    return b"".join(parts)


def read_bundle(data: bytes, width: int, what: str = "an entry bundle") -> tuple[bytes, ...]:
    """Exactly `width` entries and nothing behind them. Raises `InputError` (`log-damaged`)."""
    entries, at = [], 0
    for _ in range(width):
        length = int.from_bytes(data[at : at + 2], "big")
        at += 2 + length
        if at > len(data) or len(data) < 2:
            raise InputError(_DAMAGED, f"{what} ends early")
        entries.append(data[at - length : at])
    if at != len(data):
        raise InputError(_DAMAGED, f"{what} has {len(data) - at} bytes too many")
    return tuple(entries)


# ------------------------------------------------------------------------------------------------------ growing


class Edge:
    """The right edge of a growing tree: the hashes of its partial tiles, from which its root and the next tiles follow."""

    __slots__ = ("levels", "size")

    def __init__(self, size: int = 0, levels: Iterable[Sequence[bytes]] = ()) -> None:
        self.size = size
        self.levels: list[list[bytes]] = [list(level) for level in levels]
        """The hashes of the partial tile of each level; fewer than 256 each."""
        counts = [(size >> (HEIGHT * level)) % WIDTH for level in range(_levels(size))]
        if [len(level) for level in self.levels] != counts:
            raise InputError(_DAMAGED, f"these are not the partial tiles of a log of {size} entries")

    def add(self, leaf: bytes) -> tuple[tuple[Tile, bytes], ...]:
        """Append a leaf hash; returns the tiles that it filled, lowest level first."""
        return self.extend((leaf,))

    def extend(self, leaves: Sequence[bytes]) -> tuple[tuple[Tile, bytes], ...]:
        """Append leaf hashes; returns the tiles that they filled, each lowest level first."""
        filled: list[tuple[Tile, bytes]] = []
        if not self.levels:
            self.levels.append([])
        at = 0
        while at < len(leaves):
            room = leaves[at : at + WIDTH - len(self.levels[0])]
            self.levels[0] += room
            self.size += len(room)
            at += len(room)
            if not self.size % WIDTH:
                filled += self._fill()
        return tuple(filled)

    def _fill(self) -> Iterator[tuple[Tile, bytes]]:
        level = 0
        while len(self.levels[level]) == WIDTH:
            hashes = self.levels[level]
            yield Tile(level, (self.size >> (HEIGHT * (level + 1))) - 1), b"".join(hashes)
            self.levels[level] = []
            if level + 1 == len(self.levels):
                self.levels.append([])
            self.levels[level + 1].append(root_of(hashes))
            level += 1

    def partial(self) -> tuple[tuple[Tile, bytes], ...]:
        """The partial tiles, lowest level first."""
        return tuple((tile, b"".join(self.levels[tile.level])) for tile in edge_tiles(self.size))

    def root(self) -> bytes:
        """The root of the tree."""
        root = None
        for hashes in self.levels:
            root = _fold(_perfect(hashes), root)
        return EMPTY if root is None else root


def _perfect(hashes: Sequence[bytes]) -> list[bytes]:
    """The roots of the perfect subtrees that a row is made of, widest first."""
    found, at = [], 0
    for bit in reversed(range(len(hashes).bit_length())):
        if len(hashes) >> bit & 1:
            found.append(root_of(hashes[at : at + (1 << bit)]))
            at += 1 << bit
    return found


def _fold(subtrees: Sequence[bytes], right: bytes | None) -> bytes | None:
    for left in reversed(subtrees):
        right = left if right is None else node_hash(left, right)
    return right


# ------------------------------------------------------------------------------------------------ proofs from tiles

ReadTile = Callable[[Tile], bytes]
"""Gives the bytes of a tile that a log of some size has."""


class Tree:
    """A tree of `size` leaves whose hashes are read from tiles, each tile once; makes roots and proofs.

    Nothing that is read is believed: verify what this gives you.
    """

    def __init__(self, size: int, read: ReadTile, keep: int = 1024) -> None:
        self.size = size
        """Tiles are asked for as a log of this size has them."""
        self._row = lru_cache(keep)(lambda tile: cut(read(tile), tile))

    def subtree(self, start: int, stop: int) -> bytes:
        """MTH(D[start:stop]) where `start` is a multiple of the largest power of two below `stop - start`."""
        found: list[bytes] = []
        while start < stop:
            bit = (stop - start).bit_length() - 1
            found.append(self._node(bit, start >> bit))
            start += 1 << bit
        folded = _fold(found, None)
        return EMPTY if folded is None else folded

    def root(self, size: int | None = None) -> bytes:
        """The root of the whole tree, or of its first `size` leaves."""
        return self.subtree(0, self.size if size is None else size)

    def inclusion(self, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """The path from the leaf `index` to the root at `size`. Raises `UsageError` (`log-no-entry`)."""
        size = self.size if size is None else size
        if not 0 <= index < size <= self.size:
            raise UsageError("log-no-entry", f"a log of {size} entries has no entry {index}")
        path, start = [], 0
        while size - start > 1:
            middle = start + _split(size - start)
            if index < middle:
                path.append(self.subtree(middle, size))
                size = middle
            else:
                path.append(self.subtree(start, middle))
                start = middle
        return tuple(reversed(path))

    def consistency(self, old: int, size: int | None = None) -> tuple[bytes, ...]:
        """The proof that the first `old` leaves are the beginning of `size`; empty where `old` is 0 or `size`."""
        size = self.size if size is None else size
        if not 0 <= old <= size <= self.size:
            raise UsageError("log-no-entry", f"a log of {size} entries does not begin with {old}")
        if old in (0, size):
            return ()
        path, start, stop, whole = [], 0, size, True
        while old != stop:
            middle = start + _split(stop - start)
            if old <= middle:
                path.append(self.subtree(middle, stop))
                stop = middle
            else:
                path.append(self.subtree(start, middle))
                start, whole = middle, False
        return tuple(reversed(path if whole else [*path, self.subtree(start, stop)]))

    def leaf(self, index: int) -> bytes:
        """The hash of one leaf."""
        return self._node(0, index)

    def _node(self, height: int, index: int) -> bytes:
        level, inner = divmod(height, HEIGHT)
        first = index << inner
        row = self._row(self._tile(level, first // WIDTH))
        at = first % WIDTH
        return root_of(row[at : at + (1 << inner)])

    def _tile(self, level: int, number: int) -> Tile:
        return Tile(level, number, min(WIDTH, (self.size >> (HEIGHT * level)) - number * WIDTH))


def _split(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << ((count - 1).bit_length() - 1)


# ----------------------------------------------------------------------------------------------------- verification


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the leaf hash stands at `index` under `root` (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size <= MAX_SIZE or len(proof) > MAX_PROOF:
        return False
    at, last, found = index, size - 1, leaf
    for step in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = _sha256(b"\x01" + step + found).digest()
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            found = _sha256(b"\x01" + found + step).digest()
        at >>= 1
        last >>= 1
    return last == 0 and found == root


def verify_consistency(old: int, size: int, old_root: bytes, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of `old` leaves is the beginning of the one of `size` (RFC 9162 section 2.1.4.2)."""
    if not 0 <= old <= size <= MAX_SIZE or len(proof) > MAX_PROOF:
        return False
    if old == size:
        return not proof and old_root == root
    if old == 0:
        return not proof and old_root == EMPTY
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        return False
    at, last = old - 1, size - 1
    while at & 1:
        at >>= 1
        last >>= 1
    before = after = path[0]
    for step in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            before, after = node_hash(step, before), node_hash(step, after)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            after = node_hash(after, step)
        at >>= 1
        last >>= 1
    return last == 0 and before == old_root and after == root
