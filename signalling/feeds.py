"""What happens in a room besides people: its facts, who speaks, how good connections are.

In: events of the sfu. Out: messages on the sessions of the room, each with only what its receiver may know.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from livekit.protocol import models

from common.clock import Clock
from common.ids import PeerSid, RoomSid, TrackSid
from sfu.model import TrackKind
from sfu.ports import PeerPort, RoomPort
from signalling import convert, messages
from signalling.limits import QUALITY_GATHER, ROOM_UPDATE_INTERVAL
from signalling.member import Member
from signalling.roster import Roster
from signalling.schedule import Schedule
from signalling.wire import Outbound

# First protocols that know a message.
_SPEAKERS: Final = 3
_QUALITY: Final = 5
_QUALITY_LOST: Final = 11
SIMULATED_LEVEL: Final = 0.9  # loud enough to be the active speaker


@dataclass(slots=True)
class _RoomTold:
    """What a room was last told about itself."""

    facts: tuple[str, bool]  # metadata, recording
    at: float  # monotonic seconds


class Feeds:
    """Feeds of all rooms."""

    def __init__(
        self, roster: Roster, schedule: Schedule, clock: Clock, codecs: Sequence[str]
    ) -> None:
        """`codecs` are those that a room may publish, as MIME types."""
        self._roster = roster
        self._schedule = schedule
        self._clock = clock
        self._codecs = codecs
        self._told: dict[RoomSid, _RoomTold] = {}
        self._quality: dict[RoomSid, dict[PeerSid, tuple[PeerPort, str, float]]] = {}

    # -- the room -------------------------------------------------------------------------------

    def describe(self, room: RoomPort) -> models.Room:
        """A room as of now."""
        return convert.room_message(room, self._codecs, wall=self._clock.wall())

    def room(self, room: RoomPort) -> Outbound:
        """A room update as of now."""
        return Outbound(messages.room_update(self.describe(room)))

    def room_changed(self, room: RoomPort, now: float) -> None:
        """Metadata and recording are told at once, counts at most every few seconds."""
        members = self._roster.members_of(room.sid)
        if not members:
            return
        facts = (room.metadata, room.recording)
        told = self._told.get(room.sid)
        if told is not None and told.facts == facts and now < told.at + ROOM_UPDATE_INTERVAL:
            self._schedule.put_if_absent(("room", room.name), told.at + ROOM_UPDATE_INTERVAL)
            return
        self._schedule.remove(("room", room.name))
        self._told[room.sid] = _RoomTold(facts, now)
        outbound = self.room(room)
        for member in members:
            if member.session is not None:
                member.session.deliver(outbound)

    def forget_room(self, room: RoomPort) -> None:
        """The room is gone."""
        self._told.pop(room.sid, None)
        self._quality.pop(room.sid, None)
        self._schedule.remove(("room", room.name))
        self._schedule.remove(("quality", room.sid))

    # -- speakers -------------------------------------------------------------------------------

    def speakers_changed(self, room: RoomPort, speakers: Sequence[tuple[PeerPort, float]]) -> None:
        """Tells each member of the speakers that it receives, and of itself."""
        audios = {speaker.sid: _tracks(speaker, TrackKind.AUDIO) for speaker, _ in speakers}
        for member in self._roster.members_of(room.sid):
            subscribed = frozenset(member.peer.subscribed_tracks)
            entries = [
                (speaker.sid, level)
                for speaker, level in speakers
                if _hears(member, subscribed, speaker, audios[speaker.sid])
                or (level <= 0.0 and speaker.sid in member.heard)
            ]
            self._tell_speakers(member, entries)

    def forget_unheard(self, member: Member) -> None:
        """Whoever `member` no longer receives has fallen silent for it."""
        subscribed = frozenset(member.peer.subscribed_tracks)
        gone = [
            (sid, 0.0)
            for sid in sorted(member.heard)
            if (speaker := self._roster.peer_of(sid)) is None
            or not _hears(member, subscribed, speaker, _tracks(speaker, TrackKind.AUDIO))
        ]
        self._tell_speakers(member, gone)

    def simulate_speech(self, member: Member, seconds: int, now: float) -> None:
        """Pretends that `member` speaks, to everybody, for some seconds."""
        self._pretend(member, SIMULATED_LEVEL)
        self._schedule.put(("speech", member.peer.sid), now + seconds)

    def end_speech(self, member: Member) -> None:
        """The pretended speech is over."""
        self._pretend(member, 0.0)

    def _pretend(self, member: Member, level: float) -> None:
        entries = [(member.peer.sid, level)]
        outbound = Outbound(messages.speakers(entries))
        for each in self._roster.members_of(member.room.sid):
            each.told.speakers(entries)
            if each.session is not None:
                each.session.deliver(outbound)

    def _tell_speakers(self, member: Member, entries: list[tuple[PeerSid, float]]) -> None:
        for sid, level in entries:
            if level > 0.0:
                member.heard.add(sid)
            else:
                member.heard.discard(sid)
        member.told.speakers(entries)
        if entries and member.session is not None and member.peer.client.protocol >= _SPEAKERS:
            member.session.send(messages.speakers(entries))

    # -- quality --------------------------------------------------------------------------------

    def quality_changed(
        self, room: RoomPort, peer: PeerPort, quality: str, score: float, now: float
    ) -> None:
        """Reports of a room are gathered for a moment and told together."""
        self._quality.setdefault(room.sid, {})[peer.sid] = (peer, quality, score)
        self._schedule.put_if_absent(("quality", room.sid), now + QUALITY_GATHER)

    def tell_quality(self, room: RoomSid) -> None:
        """Each member learns its own quality and that of the publishers that it receives."""
        reports = self._quality.pop(room, {})
        owners = {
            sid: peer.sid
            for peer, _, _ in reports.values()
            if not peer.permissions.hidden
            for sid in peer.publications
        }
        for member in self._roster.members_of(room):
            protocol = member.peer.client.protocol
            if member.session is None or protocol < _QUALITY:
                continue
            known = {owners[sid] for sid in member.peer.subscribed_tracks if sid in owners}
            entries = [
                (sid, quality, score)
                for sid, (_, quality, score) in reports.items()
                if sid == member.peer.sid or sid in known
            ]
            if entries:
                knows_lost = protocol >= _QUALITY_LOST
                member.session.send(messages.connection_quality(entries, knows_lost=knows_lost))


def _tracks(peer: PeerPort, kind: TrackKind) -> list[TrackSid]:
    return [sid for sid, each in peer.publications.items() if each.spec.kind is kind]


def _hears(
    member: Member,
    subscribed: frozenset[TrackSid],
    speaker: PeerPort,
    audios: Iterable[TrackSid],
) -> bool:
    if speaker is member.peer:
        return True
    return not speaker.permissions.hidden and any(sid in subscribed for sid in audios)
