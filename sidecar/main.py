"""The sidecar's process: everything built, started, and stopped in order.

In: a configuration. Out: an exit code. Must not: go on once the log cannot be trusted; a supervisor starts it
again, and the start finds out what is durable.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

from common.clock import Clock, SystemClock
from common.errors import ConclaveError, LocalError
from compliance.files import PosixFiles
from crypto.notes import COSIGNATURE, Signer, Verifier
from crypto.sealing import key_file
from sidecar.intake import Intake
from sidecar.metrics import Metrics
from sidecar.nodes import Nodes
from sidecar.query import Library
from sidecar.service import Service
from sidecar.settings import SidecarConfig
from sidecar.snapshots import Snapshots
from sidecar.store import open_store
from sidecar.witness import Witness
from sidecar.witnessing import WitnessDesk

if TYPE_CHECKING:
    from sidecar.timestamps import Authority

STOPPED: Final = 0
FAILED: Final = 1  # the disk, or the configuration; a new start may help
DAMAGED: Final = 3  # the store is not what was signed; only a person can help
_DAMAGE: Final = frozenset({"log_damaged", "log_rolled_back", "checkpoint_inconsistent"})
log = logging.getLogger("sidecar")


def run(config: SidecarConfig, ready: Callable[[str], None] = lambda url: None) -> int:
    """Works until SIGTERM or SIGINT; returns the exit code. `ready` gets the URL, or "", once it works."""
    code = STOPPED
    try:
        asyncio.run(_run(config, ready))
    except* (ConclaveError, OSError) as group:
        code = _exit_code(group)
    return code


async def _run(config: SidecarConfig, ready: Callable[[str], None]) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stopped.set)
    if config.lifeline:
        loop.add_reader(sys.stdin.fileno(), _watch_lifeline, stopped)
    async with serving(config, SystemClock()) as (running, url):
        log.info("the audit log %s is open", config.origin)
        ready(url)
        waiting = asyncio.create_task(stopped.wait())
        await asyncio.wait({waiting, running}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()


def _watch_lifeline(stopped: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        stopped.set()


@asynccontextmanager
async def serving(
    config: SidecarConfig, clock: Clock
) -> AsyncIterator[tuple[asyncio.Task[None], str]]:
    """The whole sidecar; yields the task that ends when the log cannot go on, and the URL of HTTP."""
    config.key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    nodes = Nodes(clock)
    metrics = Metrics(nodes)
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
        library = Library(config.log, config.index, metrics)
        await library.start()
        stack.push_async_callback(library.stop)
        service.on_published.append(library.handle_published)
        intake = Intake(
            service, config.socket, users=config.users, metrics=metrics, library=library
        )
        await intake.start()
        stack.push_async_callback(intake.stop)
        snapshots = Snapshots(nodes, config.snapshots, users=config.users, metrics=metrics)
        await snapshots.start()
        stack.push_async_callback(snapshots.stop)
        if config.witnesses:
            await _start_feeder(config, service, files, metrics, stack)
        else:
            metrics.watch("conclave_audit_witness_age_seconds", lambda: 0.0)
        if config.authority is not None:
            await _start_stamper(config.authority, service, files, clock, metrics, stack)
        else:
            metrics.watch("conclave_audit_timestamp_age_seconds", lambda: 0.0)
        listener = _listen(config)
        url = ""
        if listener is not None:
            # HTTP takes a while to import; whoever records must not wait for that.
            http = await asyncio.to_thread(importlib.import_module, "sidecar.http")
            url = http.start_http(http.make_app(files, metrics, desk), listener, stack)
        yield running, url


def _listen(config: SidecarConfig) -> socket.socket | None:
    if config.listener is not None:
        return socket.socket(fileno=config.listener)
    if config.port is None:
        return None
    family = socket.AF_INET6 if ":" in config.bind else socket.AF_INET
    return socket.create_server((config.bind, config.port), family=family)


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
    import httpx  # noqa: PLC0415 - slow to import, and few have witnesses

    from sidecar.witnessing import Feeder  # noqa: PLC0415

    client = await stack.enter_async_context(httpx.AsyncClient())
    witnesses = [(url, Verifier.decode(key)) for url, key in config.witnesses]
    _start_task(Feeder(service, files, witnesses, metrics, client).run(), stack)


async def _start_stamper(
    authority: Authority,
    service: Service,
    files: PosixFiles,
    clock: Clock,
    metrics: Metrics,
    stack: AsyncExitStack,
) -> None:
    import httpx  # noqa: PLC0415 - slow to import, and few have an authority

    from sidecar.timestamps import Stamper  # noqa: PLC0415

    client = await stack.enter_async_context(httpx.AsyncClient())
    stamper = Stamper(authority, service, files, client, clock=clock, metrics=metrics)
    _start_task(stamper.run(), stack)


def _start_task(work: Coroutine[object, object, None], stack: AsyncExitStack) -> None:
    """Runs until the stack ends."""
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)


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
