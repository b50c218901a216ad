"""Tiles of a Merkle tree and bundles of entries, as C2SP tlog-tiles lays them out. Pure.

In: positions, hashes, entries, bytes of files. Out: paths, bytes, hashes of subtrees. Must not: read a file
itself, or accept a tile or bundle whose length is not that of its width.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Final

from common.errors import RemoteError
from crypto.merkle import HASH_SIZE, root_of

HEIGHT: Final = 8  # levels of the tree in a tile
WIDTH: Final = 1 << HEIGHT  # hashes in a full tile, entries in a full bundle
MAX_LEVEL: Final = 63 // HEIGHT
ENTRIES: Final = "entries"

_KINDS: Final = frozenset({ENTRIES, *(str(level) for level in range(MAX_LEVEL + 1))})

# Gives the hashes of a tile: level, index, width.
ReadTile = Callable[[int, int, int], Sequence[bytes]]


class TileError(RemoteError):
    """A tile or bundle is not what its place in the tree asks for."""

    def __init__(self, message: str) -> None:
        """`message` says what is wrong with it."""
        super().__init__("tile_malformed", message)


def tile_path(level: int, index: int, width: int = WIDTH) -> str:
    """Path of a tile of hashes."""
    return _path(str(level), index, width)


def bundle_path(index: int, width: int = WIDTH) -> str:
    """Path of a bundle of entries."""
    return _path(ENTRIES, index, width)


def parse_path(path: str) -> tuple[str, int, int]:
    """Level (a number or `entries`), index and width of a path. Raises TileError."""
    kind, _, rest = path.removeprefix("tile/").partition("/")
    number, separator, width_text = rest.partition(".p/")
    digits = number.split("/")
    if not all(len(d.removeprefix("x")) == 3 and d.removeprefix("x").isdecimal() for d in digits):
        raise TileError("no path of a tile")
    index = int("".join(d.removeprefix("x") for d in digits))
    width = int(width_text) if width_text.isdecimal() else 0 if separator else WIDTH
    if kind not in _KINDS or not 0 < width <= WIDTH or _path(kind, index, width) != path:
        raise TileError("no path of a tile")
    return kind, index, width


def edge_width(level: int, size: int) -> int:
    """Width of the partial tile at the right edge of a level; 0 if there is none."""
    return (size >> (HEIGHT * level)) % WIDTH


def width_at(level: int, index: int, size: int) -> int:
    """Width of a tile in a tree of `size` leaves; 0 if the tree does not reach it."""
    return max(0, min(WIDTH, (size >> (HEIGHT * level)) - index * WIDTH))


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Entries, each after its length in two bytes."""
    return b"".join(struct.pack("!H", len(entry)) + entry for entry in entries)


def decode_bundle(data: bytes, width: int) -> list[bytes]:
    """The `width` entries of a bundle. Raises TileError."""
    entries: list[bytes] = []
    position = 0
    while position < len(data):
        if len(data) - position < 2:
            raise TileError(f"the bundle ends inside of entry {len(entries)}")
        length = int.from_bytes(data[position : position + 2], "big")
        entry = data[position + 2 : position + 2 + length]
        if len(entry) < length:
            raise TileError(f"the bundle ends inside of entry {len(entries)}")
        entries.append(entry)
        position += 2 + length
    if len(entries) != width:
        raise TileError(f"the bundle has {len(entries)} entries instead of {width}")
    return entries


def decode_tile(data: bytes, width: int) -> list[bytes]:
    """The `width` hashes of a tile. Raises TileError."""
    if len(data) != width * HASH_SIZE:
        raise TileError(f"the tile has {len(data)} bytes instead of {width * HASH_SIZE}")
    return [data[i : i + HASH_SIZE] for i in range(0, len(data), HASH_SIZE)]


class TileTree:
    """Hashes of complete subtrees in a tree of `size` leaves, from its tiles."""

    def __init__(self, size: int, read: ReadTile) -> None:
        """`read` is asked for tiles of the width that they have in this tree; it may raise."""
        self.size = size
        self._read = read

    def subtree(self, level: int, index: int) -> bytes:
        """What `crypto.merkle` asks for."""
        row, inside = divmod(level, HEIGHT)
        first = index << inside
        tile, offset = divmod(first, WIDTH)
        hashes = self._read(row, tile, width_at(row, tile, self.size))
        return root_of(hashes[offset : offset + (1 << inside)])


def peaks_of(edges: Sequence[Sequence[bytes]]) -> list[bytes]:
    """Peaks of the tree whose partial tiles hold `edges` (lowest level first), largest first."""
    peaks: list[bytes] = []
    for hashes in reversed(edges):
        position = 0
        for bit in reversed(range(HEIGHT)):
            if len(hashes) & (1 << bit):
                peaks.append(root_of(hashes[position : position + (1 << bit)]))
                position += 1 << bit
    return peaks


def _path(kind: str, index: int, width: int) -> str:
    digits = f"{index:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    number = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    return f"tile/{kind}/{number}" + (f".p/{width}" if width < WIDTH else "")
