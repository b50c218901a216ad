"""The Merkle tree on disk: full tiles and bundles durably, partial ones for readers.

In: entries in order. Out: files as C2SP tlog-tiles lays them out, the root, hashes of subtrees. Must not: change a
full tile. Partial tiles need not survive a crash: the journal holds their entries, and a start writes them again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from compliance.files import Files, folder_of, write_file
from crypto.merkle import Frontier, leaf_hash, root_of
from crypto.tiles import (
    HEIGHT,
    WIDTH,
    TileTree,
    bundle_path,
    decode_bundle,
    decode_tile,
    encode_bundle,
    peaks_of,
    tile_path,
)

MAX_CACHED: Final = 256  # tiles for proofs, 8 KiB each


class Tree:
    """The growing tree. One thread at a time."""

    def __init__(self, files: Files, size: int, edges: list[list[bytes]]) -> None:
        """A tree of `size` leaves, a multiple of 256, with its partial tiles; `open_tree` finds them."""
        self._files = files
        self._edges = edges
        self._frontier = Frontier(size, peaks_of(edges))
        self._bundle: list[bytes] = []
        self._full: dict[str, bytes] = {}  # files to be written durably, by path
        self._written: dict[str, int] = {}  # widths of the partial files on disk, by full path
        self._cache: OrderedDict[tuple[int, int], list[bytes]] = OrderedDict()

    @property
    def size(self) -> int:
        """Leaves appended."""
        return self._frontier.size

    def root(self) -> bytes:
        """The root over all leaves appended."""
        return self._frontier.root()

    def append(self, entries: Sequence[bytes]) -> None:
        """Adds entries, in memory."""
        for entry in entries:
            self._bundle.append(entry)
            for level, _, node in self._frontier.append(leaf_hash(entry)):
                if level % HEIGHT == 0:
                    self._add(level // HEIGHT, node)
            if len(self._bundle) == WIDTH:
                path = bundle_path(self.size // WIDTH - 1)
                self._full[path] = encode_bundle(self._bundle)
                self._bundle = []

    def flush(self) -> None:
        """Writes everything; full tiles are durable when it returns. Raises OSError; then call it again."""
        folders = set()
        for path, data in self._full.items():
            self._files.make_folder(folder_of(path))
            write_file(self._files, path, data, durable=True)
            folders.add(folder_of(path))
        for folder in sorted(folders):
            self._files.sync_folder(folder)
        for path in self._full:
            self._remove_partial(path)
        self._full = {}
        self._write_partial()

    def subtree(self, level: int, index: int) -> bytes:
        """Hash of a complete subtree. Raises OSError, TileError."""
        return TileTree(self.size, self._read).subtree(level, index)

    def entry(self, index: int) -> bytes:
        """An entry. Raises OSError, TileError, IndexError."""
        bundle, offset = divmod(index, WIDTH)
        if bundle == self.size // WIDTH:
            return self._bundle[offset]
        return decode_bundle(self._load(bundle_path(bundle)), WIDTH)[offset]

    def _add(self, row: int, node: bytes) -> None:
        if row == len(self._edges):
            self._edges.append([])
        edge = self._edges[row]
        edge.append(node)
        if len(edge) == WIDTH:
            index = (self.size >> (HEIGHT * (row + 1))) - 1
            self._full[tile_path(row, index)] = b"".join(edge)
            self._edges[row] = []

    def _write_partial(self) -> None:
        parts: list[tuple[str, list[bytes], Callable[[Sequence[bytes]], bytes]]] = [
            (bundle_path(self.size // WIDTH), self._bundle, encode_bundle)
        ]
        for row, edge in enumerate(self._edges):
            parts.append((tile_path(row, self.size >> (HEIGHT * (row + 1))), edge, b"".join))
        for path, items, encode in parts:
            if items and self._written.get(path) != len(items):
                self._files.make_folder(f"{path}.p")
                write_file(self._files, f"{path}.p/{len(items)}", encode(items), durable=False)
                self._written[path] = len(items)

    def _remove_partial(self, path: str) -> None:
        self._written.pop(path, None)
        names = self._files.list(f"{path}.p")
        for name in names:
            self._files.remove(f"{path}.p/{name}")
        if names:
            self._files.remove(f"{path}.p")

    def _read(self, row: int, index: int, width: int) -> Sequence[bytes]:
        if index == self.size >> (HEIGHT * (row + 1)):
            return self._edges[row][:width]
        cached = self._cache.get((row, index))
        if cached is None:
            cached = decode_tile(self._load(tile_path(row, index)), WIDTH)
            self._cache[row, index] = cached
        self._cache.move_to_end((row, index))
        if len(self._cache) > MAX_CACHED:
            self._cache.popitem(last=False)
        return cached

    def _load(self, path: str) -> bytes:
        return self._full.get(path) or self._files.read(path)


def open_tree(files: Files, size: int) -> Tree:
    """The tree whose full tiles hold `size` leaves, a multiple of 256; only its right edge is read.

    Raises TileError, OSError. That the edge is what was signed shows in the root.
    """
    files.make_folder("tile")
    edges: list[list[bytes]] = [[]]
    count = size // WIDTH  # full tiles of the row below
    row = 0
    while count:
        first = count - count % WIDTH
        edges.append([_tile_root(files, row, index) for index in range(first, count)])
        count //= WIDTH
        row += 1
    return Tree(files, size, edges)


def _tile_root(files: Files, row: int, index: int) -> bytes:
    return root_of(decode_tile(files.read(tile_path(row, index)), WIDTH))
