"""What a client was told and has to hear again when it resumes, because its old socket may have swallowed it.

A socket that breaks takes with it whatever was on the way, and nobody knows how much that was. Participants, the
room and its token come anew with every resume; what has no other place is kept here, as its last state. Telling a
state twice changes nothing. In: what happens. Out: messages. Must not: send.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Collection, Iterable, Iterator
from typing import Final, Generic, TypeVar

from livekit.protocol import models, rtc

from common.ids import Identity, PeerSid, RoomName, TrackSid
from sfu.model import LeaveReason
from signalling import messages
from signalling.limits import (
    MAX_FAREWELLS,
    MAX_MISSED_DEPARTURES,
    MAX_STATES_TOLD,
    MAX_TRACKS_ENDED,
    PING_INTERVAL,
    PING_TIMEOUT,
)

Key = TypeVar("Key")
Value = TypeVar("Value")

# A client that pings had the answer to a ping when it sent the next one, and everything before that answer.
UNSURE: Final = PING_INTERVAL + PING_TIMEOUT


class Latest(OrderedDict[Key, Value], Generic[Key, Value]):
    """The last value for each key; beyond `bound` the key that changed longest ago goes."""

    bound = MAX_STATES_TOLD

    def note(self, key: Key, value: Value) -> None:
        """A new value."""
        self[key] = value
        self.move_to_end(key)
        if len(self) > self.bound:
            self.popitem(last=False)


class Farewells(Latest[tuple[RoomName, Identity, PeerSid], LeaveReason]):
    """Why participants left, for those of them who did not hear it and try to resume."""

    bound = MAX_FAREWELLS

    def of(self, room: RoomName, identity: Identity, sid: PeerSid) -> LeaveReason:
        """The reason; that nobody knows of such a participant, if nobody does."""
        return self.get((room, identity, sid), LeaveReason.STATE_MISMATCH)


class Told:
    """One member's."""

    def __init__(self, now: float) -> None:
        """Nothing was told yet."""
        self.heard_at = now  # when the client was last heard, monotonic seconds
        self.quality: Latest[TrackSid, rtc.SignalResponse] = Latest()
        self.permissions: Latest[TrackSid, rtc.SignalResponse] = Latest()
        self.mutes: Latest[TrackSid, rtc.SignalResponse] = Latest()  # of own tracks, by others
        self._speakers: Latest[PeerSid, float] = Latest()
        self._departures: deque[tuple[float, models.ParticipantInfo]] = deque(
            maxlen=MAX_MISSED_DEPARTURES
        )
        self._ended: deque[TrackSid] = deque(maxlen=MAX_TRACKS_ENDED)

    def speakers(self, entries: Iterable[tuple[PeerSid, float]]) -> None:
        """Who speaks, or has fallen silent."""
        for sid, level in entries:
            self._speakers.note(sid, level)

    def departures(self, gone: Iterable[models.ParticipantInfo], now: float) -> None:
        """Participants left; all of them hold their place here, told or not."""
        for info in gone:
            self._departures.append((now, info))
            self._speakers.pop(PeerSid(info.sid), None)

    def unpublished(self, track: TrackSid) -> None:
        """The server ended an own track of the client."""
        self._ended.append(track)
        self.forget(track)

    def forget(self, track: TrackSid) -> None:
        """An own track is over."""
        self.quality.pop(track, None)
        self.mutes.pop(track, None)

    def ended(self, track: TrackSid) -> bool:
        """Whether the server ended this own track."""
        return track in self._ended

    def missed(self, present: Collection[str]) -> list[models.ParticipantInfo]:
        """Departures that the client may not know of; `present` are the identities that are there (again)."""
        since = self.heard_at - UNSURE
        return [
            info for at, info in self._departures if at >= since and info.identity not in present
        ]

    def states(self) -> Iterator[rtc.SignalResponse]:
        """Everything else that is still true."""
        yield from self.quality.values()
        yield from self.permissions.values()
        if self._speakers:
            yield messages.speakers(self._speakers.items())
