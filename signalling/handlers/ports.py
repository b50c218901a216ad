"""What handlers know: the session that they serve, and the hub behind it, as protocols."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from livekit.protocol import rtc

from common.clock import Clock
from common.ids import TrackSid
from compliance.events import Actor, Target
from sfu.model import LeaveReason
from signalling.data_feed import DataFeed
from signalling.effects import CloseCode
from signalling.feeds import Feeds
from signalling.ledger import Ledger
from signalling.member import Member
from signalling.people import People
from signalling.ports import Act


class HubPort(Protocol):
    """What sessions of all rooms share."""

    @property
    def clock(self) -> Clock:
        """Time."""

    @property
    def refusals(self) -> Counter[str]:
        """What was refused, by name."""

    @property
    def ledger(self) -> Ledger:
        """What is on record."""

    @property
    def people(self) -> People:
        """Who is in the rooms."""

    @property
    def feeds(self) -> Feeds:
        """What happens in them besides."""

    @property
    def data(self) -> DataFeed:
        """Data between participants."""

    def join_message(self, member: Member) -> rtc.SignalResponse:
        """The join answer."""

    def reconnect_message(self, member: Member) -> rtc.SignalResponse:
        """The answer to a resume."""

    def refresh_token(self, member: Member) -> None:
        """Sends a token that lets the client come back as what it is now, and plans the next one."""


class SessionPort(Protocol):
    """The session whose client sent a message."""

    @property
    def member(self) -> Member:
        """Whose session it is."""

    @property
    def hub(self) -> HubPort:
        """What all sessions share."""

    @property
    def act(self) -> Act | None:
        """On record, while its handler carries it out."""

    @property
    def actor(self) -> Actor:
        """The participant as it stands in entries."""

    def target(self, track: TrackSid | None = None) -> Target:
        """The participant, or one of its tracks, as that on which something is done."""

    def send(self, response: rtc.SignalResponse) -> None:
        """Queues a response for this client alone."""

    def refuse(self, name: str) -> None:
        """Counts a refusal under its name."""

    def handle_request(self, request: rtc.SignalRequest, now: float) -> None:
        """One message, as if it had come now."""

    def leave(self, reason: LeaveReason, action: str | None = None) -> None:
        """Tells the client to go, and how to come back; then closes."""

    def end(self, code: CloseCode) -> None:
        """Closes without a word; the peer stays as it is."""
