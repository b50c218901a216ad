"""`conclave publish`: joins a room as a participant and sends a file, or a synthetic picture and sound.

So one person alone can try a call. Aiortc and its codecs are imported here only: the server never needs them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from aiortc import MediaStreamTrack

from common.clock import Clock, SystemClock
from server.commands.progress import Progress
from server.probe.layers import ONE_LAYER, THREE_LAYERS, LayerSender
from server.probe.session import ProbeSession, join
from server.probe.sources import DemoAudio, DemoVideo, open_file
from server.terminal import Terminal

PROGRESS_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """What to send where."""

    url: str
    token: str
    file: Path | None = None  # None: the synthetic picture and sound
    loop: bool = True
    seconds: float | None = None  # None: until interrupted or the file ends
    simulcast: bool = False  # the picture in three sizes


def tracks(options: PublishOptions) -> tuple[MediaStreamTrack | None, MediaStreamTrack | None]:
    """(audio, video) to send. Raises LocalError."""
    if options.file is None:
        return DemoAudio(), DemoVideo()
    return open_file(options.file, loop=options.loop)


async def publish(options: PublishOptions, terminal: Terminal, clock: Clock | None = None) -> None:
    """Publishes until the time is up, the media ends or the server ends it. Raises ConclaveError."""
    clock = clock or SystemClock()
    audio, video = tracks(options)
    async with join(options.url, options.token, subscribe=False) as session:
        sids: list[str] = []
        senders: tuple[LayerSender, ...] = ()
        if audio is not None:
            sids.append(await session.publish(audio, name="sound", source="microphone"))
        if video is not None:
            layers = THREE_LAYERS if options.simulcast else ONE_LAYER
            layered = await session.publish_layers(video, layers, name="picture", source="camera")
            sids.append(layered.sid)
            senders = layered.senders
        terminal.say(
            f"publishing to room {session.room} (Ctrl+C stops)",
            event="publishing",
            room=session.room,
            tracks=sids,
        )
        media = [track for track in (audio, video) if track is not None]
        progress = Progress(senders, clock.now())
        reason = await _until_done(options, session, media, progress, terminal, clock)
    terminal.progress("")
    terminal.say(f"stopped: {reason}", event="stopped", reason=reason)


async def _until_done(
    options: PublishOptions,
    session: ProbeSession,
    media: list[MediaStreamTrack],
    progress: Progress,
    terminal: Terminal,
    clock: Clock,
) -> str:
    started = clock.now()
    while True:
        if options.seconds is not None and clock.now() - started >= options.seconds:
            return "time_is_up"
        if session.ended.done():
            return session.ended.result()
        if media and all(track.readyState == "ended" for track in media):
            return "media_ended"
        report = await progress.report(clock.now())
        terminal.progress(report.text, **report.facts)
        await asyncio.sleep(PROGRESS_SECONDS)
