"""Who hears the data plane's news of a transport, a track or a leg: their owners, as protocols.

Connections, publications, subscriptions and peers enter themselves into the `Context` under their numbers and
names; the engine passes news on to whoever stands there.
"""

from typing import Protocol

from sfu.dataplane import ChannelAddress, CodecName
from sfu.model import TrackKind
from sfu.ports import PeerPort


class TransportOwner(Protocol):
    """Has a transport."""

    def handle_validated(self) -> None:
        """The first authenticated connectivity check arrived."""

    def handle_connected(self, profile: str) -> None:
        """DTLS is up and the fingerprint matched."""

    def handle_closed(self, reason: str) -> None:
        """The transport ended by itself."""

    def handle_channel_opened(self, stream: int, label: str) -> None:
        """A data channel is open."""

    def handle_channel_message(self, stream: int, data: bytes) -> None:
        """A message arrived."""

    def handle_channel_closed(self, stream: int) -> None:
        """A data channel ended."""


class TrackOwner(Protocol):
    """Has a track."""

    @property
    def peer(self) -> PeerPort:
        """Whoever publishes it."""

    @property
    def muted(self) -> bool:
        """Whether nothing of it counts now."""

    def handle_stream(self, stream: int, active: bool, codec: CodecName) -> None:
        """A stream of the track started or stopped to arrive."""


class LegOwner(Protocol):
    """Has a leg."""

    @property
    def track_kind(self) -> TrackKind:
        """What the leg carries."""

    def handle_layer(self, layer: int | None) -> None:
        """The leg carries this layer now, or nothing."""


class ChannelOwner(Protocol):
    """May be reached by data."""

    def channel(self, label: str) -> ChannelAddress | None:
        """The open channel of that label to reach it on."""
