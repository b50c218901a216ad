"""An SDK whose signalling connection is cut comes back as the same participant, and data go on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from livekit import rtc

from tests.interop.conftest import PATIENCE, Server

pytestmark = pytest.mark.anyio


class Wire:
    """A TCP relay that can be cut; media take another way."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._writers: set[asyncio.StreamWriter] = set()

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers |= {writer, far_writer}
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


@asynccontextmanager
async def wire_to(server: Server) -> AsyncIterator[tuple[Wire, str]]:
    wire = Wire(urlsplit(server.url).port or 0)
    relay = await asyncio.start_server(wire.relay, "127.0.0.1", 0)
    async with relay:
        yield wire, f"ws://127.0.0.1:{relay.sockets[0].getsockname()[1]}"
        wire.cut()


async def test_a_cut_signalling_connection_is_resumed_by_the_same_participant(
    server: Server,
) -> None:
    alice, bob = rtc.Room(), rtc.Room()
    back, left = asyncio.Event(), asyncio.Event()
    arrived: asyncio.Queue[bytes] = asyncio.Queue()
    alice.on("reconnected", back.set)
    bob.on("participant_disconnected", lambda _: left.set())
    bob.on("data_received", lambda packet: arrived.put_nowait(packet.data))
    async with asyncio.timeout(2 * PATIENCE), wire_to(server) as (wire, url):
        await bob.connect(server.ws, server.token("bob", "resume"))
        await alice.connect(url, server.token("alice", "resume"))
        sid = alice.local_participant.sid
        for number in range(2):
            back.clear()
            wire.cut()
            await back.wait()
            await alice.local_participant.publish_data(b"%d" % number, reliable=True)
            assert await arrived.get() == b"%d" % number
        assert alice.local_participant.sid == sid
        assert not left.is_set()
        await alice.disconnect()
        await left.wait()
        await bob.disconnect()
