"""Hands a snapshot to the sidecar once a second, and never waits for it.

In: a source of snapshots, the socket's path. Out: frames. Must not: queue more than one frame, block the loop, or
stop because the sidecar does.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from common.errors import LocalError
from common.snapshots import encode
from server.telemetry.observation import Observer

INTERVAL: Final = 1.0  # seconds; as often as lanes publish
CONNECT_SECONDS: Final = 0.5  # a socket of this machine answers at once, or its process hangs


class Pusher:
    """The sending end."""

    def __init__(self, observer: Observer, path: str) -> None:
        """`path` is the sidecar's socket for snapshots."""
        self._observer = observer
        self._path = path
        self._transport: asyncio.WriteTransport | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins; returns at once."""
        self._task = asyncio.create_task(self._run(), name="metrics")

    async def stop(self) -> None:
        """A last snapshot, then the end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.push()
        if self._transport is not None:
            self._transport.close()

    async def push(self) -> None:
        """One snapshot, or one more that was dropped."""
        if self._transport is None or self._transport.is_closing():
            await self._connect()
        transport = self._transport
        if transport is None:
            self._observer.dropped["unreachable"] += 1
        elif transport.get_write_buffer_size():
            self._observer.dropped["busy"] += 1
        else:
            self._write(transport)

    async def _run(self) -> None:
        while True:
            await self.push()
            await asyncio.sleep(INTERVAL)

    async def _connect(self) -> None:
        self._transport = None
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(CONNECT_SECONDS):
                transport, _ = await loop.create_unix_connection(asyncio.Protocol, self._path)
                self._transport = transport

    def _write(self, transport: asyncio.WriteTransport) -> None:
        try:
            frame = encode(self._observer.snapshot())
        except LocalError:
            self._observer.dropped["too_long"] += 1
            return
        transport.write(frame)
        self._observer.pushed += 1
