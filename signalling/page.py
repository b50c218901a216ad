"""The meeting page and its files, with headers that let it load nothing from elsewhere.

In: HTTP requests that no route took. Out: files below one folder, or 404. Must not: follow links out of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

# The same as web/page-headers.ts, under which the tests of the page run in browsers; one test compares them.
POLICY: Final = "; ".join(
    (
        "default-src 'none'",  # no inline script or style, no eval, no worker, font, frame or plug-in
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "media-src 'self'",  # what comes from WebRTC is no URL
        "connect-src 'self'",  # with the WebSocket of the same host and port
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), autoplay=(self)",
    "Referrer-Policy": "no-referrer",  # links into meetings carry secrets
    "X-Content-Type-Options": "nosniff",
}


class Page:
    """An ASGI application for everything that no route took."""

    def __init__(self, folder: Path | None) -> None:
        """Serves files of `folder`; without one there is nothing to find."""
        self._folder = folder
        self._files = StaticFiles(directory=folder, html=True) if folder is not None else None

    def front(self, request: Request) -> Response | None:
        """The page itself, for those who ask for HTML."""
        if self._folder is None or "text/html" not in request.headers.get("accept", ""):
            return None
        return FileResponse(self._folder / "index.html", headers=HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        response = await self._find(scope)
        await response(scope, receive, send)

    async def _find(self, scope: Scope) -> Response:
        if self._files is None or scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("not found", 404)
        try:
            response = await self._files.get_response(self._files.get_path(scope), scope)
        except HTTPException as error:
            return PlainTextResponse("not found", error.status_code)
        response.headers.update(HEADERS)
        return response
