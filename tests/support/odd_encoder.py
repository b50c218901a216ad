"""A WHIP encoder whose offer and packets are as odd as a test wants them: aiortc behind text of our own.

In: a `Shape`. Out: pictures with numbers in one or three layers, and sound. The section of the picture is
written here, line by line, as encoders other than browsers write theirs.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from aiortc import RTCSessionDescription

from server.probe.layers import Layer, LayerSender, senders_of
from server.probe.sources import DemoAudio, DemoVideo
from tests.support.http_clients import HttpClient

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
FEEDBACK = ("nack", "nack pli", "goog-remb")
H264 = "profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1"
OPUS = 111  # payload type
FIRST_SSRC = 3388068601
SECTIONS = re.compile(r"(?=^m=)", re.MULTILINE)


@dataclass(frozen=True)
class Shape:
    """What is odd about an encoder."""

    codec: str = "VP8"
    payload_type: int = 96
    rtx: int | None = None  # its payload type
    feedback: Sequence[str] = FEEDBACK
    extensions: Sequence[tuple[int, str]] = ()
    ssrcs: bool = True  # whether the offer names them
    group: bool = False  # whether they are one SIM group
    layers: Sequence[Layer] = (Layer("", 1, 800_000),)
    reports: bool = True  # whether all but the first layer send sender reports
    video_first: bool = False
    edit: Callable[[str], str] = str  # the last word about the text
    head: str = ""  # session-level lines besides


class OddEncoder(HttpClient):
    """Publishes in a shape."""

    def __init__(self, url: str, token: str, shape: Shape) -> None:
        super().__init__(url, "/whip/v1", token)
        self._shape = shape
        self.senders: tuple[LayerSender, ...] = ()
        self.answer = ""

    async def __aenter__(self) -> Self:
        try:
            await self._publish()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _publish(self) -> None:
        audio = self.connection.addTransceiver(DemoAudio(), direction="sendonly")
        video = self.connection.addTransceiver("video", direction="sendonly")
        transceivers = (video, audio) if self._shape.video_first else (audio, video)
        self.connection._RTCPeerConnection__transceivers[:] = transceivers
        await self.connection.setLocalDescription(await self.connection.createOffer())
        offer = self._offer(self.connection.localDescription.sdp, video.mid)
        response = await self.post(offer)
        assert response.status_code == 201, response.text
        self.answer = response.text
        await self.connection.setRemoteDescription(RTCSessionDescription(self.answer, "answer"))
        await self._connected()
        layers = self._shape.layers
        self.senders = senders_of(DemoVideo(), layers, video.sender.transport)
        for index, sender in enumerate(self.senders):
            sender._ssrc = FIRST_SSRC + 2 * index
            sender._rtx_ssrc = sender._stamp.repair_ssrc = sender._ssrc + 1
            if index and not self._shape.reports:
                sender._send_rtcp = _silent  # type: ignore[method-assign]
            await sender.start(video.mid, self.answer)

    async def __aexit__(self, *_: object) -> None:
        for sender in self.senders:
            await sender.stop()
        await super().__aexit__()

    async def _connected(self) -> None:
        moved = asyncio.Event()
        self.connection.on("connectionstatechange", moved.set)
        async with asyncio.timeout(10):
            while self.connection.connectionState != "connected":
                moved.clear()
                await moved.wait()

    def _offer(self, text: str, mid: str) -> str:
        head, *sections = SECTIONS.split(text)
        written = [
            (self._video if f"\r\na=mid:{mid}\r\n" in section else self._audio)(section)
            for section in sections
        ]
        return self._shape.edit(head + self._shape.head + "".join(written))

    def _audio(self, section: str) -> str:
        """The section of the sound: Opus alone under its usual number, and the extensions of the bundle."""
        lines = [f"a=extmap:{identity} {uri}" for identity, uri in self._shape.extensions]
        plain = re.sub(
            r"^a=(?:extmap|rtcp-fb):.*\r\n|^a=(?:rtpmap|fmtp):(?!96 ).*\r\n",
            "",
            section,
            flags=re.M,
        )
        plain = re.sub(r"^(m=audio \d+ \S+) .*\r$", rf"\1 {OPUS}\r", plain, flags=re.M)
        plain = re.sub(r"^(a=(?:rtpmap|fmtp)):96 ", rf"\1:{OPUS} ", plain, flags=re.M)
        return plain + "".join(line + "\r\n" for line in lines)

    def _video(self, section: str) -> str:
        """The section of the picture with the transport of the one that aiortc wrote."""
        kept = re.findall(r"^(?:a=(?:mid|msid|ice-|fingerprint|setup).*|c=.*)\r\n", section, re.M)
        shape, number = self._shape, self._shape.payload_type
        numbers = f"{number}" if shape.rtx is None else f"{number} {shape.rtx}"
        lines = [f"a=rtpmap:{number} {shape.codec}/90000"]
        lines += [f"a=rtcp-fb:{number} {kind}" for kind in shape.feedback]
        if shape.codec == "H264":
            lines.append(f"a=fmtp:{number} {H264}")
        if shape.rtx is not None:
            lines += [f"a=rtpmap:{shape.rtx} rtx/90000", f"a=fmtp:{shape.rtx} apt={number}"]
        lines += [f"a=extmap:{identity} {uri}" for identity, uri in shape.extensions]
        lines += self._streams()
        first = f"m=video 9 UDP/TLS/RTP/SAVPF {numbers}\r\n"
        rest = ["a=sendonly", "a=rtcp-mux", *lines]
        return first + "".join(kept) + "".join(line + "\r\n" for line in rest)

    def _streams(self) -> Sequence[str]:
        shape, lines = self._shape, []
        named = [layer.rid for layer in shape.layers if layer.rid]
        if named and not shape.group:
            lines += [f"a=rid:{rid} send" for rid in named]
            lines.append("a=simulcast:send " + ";".join(named))
        ssrcs = [FIRST_SSRC + 2 * index for index in range(len(shape.layers))]
        if shape.group:
            lines.append("a=ssrc-group:SIM " + " ".join(map(str, ssrcs)))
        # Encoders that name layers by RID still name the first stream.
        for ssrc in ssrcs if shape.group else ssrcs[: int(shape.ssrcs)]:
            if shape.rtx is not None:
                lines.append(f"a=ssrc-group:FID {ssrc} {ssrc + 1}")
            lines.append(f"a=ssrc:{ssrc} cname:Yuu1")
        return lines


async def _silent(_packets: object) -> None:
    """Sends no report."""
