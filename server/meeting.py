"""The development door of the meeting page: a name and a room in, a token out. Never part of `conclave serve`.

Anybody who reaches it may join anything, which is right on loopback and nowhere else.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse

from common.clock import Clock
from common.errors import RemoteError
from common.ids import Identity
from crypto.tokens import SigningKeys
from server.access import AccessSpec, make_token
from signalling.acts import token_issued
from signalling.ledger import Ledger

MAX_NAME = 64  # characters: what fits on a tile
MAX_ROOM = 128
SUFFIX_BYTES = 3  # keeps two people of one name apart

Handler = Callable[[Request], Awaitable[JSONResponse]]


def meeting_handler(keys: SigningKeys, clock: Clock, ledger: Ledger) -> Handler:
    """Answers GET /api/meeting?room=ROOM&name=NAME with a token, or problem details (RFC 9457)."""

    async def handle(request: Request) -> JSONResponse:
        room = request.query_params.get("room", "").strip()
        name = request.query_params.get("name", "").strip()
        if not room or len(room) > MAX_ROOM:
            return problem("room_invalid", f"A room's name has 1 to {MAX_ROOM} characters.")
        if not name or len(name) > MAX_NAME:
            return problem("name_invalid", f"A name has 1 to {MAX_NAME} characters.")
        identity = f"{name.lower().replace(' ', '-')}-{secrets.token_hex(SUFFIX_BYTES)}"
        spec = AccessSpec(identity=identity, room=room, name=name, can_update_own_metadata=True)
        token = make_token(keys, spec, clock)
        try:
            await ledger.record(token_issued(token, Identity(identity), clock.wall() + spec.life))
        except RemoteError as error:
            return problem(error.code, error.message, 503)
        scheme = "wss" if request.url.scheme == "https" else "ws"
        return JSONResponse(
            {
                "url": f"{scheme}://{request.url.netloc}",
                "token": token,
                "room": room,
                "identity": identity,
            },
            headers={"Cache-Control": "no-store"},
        )

    return handle


def problem(code: str, detail: str, status: int = 400) -> JSONResponse:
    """Problem details (RFC 9457) with our stable code."""
    body = {
        "code": code,
        "title": code.replace("_", " ").capitalize(),
        "detail": detail,
        "status": status,
    }
    return JSONResponse(body, status_code=status, media_type="application/problem+json")
