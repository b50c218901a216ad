"""What rooms ask of the data plane, and what it tells them: two protocols and the plain values between them.

`sfu.plane.Plane` is the native implementation. Nothing here decides or does anything. Commands only queue.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from common.ids import LegId, TrackId, TransportId

CodecName = Literal["opus", "red", "pcmu", "pcma", "vp8", "vp9", "h264", "h265", "av1"]
Kind = Literal["audio", "video"]
ExtensionIds = tuple[tuple[int, str], ...]  # (id, URI)
ChannelAddress = tuple[TransportId, int]  # (transport, SCTP stream)


class TrackCodec(NamedTuple):
    """A payload type that a publisher may send."""

    payload_type: int
    codec: CodecName
    clock_rate: int  # Hz
    rtx: int | None
    nack: bool


class StreamSpec(NamedTuple):
    """An RTP stream of a track, as signalled."""

    rid: str | None = None
    ssrc: int | None = None
    rtx_ssrc: int | None = None


class PayloadMap(NamedTuple):
    """How a publisher's payload type reaches a subscriber."""

    source: int
    target: int
    rtx: int | None
    strip_red: bool


@dataclass(frozen=True, slots=True)
class TrackSpec:
    """A track that a publisher may now send; streams go from low to high."""

    transport: TransportId
    kind: Kind
    mid: str
    codecs: tuple[TrackCodec, ...]
    streams: tuple[StreamSpec, ...]
    screen: bool = False


@dataclass(frozen=True, slots=True)
class LegSpec:
    """A subscription's egress stream; it starts paused."""

    track: TrackId
    transport: TransportId
    kind: Kind
    mid: str
    ssrc: int
    rtx_ssrc: int | None
    cname: str
    payloads: tuple[PayloadMap, ...]
    extensions: ExtensionIds


@dataclass(frozen=True, slots=True)
class RemoteSpec:
    """What a peer's description says about its end of a transport."""

    ufrag: str
    fingerprints: tuple[tuple[str, bytes], ...]  # (hash name in lower case, digest)
    dtls_client: bool  # our role
    sctp: tuple[int, int] | None  # (peer's port, its largest message in bytes)
    pwd: str = field(
        default="", repr=False
    )  # empty: its addresses are learnt from its checks alone


class ChannelSpec(NamedTuple):
    """A data channel as it is opened (RFC 8832)."""

    label: str
    ordered: bool
    max_retransmits: int | None


class AudioLevel(NamedTuple):
    """Loudness of a track since the last report; levels in -dBov, 0 loud to 127 silent."""

    track: TrackId
    loudest: int
    mean: int
    active: int  # packets at or above -35 dBov
    packets: int


class TransportStats(NamedTuple):
    """Counters of a transport since its start."""

    rtt_us: int | None
    received_packets: int
    received_bytes: int
    sent_packets: int
    sent_bytes: int


class TrackStats(NamedTuple):
    """Counters of a track since its start; `stream_bps` is over the last second."""

    packets: int
    bytes: int
    lost: int
    jitter_us: int
    stream_bps: tuple[int, ...]


class LegStats(NamedTuple):
    """Counters of a leg and what its receiver reported last."""

    packets: int
    bytes: int
    fraction_lost: int  # of 256
    rtt_us: int | None
    jitter_us: int


@dataclass(frozen=True, slots=True)
class PlaneSnapshot:
    """Statistics of everything that lives in the data plane now."""

    transports: dict[TransportId, TransportStats]
    tracks: dict[TrackId, TrackStats]
    legs: dict[LegId, LegStats]


class DataPlanePort(Protocol):
    """Commands. Numbers are given here and never used again."""

    @property
    def addresses(self) -> Sequence[Sequence[tuple[str, int]]]:
        """Per lane the (address, port) pairs that its sockets are bound to."""

    @property
    def tcp_addresses(self) -> Sequence[Sequence[tuple[str, int]]]:
        """Per lane the (address, port) pairs on which it accepts TCP connections; none if it does not."""

    def add_transport(self, *, lane: int, ufrag: str, pwd: str) -> TransportId:
        """A client may connect with these credentials."""

    def set_remote(self, transport: TransportId, remote: RemoteSpec) -> None:
        """The peer's description arrived or changed."""

    def restart_ice(self, transport: TransportId, *, ufrag: str, pwd: str) -> None:
        """New credentials; the old ones work until the first check with the new."""

    def set_extensions(self, transport: TransportId, extensions: ExtensionIds) -> None:
        """Header extension ids that the peer uses."""

    def remove_transport(self, transport: TransportId) -> None:
        """Ends a transport with its tracks and legs."""

    def add_track(self, spec: TrackSpec, *, open: bool) -> TrackId:
        """A publisher may send this track; nothing of it is forwarded unless `open`."""

    def replace_track(self, track: TrackId, spec: TrackSpec) -> None:
        """New parameters of a track."""

    def set_track_open(self, track: TrackId, open: bool) -> None:
        """The gate of a track."""

    def remove_track(self, track: TrackId) -> None:
        """Ends a track."""

    def add_leg(self, spec: LegSpec) -> LegId:
        """A subscriber gets a track; paused until `set_leg`."""

    def set_leg(self, leg: LegId, target: tuple[int, int] | None) -> None:
        """(stream or spatial index, temporal layer) wanted, or None to pause."""

    def remove_leg(self, leg: LegId) -> None:
        """Ends a leg."""

    def request_keyframe(self, track: TrackId, stream: int) -> None:
        """Asks the publisher for a key frame, within the throttle."""

    def open_channel(self, transport: TransportId, channel: ChannelSpec) -> None:
        """Opens a data channel in-band once the association is up."""

    def send(self, to: Sequence[ChannelAddress], data: bytes) -> None:
        """One binary message to many channels."""

    def snapshot(self) -> PlaneSnapshot:
        """Statistics of this moment."""

    def flush(self) -> None:
        """Hands queued commands to the lanes."""


class DataPlaneListener(Protocol):
    """Events, one method each; unknown identities belong to what was just removed."""

    def handle_transport_validated(self, transport: TransportId) -> None:
        """The first authenticated connectivity check arrived."""

    def handle_transport_connected(self, transport: TransportId, profile: str) -> None:
        """DTLS is up and the fingerprint matched."""

    def handle_transport_closed(self, transport: TransportId, reason: str) -> None:
        """A transport ended by itself."""

    def handle_stream_changed(
        self, track: TrackId, stream: int, active: bool, codec: CodecName
    ) -> None:
        """A stream of a track started or stopped to arrive."""

    def handle_leg_changed(self, leg: LegId, layer: int | None) -> None:
        """What a leg carries now."""

    def handle_audio_levels(self, levels: Sequence[AudioLevel]) -> None:
        """Loudness of all audio tracks that had packets."""

    def handle_channel_opened(
        self, transport: TransportId, stream: int, channel: ChannelSpec
    ) -> None:
        """A data channel is open."""

    def handle_channel_message(self, transport: TransportId, stream: int, data: bytes) -> None:
        """A message arrived."""

    def handle_channel_closed(self, transport: TransportId, stream: int) -> None:
        """A data channel ended."""
