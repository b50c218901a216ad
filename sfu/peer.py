"""A participant: its facts, its connections, what it publishes and what it receives.

In come the calls of signalling and the data plane's news of its connections, out go events. It holds the parts
together; publishing, receiving and negotiation each have a module of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from common.errors import RemoteError
from common.ids import Identity, PeerSid, TrackSid
from sfu.answering import AnsweringSender
from sfu.connection import Connection
from sfu.context import Context
from sfu.dataplane import ChannelAddress
from sfu.events import (
    ChannelsReady,
    ConnectionFailed,
    PeerActive,
    PeerUpdated,
    SubscriptionAllowed,
)
from sfu.lifecycle import Step, advance
from sfu.limits import (
    ACTIVE_TIMEOUT,
    MAX_ATTRIBUTES_SIZE,
    MAX_METADATA_SIZE,
    MAX_NAME_LENGTH,
    MAX_TRACK_GRANTS,
    RESUME_GRACE,
)
from sfu.model import (
    Description,
    LeaveReason,
    PeerSpec,
    PeerState,
    Permissions,
    PublicationSpec,
    TrackGrant,
    TrackSettings,
    View,
)
from sfu.negotiation import extensions
from sfu.negotiation.answer import build_answer
from sfu.negotiation.fragment import read_credentials, write_fragment
from sfu.negotiation.parse import parse
from sfu.negotiation.sdp import Session
from sfu.negotiation.transport import read_transport
from sfu.offering import OfferingSender
from sfu.ports import PeerPort, RoomPort
from sfu.progress import ANSWERED, CONNECTED, VALIDATED, Progress
from sfu.publication import Publication
from sfu.publisher import Publisher, Stage
from sfu.subscriber import Subscriber
from sfu.viewing import ViewingSender

WITHOUT_RED = frozenset({"firefox", "safari"})


class Surroundings(RoomPort, Stage, Protocol):
    """The room, as a peer in it sees it."""

    @property
    def peers(self) -> Mapping[Identity, Peer]:
        """Everybody."""

    @property
    def tracks(self) -> Mapping[TrackSid, Publication]:
        """Those that are published."""

    @property
    def over_tcp(self) -> Mapping[Identity, None]:
        """Who is told of candidates over TCP alone."""

    def prefer_tcp(self, identity: Identity, wanted: bool) -> None:
        """Whether somebody is, now and after joining anew."""

    def watch_recorders(self) -> None:
        """Permissions changed."""

    def remove(self, peer: Peer, reason: LeaveReason, *, was_active: bool) -> None:
        """A peer has left."""


class Peer:
    """One participant of a room."""

    def __init__(self, context: Context, room: Surroundings, sid: PeerSid, spec: PeerSpec) -> None:
        """Starts joining; others learn of it when it is active or publishes."""
        self._context = context
        self.room = room
        self.sid = sid
        self.identity = spec.identity
        self.name = spec.name
        self.metadata = spec.metadata
        self.attributes: Mapping[str, str] = dict(spec.attributes)
        self.kind = spec.kind
        self.permissions = spec.permissions
        self.client = spec.client
        self.state = PeerState.JOINING
        self.version = 1
        self.joined_at = context.clock.wall()
        self.single_connection = spec.single_connection
        self.renegotiates = spec.renegotiates
        self.subscriber_primary = not spec.single_connection and spec.permissions.can_subscribe
        self.failed = False
        self.last_data_sequence = 0
        asked_at = context.clock.now() if spec.asked_at is None else spec.asked_at
        finds_media = bool(room.tracks) and spec.auto_subscribe
        self._progress = Progress(context, self, since=asked_at, finds_media=finds_media)
        self.publisher = Publisher(context, self, room)
        self.subscriber = Subscriber(
            context,
            self,
            room.tracks,
            self._progress,
            auto=spec.auto_subscribe,
            adaptive=spec.adaptive_stream,
        )
        self._everyone = True
        self._grants: dict[Identity, TrackGrant] = {}
        self._connection: Connection | None = None  # where the client offers
        self._answering: AnsweringSender | ViewingSender | None = None
        self._offering: OfferingSender | None = None
        self._described: Session | None = None  # the last description of that connection
        if self.single_connection:
            self.subscriber.sender = self._answering = self._sender()
        elif self.subscriber_primary:
            self._open_subscriber()
        context.peers[sid] = self
        at = context.clock.now() + ACTIVE_TIMEOUT
        context.timers.arm(("active", sid), at, lambda: self.leave(LeaveReason.JOIN_FAILURE))

    @property
    def publications(self) -> Mapping[TrackSid, Publication]:
        """Announced tracks, published or not."""
        return self.publisher.publications

    @property
    def protocol(self) -> str:
        """What its client speaks: livekit, or whip or whep for one that negotiates once."""
        if self.renegotiates:
            return "livekit"
        viewer = self.permissions.can_subscribe and not self.permissions.can_publish
        return "whep" if viewer else "whip"

    @property
    def is_publisher(self) -> bool:
        """Whether any track is published."""
        return any(one.published for one in self.publisher.publications.values())

    @property
    def subscribed_tracks(self) -> Collection[TrackSid]:
        """Tracks of others that this peer receives now."""
        subscriptions = self.subscriber.subscriptions.values()
        return [one.publication.sid for one in subscriptions if one.leg is not None]

    @property
    def takes_red(self) -> bool:
        """Whether redundant audio may be offered to this client."""
        return self.client.browser.lower() not in WITHOUT_RED

    @property
    def only_tcp(self) -> bool:
        """Whether its descriptions show only candidates over TCP."""
        return self.identity in self.room.over_tcp

    @property
    def connections(self) -> Sequence[Connection]:
        """Its connections that exist."""
        offering = self._offering.connection if self._offering is not None else None
        return [one for one in (self._connection, offering) if one is not None]

    # -- connections --

    def handle_offer(self, sdp: str) -> Description:
        """The client's offer on the publisher connection; returns our answer."""
        self._require_alive()
        offer = parse(sdp)
        remote = read_transport(offer)
        connection = self._connection
        if connection is None:
            connection = self._connection = Connection(self._context, self, offers=False)
        if remote is not None:
            connection.apply_remote(remote)
        matches = self.publisher.match(offer)
        plans = self.publisher.plans(offer, matches)
        if self._answering is not None:
            plans |= self._answering.plan(offer, connection)
        answer, agreements = build_answer(
            offer,
            plans,
            connection.local(),
            connection.setup(),
            connection.next_version(),
            mux_only=not self.renegotiates,
        )
        self._described = answer
        agreed = extensions.identities(
            extension for one in agreements.values() for extension in one.extensions
        )
        self._context.plane.set_extensions(connection.transport, agreed)
        self.publisher.apply(offer, matches, agreements, connection.transport)
        tracks: dict[str, TrackSid] = {}
        if self._answering is not None:
            tracks = {mid: one.sid for mid, one in matches.items()}
            tracks |= self._answering.apply(agreements, connection)
        return Description("answer", answer.serialise(), tracks)

    @property
    def ice_session(self) -> str:
        """Names the ICE session of the connection where the client offers; another one after each restart."""
        return self._connection.ufrag if self._connection is not None else ""

    def handle_fragment(self, fragment: str) -> str | None:
        """What the client tells of ICE beside its offers: candidates, or new credentials.

        New ones restart ICE, and our fragment is returned. Raises RemoteError: sdp_malformed, sdp_limits,
        connection_failed.
        """
        self._require_alive()
        credentials = read_credentials(fragment)
        connection = self._connection
        if connection is None or self._described is None:
            raise RemoteError("connection_failed", "nothing was negotiated yet")
        if credentials is None or not connection.apply_credentials(*credentials):
            return None
        return write_fragment(self._described, connection.local())

    @property
    def views(self) -> Mapping[int, View]:
        """What a viewer that negotiates once sees, by the place of each section."""
        return self._answering.views if isinstance(self._answering, ViewingSender) else {}

    def create_offer(self) -> Description:
        """Our offer on the subscriber connection, or to a viewer that makes none itself."""
        if isinstance(self._answering, ViewingSender):
            self._require_alive()
            connection = self._connection or Connection(self._context, self, offers=True)
            self._connection = connection
            self._described = self._answering.create_offer(connection)
            return Description("offer", self._described.serialise())
        return self._require_offering().create_offer()

    def handle_answer(self, sdp: str) -> None:
        """The client's answer to our offer."""
        if isinstance(self._answering, ViewingSender):
            self._require_alive()
            self._answering.handle_answer(sdp)
        else:
            self._require_offering().handle_answer(sdp)

    def restart_ice(self) -> None:
        """New credentials on the subscriber connection with the next offer; clients restart what they offer."""
        if self._offering is not None and not self.failed:
            self._offering.restart_ice()

    def prefer_tcp(self, wanted: bool) -> None:
        """Whether descriptions from now on, also after joining anew, show only candidates over TCP."""
        self.room.prefer_tcp(self.identity, wanted)

    def ask_again(self) -> None:
        """Sections that the client was asked for may not be known to it: asks anew for what is missing."""
        if isinstance(self._answering, AnsweringSender) and not self.failed:
            self._answering.ask_again()

    def candidates(self) -> Sequence[str]:
        """Our candidate lines."""
        return self.connections[0].candidates() if self.connections else ()

    def handle_validated(self) -> None:
        """A connectivity check arrived on one of its connections."""
        self._progress.reach(VALIDATED)

    def handle_connected(self, connection: Connection) -> None:
        """DTLS is up on one of its connections."""
        self._progress.reach(CONNECTED)
        offering = self._offering
        primary = offering.connection if offering and self.subscriber_primary else self._connection
        if connection is primary and self.state is not PeerState.ACTIVE:
            self.state = advance(self.state, Step.MEDIA_UP)
            self._context.timers.disarm(("active", self.sid))
            self.touch()
            self._context.emit(PeerActive(self.room, self))

    def fail(self, code: str) -> None:
        """A connection is lost for good; the peer stays a little, for a client that comes back."""
        if self.failed or self.state is PeerState.DISCONNECTED:
            return
        self.failed = True
        self._context.emit(ConnectionFailed(self.room, self, code))
        at = self._context.clock.now() + RESUME_GRACE
        self._context.timers.arm(
            ("resume", self.sid), at, lambda: self.leave(LeaveReason.CONNECTION_TIMEOUT)
        )

    def channel(self, label: str) -> ChannelAddress | None:
        """The open channel to reach it on: ours on the subscriber connection, else the client's own."""
        connection = self._offering.connection if self._offering is not None else self._connection
        stream = connection.channel_stream(label) if connection is not None else None
        return None if connection is None or stream is None else (connection.transport, stream)

    def handle_channel_opened(self, connection: Connection, stream: int, label: str) -> None:
        """A data channel is open; told once it is the one to reach the peer on."""
        if self.channel(label) == (connection.transport, stream):
            self._context.emit(ChannelsReady(self.room, self, label))

    # -- publishing --

    def reserve_track(self, spec: PublicationSpec) -> TrackSid:
        """Names a track that may be announced."""
        return self.publisher.reserve(spec)

    def announce(self, spec: PublicationSpec, sid: TrackSid | None = None) -> Publication:
        """A track to come."""
        return self.publisher.announce(spec, sid)

    def set_muted(self, track: TrackSid, muted: bool) -> None:
        """Mutes or unmutes an own track."""
        publication = self.publisher.find(track)
        if publication.set_muted(muted):
            self._context.speaking.forget(publication.track)
            self.touch()

    def update_publication(self, track: TrackSid, spec: PublicationSpec) -> None:
        """Replaces the announced facts of a track."""
        self.publisher.update(track, spec)
        self.touch()

    def unpublish(self, track: TrackSid) -> None:
        """Ends an own track by the server's will."""
        self.publisher.end(self.publisher.find(track), by_server=True)

    def set_track_grants(self, everyone: bool, grants: Sequence[TrackGrant]) -> None:
        """Replaces the rules about who may subscribe to this peer's tracks."""
        if len(grants) > MAX_TRACK_GRANTS:
            raise RemoteError("limit_exceeded", "too many rules")
        others = [peer for peer in self.room.peers.values() if peer is not self]
        published = [one for one in self.publications.values() if one.published]
        before = {
            (peer.sid, one.sid): self.allows(peer, one.sid) for peer in others for one in published
        }
        self._everyone = everyone
        self._grants = {grant.identity: grant for grant in grants}
        for peer in others:
            for one in published:
                allowed = self.allows(peer, one.sid)
                if allowed != before[peer.sid, one.sid]:
                    peer.subscriber.consider(one)
                    event = SubscriptionAllowed(self.room, peer, self, one.sid, allowed)
                    self._context.emit(event)

    def allows(self, peer: PeerPort, track: TrackSid) -> bool:
        """Whether the rules of this publisher let `peer` subscribe; recorders are exempt."""
        if self._everyone or peer.permissions.recorder:
            return True
        grant = self._grants.get(peer.identity)
        return grant is not None and (grant.all_tracks or track in grant.tracks)

    # -- subscribing --

    def subscribe(self, tracks: Iterable[TrackSid]) -> None:
        """Wishes for tracks."""
        self.subscriber.subscribe(tracks)

    def unsubscribe(self, tracks: Iterable[TrackSid]) -> None:
        """Takes wishes back."""
        self.subscriber.unsubscribe(tracks)

    def set_track_settings(self, track: TrackSid, settings: TrackSettings) -> None:
        """What is wanted of a subscribed (or not yet known) track."""
        self.subscriber.set_track_settings(track, settings)

    # -- facts and end --

    def update(
        self,
        *,
        name: str | None = None,
        metadata: str | None = None,
        attributes: Mapping[str, str] | None = None,
        permissions: Permissions | None = None,
    ) -> None:
        """Changes facts; attributes merge, an empty value deletes."""
        merged = {
            key: value for key, value in {**self.attributes, **(attributes or {})}.items() if value
        }
        size = sum(len(key.encode()) + len(value.encode()) for key, value in merged.items())
        if (
            len(name or "") > MAX_NAME_LENGTH
            or len((metadata or "").encode()) > MAX_METADATA_SIZE
            or (attributes is not None and size > MAX_ATTRIBUTES_SIZE)
        ):
            raise RemoteError("limit_exceeded", "name, metadata or attributes are too long")
        self.name = self.name if name is None else name
        self.metadata = self.metadata if metadata is None else metadata
        self.attributes = merged
        self.touch()
        if permissions is not None and permissions != self.permissions:
            self.permissions = permissions
            self._apply_permissions()

    def mark_joined(self) -> None:
        """The join answer was sent."""
        state = advance(self.state, Step.JOIN_SENT)
        if state is not self.state:
            self.state = state
            self._progress.reach(ANSWERED)
            self.touch()

    def leave(self, reason: LeaveReason) -> None:
        """Ends the peer and all it had."""
        if self.state is PeerState.DISCONNECTED:
            return
        was_active = self.state is PeerState.ACTIVE
        self.state = advance(self.state, Step.LEAVE)
        self._context.timers.disarm(("active", self.sid))
        self._context.timers.disarm(("resume", self.sid))
        self.publisher.close()
        self.subscriber.close()
        for sender in (self._answering, self._offering):
            if sender is not None:
                sender.close()
        if self._connection is not None:
            self._connection.close()
        self.version += 1
        self._context.peers.pop(self.sid, None)
        self.room.remove(self, reason, was_active=was_active)

    def touch(self) -> None:
        """What others may know of it changed."""
        self.version += 1
        if self.state is not PeerState.DISCONNECTED:
            self._context.emit(PeerUpdated(self.room, self))

    def _apply_permissions(self) -> None:
        self.publisher.enforce()
        self.room.watch_recorders()
        can_subscribe = self.permissions.can_subscribe
        if can_subscribe and not self.single_connection and self._offering is None:
            self._open_subscriber()
        for publication in list(self.room.tracks.values()):
            self.subscriber.consider(publication)

    def _sender(self) -> AnsweringSender | ViewingSender | None:
        """How tracks reach a client with a single connection; an encoder takes none."""
        if self.renegotiates:
            return AnsweringSender(self._context, self, self.subscriber)
        if self.protocol == "whep":
            return ViewingSender(self._context, self, self.subscriber)
        return None

    def _open_subscriber(self) -> None:
        self._offering = OfferingSender(self._context, self, self.subscriber)
        self.subscriber.sender = self._offering
        self.subscriber.bind_all()

    def _require_alive(self) -> None:
        if self.failed or self.state is PeerState.DISCONNECTED:
            raise RemoteError("connection_failed", "this participant has to join anew")

    def _require_offering(self) -> OfferingSender:
        self._require_alive()
        if self._offering is None:
            raise RemoteError("no_subscriber_connection", "this client makes all the offers")
        return self._offering
