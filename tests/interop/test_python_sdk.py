"""The unmodified LiveKit SDK for Python (its own libwebrtc) in one room with a browser: pictures, sound, data."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest
from livekit import rtc

from server.probe.sources import AUDIO_FRAME, AUDIO_RATE, DemoAudio, DemoVideo, read_counter
from tests.interop.conftest import PATIENCE, Client, Server, until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

WIDTH, HEIGHT, RATE = 640, 360, 15


@asynccontextmanager
async def sdk_room(server: Server, room: str, identity: str) -> AsyncIterator[rtc.Room]:
    """A room joined with the SDK."""
    joined = rtc.Room()
    await joined.connect(server.ws, server.token(identity, room))
    try:
        yield joined
    finally:
        await joined.disconnect()


@asynccontextmanager
async def sdk_media(room: rtc.Room) -> AsyncIterator[None]:
    """Synthetic picture and sound, published with the SDK's own encoders."""
    video, audio = rtc.VideoSource(WIDTH, HEIGHT), rtc.AudioSource(AUDIO_RATE, 1)
    camera = rtc.LocalVideoTrack.create_video_track("camera", video)
    microphone = rtc.LocalAudioTrack.create_audio_track("microphone", audio)
    await room.local_participant.publish_track(
        camera, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA)
    )
    await room.local_participant.publish_track(
        microphone, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    )
    tasks = [asyncio.create_task(_send_pictures(video)), asyncio.create_task(_send_sound(audio))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _send_pictures(source: rtc.VideoSource) -> None:
    painter = DemoVideo(WIDTH, HEIGHT, RATE)
    count = 0
    while True:
        rgb = painter.draw(count)
        rgba = np.dstack([rgb, np.full((HEIGHT, WIDTH), 255, dtype=np.uint8)])
        source.capture_frame(
            rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.RGBA, rgba.tobytes())
        )
        count += 1
        await asyncio.sleep(1 / RATE)


async def _send_sound(source: rtc.AudioSource) -> None:
    count = 0
    while True:
        samples = DemoAudio.sound(count)
        frame = rtc.AudioFrame(samples.tobytes(), AUDIO_RATE, 1, AUDIO_FRAME)
        await source.capture_frame(frame)  # waits while its queue is full
        count += 1


async def pictures(track: rtc.Track, wanted: int) -> list[rtc.VideoFrame]:
    """That many decoded pictures of a remote track."""
    frames = []
    stream = rtc.VideoStream(track, format=rtc.VideoBufferType.RGB24)
    async for event in stream:
        frames.append(event.frame)
        if len(frames) == wanted:
            break
    await stream.aclose()
    return frames


async def loudness(track: rtc.Track, seconds: float = 1.5) -> int:
    """The loudest sample in what is decoded of a remote track."""
    peak = 0
    stream = rtc.AudioStream(track, sample_rate=AUDIO_RATE, num_channels=1)
    heard = 0.0
    async for event in stream:
        samples = np.frombuffer(event.frame.data, dtype=np.int16).astype(int)
        peak = max(peak, int(np.abs(samples).max()))
        heard += event.frame.samples_per_channel / AUDIO_RATE
        if heard >= seconds:
            break
    await stream.aclose()
    return peak


def subscribed(room: rtc.Room) -> dict[str, rtc.Track]:
    """Remote tracks by "identity kind"."""
    names = {rtc.TrackKind.KIND_AUDIO: "audio", rtc.TrackKind.KIND_VIDEO: "video"}
    return {
        f"{participant.identity} {names[publication.track.kind]}": publication.track
        for participant in room.remote_participants.values()
        for publication in participant.track_publications.values()
        if publication.track is not None
    }


async def test_two_sdk_participants_decode_each_other(server: Server) -> None:
    async with (
        sdk_room(server, "sdk-pair", "ada") as ada,
        sdk_room(server, "sdk-pair", "ben") as ben,
        sdk_media(ada),
        sdk_media(ben),
    ):
        for room, other in ((ada, "ben"), (ben, "ada")):

            async def both(room: rtc.Room = room, other: str = other) -> bool:
                return {f"{other} audio", f"{other} video"} <= set(subscribed(room))

            await until(both, f"tracks of {other} are subscribed")
            tracks = subscribed(room)
            frames = await asyncio.wait_for(pictures(tracks[f"{other} video"], 15), PATIENCE)
            counters = [
                read_counter(np.frombuffer(f.data, dtype=np.uint8).reshape(f.height, f.width, 3))
                for f in frames
                if (f.width, f.height) == (WIDTH, HEIGHT)
            ]
            assert counters == sorted(counters)
            assert len(set(counters)) >= 5
            assert await asyncio.wait_for(loudness(tracks[f"{other} audio"]), PATIENCE) > 500


async def test_sdk_and_browser_decode_each_other(
    server: Server, new_client: Callable[[], Awaitable[Client]]
) -> None:
    browser = await new_client()
    await browser.call("join", server.ws, server.token("browser", "mixed"))
    await browser.call("publish")
    async with sdk_room(server, "mixed", "program") as room, sdk_media(room):
        await until(lambda: browser.decoded("video"), "the browser decodes the program's pictures")
        await until(lambda: browser.decoded("audio"), "the browser hears the program")

        async def both() -> bool:
            return {"browser audio", "browser video"} <= set(subscribed(room))

        await until(both, "the program subscribes to the browser")
        tracks = subscribed(room)
        assert len(await asyncio.wait_for(pictures(tracks["browser video"], 15), PATIENCE)) == 15
        assert await asyncio.wait_for(loudness(tracks["browser audio"], 3), PATIENCE) > 100


async def test_data_crosses_between_sdk_and_browser(
    server: Server, new_client: Callable[[], Awaitable[Client]]
) -> None:
    browser = await new_client()
    await browser.call("join", server.ws, server.token("browser", "mixed-data"))
    async with sdk_room(server, "mixed-data", "program") as room:
        arrived: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        room.on(
            "data_received",
            lambda packet: arrived.put_nowait((packet.topic or "", packet.data.decode())),
        )
        await until(lambda: browser.call("remote"), "the browser sees the program")
        await room.local_participant.publish_data("from the program", reliable=True, topic="a")
        await browser.call("sendData", "from the browser", {"reliable": True, "topic": "b"})
        assert await asyncio.wait_for(arrived.get(), PATIENCE) == ("b", "from the browser")

        async def received() -> bool:
            return ["program", "a", "from the program"] in await browser.page.evaluate("state.data")

        await until(received, "the browser gets the message")


async def test_rpc_between_two_sdk_participants(server: Server) -> None:
    async with (
        sdk_room(server, "rpc", "caller") as caller,
        sdk_room(server, "rpc", "callee") as callee,
    ):

        @callee.local_participant.register_rpc_method("shout")  # type: ignore[untyped-decorator]
        async def shout(call: rtc.RpcInvocationData) -> str:
            return call.payload.upper()

        async def seen() -> bool:
            return "callee" in caller.remote_participants

        await until(seen, "the caller sees the callee")
        answer = await caller.local_participant.perform_rpc(
            destination_identity="callee", method="shout", payload="quiet"
        )
        assert answer == "QUIET"


async def test_a_speaker_is_announced_to_browser_and_sdk(
    server: Server, new_client: Callable[[], Awaitable[Client]]
) -> None:
    browser = await new_client()
    await browser.call("join", server.ws, server.token("browser", "speakers"))
    async with (
        sdk_room(server, "speakers", "listener") as listener,
        sdk_room(server, "speakers", "speaker") as speaker,
        sdk_media(speaker),
    ):
        heard: asyncio.Queue[list[str]] = asyncio.Queue()
        listener.on(
            "active_speakers_changed",
            lambda speakers: heard.put_nowait([one.identity for one in speakers]),
        )
        async with asyncio.timeout(PATIENCE):
            while await heard.get() != ["speaker"]:
                pass

        async def seen() -> bool:
            return "speaker" in await browser.events("ActiveSpeakersChanged")

        await until(seen, "the browser is told who speaks")
