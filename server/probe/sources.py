"""Moving picture and sound: synthetic ones that need no device, or a file's, in real time.

Out: aiortc tracks. The synthetic picture carries its frame number as a row of black and white blocks, so that a
receiver can prove that it saw this very picture; the sound is a soft two-note signal once a second.
"""

from __future__ import annotations

import asyncio
import fractions
from pathlib import Path

import av
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.contrib.media import MediaPlayer
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

from common.clock import Clock, SystemClock
from common.errors import LocalError

VIDEO_CLOCK = 90_000  # Hz, RFC 3551 section 5
AUDIO_RATE = 48_000  # Hz, Opus
AUDIO_FRAME = 960  # samples: 20 ms
COUNTER_BITS = 16
COUNTER_BLOCK = 16  # pixels; large enough to survive low bit rates


class DemoVideo(VideoStreamTrack):
    """A slowly moving picture with a readable frame counter."""

    def __init__(
        self, width: int = 640, height: int = 360, rate: int = 20, clock: Clock | None = None
    ) -> None:
        """`rate` is in frames per second."""
        super().__init__()
        self.width = width
        self.height = height
        self._rate = rate
        self._clock = clock or SystemClock()
        self._started: float | None = None
        self._count = 0
        columns, rows = np.meshgrid(np.arange(width), np.arange(height))
        self._columns = columns.astype(np.float32) / width
        self._rows = rows.astype(np.float32) / height

    async def recv(self) -> av.VideoFrame:
        """The next frame, when it is due; frames that are late by then are left out, as a camera does."""
        now = self._clock.now()
        if self._started is None:
            self._started = now
        self._count = max(self._count, int((now - self._started) * self._rate))
        await asyncio.sleep(self._started + self._count / self._rate - now)
        frame = av.VideoFrame.from_ndarray(self.draw(self._count), format="rgb24")
        frame.pts = self._count * VIDEO_CLOCK // self._rate
        frame.time_base = fractions.Fraction(1, VIDEO_CLOCK)
        self._count += 1
        return frame

    def draw(self, count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        """Picture number `count` as rows x columns x RGB."""
        phase = count / (self._rate * 6) * 2 * np.pi
        wave = 0.5 + 0.5 * np.sin(3 * np.pi * (self._columns + 0.6 * self._rows) + phase)
        glow = 0.5 + 0.5 * np.cos(2 * np.pi * self._rows - phase)
        picture = np.stack([40 + 60 * wave, 70 + 90 * glow * wave, 120 + 100 * glow], axis=-1)
        pixels = picture.astype(np.uint8)
        self._ball(pixels, phase)
        for bit in range(COUNTER_BITS):
            left = 8 + bit * COUNTER_BLOCK
            pixels[8 : 8 + COUNTER_BLOCK, left : left + COUNTER_BLOCK] = (
                255 if count >> bit & 1 else 0
            )
        return pixels

    def _ball(self, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], phase: float) -> None:
        x = 0.5 + 0.35 * np.sin(phase)
        y = 0.55 + 0.3 * np.cos(2 * phase)
        aspect = self.height / self.width
        inside = (self._columns - x) ** 2 + ((self._rows - y) * aspect) ** 2 < 0.004
        pixels[inside] = (250, 204, 92)


def read_counter(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> int:
    """The frame number in a received picture (rows x columns x RGB, any size of the same shape)."""
    count = 0
    middle = 8 + COUNTER_BLOCK // 2
    for bit in range(COUNTER_BITS):
        centre = 8 + bit * COUNTER_BLOCK + COUNTER_BLOCK // 2
        block = pixels[middle - 3 : middle + 3, centre - 3 : centre + 3]
        count |= int(block.mean() > 128) << bit
    return count


class DemoAudio(AudioStreamTrack):
    """A soft two-note signal once a second."""

    def __init__(self, clock: Clock | None = None) -> None:
        """Mono, 48 kHz, 20 ms frames."""
        super().__init__()
        self._clock = clock or SystemClock()
        self._started: float | None = None
        self._count = 0

    async def recv(self) -> av.AudioFrame:
        """The next 20 ms, when they are due."""
        now = self._clock.now()
        if self._started is None:
            self._started = now
        await asyncio.sleep(max(0.0, self._started + self._count * AUDIO_FRAME / AUDIO_RATE - now))
        samples = self.sound(self._count)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = AUDIO_RATE
        frame.pts = self._count * AUDIO_FRAME
        frame.time_base = fractions.Fraction(1, AUDIO_RATE)
        self._count += 1
        return frame

    @staticmethod
    def sound(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
        """Frame number `count`: 960 samples of 16 bits."""
        t = (count * AUDIO_FRAME + np.arange(AUDIO_FRAME)) / AUDIO_RATE
        second = t % 1.0
        envelope = np.exp(-4 * second) * np.minimum(1.0, second * 200)
        note = np.sin(2 * np.pi * 440 * t) + 0.6 * np.sin(2 * np.pi * 660 * t)
        hum = 0.02 * np.sin(2 * np.pi * 220 * t)
        return ((0.4 * envelope * note + hum) * 16_000).astype(np.int16)


def open_file(path: Path, *, loop: bool) -> tuple[MediaStreamTrack | None, MediaStreamTrack | None]:
    """(audio, video) of a media file in real time.

    Raises LocalError: file_unreadable, file_without_media, file_not_seekable.
    """
    if not path.is_file():
        raise LocalError("file_unreadable", f"{path} is not a file")
    try:
        player = MediaPlayer(str(path), loop=loop)
    except (OSError, ValueError, av.error.FFmpegError) as error:
        raise LocalError("file_unreadable", f"{path} cannot be opened ({error})") from error
    except AssertionError as error:  # what aiortc says of files that it cannot wind back
        raise LocalError(
            "file_not_seekable", f"{path} cannot start again at its end: give --no-loop"
        ) from error
    if player.audio is None and player.video is None:
        raise LocalError("file_without_media", f"{path} holds neither audio nor video")
    if player.video is not None:
        with av.open(str(path)) as container:
            (size, *_) = container.streams.video
            player.video.width, player.video.height = size.width, size.height  # type: ignore[attr-defined]
    return player.audio, player.video
