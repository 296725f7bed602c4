"""Hashes, tiles and proofs against the definitions of RFC 6962, written out, and against its published vectors."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from weighbridge.core.errors import InputError, UsageError
from weighbridge.tlog.merkle import (
    EMPTY,
    Edge,
    Tile,
    Tree,
    bundle_path,
    cut,
    leaf_hash,
    read_bundle,
    root_of,
    tiles_of,
    verify_consistency,
    verify_inclusion,
    write_bundle,
)

from .logs import rfc_path, rfc_proof, rfc_root

SIZES = (*range(1, 40), 255, 256, 257, 511, 512, 70_000)
# The inputs and roots of the reference implementation of RFC 6962 (certificate-transparency, merkletree tests).
VECTOR = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")]  # fmt: skip
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def leaves(size: int) -> list[bytes]:
    return [b"entry %d" % number for number in range(size)]


def grown(data: list[bytes]) -> tuple[Edge, dict[Tile, bytes]]:
    edge, tiles = Edge(), {}
    for one in data:
        tiles.update(edge.add(leaf_hash(one)))
    tiles.update(edge.partial())
    return edge, tiles


def test_the_published_vectors() -> None:
    assert EMPTY.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert Edge().root() == EMPTY == root_of([])
    edge = Edge()
    for data, root in zip(VECTOR, ROOTS, strict=True):
        edge.add(leaf_hash(data))
        assert edge.root().hex() == root


@pytest.mark.parametrize("size", SIZES)
def test_roots_and_tiles_are_those_of_the_definition(size: int) -> None:
    data = leaves(size)
    edge, tiles = grown(data)
    tree = Tree(size, tiles.__getitem__)
    assert edge.root() == rfc_root(data) == tree.root()
    assert set(tiles) == set(tiles_of(size))
    for tile, hashes in tiles.items():
        assert len(hashes) == tile.width * 32
        span = 256**tile.level
        first = tile.number * 256 * span
        assert cut(hashes, tile)[0] == rfc_root(data[first : first + span])


def test_seventy_thousand_entries_have_the_tiles_of_the_specification() -> None:
    found = list(tiles_of(70_000))
    assert [sum(tile.level == level for tile in found) for level in range(3)] == [274, 2, 1]
    assert [tile for tile in found if tile.width < 256] == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert list(tiles_of(256)) == [Tile(0, 0), Tile(1, 0, 1)]
    assert list(tiles_of(300, 256)) == [Tile(0, 1, 44)]
    assert list(tiles_of(0)) == []


def test_paths_are_those_of_the_specification() -> None:
    assert Tile(0, 1234067).path == "tile/0/x001/x234/067"
    assert Tile(1, 17, 112).path == "tile/1/017.p/112"
    assert bundle_path(1000, 1) == "tile/entries/x001/000.p/1"


@given(some.integers(1, 700), some.data())
@settings(max_examples=60, deadline=None)
def test_inclusion_proofs_are_those_of_the_definition(size: int, data: some.DataObject) -> None:
    """PATH(m, D[n]) verifies for its leaf, index, size and root, and for nothing else."""
    index = data.draw(some.integers(0, size - 1))
    every = leaves(size)
    edge, tiles = grown(every)
    proof = Tree(size, tiles.__getitem__).inclusion(index)
    leaf, root = leaf_hash(every[index]), edge.root()
    assert list(proof) == rfc_path(index, every)
    assert verify_inclusion(index, size, leaf, proof, root)
    assert not verify_inclusion(index, size, leaf_hash(b"another"), proof, root)
    assert not verify_inclusion(index, size, leaf, (*proof, root), root)
    assert not verify_inclusion(size, size, leaf, proof, root)
    assert not verify_inclusion(-1, size, leaf, proof, root)
    other = data.draw(some.integers(0, size - 1))
    assert verify_inclusion(other, size, leaf, proof, root) is (other == index)
    if proof:
        at = data.draw(some.integers(0, len(proof) - 1))
        bent = bytes([proof[at][0] ^ 1]) + proof[at][1:]
        assert not verify_inclusion(index, size, leaf, (*proof[:at], bent, *proof[at + 1 :]), root)
        assert not verify_inclusion(index, size, leaf, proof[:-1], root)


@given(some.integers(1, 700), some.data())
@settings(max_examples=60, deadline=None)
def test_consistency_proofs_are_those_of_the_definition(size: int, data: some.DataObject) -> None:
    """PROOF(m, D[n]) verifies for the two roots, and for no other."""
    old = data.draw(some.integers(1, size))
    every = leaves(size)
    edge, tiles = grown(every)
    root, before = edge.root(), rfc_root(every[:old])
    tree = Tree(size, tiles.__getitem__)
    proof = tree.consistency(old)
    assert list(proof) == rfc_proof(old, every)
    assert tree.root(old) == before
    assert verify_consistency(old, size, before, root, proof)
    assert not verify_consistency(old, size, rfc_root([*every[: old - 1], b"forged"]), root, proof)
    assert not verify_consistency(old, size, before, leaf_hash(b"x"), proof)
    assert not verify_consistency(old, size, before, root, (*proof, root))
    if proof:
        assert not verify_consistency(old, size, before, root, proof[:-1])


def test_everything_continues_the_empty_log_without_a_proof() -> None:
    root = rfc_root(leaves(5))
    assert verify_consistency(0, 5, EMPTY, root, ())
    assert not verify_consistency(0, 5, EMPTY, root, (root,))
    assert not verify_consistency(0, 5, root, root, ())
    assert not verify_consistency(5, 4, root, root, ())


def test_an_entry_that_is_not_there_has_no_proof() -> None:
    _, tiles = grown(leaves(5))
    tree = Tree(5, tiles.__getitem__)
    for act in (lambda: tree.inclusion(5), lambda: tree.inclusion(-1), lambda: tree.consistency(6)):
        with pytest.raises(UsageError) as caught:
            act()
        assert caught.value.code == "log-no-entry"


def test_a_proof_from_a_million_entries_reads_few_tiles() -> None:
    """At most one tile a level for the leaf, and one for the right edge."""
    read: list[Tile] = []
    tree = Tree(1_000_000, lambda tile: read.append(tile) or bytes(tile.width * 32))
    assert len(tree.inclusion(123_456)) == 20
    assert len(read) == 5
    read.clear()
    tree = Tree(1 << 20, lambda tile: read.append(tile) or bytes(tile.width * 32))
    assert len(tree.inclusion(123_456)) == 20
    assert len(read) == 3


@given(some.lists(some.binary(max_size=300), max_size=20))
@settings(max_examples=50, deadline=None)
def test_bundles_come_back(data: list[bytes]) -> None:
    assert read_bundle(write_bundle(data), len(data)) == tuple(data)


@given(some.binary(max_size=200), some.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_a_bundle_is_read_whole_or_refused(data: bytes, width: int) -> None:
    try:
        found = read_bundle(data, width)
    except InputError as error:
        assert error.code == "log-damaged"  # noqa: PT017 - either outcome is right
    else:
        assert write_bundle(found) == data


def test_an_entry_too_long_for_a_bundle_is_refused() -> None:
    assert len(write_bundle([bytes(65_535)])) == 65_537
    with pytest.raises(UsageError) as caught:
        write_bundle([bytes(65_536)])
    assert caught.value.code == "log-entry"


def test_tiles_of_another_width_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        cut(bytes(31), Tile(0, 0, 1))
    assert caught.value.code == "log-damaged"
    with pytest.raises(InputError):
        Edge(3, [[EMPTY]])
