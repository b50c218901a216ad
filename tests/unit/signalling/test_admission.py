"""Checks before a participant gets in."""

import base64
from typing import Any

import pytest
from livekit.protocol import rtc

from common.errors import RemoteError
from common.ids import RoomName
from sfu.model import LeaveReason, PeerKind, RoomOptions
from signalling.admission import Admission, Attempt, Ticket, merged
from signalling.limits import MAX_NAME
from signalling.websocket import STATUS, refusal
from tests.support.outcomes import refusal_of
from tests.support.stage import Stage, make_token


def attempt(stage: Stage, identity: str = "alice", extra: str = "", **claims: Any) -> Attempt:
    token = make_token(identity, claims.pop("room", "room"), stage.clock.wall(), **claims)
    return Attempt(f"access_token={token}{extra}".encode(), None)


def admission(stage: Stage, **options: Any) -> Admission:
    return Admission(stage.rooms, stage.signalling.authorizer, **options)


def outcome(stage: Stage, try_: Attempt, **options: Any) -> str:
    return refusal_of(admission(stage, **options).check, try_)


def test_the_header_comes_before_the_query() -> None:
    stage = Stage()
    good = make_token("alice", "room", stage.clock.wall())
    ticket: Ticket = admission(stage).check(Attempt(b"access_token=nonsense", f"Bearer {good}"))
    assert ticket.spec.identity == "alice"
    basic = Attempt(f"access_token={good}".encode(), "Basic abc")
    assert outcome(stage, basic) == "token_malformed"
    assert outcome(stage, Attempt(b"", None)) == "token_missing"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"video": {"roomJoin": False}}, "join_not_granted"),
        ({"identity": ""}, "identity_missing"),
        ({"room": ""}, "room_missing"),
        ({"identity": "i" * (MAX_NAME + 1)}, "name_too_long"),
        ({"room": "r" * (MAX_NAME + 1)}, "name_too_long"),
        ({"name": "n" * (MAX_NAME + 1)}, "limit_exceeded"),
        ({"roomPreset": "fancy"}, "room_preset_unknown"),
        ({"life": -61.0}, "token_expired"),
        ({"extra": "&join_request=%%%"}, "join_request_malformed"),
        ({"extra": "&attributes=%%%"}, "attributes_malformed"),
        ({"extra": "&publish=x", "video": {"canPublish": False}}, "publish_not_granted"),
    ],
)
def test_every_refusal_has_a_code_and_a_status(claims: dict[str, Any], code: str) -> None:
    stage = Stage()
    assert outcome(stage, attempt(stage, **claims)) == code
    assert code in STATUS


def test_metadata_in_the_join_request_need_the_grant() -> None:
    stage = Stage()
    wrapped = rtc.WrappedJoinRequest(join_request=rtc.JoinRequest(metadata="m").SerializeToString())
    extra = "&join_request=" + base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()
    assert outcome(stage, attempt(stage, extra=extra)) == "metadata_not_granted"
    may = {"canUpdateOwnMetadata": True}
    ticket = admission(stage).check(attempt(stage, extra=extra, video=may))
    assert ticket.spec.metadata == "m"
    assert ticket.spec.single_connection


def test_rooms_come_to_be_by_joining_unless_that_is_off() -> None:
    stage = Stage()
    assert outcome(stage, attempt(stage)) == ""
    assert outcome(stage, attempt(stage), auto_create=False) == "room_unknown"
    stage.rooms.create_room(RoomName("room"), RoomOptions())
    assert outcome(stage, attempt(stage), auto_create=False) == ""


def test_a_full_room_takes_dependents_and_whoever_is_in_it() -> None:
    stage = Stage()
    stage.rooms.create_room(RoomName("room"), RoomOptions(max_participants=1))
    first = stage.join("alice")
    assert outcome(stage, attempt(stage, "bob")) == "room_full"
    assert outcome(stage, attempt(stage, "alice")) == ""
    assert outcome(stage, attempt(stage, "robot", kind="agent")) == ""
    first.double.leave(LeaveReason.CLIENT_INITIATED)
    assert outcome(stage, attempt(stage, "bob")) == ""


def test_a_new_rooms_options_come_from_token_then_server() -> None:
    stage = Stage()
    defaults = RoomOptions(empty_timeout=60, departure_timeout=5)
    config = {"emptyTimeout": 9, "metadata": "agenda"}
    ticket = admission(stage, defaults=defaults).check(attempt(stage, roomConfig=config))
    assert ticket.options == RoomOptions(empty_timeout=9, departure_timeout=5, metadata="agenda")
    assert merged(None, defaults) is defaults


def test_a_ticket_carries_what_token_and_request_say() -> None:
    stage = Stage()
    ticket = admission(stage).check(
        attempt(
            stage,
            extra="&auto_subscribe=0&adaptive_stream=1&sdk=js&protocol=17",
            name="Alice",
            kind="sip",
            attributes={"k": "v"},
        )
    )
    spec = ticket.spec
    assert (spec.name, spec.kind, spec.attributes) == ("Alice", PeerKind.SIP, {"k": "v"})
    assert (spec.auto_subscribe, spec.adaptive_stream) == (False, True)
    assert spec.client.protocol == 17


@pytest.mark.parametrize(
    ("code", "status"),
    [("token_expired", 401), ("room_unknown", 404), ("room_full", 500), ("draining", 503),
     ("consent_missing", 403)],
)  # fmt: skip
def test_codes_become_statuses_that_clients_act_on(code: str, status: int) -> None:
    response = refusal(RemoteError(code, "why"))
    assert response.status_code == status
    assert response.body == b"why"
    assert ("retry-after" in response.headers) is (status == 503)
