"""A queue of entries on disk, for the time in which the sidecar cannot be reached.

In: entries in the order of their numbers. Out: the same entries, oldest first, also after a crash; one that was
handed out but not discarded is handed out again. Must not: grow beyond its bound, or drop what it accepted. It is
not tamper-evident: evidence begins in the log, and gaps in sequences show there.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Final

from common.errors import LocalError
from compliance.envelope import MAX_ENTRY
from compliance.files import File, Files

SEGMENT_SIZE: Final = 1024 * 1024  # bytes after which a new file begins; emptied ones are removed
DEFAULT_MAX_SIZE: Final = 256 * 1024 * 1024  # bytes: half a million events
SET_ASIDE: Final = "refused"  # entries that the log did not take, as in a segment
MAX_SET_ASIDE: Final = (
    16 * 1024 * 1024
)  # bytes: many thousand; whoever looks has seen enough by then
_HEAD: Final = struct.Struct("!II")  # length, CRC-32
_SUFFIX: Final = ".spool"


@dataclass(slots=True)
class _Segment:
    number: int
    size: int  # bytes
    count: int  # entries
    discarded: int = 0  # entries from its beginning

    @property
    def path(self) -> str:
        return f"{self.number:012d}{_SUFFIX}"


class Spool:
    """The queue. Its calls block on the disk: run them on a thread of their own."""

    def __init__(self, files: Files, max_size: int = DEFAULT_MAX_SIZE) -> None:
        """Finds what an earlier run left. Raises OSError."""
        self._files = files
        self._max_size = max_size
        self._segments: list[_Segment] = []
        self._file: File | None = None
        self.damaged = 0  # entries lost to damage on disk, found at opening
        for name in files.list(""):
            if name.endswith(_SUFFIX):
                self._recover(int(name.removesuffix(_SUFFIX)))
        self._next = self._segments[-1].number + 1 if self._segments else 1

    def __len__(self) -> int:
        """Entries that were not discarded."""
        return sum(segment.count - segment.discarded for segment in self._segments)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(segment.size for segment in self._segments)

    def append(self, entries: list[bytes]) -> None:
        """Takes entries; durable when it returns. Raises LocalError `spool_full`, OSError; then it took none."""
        data = b"".join(_HEAD.pack(len(e), zlib.crc32(e)) + e for e in entries)
        if self.size + len(data) > self._max_size:
            raise LocalError("spool_full", "the spool has reached its bound")
        if self._file is None or self._segments[-1].size >= SEGMENT_SIZE:
            self._begin()
        segment, file = self._segments[-1], self._file
        assert file is not None, "invariant: a segment has begun"  # noqa: S101
        try:
            file.write(data)
            file.sync()
        except OSError:
            self._abandon(segment, file)
            raise
        segment.size += len(data)
        segment.count += len(entries)

    def load(self, skip: int, limit: int) -> list[bytes]:
        """Up to `limit` of the oldest entries after the first `skip`. Raises OSError."""
        loaded: list[bytes] = []
        for segment in self._segments:
            first, available = segment.discarded + skip, segment.count - segment.discarded
            if skip >= available:
                skip -= available
                continue
            entries, _ = read_segment(self._files.read(segment.path)[: segment.size])
            loaded += entries[first : first + limit - len(loaded)]
            skip = 0
            if len(loaded) >= limit:
                break
        return loaded

    def discard(self, count: int) -> None:
        """Forgets the oldest entries; files go when all of their entries did. Raises OSError."""
        while count:
            segment = self._segments[0]
            step = min(count, segment.count - segment.discarded)
            segment.discarded += step
            count -= step
            if segment.discarded < segment.count:
                break
            if len(self._segments) == 1 and self._file is not None:
                self._file.close()
                self._file = None
            self._segments.pop(0)
            self._files.remove(segment.path)

    def set_aside(self) -> bool:
        """Moves the oldest entry to a file for people to look at; whether there was room. Raises OSError.

        The log does not take it, and everything behind it shall not wait for ever.
        """
        (entry,) = self.load(0, 1)
        file = self._files.open(SET_ASIDE)
        try:
            size = len(self._files.read(SET_ASIDE))
            has_room = size + len(entry) <= MAX_SET_ASIDE
            if has_room:
                file.write(_HEAD.pack(len(entry), zlib.crc32(entry)) + entry)
                file.sync()
        finally:
            file.close()
        self._files.sync_folder("")
        self.discard(1)
        return has_room

    def close(self) -> None:
        """Gives the descriptor back; the entries stay."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        segment = _Segment(self._next, 0, 0)
        self._file = self._files.open(segment.path)
        self._files.sync_folder("")
        self._segments.append(segment)
        self._next += 1

    def _abandon(self, segment: _Segment, file: File) -> None:
        """After a failed write nobody knows what is on disk: cut it off, and go on in another file."""
        try:
            file.truncate(segment.size)
        finally:
            file.close()
            self._file = None
            if not segment.count:
                self._segments.pop()

    def _recover(self, number: int) -> None:
        segment = _Segment(number, 0, 0)
        data = self._files.read(segment.path)
        entries, segment.size = read_segment(data)
        segment.count = len(entries)
        if segment.size < len(data):
            self.damaged += 1
        if entries:
            self._segments.append(segment)
        else:
            self._files.remove(segment.path)


def read_segment(data: bytes) -> tuple[list[bytes], int]:
    """Entries from the beginning of a segment, and where its readable part ends."""
    entries: list[bytes] = []
    position = 0
    while len(data) - position >= _HEAD.size:
        length, checksum = _HEAD.unpack_from(data, position)
        end = position + _HEAD.size + length
        entry = data[position + _HEAD.size : end]
        if not 0 < length <= MAX_ENTRY or end > len(data) or zlib.crc32(entry) != checksum:
            break
        entries.append(entry)
        position = end
    return entries, position
