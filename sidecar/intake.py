"""The Unix socket on which processes of this machine hand their events over, and ask about the log.

In: connections whose peer the kernel vouches for, frames. Out: arrivals for the service, questions for the
library, their answers as frames.
Must not: listen to another user's processes, or let in an entry whose heading cannot be read.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Collection
from pathlib import Path
from typing import Final

from common.errors import RemoteError
from compliance.envelope import peek
from compliance.questions import Question, encode_refusal
from compliance.wire import (
    UNKNOWN_INDEX,
    VERSION,
    Frame,
    FrameReader,
    FrameType,
    acked,
    parse_prove,
)
from sidecar import unix
from sidecar.metrics import Metrics
from sidecar.query import Library
from sidecar.service import Service
from sidecar.store import Arrival

MAX_CONNECTIONS: Final = 64  # a node has some ten processes that record
READ_SIZE: Final = 64 * 1024  # bytes
FAREWELL_SECONDS: Final = 1.0  # for a peer to take what was written, when the log stops
log = logging.getLogger(__name__)


class Intake:
    """The listening socket."""

    def __init__(
        self,
        service: Service,
        path: Path,
        *,
        users: Collection[int],
        metrics: Metrics,
        library: Library,
    ) -> None:
        """`users` are the numeric ids whose processes may connect."""
        self._service = service
        self._path = path
        self._users = frozenset(users)
        self._metrics = metrics
        self._library = library
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._count = 0

    async def start(self) -> None:
        """Listens. Raises LocalError `socket_in_use`, OSError."""
        listener = await unix.listen(self._path, self._users)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener)

    async def stop(self) -> None:
        """Accepts nobody any more; who is connected is let go."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.close()
            await connection.wait_closed()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._count += 1
        connection = _Connection(self._count, self._service, self._library, writer)
        if unix.user_of(writer) not in self._users:
            self._refuse(connection, "peer_refused")
            return
        if len(self._connections) >= MAX_CONNECTIONS:
            self._refuse(connection, "too_many_connections")
            return
        self._connections.add(connection)
        try:
            await connection.read(reader)
        except RemoteError as error:
            log.warning("a connection to the log ends: %s", error.code)
            self._refuse(connection, error.code)
        except OSError:
            connection.close()
        finally:
            self._connections.discard(connection)

    def _refuse(self, connection: _Connection, code: str) -> None:
        self._metrics.refused.labels(code).inc()
        connection.refused(code)


class _Connection:
    """One peer; see `sidecar.service.Connection`."""

    def __init__(
        self, number: int, service: Service, library: Library, writer: asyncio.StreamWriter
    ) -> None:
        self.number = number
        self._service = service
        self._library = library
        self._writer = writer
        self._closed = False

    async def read(self, reader: asyncio.StreamReader) -> None:
        """Until the peer or an answer ends it. Raises RemoteError, OSError."""
        frames = FrameReader()
        greeted = False
        while not self._closed and (data := await reader.read(READ_SIZE)):
            for frame in frames.feed(data):
                if not greeted:
                    _check_greeting(frame)
                    greeted = True
                elif frame.type is FrameType.EVENT:
                    await self._service.put(self._arrival(frame.body), self)
                elif frame.type is FrameType.PROVE:
                    receipt = await self._service.receipt(parse_prove(frame.body))
                    self._write(Frame(FrameType.PROOF, receipt.encode()))
                elif frame.type is FrameType.ASK:
                    await self._answer(frame.body)
                else:
                    raise RemoteError("frame_malformed", "only the log sends such frames")
        self.close()

    def _arrival(self, entry: bytes) -> Arrival:
        """What cannot be read is refused in its turn, so that its sender knows which of its entries it was."""
        try:
            head = peek(entry)
        except RemoteError as error:
            log.error("a process hands over what is no entry: %s", error.code)
            return Arrival(b"", "", 0, self.number, error.code)
        return Arrival(entry, head.source, head.sequence, self.number)

    async def _answer(self, body: bytes) -> None:
        """Entries as they were found, then the end; or the end alone, with the code of a refusal."""
        try:
            answer = await self._library.answer(Question.decode(body))
        except RemoteError as error:
            self._write(Frame(FrameType.ANSWERED, encode_refusal(error)))
            return
        for found in answer.found:
            self._write(Frame(FrameType.FOUND, found.encode()))
        self._write(Frame(FrameType.ANSWERED, answer.encode_end()))
        await self._writer.drain()

    def acked(self, indexes: list[int | None]) -> None:
        """The oldest unanswered entries are durable."""
        self._write(acked([UNKNOWN_INDEX if index is None else index for index in indexes]))

    def refused(self, code: str) -> None:
        """The oldest unanswered entry was not stored."""
        self._write(Frame(FrameType.REFUSED, code.encode()))
        self.close()

    def close(self) -> None:
        """Ends the connection once what was written is out."""
        self._closed = True
        self._writer.close()

    async def wait_closed(self) -> None:
        """Until the connection is gone."""
        with contextlib.suppress(OSError):
            try:
                async with asyncio.timeout(FAREWELL_SECONDS):
                    await self._writer.wait_closed()
            except TimeoutError:
                self._writer.transport.abort()

    def _write(self, frame: Frame) -> None:
        if not self._closed:
            self._writer.write(frame.encode())


def _check_greeting(frame: Frame) -> None:
    if frame.type is not FrameType.HELLO:
        raise RemoteError("frame_malformed", "a connection opens with HELLO")
    if frame.body != bytes([VERSION]):
        raise RemoteError("protocol_version", "the peer speaks another version")
