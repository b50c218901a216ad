"""The check that counts: two participants, real media through the server, decoded at the other end.

In: a server's address and a way to make tokens. Out: findings. Must not: leave anything behind in the room.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from common.errors import RemoteError
from server.diagnosis.finding import Finding, fault, ok
from server.probe.session import join
from server.probe.sources import DemoAudio, DemoVideo, read_counter

MEDIA_SECONDS = 15.0  # handshakes, a first key frame and some frames, on a slow machine
FRAMES_WANTED = 10
JOIN_REMEDY = "Look at the server's log for the refusal; check the key, the secret and the clock."
MEDIA_REMEDY = (
    "UDP does not pass between here and the media port: "
    "check firewalls, media.addresses and media.announced."
)


async def check_media(url: str, make_token: Callable[[str], str]) -> list[Finding]:
    """Publishes synthetic media and waits for its pictures and samples at a second participant."""
    arrived: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
    try:
        async with (
            join(
                url,
                make_token("doctor-ear"),
                on_track=lambda _sid, track: arrived.put_nowait(track),
            ),
            join(url, make_token("doctor-mouth"), subscribe=False) as mouth,
        ):
            await mouth.publish(DemoAudio(), name="sound", source="microphone")
            await mouth.publish(DemoVideo(width=320, height=180), name="picture", source="camera")
            return await _receive(arrived)
    except RemoteError as error:
        return [
            fault("media_join", f"two participants could not join: {error.message}", JOIN_REMEDY)
        ]


async def _receive(arrived: asyncio.Queue[MediaStreamTrack]) -> list[Finding]:
    findings = []
    try:
        async with asyncio.timeout(MEDIA_SECONDS):
            tracks = {track.kind: track for track in (await arrived.get(), await arrived.get())}
            findings.append(await _check_sound(tracks["audio"]))
            findings.append(await _check_picture(tracks["video"]))
    except (TimeoutError, MediaStreamError):
        text = f"no decoded media within {MEDIA_SECONDS:.0f} s"
        findings.append(fault("media_round_trip", text, MEDIA_REMEDY))
    return findings


async def _check_sound(track: MediaStreamTrack) -> Finding:
    loud = 0
    while loud < FRAMES_WANTED:
        frame = await track.recv()
        loud += int(abs(frame.to_ndarray().astype(int)).max() > 100)  # type: ignore[union-attr]
    return ok("media_sound", f"{loud} frames of sound went through the server and were decoded")


async def _check_picture(track: MediaStreamTrack) -> Finding:
    counters: list[int] = []
    while len(counters) < FRAMES_WANTED:
        frame = await track.recv()
        counters.append(read_counter(frame.to_ndarray(format="rgb24")))  # type: ignore[union-attr]
    if counters != sorted(counters):
        text = f"pictures arrived out of order: {counters}"
        return fault(
            "media_picture", text, "This is a defect of the server: report it with the log."
        )
    return ok(
        "media_picture",
        f"{len(counters)} pictures went through the server and were decoded in order",
    )
