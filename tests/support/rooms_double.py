"""Rooms in memory that satisfy signalling's ports: no media, every command recorded, events in `flush`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from common.errors import RemoteError
from common.ids import Identity, PeerSid, RoomName, RoomSid, TrackSid
from sfu import events
from sfu.model import (
    Description,
    LayerSpec,
    LeaveReason,
    PeerSpec,
    PeerState,
    Permissions,
    PublicationSpec,
    RoomOptions,
    TrackGrant,
    TrackKind,
    TrackSettings,
    View,
)
from sfu.ports import PeerPort


class PublicationDouble:
    def __init__(self, sid: TrackSid, spec: PublicationSpec) -> None:
        self.sid = sid
        self.spec = spec
        self.mid = ""
        self.mime_type = ""
        self.sdp_cid = ""
        self.muted = spec.muted
        self.layers: tuple[LayerSpec, ...] = spec.layers
        self.rids: tuple[str, ...] = ()
        self.published = False
        self.options: tuple[LayerSpec, ...] = spec.layers
        self.bitrates: tuple[int, ...] = ()


class PeerDouble:
    def __init__(self, rooms: RoomsDouble, room: RoomDouble, sid: PeerSid, spec: PeerSpec) -> None:
        self._rooms = rooms
        self.room = room
        self.sid = sid
        self.spec = spec
        self.identity = spec.identity
        self.name = spec.name
        self.metadata = spec.metadata
        self.attributes: Mapping[str, str] = dict(spec.attributes)
        self.kind = spec.kind
        self.permissions = spec.permissions
        self.client = spec.client
        self.state = PeerState.JOINING
        self.version = 1
        self.joined_at = 1_700_000_000.25
        self.single_connection = spec.single_connection
        self.subscriber_primary = not spec.single_connection and spec.permissions.can_subscribe
        self.failed = False
        self.last_data_sequence = 0
        self.subscribed_tracks: set[TrackSid] = set()
        self.publications: dict[TrackSid, PublicationDouble] = {}
        self.calls: list[tuple[Any, ...]] = []
        self.refuse_offer: RemoteError | None = None

    @property
    def is_publisher(self) -> bool:
        return any(each.published for each in self.publications.values())

    def handle_offer(self, sdp: str) -> Description:
        self.calls.append(("handle_offer", sdp))
        if self.refuse_offer is not None:
            raise self.refuse_offer
        mapping = {"3": TrackSid("TR_mapped")} if self.single_connection else {}
        return Description("answer", f"answer to {sdp}", mapping)

    @property
    def ice_session(self) -> str:
        return "ice"

    def handle_fragment(self, fragment: str) -> str | None:
        self.calls.append(("handle_fragment", fragment))
        return None

    @property
    def views(self) -> Mapping[int, View]:
        return {}

    def create_offer(self) -> Description:
        self.calls.append(("create_offer",))
        return Description("offer", "v=0 offer")

    def handle_answer(self, sdp: str) -> None:
        self.calls.append(("handle_answer", sdp))

    def restart_ice(self) -> None:
        self.calls.append(("restart_ice",))

    def prefer_tcp(self, wanted: bool) -> None:
        self.calls.append(("prefer_tcp", wanted))

    def ask_again(self) -> None:
        self.calls.append(("ask_again",))

    def candidates(self) -> Sequence[str]:
        return ()

    def reserve_track(self, spec: PublicationSpec) -> TrackSid:
        permissions = self.permissions
        allowed = not permissions.can_publish_sources or (
            spec.source in permissions.can_publish_sources
        )
        if not permissions.can_publish or not allowed:
            raise RemoteError("not_allowed", "may not publish")
        if any(each.spec.cid == spec.cid for each in self.publications.values()):
            raise RemoteError("queued", "the cid is in use")
        letter = "V" if spec.kind is TrackKind.VIDEO else "A"
        return TrackSid(f"TR_{letter}{self._rooms.number():011d}")

    def announce(self, spec: PublicationSpec, sid: TrackSid | None = None) -> PublicationDouble:
        unused = self.reserve_track(spec)
        sid = sid or unused
        publication = self.publications[sid] = PublicationDouble(sid, spec)
        return publication

    def publish(self, sid: TrackSid, mime_type: str = "video/vp8") -> PublicationDouble:
        """Media of an announced track arrives."""
        publication = self.publications[sid]
        publication.mime_type, publication.mid, publication.published = mime_type, "0", True
        self.touch()
        self._rooms.emit(events.TrackPublished, self.room, self, publication)
        return publication

    def set_muted(self, track: TrackSid, muted: bool) -> None:
        self._own(track).muted = muted
        self.touch()

    def update_publication(self, track: TrackSid, spec: PublicationSpec) -> None:
        self._own(track).spec = spec
        self.touch()

    def unpublish(self, track: TrackSid) -> None:
        self.drop_track(track, by_server=True)

    def drop_track(self, track: TrackSid, *, by_server: bool) -> None:
        publication = self._own(track)
        del self.publications[track]
        self.touch()
        self._rooms.emit(events.TrackUnpublished, self.room, self, publication, by_server)

    def set_track_grants(self, everyone: bool, grants: Sequence[TrackGrant]) -> None:
        self.calls.append(("set_track_grants", everyone, tuple(grants)))

    def subscribe(self, tracks: Iterable[TrackSid]) -> None:
        self.subscribed_tracks |= set(tracks)

    def unsubscribe(self, tracks: Iterable[TrackSid]) -> None:
        self.subscribed_tracks -= set(tracks)

    def set_track_settings(self, track: TrackSid, settings: TrackSettings) -> None:
        self.calls.append(("set_track_settings", track, settings))

    def update(
        self,
        *,
        name: str | None = None,
        metadata: str | None = None,
        attributes: Mapping[str, str] | None = None,
        permissions: Permissions | None = None,
    ) -> None:
        self.name = self.name if name is None else name
        self.metadata = self.metadata if metadata is None else metadata
        merged = {**self.attributes, **(attributes or {})}
        self.attributes = {key: value for key, value in merged.items() if value}
        self.permissions = permissions or self.permissions
        self.touch()

    def mark_joined(self) -> None:
        if self.state is PeerState.JOINING:
            self.state = PeerState.JOINED
            self.touch()

    def activate(self) -> None:
        """The primary connection is up."""
        self.state = PeerState.ACTIVE
        self.touch()
        self._rooms.emit(events.PeerActive, self.room, self)

    def fail(self, code: str = "ice_consent_expired") -> None:
        """A connection ended by itself."""
        self.failed = True
        self._rooms.emit(events.ConnectionFailed, self.room, self, code)

    def open_channel(self, label: str) -> None:
        self._rooms.channels.add((self.sid, label))
        self._rooms.emit(events.ChannelsReady, self.room, self, label)

    def leave(self, reason: LeaveReason) -> None:
        if self.state is PeerState.DISCONNECTED:
            return
        was_active = self.state is PeerState.ACTIVE
        self.state = PeerState.DISCONNECTED
        self.version += 1
        if self.room.peers.get(self.identity) is self:
            del self.room.peers[self.identity]
        self._rooms.emit(events.PeerLeft, self.room, self, reason, was_active)
        self._rooms.emit(events.RoomUpdated, self.room)

    def touch(self) -> None:
        self.version += 1
        self._rooms.emit(events.PeerUpdated, self.room, self)

    def _own(self, track: TrackSid) -> PublicationDouble:
        if track not in self.publications:
            raise RemoteError("not_found", "no such track")
        return self.publications[track]


class RoomDouble:
    def __init__(
        self, rooms: RoomsDouble, sid: RoomSid, name: RoomName, options: RoomOptions
    ) -> None:
        self._rooms = rooms
        self.sid = sid
        self.name = name
        self.options = options
        self.metadata = options.metadata
        self.created_at = 1_700_000_000.5
        self.recording = False
        self.peers: dict[Identity, PeerDouble] = {}

    def set_metadata(self, metadata: str) -> None:
        self.metadata = metadata
        self._rooms.emit(events.RoomUpdated, self)


class RoomsDouble:
    def __init__(self) -> None:
        self.rooms: dict[RoomName, RoomDouble] = {}
        self.channels: set[tuple[PeerSid, str]] = set()
        self.sent: list[tuple[PeerSid, str, bytes]] = []
        self.draining = False
        self.listener: Callable[[events.SfuEvent], None] = lambda event: None
        self._events: list[events.SfuEvent] = []
        self._numbers = 0

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    def emit(self, kind: type, *facts: object) -> None:
        self._events.append(kind(*facts))

    def reserve_room(self) -> RoomSid:
        return RoomSid(f"RM_{self.number():012d}")

    def reserve_peer(self) -> PeerSid:
        return PeerSid(f"PA_{self.number():012d}")

    def create_room(
        self, name: RoomName, options: RoomOptions, sid: RoomSid | None = None
    ) -> RoomDouble:
        room = self.rooms.get(name)
        if room is None:
            sid = sid or self.reserve_room()
            room = self.rooms[name] = RoomDouble(self, sid, name, options)
            self.emit(events.RoomStarted, room)
        else:
            room.options = options
            room.metadata = options.metadata
        return room

    def delete_room(self, name: RoomName) -> None:
        room = self.rooms.get(name)
        if room is None:
            raise RemoteError("not_found", "no such room")
        for peer in list(room.peers.values()):
            peer.leave(LeaveReason.ROOM_DELETED)
        del self.rooms[name]
        self.emit(events.RoomEnded, room, LeaveReason.ROOM_DELETED)

    def join(
        self, name: RoomName, spec: PeerSpec, options: RoomOptions, sid: PeerSid | None = None
    ) -> PeerDouble:
        if self.draining:
            raise RemoteError("draining", "the server is going down")
        room = self.rooms.get(name) or self.create_room(name, options)
        if (older := room.peers.get(spec.identity)) is not None:
            older.leave(LeaveReason.DUPLICATE_IDENTITY)
        peer = PeerDouble(self, room, sid or self.reserve_peer(), spec)
        room.peers[spec.identity] = peer
        self.emit(events.PeerJoined, room, peer)
        self.emit(events.RoomUpdated, room)
        return peer

    def send_data(self, peers: Iterable[PeerPort], label: str, data: bytes) -> None:
        self.sent += [
            (peer.sid, label, data) for peer in peers if (peer.sid, label) in self.channels
        ]

    def channel_open(self, peer: PeerPort, label: str) -> bool:
        return (peer.sid, label) in self.channels

    def flush(self) -> None:
        while self._events:
            self.listener(self._events.pop(0))
