"""One participant's session: signalling in, peer connections beside it.

In: a server address, a token, tracks to publish. Out: published tracks, received tracks, failures as RemoteError
with a stable code. Must not: touch the server's packages; two PeerConnections as clients of the first protocol
versions do, because that is what aiortc's answering and offering sides support without tricks.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit, urlunsplit

import websockets
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from livekit.protocol import models, rtc

from common.errors import RemoteError
from server.probe.layers import Layer, LayeredTrack, LayerSender, senders_of, with_layers

PROTOCOL = 16  # the newest number whose features this client has
ANSWER_SECONDS = 10.0  # how long any single answer of the server may take
MAX_MESSAGE = 2 * 1024 * 1024  # a join answer of a large room stays far below

TrackHandler = Callable[[str, MediaStreamTrack], None]
Paths = Literal[
    "all", "direct", "relay"
]  # which ways media may take: TURN servers or not, or nothing else


class ProbeSession:
    """A joined participant. Make one with `join`."""

    publisher: RTCPeerConnection  # both are there once `joined` has returned
    subscriber: RTCPeerConnection

    def __init__(
        self, socket: websockets.ClientConnection, on_track: TrackHandler, paths: Paths = "all"
    ) -> None:
        """`on_track` gets (track sid, track) for everything subscribed to."""
        self._socket = socket
        self._on_track = on_track
        self._paths = paths
        self._answers: dict[str, asyncio.Future[Any]] = {}
        self._connections: list[RTCPeerConnection] = []
        self._moved = asyncio.Event()
        self._layered: list[tuple[RTCRtpTransceiver, str, Sequence[Layer]]] = []  # with track ids
        self._senders: list[LayerSender] = []
        self.ice_servers: list[rtc.ICEServer] = []
        self.answer = ""  # the server's latest answer, as it came
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.room = ""

    async def publish(
        self, track: MediaStreamTrack, *, name: str, source: str, muted: bool = False
    ) -> str:
        """Announces and sends a track; returns its sid. Raises RemoteError."""
        request = _request(track, name, source)
        request.muted = muted
        sid = await self._announce(request)
        self.publisher.addTransceiver(track, direction="sendonly")
        await self._negotiate()
        return sid

    async def publish_layers(
        self, track: MediaStreamTrack, layers: Sequence[Layer], *, name: str, source: str
    ) -> LayeredTrack:
        """Announces a picture and sends it in layers, low to high. Raises RemoteError."""
        request = _request(track, name, source)
        request.simulcast_codecs.add(codec="vp8", cid=track.id)
        qualities = range(models.VideoQuality.HIGH, -1, -1)
        for layer, quality in zip(reversed(layers), qualities, strict=False):
            request.layers.add(
                quality=models.VideoQuality.ValueType(quality),
                width=request.width // layer.shrink,
                height=request.height // layer.shrink,
                bitrate=layer.bitrate,
            )
        sid = await self._announce(request)
        transceiver = self.publisher.addTransceiver("video", direction="sendonly")
        self._layered.append((transceiver, track.id, layers))
        await self._negotiate()
        await self._until_connected()
        senders = senders_of(track, layers, transceiver.sender.transport)
        self._senders += senders
        for sender in senders:
            await sender.start(transceiver.mid, self.answer)
        return LayeredTrack(sid, senders)

    async def close(self) -> None:
        """Says goodbye and releases everything."""
        for sender in self._senders:
            await sender.stop()
        with suppress(websockets.ConnectionClosed):
            await self._send(
                rtc.SignalRequest(leave=rtc.LeaveRequest(reason=models.CLIENT_INITIATED))
            )
        for connection in self._connections:
            await connection.close()
        await self._socket.close()

    async def run(self) -> None:
        """Handles what the server says until the socket closes."""
        reason = "closed"
        try:
            async for frame in self._socket:
                message = rtc.SignalResponse.FromString(
                    frame if isinstance(frame, bytes) else frame.encode()
                )
                if message.WhichOneof("message") == "leave":
                    reason = models.DisconnectReason.Name(message.leave.reason).lower()
                    break
                await self._handle(message)
        finally:
            if not self.ended.done():
                self.ended.set_result(reason)
            for waiting in self._answers.values():
                if not waiting.done():
                    waiting.set_exception(
                        RemoteError("session_ended", "the server ended the session")
                    )

    async def _handle(self, message: rtc.SignalResponse) -> None:
        kind = message.WhichOneof("message")
        if kind == "join":
            self.room = message.join.room.name
            self._connect(list(message.join.ice_servers))
            self._answer("join", message.join)
        elif kind == "offer":
            await self._answer_offer(message.offer)
        elif kind == "answer":
            self._answer("answer", message.answer.sdp)
        elif kind == "track_published":
            self._answer(
                f"published {message.track_published.cid}", message.track_published.track.sid
            )
        elif kind == "request_response" and message.request_response.reason:
            code = rtc.RequestResponse.Reason.Name(message.request_response.reason).lower()
            self._refuse(RemoteError(code, message.request_response.message or code))

    def _connect(self, servers: list[rtc.ICEServer]) -> None:
        self.ice_servers = servers
        configuration = RTCConfiguration(
            iceServers=[
                RTCIceServer(list(server.urls), server.username, server.credential)
                for server in servers
                if self._paths != "direct"
            ],
            iceTransportPolicy=RTCIceTransportPolicy.RELAY
            if self._paths == "relay"
            else RTCIceTransportPolicy.ALL,
        )
        self.publisher = RTCPeerConnection(configuration)
        self.subscriber = RTCPeerConnection(configuration)
        self._connections = [self.publisher, self.subscriber]
        self.subscriber.on("track", self._received)
        for connection in self._connections:
            connection.on("connectionstatechange", self._moved.set)

    async def _answer_offer(self, offer: rtc.SessionDescription) -> None:
        # Aiortc takes a description only when no handshake of an earlier one is under way.
        while self.subscriber.connectionState == "connecting":
            self._moved.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), ANSWER_SECONDS)
        await self.subscriber.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        await self.subscriber.setLocalDescription(await self.subscriber.createAnswer())
        answer = rtc.SessionDescription(
            type="answer", sdp=self.subscriber.localDescription.sdp, id=offer.id
        )
        await self._send(rtc.SignalRequest(answer=answer))

    async def _announce(self, request: rtc.AddTrackRequest) -> str:
        reply = self._expect(f"published {request.cid}")
        await self._send(rtc.SignalRequest(add_track=request))
        return str(await self._within(reply, "publish_timeout"))

    async def _negotiate(self) -> None:
        """Offers what there is to send."""
        await self.publisher.setLocalDescription(await self.publisher.createOffer())
        sdp = self.publisher.localDescription.sdp
        for transceiver, track_id, layers in self._layered:
            sdp = with_layers(sdp, transceiver.mid, track_id, layers)
        reply = self._expect("answer")
        await self._send(rtc.SignalRequest(offer=rtc.SessionDescription(type="offer", sdp=sdp)))
        self.answer = str(await self._within(reply, "answer_timeout"))
        await self.publisher.setRemoteDescription(RTCSessionDescription(self.answer, "answer"))

    async def _until_connected(self) -> None:
        """Raises RemoteError `media_unreachable`."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                while self.publisher.connectionState != "connected":
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            raise RemoteError("media_unreachable", "no media connection to the server") from None

    def _received(self, track: MediaStreamTrack) -> None:
        self._on_track(track.id, track)

    def _expect(self, key: str) -> asyncio.Future[Any]:
        waiting: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[key] = waiting
        return waiting

    def _answer(self, key: str, value: object) -> None:
        waiting = self._answers.pop(key, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(value)

    def _refuse(self, error: RemoteError) -> None:
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(error)
        self._answers.clear()

    async def _send(self, message: rtc.SignalRequest) -> None:
        await self._socket.send(message.SerializeToString())

    @staticmethod
    async def _within(waiting: asyncio.Future[Any], code: str) -> object:
        try:
            return await asyncio.wait_for(waiting, ANSWER_SECONDS)
        except TimeoutError:
            raise RemoteError(code, f"no answer within {ANSWER_SECONDS:.0f} seconds") from None

    async def joined(self) -> None:
        """Waits for the join answer."""
        await self._within(self._expect("join"), "join_timeout")


@asynccontextmanager
async def join(
    url: str,
    token: str,
    *,
    subscribe: bool = True,
    on_track: TrackHandler | None = None,
    paths: Paths = "all",
    trust: ssl.SSLContext | None = None,
) -> AsyncIterator[ProbeSession]:
    """Joins; leaves at the end of the block. Raises RemoteError: join_refused, unreachable, join_timeout.

    `trust` judges the server's certificate instead of the system's trust store.
    """
    query = urlencode(
        {
            "access_token": token,
            "protocol": PROTOCOL,
            "auto_subscribe": int(subscribe),
            "version": "0.1.0",
        }
    )
    target = urlunsplit(signal_address(url)._replace(query=query))
    try:
        socket = await websockets.connect(
            target,
            max_size=MAX_MESSAGE,
            open_timeout=ANSWER_SECONDS,
            ssl=(trust or True) if target.startswith("wss:") else None,
        )
    except websockets.InvalidStatus as error:
        status = error.response.status_code
        raise RemoteError(
            "join_refused", f"the server refused to let us join (status {status})"
        ) from error
    except (OSError, TimeoutError, websockets.WebSocketException) as error:
        raise RemoteError(
            "unreachable", f"no WebSocket to the server ({type(error).__name__})"
        ) from error
    session = ProbeSession(socket, on_track or (lambda _sid, _track: None), paths)
    welcome = asyncio.create_task(session.joined(), name="probe-join")
    await asyncio.sleep(0)  # lets `joined` register before the first frame is read
    runner = asyncio.create_task(session.run(), name="probe-run")
    try:
        await welcome
        yield session
    finally:
        # Nothing the server still says may reach connections that are being closed.
        runner.cancel()
        with suppress(asyncio.CancelledError):
            await runner
        await session.close()


def _request(track: MediaStreamTrack, name: str, source: str) -> rtc.AddTrackRequest:
    return rtc.AddTrackRequest(
        cid=track.id,
        name=name,
        type=track.kind.upper(),
        source=source.upper(),
        width=getattr(track, "width", 0),
        height=getattr(track, "height", 0),
    )


def signal_address(url: str) -> Any:
    """The split `/rtc` address for a server's base address (http, https, ws or wss)."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return parts._replace(scheme=scheme, path=parts.path.rstrip("/") + "/rtc")
