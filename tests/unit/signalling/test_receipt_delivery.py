"""Receipts as data messages: once, to whom the token says so, when the log has them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

import pytest
from livekit.protocol import models

from common.errors import RemoteError
from compliance.envelope import encode
from compliance.questions import Answer, Found, Question
from crypto.proofs import InclusionReceipt
from sfu import events
from signalling.data import RELIABLE
from signalling.v1 import delivery
from signalling.v1.delivery import TOPIC, ReceiptDelivery
from tests.support.audit import record
from tests.support.logs import SIGNER
from tests.support.stage import Client, Stage

pytestmark = pytest.mark.anyio
WISH = {"conclave": {"receipts": True}}
NOTE = "conclave.example/audit\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\nsigned\n"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "INTERVAL", 0.0)


@dataclass
class LogDouble:
    """The events of a stage's trail as a log, once it is published."""

    stage: Stage
    silent_for: int = 0  # questions that are answered with nothing
    refusing_for: int = 0  # questions that are refused
    asked: list[Question] = field(default_factory=list)

    async def ask(self, question: Question) -> Answer:
        self.asked.append(question)
        if len(self.asked) <= self.refusing_for:
            raise RemoteError("index_behind", "try again")
        entries = [encode(record(each, n + 1)) for n, each in enumerate(self.stage.trail.events)]
        found = [
            Found(index, entry) for index, entry in enumerate(entries)
            if question.filter.matches(entry) and len(self.asked) > self.silent_for
        ]  # fmt: skip
        return Answer(
            tuple(reversed(found)), 0, False, NOTE, len(entries), SIGNER.verifier.encode()
        )


def open_channel(stage: Stage, client: Client) -> None:
    client.double.open_channel(RELIABLE)
    room = client.session.member.room
    stage.hub.handle_event(events.ChannelsReady(room, client.double, RELIABLE))  # type: ignore[arg-type]


async def settled(sender: ReceiptDelivery) -> None:
    while sender._pending:
        await asyncio.gather(*sender._pending)


def messages(stage: Stage, client: Client) -> list[models.UserPacket]:
    return [
        models.DataPacket.FromString(data).user
        for sid, label, data in stage.rooms.sent
        if sid == client.double.sid and label == RELIABLE
    ]


@pytest.mark.parametrize(("silent", "refusing"), [(0, 0), (3, 0), (0, 3)])
async def test_a_receipt_comes_once_when_the_log_has_it(silent: int, refusing: int) -> None:
    stage = Stage()
    log = LogDouble(stage, silent_for=silent, refusing_for=refusing)
    sender = ReceiptDelivery(stage.hub, log)
    alice, bob = stage.active("alice", **WISH), stage.active("bob", **WISH)
    for client in (alice, bob, alice):
        open_channel(stage, client)
    await settled(sender)
    for client in (alice, bob):
        (message,) = messages(stage, client)
        assert message.topic == TOPIC
        document = json.loads(message.payload)
        assert InclusionReceipt.decode(document["receipt"]).index == document["index"]
        assert document["key"] == SIGNER.verifier.encode()
        assert stage.trail.events[document["index"]].on.peer == client.double.sid


@pytest.mark.parametrize(
    "claims", [{}, {"conclave": {}}, {"conclave": {"receipts": 1}}, {"conclave": []}]
)
async def test_nothing_is_sent_unasked(claims: dict[str, object]) -> None:
    stage = Stage()
    sender = ReceiptDelivery(stage.hub, LogDouble(stage))
    alice = stage.active("alice", **claims)
    open_channel(stage, alice)
    await settled(sender)
    assert messages(stage, alice) == []


async def test_a_log_that_does_not_answer_is_given_up_and_counted() -> None:
    stage = Stage()
    log = LogDouble(stage, silent_for=10**6)
    sender = ReceiptDelivery(stage.hub, log)
    alice = stage.active("alice", **WISH)
    open_channel(stage, alice)
    await settled(sender)
    assert messages(stage, alice) == []
    assert len(log.asked) == delivery.ATTEMPTS
    assert stage.refusals["receipt_not_sent"] == 1


async def test_who_has_left_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    sender = ReceiptDelivery(stage.hub, LogDouble(stage))
    alice = stage.active("alice", **WISH)
    open_channel(stage, alice)
    alice.send(leave={})
    await settled(sender)
    assert messages(stage, alice) == []
    monkeypatch.setattr(delivery, "MAX_PENDING", 0)
    bob = stage.active("bob", **WISH)
    open_channel(stage, bob)
    assert stage.refusals["receipt_not_sent"] == 1
