"""WHIP with encoders that are none of ours: FFmpeg's muxer in both DTLS roles, aiortc. What arrives is decoded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from aiortc import MediaStreamTrack
from google.protobuf import json_format
from livekit.protocol import models
from livekit.protocol import room as messages

from server.probe.session import join
from tests.interop.conftest import Server, until
from tests.support.encoder import Encoder
from tests.support.http_clients import WhipClient
from tests.support.watching import assert_plays, by_kind, counters

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]
Arrivals = asyncio.Queue[MediaStreamTrack]


@asynccontextmanager
async def viewing(server: Server, room: str) -> AsyncIterator[Arrivals]:
    """A connected participant: aiortc starts no track whose offer comes while its first handshake is under way."""
    arrived: Arrivals = asyncio.Queue()

    def take(_sid: str, track: MediaStreamTrack) -> None:
        arrived.put_nowait(track)

    async with join(server.url, server.token("ear", room), on_track=take) as session:

        async def connected() -> bool:
            return session.subscriber.connectionState == "connected"

        await until(connected, "the viewer is connected")
        yield arrived


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
    path = "/twirp/livekit.RoomService/ListParticipants"
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as client:
        response = await client.post(path, json={"room": room})
    listed = json_format.Parse(response.content, messages.ListParticipantsResponse())
    return {one.identity: one for one in listed.participants}


async def leaves(server: Server, room: str) -> None:
    async def gone() -> bool:
        return "encoder" not in await participants(server, room)

    await until(gone, "the encoder leaves", 5)


@pytest.mark.parametrize("active", [False, True], ids=["dtls_server", "dtls_client"])
async def test_ffmpeg_publishes_in_either_dtls_role_and_aiortc_decodes(
    server: Server, tmp_path: Path, active: bool
) -> None:
    room = f"ffmpeg-{active}"
    async with viewing(server, room) as arrived:
        async with encoding(server, room, tmp_path, active=active) as encoder:
            await assert_plays(await by_kind(arrived))
            shown = (await participants(server, room))["encoder"]
            assert shown.state == models.ParticipantInfo.State.ACTIVE
            assert {(one.source, one.mime_type.lower()) for one in shown.tracks} == {
                (models.TrackSource.CAMERA, "video/h264"),
                (models.TrackSource.MICROPHONE, "audio/opus"),
            }
        assert encoder.failure is None
        await leaves(server, room)


async def test_aiortc_publishes_and_ends_with_delete(server: Server) -> None:
    room = "aiortc-whip"
    async with (
        viewing(server, room) as arrived,
        WhipClient(server.url, server.token("encoder", room)) as encoder,
    ):
        await assert_plays(await by_kind(arrived))
        assert await encoder.delete() == 200
        assert "encoder" not in await participants(server, room)


async def test_an_encoder_that_closes_dtls_has_left(server: Server) -> None:
    room = "aiortc-closes"
    async with viewing(server, room) as arrived:
        async with WhipClient(server.url, server.token("encoder", room)):
            await counters((await by_kind(arrived))["video"], 1)
        await leaves(server, room)
