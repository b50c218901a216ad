"""A Unix socket in front of another one that breaks connections where a test says.

In: for each connection in turn the direction and the number of bytes after which it breaks. Out: those bytes, then
the end of both sides at once. When nothing more is planned, connections last.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Direction = Literal["up", "down"]  # from whoever connected, to whoever connected
READ_SIZE = 65_536  # bytes


@dataclass(frozen=True)
class Break:
    """Where a connection ends."""

    direction: Direction
    after: int  # bytes


class BreakingProxy:
    """Passes everything on, until it does not."""

    def __init__(self, target: str, plan: Iterable[Break]) -> None:
        self._target = target
        self._plan: Iterator[Break] = iter(plan)
        self.broken = 0

    def heal(self) -> None:
        """From now on new connections last."""
        self._plan = iter(())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        planned = next(self._plan, None)
        with contextlib.suppress(OSError):
            inner_reader, inner_writer = await asyncio.open_unix_connection(self._target)
            both = (
                self._pass(reader, inner_writer, _budget(planned, "up")),
                self._pass(inner_reader, writer, _budget(planned, "down")),
            )
            halves = [asyncio.create_task(half) for half in both]
            try:
                await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for half in halves:
                    half.cancel()
                await asyncio.gather(*halves, return_exceptions=True)
                inner_writer.close()
        writer.close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, budget: int | None
    ) -> None:
        while data := await reader.read(READ_SIZE if budget is None else min(budget, READ_SIZE)):
            writer.write(data)
            await writer.drain()
            if budget is not None:
                budget -= len(data)
                if not budget:
                    self.broken += 1
                    return


def _budget(planned: Break | None, direction: Direction) -> int | None:
    return planned.after if planned is not None and planned.direction == direction else None


@asynccontextmanager
async def breaking(
    socket: Path, target: Path, plan: Iterable[Break]
) -> AsyncIterator[BreakingProxy]:
    """A proxy that listens on `socket`."""
    proxy = BreakingProxy(str(target), plan)
    server = await asyncio.start_unix_server(proxy.serve, path=str(socket))
    try:
        yield proxy
    finally:
        server.close()
