"""The composition root: builds a running server out of its parts, read top to bottom; and the order of going down.

In: a configuration. Out: a server that lets people in, until it is told to stop. Holds no logic of its own.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import secrets
import signal
import socket
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog
import uvicorn

from common.clock import SystemClock
from common.errors import LocalError
from crypto.certificates import FINGERPRINT_ALGORITHM, new_certificate
from crypto.tokens import SigningKeys
from server.audit.evidence import Evidence
from server.audit.routes import add_reading
from server.config import Config, snapshot_socket
from server.listening import bind_error, listen, passed
from server.routes import add_routes
from server.telemetry.observation import Observer
from server.telemetry.push import Pusher
from server.terminal import Exit, Terminal
from server.tracing import Tracing
from server.version import VERSION
from sfu import Engine, Fingerprint
from sfu.driver import Driver
from sfu.events import SfuEvent
from sfu.model import RoomOptions
from sfu.plane import Plane
from signalling.app import SignallingDeps, create_app
from signalling.messages import ServerFacts
from signalling.serving import uvicorn_settings
from signalling.turn import TurnServers

log = structlog.get_logger("server")

GOODBYE_SECONDS = 2.0  # for clients' sockets to be told, once the time for draining is over
EMPTY_CHECK_SECONDS = 0.2


class Node:
    """A server, running inside `async with`."""

    def __init__(self, config: Config) -> None:
        """Makes the data folder; nothing else happens before the block is entered."""
        self._config = config
        self._clock = SystemClock()
        self._tracing = Tracing(config.file.tracing, config.file.audit.pop)
        self.url = ""
        Path(config.file.data).mkdir(parents=True, exist_ok=True)

    async def __aenter__(self) -> Self:
        """Starts. Raises LocalError: port_in_use, port_forbidden, address_unavailable, bind_failed."""
        config, clock = self._config, self._clock
        file = config.file
        loop = asyncio.get_running_loop()

        listener, fingerprint = await self._open_doors()
        self._engine = Engine(
            plane=self._plane,
            clock=clock,
            choose=secrets.randbelow,
            fingerprint=fingerprint,
            announced={bound: (public,) for bound, public in file.media.announced.items()},
        )
        keys = SigningKeys(config.keys)
        self._signalling = create_app(
            SignallingDeps(
                rooms=self._engine,
                trail=self.evidence.acts,
                keys=keys,
                clock=clock,
                entropy=secrets.token_bytes,
                server=ServerFacts(),
                ice_servers=_turn_servers(config, clock).servers_for,
                auto_create=file.rooms.auto_create,
                room_defaults=RoomOptions(
                    empty_timeout=file.rooms.empty_timeout,
                    departure_timeout=file.rooms.departure_timeout,
                    max_participants=file.rooms.max_participants,
                ),
                trusted_proxies=file.http.trusted_proxies,
                static_dir=page_folder(),
            )
        )
        hub, node = self._signalling.hub, file.metrics.node
        self.observer = Observer(node, self._engine, self._plane, hub, self.evidence, clock)
        self._pusher = Pusher(self.observer, str(snapshot_socket(file)))

        def hear(event: SfuEvent) -> None:
            self.observer.handle_event(event)
            self._signalling.hub.handle_event(event)

        self._engine.listen(hear)
        self.evidence.acts.after = self._engine.flush
        self.evidence.acts.tracing = self._tracing
        add_routes(self._signalling, config, keys, clock, self.observer, page_folder())
        add_reading(self._signalling, self.evidence, clock, file.http.trusted_proxies)

        self._driver = Driver(self._engine, self._plane, clock, loop)
        self._driver.start()
        self.observer.start(loop)
        self._pusher.start()
        self._server = _Server(_uvicorn_config(config, self._tracing.wrap(self._signalling.asgi)))
        self._serving = asyncio.create_task(self._server.serve([listener]), name="http")
        scheme = "https" if file.http.certificate else "http"
        host = f"[{file.http.bind}]" if ":" in file.http.bind else file.http.bind
        self.url = f"{scheme}://{host}:{listener.getsockname()[1]}"
        await self._server.ready(self._serving)
        log.info("started", version=VERSION, lanes=file.media.lanes)
        return self

    async def _open_doors(self) -> tuple[socket.socket, Fingerprint]:
        """Evidence first: whatever else there is leaves some."""
        http = self._config.file.http
        self.evidence = Evidence(self._config, self._clock)
        listener = None
        try:
            listener = passed(os.environ, os.getpid()) or listen(http.bind, http.port)
            self._plane, fingerprint = _open_plane(self._config, self._clock)
        except LocalError:
            if listener is not None:
                listener.close()
            await self.evidence.abandon()
            raise
        await self.evidence.start()
        self.evidence.use_key("dtls", "certificate")
        return listener, fingerprint

    async def drain(self, seconds: float) -> None:
        """Lets nobody in and waits until everybody left, at most that long."""
        self._engine.draining = True
        self.observer.draining = True
        log.info("draining", seconds=seconds)
        deadline = self._clock.now() + seconds
        while self._engine.rooms and self._clock.now() < deadline:
            if not any(room.peers for room in self._engine.rooms.values()):
                break
            await asyncio.sleep(EMPTY_CHECK_SECONDS)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stops everything, and the audit log last, whatever goes wrong before."""
        try:
            await self._go_down()
        finally:
            await self.evidence.stop("stopped" if error is None else "failed")
        await asyncio.get_running_loop().run_in_executor(None, self._tracing.close)
        log.info("stopped")

    async def _go_down(self) -> None:
        """Clients are told, then HTTP ends, then rooms, then the data plane."""
        self._engine.draining = True
        self._signalling.shut_down()
        self._engine.flush()
        self._server.should_exit = True
        try:
            await asyncio.wait_for(self._serving, GOODBYE_SECONDS * 2)
        except TimeoutError:
            log.warning("connections_cut")
        self._engine.close()
        self._engine.flush()
        self.observer.stop()
        await self._pusher.stop()
        self._driver.stop()
        await asyncio.get_running_loop().run_in_executor(None, self._plane.close)


async def run_node(config: Config, terminal: Terminal) -> int:
    """Runs a server until SIGTERM or SIGINT has drained it, or a second one stops it at once."""
    stop, stop_now = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        (stop_now if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    async with Node(config) as node:
        _announce(node, config, terminal)
        await stop.wait()
        terminal.say(
            f"draining for up to {config.file.shutdown.drain} s (again to stop at once)",
            event="draining",
        )
        draining = asyncio.create_task(node.drain(config.file.shutdown.drain), name="drain")
        impatient = asyncio.create_task(stop_now.wait(), name="second-signal")
        await asyncio.wait((draining, impatient), return_when=asyncio.FIRST_COMPLETED)
        for task in (draining, impatient):
            task.cancel()
    return Exit.OK


def page_folder() -> Path | None:
    """The built meeting page, if this installation has one."""
    folder = Path(str(resources.files("server"))) / "page"
    return folder if (folder / "index.html").is_file() else None


def _announce(node: Node, config: Config, terminal: Terminal) -> None:
    link = f"{node.url}/meet/lobby"
    lines = ["Conclave is running.", f"  server:  {node.url}"]
    audit = node.evidence.url
    if audit:
        lines.append(
            f"  metrics: {audit}/metrics (the audit log's are there too: {audit}/checkpoint)"
        )
    if config.development:
        lines += [
            f"  meeting: {link}",
            "  API key: devkey / secret (for development only)",
            "  alone?   conclave publish --demo --room lobby"
            + ("" if node.url.endswith(":7880") else f" --url {node.url}"),
        ]
    terminal.say(
        "\n".join(lines), event="ready", url=node.url, meeting=link, version=VERSION, audit=audit
    )


def _open_plane(config: Config, clock: SystemClock) -> tuple[Plane, Fingerprint]:
    media = config.file.media
    certificate = new_certificate(wall=clock.wall())
    addresses = media.addresses or [default_address()]
    try:
        plane = Plane(
            lanes=media.lanes,
            addresses=addresses,
            port=media.port,
            certificate=certificate.der,
            private_key=certificate.private_key.reveal(),
            consent_timeout_ms=media.consent_timeout * 1000,
            tcp_port=media.listening_port,
            receive_buffer=media.receive_buffer,
            send_buffer=media.send_buffer,
        )
    except OSError as error:
        tcp = "TCP" in (error.strerror or "")  # the data plane says which one it was
        protocol, port = ("TCP", media.listening_port or 0) if tcp else ("UDP", media.port)
        raise bind_error(protocol, ", ".join(addresses), port, error) from error
    return plane, Fingerprint(FINGERPRINT_ALGORITHM, certificate.digest)


def _turn_servers(config: Config, clock: SystemClock) -> TurnServers:
    turn = config.file.turn
    return TurnServers(turn.urls, config.turn_secret, turn.lifetime, clock)


def default_address() -> str:
    """The address that this machine uses towards others; nothing is sent to find it."""
    for family, elsewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((elsewhere, 9))
            except OSError:
                continue
            return str(ipaddress.ip_address(probe.getsockname()[0]))
    raise LocalError(
        "no_address", "this machine has no route; name media.addresses in the configuration"
    )


def _uvicorn_config(config: Config, app: Callable[..., object]) -> uvicorn.Config:
    http = config.file.http
    return uvicorn.Config(
        app,
        **uvicorn_settings(),
        lifespan="on",
        timeout_graceful_shutdown=int(GOODBYE_SECONDS),
        ssl_certfile=http.certificate or None,
        ssl_keyfile=http.private_key or None,
    )


class _Server(uvicorn.Server):
    """Uvicorn, started and stopped by the node: it leaves the process's signals alone."""

    async def ready(self, serving: asyncio.Task[None]) -> None:
        """Waits until connections are accepted. Raises what kept it from starting."""
        while not self.started:
            if serving.done():
                serving.result()
                raise LocalError("http_failed", "the HTTP server ended while it started")
            await asyncio.sleep(0.01)
