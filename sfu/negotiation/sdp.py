"""A session description as typed values (RFC 8866 with WebRTC's attributes), and its text.

In comes a `Session`, out goes the text that `parse` reads back as the same value.
What is not modelled is not kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
DIRECTIONS: tuple[Direction, ...] = ("sendrecv", "sendonly", "recvonly", "inactive")
RTP_PROFILE = "UDP/TLS/RTP/SAVPF"
DATA_PROFILES = ("UDP/DTLS/SCTP", "TCP/DTLS/SCTP", "DTLS/SCTP")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Digest of a certificate (RFC 8122)."""

    algorithm: str  # lower case
    digest: bytes


@dataclass(frozen=True, slots=True)
class TransportFacts:
    """What a description says about ICE and DTLS, at session or section level; empty where it says nothing."""

    ufrag: str = ""
    pwd: str = ""
    options: tuple[str, ...] = ()
    fingerprints: tuple[Fingerprint, ...] = ()
    setup: str = ""


class RtpCodec(NamedTuple):
    """A payload type with its map, format parameters and feedback."""

    payload_type: int
    name: str
    clock_rate: int
    channels: int = 1
    parameters: str = ""
    feedback: tuple[str, ...] = ()


class Extension(NamedTuple):
    """A header extension (RFC 8285); an empty direction follows the section's."""

    id: int
    uri: str
    direction: str = ""


@dataclass(frozen=True, slots=True)
class SsrcGroup:
    """SSRCs that belong together: FID (media, repair) or SIM (low to high)."""

    semantics: str
    ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rid:
    """A restriction identifier (RFC 8851)."""

    id: str
    direction: Literal["send", "recv"]
    parameters: str = ""


@dataclass(frozen=True, slots=True)
class SimulcastStream:
    """One alternative of a simulcast stream (RFC 8853)."""

    rid: str
    paused: bool = False


SimulcastList = tuple[tuple[SimulcastStream, ...], ...]  # streams, each with its alternatives


@dataclass(frozen=True, slots=True)
class Section:
    """A media section."""

    kind: str  # "audio", "video", "application" or what the peer wrote
    mid: str
    port: int = 9
    profile: str = RTP_PROFILE
    formats: tuple[
        str, ...
    ] = ()  # as written, for sections that are not RTP; else the codecs' payload types
    direction: Direction = "sendrecv"
    transport: TransportFacts = TransportFacts()
    codecs: tuple[RtpCodec, ...] = ()
    extensions: tuple[Extension, ...] = ()
    msids: tuple[tuple[str, str], ...] = ()  # (stream, track)
    ssrcs: tuple[tuple[int, tuple[tuple[str, str], ...]], ...] = ()  # (SSRC, its attributes)
    ssrc_groups: tuple[SsrcGroup, ...] = ()
    rids: tuple[Rid, ...] = ()
    simulcast_send: SimulcastList = ()
    simulcast_recv: SimulcastList = ()
    candidates: tuple[str, ...] = ()  # "candidate:..."
    end_of_candidates: bool = False
    bundle_only: bool = False
    rtcp_mux: bool = False
    rtcp_mux_only: bool = False  # no fallback to a port for RTCP (RFC 8858)
    rtcp_rsize: bool = False
    extmap_allow_mixed: bool = False
    sctp_port: int | None = None
    max_message_size: int | None = None

    @property
    def is_rtp(self) -> bool:
        """Whether it carries audio or video."""
        return self.kind in ("audio", "video")

    @property
    def rejected(self) -> bool:
        """Whether port 0 means that it is refused or ended (RFC 8843 section 6)."""
        return self.port == 0 and not self.bundle_only


@dataclass(frozen=True, slots=True)
class Session:
    """A whole description."""

    session_id: int = 0
    version: int = 0
    ice_lite: bool = False
    extmap_allow_mixed: bool = False
    bundle: tuple[str, ...] = ()
    transport: TransportFacts = TransportFacts()
    sections: tuple[Section, ...] = field(default=())

    def section(self, mid: str) -> Section | None:
        """The section of that mid, if any."""
        return next((section for section in self.sections if section.mid == mid), None)

    def serialise(self) -> str:
        """The text, lines ended by CRLF."""
        return "".join(line + "\r\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        yield "v=0"
        yield f"o=- {self.session_id} {self.version} IN IP4 127.0.0.1"
        yield "s=-"
        yield "t=0 0"
        if self.ice_lite:
            yield "a=ice-lite"
        if self.bundle:
            yield "a=group:BUNDLE " + " ".join(self.bundle)
        if self.extmap_allow_mixed:
            yield "a=extmap-allow-mixed"
        yield from _transport_lines(self.transport)
        if any(section.msids for section in self.sections):
            yield "a=msid-semantic: WMS *"
        for section in self.sections:
            yield from _section_lines(section)


def _transport_lines(transport: TransportFacts) -> Iterator[str]:
    if transport.ufrag:
        yield f"a=ice-ufrag:{transport.ufrag}"
    if transport.pwd:
        yield f"a=ice-pwd:{transport.pwd}"
    if transport.options:
        yield "a=ice-options:" + " ".join(transport.options)
    for fingerprint in transport.fingerprints:
        yield f"a=fingerprint:{fingerprint.algorithm} {fingerprint.digest.hex(':').upper()}"
    if transport.setup:
        yield f"a=setup:{transport.setup}"


def _section_lines(section: Section) -> Iterator[str]:
    formats = [str(codec.payload_type) for codec in section.codecs] or section.formats or ("0",)
    yield f"m={section.kind} {section.port} {section.profile} {' '.join(formats)}"
    yield "c=IN IP4 0.0.0.0"
    yield f"a=mid:{section.mid}"
    yield from _flag_lines(section)
    yield from _transport_lines(section.transport)
    for candidate in section.candidates:
        yield f"a={candidate}"
    if section.end_of_candidates:
        yield "a=end-of-candidates"
    if section.is_rtp:
        yield f"a={section.direction}"
        yield from _rtp_lines(section)
    if section.sctp_port is not None:
        yield f"a=sctp-port:{section.sctp_port}"
    if section.max_message_size is not None:
        yield f"a=max-message-size:{section.max_message_size}"


def _flag_lines(section: Section) -> Iterator[str]:
    flags = {
        "bundle-only": section.bundle_only,
        "rtcp-mux": section.rtcp_mux,
        "rtcp-mux-only": section.rtcp_mux_only,
        "rtcp-rsize": section.rtcp_rsize,
        "extmap-allow-mixed": section.extmap_allow_mixed,
    }
    return (f"a={name}" for name, present in flags.items() if present)


def _rtp_lines(section: Section) -> Iterator[str]:
    for extension in section.extensions:
        direction = f"/{extension.direction}" if extension.direction else ""
        yield f"a=extmap:{extension.id}{direction} {extension.uri}"
    for codec in section.codecs:
        yield from _codec_lines(codec)
    for rid in section.rids:
        yield f"a=rid:{rid.id} {rid.direction} {rid.parameters}".rstrip()
    simulcast = [
        f"{direction} {_simulcast_text(streams)}"
        for direction, streams in (
            ("send", section.simulcast_send),
            ("recv", section.simulcast_recv),
        )
        if streams
    ]
    if simulcast:
        yield "a=simulcast:" + " ".join(simulcast)
    for stream, track in section.msids:
        yield f"a=msid:{stream} {track}"
    for group in section.ssrc_groups:
        yield f"a=ssrc-group:{group.semantics} {' '.join(map(str, group.ssrcs))}"
    for ssrc, attributes in section.ssrcs:
        for name, value in attributes:
            yield f"a=ssrc:{ssrc} {name}:{value}" if value else f"a=ssrc:{ssrc} {name}"


def _codec_lines(codec: RtpCodec) -> Iterator[str]:
    channels = f"/{codec.channels}" if codec.channels != 1 else ""
    yield f"a=rtpmap:{codec.payload_type} {codec.name}/{codec.clock_rate}{channels}"
    if codec.parameters:
        yield f"a=fmtp:{codec.payload_type} {codec.parameters}"
    for feedback in codec.feedback:
        yield f"a=rtcp-fb:{codec.payload_type} {feedback}"


def _simulcast_text(streams: SimulcastList) -> str:
    return ";".join(
        ",".join(("~" if one.paused else "") + one.rid for one in stream) for stream in streams
    )
