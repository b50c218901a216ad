"""The signalling endpoint: an upgrade becomes a session, effects become frames. The only I/O of signalling's core.

In: ASGI connections of `/rtc` and `/rtc/v1`. Out: frames, close codes; refusals before the upgrade as HTTP with a
short reason. Must not: decide anything about messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from common.errors import RemoteError
from common.ids import PeerSid
from sfu.model import LeaveReason
from signalling import clients, messages
from signalling.admission import Ticket
from signalling.effects import Close, CloseCode
from signalling.entrance import Entrance
from signalling.limits import SOCKET_PING_TIMEOUT
from signalling.member import Member
from signalling.session import ACTIONS, Session
from signalling.statuses import ADMISSION, REFUSED_BY_POLICY
from signalling.wire import Outbound

CODE_HEADER: Final = (
    "Conclave-Code"  # the stable name of a refusal, beside the text that clients show
)
# A client that reads nothing for as long as it may leave pings unanswered is gone.
SEND_TIMEOUT: Final = SOCKET_PING_TIMEOUT
# 401 is final for clients, 5xx makes them try again, a bare 404 makes JS look for another route.
STATUS: Final[Mapping[str, int]] = {
    **ADMISSION,
    "join_not_granted": 401,
    "metadata_not_granted": 401,
    "publish_not_granted": 401,
    "join_request_malformed": 400,
    "join_request_too_long": 400,
    "room_full": 500,
    "join_rate_exceeded": 503,
}


class SignalSockets:
    """All signalling sockets."""

    def __init__(self, entrance: Entrance) -> None:
        """Whoever comes in comes through `entrance`."""
        self._hub = entrance.hub
        self._entrance = entrance

    async def serve_v0(self, websocket: WebSocket) -> None:
        """`/rtc`: query parameters, or a join request."""
        await self._serve(websocket, v1=False)

    async def serve_v1(self, websocket: WebSocket) -> None:
        """`/rtc/v1`: a join request."""
        await self._serve(websocket, v1=True)

    async def _serve(self, websocket: WebSocket, *, v1: bool) -> None:
        try:
            ticket = self._entrance.knock(websocket, v1=v1)
            session = await self._open(ticket)
        except RemoteError as refused:
            error = await self._refuse(websocket, refused)
            await websocket.send_denial_response(refusal(error))
            return
        if isinstance(session, LeaveReason):
            await _dismiss(websocket, session)
        else:
            await self._run(websocket, session)

    async def _refuse(self, websocket: WebSocket, error: RemoteError) -> RemoteError:
        """Counts a refusal and puts it on record; what is said instead if that cannot be."""
        try:
            await self._entrance.refuse(websocket, error)
        except RemoteError as unrecorded:
            error = unrecorded
        self._hub.refusals[error.code] += 1
        return error

    async def _open(self, ticket: Ticket) -> Session | LeaveReason:
        """A session whose first frames wait, or for a resume why its participant is no longer there."""
        if ticket.params.reconnect:
            member = self._resumable(ticket)
            if member is None:
                self._hub.refusals["resume_unknown"] += 1
                sid = PeerSid(ticket.params.participant_sid)
                return self._hub.farewells.of(ticket.room, ticket.grants.identity, sid)
            session = self._hub.resume(member, ticket.grants, ticket.params)
        else:
            room, peer = await self._entrance.admit(ticket, ticket.spec)
            session = self._hub.join(room, peer, ticket.grants, ticket.params)
        self._hub.rooms.flush()
        return session

    def _resumable(self, ticket: Ticket) -> Member | None:
        room = self._hub.rooms.rooms.get(ticket.room)
        peer = room.peers.get(ticket.grants.identity) if room else None
        if peer is None or peer.failed or not clients.resumes(ticket.params.client):
            return None
        # Whoever names another sid was replaced by a newer client of the same identity, which stays.
        if ticket.params.participant_sid not in ("", peer.sid):
            return None
        return self._hub.members.get(peer.sid)

    async def _run(self, websocket: WebSocket, session: Session) -> None:
        wake = asyncio.Event()
        wake.set()
        session.on_effects = wake.set
        tasks: set[asyncio.Task[None]] = set()
        try:
            await websocket.accept()
            tasks = {
                asyncio.create_task(self._read(websocket, session)),
                asyncio.create_task(self._write(websocket, session, wake)),
            }
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except WebSocketDisconnect:
            pass
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError, WebSocketDisconnect):
                    await task
            session.handle_disconnect()
            self._hub.rooms.flush()

    async def _read(self, websocket: WebSocket, session: Session) -> None:
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            frame: bytes | str | None = message.get("bytes")
            if frame is None:
                frame = message["text"]
            started = self._hub.clock.now()
            session.handle_frame(frame, started)
            self._hub.rooms.flush()
            # Frames that wait already would be read without a pause: whoever keeps us busy waits as long again,
            # so that others have at least half of the time.
            await asyncio.sleep(self._hub.clock.now() - started)

    async def _write(self, websocket: WebSocket, session: Session, wake: asyncio.Event) -> None:
        while True:
            await wake.wait()
            wake.clear()
            for effect in session.drain():
                if isinstance(effect, Close):
                    await websocket.close(effect.code)
                    return
                try:
                    async with asyncio.timeout(SEND_TIMEOUT):
                        await _send(websocket, effect.outbound, as_text=session.json)
                except TimeoutError:
                    session.refuse("send_timeout")
                    return


def refusal(error: RemoteError) -> PlainTextResponse:
    """A refused join as HTTP: the status clients act on, and the reason as text."""
    status = STATUS.get(error.code, REFUSED_BY_POLICY)
    headers = {CODE_HEADER: error.code}
    if status == 503:
        headers["Retry-After"] = "1"
    return PlainTextResponse(error.message, status_code=status, headers=headers)


async def _dismiss(websocket: WebSocket, reason: LeaveReason) -> None:
    """A resume that cannot be: the client shall join anew, unless it was sent away and did not hear it."""
    response = messages.leave(reason, ACTIONS.get(reason, "DISCONNECT"))
    with suppress(WebSocketDisconnect):
        await websocket.accept()
        await websocket.send_bytes(Outbound(response).binary())
        await websocket.close(CloseCode.DONE)


async def _send(websocket: WebSocket, outbound: Outbound, *, as_text: bool) -> None:
    if as_text:
        await websocket.send_text(outbound.text())
    else:
        await websocket.send_bytes(outbound.binary())
