"""A participant made of any version of the SDK for Python: takes commands, says what it sees, in JSON lines.

Commands: `{"publish": true}`, `{"data": TEXT}`, `{"call": IDENTITY}`. It answers calls of `shout` in capitals.
Arguments: the server's address and a token. Ends when its standard input does.
"""

import asyncio
import json
import sys
from typing import Any

import numpy as np
from livekit import rtc

from server.probe.sources import AUDIO_FRAME, AUDIO_RATE, DemoAudio, DemoVideo, read_counter

WIDTH, HEIGHT, RATE = 640, 360, 15
TASKS: set[asyncio.Task[None]] = set()


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


def start(work: Any) -> None:
    """Runs beside, until the end."""
    task = asyncio.create_task(work)
    TASKS.add(task)
    task.add_done_callback(TASKS.discard)


async def watch(track: Any) -> None:
    stream = rtc.VideoStream(track, format=rtc.VideoBufferType.RGB24)
    async for event in stream:
        frame = event.frame
        pixels = np.frombuffer(frame.data, np.uint8).reshape(frame.height, frame.width, 3)
        say(video=read_counter(pixels), width=frame.width, height=frame.height)


async def listen(track: Any) -> None:
    async for event in rtc.AudioStream(track):
        samples = np.frombuffer(event.frame.data, np.int16).astype(int)
        say(audio=int(np.abs(samples).max()))


async def show(source: Any) -> None:
    painter = DemoVideo(WIDTH, HEIGHT, RATE)
    opaque = np.full((HEIGHT, WIDTH), 255, np.uint8)
    count = 0
    while True:
        data = np.dstack([painter.draw(count), opaque]).tobytes()
        source.capture_frame(rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.RGBA, data))
        count += 1
        await asyncio.sleep(1 / RATE)


async def sound(source: Any) -> None:
    count = 0
    while True:
        data = DemoAudio.sound(count).tobytes()
        await source.capture_frame(rtc.AudioFrame(data, AUDIO_RATE, 1, AUDIO_FRAME))
        count += 1


async def publish(room: rtc.Room) -> None:
    video, audio = rtc.VideoSource(WIDTH, HEIGHT), rtc.AudioSource(AUDIO_RATE, 1)
    camera = rtc.LocalVideoTrack.create_video_track("camera", video)
    microphone = rtc.LocalAudioTrack.create_audio_track("microphone", audio)
    for track, kind in ((camera, "CAMERA"), (microphone, "MICROPHONE")):
        source = getattr(rtc.TrackSource, f"SOURCE_{kind}")
        await room.local_participant.publish_track(track, rtc.TrackPublishOptions(source=source))
    start(show(video))
    start(sound(audio))


async def obey(room: rtc.Room, command: dict[str, Any]) -> None:
    local = room.local_participant
    if "publish" in command:
        await publish(room)
        say(published=True)
    elif "data" in command:
        await local.publish_data(command["data"], reliable=True, topic="t")
    elif "call" in command:
        answer = await local.perform_rpc(
            destination_identity=command["call"], method="shout", payload="quiet"
        )
        say(answer=answer)


async def main(url: str, token: str) -> None:
    room = rtc.Room()

    def subscribed(track: Any, *_: object) -> None:
        start(watch(track) if track.kind == rtc.TrackKind.KIND_VIDEO else listen(track))

    async def shout(call: Any) -> str:
        return str(call.payload).upper()

    room.on("track_subscribed", subscribed)
    room.on("data_received", lambda packet: say(data=packet.data.decode(), topic=packet.topic))
    room.on("participant_disconnected", lambda participant: say(gone=participant.identity))
    await room.connect(url, token)
    room.local_participant.register_rpc_method("shout", shout)
    say(joined=room.local_participant.sid)
    while line := await asyncio.to_thread(sys.stdin.readline):
        await obey(room, json.loads(line))
    await room.disconnect()
    for task in TASKS:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
