"""Aiortc as a client: its own DTLS, SRTP and decoders against ours."""

import asyncio

import numpy as np
import pytest
from aiortc import MediaStreamTrack

from server.probe.session import join
from server.probe.sources import DemoAudio, DemoVideo, read_counter
from tests.interop.conftest import PATIENCE, Server

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]


async def test_aiortc_publishes_and_another_aiortc_decodes(server: Server) -> None:
    arrived: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
    async with (
        join(
            server.url,
            server.token("ear", "aiortc"),
            on_track=lambda _sid, track: arrived.put_nowait(track),
        ),
        join(server.url, server.token("mouth", "aiortc"), subscribe=False) as mouth,
    ):
        await mouth.publish(DemoAudio(), name="sound", source="microphone")
        await mouth.publish(DemoVideo(), name="picture", source="camera")
        async with asyncio.timeout(PATIENCE):
            tracks = {track.kind: track for track in (await arrived.get(), await arrived.get())}
            assert set(tracks) == {"audio", "video"}
            counters = [
                read_counter((await tracks["video"].recv()).to_ndarray(format="rgb24"))
                for _ in range(20)
            ]
            assert counters == sorted(counters)
            assert len(set(counters)) > 10
            loud = [
                int(np.abs((await tracks["audio"].recv()).to_ndarray().astype(int)).max())
                for _ in range(60)
            ]
            assert max(loud) > 1000
