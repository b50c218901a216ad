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

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",  # end-to-end encryption may run as WebAssembly
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob: mediastream:",
        "font-src 'self'",
        "worker-src 'self' blob:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # links into meetings carry secrets
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self)",
    "Cross-Origin-Opener-Policy": "same-origin",
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
