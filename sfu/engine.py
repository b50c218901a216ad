"""All rooms of this process, and the data plane's news on their way to them.

In come the calls of signalling, events of the data plane and the passing of time; out go commands and events.
Synchronous and without I/O: `flush` delivers both, `sfu.driver` calls it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from common.clock import Clock
from common.errors import RemoteError
from common.ids import LegId, PeerSid, RoomName, RoomSid, TrackId, TransportId, new_sid
from sfu.context import Context
from sfu.dataplane import AudioLevel, ChannelSpec, CodecName, DataPlanePort
from sfu.events import PeerUpdated, SfuEvent
from sfu.measuring import Measuring
from sfu.model import LeaveReason, PeerSpec, RoomOptions, TrackKind
from sfu.negotiation.sdp import Fingerprint
from sfu.peer import Peer
from sfu.room import Room


class Addressee(Protocol):
    """Somebody to send data to, known by its sid."""

    @property
    def sid(self) -> PeerSid:
        """`PA_...`."""


class Engine:
    """Rooms, peers and tracks; implements what signalling asks for and what the data plane reports to."""

    def __init__(
        self,
        *,
        plane: DataPlanePort,
        clock: Clock,
        choose: Callable[[int], int],
        fingerprint: Fingerprint,
        announced: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        """`choose(n)`: uniform in [0, n), fit for secrets; `announced`: public addresses for bound ones."""
        self._context = Context(
            plane=plane,
            clock=clock,
            choose=choose,
            fingerprint=fingerprint,
            announced=announced or {},
            emit=self._emit,
        )
        self._measuring = Measuring(self._context, self._everybody)
        self._rooms: dict[RoomName, Room] = {}
        self._events: deque[SfuEvent] = deque()
        self._updated: set[PeerSid] = set()
        self._listener: Callable[[SfuEvent], None] = lambda event: None
        self._pending: Callable[[], None] = lambda: None
        self._delivering = False
        self.draining = False

    def listen(self, listener: Callable[[SfuEvent], None]) -> None:
        """The one who hears of events, during `flush`."""
        self._listener = listener

    def on_pending(self, wake: Callable[[], None]) -> None:
        """`wake` is called when there is something to flush, perhaps often."""
        self._pending = wake

    @property
    def rooms(self) -> Mapping[RoomName, Room]:
        """Rooms that exist."""
        return self._rooms

    @property
    def refusals(self) -> Mapping[str, int]:
        """What was dropped or refused quietly, by name."""
        return self._context.refusals

    @property
    def legs(self) -> Mapping[TrackKind, int]:
        """How many tracks are being delivered, by kind."""
        return Counter(leg.track_kind for leg in self._context.legs.values())

    @property
    def qualities(self) -> Mapping[str, int]:
        """How many peers have a connection of each quality."""
        return self._measuring.words()

    def reserve_room(self) -> RoomSid:
        """Names a room that is about to be created."""
        return RoomSid(new_sid("RM_", self._context.choose))

    def reserve_peer(self) -> PeerSid:
        """Names a participant that is about to join."""
        return PeerSid(new_sid("PA_", self._context.choose))

    def create_room(self, name: RoomName, options: RoomOptions, sid: RoomSid | None = None) -> Room:
        """Creates a room, or updates the non-default options of one that exists."""
        room = self._rooms.get(name)
        if room is not None:
            room.update_options(options)
            return room
        sid = sid or self.reserve_room()
        room = Room(self._context, name, options, sid=sid, ended=self._forget)
        self._rooms[name] = room
        return room

    def delete_room(self, name: RoomName) -> None:
        """Ends a room and everybody in it."""
        room = self._rooms.get(name)
        if room is None:
            raise RemoteError("not_found", "requested room does not exist")
        room.end(LeaveReason.ROOM_DELETED)

    def join(
        self, name: RoomName, spec: PeerSpec, options: RoomOptions, sid: PeerSid | None = None
    ) -> Peer:
        """Lets a participant in; creates the room if need be."""
        if self.draining:
            raise RemoteError("draining", "this server takes no more participants")
        room = self._rooms.get(name) or self.create_room(name, options)
        return room.join(spec, sid or self.reserve_peer())

    def send_data(self, peers: Iterable[Addressee], label: str, data: bytes) -> None:
        """One message to many peers' channels of that label."""
        to = []
        for addressee in peers:
            peer = self._context.peers.get(addressee.sid)
            channel = peer.channel(label) if peer is not None else None
            if channel is None:
                self._context.refuse("data_no_channel")
            else:
                to.append(channel)
        if to:
            self._context.plane.send(to, data)
            self._pending()

    def channel_open(self, peer: Addressee, label: str) -> bool:
        """Whether `peer` can be reached on that channel."""
        known = self._context.peers.get(peer.sid)
        return known is not None and known.channel(label) is not None

    def close(self) -> None:
        """The server stops: everybody leaves."""
        self.draining = True
        for room in list(self._rooms.values()):
            room.end(LeaveReason.SERVER_SHUTDOWN)

    def flush(self) -> None:
        """Delivers events, then hands queued commands to the data plane. Does nothing inside itself."""
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._events:
                event = self._events.popleft()
                if isinstance(event, PeerUpdated):
                    self._updated.discard(event.peer.sid)
                self._listener(event)
        finally:
            self._delivering = False
            if self._events:  # the listener failed: what is left goes out in the next turn
                self._pending()
        self._context.plane.flush()

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is due, monotonic seconds."""
        return self._context.timers.next_timeout()

    def handle_timeout(self, now: float) -> None:
        """Time has passed."""
        self._context.timers.handle_timeout(now)
        self._pending()

    # -- the data plane's news --

    def handle_transport_validated(self, transport: TransportId) -> None:
        """The first authenticated connectivity check arrived."""
        owner = self._context.transports.get(transport)
        if owner is not None:
            owner.handle_validated()

    def handle_transport_connected(self, transport: TransportId, profile: str) -> None:
        """DTLS is up and the fingerprint matched."""
        owner = self._context.transports.get(transport)
        if owner is not None:
            owner.handle_connected(profile)
            self._measuring.watch()

    def handle_transport_closed(self, transport: TransportId, reason: str) -> None:
        """A transport ended by itself."""
        owner = self._context.transports.get(transport)
        if owner is not None:
            owner.handle_closed(reason)

    def handle_stream_changed(
        self, track: TrackId, stream: int, active: bool, codec: CodecName
    ) -> None:
        """A stream of a track started or stopped to arrive."""
        owner = self._context.tracks.get(track)
        if owner is not None:
            owner.handle_stream(stream, active, codec)

    def handle_leg_changed(self, leg: LegId, layer: int | None) -> None:
        """What a leg carries now."""
        owner = self._context.legs.get(leg)
        if owner is not None:
            owner.handle_layer(layer)

    def handle_audio_levels(self, levels: Sequence[AudioLevel]) -> None:
        """Loudness of all audio tracks that had packets."""
        self._context.speaking.handle_levels(levels)

    def handle_channel_opened(
        self, transport: TransportId, stream: int, channel: ChannelSpec
    ) -> None:
        """A data channel is open."""
        owner = self._context.transports.get(transport)
        if owner is not None:
            owner.handle_channel_opened(stream, channel.label)

    def handle_channel_message(self, transport: TransportId, stream: int, data: bytes) -> None:
        """A message arrived."""
        owner = self._context.transports.get(transport)
        if owner is None:
            self._context.refuse("data_unknown_channel")
        else:
            owner.handle_channel_message(stream, data)

    def handle_channel_closed(self, transport: TransportId, stream: int) -> None:
        """A data channel ended."""
        owner = self._context.transports.get(transport)
        if owner is not None:
            owner.handle_channel_closed(stream)

    def _emit(self, event: SfuEvent) -> None:
        """Queues an event; news of a peer that wait already are not doubled."""
        if isinstance(event, PeerUpdated):
            if event.peer.sid in self._updated:
                return
            self._updated.add(event.peer.sid)
        self._events.append(event)
        self._pending()

    def _everybody(self) -> Iterator[Peer]:
        for room in self._rooms.values():
            yield from room.peers.values()

    def _forget(self, room: Room) -> None:
        if self._rooms.get(room.name) is room:
            del self._rooms[room.name]
