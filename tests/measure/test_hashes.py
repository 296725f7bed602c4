"""Feeds: the size of the pieces never changes a digest."""

import hashlib

from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.measure.hashes import Shards, Tensors, Whole, in_order

DATA = bytes(range(256)) * 2


def fed(feed: Whole | Shards | Tensors, cuts: list[int]) -> None:
    """The data in pieces that end at the cuts."""
    at = 0
    for end in [*sorted(cuts), len(DATA)]:
        feed.feed(memoryview(DATA)[at:end], at)
        at = end


cuts = st.lists(st.integers(0, len(DATA)), max_size=8)


@settings(max_examples=60, deadline=None)
@given(cuts, st.sampled_from(["sha256", "blake3", "blake2b"]))
def test_whole(at: list[int], algorithm: str) -> None:
    whole = Whole(algorithm)
    fed(whole, at)
    new = {"sha256": hashlib.sha256, "blake3": blake3, "blake2b": hashlib.blake2b}[algorithm]
    assert whole.digest() == new(DATA).digest()


@settings(max_examples=60, deadline=None)
@given(cuts, st.integers(1, 600))
def test_shards(at: list[int], size: int) -> None:
    shards = Shards("sha256", size)
    fed(shards, at)
    assert shards.ended(len(DATA)) == [
        (start, min(start + size, len(DATA)), hashlib.sha256(DATA[start : start + size]).digest())
        for start in range(0, len(DATA), size)
    ]


ascending = st.lists(st.integers(0, len(DATA)), max_size=8).map(
    lambda points: tuple((a, b - a) for a, b in zip(sorted(points)[::2], sorted(points)[1::2], strict=False))
)


@settings(max_examples=100, deadline=None)
@given(cuts, st.lists(ascending, max_size=6))
def test_tensors(at: list[int], lists: list[tuple[tuple[int, int], ...]]) -> None:
    assert all(in_order(spans) for spans in lists)
    tensors = Tensors(lists)
    fed(tensors, at)
    assert tensors.digests == [
        blake3(b"".join(DATA[o : o + n] for o, n in spans)).digest() for spans in lists
    ]
    assert tensors.complete


def test_tensors_that_were_not_fed_to_their_end_are_incomplete() -> None:
    tensors = Tensors([((0, 10),)])
    tensors.feed(memoryview(DATA)[:9], 0)
    assert not tensors.complete


def test_order() -> None:
    assert in_order(((0, 5), (5, 1)))
    assert in_order(((3, 0), (0, 5)))
    assert not in_order(((0, 5), (4, 1)))
    assert not in_order(((5, 1), (0, 5)))
    assert not in_order(((5, 1),), start=6)
