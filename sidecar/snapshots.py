"""The Unix socket on which servers of this machine hand their numbers over, once a second, without an answer.

In: connections whose peer the kernel vouches for, frames. Out: snapshots for `sidecar.nodes`. Must not: listen to
another user's processes, or keep more than a frame of anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Collection
from pathlib import Path
from typing import Final

from common.contract import MAX_NODES
from common.errors import RemoteError
from common.snapshots import FrameReader, decode
from sidecar import unix
from sidecar.metrics import Metrics
from sidecar.nodes import Nodes

READ_SIZE: Final = 256 * 1024  # bytes
log = logging.getLogger(__name__)


class Snapshots:
    """The listening socket."""

    def __init__(
        self, nodes: Nodes, path: Path, *, users: Collection[int], metrics: Metrics
    ) -> None:
        """`users` are the numeric ids whose processes may connect."""
        self._nodes = nodes
        self._path = path
        self._users = frozenset(users)
        self._metrics = metrics
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listens. Raises LocalError `socket_in_use`, OSError."""
        listener = await unix.listen(self._path, self._users)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener)

    async def stop(self) -> None:
        """Accepts nobody any more; who is connected is let go."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.close()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if unix.user_of(writer) not in self._users:
                raise RemoteError("peer_refused", "a process of another user")
            if len(self._writers) >= MAX_NODES:
                raise RemoteError("too_many_connections", "as many servers push as may")
            self._writers.add(writer)
            await self._read(reader)
        except RemoteError as error:
            log.warning("a server's snapshots are refused: %s", error.code)
            self._metrics.push_refused.labels(error.code).inc()
        except OSError:
            pass  # the server is gone: its age will show it
        finally:
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        frames = FrameReader()
        while data := await reader.read(READ_SIZE):
            for body in frames.feed(data):
                self._nodes.take(decode(body), len(body))
