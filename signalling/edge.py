"""What holds for every HTTP request: path shape, CORS, body size, headers. Wraps the whole application.

In: ASGI. Out: ASGI. CORS headers are on errors too, or browsers would hide the status from the SDK.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from signalling.limits import MAX_BODY

METHODS: Final = b"OPTIONS, HEAD, GET, POST, PATCH, DELETE"
MAX_AGE: Final = b"86400"
PRODUCT: Final = b"Conclave"
_RESPONSE_STARTS: Final = frozenset({"http.response.start", "websocket.http.response.start"})


class Edge:
    """The outermost layer."""

    def __init__(self, app: ASGIApp, accept_post: Mapping[str, bytes] | None = None) -> None:
        """Wraps `app`. `accept_post` names, by beginning of the path, what preflights hear that POST takes."""
        self._app = app
        self._accept_post = accept_post or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        _collapse_slashes(scope)
        headers = dict(scope["headers"])
        origin = headers.get(b"origin")
        send = _with_headers(send, origin, validate=scope["path"].endswith("/validate"))
        if scope["type"] == "http":
            if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
                await _preflight(headers, send, self._accepted(scope["path"]))
                return
            receive = _bounded(receive, headers.get(b"content-length", b""))
        await self._app(scope, receive, send)

    def _accepted(self, path: str) -> bytes | None:
        return next(
            (kind for base, kind in self._accept_post.items() if path.startswith(base)), None
        )


def _collapse_slashes(scope: Scope) -> None:
    """Some clients join a base URL that ends in a slash with a path; an upgrade follows no redirect."""
    if scope["path"].startswith("//"):
        scope["path"] = "/" + scope["path"].lstrip("/")
        scope["raw_path"] = b"/" + scope.get("raw_path", b"").lstrip(b"/")


def _with_headers(send: Send, origin: bytes | None, *, validate: bool) -> Send:
    async def sender(message: Message) -> None:
        if message["type"] in _RESPONSE_STARTS:
            extra = [(b"server", PRODUCT)]
            if origin is not None or validate:
                extra.append((b"access-control-allow-origin", origin or b"*"))
                extra.append((b"access-control-expose-headers", b"*"))
                extra.append((b"vary", b"Origin"))
            message = {**message, "headers": [*message.get("headers", ()), *extra]}
        await send(message)

    return sender


async def _preflight(headers: dict[bytes, bytes], send: Send, accepted: bytes | None) -> None:
    wanted = headers.get(b"access-control-request-headers", b"*")
    extra = [(b"accept-post", accepted)] if accepted is not None else []
    await send(
        {
            "type": "http.response.start",
            "status": 204 if accepted is None else 200,
            "headers": [
                *extra,
                (b"access-control-allow-methods", METHODS),
                (b"access-control-allow-headers", wanted),
                (b"access-control-max-age", MAX_AGE),
            ],
        }
    )
    await send({"type": "http.response.body", "body": b""})


def _bounded(receive: Receive, declared: bytes) -> Receive:
    """Stops a body that is too long, whatever its length was said to be."""
    received = int(declared) if declared.isdigit() and int(declared) > MAX_BODY else 0

    async def receiver() -> Message:
        nonlocal received
        if received > MAX_BODY:
            raise HTTPException(413, "request body too large")
        message = await receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > MAX_BODY:
                raise HTTPException(413, "request body too large")
        return message

    return receiver
