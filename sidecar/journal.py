"""The write-ahead log: entries become durable here, in groups, before anybody is told that they are.

In: groups of entries. Out: the index of the first, once the group is durable; after a start, everything that was
durable. Must not: confirm what a crash could lose, take a torn end for damage, or damage for a torn end.

    <first index, 16 digits>.wal   header, then groups
    header  8 bytes magic, 8 bytes first index
    group   4 bytes magic, payload length, first index, count, CRC-32 of these three and the payload
    payload for each entry: 2 bytes length, CRC-32, the entry
"""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from common.errors import LocalError
from compliance.files import File, Files

FOLDER: Final = "wal"
SEGMENT_SIZE: Final = (
    16 * 1024 * 1024
)  # bytes; a start reads one or two segments, a tenth of a second each
MAX_GROUP: Final = 64 * 1024 * 1024  # bytes; a header that asks for more is damaged
SECTOR: Final = 512  # bytes; what a medium writes whole or not at all
_MAGIC: Final = b"CNCLWAL1"
_GROUP_MAGIC: Final = b"grp1"
_HEADER: Final = struct.Struct("!8sQ")
_GROUP: Final = struct.Struct("!4sIQI")
_RECORD: Final = struct.Struct("!HI")
log = logging.getLogger(__name__)


class JournalBroken(LocalError):  # noqa: N818 - a state, not a call's error
    """Nobody knows what is on the medium: the process must start again. `log_broken`, `log_damaged`."""


class JournalFull(LocalError):  # noqa: N818
    """Nothing of the group was taken, for want of space. `log_full`."""

    def __init__(self, reason: str) -> None:
        """`reason` is the system's."""
        super().__init__("log_full", f"the log takes no entries ({reason})")


@dataclass(slots=True)
class _Segment:
    first: int
    size: int  # bytes

    @property
    def path(self) -> str:
        return f"{FOLDER}/{self.first:016d}.wal"


class Journal:
    """The open end. One thread at a time."""

    def __init__(self, files: Files, end: int, segments: list[_Segment]) -> None:
        """Use `recover`."""
        self._files = files
        self._segments = segments
        self._file: File | None = None
        self._broken = False
        self.end = end  # index of the next entry

    def append(self, entries: Sequence[bytes]) -> int:
        """Makes a group durable and returns its first index. Raises JournalFull, JournalBroken."""
        if self._broken:
            raise _broken()
        try:
            segment, file = self._segment()
        except OSError as error:
            raise JournalFull(error.strerror or "error") from error
        group = encode_group(self.end, entries)
        try:
            file.write(group)
        except OSError as error:
            self._cut(segment, file)
            raise JournalFull(error.strerror or "error") from error
        try:
            file.sync()
        except OSError as error:
            # The kernel may have dropped the pages: only a new start can tell what is there.
            self._broken = True
            raise _broken() from error
        segment.size += len(group)
        first = self.end
        self.end += len(entries)
        return first

    def has_old(self, below: int) -> bool:
        """Whether `retire` would remove anything."""
        return len(self._segments) > 1 and self._segments[1].first <= below

    def retire(self, below: int) -> None:
        """Removes segments whose entries are all below an index; they are durable elsewhere. Raises OSError."""
        while self.has_old(below):
            self._files.remove(self._segments[0].path)
            self._segments.pop(0)

    def close(self) -> None:
        """Gives the descriptor back."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _segment(self) -> tuple[_Segment, File]:
        last = self._segments[-1] if self._segments else None
        if last is not None and last.size < SEGMENT_SIZE:
            if self._file is None:
                self._file = self._files.open(last.path)
            return last, self._file
        self.close()
        segment = _Segment(self.end, _HEADER.size)
        file = self._files.open(segment.path)
        try:
            file.truncate(0)
            file.write(_HEADER.pack(_MAGIC, self.end))
            self._files.sync_folder(FOLDER)
        except OSError:
            file.close()
            raise
        self._segments.append(segment)
        self._file = file
        return segment, file

    def _cut(self, segment: _Segment, file: File) -> None:
        try:
            file.truncate(segment.size)
        except OSError as error:
            self._broken = True
            raise _broken() from error


def recover(files: Files) -> tuple[Journal, Iterator[tuple[int, bytes]]]:
    """The journal as the last run left it, and its entries with their indexes, to be read to the end at once.

    A torn end is set aside under another name. Raises JournalBroken `log_damaged`, naming the entry, and OSError.
    """
    files.make_folder(FOLDER)
    firsts = sorted(int(n[:-4]) for n in files.list(FOLDER) if n.endswith(".wal"))
    segments = [_Segment(first, 0) for first in firsts]
    journal = Journal(files, segments[0].first if segments else 0, segments)
    return journal, _read_all(files, journal, segments)


def start_at(files: Files, end: int) -> Journal:
    """An empty journal whose first entry will have index `end`, in place of whatever is there."""
    files.make_folder(FOLDER)
    for name in files.list(FOLDER):
        if name.endswith(".wal"):
            files.remove(f"{FOLDER}/{name}")
    return Journal(files, end, [])


def _read_all(
    files: Files, journal: Journal, segments: list[_Segment]
) -> Iterator[tuple[int, bytes]]:
    for segment in list(segments):
        if segment.first != journal.end:
            raise damaged(journal.end, "the entries before the next segment are missing")
        data = files.read(segment.path)
        is_last = segment is segments[-1]
        if is_last and len(data) < _HEADER.size:
            files.remove(segment.path)
            segments.pop()
            return
        if len(data) < _HEADER.size or _HEADER.unpack_from(data) != (_MAGIC, segment.first):
            raise damaged(segment.first, "the segment's header is wrong")
        position = _HEADER.size
        while position < len(data):
            entries, length = parse_group(data, position, journal.end)
            if not length:
                torn = is_last and _is_torn(data, position)
                if not torn or _is_followed(data, position, journal.end):
                    raise damaged(journal.end + len(entries), "its group is damaged")
                _set_aside(files, segment, data, position)
                break
            for offset, entry in enumerate(entries):
                yield journal.end + offset, entry
            journal.end += len(entries)
            position += length
        segment.size = position


def encode_group(first: int, entries: Sequence[bytes]) -> bytes:
    """The bytes of a group."""
    payload = b"".join(_RECORD.pack(len(e), zlib.crc32(e)) + e for e in entries)
    head = _GROUP.pack(_GROUP_MAGIC, len(payload), first, len(entries))
    checksum = zlib.crc32(payload, zlib.crc32(head))
    return head + struct.pack("!I", checksum) + payload


def parse_group(data: bytes, position: int, first: int) -> tuple[list[bytes], int]:
    """Entries of the group at `position` and its length.

    The length is 0 if the group is not whole; then the entries are those that can be read.
    """
    start = position + _GROUP.size + 4
    if start > len(data):
        return [], 0
    magic, length, index, count = _GROUP.unpack_from(data, position)
    if magic != _GROUP_MAGIC or length > MAX_GROUP or index != first:
        return [], 0
    payload = data[start : start + length]
    entries = _parse_records(payload)
    checksum = zlib.crc32(payload, zlib.crc32(data[position : start - 4]))
    whole = len(payload) == length and len(entries) == count
    if whole and checksum == int.from_bytes(data[start - 4 : start], "big"):
        return entries, start + length - position
    return entries, 0


def damaged(index: int, what: str) -> JournalBroken:
    """The error for durable entries that cannot be read any more."""
    return JournalBroken("log_damaged", f"entry {index} cannot be read: {what}")


def _parse_records(payload: bytes) -> list[bytes]:
    """Entries up to the first that is not what its checksum says."""
    entries: list[bytes] = []
    position = 0
    while len(payload) - position >= _RECORD.size:
        length, checksum = _RECORD.unpack_from(payload, position)
        position += _RECORD.size
        entry = payload[position : position + length]
        if len(entry) < length or zlib.crc32(entry) != checksum:
            break
        entries.append(entry)
        position += length
    return entries


def _is_torn(data: bytes, position: int) -> bool:
    """Whether the rest looks like a write that a crash interrupted, not like damage to a confirmed one.

    An interrupted write ends early, or has sectors that were never filled; entries are text without zero bytes.
    """
    head = data[position : position + _GROUP.size]
    if len(head) < _GROUP.size:
        return True
    magic, length, *_ = _GROUP.unpack(head)
    if magic == _GROUP_MAGIC and length <= MAX_GROUP:
        end = position + _GROUP.size + 4 + length
        if end > len(data):
            return True
        if end < len(data):  # something was written after it, so it had been confirmed
            return False
    rest = data[position:]
    if not rest.strip(b"\0"):
        return True
    sectors = range(-position % SECTOR, len(rest), SECTOR)
    return any(not rest[i : i + SECTOR].strip(b"\0") for i in sectors)


def _is_followed(data: bytes, position: int, first: int) -> bool:
    """Whether a whole later group stands behind: then the one at `position` was once written to its end."""
    at = data.find(_GROUP_MAGIC, position + 1)
    while 0 <= at <= len(data) - _GROUP.size:
        index = _GROUP.unpack_from(data, at)[2]
        if index > first and parse_group(data, at, index)[1]:
            return True
        at = data.find(_GROUP_MAGIC, at + 1)
    return False


def _set_aside(files: Files, segment: _Segment, data: bytes, position: int) -> None:
    """Keeps the torn end for whoever wants to look, and cuts it off."""
    torn = files.open(f"{FOLDER}/{segment.first:016d}-{position}.torn")
    torn.write(data[position:])
    torn.close()
    file = files.open(segment.path)
    file.truncate(position)
    file.sync()
    file.close()
    log.warning("the journal's torn end was set aside: %d bytes", len(data) - position)


def _broken() -> JournalBroken:
    return JournalBroken(
        "log_broken", "the medium failed; what it holds is known after a new start"
    )
