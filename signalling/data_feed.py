"""Carries data packets between participants: the rules of `data`, applied to rooms.

In: messages of data channels, packets of the server's API. Out: messages on the channels of those addressed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from common.errors import RemoteError
from common.ids import PeerSid, RoomSid
from sfu.ports import PeerPort, RoomPort
from signalling.data import RELIABLE, Nonces, RecentData, Routed, Sender, route
from signalling.member import Member
from signalling.ports import Rooms
from signalling.roster import Roster


@dataclass(slots=True)
class _RoomData:
    recent: RecentData = field(default_factory=RecentData)
    nonces: Nonces = field(default_factory=Nonces)


class DataFeed:
    """Data of all rooms."""

    def __init__(self, roster: Roster, engine: Rooms, refusals: Counter[str]) -> None:
        """`engine` delivers; what may not travel is counted in `refusals`."""
        self._roster = roster
        self._engine = engine
        self._refusals = refusals
        self._rooms: dict[RoomSid, _RoomData] = {}

    def handle_message(
        self, room: RoomPort, peer: PeerPort, label: str, data: bytes, now: float
    ) -> None:
        """A message of `peer` arrived; one that may not travel is dropped and counted."""
        sender = Sender(
            peer.sid, peer.identity, peer.kind, peer.permissions, peer.last_data_sequence
        )
        try:
            packet = route(data, label, sender)
        except RemoteError as error:
            self._refusals[error.code] += 1
            return
        if packet.sequence:
            peer.last_data_sequence = packet.sequence
        self.send(room, packet, now)

    def send(self, room: RoomPort, packet: Routed, now: float) -> None:
        """Sends a packet to everybody it is meant for, once per nonce."""
        state = self._rooms.setdefault(room.sid, _RoomData())
        if not state.nonces.is_new(packet.nonce):
            self._refusals["data_nonce_repeated"] += 1
            return
        if packet.label == RELIABLE:
            state.recent.add(packet, now)
        meant = [
            peer
            for peer in room.peers.values()
            if packet.reaches(peer.sid, peer.identity, peer.permissions)
        ]
        receivers = [peer for peer in meant if self._is_ready(peer, packet.label)]
        if packet.label != RELIABLE:  # those are kept for whoever is not ready yet
            self._count_missed(meant, packet.label)
        if receivers:
            self._engine.send_data(receivers, packet.label, packet.data)

    def channel_ready(self, peer: PeerPort, label: str, now: float) -> None:
        """A channel opened: whoever just joined gets the reliable packets that it missed since."""
        member = self._roster.members.get(peer.sid)
        if member is None or label in member.channels:
            return
        member.channels.add(label)
        if label == RELIABLE:
            for packet in self._recent(member, member.joined_at, now):
                self._engine.send_data([peer], packet.label, packet.data)

    def replay(self, member: Member, after: Mapping[PeerSid, int], now: float) -> None:
        """A resumed client got packets of some senders up to a number; what is newer follows again."""
        for packet in self._recent(member, 0.0, now):
            if packet.sequence > after.get(packet.sender, packet.sequence):
                self._engine.send_data([member.peer], packet.label, packet.data)

    def forget_room(self, room: RoomSid) -> None:
        """The room is gone."""
        self._rooms.pop(room, None)

    def _recent(self, member: Member, start: float, now: float) -> list[Routed]:
        state = self._rooms.get(member.room.sid)
        peer = member.peer
        return [
            packet
            for packet in (state.recent.since(start, now) if state else ())
            if packet.reaches(peer.sid, peer.identity, peer.permissions)
        ]

    def _count_missed(self, meant: Iterable[PeerPort], label: str) -> None:
        """Members will have a channel, and do not yet; who came by another door may never have one."""
        for peer in meant:
            member = self._roster.members.get(peer.sid)
            if member is not None and label not in member.channels:
                self._refusals["data_channel_not_open"] += 1

    def _is_ready(self, peer: PeerPort, label: str) -> bool:
        """Members count from the event on, so that nothing reaches them twice through `channel_ready`."""
        member = self._roster.members.get(peer.sid)
        if member is None:
            return self._engine.channel_open(peer, label)
        return label in member.channels
