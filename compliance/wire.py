"""Frames between a process that records events and the sidecar.

In: a stream of bytes in any pieces. Out: frames. Must not: hold more than one frame of bounded length, or believe
a length before it is checked.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from common.errors import RemoteError

VERSION: Final = 1
MAX_FRAME: Final = 128 * 1024  # bytes after the length; the longest entry is 65,535
_HEAD: Final = struct.Struct("!IB")
UNKNOWN_INDEX: Final = 2**64 - 1  # of an entry that was stored before and repeated


class FrameType(IntEnum):
    """What a frame says."""

    HELLO = 1  # version; the first frame of a connection
    EVENT = 2  # an entry
    ACKED = 3  # indexes, 8 bytes each: as many of the oldest unanswered entries are durable
    REFUSED = 4  # code; the oldest unanswered entry was not stored, and the connection ends
    PROVE = 5  # index; asks for a receipt
    PROOF = 6  # a receipt (C2SP tlog-proof), or nothing while no checkpoint covers the entry
    ASK = 7  # a question about the log; see compliance.questions
    FOUND = 8  # an entry of the answer
    ANSWERED = 9  # the end of the answer, or why there is none


@dataclass(frozen=True, slots=True)
class Frame:
    """One message."""

    type: FrameType
    body: bytes

    def encode(self) -> bytes:
        """The bytes on the wire."""
        return _HEAD.pack(len(self.body) + 1, self.type) + self.body


class FrameReader:
    """Cuts a stream into frames."""

    def __init__(self) -> None:
        """Starts at the beginning of a frame."""
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Frames that are complete now. Raises RemoteError `frame_malformed`."""
        self._buffer += data
        frames: list[Frame] = []
        position = 0
        while len(self._buffer) - position >= _HEAD.size:
            length, kind = _HEAD.unpack_from(self._buffer, position)
            if not 0 < length <= MAX_FRAME or kind not in _TYPES:
                raise RemoteError("frame_malformed", "a frame has a wrong length or type")
            end = position + 4 + length
            if len(self._buffer) < end:
                break
            frames.append(Frame(_TYPES[kind], bytes(self._buffer[position + _HEAD.size : end])))
            position = end
        del self._buffer[:position]
        return frames


def hello() -> Frame:
    """Opens a connection."""
    return Frame(FrameType.HELLO, bytes([VERSION]))


def acked(indexes: list[int]) -> Frame:
    """Confirms entries, oldest first."""
    return Frame(FrameType.ACKED, struct.pack(f"!{len(indexes)}Q", *indexes))


def parse_acked(body: bytes) -> list[int]:
    """Indexes of an ACKED frame. Raises RemoteError `frame_malformed`."""
    if not body or len(body) % 8:
        raise RemoteError("frame_malformed", "an ACKED frame holds indexes of eight bytes")
    return list(struct.unpack(f"!{len(body) // 8}Q", body))


def prove(index: int) -> Frame:
    """Asks for a receipt."""
    return Frame(FrameType.PROVE, struct.pack("!Q", index))


def parse_prove(body: bytes) -> int:
    """Index of a PROVE frame. Raises RemoteError `frame_malformed`."""
    if len(body) != 8:
        raise RemoteError("frame_malformed", "a PROVE frame holds one index")
    return int.from_bytes(body, "big")


_TYPES: Final = {int(kind): kind for kind in FrameType}
