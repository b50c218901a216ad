"""Who is in a room and what they publish, told to everybody in it.

In: peers that changed or left. Out: ParticipantUpdate messages on the sessions of the room, each below 128 KiB
and each participant with all its tracks. Changes of mere subscribers of large rooms wait for a batch. Hidden
peers are told about themselves only.
"""

from __future__ import annotations

from collections.abc import Iterable

from livekit.protocol import models

from common.clock import Clock
from common.ids import PeerSid, RoomSid
from sfu.model import LeaveReason, PeerState
from sfu.ports import PeerPort, RoomPort
from signalling import messages
from signalling.facts import facts_of
from signalling.limits import BATCH_FROM_PEERS, BATCH_INTERVAL, MAX_UPDATE
from signalling.member import Member
from signalling.roster import Roster
from signalling.schedule import Schedule
from signalling.wire import Outbound

PROTOCOL_WITH_MISSED = 9  # from here on clients want departures replayed when they resume


class People:
    """Participant updates of all rooms."""

    def __init__(self, roster: Roster, schedule: Schedule, clock: Clock) -> None:
        """Nobody was told of anybody."""
        self._roster = roster
        self._schedule = schedule
        self._clock = clock
        self._facts: dict[PeerSid, tuple[object, ...]] = {}  # as last told to others
        self._publishers: set[PeerSid] = set()  # whoever published once is news for everybody
        self._batches: dict[RoomSid, dict[PeerSid, models.ParticipantInfo]] = {}

    def changed(self, room: RoomPort, peer: PeerPort, now: float) -> None:
        """A peer's version rose."""
        info = self._roster.describe(peer)
        known = self._facts.get(peer.sid)
        if peer.permissions.hidden or not _may_be_seen(peer):
            self._tell_itself(peer, info)
            if peer.permissions.hidden and known is not None:
                self._hide(room, peer)
            return
        facts = facts_of(peer)
        self._facts[peer.sid] = facts
        if peer.is_publisher:
            self._publishers.add(peer.sid)
        only_state = known is None or known == facts
        if only_state and self._may_wait(room, peer):
            self._tell_itself(peer, info)
            self._wait(room, info, now)
        else:
            self._forget_waiting(room, peer)
            self._tell_room(room, [info])

    def departed(self, room: RoomPort, peer: PeerPort, reason: LeaveReason, now: float) -> None:
        """A peer is gone."""
        self._facts.pop(peer.sid, None)
        may_wait = self._may_wait(room, peer)
        self._publishers.discard(peer.sid)
        if peer.permissions.hidden:
            return
        info = self._roster.describe(peer, departed=reason)
        if may_wait:
            self._wait(room, info, now)
        else:
            self._forget_waiting(room, peer)
            self._tell_room(room, [info])

    def flush(self, room: RoomSid) -> None:
        """A room's batch is due."""
        batch = self._batches.pop(room, None)
        if batch:
            self._tell(self._roster.members_of(room), batch.values())

    def forget_room(self, room: RoomSid) -> None:
        """Nobody is left to tell."""
        self._batches.pop(room, None)
        self._schedule.remove(("batch", room))

    def others(self, member: Member) -> list[models.ParticipantInfo]:
        """Everybody but `member` and those who hide."""
        return [
            self._roster.describe(peer)
            for peer in member.room.peers.values()
            if peer is not member.peer and not peer.permissions.hidden
        ]

    def snapshot(self, member: Member) -> list[Outbound]:
        """For a resumed client: first whoever left and did not come back, then everybody, itself included."""
        missed = []
        if member.peer.client.protocol >= PROTOCOL_WITH_MISSED:
            missed = member.told.missed(member.room.peers)
        everybody = [self._roster.describe(member.peer), *self.others(member)]
        return [*chunked(missed), *chunked(everybody)]

    def _hide(self, room: RoomPort, peer: PeerPort) -> None:
        del self._facts[peer.sid]
        info = self._roster.describe(peer, departed=LeaveReason.CLIENT_INITIATED)
        receivers = [each for each in self._roster.members_of(room.sid) if each.peer is not peer]
        self._tell(receivers, [info])

    def _may_wait(self, room: RoomPort, peer: PeerPort) -> bool:
        return len(room.peers) >= BATCH_FROM_PEERS and peer.sid not in self._publishers

    def _wait(self, room: RoomPort, info: models.ParticipantInfo, now: float) -> None:
        self._batches.setdefault(room.sid, {})[PeerSid(info.sid)] = info
        self._schedule.put_if_absent(("batch", room.sid), now + BATCH_INTERVAL)

    def _forget_waiting(self, room: RoomPort, peer: PeerPort) -> None:
        self._batches.get(room.sid, {}).pop(peer.sid, None)

    def _tell_itself(self, peer: PeerPort, info: models.ParticipantInfo) -> None:
        session = self._roster.session_of(peer)
        if session is not None:
            session.send(messages.update([info]))

    def _tell_room(self, room: RoomPort, infos: list[models.ParticipantInfo]) -> None:
        self._tell(self._roster.members_of(room.sid), infos)

    def _tell(self, members: Iterable[Member], infos: Iterable[models.ParticipantInfo]) -> None:
        infos = list(infos)
        outbound = chunked(infos)
        gone = [info for info in infos if info.state == models.ParticipantInfo.State.DISCONNECTED]
        now = self._clock.now()
        for member in members:
            member.told.departures(gone, now)
            if member.session is None:
                continue
            for each in outbound:
                member.session.deliver(each)


def chunked(infos: Iterable[models.ParticipantInfo]) -> list[Outbound]:
    """Splits participants into updates of bounded size; one participant alone may exceed it."""
    chunks: list[list[models.ParticipantInfo]] = []
    size = MAX_UPDATE
    for info in infos:
        length = info.ByteSize() + 8  # tag and length of the entry
        if size + length > MAX_UPDATE:
            chunks.append([])
            size = 0
        chunks[-1].append(info)
        size += length
    return [Outbound(messages.update(chunk)) for chunk in chunks]


def _may_be_seen(peer: PeerPort) -> bool:
    return peer.state is PeerState.ACTIVE or peer.is_publisher
