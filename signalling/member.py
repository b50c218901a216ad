"""Signalling's side of a peer: what outlives one socket and the next. Plain state, no behaviour."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from livekit.protocol import rtc

from common.ids import PeerSid
from signalling.grants import Grants
from signalling.ports import PeerPort, RoomPort
from signalling.told import Told

if TYPE_CHECKING:
    from signalling.session import Session


class DropOnResume(Enum):
    """A client's test wish: its socket shall break at the next resume."""

    NO = "no"
    AFTER_MESSAGES = "after_messages"
    BEFORE_MESSAGES = "before_messages"


@dataclass(slots=True, eq=False)
class Member:
    """A peer that joined through a signalling socket."""

    room: RoomPort
    peer: PeerPort
    grants: Grants
    joined_at: float  # monotonic seconds
    session: Session | None = None  # None while no socket is attached

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
