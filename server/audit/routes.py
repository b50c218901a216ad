"""The routes below `/v1` put together: the log's reader, the vault, the door that both share.

In: evidence, signalling. Out: routes on signalling's application. Holds no logic of its own.
"""

from __future__ import annotations

from collections.abc import Collection

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from common.clock import Clock
from common.ids import RoomName
from server.audit.evidence import Evidence
from server.audit.readers import VaultReaders
from signalling.addresses import Proxies
from signalling.app import Signalling
from signalling.v1.audit import AuditApi
from signalling.v1.delivery import ReceiptDelivery
from signalling.v1.door import Door
from signalling.v1.openapi import PATH, document
from signalling.v1.ports import Reading
from signalling.v1.receipts import Receipts


def add_reading(
    signalling: Signalling, evidence: Evidence, clock: Clock, trusted_proxies: Collection[str]
) -> None:
    """Adds them before the application is served, and sends receipts to those who want them."""
    rooms = signalling.hub.rooms.rooms

    def room_sid(name: RoomName) -> str:
        room = rooms.get(name)
        return room.sid if room is not None else ""

    reading = Reading(
        log=evidence.reader,
        recorder=evidence.auditor,
        subjects=VaultReaders(evidence.vault, evidence.vault_thread, clock),
        authorizer=signalling.authorizer,
        clock=clock,
        proxies=Proxies(trusted_proxies),
        refusals=signalling.hub.refusals,
        token_refused=signalling.hub.ledger.token_refused,
        room_sid=room_sid,
    )
    door = Door(reading)
    ReceiptDelivery(signalling.hub, reading.log)
    add(signalling.api, [*AuditApi(reading, door).routes(), *Receipts(reading, door).routes()])


def add(api: FastAPI, routes: list[Route]) -> None:
    """Adds routes, and the document that describes them."""

    async def description(_: Request) -> Response:
        return JSONResponse(document())

    api.router.routes += [*routes, Route(PATH, description, methods=["GET"])]
