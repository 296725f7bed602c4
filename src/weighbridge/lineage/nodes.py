"""What a node is called, and the questions about nodes that every other question needs."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from weighbridge.core.database import Row, Transaction
from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.text import visible
from weighbridge.lineage.edge import NAMES

FEW = 500
"""Values in one question: databases bound them."""
MAX_KEY = 600
"""Characters of a node's key."""
_USUAL = len("sha256:") + 64
_DIGEST = late(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}:(?:[0-9a-f]{2}){16,64}\Z")


def check_key(key: str) -> str:
    """The key itself. Raises `InputError` (`bad-node`) where it names nothing."""
    if len(key) == _USUAL and key.startswith("sha256:") and not key[7:].strip("0123456789abcdef"):
        return key  # most of a million: as the pattern says, in a third of its time
    if key.startswith(NAMES):
        if len(key.partition(":")[2]) > 0 and len(key) <= MAX_KEY and key.isprintable():
            return key
    elif _DIGEST.match(key):
        return key
    raise InputError("bad-node", f'"{visible(key, 80)}" is neither a digest nor a name such as hf:org/name')


def in_parts(
    transaction: Transaction, sql: str, values: Sequence[Any], first: Sequence[Any] = ()
) -> Iterator[Row]:
    """The rows of a question with `IN ({})`, asked as often as the number of values needs."""
    for at in range(0, len(values), FEW):
        part = values[at : at + FEW]
        yield from transaction.rows(sql.format(",".join("?" * len(part))), (*first, *part))


def roots_of(transaction: Transaction, ids: Sequence[int]) -> dict[int, int]:
    """The number under which each goes."""
    found: dict[int, int] = dict(
        in_parts(transaction, "SELECT id, root FROM lineage_alias WHERE id IN ({})", list(set(ids)))
    )
    return {one: found.get(one, one) for one in ids}


def members_of(transaction: Transaction, roots: Iterable[int]) -> dict[int, int]:
    """Every number that goes under one of these → that one."""
    wanted = list(dict.fromkeys(roots))
    found: dict[int, int] = dict(
        in_parts(transaction, "SELECT id, root FROM lineage_alias WHERE root IN ({})", wanted)
    )
    return {**{root: root for root in wanted}, **found}
