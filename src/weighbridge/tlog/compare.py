"""Compare: two copies of one log, entry by entry: where they part, and whether entries were moved, taken out or put in.

A fork shows in two roots already (`audit`, `client`). This says what it consists of, for whoever has both copies: a mirror,
a stick of last year, what another witness was shown. Neither copy is believed; both are read as they are.
"""

from collections.abc import Iterator

from weighbridge.tlog.audit import Discrepancy
from weighbridge.tlog.checkpoint import read_checkpoint
from weighbridge.tlog.client import Fetch, fetch_bundle
from weighbridge.tlog.merkle import WIDTH, leaf_hash
from weighbridge.tlog.note import read_note
from weighbridge.tlog.targets import CHECKPOINT


def compare(one: Fetch, other: Fetch) -> tuple[Discrepancy, ...]:
    """How the first copy differs from the second in what both should have; empty where one begins the other.

    Raises what reading raises, and `InputError` (`bad-note`, `bad-checkpoint`).
    """
    sizes = _size(one), _size(other)
    leaves = [_leaves(fetch, size, min(sizes)) for fetch, size in zip((one, other), sizes, strict=True)]
    differing = [
        (at, mine, theirs) for at, (mine, theirs) in enumerate(zip(*leaves, strict=True)) if mine != theirs
    ]
    if not differing:
        return ()
    first = differing[0][0]
    mine, theirs = {leaf for _, leaf, _ in differing}, {leaf for _, _, leaf in differing}
    where = f"entry {first}"
    if mine == theirs:
        found = Discrepancy(
            code="log-reordered", where=where, message="the same entries stand in another order"
        )
    else:
        message = f"{len(theirs - mine)} entries of the other copy are not here, and {len(mine - theirs)} stand in their place"
        found = Discrepancy(code="log-fork", where=where, message=message)
    return (found,)


def _size(fetch: Fetch) -> int:
    return read_checkpoint(read_note(fetch(CHECKPOINT)).text).size


def _leaves(fetch: Fetch, size: int, stop: int) -> Iterator[bytes]:
    """The leaf hashes of the first `stop` entries of a log that has `size`."""
    for first in range(0, stop, WIDTH):
        bundle = fetch_bundle(fetch, first // WIDTH, min(WIDTH, size - first))
        yield from map(leaf_hash, bundle[: stop - first])
