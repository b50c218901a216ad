"""Receipts: participants get what is about them in their room, can prove it later, and see nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.redact import Redacted
from compliance.envelope import decode
from compliance.events import LogRead
from compliance.questions import Question
from compliance.vault import Subject
from compliance.words import NO_TENANT, Role
from sidecar.settings import SidecarConfig
from tests.support.audit import ONE_OF_EACH
from tests.support.readers import Desk, code_of, reading_desk
from verifier.cli import main as verifier

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


@pytest.fixture
async def desk(tmp_path: Path, config: SidecarConfig) -> AsyncIterator[Desk]:
    async with reading_desk(tmp_path, config) as made:
        await made.record(*ONE_OF_EACH)
        yield made


def member(desk: Desk, identity: str, room: str) -> str:
    return desk.token(identity, video={"room": room, "roomJoin": True})


async def test_a_participant_gets_receipts_that_need_nothing_else(
    desk: Desk, tmp_path: Path
) -> None:
    bob = await desk.meet("bob", "lobby", "RM_lobby", "PA_bob")
    document = (await desk.get("/v1/receipts", member(desk, "bob", "lobby"))).json()
    assert [each["entry"]["kind"] for each in document["receipts"]] == [
        "admission_granted", "participant_left",
    ]  # fmt: skip
    for each in document["receipts"]:
        assert each["entry"]["on"]["subject"] == bob
        file = tmp_path / "receipt"
        file.write_text(each["receipt"])
        assert verifier(["receipt", str(file), "--key", document["key"]]) == 0
        file.write_text(each["receipt"].replace(f"index {each['index']}", "index 0"))
        assert verifier(["receipt", str(file), "--key", document["key"]]) == 1


async def test_a_participant_sees_nothing_of_others_nor_of_other_rooms(desk: Desk) -> None:
    await desk.meet("bob.jones", "the lobby", "RM_lobby", "PA_bob")
    await desk.meet("eve.smith", "the lobby", "RM_lobby", "PA_eve")
    await desk.meet("bob.jones", "the board", "RM_board", "PA_bob2")
    for identity, room, sid, count in (
        ("bob.jones", "the lobby", "RM_lobby", 2),
        ("bob.jones", "the board", "RM_board", 2),
        ("eve.smith", "the lobby", "RM_lobby", 2),
        ("eve.smith", "the board", "", 0),
        ("zoe.brown", "the lobby", "", 0),
    ):
        response = await desk.get("/v1/receipts", member(desk, identity, room))
        receipts = response.json()["receipts"]
        assert {each["entry"]["on"]["room"] for each in receipts} <= {sid}
        assert len(receipts) == count
        for name in ("bob.jones", "eve.smith", "the lobby", "the board"):
            assert name not in response.text


async def test_looking_at_ones_receipts_is_on_record(desk: Desk) -> None:
    bob = await desk.meet("bob", "lobby", "RM_lobby", "PA_bob")
    await desk.get("/v1/receipts", member(desk, "bob", "lobby"))
    size = await desk.record(ONE_OF_EACH[0])
    answer = await desk.log.ask(Question(start=size - 2, limit=1))
    event = decode(answer.found[0].entry).event
    assert isinstance(event, LogRead)
    assert (event.actor.role, event.actor.subject, event.on.subject) == (Role.PARTICIPANT, bob, bob)
    assert event.purpose == "receipts"


async def test_whoever_is_no_participant_is_refused_by_name(desk: Desk) -> None:
    for token, code in (
        ("", "token_missing"),
        (desk.token("ada", "auditor"), "join_not_granted"),
        (desk.token("bob", video={"roomJoin": True}), "room_missing"),
        (desk.token("", video={"room": "lobby", "roomJoin": True}), "identity_missing"),
    ):
        assert code_of(await desk.get("/v1/receipts", token)) == code
        assert desk.refusals[f"receipts_{code}"] == 1


async def test_receipts_are_not_for_polling(desk: Desk) -> None:
    codes = []
    for _ in range(14):
        response = await desk.get("/v1/receipts", member(desk, "bob", "lobby"))
        codes.append(response.status_code)
    assert codes[0] == 200
    assert codes[-1] == 429
    other = await desk.get("/v1/receipts", member(desk, "eve", "lobby"))
    assert other.status_code == 200


async def test_who_was_erased_has_no_receipts_any_more(desk: Desk) -> None:
    await desk.meet("bob", "lobby", "RM_lobby", "PA_bob")
    desk.vault.erase(Subject(NO_TENANT, Redacted("bob")))
    response = await desk.get("/v1/receipts", member(desk, "bob", "lobby"))
    assert response.json()["receipts"] == []
