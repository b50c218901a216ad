"""An honest call through a real server, hostile datagrams beside it, and the counters that must tell of them."""

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from aiortc import MediaStreamTrack

from server.probe.session import ProbeSession, join
from server.probe.sources import DemoVideo, read_counter
from tests.interop.conftest import PATIENCE, Server, start_server, stop_server, until
from tests.support.exposition import read

DATAGRAM_BURST = 50  # sent before the loop may run, so that the receive buffer is never the reason


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("server"))
    yield running
    stop_server(running)


@dataclass
class Call:
    """Two honest participants: one sends a numbered picture, the other reads the numbers."""

    server: Server
    mouth: ProbeSession
    picture: MediaStreamTrack

    async def goes_on(self) -> None:
        """New pictures arrive, in order, and they are the sender's."""
        async with asyncio.timeout(PATIENCE):
            first = read_counter((await self.picture.recv()).to_ndarray(format="rgb24"))
            counters = [first]
            while counters[-1] < first + 10:
                counters.append(
                    read_counter((await self.picture.recv()).to_ndarray(format="rgb24"))
                )
        assert counters == sorted(counters)

    async def drops(self, reason: str) -> int:
        """How often packets were dropped for this reason, all lanes."""
        return await asyncio.to_thread(drops, self.server, reason)

    async def counted(self, reason: str, at_least: int, before: int = 0) -> None:
        """Waits until the counter has risen by that many."""

        async def risen() -> bool:
            return await self.drops(reason) >= before + at_least

        await until(risen, f"{at_least} x {reason}")


def drops(server: Server, reason: str) -> int:
    page = read(server.audit)
    if not page.samples("conclave_received_packets_total"):
        return 0  # the first snapshot is still on its way
    return int(page.total("conclave_drops_total", reason=reason))


@asynccontextmanager
async def honest_call(server: Server, room: str) -> AsyncIterator[Call]:
    arrived: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
    async with (
        join(server.url, server.token("ear", room), on_track=lambda _sid, t: arrived.put_nowait(t)),
        join(server.url, server.token("mouth", room), subscribe=False) as mouth,
    ):
        await mouth.publish(DemoVideo(320, 180), name="picture", source="camera")
        async with asyncio.timeout(PATIENCE):
            call = Call(server, mouth, await arrived.get())
        await call.goes_on()
        yield call
        await call.goes_on()


@dataclass(frozen=True)
class Target:
    """What a stranger can know of a transport from a description that it saw."""

    address: tuple[str, int]
    ufrag: str
    pwd: str


def target(session: ProbeSession) -> Target:
    """The media address and credentials in the server's answer to a publisher."""
    sdp = session.publisher.remoteDescription.sdp
    host, port = re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", sdp, re.IGNORECASE)[
        0
    ]
    return Target((host, int(port)), _value(sdp, "ice-ufrag"), _value(sdp, "ice-pwd"))


def _value(sdp: str, name: str) -> str:
    found = re.search(rf"a={name}:(\S+)", sdp)
    assert found
    return found.group(1)


class Stranger:
    """A UDP socket that nobody invited."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._address = address
        self._sent = 0

    async def send(self, datagram: bytes) -> None:
        self._socket.sendto(datagram, self._address)
        self._sent += 1
        if self._sent % DATAGRAM_BURST == 0:
            await asyncio.sleep(0.002)

    def replies(self) -> int:
        """Datagrams that came back."""
        count = 0
        while True:
            try:
                self._socket.recv(4096)
            except BlockingIOError:
                return count
            count += 1

    def close(self) -> None:
        self._socket.close()


def rtp(ssrc: int, sequence: int, payload: bytes = b"x" * 100, payload_type: int = 96) -> bytes:
    """A plain RTP packet (RFC 3550 section 5.1)."""
    return (
        struct.pack("!BBHII", 0x80, payload_type, sequence & 0xFFFF, sequence * 3000, ssrc)
        + payload
    )
