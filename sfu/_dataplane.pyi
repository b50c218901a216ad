"""The native data plane: commands down, events up, in batches. Only sfu/plane.py may import it.

Units: bytes, microseconds, Hz. Identities are numbers that Python chooses and never reuses while the plane lives.
Command methods only queue; `flush` hands the queue to the lanes. None of them blocks, none touches a packet.
A command that names something unknown is ignored and counted (a removal may have crossed it).
Ill-formed arguments raise ValueError (OverflowError beyond the width of a number), a closed plane raises
RuntimeError, sockets raise OSError; a queue that the data plane no longer empties raises BlockingIOError.
"""

from collections.abc import Sequence
from typing import Literal, TypedDict, final

__version__: str
drop_reasons: list[str]  # every DropReason name, in counter order

_Codec = Literal["opus", "red", "pcmu", "pcma", "vp8", "vp9", "h264", "h265", "av1"]
_Kind = Literal["audio", "video"]
_Extensions = Sequence[tuple[int, str]]  # (id, URI); unknown URIs are ignored
_CodecSpec = tuple[int, _Codec, int, int | None, bool]  # pt, codec, clock rate, rtx pt, nack
_Stream = tuple[str | None, int | None, int | None]  # rid, ssrc, rtx ssrc
_Payload = tuple[int, int, int | None, bool]  # source pt, target pt, rtx pt, strip RED
_Event = (
    tuple[Literal["transport_validated"], int]
    | tuple[Literal["transport_connected"], int, str]  # transport, SRTP profile
    | tuple[Literal["transport_moved"], int]
    | tuple[Literal["transport_stale"], int]
    | tuple[Literal["transport_alive"], int]
    | tuple[Literal["transport_closed"], int, str]  # transport, CloseReason name
    | tuple[Literal["stream_changed"], int, int, bool, _Codec]  # track, stream, active, codec
    | tuple[Literal["leg_changed"], int, int | None]  # leg, layer on the wire
    # [(track, loudest, mean over active, active packets, packets)], levels in -dBov
    | tuple[Literal["audio_levels"], list[tuple[int, int, int, int, int]]]
    # transport, stream, label, protocol, ordered, max_retransmits
    | tuple[Literal["channel_opened"], int, int, str, str, bool, int | None]
    | tuple[Literal["channel_message"], int, int, bytes, bool]  # transport, stream, data, binary
    | tuple[Literal["channel_closed"], int, int]
)

_Transport = tuple[int, int | None, int, int, int, int]  # id, rtt, (packets, bytes) in, and out
_Track = tuple[int, int, int, int, int, list[int]]  # id, packets, bytes, lost, jitter, bit rates
_Leg = tuple[int, int, int, int, int | None, int]  # id, packets, bytes, lost of 256, rtt, jitter

_Buckets = tuple[list[int], list[int], int]  # bounds, counts (one more), sum

class _Snapshot(TypedDict):  # everything that lives there, lane by lane
    transports: list[_Transport]
    tracks: list[_Track]
    legs: list[_Leg]

class _Lane(TypedDict):  # since its start
    numbers: dict[str, int]  # packets, bytes, _ns nanoseconds; see dataplane/core/src/stats.rs
    drops: list[int]  # in the order of drop_reasons
    closed: dict[str, int]  # by CloseReason name
    video_legs: list[list[int]]  # now, by wanted and served layer: none, 0, 1, 2
    histograms: dict[str, _Buckets]  # units in the names: _us, _ppm; rates in bytes a second

class _Counters(TypedDict):
    lanes: list[_Lane]
    associations: dict[str, int]
    refusals: dict[str, int]  # of associations, by Refusal name
    commands_ignored: int

@final
class DataPlane:  # lanes and the associations thread: they start here and end in `close`
    def __new__(
        cls,
        *,
        lanes: int,
        addresses: Sequence[str],  # IP addresses that every lane binds
        port: int,  # first lane's UDP port, the next lanes take the next ones; 0 lets the kernel choose
        certificate: bytes,  # DER X.509
        private_key: bytes,  # DER PKCS#8
        tcp_port: int | None = None,  # likewise for TCP; None: nobody connects by TCP
        consent_timeout_ms: int = 30_000,
        max_transports: int = 16_384,  # of one lane
        receive_buffer: int = 16_777_216,
        send_buffer: int = 16_777_216,
    ) -> DataPlane: ...
    def fileno(self) -> int: ...  # an eventfd, readable while events wait
    def local_addresses(self) -> list[list[tuple[str, int]]]: ...  # per lane, as bound
    def tcp_addresses(self) -> list[list[tuple[str, int]]]: ...
    def drain(self, limit: int = 1024) -> list[_Event]: ...  # the rest keeps fileno() readable
    def snapshot(self) -> _Snapshot: ...  # what the threads published last, about once a second
    def counters(self) -> _Counters: ...  # the same moment in totals, for metrics
    def flush(self) -> None: ...
    def close(self) -> None: ...  # says goodbye to every peer, ends the threads; idempotent
    def add_transport(self, transport: int, *, lane: int, ufrag: str, pwd: str) -> None: ...
    def set_remote(
        self,
        transport: int,
        *,
        ufrag: str,
        fingerprints: Sequence[tuple[str, bytes]],  # (hash name in lower case, digest)
        dtls_client: bool,  # our role
        sctp: tuple[int, int] | None,  # (peer's port, its max message size)
        pwd: str = "",  # to ask a peer whose media come from elsewhere whether it moved there
    ) -> None: ...
    def restart_ice(self, transport: int, *, ufrag: str, pwd: str) -> None: ...
    def set_extensions(self, transport: int, extensions: _Extensions) -> None: ...
    def remove_transport(self, transport: int) -> None: ...
    def add_track(
        self,
        track: int,
        *,
        transport: int,
        kind: _Kind,
        mid: str,
        codecs: Sequence[_CodecSpec],
        streams: Sequence[_Stream],  # from low to high
        screen: bool = False,
    ) -> None: ...
    def set_track_open(self, track: int, open: bool) -> None: ...
    def remove_track(self, track: int) -> None: ...
    def add_leg(
        self,
        leg: int,
        *,
        track: int,
        transport: int,
        kind: _Kind,
        mid: str,
        ssrc: int,
        rtx_ssrc: int | None,
        cname: str,
        payloads: Sequence[_Payload],
        extensions: _Extensions,
    ) -> None: ...  # it starts paused; a target opens it, None pauses it
    def set_leg(self, leg: int, target: tuple[int, int] | None) -> None: ...  # (layer, temporal)
    def remove_leg(self, leg: int) -> None: ...
    def request_keyframe(self, track: int, stream: int) -> None: ...
    def open_channel(
        self,
        transport: int,
        *,
        stream: int | None,  # None: chosen by the DTLS role (RFC 8832 section 6)
        label: str,
        protocol: str = "",
        ordered: bool = True,
        max_retransmits: int | None = None,
        negotiated: bool = False,
    ) -> None: ...
    def send(self, to: Sequence[tuple[int, int]], data: bytes, *, binary: bool = True) -> None: ...
    def close_channel(self, transport: int, stream: int) -> None: ...
