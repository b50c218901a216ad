"""Who saw what the log holds about a person: every reading that showed it, and none that showed somebody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from compliance.accesses import FOLLOWING, MAX_NAMED, READINGS, Reading, facts_of
from compliance.envelope import Record, encode
from compliance.events import (
    Actor,
    LogRead,
    ParticipantRemoved,
    RoomCreated,
    Target,
    VaultRead,
)
from compliance.questions import Filter
from compliance.words import MAX_NUMBER, Pseudonym, Role
from sidecar.settings import SidecarConfig
from signalling.v1 import accesses
from tests.integration.audit.test_reading_api import ROOM_TOKEN, last_event
from tests.support.audit import SYSTEM, record
from tests.support.readers import Desk, code_of, reading_desk
from tests.support.reading import PEOPLE

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


@pytest.fixture
async def desk(tmp_path: Path, config: SidecarConfig) -> AsyncIterator[Desk]:
    async with reading_desk(tmp_path, config) as made:
        yield made


async def ask(desk: Desk, **body: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {desk.token('ada', 'auditor')}"}
    given = {"purpose": "access_request", **body}
    return await desk.http.post("/v1/audit/accesses", json=given, headers=headers)


async def published(desk: Desk) -> None:
    """Waits until every reading so far is: what is recorded after them is not published before them."""
    await desk.record(RoomCreated(actor=SYSTEM, on=Target(room="RM_mark")))


async def told(desk: Desk, identity: str, **body: Any) -> list[tuple[str, str, str, bool]]:
    """Kind, role, purpose and certainty of every access, over all pages."""
    await published(desk)
    found: list[dict[str, Any]] = []
    cursor, more = "0", True
    while more:
        page = (await ask(desk, identity=identity, cursor=cursor, **body)).json()
        found += page["accesses"]
        cursor, more = page["next"], page["more"]
    return [(each["kind"], each["role"], each["purpose"], each["certain"]) for each in found]


async def test_readings_of_a_person_are_told_with_role_and_purpose_and_those_of_others_are_not(
    desk: Desk,
) -> None:
    bob = await desk.meet("bob", "lobby", "RM_lobby", "PA_bob")
    await desk.meet("tom", "lobby", "RM_lobby", "PA_tom")
    officer = desk.token("grace", "privacy_officer")
    await desk.read(identity="bob")
    await desk.get("/v1/audit/entries/0/private", officer, purpose="complaint")
    await desk.get("/v1/receipts", desk.token("bob", video=ROOM_TOKEN))
    # and what has nothing to do with Bob
    await desk.read(identity="tom")
    await desk.get("/v1/audit/entries/2/private", officer, purpose="complaint")
    await desk.get("/v1/receipts", desk.token("tom", video=ROOM_TOKEN))
    await desk.get("/v1/audit/entries/3", purpose="curiosity")
    await desk.read(kind="room_created")
    assert await told(desk, "bob") == [
        ("log_read", "auditor", "review", True),
        ("vault_read", "operator", "complaint", True),
        ("log_read", "participant", "receipts", True),
    ]
    event = await last_event(desk)
    assert isinstance(event, LogRead)
    assert (event.on.subject, event.purpose, event.extra["found"]) == (bob, "access_request", 3)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("entries", {}),
        ("entries", {"room": "RM_lobby"}),
        ("entries", {"kind": ["admission_granted", "room_ended"], "order": "newest"}),
        ("entries/1", {}),
        ("export", {}),
        ("export", {"format": "cef", "role": "participant"}),
    ],
)
async def test_a_reading_that_named_nobody_is_told_too(
    desk: Desk, path: str, query: dict[str, Any]
) -> None:
    await desk.meet("bob", "lobby", "RM_lobby", "PA_bob")
    assert (await desk.get(f"/v1/audit/{path}", purpose="review", **query)).status_code == 200
    kind = "log_exported" if path == "export" else "log_read"
    assert await told(desk, "bob") == [(kind, "auditor", "review", True)]


@pytest.mark.parametrize(
    "query",
    [
        {"room": "RM_hall"},
        {"kind": ["room_created", "room_ended"]},
        {"cursor": "2"},
        {"to": "2020-01-01T00:00:00Z"},
        {"role": "moderator"},
    ],
)
async def test_a_reading_that_left_the_person_out_is_not_told(
    desk: Desk, query: dict[str, Any]
) -> None:
    await desk.meet("bob", "lobby", "RM_lobby", "PA_bob")
    await desk.meet("tom", "hall", "RM_hall", "PA_tom")
    assert (await desk.get("/v1/audit/export", purpose="review", **query)).status_code == 200
    assert await told(desk, "bob") == []


async def test_whoever_acted_on_somebody_was_seen_when_that_one_was_looked_at(desk: Desk) -> None:
    bob = Pseudonym(await desk.meet("bob", "lobby", "RM_lobby", "PA_bob"))
    tom = Pseudonym(await desk.meet("tom", "lobby", "RM_lobby", "PA_tom"))
    await desk.record(
        ParticipantRemoved(
            actor=Actor(Role.MODERATOR, bob), on=Target(room="RM_lobby", subject=tom)
        )
    )
    await desk.read(identity="tom")
    assert [each[:3] for each in await told(desk, "bob")] == [("log_read", "auditor", "review")]


async def test_accesses_come_in_pages(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.meet("bob", "lobby", "RM_lobby", "PA_bob")
    monkeypatch.setattr(accesses, "MAX_READINGS", 3)
    for _ in range(7):
        await desk.read(identity="bob")
    await published(desk)
    assert len((await ask(desk, identity="bob")).json()["accesses"]) == 3
    assert (await told(desk, "bob", limit=2)).count(("log_read", "auditor", "review", True)) == 7


async def test_what_cannot_be_judged_in_time_is_told_as_possible(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.meet("bob", "lobby", "RM_lobby", "PA_bob")
    await desk.meet("tom", "lobby", "RM_lobby", "PA_tom")
    await desk.meet("bob", "lobby", "RM_lobby", "PA_bob2")
    await desk.read(identity="tom")
    await desk.record(
        LogRead(
            actor=Actor(Role.AUDITOR), on=Target(subject=PEOPLE[0]), first=0, end=6, purpose="audit"
        )
    )
    assert await told(desk, "bob") == []
    monkeypatch.setattr(accesses, "_LOOK", 1)
    monkeypatch.setattr(accesses, "MAX_LOOKS", 1)
    found = await told(desk, "bob")
    assert ("log_read", "auditor", "audit", False) in found
    assert all(each[2] != "review" for each in found)


async def test_a_question_without_a_person_or_about_nobody_is_refused(desk: Desk) -> None:
    await desk.meet("bob", "lobby", "RM_lobby", "PA_bob")
    for body, status, code in (
        ({}, 400, "query_malformed"),
        ({"identity": "bob", "kind": "log_read"}, 400, "query_malformed"),
        ({"identity": "nobody"}, 404, "identity_unknown"),
        ({"identity": "bob", "purpose": "just looking"}, 400, "purpose_malformed"),
    ):
        refused = await ask(desk, **body)
        assert (refused.status_code, code_of(refused)) == (status, code)
        assert desk.refusals[f"audit_{code}"] >= 1


async def test_what_is_sealed_about_a_reader_counts_as_the_readers(desk: Desk) -> None:
    """Opening who read about Bob shows something about the reader, and nothing sealed about Bob."""
    await desk.meet("bob", "lobby", "RM_lobby", "PA_bob")
    await desk.read(identity="bob")
    await desk.record(RoomCreated(actor=SYSTEM))
    officer = desk.token("grace", "privacy_officer")
    opened = await desk.get("/v1/audit/entries/2/private", officer, purpose="complaint")
    assert opened.json()["facts"] == {"identity": "ada"}
    assert [each[0] for each in await told(desk, "bob")] == ["log_read"]
    assert ("vault_read", "operator", "complaint", True) in await told(desk, "ada")


# -- what an entry says about a reading --------------------------------------------------------------


def reading(meant: Filter, *, one_person: bool = False, **more: Any) -> Reading:
    event = LogRead(
        actor=Actor(Role.AUDITOR), first=0, end=more.pop("end", 10), purpose="x",
        on=Target(subject=Pseudonym(meant.subject[-1] if meant.subject else "")),
        extra=facts_of(meant, one_person=one_person),
    )  # fmt: skip
    made = Reading.of(50, record(event))
    assert made is not None
    return made


def entry(subject: str, time: int = 0) -> bytes:
    event = RoomCreated(actor=SYSTEM, on=Target(subject=Pseudonym(subject)))
    return encode(Record("pop/server/a", 1, time, "pop", "eu", event))


def test_a_filter_survives_its_record() -> None:
    for meant in (
        Filter(),
        Filter(kind=READINGS, role=("auditor",), since=5, until=9),
        Filter(room=tuple(f"RM_{n}" for n in range(MAX_NAMED)), source=("a", "b")),
    ):
        assert reading(meant).filter == meant
        assert reading(meant).whole
    many = reading(Filter(kind=tuple(f"k{n}" for n in range(MAX_NAMED + 1))))
    assert (many.filter, many.whole) == (Filter(), False)
    people = reading(Filter(actor=(PEOPLE[0], PEOPLE[1])))
    assert (people.filter, people.whole) == (Filter(), False)
    assert not [value for value in people.record.event.extra.values() if value in PEOPLE]


def test_people_asked_about_together_may_each_have_been_shown() -> None:
    together = reading(Filter(subject=(PEOPLE[0], PEOPLE[1])))
    last, other = (together.showed(3, entry(PEOPLE[n]), [PEOPLE[n]]) for n in (1, 0))
    assert last is not None
    assert last.certain
    assert other is not None
    assert not other.certain
    one = reading(Filter(subject=(PEOPLE[0], PEOPLE[1])), one_person=True)
    assert one.showed(3, entry(PEOPLE[2]), [PEOPLE[2]]) is None
    assert one.showed(3, entry(PEOPLE[0]), [PEOPLE[0], PEOPLE[1]]) is not None
    assert one.showed(10, entry(PEOPLE[1]), [PEOPLE[1]]) is None  # beyond what was read


def test_who_follows_has_surely_seen_what_was_there_and_maybe_what_came() -> None:
    following = reading(Filter(), end=MAX_NUMBER)
    now = following.record.time
    before, after = (following.showed(3, entry(PEOPLE[0], now + by), PEOPLE[:1]) for by in (-1, 1))
    assert before is not None
    assert after is not None
    assert (before.certain, after.certain) == (True, False)
    assert following.question(PEOPLE[:1]) == Filter(subject=(PEOPLE[0],), until=now + FOLLOWING)


def test_an_entry_of_another_sort_is_no_reading() -> None:
    assert Reading.of(0, record(RoomCreated(actor=SYSTEM))) is None
    opened = Reading.of(
        0, record(VaultRead(actor=SYSTEM, purpose="x", on=Target(subject=Pseudonym(PEOPLE[0]))))
    )
    assert opened is not None
    assert opened.opened(PEOPLE[1:]) is None
    assert opened.showed(0, entry(PEOPLE[1]), PEOPLE[1:]) is None
    extra = {"filter.kind": 2, "filter.kind.0": "a", "filter.room": 10**9, "filter.from": True}
    odd = LogRead(actor=SYSTEM, first=0, end=1, purpose="x", extra=extra)
    made = Reading.of(0, record(odd))
    assert made is not None
    assert not made.whole
