"""Large tensors out of order: the same items as the plain way gives, and memory of one block."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.core.errors import LimitError
from weighbridge.core.source import MemorySource
from weighbridge.formats.reading import TensorRef
from weighbridge.measure import reorder, tensors


def ref(shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int, offset: int = 0) -> TensorRef:
    extent = 1 + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    return TensorRef(
        name="w", dtype="F32", shape=shape, spans=((offset, extent * itemsize),), itemsize=itemsize, strides=strides
    )  # fmt: skip


VIEWS = st.integers(0, 4).flatmap(
    lambda n: st.tuples(
        st.tuples(*[st.integers(1, 6)] * n), st.tuples(*[st.sampled_from([0, 1, 2, 6, 36, 216])] * n), st.sampled_from([1, 2, 4, 8, 16])
    )
)  # fmt: skip


@given(VIEWS, st.integers(1, 300), st.integers(1, 64), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=150)
def test_the_items_are_those_of_the_plain_way(view, block, close, dice) -> None:
    shape, strides, itemsize = view
    found = ref(shape, strides, itemsize, offset=5)
    data = dice.randbytes(5 + found.spans[0][1])
    before = reorder.BLOCK, reorder.CLOSE
    reorder.BLOCK, reorder.CLOSE = block, close
    try:
        ours = b"".join(reorder.reordered(found, MemorySource(data)))
    finally:
        reorder.BLOCK, reorder.CLOSE = before
    plain = b"".join(tensors._gathered(memoryview(data)[5:], found))
    assert ours == plain


def test_a_large_transposed_tensor_is_read_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "REGION", 1000)
    monkeypatch.setattr(reorder, "BLOCK", 2000)
    monkeypatch.setattr(reorder, "CLOSE", 64)
    data = b"".join(n.to_bytes(4, "little") for n in range(5000))
    sizes: list[int] = []

    class Source(MemorySource):
        def read(self, offset: int, length: int) -> bytes:
            sizes.append(length)
            return super().read(offset, length)

    pieces = list(tensors.content(ref((100, 50), (1, 100), 4), Source(data)))
    expected = [row + 100 * column for row in range(100) for column in range(50)]
    assert b"".join(pieces) == b"".join(n.to_bytes(4, "little") for n in expected)
    assert max(map(len, pieces)) <= 2000
    assert max(sizes) <= 4000
    assert math.ceil(len(data) / 2000) <= len(pieces) <= 2 * math.ceil(len(data) / 2000)


def test_an_unpacked_member_is_not_read_over_and_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "REGION", 1000)
    found = ref((100, 50), (1, 100), 4)._replace(source=MemorySource(bytes(20_000)))
    with pytest.raises(LimitError) as caught:
        list(tensors.content(found, found.source))
    assert caught.value.code == "limit-memory"
