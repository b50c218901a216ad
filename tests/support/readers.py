"""The routes that read the log over a real sidecar, a real vault and real rooms; HTTP without sockets."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from common.clock import SystemClock
from common.redact import Redacted
from compliance.auditor import Auditor
from compliance.envelope import Source
from compliance.events import Actor, AdmissionGranted, Event, ParticipantLeft, Target
from compliance.files import PosixFiles
from compliance.questions import Question
from compliance.reader import LogReader
from compliance.trail import FailMode, Limits
from compliance.vault import Subject, Vault, period_of
from compliance.words import NO_TENANT, Role
from crypto.sealing import new_key
from crypto.tokens import issue
from server.audit.readers import VaultReaders
from server.audit.routes import add
from sidecar.main import serving
from sidecar.settings import SidecarConfig
from signalling.addresses import Proxies
from signalling.app import SignallingDeps, create_app
from signalling.limits import Rate
from signalling.v1.audit import AuditApi
from signalling.v1.door import Door
from signalling.v1.ports import READ_RATE, Reading
from signalling.v1.receipts import Receipts
from tests.support.rooms_double import RoomsDouble
from tests.support.stage import KEY, KEYS
from tests.support.trail import TrailDouble

BASE = "http://node.test"
PATIENT = Limits(timeout=30.0)


@dataclass
class Desk:
    """A server's reading routes, and the hand that writes what they show."""

    http: httpx.AsyncClient
    auditor: Auditor
    log: LogReader
    vault: Vault
    vault_folder: Path
    rooms: RoomsDouble
    refusals: Counter[str]
    trail: TrailDouble  # of signalling
    paths: set[str]  # that are served
    clock: SystemClock = field(default_factory=SystemClock)

    def token(self, identity: str = "ada", *roles: str, video: Any = None, **claims: Any) -> str:
        now = self.clock.wall()
        if roles:
            claims.setdefault("conclave", {"roles": list(roles)})
        if video is not None:
            claims["video"] = video
        return issue({"sub": identity, **claims}, KEYS, issuer=KEY, expires_at=now + 600, now=now)

    async def get(self, path: str, token: str | None = None, **query: Any) -> httpx.Response:
        """As an auditor with a purpose, unless a token is given."""
        token = self.token("ada", "auditor") if token is None else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return await self.http.get(path, params=query, headers=headers)

    async def read(self, **query: Any) -> dict[str, Any]:
        """A page that must not be refused."""
        response = await self.get("/v1/audit/entries", purpose="review", **query)
        assert response.status_code == 200, response.text
        page: dict[str, Any] = response.json()
        return page

    async def record(self, *events: Event) -> int:
        """The size of the log once all of them are published."""
        size = 0
        for event in events:
            size = ((await self.auditor.record(event)).index or 0) + 1
        while (await self.log.ask(Question(limit=0))).size < size:
            pass  # each question takes its turn on the loop; the checkpoint comes
        return size

    async def meet(self, identity: str, room: str, sid: str, peer: str) -> str:
        """An admission and a leave, sealed as the server seals them; the pseudonym."""
        subject = Subject(NO_TENANT, Redacted(identity))
        period = period_of(self.clock.wall())
        name = self.vault.pseudonym(subject, period)
        facts = {"identity": identity, "name": identity.title(), "room": room}
        on = Target(room=sid, peer=peer, subject=name)
        actor = Actor(Role.PARTICIPANT, name, KEY)
        await self.record(
            AdmissionGranted(
                actor=actor,
                on=on,
                rights=("publish",),
                private=self.vault.keep(subject, period, facts),
            ),
            ParticipantLeft(actor=actor, on=on, seconds=1),
        )
        return name


@asynccontextmanager
async def reading_desk(
    folder: Path, config: SidecarConfig, *, rate: Rate = READ_RATE
) -> AsyncIterator[Desk]:
    """Everything started."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving(config, clock))
        auditor = Auditor(
            Source("pop-1", "eu", "server", "5f3a"),
            FailMode.REFUSE,
            socket=str(config.socket),
            clock=clock,
            limits=PATIENT,
        )
        await auditor.start()
        stack.push_async_callback(auditor.close)
        log = LogReader(str(config.socket))
        stack.push_async_callback(log.close)
        files = stack.enter_context(closing(PosixFiles(folder / "vault")))
        vault = Vault(files, new_key())
        thread = stack.enter_context(ThreadPoolExecutor(1, "vault"))
        rooms, trail = RoomsDouble(), TrailDouble()
        signalling = create_app(
            SignallingDeps(rooms=rooms, trail=trail, keys=KEYS, clock=clock, entropy=bytes)
        )

        reading = Reading(
            log=log,
            recorder=auditor,
            subjects=VaultReaders(vault, thread, clock),
            authorizer=signalling.authorizer,
            clock=clock,
            proxies=Proxies(()),
            refusals=signalling.hub.refusals,
            token_refused=signalling.hub.ledger.token_refused,
            room_sid=lambda name: str(rooms.rooms[name].sid) if name in rooms.rooms else "",
            rate=rate,
        )
        door = Door(reading)
        routes = [*AuditApi(reading, door).routes(), *Receipts(reading, door).routes()]
        add(signalling.api, routes)
        paths = {getattr(route, "path", "") for route in signalling.api.router.routes}
        transport = httpx.ASGITransport(app=signalling.asgi)
        http = await stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url=BASE)
        )
        yield Desk(
            http,
            auditor,
            log,
            vault,
            folder / "vault",
            rooms,
            signalling.hub.refusals,
            trail,
            paths,
        )


def code_of(response: httpx.Response) -> str:
    """The code of a refusal."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    document = json.loads(response.text)
    assert document["status"] == response.status_code
    return str(document["code"])
