"""A server that is killed or sent away and comes back on its ports: its clients come back by themselves."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from livekit import rtc

from common.clock import SystemClock
from server.listening import FIRST_PASSED
from tests.interop.conftest import (
    PATIENCE,
    START_SECONDS,
    Client,
    Server,
    launch,
    stop_server,
    until,
)
from tests.interop.unbroken import Observed
from tests.support.ports import free_port
from tests.support.servers import KEY, SECRET, Sections, configuration

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(150)]

NewClient = Callable[[], Awaitable[Client]]
BACK_WITHIN = 5_000.0  # ms from the server's word that it is ready to the next decoded frame


class Restartable:
    """A server whose processes follow each other on the same ports, as under a service manager."""

    def __init__(self, folder: Path, *, held: bool) -> None:
        """`held`: the manager keeps the listening socket, so that clients wait in it while nobody serves."""
        http = free_port()
        self._socket = socket.create_server(("127.0.0.1", http))
        self._folder = folder
        self._config = folder / "conclave.toml"
        ports: Sections = {"http": {"port": http}, "media": {"port": free_port()}}
        self._config.write_text(configuration(folder, ports))
        self._held = held
        if not held:
            self._socket.close()
        self.running: Server = self._launch()

    def _launch(self) -> Server:
        command = ["serve", "--config", str(self._config)]
        if not self._held:
            return launch(self._folder, *command, key=(KEY, SECRET))
        number = self._socket.fileno()
        passing = f'export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@" {FIRST_PASSED}<&{number}'
        return launch(
            self._folder,
            *command,
            prefix=["bash", "-c", passing, "bash"],
            inherited=[number],
            key=(KEY, SECRET),
        )

    async def end(self, *signals: signal.Signals) -> None:
        process = self.running.process
        for number in signals:
            process.send_signal(number)
        await asyncio.to_thread(process.wait, START_SECONDS)

    async def start(self) -> float:
        """The wall clock, ms, when it said that it is ready again."""
        assert self.running.process.stdout is not None
        self.running.process.stdout.close()
        self.running = await asyncio.to_thread(self._launch)
        return SystemClock().wall() * 1000

    def close(self) -> None:
        stop_server(self.running)
        self._socket.close()


@contextlib.asynccontextmanager
async def python_viewer(server: Server, room: str) -> AsyncIterator[asyncio.Queue[None]]:
    """A participant of the Python SDK; the queue gets an entry for each picture that it decodes."""
    pictures: asyncio.Queue[None] = asyncio.Queue()
    viewer = rtc.Room()
    tasks: set[asyncio.Task[None]] = set()

    async def look(track: rtc.Track) -> None:
        async for _ in rtc.VideoStream(track):
            pictures.put_nowait(None)

    def subscribed(track: rtc.Track, *_: object) -> None:
        if track.kind == rtc.TrackKind.KIND_VIDEO:
            tasks.add(asyncio.create_task(look(track)))

    viewer.on("track_subscribed", subscribed)
    await viewer.connect(server.ws, server.token("viewer", room))
    yield pictures
    for task in tasks:
        task.cancel()
    await viewer.disconnect()


KILL = (signal.SIGKILL,)
GO = (signal.SIGTERM, signal.SIGTERM)  # the second one does not wait for calls to end


@pytest.mark.parametrize(
    ("signals", "held"),
    [(KILL, True), (GO, True), (KILL, False)],
    ids=["killed", "sent away", "killed, and nobody holds its port"],
)
async def test_everybody_comes_back(
    new_client: NewClient, tmp_path: Path, signals: tuple[signal.Signals, ...], held: bool
) -> None:
    with contextlib.closing(Restartable(tmp_path, held=held)) as restartable:
        server = restartable.running
        alice, bob = await new_client(), await new_client()
        for client, name, camera in ((alice, "alice", True), (bob, "bob", False)):
            await client.call("join", server.ws, server.token(name, "phoenix"))
            # One camera: the pages of a browser share its fake device, which hangs if two start it anew at once.
            await client.call("publish", {"simulcast": False, "camera": camera})
        await Observed.begin(bob)
        async with asyncio.timeout(4 * PATIENCE), python_viewer(server, "phoenix") as pictures:
            await pictures.get()
            await restartable.end(*signals)
            while not pictures.empty():
                pictures.get_nowait()
            back = await restartable.start()
            after = await first_frame(bob, back)
            assert not held or after < BACK_WITHIN
            await pictures.get()
            assert not held or SystemClock().wall() * 1000 - back < BACK_WITHIN
            await until(lambda: alice.decoded("audio"), "alice hears bob again")
        for client, other in ((alice, "bob"), (bob, "alice")):
            assert await client.events("Disconnected") == []
            assert other in {person["identity"] for person in await client.call("remote")}


async def first_frame(client: Client, wall: float) -> float:
    """How long after `wall` (ms) the first frame arrived, ms."""

    async def found() -> float | None:
        value: float | None = await client.call("firstFrameAfter", wall)
        return value

    return float(await until(found, "a frame arrives"))
