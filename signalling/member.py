"""Signalling's side of a peer: what outlives one socket and the next. Plain state, no behaviour.

Its socket, while it has one, is known here by what others may say on it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from livekit.protocol import rtc

from common.ids import PeerSid
from sfu.model import LeaveReason
from sfu.ports import PeerPort, RoomPort
from signalling.effects import CloseCode
from signalling.grants import Grants
from signalling.told import Told
from signalling.wire import Outbound


class DropOnResume(Enum):
    """A client's test wish: its socket shall break at the next resume."""

    NO = "no"
    AFTER_MESSAGES = "after_messages"
    BEFORE_MESSAGES = "before_messages"


class Line(Protocol):
    """A member's socket, as those see it who have something to say on it; `session.Session` is one."""

    def send(self, response: rtc.SignalResponse) -> None:
        """Queues a response for this client alone."""

    def deliver(self, outbound: Outbound) -> None:
        """Queues a response that others may get too."""

    def offer(self) -> None:
        """Makes an offer, or remembers that one is wanted while another is open."""

    def retry_queued(self, cid: str, now: float) -> None:
        """Announces the first track that waited for the end of another one with its cid."""

    def leave(self, reason: LeaveReason, action: str | None = None) -> None:
        """Tells the client to go, and how to come back; then closes."""

    def end(self, code: CloseCode) -> None:
        """Closes without a word; the peer stays as it is."""


@dataclass(slots=True, eq=False)
class Member:
    """A peer that joined through a signalling socket."""

    room: RoomPort
    peer: PeerPort
    grants: Grants
    joined_at: float  # monotonic seconds
    session: Line | None = None  # None while no socket is attached

    # Negotiation of the subscriber connection: one offer at a time, numbered across sockets.
    offer_number: int = 0
    offer_open: bool = False
    offer_wanted: bool = False

    # What it was told.
    facts_told: tuple[object, ...] = ()  # name, metadata, attributes, permissions in its last token
    heard: set[PeerSid] = field(default_factory=set)  # active speakers that it was told of
    told: Told = field(init=False)  # what a resume tells again

    queued_tracks: deque[rtc.AddTrackRequest] = field(default_factory=deque)
    channels: set[str] = field(default_factory=set)  # data channels that are open toward it
    drop_on_resume: DropOnResume = DropOnResume.NO

    def __post_init__(self) -> None:
        """Nothing was told before the join."""
        self.told = Told(self.joined_at)
