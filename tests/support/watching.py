"""Waiting for what must happen, and proof that decoded tracks are the synthetic ones: numbers and loudness."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import numpy as np
from aiortc import MediaStreamTrack

from server.probe.sources import read_counter

PATIENCE = 25.0  # seconds until media must have been decoded, on two busy cores
ONE_CHECK = 30.0  # seconds that a check may take that has begun in time


async def until(check: Callable[[], Awaitable[Any]], what: str, seconds: float = PATIENCE) -> Any:
    """The first truthy result of `check`, or a failure that says what never happened."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    try:
        async with asyncio.timeout_at(deadline + ONE_CHECK):
            while not (result := await check()):
                if loop.time() > deadline:
                    raise TimeoutError
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"never happened: {what}") from None
    return result


async def by_kind(
    arrived: asyncio.Queue[MediaStreamTrack], count: int = 2
) -> dict[str, MediaStreamTrack]:
    """The next tracks."""
    async with asyncio.timeout(PATIENCE):
        return {track.kind: track for track in [await arrived.get() for _ in range(count)]}


async def counters(track: Any, count: int = 20) -> Sequence[int]:
    """The numbers in the next pictures."""
    async with asyncio.timeout(PATIENCE):
        return [read_counter((await track.recv()).to_ndarray(format="rgb24")) for _ in range(count)]


async def loudest(track: Any, count: int = 60) -> int:
    """The highest sample of the next frames."""
    async with asyncio.timeout(PATIENCE):
        return max(
            [int(np.abs((await track.recv()).to_ndarray().astype(int)).max()) for _ in range(count)]
        )


async def assert_plays(tracks: Mapping[str, Any]) -> None:
    """Pictures with rising numbers, and the sound."""
    seen = await counters(tracks["video"])
    assert seen == sorted(seen)
    assert len(set(seen)) > 10
    assert await loudest(tracks["audio"]) > 1000
