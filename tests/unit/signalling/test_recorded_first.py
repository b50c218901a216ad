"""Nothing that a participant does takes effect before it is on record, and nothing that ends stays open there."""

from __future__ import annotations

import pytest
from livekit.protocol import models, rtc

from common.ids import PeerSid, RoomName
from compliance.events import (
    ActAbandoned,
    AdmissionGranted,
    ParticipantLeft,
    ParticipantUpdated,
    RoomEnded,
    SubscriptionPermissionChanged,
    TokenIssued,
    TrackPublished,
    TrackUnpublished,
)
from compliance.words import MAX_ITEMS, Role
from sfu.model import LeaveReason, Permissions, PublicationSpec, TrackKind
from signalling import session as session_module
from signalling.effects import CloseCode
from signalling.limits import REFRESH_RETRY
from signalling.ports import Person
from tests.support.stage import KEY, ROOM, Client, Stage
from tests.support.trail import pseudonym_of

CAMERA = rtc.AddTrackRequest(
    cid="cam", type=models.TrackType.VIDEO, source=models.TrackSource.CAMERA
)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def subject(client: Client) -> str:
    return pseudonym_of(Person(client.peer.identity))


def test_a_track_is_announced_only_once_it_is_on_record(stage: Stage) -> None:
    alice = stage.active("alice")
    stage.trail.holding = True
    alice.send(add_track=CAMERA)
    assert (alice.kinds(), dict(alice.peer.publications)) == ([], {})
    stage.trail.release()
    (sid,) = alice.peer.publications
    assert alice.only("track_published").track.sid == sid
    event = stage.trail.only(TrackPublished)
    assert (event.on.track, event.on.peer, event.on.subject) == (
        sid,
        alice.peer.sid,
        subject(alice),
    )
    assert (event.medium, event.purpose) == ("video", "camera")
    assert (event.actor.role, event.actor.key) == (Role.PARTICIPANT, KEY)


def test_what_a_client_says_meanwhile_waits_in_order_and_holds_up_nobody_else(stage: Stage) -> None:
    alice, bob = stage.active("alice"), stage.active("bob")
    alice.frames()
    stage.trail.holding = True
    alice.send(add_track=CAMERA)
    alice.send(ping=1)
    alice.send(offer=rtc.SessionDescription(type="offer", sdp="v=0", id=7))
    bob.send(ping=1)
    assert bob.kinds() == ["pong"]
    assert alice.kinds() == []
    stage.trail.release()
    assert alice.kinds() == ["track_published", "pong", "answer"]


def test_acts_that_wait_behind_each_other_are_recorded_one_by_one(stage: Stage) -> None:
    alice = stage.active("alice")
    stage.trail.holding = True
    alice.send(add_track=CAMERA)
    alice.send(add_track=rtc.AddTrackRequest(cid="mic", type=models.TrackType.AUDIO))
    assert stage.trail.held == 1
    stage.trail.release()
    assert stage.trail.held == 1
    stage.trail.release()
    assert [publication.cid for publication in alice.all("track_published")] == ["cam", "mic"]


@pytest.mark.parametrize("code", ["audit_unavailable", "audit_timeout", "audit_refused"])
def test_what_cannot_be_recorded_is_refused_by_name_and_changes_nothing(
    stage: Stage, code: str
) -> None:
    alice = stage.active("alice")
    stage.trail.refusal = code
    alice.send(add_track=CAMERA)
    answer = alice.only("request_response")
    assert answer.message.startswith(code)
    assert answer.add_track == CAMERA
    assert not alice.peer.publications
    assert stage.refusals == {code: 1}


def test_an_act_whose_client_is_gone_meanwhile_is_abandoned(stage: Stage) -> None:
    alice = stage.active("alice")
    stage.trail.holding = True
    alice.send(add_track=CAMERA)
    alice.send(ping=1)
    alice.disconnect()
    stage.trail.release()
    sequence = stage.trail.events.index(stage.trail.only(TrackPublished)) + 1
    abandoned = stage.trail.only(ActAbandoned)
    assert (abandoned.sequence, abandoned.why.reason) == (sequence, "session_ended")
    assert not alice.peer.publications


def test_an_act_that_is_no_longer_allowed_when_it_is_on_record_is_abandoned(stage: Stage) -> None:
    alice = stage.active("alice")
    stage.trail.holding = True
    alice.send(add_track=CAMERA)
    alice.double.update(permissions=Permissions(can_publish=False))
    stage.trail.release()
    assert alice.only("request_response").reason == rtc.RequestResponse.Reason.NOT_ALLOWED
    assert stage.trail.only(ActAbandoned).why.reason == "refused"
    assert not alice.peer.publications


def test_whoever_says_too_much_meanwhile_is_let_go(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "MAX_INBOX", 3)
    alice = stage.active("alice")
    stage.trail.holding = True
    alice.send(add_track=CAMERA)
    for _ in range(4):
        alice.send(ping=1)
    alice.frames()
    assert alice.closed == CloseCode.TOO_MANY_MESSAGES
    assert stage.refusals["inbox_overflow"] == 1


def test_what_is_said_meanwhile_has_a_bound_in_bytes(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "MAX_INBOX_BYTES", 100)
    alice = stage.active("alice")
    stage.trail.holding = True
    alice.send(add_track=CAMERA)
    alice.send(offer=rtc.SessionDescription(type="offer", sdp="v" * 101))
    alice.frames()
    assert alice.closed == CloseCode.TOO_MANY_MESSAGES


def test_a_new_name_is_sealed_and_only_its_change_is_in_the_entry(stage: Stage) -> None:
    alice = stage.active("alice", video={"canUpdateOwnMetadata": True})
    stage.trail.sealed.clear()
    alice.send(update_metadata=rtc.UpdateParticipantMetadata(name="Alice", attributes={"a": "b"}))
    event = stage.trail.only(ParticipantUpdated)
    assert event.facts == ("name", "attributes")
    assert event.on.subject == subject(alice)
    assert [person.facts for person in stage.trail.sealed] == [
        {"identity": "alice", "name": "Alice"}
    ]
    assert alice.peer.name == "Alice"


def test_rules_about_subscribers_name_those_who_are_there_and_count_the_others(
    stage: Stage,
) -> None:
    alice, bob = stage.active("alice"), stage.active("bob")
    rules = rtc.SubscriptionPermission(
        all_participants=False,
        track_permissions=[
            rtc.TrackPermission(participant_identity=name, all_tracks=True)
            for name in ("bob", "carol", "dave")
        ],
    )
    alice.send(subscription_permission=rules)
    event = stage.trail.only(SubscriptionPermissionChanged)
    assert (event.everyone, event.allowed, dict(event.extra)) == (
        False,
        (subject(bob),),
        {"absent": 2},
    )
    assert alice.double.calls[-1][0] == "set_track_grants"


def test_rules_about_more_people_than_an_event_holds_take_several(stage: Stage) -> None:
    alice = stage.active("alice")
    names = [f"guest{number}" for number in range(MAX_ITEMS + 1)]
    for name in names:
        stage.active(name)
    rules = rtc.SubscriptionPermission(
        track_permissions=[rtc.TrackPermission(participant_identity=name) for name in names]
    )
    alice.send(subscription_permission=rules)
    sizes = [len(event.allowed) for event in stage.trail.of(SubscriptionPermissionChanged)]
    assert sizes == [MAX_ITEMS, 1]


def test_what_ends_is_noted_in_order_and_nothing_stays_open(stage: Stage) -> None:
    alice = stage.active("alice")
    alice.send(add_track=CAMERA)
    alice.send(add_track=rtc.AddTrackRequest(cid="mic", type=models.TrackType.AUDIO))
    camera, microphone = alice.peer.publications
    alice.double.publish(camera)
    alice.double.drop_track(camera, by_server=False)
    stage.rooms.flush()
    stage.clock.advance(5.0)
    alice.double.leave(
        LeaveReason.CLIENT_INITIATED
    )  # a microphone that was only announced is still open
    stage.rooms.delete_room(ROOM)
    stage.rooms.flush()
    ends = (TrackUnpublished, ParticipantLeft, RoomEnded)
    kinds = [event.kind for event in stage.trail.events if isinstance(event, ends)]
    assert kinds == ["track_unpublished", "track_unpublished", "participant_left", "room_ended"]
    assert [event.on.track for event in stage.trail.of(TrackUnpublished)] == [camera, microphone]
    left = stage.trail.only(ParticipantLeft)
    assert (left.seconds, left.why.reason) == (5, "client_initiated")
    assert left.on.subject == stage.trail.only(AdmissionGranted).on.subject
    assert stage.trail.only(RoomEnded).participants == 1


def test_whatever_begins_beside_the_door_is_counted(stage: Stage) -> None:
    ticket = stage.ticket("alice")
    peer = stage.rooms.join(RoomName("elsewhere"), ticket.spec, ticket.options)
    peer.publish(peer.announce(PublicationSpec("x", TrackKind.AUDIO)).sid)
    stage.rooms.flush()
    assert stage.refusals == {"unrecorded_room": 1, "unrecorded_peer": 1, "unrecorded_track": 1}
    peer.leave(LeaveReason.CLIENT_INITIATED)
    stage.rooms.flush()
    assert stage.trail.kinds == []


def test_a_fresh_token_is_on_record_before_it_is_handed_out(stage: Stage) -> None:
    alice = stage.join("alice")
    kinds = alice.kinds()
    assert "refresh_token" in kinds
    issued = stage.trail.only(TokenIssued)
    assert issued.on.peer == alice.peer.sid
    assert issued.token.startswith("sha256:")


def test_a_token_that_cannot_be_recorded_is_made_again_later(stage: Stage) -> None:
    alice = stage.active("alice")
    stage.trail.refusal = "audit_unavailable"
    stage.hub.refresh_token(stage.hub.members[PeerSid(alice.peer.sid)])
    assert alice.kinds() == []
    assert stage.refusals == {"audit_unavailable": 1}
    stage.trail.refusal = ""
    stage.advance(REFRESH_RETRY + 1)
    assert alice.kinds() == ["refresh_token"]
