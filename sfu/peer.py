"""A participant: its facts, its connections, what it publishes and what it receives."""

from collections.abc import Iterable, Mapping, Sequence

from common.ids import PeerSid, TrackSid
from sfu.model import (
    Description,
    LeaveReason,
    PeerSpec,
    PeerState,
    Permissions,
    PublicationSpec,
    TrackGrant,
    TrackSettings,
)
from sfu.publication import Publication


class Peer:
    """One participant of a room."""

    def __init__(self, sid: PeerSid, spec: PeerSpec, joined_at: float) -> None:
        """`joined_at` is in seconds since the epoch."""
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
        self.joined_at = joined_at
        self.single_connection = spec.single_connection
        self.subscriber_primary = not spec.single_connection and spec.permissions.can_subscribe
        self.failed = False
        self.last_data_sequence = 0
        self._publications: dict[TrackSid, Publication] = {}

    @property
    def publications(self) -> Mapping[TrackSid, Publication]:
        """Announced tracks, published or not."""
        return self._publications

    @property
    def is_publisher(self) -> bool:
        """Whether any track is published."""
        return any(publication.published for publication in self._publications.values())

    def handle_offer(self, sdp: str) -> Description:
        """The client's offer on the publisher connection; returns our answer."""
        raise NotImplementedError

    def create_offer(self) -> Description:
        """Our offer on the subscriber connection."""
        raise NotImplementedError

    def handle_answer(self, sdp: str) -> None:
        """The client's answer on the subscriber connection."""
        raise NotImplementedError

    def restart_ice(self) -> None:
        """New credentials on the subscriber connection with the next offer."""
        raise NotImplementedError

    def candidates(self) -> Sequence[str]:
        """Our candidate lines."""
        raise NotImplementedError

    def announce(self, spec: PublicationSpec) -> Publication:
        """A track to come."""
        raise NotImplementedError

    def set_muted(self, track: TrackSid, muted: bool) -> None:
        """Mutes or unmutes an own track."""
        raise NotImplementedError

    def update_publication(self, track: TrackSid, spec: PublicationSpec) -> None:
        """Replaces the announced facts of a track."""
        raise NotImplementedError

    def unpublish(self, track: TrackSid) -> None:
        """Ends an own track by the server's will."""
        raise NotImplementedError

    def set_track_grants(self, everyone: bool, grants: Sequence[TrackGrant]) -> None:
        """Replaces the rules about who may subscribe to this peer's tracks."""
        raise NotImplementedError

    def subscribe(self, tracks: Iterable[TrackSid]) -> None:
        """Wishes for tracks."""
        raise NotImplementedError

    def unsubscribe(self, tracks: Iterable[TrackSid]) -> None:
        """Takes wishes back."""
        raise NotImplementedError

    def set_track_settings(self, track: TrackSid, settings: TrackSettings) -> None:
        """What is wanted of a subscribed (or not yet known) track."""
        raise NotImplementedError

    def update(
        self,
        *,
        name: str | None = None,
        metadata: str | None = None,
        attributes: Mapping[str, str] | None = None,
        permissions: Permissions | None = None,
    ) -> None:
        """Changes facts."""
        raise NotImplementedError

    def mark_joined(self) -> None:
        """The join answer was sent."""
        raise NotImplementedError

    def leave(self, reason: LeaveReason) -> None:
        """Ends the peer and all it had."""
        raise NotImplementedError
