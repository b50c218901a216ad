"""`/v1/audit`: who may read, what is shown, what goes on record before, how exports prove themselves."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import StreamingResponse

from common.ids import RoomName
from common.redact import Redacted
from compliance.envelope import decode
from compliance.events import (
    CustomRecorded,
    LogExported,
    LogRead,
    RoomCreated,
    Target,
    TokenRefused,
    VaultRead,
)
from compliance.questions import MAX_PAGE, Filter, Question
from compliance.trail import AuditError
from compliance.vault import Subject
from compliance.words import MAX_NUMBER, NO_TENANT, Role
from crypto.notes import Verifier
from crypto.proofs import InclusionReceipt
from crypto.tokens import LEEWAY, issue
from sfu.model import RoomOptions
from sidecar.settings import SidecarConfig
from signalling.acts import hash_of
from signalling.limits import Rate
from signalling.problems import STATUS
from signalling.v1 import streams
from signalling.v1.openapi import document
from tests.support.audit import ONE_OF_EACH, ROOM, SYSTEM
from tests.support.readers import Desk, code_of, reading_desk
from tests.support.stage import KEY, KEYS
from verifier.cli import main as verifier

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]
ROOM_TOKEN = {"room": "lobby", "roomJoin": True}


@pytest.fixture
async def desk(tmp_path: Path, config: SidecarConfig) -> AsyncIterator[Desk]:
    async with reading_desk(tmp_path, config) as made:
        yield made


async def last_event(desk: Desk) -> Any:
    """The newest entry's event, once a checkpoint covers it."""
    size = await desk.record(CustomRecorded(actor=SYSTEM, name="mark"))
    answer = await desk.log.ask(Question(start=size - 2, limit=1))
    return decode(answer.found[0].entry).event


# -- who may read ------------------------------------------------------------------------------------

PATHS = ("/v1/audit/entries", "/v1/audit/entries/0", "/v1/audit/checkpoint", "/v1/audit/export")
STRANGERS = {
    "nobody": (None, 401, "token_missing"),
    "a participant": ({"video": ROOM_TOKEN}, 403, "auditor_required"),
    "a moderator": ({"video": {**ROOM_TOKEN, "roomAdmin": True}}, 403, "auditor_required"),
    "the tenant's software": ({"video": {"roomList": True, "roomCreate": True}}, 403, "auditor_required"),
    "a privacy officer": ({"conclave": {"roles": ["privacy_officer"]}}, 403, "auditor_required"),
    "somebody with a claim of their own": ({"roles": ["auditor"]}, 403, "auditor_required"),
    "roles in the attributes": ({"attributes": {"roles": "auditor"}}, 403, "auditor_required"),
    "an auditor who takes part": (
        {"video": ROOM_TOKEN, "conclave": {"roles": ["auditor"]}}, 403, "role_mixed"),
    "an auditor without a name": ({"sub": "", "conclave": {"roles": ["auditor"]}}, 400, "identity_missing"),
    "a malformed claim": ({"conclave": ["auditor"]}, 401, "grants_malformed"),
    "malformed roles": ({"conclave": {"roles": "auditor"}}, 401, "grants_malformed"),
}  # fmt: skip


@pytest.mark.parametrize("path", [*PATHS, "/v1/audit/search"])
@pytest.mark.parametrize("name", STRANGERS)
async def test_strangers_are_refused_by_name(desk: Desk, name: str, path: str) -> None:
    claims, status, code = STRANGERS[name]
    token = desk.token(**{"identity": "eve", **claims}) if claims is not None else ""
    if path.endswith("search"):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        response = await desk.http.post(path, json={"purpose": "review"}, headers=headers)
    else:
        response = await desk.get(path, token, purpose="review")
    assert (response.status_code, code_of(response)) == (status, code)
    assert desk.refusals[f"audit_{code}"] == 1


async def test_an_auditor_cannot_open_what_is_sealed_and_a_privacy_officer_cannot_read(
    desk: Desk,
) -> None:
    await desk.meet("bob", "lobby", "RM_lobby", "PA_bob")
    path = "/v1/audit/entries/0/private"
    response = await desk.get(path, purpose="review")
    assert code_of(response) == "privacy_officer_required"
    both = desk.token("ada", "auditor", "privacy_officer")
    assert (await desk.get(path, both, purpose="access_request")).json()["facts"]["name"] == "Bob"


async def test_a_token_at_the_wrong_door_goes_on_record(desk: Desk) -> None:
    eve = desk.token("eve", video=ROOM_TOKEN)
    await desk.get("/v1/audit/entries", eve, purpose="review")
    event = desk.trail.only(TokenRefused)
    assert (event.why.reason, event.token) == ("auditor_required", hash_of(eve))
    await desk.get("/v1/audit/entries", "forged.token.x", purpose="review")
    assert [each.why.reason for each in desk.trail.of(TokenRefused)][1:] == ["token_malformed"]
    await desk.get("/v1/audit/entries", "", purpose="review")
    assert len(desk.trail.of(TokenRefused)) == 2


async def test_a_token_in_the_url_is_not_looked_at(desk: Desk) -> None:
    token = desk.token("ada", "auditor")
    response = await desk.http.get(
        "/v1/audit/entries", params={"access_token": token, "purpose": "x"}
    )
    assert code_of(response) == "token_missing"


async def test_whoever_asks_too_often_is_slowed_down(tmp_path: Path, config: SidecarConfig) -> None:
    async with reading_desk(tmp_path, config, rate=Rate(0.001, 2)) as desk:
        for _ in range(2):
            assert (await desk.get("/v1/audit/checkpoint")).status_code == 200
        response = await desk.get("/v1/audit/checkpoint")
        assert (response.status_code, code_of(response)) == (429, "api_rate_exceeded")
        assert desk.refusals["audit_api_rate_exceeded"] == 1


# -- what is asked -----------------------------------------------------------------------------------

MALFORMED = {
    "no purpose": ({"purpose": None}, "purpose_missing"),
    "an empty purpose": ({"purpose": ""}, "query_malformed"),
    "a sentence": ({"purpose": "just looking"}, "purpose_malformed"),
    "an unknown parameter": ({"persom": "p"}, "query_malformed"),
    "an unknown kind": ({"kind": "gossip"}, "kind_unknown"),
    "no pseudonym": ({"subject": "alice"}, "query_malformed"),
    "both names": ({"subject": "p_" + "0" * 32, "identity": "bob"}, "query_malformed"),
    "two identities": ({"identity": ["bob", "eve"]}, "query_malformed"),
    "nobody we know": ({"identity": "nobody"}, "identity_unknown"),
    "a room that is gone": ({"room": "lobby"}, "room_unknown"),
    "a long room": ({"room": "x" * 300}, "query_malformed"),
    "no time": ({"from": "yesterday"}, "query_malformed"),
    "no offset": ({"from": "2026-01-01T00:00:00"}, "query_malformed"),
    "before time": ({"to": "1960-01-01T00:00:00Z"}, "query_malformed"),
    "the end of time": ({"to": "9999-12-31T23:59:59Z"}, "query_malformed"),
    "no cursor": ({"cursor": "abc"}, "query_malformed"),
    "a negative cursor": ({"cursor": "-1"}, "query_malformed"),
    "a huge cursor": ({"cursor": "9" * 16}, "query_malformed"),
    "a long cursor": ({"cursor": "1" * 200}, "query_malformed"),
    "a network address": ({"actor": "192.0.2.1"}, "query_malformed"),
    "a purpose that is an address": ({"purpose": "192.0.2.1"}, "purpose_malformed"),
    "a sid with a space": ({"room": "RM_a b"}, "room_unknown"),
    "a sid that is too long": ({"room": "RM_" + "a" * 200}, "room_unknown"),
    "digits of others": ({"cursor": "\u0661"}, "query_malformed"),
    "no entries": ({"limit": "0"}, "query_malformed"),
    "too many entries": ({"limit": str(MAX_PAGE + 1)}, "query_malformed"),
    "a limit that is none": ({"limit": "all"}, "query_malformed"),
    "an order of its own": ({"order": "random"}, "query_malformed"),
    "an unknown role": ({"role": "king"}, "query_malformed"),
    "an address": ({"actor": "a b"}, "query_malformed"),
    "a statement": ({"source": "'; DROP TABLE terms"}, "query_malformed"),
    "too many fields": ({"kind": ["room_created"] * 65}, "query_malformed"),
    "following backwards": ({"follow": "true", "order": "newest"}, "query_malformed"),
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_malformed_requests_are_refused_by_name(desk: Desk, name: str) -> None:
    await desk.record(*ONE_OF_EACH[:3])
    query, code = MALFORMED[name]
    given = {"purpose": "review", **query}
    response = await desk.get(
        "/v1/audit/entries", **{key: value for key, value in given.items() if value is not None}
    )
    assert (response.status_code, code_of(response)) == (STATUS[code], code)
    assert "DROP" not in response.text
    assert "just looking" not in response.text


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("[]", "query_malformed"),
        ("{", "query_malformed"),
        ('{"purpose":{"a":1}}', "query_malformed"),
        ('{"purpose":"x","limit":true}', "query_malformed"),
        ('{"purpose":"x","follow":"true"}', "query_malformed"),
        ('{"purpose":"x","room":[' + '"a",' * 70 + '"a"]}', "query_malformed"),
        ("[" * 60_000, "query_malformed"),
        (" " * 70_000, "body_too_long"),
    ],
)
async def test_malformed_searches_are_refused_by_name(desk: Desk, body: str, code: str) -> None:
    headers = {
        "Authorization": f"Bearer {desk.token('ada', 'auditor')}",
        "Content-Type": "application/json",
    }
    response = await desk.http.post("/v1/audit/search", content=body, headers=headers)
    assert (response.status_code, code_of(response)) == (STATUS[code], code)


# -- what is shown -----------------------------------------------------------------------------------


async def test_pages_lead_through_the_log_in_both_directions(desk: Desk) -> None:
    size = await desk.record(*ONE_OF_EACH)
    seen: list[int] = []
    cursor = "0"
    while len(seen) < size:
        page = await desk.read(cursor=cursor, limit=7)
        seen += [each["index"] for each in page["entries"]]
        cursor = page["next"]
        assert [each["entry"]["sequence"] for each in page["entries"]]
    assert seen == sorted(set(seen))
    newest = await desk.read(order="newest", limit=5, to="2024-01-01T00:00:00Z")
    assert newest["entries"] == []
    page = await desk.read(order="newest", limit=5, cursor=str(size))
    assert [each["index"] for each in page["entries"]] == list(range(size - 1, size - 6, -1))
    assert page["more"]


async def test_filters_and_names_find_entries(desk: Desk) -> None:
    await desk.record(*ONE_OF_EACH)
    bob = await desk.meet("bob", "lobby", "RM_lobby", "PA_bob")
    page = await desk.read(identity="bob")
    assert {each["entry"]["on"]["subject"] for each in page["entries"]} == {bob}
    assert [each["entry"]["kind"] for each in page["entries"]] == [
        "admission_granted",
        "participant_left",
    ]
    kinds = await desk.read(kind=["room_created", "room_ended"], room=ROOM.room)
    assert [each["entry"]["kind"] for each in kinds["entries"]] == ["room_created", "room_ended"]
    body = {"identity": "bob", "purpose": "access_request", "limit": 1, "order": "newest"}
    headers = {"Authorization": f"Bearer {desk.token('ada', 'auditor')}"}
    found = (await desk.http.post("/v1/audit/search", json=body, headers=headers)).json()
    assert len(found["entries"]) == 1
    again = await desk.read(room="RM_lobby", kind="log_read")
    assert again["entries"] == []


async def test_a_room_that_exists_is_found_by_its_name(desk: Desk) -> None:
    sid = desk.rooms.create_room(RoomName("lobby"), RoomOptions()).sid
    await desk.meet("bob", "lobby", sid, "PA_bob")
    assert len((await desk.read(room="lobby"))["entries"]) == 2


async def test_a_question_about_somebody_makes_nobody_known(desk: Desk) -> None:
    await desk.record(*ONE_OF_EACH[:2])
    before = sorted(path.name for path in desk.vault_folder.rglob("*"))
    response = await desk.get(
        "/v1/audit/entries", desk.token("eve", video=ROOM_TOKEN), identity="zoe"
    )
    response = await desk.get("/v1/receipts", desk.token("zoe", video=ROOM_TOKEN))
    assert response.json()["receipts"] == []
    assert sorted(path.name for path in desk.vault_folder.rglob("*")) == before


async def test_an_entry_comes_with_a_receipt_that_holds(desk: Desk) -> None:
    await desk.record(*ONE_OF_EACH)
    response = await desk.get("/v1/audit/entries/5", purpose="review")
    raw = response.content
    entry = raw[raw.index(b'"entry":') + 8 : raw.index(b',"receipt":')]
    key = Verifier.decode((await desk.get("/v1/audit/checkpoint")).json()["key"])
    InclusionReceipt.decode(response.json()["receipt"]).check(entry, [key])
    assert decode(entry).event == ONE_OF_EACH[5]
    assert response.headers["cache-control"] == "no-store"
    for index in ("9999999", "abc", "-1", "9" * 40):
        refused = await desk.get(f"/v1/audit/entries/{index}", purpose="review")
        assert (refused.status_code, code_of(refused)) == (404, "entry_unknown")


# -- what goes on record -----------------------------------------------------------------------------


async def test_reading_is_on_record_before_anything_is_shown(desk: Desk) -> None:
    bob = await desk.meet("bob", "lobby", "RM_lobby", "PA_bob")
    await desk.read(identity="bob", kind="participant_left")
    event = await last_event(desk)
    assert isinstance(event, LogRead)
    assert (event.first, event.end, event.purpose) == (1, 2, "review")
    assert event.actor.role is Role.AUDITOR
    assert event.on.subject == bob
    assert event.extra == {"found": 1, "filter.subject": bob, "filter.kind": "participant_left"}
    assert event.private is not None
    assert desk.vault.read(event.private) == {"identity": "ada"}
    response = await desk.get("/v1/audit/entries/0", purpose="complaint")
    assert response.status_code == 200
    event = await last_event(desk)
    assert (event.first, event.end, event.purpose) == (0, 1, "complaint")


async def test_what_is_sealed_is_opened_on_request_and_on_record(desk: Desk) -> None:
    bob = await desk.meet("bob", "lobby", "RM_lobby", "PA_bob")
    officer = desk.token("grace", "privacy_officer")
    response = await desk.get("/v1/audit/entries/0/private", officer, purpose="access_request")
    assert response.json() == {
        "index": 0, "facts": {"identity": "bob", "name": "Bob", "room": "lobby"},
    }  # fmt: skip
    event = await last_event(desk)
    assert isinstance(event, VaultRead)
    assert (event.on.subject, event.purpose, event.extra) == (bob, "access_request", {"index": 0})
    refused = await desk.get("/v1/audit/entries/1/private", officer, purpose="access_request")
    assert (refused.status_code, code_of(refused)) == (404, "private_absent")
    desk.vault.erase(Subject(NO_TENANT, Redacted("bob")))
    refused = await desk.get("/v1/audit/entries/0/private", officer, purpose="access_request")
    assert (refused.status_code, code_of(refused)) == (410, "vault_erased")
    assert isinstance(await last_event(desk), VaultRead)
    refused = await desk.get("/v1/audit/entries", identity="bob", purpose="review")
    assert code_of(refused) == "identity_unknown"


@pytest.mark.parametrize("path", ["entries", "entries/0", "export", "entries/0/private"])
async def test_nothing_is_shown_that_cannot_be_put_on_record(
    desk: Desk, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.meet("bob", "lobby", "RM_lobby", "PA_bob")
    await desk.auditor.close(patience=0)

    async def refuse(_event: object) -> None:
        raise AuditError("audit_timeout", "the audit log did not confirm in time")

    monkeypatch.setattr(desk.auditor, "record", refuse)
    token = desk.token("ada", "auditor", "privacy_officer")
    response = await desk.get(f"/v1/audit/{path}", token, purpose="review")
    assert (response.status_code, code_of(response)) == (503, "audit_timeout")
    assert response.headers["retry-after"]
    assert "bob" not in response.text.lower()
    assert '"index"' not in response.text


# -- exports and following ---------------------------------------------------------------------------


def verified(tmp_path: Path, desk_key: str, text: str) -> int:
    file = tmp_path / "export.jsonl"
    file.write_text(text)
    return verifier(["export", str(file), "--key", desk_key])


async def test_exports_prove_themselves(desk: Desk, tmp_path: Path) -> None:
    size = await desk.record(*(ONE_OF_EACH * 12))
    key = (await desk.get("/v1/audit/checkpoint")).json()["key"]
    whole = await desk.get("/v1/audit/export", purpose="court")
    assert whole.headers["content-type"] == "application/jsonl"
    assert "attachment" in whole.headers["content-disposition"]
    lines = whole.text.splitlines()
    assert len(lines) == size + 1
    event = await last_event(desk)
    assert isinstance(event, LogExported)
    assert (event.first, event.end, event.format) == (0, size, "jsonl")
    assert verified(tmp_path, key, whole.text) in (0, 3)  # 3: complete only as far as it goes
    assert verified(tmp_path, key, whole.text.replace("room_created", "room_crepted")) == 1
    part = await desk.get("/v1/audit/export", purpose="court", kind="track_muted")
    assert len(part.text.splitlines()) == 12 + 1
    assert '"path":[' in part.text
    assert verified(tmp_path, key, part.text) in (0, 3)
    assert verified(tmp_path, key, part.text.replace('"muted":true', '"muted":false', 1)) == 1


async def test_exports_for_other_systems_hold_every_entry(desk: Desk) -> None:
    size = await desk.record(*(ONE_OF_EACH * 11))
    ocsf = await desk.get("/v1/audit/export", purpose="siem", format="ocsf")
    assert [json.loads(line)["unmapped"]["index"] for line in ocsf.text.splitlines()] == list(
        range(size)
    )
    cef = await desk.get(
        "/v1/audit/export", purpose="siem", format="cef", cursor="5", kind="room_ended"
    )
    assert all(line.startswith("CEF:0|Conclave|") for line in cef.text.splitlines())
    assert len(cef.text.splitlines()) == 11
    assert (await last_event(desk)).format == "cef"
    refused = await desk.get("/v1/audit/export", purpose="siem", format="xml")
    assert code_of(refused) == "query_malformed"


async def test_places_for_exports_and_followers_are_bounded_and_given_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.record(*ONE_OF_EACH[:3])
    for _ in range(streams.MAX_EXPORTS + 1):
        assert (await desk.get("/v1/audit/export", purpose="court")).status_code == 200
        refused = await desk.get("/v1/audit/export", purpose="court", identity="nobody")
        assert refused.status_code == 404
    monkeypatch.setattr(streams, "MAX_EXPORTS", 0)
    monkeypatch.setattr(streams, "MAX_FOLLOWERS", 0)
    for path, more in (("export", {}), ("entries", {"follow": "true"})):
        refused = await desk.get(f"/v1/audit/{path}", purpose="court", **more)
        assert (refused.status_code, code_of(refused)) == (503, "too_many_readers")


async def test_who_follows_hears_what_comes_and_nothing_else(desk: Desk) -> None:
    await desk.record(*ONE_OF_EACH[:3])
    followers = streams.Followers(desk.log, desk.clock)
    followers.enter()
    response = followers.stream(Filter(kind=("room_created",)), 0, desk.clock.wall() + 60, {})
    assert isinstance(response, StreamingResponse)
    lines = aiter(response.body_iterator)
    assert await anext(lines) == "\n"
    for number in range(3):
        room = RoomCreated(actor=SYSTEM, on=Target(room=f"RM_{number}"))
        size = await desk.record(room, CustomRecorded(actor=SYSTEM, name="x"))
        line = json.loads(await anext(lines))
        assert (line["index"], line["entry"]["on"]["room"]) == (size - 2, f"RM_{number}")


async def test_following_ends_with_the_token(desk: Desk) -> None:
    await desk.record(*ONE_OF_EACH[:3])
    now = desk.clock.wall()
    claims = {"sub": "ada", "conclave": {"roles": ["auditor"]}}
    token = issue(claims, KEYS, issuer=KEY, expires_at=now - LEEWAY + 1.0, now=now - 600)
    response = await desk.get(
        "/v1/audit/entries", token, purpose="watch", follow="true", cursor="1"
    )
    assert [json.loads(line)["index"] for line in response.text.split()][:2] == [1, 2]
    event = await last_event(desk)
    assert isinstance(event, LogRead)
    assert (event.first, event.end) == (1, MAX_NUMBER)


# -- the description ---------------------------------------------------------------------------------


async def test_the_document_describes_every_route_and_no_other(desk: Desk) -> None:
    described = document()["paths"]
    assert (await desk.get("/v1/openapi.json", "")).json() == document()
    served = {path for path in desk.paths if path.startswith("/v1/")}
    assert served == {*described, "/v1/openapi.json"}
    for path, operations in described.items():
        for method in ("get", "post", "put", "delete"):
            response = await desk.http.request(method, path.replace("{index}", "0"))
            if method in operations:
                assert response.status_code == 401, (path, method)
            else:
                assert code_of(response) == "method_not_allowed", (path, method)
