"""The one door to the native data plane: gives out numbers, turns our commands and its events into each other.

In come `DataPlanePort`'s commands, out go `DataPlaneListener`'s calls. It decides nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

from common.ids import LegId, TrackId, TransportId
from sfu import _dataplane  # noqa: TID251 - this is the door
from sfu.dataplane import (
    AudioLevel,
    ChannelAddress,
    ChannelSpec,
    DataPlaneListener,
    ExtensionIds,
    LegSpec,
    LegStats,
    PlaneSnapshot,
    RemoteSpec,
    TrackSpec,
    TrackStats,
    TransportStats,
)

drop_reasons: Sequence[str] = _dataplane.drop_reasons
DRAIN_LIMIT = 1024  # events per drain; the loop gets its turn in between


class Plane:
    """`DataPlanePort` over the native module."""

    def __init__(
        self,
        *,
        lanes: int,
        addresses: Sequence[str],
        port: int,
        certificate: bytes,
        private_key: bytes,
        tcp_port: int | None = None,
        consent_timeout_ms: int = 30_000,
        receive_buffer: int = 16_777_216,
        send_buffer: int = 16_777_216,
    ) -> None:
        """Binds the sockets, for TCP only where a port is given, and starts the threads.

        Raises OSError where an address or port is not to be had.
        """
        self._native = _dataplane.DataPlane(
            lanes=lanes,
            addresses=addresses,
            port=port,
            certificate=certificate,
            private_key=private_key,
            tcp_port=tcp_port,
            consent_timeout_ms=consent_timeout_ms,
            receive_buffer=receive_buffer,
            send_buffer=send_buffer,
        )
        self._numbers = count(1)
        self._addresses = self._native.local_addresses()
        self._tcp_addresses = self._native.tcp_addresses()

    @property
    def addresses(self) -> Sequence[Sequence[tuple[str, int]]]:
        """Per lane the (address, port) pairs that its sockets are bound to."""
        return self._addresses

    @property
    def tcp_addresses(self) -> Sequence[Sequence[tuple[str, int]]]:
        """Per lane the (address, port) pairs on which it accepts TCP connections."""
        return self._tcp_addresses

    def fileno(self) -> int:
        """An eventfd, readable while events wait."""
        return self._native.fileno()

    def drain(self, listener: DataPlaneListener) -> bool:
        """Hands waiting events to `listener`; whether more may wait."""
        events = self._native.drain(DRAIN_LIMIT)
        handlers = _handlers(listener)
        for name, *facts in events:
            handler = handlers.get(name)
            if handler is not None:
                handler(*facts)
        return len(events) == DRAIN_LIMIT

    def counters(self) -> Mapping[str, Any]:
        """Totals for metrics: see `_Counters` in the stub."""
        return {**self._native.counters(), "drop_reasons": drop_reasons}

    def snapshot(self) -> PlaneSnapshot:
        """Statistics of this moment."""
        latest = self._native.snapshot()
        return PlaneSnapshot(
            transports={
                TransportId(stats[0]): TransportStats(*stats[1:]) for stats in latest["transports"]
            },
            tracks={
                TrackId(number): TrackStats(packets, size, lost, jitter, tuple(rates))
                for number, packets, size, lost, jitter, rates in latest["tracks"]
            },
            legs={LegId(stats[0]): LegStats(*stats[1:]) for stats in latest["legs"]},
        )

    def flush(self) -> None:
        """Hands queued commands to the lanes."""
        self._native.flush()

    def close(self) -> None:
        """Ends associations and threads."""
        self._native.close()

    def add_transport(self, *, lane: int, ufrag: str, pwd: str) -> TransportId:
        """A client may connect with these credentials."""
        transport = TransportId(next(self._numbers))
        self._native.add_transport(transport, lane=lane, ufrag=ufrag, pwd=pwd)
        return transport

    def set_remote(self, transport: TransportId, remote: RemoteSpec) -> None:
        """The peer's description arrived or changed."""
        self._native.set_remote(
            transport,
            ufrag=remote.ufrag,
            fingerprints=remote.fingerprints,
            dtls_client=remote.dtls_client,
            sctp=remote.sctp,
            pwd=remote.pwd,
        )

    def restart_ice(self, transport: TransportId, *, ufrag: str, pwd: str) -> None:
        """New credentials."""
        self._native.restart_ice(transport, ufrag=ufrag, pwd=pwd)

    def set_extensions(self, transport: TransportId, extensions: ExtensionIds) -> None:
        """Header extension ids that the peer uses."""
        self._native.set_extensions(transport, extensions)

    def remove_transport(self, transport: TransportId) -> None:
        """Ends a transport with its tracks and legs."""
        self._native.remove_transport(transport)

    def add_track(self, spec: TrackSpec, *, open: bool) -> TrackId:
        """A publisher may send this track."""
        track = TrackId(next(self._numbers))
        self.replace_track(track, spec)
        self._native.set_track_open(track, open)
        return track

    def replace_track(self, track: TrackId, spec: TrackSpec) -> None:
        """New parameters of a track."""
        self._native.add_track(
            track,
            transport=spec.transport,
            kind=spec.kind,
            mid=spec.mid,
            codecs=spec.codecs,
            streams=spec.streams,
            screen=spec.screen,
        )

    def set_track_open(self, track: TrackId, open: bool) -> None:
        """The gate of a track."""
        self._native.set_track_open(track, open)

    def remove_track(self, track: TrackId) -> None:
        """Ends a track."""
        self._native.remove_track(track)

    def add_leg(self, spec: LegSpec) -> LegId:
        """A subscriber gets a track."""
        leg = LegId(next(self._numbers))
        self._native.add_leg(
            leg,
            track=spec.track,
            transport=spec.transport,
            kind=spec.kind,
            mid=spec.mid,
            ssrc=spec.ssrc,
            rtx_ssrc=spec.rtx_ssrc,
            cname=spec.cname,
            payloads=spec.payloads,
            extensions=spec.extensions,
        )
        return leg

    def set_leg(self, leg: LegId, target: tuple[int, int] | None) -> None:
        """Which layer a leg should carry."""
        self._native.set_leg(leg, target)

    def remove_leg(self, leg: LegId) -> None:
        """Ends a leg."""
        self._native.remove_leg(leg)

    def request_keyframe(self, track: TrackId, stream: int) -> None:
        """Asks the publisher for a key frame."""
        self._native.request_keyframe(track, stream)

    def open_channel(self, transport: TransportId, channel: ChannelSpec) -> None:
        """Opens a data channel in-band."""
        self._native.open_channel(
            transport,
            stream=None,
            label=channel.label,
            ordered=channel.ordered,
            max_retransmits=channel.max_retransmits,
        )

    def send(self, to: Sequence[ChannelAddress], data: bytes) -> None:
        """One binary message to many channels."""
        self._native.send(to, data)


def _handlers(listener: DataPlaneListener) -> dict[str, Callable[..., None]]:
    """What each event calls; events without an entry change nothing that rooms decide."""
    return {
        "transport_validated": listener.handle_transport_validated,
        "transport_connected": listener.handle_transport_connected,
        "transport_closed": listener.handle_transport_closed,
        "stream_changed": listener.handle_stream_changed,
        "leg_changed": listener.handle_leg_changed,
        "audio_levels": lambda levels: listener.handle_audio_levels(
            [AudioLevel(*level) for level in levels]
        ),
        "channel_opened": lambda transport, stream, label, _protocol, ordered, retransmits: (
            listener.handle_channel_opened(
                transport, stream, ChannelSpec(label, ordered, retransmits)
            )
        ),
        "channel_message": lambda transport, stream, data, _binary: listener.handle_channel_message(
            transport, stream, data
        ),
        "channel_closed": listener.handle_channel_closed,
    }
