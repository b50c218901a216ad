"""WHEP with players that are none of ours: aiortc in both directions of negotiation, a browser's own API."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiortc.rtp import RtpPacket, unwrap_rtx
from aiortc.sdp import SessionDescription
from playwright.async_api import Browser

from tests.interop.conftest import Server, until
from tests.interop.test_whip import encoding, participants
from tests.support.http_clients import OfferedWhepClient, WhepClient, WhipClient
from tests.support.watching import PATIENCE, assert_plays, by_kind, counters

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]
# A player as a page would write it, with the unmodified WebRTC API.
PLAYER = """async ([url, token]) => {
    const connection = new RTCPeerConnection();
    window.connection = connection;
    for (const kind of ['audio', 'video'])
        connection.addTransceiver(kind, {direction: 'recvonly'});
    connection.ontrack = ({track, streams}) => {
        const element = document.createElement(track.kind);
        element.autoplay = true;
        element.srcObject = streams[0];
        document.body.append(element);
    };
    await connection.setLocalDescription();
    const response = await fetch(url + '/whep/v1', {
        method: 'POST',
        headers: {'Content-Type': 'application/sdp', Authorization: 'Bearer ' + token},
        body: connection.localDescription.sdp,
    });
    await connection.setRemoteDescription({type: 'answer', sdp: await response.text()});
    return [response.status, response.headers.get('Location'), response.headers.get('ETag')];
}"""
# An encoder as a page would write it.
CAPTURE = """async ([url, token]) => {
    const connection = new RTCPeerConnection();
    window.connection = connection;
    const stream = await navigator.mediaDevices.getUserMedia({audio: true, video: true});
    for (const track of stream.getTracks())
        connection.addTransceiver(track, {direction: 'sendonly', streams: [stream]});
    await connection.setLocalDescription();
    const response = await fetch(url + '/whip/v1', {
        method: 'POST',
        headers: {'Content-Type': 'application/sdp', Authorization: 'Bearer ' + token},
        body: connection.localDescription.sdp,
    });
    await connection.setRemoteDescription({type: 'answer', sdp: await response.text()});
    window.session = new URL(response.headers.get('Location'), url).href;
    return response.status;
}"""
DECODED = """async () => [...(await window.connection.getStats()).values()]
    .filter(one => one.type === 'inbound-rtp')
    .reduce((sum, one) => ({...sum, [one.kind]: one.framesDecoded ?? one.totalAudioEnergy}), {})"""
SHOWN = "() => document.querySelector('video')?.getVideoPlaybackQuality().totalVideoFrames ?? 0"


async def live(server: Server, room: str) -> None:
    async def published() -> bool:
        return any(one.tracks for one in (await participants(server, room)).values())

    await until(published, "something is published")


@pytest.mark.parametrize("player", [WhepClient, OfferedWhepClient])
async def test_aiortc_watches_by_its_own_offer_or_by_ours(
    server: Server, player: type[WhepClient]
) -> None:
    room = f"watch-{player.__name__}"
    async with (
        WhipClient(server.url, server.token("encoder", room)),
        player(server.url, server.token("eye", room)) as eye,
    ):
        await assert_plays(await by_kind(eye.arrived))
        assert await eye.delete() == 200
        assert list(await participants(server, room)) == ["encoder"]


@pytest.mark.parametrize("player", [WhepClient, OfferedWhepClient])
async def test_what_aiortc_loses_comes_again_on_the_stream_that_is_named_for_it(
    server: Server, player: type[WhepClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiortc takes retransmissions only from the SSRC of a description."""
    room = f"loses-{player.__name__}"
    restored: list[int] = []

    def unwrap(packet: RtpPacket, payload_type: int, ssrc: int) -> RtpPacket:
        original = unwrap_rtx(packet, payload_type=payload_type, ssrc=ssrc)
        restored.append(original.sequence_number)
        return original

    monkeypatch.setattr("aiortc.rtcrtpreceiver.unwrap_rtx", unwrap)
    async with (
        WhipClient(server.url, server.token("encoder", room)),
        player(server.url, server.token("eye", room)) as eye,
    ):
        tracks = await by_kind(eye.arrived)
        lost = lose_every_tenth(eye)
        await counters(tracks["video"], 1)

        # Not every one: what a key frame has overtaken is not sent again.
        async def repaired() -> bool:
            return len(set(lost) & set(restored)) >= 20

        async def watch() -> None:
            while True:
                await counters(tracks["video"], 1)

        # Who does not look at the pictures lets them pile up.
        watching = asyncio.create_task(watch())
        try:
            await until(repaired, "twenty lost packets come again")
        finally:
            watching.cancel()


def lose_every_tenth(eye: WhepClient) -> list[int]:
    """Lets packets of the picture get lost, by the SSRC that its description names; their numbers."""
    described = SessionDescription.parse(eye.connection.remoteDescription.sdp)
    (named,) = (section.ssrc for section in described.media if section.kind == "video")
    receivers = [one.receiver for one in eye.connection.getTransceivers() if one.kind == "video"]
    receiver: Any = receivers[0]
    take, lost = receiver._handle_rtp_packet, list[int]()

    async def handle(packet: RtpPacket, arrival_time_ms: int) -> None:
        if packet.ssrc == named[0].ssrc and packet.sequence_number % 10 == 0:
            lost.append(packet.sequence_number)
        else:
            await take(packet, arrival_time_ms=arrival_time_ms)

    receiver._handle_rtp_packet = handle
    return lost


async def test_a_player_goes_on_when_the_encoder_starts_over(server: Server) -> None:
    room = "starts-over"
    encoder = server.token("encoder", room)
    async with WhipClient(server.url, encoder):
        eye = WhepClient(server.url, server.token("eye", room))
        await eye.__aenter__()
        tracks = await by_kind(eye.arrived)
        before = await counters(tracks["video"])
        assert max(before) > 0
    try:
        async with WhipClient(server.url, encoder), asyncio.timeout(PATIENCE):
            # The second encoder counts from the start again.
            previous = max(before)
            while (count := (await counters(tracks["video"], 1))[0]) >= previous:
                previous = count
            after = await counters(tracks["video"])
            assert after == sorted(after)
            assert len(set(after)) > 10
    finally:
        await eye.__aexit__()


async def test_ffmpeg_is_watched_by_a_browser(
    server: Server, tmp_path: Path, chromium: Browser, pages: str
) -> None:
    room = "ffmpeg-browser"
    context = await chromium.new_context()
    try:
        page = await context.new_page()
        await page.goto(pages)
        async with encoding(server, room, tmp_path, active=False) as encoder:
            await live(server, room)
            status, location, tag = await page.evaluate(
                PLAYER, [server.url, server.token("eye", room)]
            )
            assert status == 201
            assert location.startswith("/whep/session/PA_")
            assert tag

            async def decoded() -> Any:
                found = await page.evaluate(DECODED)
                return bool(found.get("video", 0) > 20 and found.get("audio", 0) > 0)

            await until(decoded, "the browser decodes picture and sound")
            first: int = await page.evaluate(SHOWN)
            assert first > 0
        assert encoder.failure is None
        async with encoding(server, room, tmp_path, active=True):

            async def goes_on() -> bool:
                frames: int = await page.evaluate(SHOWN)
                return frames > first + 20

            await until(goes_on, "the browser shows the encoder that started over")
    finally:
        await context.close()


async def test_a_browser_publishes_by_whip(server: Server, chromium: Browser, pages: str) -> None:
    room = "browser-whip"
    context = await chromium.new_context(permissions=["camera", "microphone"])
    try:
        page = await context.new_page()
        await page.goto(pages)
        status = await page.evaluate(CAPTURE, [server.url, server.token("encoder", room)])
        assert status == 201
        async with WhepClient(server.url, server.token("eye", room)) as eye:
            tracks = await by_kind(eye.arrived)
            async with asyncio.timeout(PATIENCE):
                frames: list[Any] = [await tracks["video"].recv() for _ in range(10)]
            assert all(frame.width >= 320 for frame in frames)
    finally:
        await context.close()
