"""Tiles: paths and widths of the specification, hashes of any subtree, malformed files refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.merkle import Frontier, consistency_proof, inclusion_proof, leaf_hash, root_of
from crypto.tiles import (
    WIDTH,
    TileError,
    TileTree,
    bundle_path,
    decode_bundle,
    decode_tile,
    edge_width,
    encode_bundle,
    parse_path,
    peaks_of,
    tile_path,
    width_at,
)

LEAVES = [leaf_hash(number.to_bytes(3, "big")) for number in range(70_000)]
ROWS = [LEAVES]
while len(ROWS[-1]) >= WIDTH:
    below = ROWS[-1]
    ROWS.append([root_of(below[i : i + WIDTH]) for i in range(0, len(below) - WIDTH + 1, WIDTH)])


def read(level: int, index: int, width: int) -> list[bytes]:
    assert 0 < width <= WIDTH
    return ROWS[level][index * WIDTH :][:width]


def test_paths_are_those_of_the_specification() -> None:
    assert tile_path(0, 1_234_067) == "tile/0/x001/x234/067"
    assert tile_path(1, 0, 17) == "tile/1/000.p/17"
    assert bundle_path(5) == "tile/entries/005"
    assert bundle_path(999_999, 255) == "tile/entries/x999/999.p/255"
    assert tile_path(2, 1000) == "tile/2/x001/000"


@given(st.sampled_from(["entries", "0", "1", "7"]), st.integers(0, 10**12), st.integers(1, WIDTH))
def test_paths_are_read_as_written(kind: str, index: int, width: int) -> None:
    path = bundle_path(index, width) if kind == "entries" else tile_path(int(kind), index, width)
    assert parse_path(path) == (kind, index, width)


@pytest.mark.parametrize(
    "path",
    ["", "tile/", "tile/0", "tile/0/", "tile/0/1", "tile/0/0001", "tile/8/000", "tile/00/000", "tile/0/000.p/0",
     "tile/0/000.p/256", "tile/0/000.p/", "tile/0/000.p/01", "tile/0/000.p/x", "tile/0/x000/001", "tile/0/001/002",
     "tile/0/../000", "tile/0/x001/x002", "tile/entries/\u0661\u0661\u0661", "checkpoint", "0/000"],
)  # fmt: skip
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(TileError):
        parse_path(path)


def test_widths_are_those_of_the_specification() -> None:
    assert [edge_width(level, 70_000) for level in range(3)] == [112, 17, 1]
    assert [edge_width(level, 256) for level in range(2)] == [0, 1]
    assert [width_at(0, index, 300) for index in range(3)] == [256, 44, 0]


@pytest.mark.parametrize("size", [1, 255, 256, 257, 65_535, 65_536, 65_537, 70_000])
def test_a_frontier_follows_from_the_edges(size: int) -> None:
    edges = [row[: size >> (8 * level)][-edge_width(level, size) or len(row) :]
             for level, row in enumerate(ROWS)]  # fmt: skip

    node = Frontier(size, peaks_of(edges)).root()
    assert node == root_of(LEAVES[:size])


@given(st.integers(1, 70_000), st.data())
@settings(max_examples=30)
def test_proofs_from_tiles_are_those_from_leaves(size: int, data: st.DataObject) -> None:
    def naive(level: int, index: int) -> bytes:
        return root_of(LEAVES[index << level : (index + 1) << level])

    tree = TileTree(size, read)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    assert inclusion_proof(index, size, tree.subtree) == inclusion_proof(index, size, naive)
    assert consistency_proof(old, size, tree.subtree) == consistency_proof(old, size, naive)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=20))
def test_bundles_are_read_as_written(entries: list[bytes]) -> None:
    data = encode_bundle(entries)
    assert decode_bundle(data, len(entries)) == entries
    for width in (len(entries) - 1, len(entries) + 1):
        with pytest.raises(TileError):
            decode_bundle(data, width)
    for length in range(len(data)):
        with pytest.raises(TileError):
            decode_bundle(data[:length], len(entries))


@given(st.binary(max_size=64), st.integers(1, 4))
def test_any_bytes_are_a_bundle_or_refused(data: bytes, width: int) -> None:
    try:
        entries = decode_bundle(data, width)
    except TileError:
        return
    assert encode_bundle(entries) == data


def test_tiles_have_the_length_of_their_width() -> None:
    assert decode_tile(b"a" * 32 + b"b" * 32, 2) == [b"a" * 32, b"b" * 32]
    for length in (0, 31, 33, 96):
        with pytest.raises(TileError):
            decode_tile(b"a" * length, 2)
