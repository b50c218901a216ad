"""Signalling behind a real HTTP server on a port of its own, and a client that speaks frames to it."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import uvicorn
import websockets
from livekit.protocol import rtc

from common.clock import SystemClock
from signalling.app import Signalling, SignallingDeps, create_app
from signalling.serving import uvicorn_settings
from tests.support.rooms_double import RoomsDouble
from tests.support.stage import KEYS, ROOM, make_token
from tests.support.trail import TrailDouble

PATIENCE = 10.0  # seconds that any single answer may take on a loaded machine


class SignalClient:
    """A socket that speaks protobuf."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket

    async def send(self, **message: Any) -> None:
        await self.socket.send(rtc.SignalRequest(**message).SerializeToString())

    async def receive(self) -> rtc.SignalResponse:
        async with asyncio.timeout(PATIENCE):
            frame = await self.socket.recv()
        assert isinstance(frame, bytes)
        return rtc.SignalResponse.FromString(frame)

    async def expect(self, kind: str) -> Any:
        """The next message of that kind; others are skipped."""
        while True:
            message = await self.receive()
            if message.WhichOneof("message") == kind:
                return getattr(message, kind)

    async def close_code(self) -> int:
        """The code with which the server closes; messages before it are skipped."""
        while True:
            try:
                await self.receive()
            except websockets.ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else 1006


class SignalServer:
    """A running server."""

    def __init__(
        self, signalling: Signalling, rooms: RoomsDouble, trail: TrailDouble, port: int
    ) -> None:
        self.signalling = signalling
        self.rooms = rooms
        self.trail = trail
        self.port = port

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def token(self, identity: str, room: str = ROOM, **claims: Any) -> str:
        return make_token(identity, room, SystemClock().wall(), **claims)

    @asynccontextmanager
    async def connect(
        self,
        identity: str = "",
        *,
        path: str = "/rtc",
        query: dict[str, str] | str | None = None,
        token: str | None = None,
        **options: Any,
    ) -> AsyncIterator[SignalClient]:
        """Opens a socket with a token in the query, as browsers do."""
        token = token if token is not None else self.token(identity)
        text = query if isinstance(query, str) else urlencode(query or {"protocol": "17"})
        url = f"ws://127.0.0.1:{self.port}{path}?access_token={token}&{text}"
        async with websockets.connect(url, proxy=None, **options) as socket:
            yield SignalClient(socket)


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[SignalServer]:
    """A server with rooms in memory."""
    rooms, trail = RoomsDouble(), TrailDouble()
    signalling = create_app(
        SignallingDeps(
            rooms=rooms,
            trail=trail,
            keys=KEYS,
            clock=SystemClock(),
            entropy=secrets.token_bytes,
            **options,
        )
    )
    rooms.listener = signalling.hub.handle_event
    async with listening(signalling) as port:
        yield SignalServer(signalling, rooms, trail, port)


@asynccontextmanager
async def listening(signalling: Signalling) -> AsyncIterator[int]:
    """Serves an application on a free port; connections queue up until it is ready."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(signalling.asgi, **uvicorn_settings()))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task
        listener.close()
