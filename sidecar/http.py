"""What the sidecar shows over HTTP: its metrics, its log for readers and auditors, its desk as a witness.

In: requests. Out: files of the log as C2SP tlog-tiles names them, an exposition, answers of C2SP tlog-witness.
Must not: show anything else of the disk. Entries hold pseudonyms only, but who reads them is the operator's
decision: the address is loopback unless configured otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from compliance.files import Files
from crypto.tiles import TileError, parse_path
from sidecar.metrics import Metrics
from sidecar.store import CHECKPOINT
from sidecar.witness import MAX_REQUEST, TEXT_TYPE, Cosigned
from sidecar.witnessing import COSIGNED, WitnessDesk

log = logging.getLogger("sidecar")
_FOREVER: Final = "public, max-age=31536000, immutable"
_SHORT: Final = "no-cache"
_STAMP: Final = re.compile(r"timestamps/[0-9]{1,16}\.(tsr|checkpoint)")


def make_app(files: Files, metrics: Metrics, desk: WitnessDesk | None) -> Starlette:
    """The application; without a desk this sidecar is no witness."""

    def checkpoint(request: Request) -> Response:
        return _file(files, request.url.path.lstrip("/"), TEXT_TYPE, _SHORT)

    def tile(request: Request) -> Response:
        path = request.url.path.lstrip("/")
        try:
            parse_path(path)
        except TileError:
            return PlainTextResponse("not found\n", 404)
        return _file(files, path, "application/octet-stream", _FOREVER)

    def exposition(request: Request) -> Response:
        page, content_type = metrics.exposition(request.headers.get("accept", ""))
        return Response(page, headers={"content-type": content_type})

    async def add_checkpoint(request: Request) -> Response:
        if desk is None:
            return PlainTextResponse("no witness\n", 404)
        body = await _body(request)
        if body is None:
            return PlainTextResponse("too long\n", 413)
        decision = await desk.answer(body)
        if isinstance(decision, Cosigned):
            return Response(decision.body, media_type=TEXT_TYPE)
        headers = {"content-type": decision.content_type}
        return Response(decision.body, decision.status, headers=headers)

    return Starlette(
        routes=[
            Route(f"/{CHECKPOINT}", checkpoint),
            Route(f"/{COSIGNED}", checkpoint),
            Route("/tile/{path:path}", tile),
            Route("/timestamps/{name}", _timestamps(files)),
            Route("/metrics", exposition),
            Route("/healthz", _healthy),
            Route("/readyz", _healthy),
            Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
        ]
    )


def start_http(app: Starlette, listener: socket.socket, stack: AsyncExitStack) -> str:
    """Serves on a bound socket until the stack is left; returns the URL."""
    host, port = listener.getsockname()[:2]
    settings = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1
    )
    server = _Http(settings)
    task = asyncio.create_task(server.serve([listener]))

    async def end() -> None:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    log.info("metrics and log on %s", url)
    return url


class _Http(uvicorn.Server):
    """Leaves the process's signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield


def _timestamps(files: Files) -> Callable[[Request], Response]:
    def timestamp(request: Request) -> Response:
        path = request.url.path.lstrip("/")
        if not _STAMP.fullmatch(path):
            return PlainTextResponse("not found\n", 404)
        return _file(files, path, "application/octet-stream", _FOREVER)

    return timestamp


def _healthy(_request: Request) -> Response:
    """The log was open before this was served, and a log that cannot go on ends the process."""
    return PlainTextResponse("ok\n")


def _file(files: Files, path: str, content_type: str, caching: str) -> Response:
    try:
        content = files.read(path)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return PlainTextResponse("not found\n", 404)
    headers = {"content-type": content_type, "cache-control": caching}
    return Response(content, headers=headers)


async def _body(request: Request) -> bytes | None:
    """The body, or None if it is too long."""
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_REQUEST:
                return None
    except ClientDisconnect:
        return None
    return body
