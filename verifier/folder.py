"""Files of a log, laid out as C2SP tlog-tiles says: paths, tiles, bundles, all of bounded size.

In: a folder that anybody may have written. Out: bytes, hashes, entries; a file that is not what its place asks for
raises Refused. Must not: read without bound, wait on a pipe, or believe a length.
"""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from pathlib import Path
from typing import Final

from verifier.report import Refused
from verifier.trees import HASH, node, root, split

WIDTH: Final = 256  # hashes of a full tile, entries of a full bundle
ENTRIES: Final = "entries"
MAX_BUNDLE: Final = WIDTH * (2 + 65_535)  # bytes
MAX_CACHED: Final = 64  # tiles, 8 KiB each


def read_file(path: Path, limit: int) -> bytes:
    """A plain file's content. Raises Refused: file_missing, file_unreadable, file_too_long."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise Refused("file_missing", "the file is missing") from error
    except (OSError, ValueError) as error:
        raise Refused("file_unreadable", "the file cannot be opened") from error
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise Refused("file_unreadable", "it is no plain file")
        if facts.st_size > limit:
            raise Refused("file_too_long", "the file is longer than it can be")
        return os.read(descriptor, facts.st_size)
    except OSError as error:
        raise Refused("file_unreadable", "the file cannot be read") from error
    finally:
        os.close(descriptor)


def width_at(level: int, index: int, size: int) -> int:
    """Width of a tile (level 0 also: of a bundle) in a tree of `size` entries; 0 if the tree has none there."""
    return max(0, min(WIDTH, (size >> (8 * level)) - index * WIDTH))


def path_of(kind: int | str, index: int, width: int = WIDTH) -> str:
    """Path of a tile at a level, or of a bundle of `entries`."""
    text = str(index)
    text = text.zfill(-(-len(text) // 3) * 3)
    groups = [text[i : i + 3] for i in range(0, len(text), 3)]
    number = "/".join(["x" + group for group in groups[:-1]] + groups[-1:])
    return f"tile/{kind}/{number}" + ("" if width == WIDTH else f".p/{width}")


def hashes_of(data: bytes, width: int) -> list[bytes]:
    """The hashes of a tile. Raises Refused."""
    if len(data) != width * HASH:
        raise Refused("tile_malformed", f"the tile has {len(data)} bytes instead of {width * HASH}")
    return [data[i : i + HASH] for i in range(0, len(data), HASH)]


def entries_of(data: bytes, width: int) -> tuple[list[bytes], str]:
    """The first `width` entries of a bundle, and what is wrong with it ("" if nothing is)."""
    entries: list[bytes] = []
    position, end = 0, len(data)
    while position < end:
        begin = position + 2
        position = begin + int.from_bytes(data[position:begin], "big")
        if position > end or begin > end:
            return entries, f"the bundle ends within entry {len(entries)} of it"
        if len(entries) == width:
            return entries, f"the bundle has more than {width} entries"
        entries.append(data[begin:position])
    if len(entries) < width:
        return entries, f"the bundle has {len(entries)} entries instead of {width}"
    return entries, ""


class Folder:
    """A log's folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._cache: OrderedDict[tuple[int, int, int], list[bytes]] = OrderedDict()

    def read(self, path: str, limit: int) -> bytes:
        """A file's content. Raises Refused."""
        return read_file(self.root / path, limit)

    def names(self, path: str) -> list[str]:
        """Names in a folder, sorted; none if there is no such folder."""
        try:
            return sorted(os.listdir(self.root / path))
        except OSError:
            return []

    def tile(self, level: int, index: int, width: int) -> list[bytes]:
        """The first `width` hashes of a tile. Raises Refused."""
        cached = self._cache.get((level, index, width))
        if cached is None:
            cached = self._tile(level, index, width)
            self._cache[level, index, width] = cached
            if len(self._cache) > MAX_CACHED:
                self._cache.popitem(last=False)
        return cached

    def _tile(self, level: int, index: int, width: int) -> list[bytes]:
        if width < WIDTH:
            try:
                return hashes_of(self.read(path_of(level, index, width), WIDTH * HASH), width)
            except Refused as error:
                if error.code != "file_missing":
                    raise
        try:
            full = self.read(path_of(level, index), WIDTH * HASH)
        except Refused as error:
            if error.code != "file_missing":
                raise
            # In a running log a partial tile goes once the full one is there: one more look.
            full = self.read(path_of(level, index, width), WIDTH * HASH)
            return hashes_of(full, width)
        return hashes_of(full, WIDTH)[:width]

    def bundle(self, index: int, width: int) -> tuple[list[bytes], str]:
        """The first `width` entries of a bundle, and what is wrong with it. Raises Refused."""
        if width < WIDTH:
            try:
                data = self.read(path_of(ENTRIES, index, width), MAX_BUNDLE)
                return entries_of(data, width)
            except Refused as error:
                if error.code != "file_missing":
                    raise
        try:
            data = self.read(path_of(ENTRIES, index), MAX_BUNDLE)
        except Refused as error:
            if error.code != "file_missing" or width == WIDTH:
                raise
            return entries_of(self.read(path_of(ENTRIES, index, width), MAX_BUNDLE), width)
        entries, wrong = entries_of(data, WIDTH)
        beyond = width < WIDTH and len(entries) >= width  # what follows is not of this log
        return entries[:width], "" if beyond else wrong

    def entry(self, index: int, size: int) -> bytes:
        """An entry of a log of `size` entries. Raises Refused."""
        bundle, offset = divmod(index, WIDTH)
        entries, wrong = self.bundle(bundle, width_at(0, bundle, size))
        if offset >= len(entries):
            raise Refused("bundle_malformed", wrong)
        return entries[offset]

    def subtree(self, begin: int, end: int, size: int) -> bytes:
        """Root over the entries [begin, end), which the definition of the root of `size` meets. Raises Refused."""
        width = end - begin
        level = width.bit_length() - 1
        if width != 1 << level:
            middle = begin + split(width)
            return node(self.subtree(begin, middle, size), self.subtree(middle, end, size))
        row, inside = divmod(level, 8)
        tile, offset = divmod((begin >> level) << inside, WIDTH)
        hashes = self.tile(row, tile, width_at(row, tile, size))
        return root(hashes[offset : offset + (1 << inside)])

    def range_proof(self, begin: int, end: int, size: int) -> list[bytes]:
        """Roots of the largest subtrees outside of [begin, end), from left to right. Raises Refused."""
        found: list[bytes] = []

        def collect(first: int, last: int) -> None:
            if last <= begin or end <= first:
                found.append(self.subtree(first, last, size))
            elif not (begin <= first and last <= end):
                middle = first + split(last - first)
                collect(first, middle)
                collect(middle, last)

        collect(0, size)
        return found
