"""A room: its peers, the tracks that they published, and when it ends by itself.

In come joins, publications and departures, out go events; each peer decides for itself what it receives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace

from common.errors import RemoteError
from common.ids import Identity, PeerSid, RoomName, RoomSid, TrackSid
from sfu.context import Context
from sfu.events import (
    PeerJoined,
    PeerLeft,
    RoomEnded,
    RoomStarted,
    RoomUpdated,
    TrackPublished,
    TrackUnpublished,
)
from sfu.limits import MAX_METADATA_SIZE, MAX_OVER_TCP, ROOM_COUNTS_DELAY
from sfu.model import LeaveReason, PeerKind, PeerSpec, RoomOptions
from sfu.peer import Peer
from sfu.publication import Publication

DEPENDENTS = frozenset({PeerKind.EGRESS, PeerKind.AGENT})  # never a reason for a room to stay


class Room:
    """A room and everybody in it."""

    def __init__(
        self,
        context: Context,
        name: RoomName,
        options: RoomOptions,
        *,
        sid: RoomSid,
        ended: Callable[[Room], None],
    ) -> None:
        """Starts empty, and ends so after `empty_timeout`; `ended` is called once."""
        self._context = context
        self._ended = ended
        self.sid = sid
        self.name = name
        self.options = options
        self.metadata = options.metadata
        self.created_at = context.clock.wall()
        self.recording = False  # a recorder is present
        self.tracks: dict[TrackSid, Publication] = {}  # published ones
        self.over_tcp: dict[Identity, None] = {}  # who is told of candidates over TCP alone
        self._peers: dict[Identity, Peer] = {}
        self._visited = False
        self._over = False
        context.emit(RoomStarted(self))
        self._watch_emptiness()

    @property
    def peers(self) -> Mapping[Identity, Peer]:
        """Everybody, hidden ones too."""
        return self._peers

    def set_metadata(self, metadata: str) -> None:
        """Replaces the metadata."""
        if len(metadata.encode()) > MAX_METADATA_SIZE:
            raise RemoteError("limit_exceeded", "the metadata is too long")
        self.metadata = metadata
        self._context.emit(RoomUpdated(self))

    def watch_recorders(self) -> None:
        """Peers or permissions changed: tells the room if a recorder came or the last one went."""
        recording = any(peer.permissions.recorder for peer in self._peers.values())
        if recording != self.recording:
            self.recording = recording
            self._context.emit(RoomUpdated(self))

    def update_options(self, options: RoomOptions) -> None:
        """Takes over what differs from the defaults."""
        usual = asdict(RoomOptions())
        changes = {name: value for name, value in asdict(options).items() if value != usual[name]}
        self.options = replace(self.options, **changes)
        if options.metadata and options.metadata != self.metadata:
            self.set_metadata(options.metadata)
        self._watch_emptiness()

    def join(self, spec: PeerSpec, sid: PeerSid) -> Peer:
        """Lets a participant in; an older one of that identity leaves first."""
        self._check_capacity(spec)
        older = self._peers.get(spec.identity)
        if older is not None:
            older.leave(LeaveReason.DUPLICATE_IDENTITY)
        peer = Peer(self._context, self, sid, spec)
        self._peers[spec.identity] = peer
        self._visited = self._visited or spec.kind not in DEPENDENTS
        self._context.emit(PeerJoined(self, peer))
        for publication in self.tracks.values():
            peer.subscriber.consider(publication)
        self.watch_recorders()
        self._watch_emptiness()
        self._count_later()
        return peer

    def prefer_tcp(self, identity: Identity, wanted: bool) -> None:
        """Whether somebody's descriptions show only candidates over TCP, now and after joining anew."""
        self.over_tcp.pop(identity, None)
        if wanted:
            self.over_tcp[identity] = None
        if len(self.over_tcp) > MAX_OVER_TCP:
            del self.over_tcp[next(iter(self.over_tcp))]

    def publish(self, publication: Publication) -> None:
        """Media of a track is negotiated: everybody may know and subscribe."""
        publication.published = True
        self.tracks[publication.sid] = publication
        publication.dynacast.start()
        publication.peer.touch()
        self._context.emit(TrackPublished(self, publication.peer, publication))
        for peer in self._peers.values():
            peer.subscriber.consider(publication)
        self._count_later()

    def unpublish(self, publication: Publication, *, by_server: bool) -> None:
        """A track is over, whether it was published or only announced."""
        was_published = publication.published
        publication.published = False
        self.tracks.pop(publication.sid, None)
        for peer in self._peers.values():
            peer.subscriber.forget(publication)
        publication.close()
        publication.peer.touch()
        if was_published:
            event = TrackUnpublished(self, publication.peer, publication, by_server)
            self._context.emit(event)
            self._count_later()

    def remove(self, peer: Peer, reason: LeaveReason, *, was_active: bool) -> None:
        """A peer has left."""
        if self._peers.get(peer.identity) is peer:
            del self._peers[peer.identity]
        self._context.emit(PeerLeft(self, peer, reason, was_active))
        self.watch_recorders()
        self._watch_emptiness()
        self._count_later()

    def end(self, reason: LeaveReason) -> None:
        """Ends the room and everybody in it. Idempotent."""
        if self._over:
            return
        self._over = True
        for peer in list(self._peers.values()):
            peer.leave(reason)
        self._context.timers.disarm(("empty", self.sid))
        self._context.timers.disarm(("counts", self.sid))
        self._context.emit(RoomEnded(self, reason))
        self._ended(self)

    def _check_capacity(self, spec: PeerSpec) -> None:
        limit = self.options.max_participants
        if not limit or spec.kind in DEPENDENTS:
            return
        others = sum(
            peer.kind not in DEPENDENTS and peer.identity != spec.identity
            for peer in self._peers.values()
        )
        if others >= limit:
            raise RemoteError("room_full", "the room has no place left")

    def _watch_emptiness(self) -> None:
        key = ("empty", self.sid)
        if self._over or any(peer.kind not in DEPENDENTS for peer in self._peers.values()):
            self._context.timers.disarm(key)
            return
        options = self.options
        patience = options.departure_timeout if self._visited else options.empty_timeout
        at = self._context.clock.now() + patience
        self._context.timers.arm(key, at, lambda: self.end(LeaveReason.ROOM_CLOSED))

    def _count_later(self) -> None:
        key = ("counts", self.sid)
        if not self._over and not self._context.timers.armed(key):
            at = self._context.clock.now() + ROOM_COUNTS_DELAY
            self._context.timers.arm(key, at, lambda: self._context.emit(RoomUpdated(self)))
