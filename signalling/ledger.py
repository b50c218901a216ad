"""What signalling has on record: acts before they happen, and what follows from them as it happens.

In: acts, events of the sfu. Out: entries in the trail, in order; whoever asked hears when it may go on. Must not:
let an act happen that is not on record, leave open what has ended, or write more than a bound about strangers.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from common.clock import Clock
from common.errors import RemoteError
from common.ids import Identity, PeerSid, RoomSid, TrackSid
from compliance.events import (
    ActAbandoned,
    Event,
    ParticipantLeft,
    RoomEnded,
    Target,
    TrackUnpublished,
    Why,
)
from compliance.words import NOBODY, Pseudonym
from sfu import events
from sfu.ports import RoomPort
from signalling import acts
from signalling.acts import SYSTEM
from signalling.floods import Floods
from signalling.grants import Grants
from signalling.limits import REFUSALS_INTERVAL
from signalling.ports import Act, Recorded, Trail
from signalling.schedule import Schedule

FLOODS_DUE: Final = ("floods", "")
UNRECORDABLE: Final = frozenset({"audit_unavailable", "audit_timeout", "audit_refused"})


@dataclass(slots=True)
class _RoomPage:
    since: float  # monotonic seconds
    participants: int = 0
    deleting: bool = False  # its end is being recorded, or is on record already


@dataclass(slots=True)
class _PeerPage:
    subject: Pseudonym
    issuer: str  # of its token
    since: float
    tracks: dict[TrackSid, float] = field(default_factory=dict)  # on record, with the time


class Ledger:
    """Rooms, participants and tracks that are on record and not over."""

    def __init__(
        self, trail: Trail, clock: Clock, refusals: Counter[str], schedule: Schedule
    ) -> None:
        """What passed the door unseen is counted in `refusals`: unrecorded_ room, peer, track.

        Whoever keeps `schedule` calls `settle_floods` when `FLOODS_DUE` is due.
        """
        self._trail = trail
        self._clock = clock
        self._refusals = refusals
        self._schedule = schedule
        self._rooms: dict[RoomSid, _RoomPage] = {}
        self._peers: dict[PeerSid, _PeerPage] = {}
        self.floods = Floods()

    # -- before ---------------------------------------------------------------------------------

    def begin(self, act: Act, done: Callable[[Recorded | RemoteError, float], None]) -> None:
        """Puts an act on record; `done` hears of it, with the monotonic time, when it may happen or must not."""
        self._trail.record(act, lambda outcome: done(outcome, self._clock.now()))

    async def record(self, act: Act) -> Recorded:
        """Returns when the act may happen. Raises RemoteError: audit_unavailable, audit_timeout, audit_refused."""
        future: asyncio.Future[Recorded | RemoteError] = asyncio.get_running_loop().create_future()

        def done(outcome: Recorded | RemoteError) -> None:
            if not future.done():
                future.set_result(outcome)
            elif isinstance(outcome, Recorded):
                self.abandon(outcome, "caller_gone")

        self._trail.record(act, done)
        try:
            outcome = await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                outcome = future.result()
                if isinstance(outcome, Recorded):
                    self.abandon(outcome, "caller_gone")
            raise
        if isinstance(outcome, RemoteError):
            raise outcome
        return outcome

    def abandon(self, recorded: Recorded, code: str) -> None:
        """An act is on record, but did not happen."""
        why = Why(reason=acts.identifier(code))
        for sequence in recorded.sequences:
            self._trail.note(ActAbandoned(actor=SYSTEM, sequence=sequence, why=why))

    # -- what happened --------------------------------------------------------------------------

    def opened(self, room: RoomSid) -> None:
        """A room that is on record exists."""
        self._rooms[room] = _RoomPage(self._clock.now())

    def admitted(self, room: RoomSid, peer: PeerSid, issuer: str, recorded: Recorded) -> None:
        """A participant that is on record joined."""
        self._peers[peer] = _PeerPage(recorded.subject, issuer, self._clock.now())
        page = self._rooms.get(room)
        if page is not None:
            page.participants += 1

    def announced(self, peer: PeerSid, track: TrackSid) -> None:
        """A track that is on record may be received."""
        page = self._peers.get(peer)
        if page is not None:
            page.tracks[track] = self._clock.now()

    def subject_of(self, peer: PeerSid) -> Pseudonym:
        """What a participant is called in entries."""
        page = self._peers.get(peer)
        return page.subject if page else NOBODY

    def issuer_of(self, peer: PeerSid) -> str:
        """The API key that let a participant in."""
        page = self._peers.get(peer)
        return page.issuer if page else ""

    def life_of(self, room: RoomSid) -> tuple[int, int]:
        """Seconds that a room exists, and participants that it has had."""
        page = self._rooms.get(room)
        return (int(self._clock.now() - page.since), page.participants) if page else (0, 0)

    def deleting(self, room: RoomSid, yes: bool) -> None:
        """The end of a room is being recorded as somebody's act, so it is not noted as well."""
        if room in self._rooms:
            self._rooms[room].deleting = yes

    def ended(self, room: RoomPort, reason: str) -> None:
        """A room is over by itself, or its end could not be recorded before."""
        seconds, participants = self.life_of(room.sid)
        event = RoomEnded(
            actor=SYSTEM,
            on=Target(room=room.sid),
            why=Why(reason=reason),
            seconds=seconds,
            participants=participants,
        )
        del self._rooms[room.sid]
        self._trail.note(event)

    # -- strangers and those who are refused -------------------------------------------------------

    def token_refused(self, token: str, code: str) -> None:
        """A token opened no door."""
        before = self._admit(("token", code))
        if before is not None:
            self._trail.note(acts.token_refused(token, code, before))

    async def admission_refused(self, grants: Grants, room: RoomSid, code: str) -> None:
        """Somebody with a good token may not enter. Raises RemoteError as `record`."""
        before = self._admit(("admission", code))
        if before is not None:
            await self.record(acts.admission_refused(grants, room, code, before))

    def _admit(self, kind: tuple[str, str]) -> int | None:
        now = self._clock.now()
        before = self.floods.admit(kind, now)
        if before is None:
            self._schedule.put_if_absent(FLOODS_DUE, now + REFUSALS_INTERVAL)
        return before

    def settle_floods(self) -> None:
        """Says how much went without an entry of its own."""
        for (what, code), count in self.floods.take():
            event: Event = acts.token_refused("", code, count)
            if what == "admission":
                (event,) = acts.admission_refused(_NOBODY, RoomSid(""), code, count).events
            self._trail.note(event)

    # -- consequences ------------------------------------------------------------------------------

    def handle_event(self, event: events.SfuEvent) -> None:
        """What ends is noted; what begins without being on record passed the door, by a mistake of ours."""
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)

    def _room_started(self, event: events.RoomStarted) -> None:
        if event.room.sid not in self._rooms:
            self._refusals["unrecorded_room"] += 1

    def _room_ended(self, event: events.RoomEnded) -> None:
        page = self._rooms.get(event.room.sid)
        if page is not None and page.deleting:
            del self._rooms[event.room.sid]
        elif page is not None:
            self.ended(event.room, str(event.reason))

    def _peer_joined(self, event: events.PeerJoined) -> None:
        if event.peer.sid not in self._peers:
            self._refusals["unrecorded_peer"] += 1

    def _peer_left(self, event: events.PeerLeft) -> None:
        page = self._peers.get(event.peer.sid)
        if page is None:
            return
        reason = Why(reason=str(event.reason))
        for track in list(page.tracks):
            self._end_track(event.room.sid, event.peer.sid, track, reason)
        del self._peers[event.peer.sid]
        left = ParticipantLeft(
            actor=SYSTEM,
            on=Target(room=event.room.sid, peer=event.peer.sid, subject=page.subject),
            why=reason,
            seconds=int(self._clock.now() - page.since),
        )
        self._trail.note(left)

    def _track_published(self, event: events.TrackPublished) -> None:
        page = self._peers.get(event.peer.sid)
        if page is None or event.publication.sid not in page.tracks:
            self._refusals["unrecorded_track"] += 1

    def _track_unpublished(self, event: events.TrackUnpublished) -> None:
        reason = Why(reason="server" if event.by_server else "client")
        self._end_track(event.room.sid, event.peer.sid, event.publication.sid, reason)

    def _end_track(self, room: RoomSid, peer: PeerSid, track: TrackSid, why: Why) -> None:
        page = self._peers.get(peer)
        since = page.tracks.pop(track, None) if page else None
        if page is None or since is None:
            return
        on = Target(room=room, peer=peer, track=track, subject=page.subject)
        seconds = int(self._clock.now() - since)
        self._trail.note(TrackUnpublished(actor=SYSTEM, on=on, why=why, seconds=seconds))


_NOBODY: Final = Grants(issuer="", expires_at=0.0, holder=Identity(""))
_HANDLERS: Final[dict[type, Callable[[Ledger, Any], None]]] = {
    events.RoomStarted: Ledger._room_started,
    events.RoomEnded: Ledger._room_ended,
    events.PeerJoined: Ledger._peer_joined,
    events.PeerLeft: Ledger._peer_left,
    events.TrackPublished: Ledger._track_published,
    events.TrackUnpublished: Ledger._track_unpublished,
}
