"""Puts signalling together: one ASGI application, and the hub that has to hear the sfu's events.

In: `SignallingDeps`. Out: `Signalling`. `server` adds its own routes to `api`, passes `hub.handle_event` to the
engine and runs `asgi` with the settings of `signalling.serving`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, WebSocketRoute
from starlette.types import ASGIApp

from common.clock import Clock
from common.errors import RemoteError
from crypto.tokens import SigningKeys
from sfu.model import RoomOptions
from sfu.ports import PeerPort
from signalling.addresses import Proxies
from signalling.admission import Admission, Authorizer
from signalling.clients import PUBLISH_CODECS
from signalling.door import Door
from signalling.edge import Edge
from signalling.entrance import Entrance, attempt_of
from signalling.http_sessions import SDP, HttpSessions
from signalling.hub import Hub, HubSettings, no_ice_servers
from signalling.limits import API_RATE, JOIN_RATE, Rate
from signalling.messages import IceServer, ServerFacts
from signalling.page import Page
from signalling.ports import Gate, Rooms, Trail
from signalling.room_service import SERVICE, RoomService
from signalling.twirp import Twirp
from signalling.websocket import SignalSockets, refusal
from signalling.whep import Whep
from signalling.whip import Whip

# What preflights hear that POST takes, by beginning of the path.
ACCEPT_POST: Final = {"/whip/": SDP.encode(), "/whep/": SDP.encode()}


@dataclass(frozen=True, slots=True)
class SignallingDeps:
    """What signalling is built from."""

    rooms: Rooms
    trail: Trail
    keys: SigningKeys
    clock: Clock
    entropy: Callable[[int], bytes]  # n random bytes, such as secrets.token_bytes
    server: ServerFacts = field(default_factory=ServerFacts)
    codecs: Sequence[str] = PUBLISH_CODECS
    ice_servers: Callable[[PeerPort], Sequence[IceServer]] = no_ice_servers
    auto_create: bool = True
    room_defaults: RoomOptions = field(default_factory=RoomOptions)
    trusted_proxies: Collection[str] = ()
    static_dir: Path | None = None
    gate: Gate | None = None
    remote_unmute: bool = False
    join_rate: Rate = JOIN_RATE
    api_rate: Rate = API_RATE
    is_healthy: Callable[[], bool] = lambda: True


@dataclass(frozen=True, slots=True)
class Signalling:
    """What was built."""

    asgi: ASGIApp
    api: FastAPI  # add routes here before serving
    hub: Hub
    authorizer: Authorizer
    twirp: Twirp  # `services` takes further ones before serving
    whep: Whep

    def shut_down(self) -> None:
        """Sends every client elsewhere; sockets close once they were told."""
        self.hub.shut_down()
        self.whep.shut_down()


def create_app(deps: SignallingDeps) -> Signalling:
    """Builds everything; nothing runs until the application is served."""
    settings = HubSettings(
        keys=deps.keys,
        entropy=deps.entropy,
        server=deps.server,
        codecs=deps.codecs,
        ice_servers=deps.ice_servers,
    )
    hub = Hub(deps.rooms, deps.clock, settings, deps.trail)
    authorizer = Authorizer(deps.keys, deps.clock)
    admission = Admission(
        deps.rooms, authorizer, auto_create=deps.auto_create, defaults=deps.room_defaults
    )
    door = Door(deps.rooms, hub.ledger, admission, deps.gate)
    proxies = Proxies(deps.trusted_proxies)
    page = Page(deps.static_dir)

    def entrance() -> Entrance:
        return Entrance(hub, admission, proxies, door, join_rate=deps.join_rate)

    sockets = SignalSockets(entrance())
    ingest, egress = Whip(HttpSessions(entrance())), Whep(HttpSessions(entrance()))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        keeper = asyncio.create_task(_keep_time(hub))
        try:
            yield
        finally:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper

    api = FastAPI(
        title="Conclave", lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None
    )
    api.router.routes += [
        WebSocketRoute("/rtc", sockets.serve_v0),
        WebSocketRoute("/rtc/v1", sockets.serve_v1),
        *ingest.routes(),
        *egress.routes(),
    ]
    _add_validation(api, admission, hub)
    _add_health(api, deps.is_healthy, page)
    service = RoomService(hub, door, deps.room_defaults, remote_unmute=deps.remote_unmute)
    twirp = Twirp(
        {SERVICE: service.methods()},
        authorizer,
        deps.clock,
        proxies,
        hub.ledger,
        refusals=hub.refusals,
        rate=deps.api_rate,
    )
    api.router.routes.append(Mount("/twirp", twirp))
    api.router.default = page
    return Signalling(Edge(api, ACCEPT_POST), api, hub, authorizer, twirp, egress)


def _add_validation(api: FastAPI, admission: Admission, hub: Hub) -> None:
    async def validate(request: Request) -> Response:
        attempt = attempt_of(request, v1=request.url.path.endswith("/v1/validate"))
        try:
            admission.check(attempt)
        except RemoteError as error:
            hub.refusals[error.code] += 1
            # What a good token may not do is on record when it tries.
            if error.code.startswith("token_"):
                hub.ledger.token_refused(admission.token(attempt), error.code)
            return refusal(error)
        return PlainTextResponse("success")

    async def upgrade_required(_: Request) -> Response:
        headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
        return PlainTextResponse("this is a WebSocket endpoint", 426, headers=headers)

    for base in ("/rtc", "/rtc/v1"):
        api.add_route(f"{base}/validate", validate, methods=["GET"])
        api.add_route(base, upgrade_required, methods=["GET"])


def _add_health(api: FastAPI, is_healthy: Callable[[], bool], page: Page) -> None:
    async def health(request: Request) -> Response:
        if not is_healthy():
            return PlainTextResponse("unhealthy", 406)
        front = page.front(request)
        return front if front is not None else PlainTextResponse("OK")

    api.add_route("/", health, methods=["GET", "HEAD"])


async def _keep_time(hub: Hub) -> None:
    """Calls the hub whenever a deadline of its schedule is due."""
    wake = asyncio.Event()
    hub.on_earlier = wake.set
    while True:
        deadline = hub.schedule.next()
        wake.clear()
        delay = None if deadline is None else max(0.0, deadline - hub.clock.now())
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await wake.wait()
        hub.handle_timeout()
        hub.rooms.flush()
