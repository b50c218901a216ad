"""Receipts as data messages: whose token asks for it gets the receipt of its admission, and need not come for it.

In: channels that open, the log. Out: one message with the topic `conclave.receipt` per participant. Must not: send
anything to a participant whose token does not ask, for its application may take every message for one of its own;
or wait for a log that does not answer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Final

from livekit.protocol import models

from common.errors import RemoteError
from common.ids import PeerSid
from compliance.canonical import parse_object
from compliance.events import AdmissionGranted
from compliance.questions import Filter, Found, Question
from crypto.proofs import InclusionReceipt
from sfu.events import ChannelsReady, PeerLeft, SfuEvent
from signalling.data import RELIABLE, server_packet
from signalling.hub import Hub
from signalling.member import Member
from signalling.v1.duties import CLAIM
from signalling.v1.ports import Log

TOPIC: Final = "conclave.receipt"
WISH: Final = "receipts"  # in the token: {"conclave": {"receipts": true}}
INTERVAL: Final = 1.0  # seconds between looks; a checkpoint comes as often
ATTEMPTS: Final = 10
MAX_PENDING: Final = 512  # participants whose receipt is on its way; more have to come for it
LATEST: Final = 16  # admissions of one person to one room that are looked at


class ReceiptDelivery:
    """Watches channels open, and answers each once."""

    def __init__(self, hub: Hub, log: Log) -> None:
        """Begins to listen."""
        self._hub = hub
        self._log = log
        self._pending: set[asyncio.Task[None]] = set()
        self._served: set[PeerSid] = set()  # of those who are here
        hub.observers.append(self.handle_event)

    def handle_event(self, event: SfuEvent) -> None:
        """A channel opened, or a participant is gone."""
        if isinstance(event, PeerLeft):
            self._served.discard(event.peer.sid)
        elif isinstance(event, ChannelsReady) and event.label == RELIABLE:
            member = self._hub.members.get(event.peer.sid)
            if member is not None and member.peer.sid not in self._served and _wishes(member):
                self._begin(member)

    def _begin(self, member: Member) -> None:
        self._served.add(member.peer.sid)
        if len(self._pending) >= MAX_PENDING:
            self._hub.refusals["receipt_not_sent"] += 1
            return
        task = asyncio.create_task(self._deliver(member), name="receipt")
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def _deliver(self, member: Member) -> None:
        subject = self._hub.ledger.subject_of(member.peer.sid)
        for _ in range(ATTEMPTS):
            try:
                message = await self._find(member, subject) if subject else None
            except RemoteError:  # of the log; perhaps it answers in a moment
                message = None
            if member.peer.sid not in self._hub.members:
                return
            if message is not None:
                self._send(member, message)
                return
            await asyncio.sleep(INTERVAL)
        self._hub.refusals["receipt_not_sent"] += 1

    async def _find(self, member: Member, subject: str) -> str | None:
        """The message, None while no checkpoint covers the admission. Raises RemoteError."""
        meant = Filter(
            subject=(subject,), room=(str(member.room.sid),), kind=(AdmissionGranted.kind,)
        )
        answer = await self._log.ask(Question(meant, newest_first=True, limit=LATEST, prove=True))
        for found in answer.found:
            if _peer_of(found) == member.peer.sid:
                receipt = InclusionReceipt(found.index, found.path, answer.checkpoint)
                text = receipt.encode(found.entry)
                return json.dumps({"index": found.index, "receipt": text, "key": answer.key})
        return None

    def _send(self, member: Member, message: str) -> None:
        user = models.UserPacket(
            payload=message.encode(), topic=TOPIC, destination_sids=[member.peer.sid]
        )
        packet = server_packet(user, reliable=True)
        self._hub.data.send(member.room, packet, self._hub.clock.now())
        self._hub.rooms.flush()


def _wishes(member: Member) -> bool:
    claim = member.grants.claims.get(CLAIM)
    return isinstance(claim, Mapping) and claim.get(WISH) is True


def _peer_of(found: Found) -> object:
    on = parse_object(found.entry).get("on")
    return on.get("peer") if isinstance(on, dict) else None
