"""Records what a browser really sends: offers, and decrypted RTP of every codec, into this folder.

Run by hand (`python -m tests.captures.record`) when a browser's packets are wanted anew. The browser connects
straight to an aiortc peer, whose answer is rewritten to the codec under test; its decrypted packets are kept as a
sequence of (length as 16 bits, packet).
"""

from __future__ import annotations

import asyncio
import re
import struct
from pathlib import Path

from aiortc import RTCPeerConnection, RTCSessionDescription
from playwright.async_api import Page, async_playwright

from tests.interop.conftest import CHROMIUM_FLAGS, serve_pages

HERE = Path(__file__).parent
PACKETS = 450  # a key frame, padding of the first probes, deltas of every layer, sound between them
SECONDS = 12
OFFER = """async ([codec, mode]) => {
  const pc = new RTCPeerConnection();
  window.pc = pc;
  const media = await navigator.mediaDevices.getUserMedia(
    { audio: true, video: { width: 640, height: 360 } });
  pc.addTransceiver(media.getAudioTracks()[0], { direction: 'sendonly' });
  const video = pc.addTransceiver(media.getVideoTracks()[0],
    { direction: 'sendonly', sendEncodings: [mode ? { scalabilityMode: mode } : {}] });
  const all = RTCRtpSender.getCapabilities('video').codecs;
  const wanted = all.filter((c) => c.mimeType.toLowerCase() === `video/${codec}`);
  video.setCodecPreferences([...wanted, ...all.filter((c) => !wanted.includes(c))]);
  video.setHeaderExtensionsToNegotiate(video.getHeaderExtensionsToNegotiate().map((extension) =>
    extension.uri.includes('dependency-descriptor') ? { ...extension, direction: 'sendrecv' } : extension));
  await pc.setLocalDescription(await pc.createOffer());
  await new Promise((resolve) => {
    if (pc.iceGatheringState === 'complete') resolve();
    pc.onicegatheringstatechange = () => pc.iceGatheringState === 'complete' && resolve();
  });
  return pc.localDescription.sdp;
}"""
ANSWER = "(sdp) => pc.setRemoteDescription({ type: 'answer', sdp })"


def video_section(sdp: str) -> str:
    """The video section of a description."""
    return next("m=video" + part for part in sdp.split("m=video")[1:]).split("\r\nm=")[0]


def rewrite(answer: str, offer: str, codec: str) -> str:
    """`answer` with the video section's formats and extensions replaced by the offer's for `codec`."""
    offered = video_section(offer)
    payload = re.findall(rf"a=rtpmap:(\d+) {codec}/90000", offered, re.IGNORECASE)[0]
    kept = [
        line
        for line in offered.split("\r\n")
        if re.match(rf"a=(rtpmap|fmtp|rtcp-fb):{payload} |a=extmap:", line)
    ]
    section = video_section(answer)
    lines = [
        line
        for line in section.split("\r\n")
        if not re.match(r"a=(rtpmap|fmtp|rtcp-fb|extmap):", line)
    ]
    lines[0] = re.sub(r"(m=video \d+ \S+).*", rf"\1 {payload}", lines[0])
    return answer.replace(section, "\r\n".join([*[line for line in lines if line], *kept, ""]))


async def record(page: Page, codec: str, mode: str) -> list[bytes]:
    """Decrypted RTP packets of a browser that sends sound and `codec`."""
    offer = await page.evaluate(OFFER, [codec, mode])
    peer = RTCPeerConnection()
    packets: list[bytes] = []
    enough = asyncio.Event()
    await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await peer.setLocalDescription(await peer.createAnswer())
    transport = peer.getTransceivers()[0].receiver.transport

    async def keep(data: bytes, arrival_time_ms: int) -> None:
        if len(packets) < PACKETS:
            packets.append(data)
        else:
            enough.set()

    transport._handle_rtp_data = keep
    await page.evaluate(ANSWER, rewrite(peer.localDescription.sdp, offer, codec))
    await asyncio.wait_for(enough.wait(), SECONDS)
    await peer.close()
    await page.evaluate("pc.close()")
    return packets


async def main() -> None:
    """Records every codec."""
    folder = HERE / "rtp"
    folder.mkdir(exist_ok=True)
    async with serve_pages() as url, async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=CHROMIUM_FLAGS
        )
        page = await (await browser.new_context(permissions=["camera", "microphone"])).new_page()
        await page.goto(url)
        version = browser.version.split(".")[0]
        for codec, mode in (("vp8", "L1T3"), ("vp9", "L3T3_KEY"), ("av1", "L2T2"), ("h264", "")):
            packets = await record(page, codec, mode)
            data = b"".join(struct.pack("!H", len(packet)) + packet for packet in packets)
            (folder / f"chromium-{version}-{codec}.rtp").write_bytes(data)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
