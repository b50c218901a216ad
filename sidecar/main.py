"""The sidecar's process: everything built, started, and stopped in order.

In: a configuration. Out: an exit code. Must not: go on once the log cannot be trusted; a supervisor starts it
again, and the start finds out what is durable.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import uvicorn
from starlette.applications import Starlette

from common.clock import Clock, SystemClock
from common.errors import ConclaveError, LocalError
from compliance.files import PosixFiles
from crypto.notes import COSIGNATURE, Signer, Verifier
from crypto.sealing import key_file
from sidecar.http import make_app
from sidecar.intake import Intake
from sidecar.metrics import Metrics
from sidecar.service import CHECKPOINT_SECONDS, Service
from sidecar.store import open_store
from sidecar.witness import Witness
from sidecar.witnessing import Feeder, WitnessDesk

STOPPED: Final = 0
FAILED: Final = 1  # the disk, or the configuration; a new start may help
DAMAGED: Final = 3  # the store is not what was signed; only a person can help
_DAMAGE: Final = frozenset({"log_damaged", "log_rolled_back", "checkpoint_inconsistent"})
log = logging.getLogger("sidecar")


@dataclass(frozen=True, slots=True)
class SidecarConfig:
    """Everything that the sidecar needs to know."""

    origin: str  # the log's name, such as `conclave.example/pop-1/audit`
    log: Path  # folder of the log
    state: Path  # folder of what was signed; best on another medium than the log
    key: Path  # file of the signing key, mode 0600, made on first use
    socket: Path
    users: frozenset[int] = field(default_factory=lambda: frozenset({os.getuid()}))
    bind: str = "127.0.0.1"
    port: int | None = None  # None: no HTTP; 0: any free port
    interval: float = CHECKPOINT_SECONDS
    witness_key: Path | None = None  # makes this sidecar a witness
    witness_name: str = ""
    witnessed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # origin -> keys
    witnesses: tuple[tuple[str, str], ...] = ()  # (submission prefix, key) of witnesses of this log


def embedded(data: Path, *, port: int | None = None) -> SidecarConfig:
    """The defaults of one machine: everything below `data`."""
    audit = data / "audit"
    return SidecarConfig(
        origin="conclave.local/audit",
        log=audit / "log",
        state=audit / "state",
        key=audit / "signing.key",
        socket=audit / "intake.sock",
        port=port,
    )


def run(config: SidecarConfig) -> int:
    """Works until SIGTERM or SIGINT; returns the exit code."""
    code = STOPPED
    try:
        asyncio.run(_run(config))
    except* (ConclaveError, OSError) as group:
        code = _exit_code(group)
    return code


async def _run(config: SidecarConfig) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stopped.set)
    async with serving(config, SystemClock()) as running:
        log.info("the audit log %s is open", config.origin)
        waiting = asyncio.create_task(stopped.wait())
        await asyncio.wait({waiting, running}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()


@asynccontextmanager
async def serving(config: SidecarConfig, clock: Clock) -> AsyncIterator[asyncio.Task[None]]:
    """The whole sidecar; yields the task that ends when the log cannot go on."""
    config.key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    metrics = Metrics()
    signer = Signer(config.origin, key_file(config.key).reveal())
    async with AsyncExitStack() as stack:
        files = stack.enter_context(contextlib.closing(PosixFiles(config.log)))
        state = stack.enter_context(contextlib.closing(PosixFiles(config.state)))
        writer, keeper = await asyncio.to_thread(open_store, files, state, signer)
        (config.log / "key.pub").write_text(signer.verifier.encode() + "\n", encoding="utf-8")
        service = Service(writer, keeper, clock=clock, metrics=metrics, interval=config.interval)
        running = asyncio.create_task(service.run())
        stack.push_async_callback(_finish, service, running)
        desk = _make_desk(config, state, clock, metrics)
        if desk is not None:
            stack.callback(desk.close)
        if config.witnesses:
            await _start_feeder(config, service, files, metrics, stack)
        if config.port is not None:
            await _start_http(config, make_app(files, metrics, desk), stack)
        intake = Intake(service, config.socket, users=config.users, metrics=metrics)
        await intake.start()
        stack.push_async_callback(intake.stop)
        yield running


async def _finish(service: Service, running: asyncio.Task[None]) -> None:
    service.stop()
    await running
    await service.close()


def _make_desk(
    config: SidecarConfig, state: PosixFiles, clock: Clock, metrics: Metrics
) -> WitnessDesk | None:
    if config.witness_key is None:
        return None
    name = config.witness_name or config.origin
    signer = Signer(name, key_file(config.witness_key).reveal(), COSIGNATURE)
    logs = {
        origin: [Verifier.decode(key) for key in keys] for origin, keys in config.witnessed.items()
    }
    return WitnessDesk(Witness(signer, logs), state, clock, metrics)


async def _start_feeder(
    config: SidecarConfig,
    service: Service,
    files: PosixFiles,
    metrics: Metrics,
    stack: AsyncExitStack,
) -> None:
    client = await stack.enter_async_context(httpx.AsyncClient())
    witnesses = [(url, Verifier.decode(key)) for url, key in config.witnesses]
    feeding = asyncio.create_task(Feeder(service, files, witnesses, metrics, client).run())

    async def end() -> None:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)

    stack.push_async_callback(end)


async def _start_http(config: SidecarConfig, app: Starlette, stack: AsyncExitStack) -> None:
    listener = socket.create_server((config.bind, config.port or 0))
    log.info("metrics and log on http://%s:%d", *listener.getsockname()[:2])
    settings = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1
    )
    server = _Http(settings)
    task = asyncio.create_task(server.serve([listener]))

    async def end() -> None:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)


class _Http(uvicorn.Server):
    """Leaves the process's signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield


def _exit_code(group: BaseExceptionGroup[BaseException]) -> int:
    """Says what happened, and whether a new start can help."""
    worst = FAILED
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            worst = max(worst, _exit_code(error))
            continue
        log.error("the sidecar ends: %s", error)
        if isinstance(error, LocalError) and error.code in _DAMAGE:
            worst = DAMAGED
    return worst
