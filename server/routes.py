"""The server's own routes beside signalling: health, the page's address of a meeting, its token door."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from common.clock import Clock
from crypto.tokens import SigningKeys
from server.config import Config
from server.meeting import meeting_handler
from server.telemetry.observation import Observer
from signalling.app import Signalling
from signalling.page import HEADERS


def add_routes(
    signalling: Signalling,
    config: Config,
    keys: SigningKeys,
    clock: Clock,
    observer: Observer,
    page: Path | None,
) -> None:
    """Adds them to signalling's application, before it is served."""
    api = signalling.api

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(_: Request) -> Response:
        if observer.draining:
            return PlainTextResponse("draining", 503)
        return PlainTextResponse("ready")

    async def meet(_: Request) -> Response:
        if page is None:
            return PlainTextResponse("the meeting page is not part of this installation", 404)
        return FileResponse(page / "index.html", headers=HEADERS)

    api.add_route("/healthz", healthz, methods=["GET", "HEAD"])
    api.add_route("/readyz", readyz, methods=["GET", "HEAD"])
    api.add_route("/meet/{room}", meet, methods=["GET", "HEAD"])
    if config.development:
        api.add_route(
            "/api/meeting", meeting_handler(keys, clock, signalling.hub.ledger), methods=["GET"]
        )
