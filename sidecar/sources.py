"""How far every source has come, so that a repeated entry is recognised and a gap refused. Pure.

In: sources with sequence numbers, in the order of the log. Out: the last of each; the state as bytes and back.
Must not: grow beyond its bound.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from typing import Final

from common.errors import RemoteError

MAX_SOURCES: Final = 65_536  # the longest silent goes first; it can then only begin anew. 10 MiB
_MAX_SNAPSHOT: Final = 32 * 1024 * 1024  # bytes


class Sources:
    """Last sequence number and index of each source."""

    def __init__(self) -> None:
        """Nobody has said anything."""
        self._last: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._last)

    def copy(self) -> Sources:
        """The same state, to be changed independently."""
        other = Sources()
        other._last = self._last.copy()
        return other

    def last(self, source: str) -> tuple[int, int]:
        """Sequence number and index of a source's last entry; (0, -1) if there is none."""
        return self._last.get(source, (0, -1))

    def advance(self, source: str, sequence: int, index: int) -> None:
        """The entry is in the log at `index`."""
        self._last[source] = (sequence, index)
        self._last.move_to_end(source)
        if len(self._last) > MAX_SOURCES:
            self._last.popitem(last=False)

    def encode(self, size: int) -> bytes:
        """The state after the first `size` entries of the log."""
        document = {"size": size, "sources": [[name, *last] for name, last in self._last.items()]}
        text = json.dumps(document, separators=(",", ":")).encode()
        return hashlib.sha256(text).hexdigest().encode() + b"\n" + text

    @classmethod
    def decode(cls, data: bytes) -> tuple[Sources, int]:
        """State and size. Raises RemoteError `snapshot_malformed`."""
        checksum, _, text = data.partition(b"\n")
        if len(data) > _MAX_SNAPSHOT or hashlib.sha256(text).hexdigest().encode() != checksum:
            raise RemoteError("snapshot_malformed", "the snapshot of sources is damaged")
        sources = cls()
        document = json.loads(text)
        for name, sequence, index in document["sources"]:
            sources._last[name] = (sequence, index)
        return sources, document["size"]
