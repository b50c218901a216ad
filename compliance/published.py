"""A log as its published files show it: entries, paths to the root, the checkpoint. For readers beside the writer.

In: the folder of a log. Out: entries and hashes of any tree that was ever published, or RemoteError. Must not:
write, lock, or show anything that no checkpoint covers. One thread at a time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from common.errors import RemoteError
from compliance.questions import read_checkpoint
from crypto.merkle import inclusion_proof
from crypto.notes import NoteError
from crypto.tiles import (
    ENTRIES,
    WIDTH,
    TileError,
    TileTree,
    bundle_path,
    decode_bundle,
    decode_tile,
    tile_path,
    width_at,
)

CHECKPOINT: Final = "checkpoint"
KEY: Final = "key.pub"
MAX_CACHED: Final = 32  # bundles and tiles, 100 KiB each at the most usual

_Items = Sequence[bytes]


class PublishedLog:
    """The reading end of a log's folder."""

    def __init__(self, root: Path) -> None:
        """Nothing is read before it is asked for."""
        self.root = root
        self._cache: OrderedDict[tuple[str, int], _Items] = OrderedDict()

    def note(self) -> str:
        """The latest signed checkpoint, "" before the first. Raises RemoteError `log_unreadable`."""
        return self._text(CHECKPOINT)

    def key(self) -> str:
        """The log's public key as it was handed out beside the log; whoever doubts takes another."""
        return self._text(KEY).strip()

    def size_of(self, note: str) -> int:
        """Entries that a checkpoint covers. Raises RemoteError `log_unreadable`."""
        try:
            return read_checkpoint(note).size if note else 0
        except NoteError as error:
            raise _unreadable("the checkpoint") from error

    def entries(self, first: int, end: int, size: int) -> Iterator[tuple[int, bytes]]:
        """Entries [first, end) of the tree of `size`, with their indexes. Raises RemoteError `log_unreadable`."""
        for bundle in range(first // WIDTH, -(-min(end, size) // WIDTH)):
            base = bundle * WIDTH
            entries = self._bundle(bundle, size)
            for offset in range(max(0, first - base), min(len(entries), end - base)):
                yield base + offset, entries[offset]

    def entry(self, index: int, size: int) -> bytes:
        """One entry of the tree of `size`. Raises RemoteError: entry_unknown, log_unreadable."""
        if not 0 <= index < size:
            raise RemoteError("entry_unknown", "the log has no such entry")
        return self._bundle(index // WIDTH, size)[index % WIDTH]

    def path(self, index: int, size: int) -> tuple[bytes, ...]:
        """From an entry to the root of the tree of `size`. Raises RemoteError: entry_unknown, log_unreadable."""
        if not 0 <= index < size:
            raise RemoteError("entry_unknown", "the log has no such entry")
        return tuple(inclusion_proof(index, size, TileTree(size, self._tile).subtree))

    def _bundle(self, index: int, size: int) -> _Items:
        width = width_at(0, index, size)
        return self._read(ENTRIES, bundle_path(index), width, decode_bundle)

    def _tile(self, level: int, index: int, width: int) -> _Items:
        return self._read(str(level), tile_path(level, index), width, decode_tile)

    def _read(
        self, kind: str, path: str, width: int, decode: Callable[[bytes, int], list[bytes]]
    ) -> _Items:
        """The first `width` items of a file. Partial ones go away once there is the full one."""
        known = self._cache.get((path, width))
        if known is None:
            try:
                known = self._load(path, width, decode)
            except (OSError, TileError) as error:
                raise _unreadable(f"{kind} of {path}") from error
            self._cache[path, width] = known
        self._cache.move_to_end((path, width))
        if len(self._cache) > MAX_CACHED:
            self._cache.popitem(last=False)
        return known

    def _load(self, path: str, width: int, decode: Callable[[bytes, int], list[bytes]]) -> _Items:
        if width < WIDTH:
            try:
                return decode((self.root / f"{path}.p/{width}").read_bytes(), width)
            except FileNotFoundError:
                pass
        try:
            return decode((self.root / path).read_bytes(), WIDTH)[:width]
        except FileNotFoundError:
            for wider in self._widths(path):
                if wider > width:
                    return decode((self.root / f"{path}.p/{wider}").read_bytes(), wider)[:width]
            raise

    def _widths(self, path: str) -> list[int]:
        folder = self.root / f"{path}.p"
        names = [each.name for each in folder.iterdir()] if folder.is_dir() else []
        return sorted(int(name) for name in names if name.isdecimal())

    def _text(self, name: str) -> str:
        try:
            return (self.root / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise _unreadable(name) from error


def _unreadable(what: str) -> RemoteError:
    return RemoteError("log_unreadable", f"{what} cannot be read")
