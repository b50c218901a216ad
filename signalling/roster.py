"""Who is a member, by sid and by room, and how participants are described to others.

In: members that come and go. Out: members, their sockets, descriptions. Must not: tell anybody anything.
"""

from __future__ import annotations

from collections.abc import Sequence

from livekit.protocol import models

from common.ids import PeerSid, RoomSid
from sfu.model import LeaveReason
from sfu.ports import PeerPort
from signalling import convert
from signalling.member import Line, Member


class Roster:
    """Members of all rooms."""

    def __init__(self, region: str) -> None:
        """Nobody is here; `region` stands in every description."""
        self._region = region
        self.members: dict[PeerSid, Member] = {}
        self._by_room: dict[RoomSid, dict[PeerSid, Member]] = {}
        # By version: a join into a large room copies descriptions, it does not build them.
        self._described: dict[PeerSid, tuple[int, models.ParticipantInfo]] = {}

    def add(self, member: Member) -> None:
        """Somebody joined."""
        self.members[member.peer.sid] = member
        self._by_room.setdefault(member.room.sid, {})[member.peer.sid] = member

    def withdraw(self, room: RoomSid, sid: PeerSid) -> None:
        """Somebody left: what happens in its room from now on is for the others."""
        self._by_room.get(room, {}).pop(sid, None)

    def forget(self, sid: PeerSid) -> None:
        """Everybody was told that it left."""
        self.members.pop(sid, None)
        self._described.pop(sid, None)

    def forget_room(self, room: RoomSid) -> None:
        """The room is gone."""
        self._by_room.pop(room, None)

    def members_of(self, room: RoomSid) -> Sequence[Member]:
        """Members of a room, attached or not."""
        return tuple(self._by_room.get(room, {}).values())

    def session_of(self, peer: PeerPort) -> Line | None:
        """The socket of a peer, if it has one now."""
        member = self.members.get(peer.sid)
        return member.session if member else None

    def peer_of(self, sid: PeerSid) -> PeerPort | None:
        """A member's peer by its sid."""
        member = self.members.get(sid)
        return member.peer if member else None

    def describe(
        self, peer: PeerPort, departed: LeaveReason | None = None
    ) -> models.ParticipantInfo:
        """A participant as others see it; the message must not be changed."""
        known = self._described.get(peer.sid)
        if departed is None and known is not None and known[0] == peer.version:
            return known[1]
        member = self.members.get(peer.sid)
        details = convert.kind_details(member.grants.kind_details) if member else ()
        info = convert.participant_info(
            peer, kind_details=details, region=self._region, departed=departed
        )
        if departed is None:
            self._described[peer.sid] = (peer.version, info)
        return info
