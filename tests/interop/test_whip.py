"""WHIP with encoders that are none of ours: FFmpeg's muxer in both DTLS roles, aiortc. What arrives is decoded."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from google.protobuf import json_format
from livekit.protocol import models
from livekit.protocol import room as messages

from server.probe.session import join
from server.probe.sources import DemoAudio, DemoVideo, read_counter
from tests.interop.conftest import PATIENCE, Server, until
from tests.support.encoder import Encoder

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]
SDP = {"Content-Type": "application/sdp"}


class Viewer:
    """What a participant of the room receives."""

    def __init__(self) -> None:
        self._arrived: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()

    def take(self, _sid: str, track: MediaStreamTrack) -> None:
        self._arrived.put_nowait(track)

    async def tracks(self, count: int) -> dict[str, MediaStreamTrack]:
        async with asyncio.timeout(PATIENCE):
            return {
                track.kind: track for track in [await self._arrived.get() for _ in range(count)]
            }


@asynccontextmanager
async def viewing(server: Server, room: str) -> AsyncIterator[Viewer]:
    """A connected participant: aiortc starts no track whose offer comes while its first handshake is under way."""
    viewer = Viewer()
    async with join(server.url, server.token("ear", room), on_track=viewer.take) as session:

        async def connected() -> bool:
            return session.subscriber.connectionState == "connected"

        await until(connected, "the viewer is connected")
        yield viewer


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


async def assert_plays(tracks: dict[str, MediaStreamTrack]) -> None:
    seen = await counters(tracks["video"])
    assert seen == sorted(seen)
    assert len(set(seen)) > 10
    assert await loudest(tracks["audio"]) > 1000


@asynccontextmanager
async def encoding(
    server: Server, room: str, folder: Path, *, active: bool
) -> AsyncIterator[Encoder]:
    token = server.token("encoder", room)
    encoder = Encoder(f"{server.url}/whip/v1", token, folder, active=active)
    encoder.start()
    try:
        yield encoder
    finally:
        await asyncio.to_thread(encoder.finish)


async def participants(server: Server, room: str) -> dict[str, models.ParticipantInfo]:
    headers = {"Authorization": f"Bearer {server.token('admin', room, admin=True)}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as client:
        response = await client.post(
            "/twirp/livekit.RoomService/ListParticipants", json={"room": room}
        )
    listed = json_format.Parse(response.content, messages.ListParticipantsResponse())
    return {one.identity: one for one in listed.participants}


@pytest.mark.parametrize("active", [False, True], ids=["dtls_server", "dtls_client"])
async def test_ffmpeg_publishes_in_either_dtls_role_and_aiortc_decodes(
    server: Server, tmp_path: Path, active: bool
) -> None:
    room = f"ffmpeg-{active}"
    async with viewing(server, room) as viewer:
        async with encoding(server, room, tmp_path, active=active) as encoder:
            await assert_plays(await viewer.tracks(2))
            shown = (await participants(server, room))["encoder"]
            assert shown.state == models.ParticipantInfo.State.ACTIVE
            assert {(one.source, one.mime_type.lower()) for one in shown.tracks} == {
                (models.TrackSource.CAMERA, "video/h264"),
                (models.TrackSource.MICROPHONE, "audio/opus"),
            }
        assert encoder.failure is None

        async def gone() -> bool:
            return "encoder" not in await participants(server, room)

        await until(gone, "the encoder leaves when it ends its session", 5)


class AiortcEncoder:
    """A plain WHIP client."""

    def __init__(self, server: Server, room: str) -> None:
        self.headers = {"Authorization": f"Bearer {server.token('encoder', room)}"}
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.http = httpx.AsyncClient(base_url=server.url)
        self.location = ""

    async def __aenter__(self) -> "AiortcEncoder":
        for track in (DemoAudio(), DemoVideo()):
            self.connection.addTransceiver(track, direction="sendonly")
        await self.connection.setLocalDescription(await self.connection.createOffer())
        response = await self.http.post(
            "/whip/v1",
            content=self.connection.localDescription.sdp,
            headers={**SDP, **self.headers},
        )
        assert response.status_code == 201, response.text
        self.location = response.headers["location"]
        await self.connection.setRemoteDescription(RTCSessionDescription(response.text, "answer"))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()
        await self.http.aclose()


async def test_aiortc_publishes_and_ends_with_delete(server: Server) -> None:
    room = "aiortc-whip"
    async with viewing(server, room) as viewer, AiortcEncoder(server, room) as encoder:
        await assert_plays(await viewer.tracks(2))
        deleted = await encoder.http.delete(encoder.location, headers=encoder.headers)
        assert deleted.status_code == 200
        assert "encoder" not in await participants(server, room)


async def test_an_encoder_that_closes_dtls_has_left(server: Server) -> None:
    room = "aiortc-closes"
    async with viewing(server, room) as viewer:
        async with AiortcEncoder(server, room):
            await counters((await viewer.tracks(2))["video"], 1)

        async def gone() -> bool:
            return "encoder" not in await participants(server, room)

        await until(gone, "the encoder leaves with its DTLS association", 5)
