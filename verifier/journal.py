"""The journal beside the tiles: entries that are durable, of which no checkpoint speaks yet.

In: the folder `wal`. Out: entries with their indexes, in order; damage. Must not: take the end of a write that a
crash interrupted for damage, or an unsigned entry for a signed one.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from verifier.folder import Folder
from verifier.report import Finding, Refused

PLACE: Final = "wal"
MAX_SEGMENT: Final = (
    96 * 1024 * 1024
)  # bytes; a segment is closed at 16 MiB, after a group of at most 64
MAX_GROUP: Final = 64 * 1024 * 1024
_SECTOR: Final = 512
_NAME: Final = re.compile(r"([0-9]{16})\.wal")
_HEAD: Final = struct.Struct("!8sQ")
_GROUP: Final = struct.Struct("!4sIQII")
_BEFORE_CHECKSUM: Final = struct.Struct("!4sIQI")
_RECORD: Final = struct.Struct("!HI")


@dataclass(slots=True)
class Journal:
    """Reads the journal once, in order."""

    folder: Folder
    findings: list[Finding] = field(default_factory=list)
    end: int = -1  # index after the last entry read; -1 before the first segment
    torn: bool = False

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """Entries with indexes, up to the first damage."""
        names = [match for name in self.folder.names(PLACE) if (match := _NAME.fullmatch(name))]
        for number, match in enumerate(names):
            path, first = f"{PLACE}/{match[0]}", int(match[1])
            if self.end not in (-1, first):
                self._damaged(path, self.end, "the entries before this segment are missing")
                return
            try:
                data = self.folder.read(path, MAX_SEGMENT)
            except Refused as error:
                # A running log removes segments that it no longer needs.
                if error.code != "file_missing" or self.end >= 0:
                    self._damaged(path, first, error.message)
                    return
                continue
            last = number == len(names) - 1
            self.end = first
            yield from self._segment(path, data, last=last)
            if self.findings:
                return

    def _segment(self, path: str, data: bytes, *, last: bool) -> Iterator[tuple[int, bytes]]:
        if len(data) < _HEAD.size and last:
            self.torn = bool(data)
            return
        if len(data) < _HEAD.size or _HEAD.unpack_from(data) != (b"CNCLWAL1", self.end):
            self._damaged(path, self.end, "the segment's header is wrong")
            return
        position = _HEAD.size
        while position < len(data):
            entries, length = _group(data, position, self.end)
            if not length:
                if (
                    last
                    and _interrupted(data, position)
                    and not _followed(data, position, self.end)
                ):
                    self.torn = True
                else:
                    self._damaged(path, self.end + len(entries), "its group is damaged")
                return
            for entry in entries:
                self.end += 1
                yield self.end - 1, entry
            position += length

    def _damaged(self, path: str, entry: int, message: str) -> None:
        self.findings.append(Finding("journal_damaged", message, {"entry": entry, "file": path}))


def _group(data: bytes, position: int, first: int) -> tuple[list[bytes], int]:
    """Entries of a group and its length in bytes; 0 if it is not whole, then the entries before the damage."""
    if len(data) - position < _GROUP.size:
        return [], 0
    magic, length, index, count, checksum = _GROUP.unpack_from(data, position)
    if magic != b"grp1" or length > MAX_GROUP or index != first:
        return [], 0
    begin = position + _GROUP.size
    payload = data[begin : begin + length]
    actual = zlib.crc32(payload, zlib.crc32(data[position : begin - 4]))
    entries: list[bytes] = []
    at = 0
    while at + _RECORD.size <= len(payload):
        size, check = _RECORD.unpack_from(payload, at)
        entry = payload[at + _RECORD.size : at + _RECORD.size + size]
        if len(entry) < size or zlib.crc32(entry) != check:
            return entries, 0
        entries.append(entry)
        at += _RECORD.size + size
    whole = len(payload) == length and at == length and len(entries) == count
    return entries, _GROUP.size + length if whole and actual == checksum else 0


def _followed(data: bytes, position: int, first: int) -> bool:
    """Whether a whole later group stands behind: then the one at `position` was written to its end once."""
    at = data.find(b"grp1", position + 1)
    while 0 <= at <= len(data) - _GROUP.size:
        index = _GROUP.unpack_from(data, at)[2]
        if index > first and _group(data, at, index)[1]:
            return True
        at = data.find(b"grp1", at + 1)
    return False


def _interrupted(data: bytes, position: int) -> bool:
    """Whether the rest is what an interrupted write leaves: it ends early or has sectors never filled."""
    rest = data[position:]
    if len(rest) < _BEFORE_CHECKSUM.size:
        return True
    magic, length, *_ = _BEFORE_CHECKSUM.unpack_from(rest)
    if magic == b"grp1" and length <= MAX_GROUP:
        if _GROUP.size + length > len(rest):
            return True
        if _GROUP.size + length < len(rest):
            return False  # something was written after it, so it had been confirmed
    sectors = [rest[i : i + _SECTOR] for i in range(-position % _SECTOR, len(rest), _SECTOR)]
    return not rest.strip(b"\0") or any(not sector.strip(b"\0") for sector in sectors)
