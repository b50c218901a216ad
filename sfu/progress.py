"""How far the join of a peer came, each stage told once with the time since it asked to be let in.

In: what happens to the peer. Out: `JoinProgressed`. Must not: count the wait for somebody else to publish, or
what a person did later, as time that the join took.
"""

from __future__ import annotations

from typing import Final

from sfu.context import Context
from sfu.events import JoinProgressed
from sfu.limits import JOIN_WINDOW
from sfu.ports import PeerPort

ANSWERED: Final = "answered"  # the join answer was handed to the socket
VALIDATED: Final = "validated"  # ICE: the first authenticated check
CONNECTED: Final = "connected"  # DTLS
MEDIA: Final = "media"  # the first packet was sent to it
STAGES: Final = (ANSWERED, VALIDATED, CONNECTED, MEDIA)


class Progress:
    """The stages of one join."""

    def __init__(
        self, context: Context, peer: PeerPort, *, since: float, finds_media: bool
    ) -> None:
        """`since`: monotonic seconds when the peer asked; `finds_media`: somebody published already."""
        self._context = context
        self._peer = peer
        self._since = since
        self._missing = set(STAGES) if finds_media else {*STAGES} - {MEDIA}

    def reach(self, stage: str) -> None:
        """A stage is reached; only the first time counts."""
        if stage not in self._missing:
            return
        self._missing.discard(stage)
        seconds = self._context.clock.now() - self._since
        if seconds <= JOIN_WINDOW:
            self._context.emit(JoinProgressed(self._peer.room, self._peer, stage, seconds))
