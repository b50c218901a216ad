"""A room, its people and their tracks as everybody outside of the sfu sees them, as protocols; events carry them.

All calls are synchronous and quick: they change state and queue commands for the data plane. A refusal raises
`common.errors.RemoteError` with a stable code and changes nothing. The objects are live: by the time that somebody
looks at what an event carried it may have moved on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from common.ids import Identity, PeerSid, RoomName, RoomSid, TrackSid
from sfu.model import (
    ClientFacts,
    Description,
    LayerSpec,
    LeaveReason,
    PeerKind,
    PeerState,
    Permissions,
    PublicationSpec,
    Quality,
    RoomOptions,
    TrackGrant,
    TrackSettings,
    View,
)


class LayerPort(Protocol):
    """A layer that a subscriber may choose; sizes in pixels, 0 where unknown."""

    @property
    def quality(self) -> Quality:
        """Orders the layers."""

    @property
    def width(self) -> int:
        """Of the picture."""

    @property
    def height(self) -> int:
        """Of the picture."""


class PublicationPort(Protocol):
    """A track of a peer."""

    @property
    def sid(self) -> TrackSid:
        """`TR_...`."""

    @property
    def spec(self) -> PublicationSpec:
        """As announced, with later feature updates applied."""

    @property
    def mid(self) -> str:
        """Of the publisher's section; empty until negotiated."""

    @property
    def mime_type(self) -> str:
        """In lower case, such as `video/vp8`; empty until known."""

    @property
    def sdp_cid(self) -> str:
        """The track id in SDP where it differs from the cid."""

    @property
    def muted(self) -> bool:
        """Whether its publisher or a moderator muted it."""

    @property
    def layers(self) -> tuple[LayerSpec, ...]:
        """Resolved, sorted by quality."""

    @property
    def rids(self) -> tuple[str, ...]:
        """Low to high; empty for a single stream."""

    @property
    def options(self) -> Sequence[LayerPort]:
        """The layers that really exist, low to high."""

    @property
    def bitrates(self) -> Sequence[int]:
        """Bit/s of each stream, low to high, as last measured; empty while unknown."""

    @property
    def published(self) -> bool:
        """Media is up and everybody may know."""


class PeerPort(Protocol):
    """A participant.

    The primary connection, which makes the peer active, is the subscriber's if there are two and
    it may subscribe, else the publisher's. The engine owns the timers of connections: 60 s from
    join to active, negotiation, and the 5 s that a peer stays after `ConnectionFailed`. Signalling
    ends a peer whose socket closed before it was active.
    """

    @property
    def sid(self) -> PeerSid:
        """`PA_...`."""

    @property
    def room(self) -> RoomPort:
        """Where it is."""

    @property
    def identity(self) -> Identity:
        """Unique in its room."""

    @property
    def name(self) -> str:
        """For people to read."""

    @property
    def metadata(self) -> str:
        """Opaque to the server."""

    @property
    def attributes(self) -> Mapping[str, str]:
        """Opaque to the server."""

    @property
    def kind(self) -> PeerKind:
        """What it is."""

    @property
    def permissions(self) -> Permissions:
        """What it may do now."""

    @property
    def client(self) -> ClientFacts:
        """What its client said about itself."""

    @property
    def state(self) -> PeerState:
        """How far it has come."""

    @property
    def version(self) -> int:
        """Rises with every change that others may see; never falls within a sid."""

    @property
    def joined_at(self) -> float:
        """Seconds since the epoch."""

    @property
    def single_connection(self) -> bool:
        """One connection for both directions."""

    @property
    def subscriber_primary(self) -> bool:
        """Which connection makes it active; fixed at the join."""

    @property
    def failed(self) -> bool:
        """A connection ended by itself: it can't be resumed, only joined anew."""

    last_data_sequence: int  # of reliable data from this peer; kept by signalling

    @property
    def subscribed_tracks(self) -> Collection[TrackSid]:
        """Tracks of others that this peer receives now (bound subscriptions, not wishes)."""

    @property
    def publications(self) -> Mapping[TrackSid, PublicationPort]:
        """Announced tracks, published or not."""

    @property
    def is_publisher(self) -> bool:
        """Whether any track is published."""

    # -- connections: "publisher" (the only one in single mode) and "subscriber" --
    def handle_offer(self, sdp: str) -> Description:
        """The client's offer on the publisher connection; returns our answer with candidates in it.

        Raises RemoteError: sdp_malformed, sdp_profile, sdp_no_fingerprint, sdp_limits,
        sdp_fingerprint_changed.
        """

    @property
    def ice_session(self) -> str:
        """Names the ICE session of the publisher connection; another one after each restart."""

    def handle_fragment(self, fragment: str) -> str | None:
        """What the client tells of ICE beside its offers (RFC 8840).

        New credentials restart ICE: returns our fragment, else None.
        Raises RemoteError: sdp_malformed, sdp_limits, connection_failed.
        """

    @property
    def views(self) -> Mapping[int, View]:
        """What a viewer that negotiates once sees, by the place of each section in its description."""

    def create_offer(self) -> Description:
        """Our offer on the subscriber connection (dual mode), or to a viewer that negotiates once."""

    def handle_answer(self, sdp: str) -> None:
        """The client's answer to our offer.

        One that nothing waits for is ignored and counted on a subscriber connection; to a viewer it is refused:
        answer_unexpected. Raises RemoteError: as `handle_offer`.
        """

    def restart_ice(self) -> None:
        """New credentials on the subscriber connection with the next offer (resume)."""

    def ask_again(self) -> None:
        """Single connection: what the client was asked to offer may not have reached it (resume)."""

    def candidates(self) -> Sequence[str]:
        """Our candidate lines ("candidate:..."), for clients that want them trickled."""

    def prefer_tcp(self, wanted: bool) -> None:
        """Whether descriptions from now on, also after joining anew, show only candidates over TCP."""

    # -- publishing --
    def reserve_track(self, spec: PublicationSpec) -> TrackSid:
        """Names a track that may be announced; nothing changes. Raises RemoteError as `announce`."""

    def announce(self, spec: PublicationSpec, sid: TrackSid | None = None) -> PublicationPort:
        """A track to come, under a name that `reserve_track` gave.

        Raises RemoteError: not_allowed, limit_exceeded, unsupported_type, or queued when that cid
        is announced or published already (signalling asks again after its `TrackUnpublished`).
        """

    def set_muted(self, track: TrackSid, muted: bool) -> None:
        """Mutes or unmutes an own track. Raises RemoteError: not_found."""

    def update_publication(self, track: TrackSid, spec: PublicationSpec) -> None:
        """Replaces the announced facts of a track (features, size, further codecs).

        Raises RemoteError: not_found.
        """

    def unpublish(self, track: TrackSid) -> None:
        """Ends an own track by the server's will (permission, moderation)."""

    def set_track_grants(self, everyone: bool, grants: Sequence[TrackGrant]) -> None:
        """Replaces the rules about who may subscribe to this peer's tracks."""

    # -- subscribing --
    def subscribe(self, tracks: Iterable[TrackSid]) -> None:
        """Wishes for tracks; unknown ones are remembered. Idempotent."""

    def unsubscribe(self, tracks: Iterable[TrackSid]) -> None:
        """Takes wishes back. Idempotent."""

    def set_track_settings(self, track: TrackSid, settings: TrackSettings) -> None:
        """What is wanted of a subscribed (or not yet known) track."""

    # -- facts, data, end --
    def update(
        self,
        *,
        name: str | None = None,
        metadata: str | None = None,
        attributes: Mapping[str, str] | None = None,
        permissions: Permissions | None = None,
    ) -> None:
        """Changes facts; attributes merge, an empty value deletes.

        Raises RemoteError: limit_exceeded.
        """

    def mark_joined(self) -> None:
        """The join answer was sent: joining to joined."""

    def leave(self, reason: LeaveReason) -> None:
        """Ends the peer and all it had. Idempotent."""


class RoomPort(Protocol):
    """A room."""

    @property
    def sid(self) -> RoomSid:
        """`RM_...`."""

    @property
    def name(self) -> RoomName:
        """Unique among the rooms that exist."""

    @property
    def options(self) -> RoomOptions:
        """Settings."""

    @property
    def metadata(self) -> str:
        """Opaque to the server."""

    @property
    def created_at(self) -> float:
        """Seconds since the epoch."""

    @property
    def recording(self) -> bool:
        """Whether a recorder is present."""

    @property
    def peers(self) -> Mapping[Identity, PeerPort]:
        """Everybody, hidden ones too."""

    def set_metadata(self, metadata: str) -> None:
        """Replaces the metadata. Raises RemoteError: limit_exceeded."""
