"""One picture sent in one or several sizes: simulcast by RID (RFC 8853), which aiortc alone does not send.

In: a video track, the agreed section of an answer. Out: a `LayerSender` per layer on the connection's transport.
Must not: choose bit rates by the network; a layer has the one it was made with.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from aiortc import MediaStreamTrack, RTCDtlsTransport, RTCRtpSender
from aiortc.codecs import get_encoder
from aiortc.contrib.media import MediaRelay
from aiortc.rtcrtpparameters import (
    RTCRtcpParameters,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpSendParameters,
)
from aiortc.rtcrtpsender import RTCEncodedFrame
from aiortc.rtp import HeaderExtensionsMap, RtpPacket, is_rtcp
from aiortc.sdp import SessionDescription
from av import VideoFrame
from av.video.reformatter import VideoReformatter

RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
SECTION = re.compile(r"(?=^m=)", re.MULTILINE)
EXTENSION_ID = re.compile(r"^a=extmap:(\d+)", re.MULTILINE)
OWN_STREAMS = re.compile(r"^a=(?:ssrc|ssrc-group|msid):.*\r\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Layer:
    """One size of the picture."""

    rid: str  # empty: the only one
    shrink: int  # width and height are divided by this
    bitrate: int  # bit/s that its encoder aims at, within the encoder's own bounds


ONE_LAYER = (Layer("", 1, 1_000_000),)
THREE_LAYERS = (Layer("q", 4, 150_000), Layer("h", 2, 400_000), Layer("f", 1, 1_500_000))


@dataclass(frozen=True, slots=True)
class LayeredTrack:
    """A published picture with everything that sends it."""

    sid: str
    senders: tuple[LayerSender, ...]  # in the order of the layers


class LayerSender(RTCRtpSender):
    """Sends one layer, and counts what a progress line tells of it."""

    def __init__(self, layer: Layer, track: MediaStreamTrack, transport: Any) -> None:
        """`transport` is that of the connection."""
        self._stamp = _Stamp(transport, layer.rid)
        super().__init__(track, cast(RTCDtlsTransport, self._stamp))
        self._stamp.repair_ssrc = self._rtx_ssrc
        self._encoder: Any = None
        self._reformatter = VideoReformatter()
        self._keyframe_due = False
        self.layer = layer
        self.keyframes_asked = 0
        self.pictures = 0
        self.width = 0
        self.height = 0
        self.position = 0.0  # seconds of the source

    async def start(self, mid: str | None, answer: str) -> None:
        """Sends as the section `mid` of the answer agreed."""
        parsed = SessionDescription.parse(answer)
        (section,) = (one for one in parsed.media if one.rtp.muxId == mid)
        parameters = RTCRtpSendParameters(
            codecs=section.rtp.codecs,
            headerExtensions=section.rtp.headerExtensions,
            muxId=mid or "",
            rtcp=RTCRtcpParameters(cname=self._stream_id, mux=True),
        )
        self._stamp.configure(section.rtp.headerExtensions)
        await self.send(parameters)

    async def bytes_sent(self) -> int:
        """Bytes of payload so far."""
        stats = await self.getStats()
        return sum(one.bytesSent for one in stats.values() if one.type == "outbound-rtp")

    async def round_trip(self) -> float | None:
        """Seconds to the server and back, once a receiver report told."""
        stats = await self.getStats()
        times = (getattr(one, "roundTripTime", None) for one in stats.values())
        return next((time for time in times if time is not None), None)

    def _send_keyframe(self) -> None:
        """A viewer, or the server for it, asked for a key frame (RFC 4585 section 6.3.1)."""
        self.keyframes_asked += 1
        self._keyframe_due = True

    async def _next_encoded_frame(self, codec: RTCRtpCodecParameters) -> RTCEncodedFrame | None:
        frame = await self.track.recv()
        if not isinstance(frame, VideoFrame):
            return None
        if self._encoder is None:
            self._encoder = get_encoder(codec)
            self._encoder.target_bitrate = self.layer.bitrate
        due, self._keyframe_due = self._keyframe_due, False
        loop = asyncio.get_running_loop()
        payloads, timestamp = await loop.run_in_executor(None, self._encode, frame, due)
        self.pictures += 1
        self.position = frame.time or 0.0
        return RTCEncodedFrame(payloads, timestamp, 0) if payloads else None

    def _encode(self, frame: VideoFrame, keyframe: bool) -> tuple[list[bytes], int]:
        self.width, self.height = (_even(side, self.layer) for side in (frame.width, frame.height))
        # A frame's own reformatter is none for the threads of several layers.
        resized = self._reformatter.reformat(frame, self.width, self.height, "yuv420p")
        resized.pts, resized.time_base = frame.pts, frame.time_base
        encoded: tuple[list[bytes], int] = self._encoder.encode(resized, keyframe)
        return encoded


class _Stamp:
    """A transport as one layer sees it: every packet says which layer it is of (RFC 8852)."""

    def __init__(self, transport: Any, rid: str) -> None:
        self._transport = transport
        self._rid = rid
        self._extensions = HeaderExtensionsMap()
        self.repair_ssrc = 0

    def configure(self, extensions: list[RTCRtpHeaderExtensionParameters]) -> None:
        self._extensions.configure(RTCRtpSendParameters(headerExtensions=extensions))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    async def _send_rtp(self, data: bytes) -> None:
        if self._rid and not is_rtcp(data):
            packet = RtpPacket.parse(data, self._extensions)
            if packet.ssrc == self.repair_ssrc:
                packet.extensions.repaired_rtp_stream_id = self._rid
            else:
                packet.extensions.rtp_stream_id = self._rid
            data = packet.serialize(self._extensions)
        await self._transport._send_rtp(data)


def senders_of(
    track: MediaStreamTrack, layers: Sequence[Layer], transport: Any
) -> tuple[LayerSender, ...]:
    """A sender per layer; each encodes the newest picture when it is done with the one before."""
    relay = MediaRelay()
    return tuple(
        LayerSender(layer, relay.subscribe(track, buffered=False), transport) for layer in layers
    )


def with_layers(offer: str, mid: str | None, track_id: str, layers: Sequence[Layer]) -> str:
    """The offer with the section `mid` naming its layers by RID instead of one SSRC."""
    used = [int(number) for number in EXTENSION_ID.findall(offer)]
    first = max(used, default=0) + 1
    sections = SECTION.split(offer)
    for index, section in enumerate(sections):
        if f"\r\na=mid:{mid}\r\n" in section:
            lines = [f"a=msid:- {track_id}"]
            if layers[0].rid:
                lines += [f"a=extmap:{first} {RID}", f"a=extmap:{first + 1} {REPAIRED_RID}"]
                lines += [f"a=rid:{layer.rid} send" for layer in layers]
                lines.append("a=simulcast:send " + ";".join(layer.rid for layer in layers))
            kept = OWN_STREAMS.sub("", section)
            sections[index] = kept + "".join(line + "\r\n" for line in lines)
    return "".join(sections)


def _even(side: int, layer: Layer) -> int:
    """Encoders halve the colour planes, so sides are even."""
    return max(2, side // layer.shrink // 2 * 2)
