"""Mirror: keeps a copy of a log, and shows of it only what is proved.

The new head must be trusted and contain the old one; every tile is authenticated from the root downwards, every bundle by
its tile, before it is written; the checkpoint, as its log signed it, comes last. Who serves a mirror's files needs no
trust of anybody.
"""

from collections.abc import Iterator

from weighbridge.core.errors import BrokenError, InputError
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.tlog.checkpoint import Checkpoint, read_checkpoint
from weighbridge.tlog.client import Fetch, fetch_bundle, fetch_tile, proves_growth
from weighbridge.tlog.merkle import (
    EMPTY,
    HEIGHT,
    WIDTH,
    Edge,
    Tile,
    Tree,
    bundle_path,
    cut,
    edge_tiles,
    leaf_hash,
    root_of,
    tiles_of,
    write_bundle,
)
from weighbridge.tlog.note import read_note
from weighbridge.tlog.policy import LogPolicy, Trusted, trust_checkpoint
from weighbridge.tlog.targets import CHECKPOINT, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrored:
    """What a copy has become."""

    trusted: Trusted
    before: int
    """Entries of the copy before."""
    files: int
    """Tiles and bundles that were written."""


def mirror(fetch: Fetch, target: Target, policy: LogPolicy, now: int | None = None) -> Mirrored:
    """Bring the copy in `target` up to the log's head.

    Raises `InputError`: `log-rollback`, `log-fork`, `log-damaged`, what `trust_checkpoint` raises; `UnavailableError`
    (`log-missing`, `network`); `BrokenError` (`busy`, `disk`, `network`).
    """
    note, before = fetch(CHECKPOINT), target.read(CHECKPOINT)
    trusted = trust_checkpoint(policy, note, now)
    head = trusted.checkpoint
    old = read_checkpoint(read_note(before).text) if before is not None else None
    source = _Authenticated(fetch, head)
    if old is not None:
        _refuse_contradiction(old, head, source)
    size = old.size if old else 0
    files = target.put(source.files(size))
    if before != note and not target.swap(before, note):
        raise BrokenError("busy", "another process wrote this mirror at the same time", "mirror again")
    return Mirrored(trusted=trusted, before=size, files=files)


def _refuse_contradiction(old: Checkpoint, head: Checkpoint, source: "_Authenticated") -> None:
    if old.origin != head.origin:
        raise InputError(
            "log-fork", f'the mirror is of "{visible(old.origin)}", not of "{visible(head.origin)}"'
        )
    if head.size < old.size:
        raise InputError("log-rollback", f"the log had {old.size} entries and now shows {head.size}")
    if not proves_growth(Tree(head.size, source.tile), old.size, old.root, head.root):
        raise InputError("log-fork", f"the log's first {old.size} entries are not those of the mirror")


class _Authenticated:
    """A log's tiles, each proved from the root before it is given out. Raises `InputError` (`log-damaged`)."""

    def __init__(self, fetch: Fetch, head: Checkpoint) -> None:
        self._fetch, self._head = fetch, head
        self._above: dict[Tile, bytes] = {}
        """Proved tiles above the leaves: one hash of 256 of the log."""
        rows = {tile.level: fetch_tile(fetch, tile) for tile in edge_tiles(head.size)}
        tiles = {tile.level: tile for tile in edge_tiles(head.size)}
        levels = -(-head.size.bit_length() // HEIGHT)
        edge = Edge(head.size, [cut(rows[n], tiles[n]) if n in rows else () for n in range(levels)])
        if (edge.root() if head.size else EMPTY) != head.root:
            raise InputError("log-damaged", "the log's last tiles do not give its root")
        self._edge = {tiles[level]: row for level, row in rows.items()}

    def tile(self, tile: Tile) -> bytes:
        """The tile's bytes, proved."""
        known = self._edge.get(tile) or self._above.get(tile)
        if known is not None:
            return known
        data = fetch_tile(self._fetch, tile)
        number, at = divmod(tile.number, WIDTH)
        count = (self._head.size >> (HEIGHT * (tile.level + 1))) - number * WIDTH
        above = self.tile(Tile(tile.level + 1, number, min(WIDTH, count)))
        if root_of(cut(data, tile)) != above[at * 32 : at * 32 + 32]:
            raise InputError("log-damaged", f'"{tile.path}" is not what the log\'s root says')
        if tile.level:
            self._above[tile] = data
        return data

    def files(self, old: int) -> Iterator[tuple[str, bytes]]:
        """Every file that a log of the head's size has and one of `old` entries has not."""
        for tile in tiles_of(self._head.size, old):
            hashes = self.tile(tile)
            if tile.level == 0:
                entries = fetch_bundle(self._fetch, tile.number, tile.width)
                if b"".join(map(leaf_hash, entries)) != hashes:
                    path = bundle_path(tile.number, tile.width)
                    raise InputError("log-damaged", f'"{path}" is not what its tile says')
                yield bundle_path(tile.number, tile.width), write_bundle(entries)
            yield tile.path, hashes
