"""A data plane that forwards nothing: it remembers what it was asked for and refuses what would be a bug."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from common.ids import LegId, TrackId, TransportId
from sfu.dataplane import (
    ChannelAddress,
    ChannelSpec,
    ExtensionIds,
    LegSpec,
    LegStats,
    PlaneSnapshot,
    RemoteSpec,
    TrackSpec,
    TrackStats,
    TransportStats,
)


@dataclass
class Transport:
    """What is known of a transport."""

    lane: int
    ufrag: str
    pwd: str
    remote: RemoteSpec | None = None
    extensions: ExtensionIds = ()
    channels: list[ChannelSpec] = field(default_factory=list)
    restarts: int = 0


@dataclass
class Track:
    """What is known of a track."""

    spec: TrackSpec
    open: bool
    replaced: int = 0


@dataclass
class Leg:
    """What is known of a leg."""

    spec: LegSpec
    target: tuple[int, int] | None = None


class RecordingPlane:
    """`DataPlanePort` in memory. Identities are never reused; ones that never were fail the test.

    What ended with its transport may still be named by a removal that crossed it, as in the real one.
    """

    def __init__(
        self,
        lanes: Sequence[Sequence[tuple[str, int]]] = ((("192.0.2.1", 7882),),),
        *,
        tcp: bool = False,
    ) -> None:
        """`tcp`: each lane accepts connections on the ports below."""
        self.addresses = lanes
        self.tcp_addresses = [
            [(address, port - len(lanes)) for address, port in lane if tcp] for lane in lanes
        ]
        self.transports: dict[TransportId, Transport] = {}
        self.tracks: dict[TrackId, Track] = {}
        self.legs: dict[LegId, Leg] = {}
        self.keyframes: list[tuple[TrackId, int]] = []
        self.sent: list[tuple[tuple[ChannelAddress, ...], bytes]] = []
        self.flushes = 0
        self.commands = 0
        self.transport_stats: dict[TransportId, TransportStats] = {}
        self.track_stats: dict[TrackId, TrackStats] = {}
        self.leg_stats: dict[LegId, LegStats] = {}
        self._numbers = 0
        self._ended: set[int] = set()

    def add_transport(self, *, lane: int, ufrag: str, pwd: str) -> TransportId:
        assert 0 <= lane < len(self.addresses)
        assert ufrag not in {one.ufrag for one in self.transports.values()}
        transport = TransportId(self._number())
        self.transports[transport] = Transport(lane, ufrag, pwd)
        return transport

    def set_remote(self, transport: TransportId, remote: RemoteSpec) -> None:
        self.commands += 1
        self.transports[transport].remote = remote

    def restart_ice(self, transport: TransportId, *, ufrag: str, pwd: str) -> None:
        self.commands += 1
        state = self.transports[transport]
        assert ufrag != state.ufrag
        state.ufrag, state.pwd = ufrag, pwd
        state.restarts += 1

    def set_extensions(self, transport: TransportId, extensions: ExtensionIds) -> None:
        self.commands += 1
        assert not {0, 15} & {identity for identity, _ in extensions}, (
            "reserved, as RFC 8285 has it"
        )
        self.transports[transport].extensions = extensions

    def remove_transport(self, transport: TransportId) -> None:
        self.commands += 1
        del self.transports[transport]
        for track in [t for t, one in self.tracks.items() if one.spec.transport == transport]:
            del self.tracks[track]
            self._ended.add(track)
        for leg in [n for n, one in self.legs.items() if one.spec.transport == transport]:
            del self.legs[leg]
            self._ended.add(leg)

    def add_track(self, spec: TrackSpec, *, open: bool) -> TrackId:
        assert spec.transport in self.transports
        assert spec.codecs
        assert spec.streams
        track = TrackId(self._number())
        self.tracks[track] = Track(spec, open)
        return track

    def replace_track(self, track: TrackId, spec: TrackSpec) -> None:
        self.commands += 1
        self.tracks[track].spec = spec
        self.tracks[track].replaced += 1

    def set_track_open(self, track: TrackId, open: bool) -> None:
        self.commands += 1
        if track not in self._ended:
            self.tracks[track].open = open

    def remove_track(self, track: TrackId) -> None:
        self.commands += 1
        assert not [one for one in self.legs.values() if one.spec.track == track]
        if track not in self._ended:
            del self.tracks[track]

    def add_leg(self, spec: LegSpec) -> LegId:
        assert spec.track in self.tracks or spec.track in self._ended
        assert spec.payloads
        others = [one.spec for one in self.legs.values() if one.spec.transport == spec.transport]
        taken = {ssrc for one in others for ssrc in (one.ssrc, one.rtx_ssrc)} - {None}
        assert taken.isdisjoint((spec.ssrc, spec.rtx_ssrc)), "two legs share an SSRC"
        leg = LegId(self._number())
        self.legs[leg] = Leg(spec)
        return leg

    def set_leg(self, leg: LegId, target: tuple[int, int] | None) -> None:
        self.commands += 1
        if leg not in self._ended:
            self.legs[leg].target = target

    def remove_leg(self, leg: LegId) -> None:
        self.commands += 1
        if leg not in self._ended:
            del self.legs[leg]

    def request_keyframe(self, track: TrackId, stream: int) -> None:
        assert track in self.tracks or track in self._ended
        self.keyframes.append((track, stream))

    def open_channel(self, transport: TransportId, channel: ChannelSpec) -> None:
        self.transports[transport].channels.append(channel)

    def send(self, to: Sequence[ChannelAddress], data: bytes) -> None:
        self.commands += 1
        self.sent.append((tuple(to), data))

    def snapshot(self) -> PlaneSnapshot:
        return PlaneSnapshot(
            dict(self.transport_stats), dict(self.track_stats), dict(self.leg_stats)
        )

    def flush(self) -> None:
        self.flushes += 1

    def _number(self) -> int:
        self.commands += 1
        self._numbers += 1
        return self._numbers
