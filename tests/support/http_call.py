"""HTTP requests to signalling over real rooms and a data plane that records: no sockets, a clock by hand."""

from __future__ import annotations

import json
from typing import Any

import httpx

from common.ids import Identity
from sfu import Peer
from signalling.app import Signalling, SignallingDeps, create_app
from signalling.messages import IceServer
from tests.support.descriptions import Client, Media
from tests.support.stage import KEYS, ROOM, make_token
from tests.support.trail import TrailDouble
from tests.support.world import World

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
BASE = "http://node.test"
CAMERA = Media("video", "1", track="cam")
MICROPHONE = Media("audio", "0", track="mic")
RELAY = IceServer(
    ("stun:stun.example:3478", 'turn:turn.example?transport="udp"'), "user", 'pass"word'
)


class HttpCall:
    """A server, and a client that speaks HTTP to it."""

    def __init__(self, **options: Any) -> None:
        self.world = World()
        self.trail = TrailDouble()
        self.signalling: Signalling = create_app(
            SignallingDeps(
                rooms=self.world.engine,
                trail=self.trail,
                keys=KEYS,
                clock=self.world.clock,
                entropy=lambda length: bytes(
                    self.world.random.randrange(256) for _ in range(length)
                ),
                **options,
            )
        )
        self.world.engine.listen(self._hear)
        transport = httpx.ASGITransport(app=self.signalling.asgi)
        self.http = httpx.AsyncClient(transport=transport, base_url=BASE)
        self.sdp = Client()

    def token(self, identity: str = "encoder", room: str = ROOM, **claims: Any) -> str:
        return make_token(identity, room, self.world.clock.wall(), **claims)

    def bearer(self, identity: str = "encoder", **claims: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(identity, **claims)}"}

    async def post(
        self,
        path: str,
        body: str | bytes = "",
        *,
        headers: dict[str, str] | None = None,
        media_type: str = SDP,
    ) -> httpx.Response:
        """A POST with a token of its own, unless `headers` say something else."""
        headers = self.bearer() if headers is None else headers
        if media_type:
            headers = {"Content-Type": media_type, **headers}
        return await self.http.post(path, content=body, headers=headers)

    async def patch(
        self,
        path: str,
        body: str,
        *,
        match: str | None = None,
        identity: str = "encoder",
        **headers: str,
    ) -> httpx.Response:
        """A PATCH of ICE facts."""
        more = {} if match is None else {"If-Match": match}
        given = {"Content-Type": FRAGMENT, **self.bearer(identity), **more, **headers}
        return await self.http.patch(path, content=body, headers=given)

    def peer(self, identity: str = "encoder") -> Peer:
        return self.world.room.peers[Identity(identity)]

    @property
    def refusals(self) -> dict[str, int]:
        return dict(self.signalling.hub.refusals)

    def _hear(self, event: Any) -> None:
        self.world.events.append(event)
        self.signalling.hub.handle_event(event)


WHIP = "/whip/v1"


def code_of(response: Any) -> tuple[int, str]:
    """Status and stable code of a problem, whose form is checked."""
    assert response.headers["content-type"] == "application/problem+json"
    body = json.loads(response.content)
    assert body["status"] == response.status_code
    assert body["detail"]
    return response.status_code, body["code"]


async def publish(call: HttpCall, *media: Media, **options: Any) -> Any:
    return await call.post(WHIP, call.sdp.offer(*(media or (MICROPHONE, CAMERA))), **options)


async def published(call: HttpCall, *media: Media) -> tuple[str, str]:
    """A session's URL and entity-tag."""
    response = await publish(call, *media)
    assert response.status_code == 201
    return response.headers["location"], response.headers["etag"]


WHEP = "/whep/v1"
RECEIVING = (Media("audio", "0", "recvonly"), Media("video", "1", "recvonly"))


async def watch(
    call: HttpCall, *media: Media, path: str = WHEP, sdp: Client | None = None, **options: Any
) -> httpx.Response:
    """A viewer's POST, with a token of its own."""
    offer = (sdp or call.sdp).offer(*(media or RECEIVING))
    options.setdefault("headers", call.bearer("viewer"))
    return await call.post(path, offer, **options)


def fragment(
    client: Client | None = None, *, mid: str = "0", candidates: int = 1, group: str = "0 1"
) -> str:
    """What a client trickles; with a client: its credentials too."""
    lines = [f"a=group:BUNDLE {group}", "m=audio 9 UDP/TLS/RTP/SAVPF 111", f"a=mid:{mid}"]
    if client is not None:
        lines += [f"a=ice-ufrag:{client.ufrag}", f"a=ice-pwd:{client.pwd}"]
    lines += [
        f"a=candidate:{number} 1 udp 2122260223 192.0.2.{number} 61764 typ host generation 0"
        for number in range(1, candidates + 1)
    ]
    return "".join(f"{line}\r\n" for line in [*lines, "a=end-of-candidates"])
