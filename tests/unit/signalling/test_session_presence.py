"""Pings, own facts, test scenarios."""

import pytest
from livekit.protocol import models, rtc

from crypto.tokens import verify
from sfu.model import ClientFacts, PeerState
from signalling.effects import CloseCode
from tests.support.stage import KEYS, Stage

Reason = rtc.RequestResponse.Reason
MAY = {"canUpdateOwnMetadata": True}


def test_both_pings_are_answered() -> None:
    stage = Stage()
    alice = stage.active("alice")
    now = int(stage.clock.wall() * 1000)
    alice.send(ping=123)
    assert alice.only("pong") == now
    alice.send(ping_req=rtc.Ping(timestamp=123, rtt=5))
    reply = alice.only("pong_resp")
    assert (reply.last_ping_timestamp, reply.timestamp) == (123, now)


def test_own_facts_change_for_everybody_and_the_request_is_confirmed() -> None:
    stage = Stage()
    alice, bob = stage.active("alice", video=MAY, attributes={"a": "1", "b": "2"}), None
    bob = stage.active("bob")
    alice.frames()
    wish = rtc.UpdateParticipantMetadata(
        name="Alice", metadata="m", attributes={"b": "", "c": "3"}, request_id=7
    )
    alice.send(update_metadata=wish)
    frames = {frame.WhichOneof("message"): frame for frame in alice.frames()}
    reply = frames["request_response"].request_response
    assert (reply.request_id, reply.reason) == (7, Reason.OK)
    assert reply.update_metadata == wish
    for info in (frames["update"].update.participants[0], bob.only("update").participants[0]):
        assert (info.name, info.metadata) == ("Alice", "m")
        assert info.attributes == {"a": "1", "c": "3"}
    token = verify(frames["refresh_token"].refresh_token, KEYS, now=stage.clock.wall())
    assert (token.claims["name"], token.claims["metadata"]) == ("Alice", "m")


def test_empty_texts_leave_name_and_metadata_alone() -> None:
    alice = Stage().active("alice", video=MAY, name="Alice", metadata="m")
    alice.send(update_metadata=rtc.UpdateParticipantMetadata(attributes={"k": "v"}))
    assert (alice.peer.name, alice.peer.metadata) == ("Alice", "m")


def test_own_facts_need_the_grant() -> None:
    alice = Stage().active("alice")
    alice.send(update_metadata=rtc.UpdateParticipantMetadata(name="x", request_id=3))
    reply = alice.only("request_response")
    assert (reply.request_id, reply.reason) == (3, Reason.NOT_ALLOWED)
    assert alice.peer.name == ""


@pytest.mark.parametrize(
    "wish",
    [
        rtc.UpdateParticipantMetadata(name="n" * 257),
        rtc.UpdateParticipantMetadata(metadata="m" * (512 * 1024 + 1)),
        rtc.UpdateParticipantMetadata(attributes={"k": "v" * 65_536}),
    ],
)
def test_own_facts_have_limits(wish: rtc.UpdateParticipantMetadata) -> None:
    alice = Stage().active("alice", video=MAY)
    alice.send(update_metadata=wish)
    assert alice.only("request_response").reason == Reason.LIMIT_EXCEEDED
    assert alice.double.version == 3  # joined, active: nothing since


def test_clients_before_protocol_15_get_no_confirmation() -> None:
    alice = Stage().active("alice", video=MAY, client=ClientFacts(sdk="android", protocol=13))
    alice.send(update_metadata=rtc.UpdateParticipantMetadata(name="x"))
    assert alice.all("request_response") == []
    assert alice.peer.name == "x"


@pytest.mark.parametrize("scenario", ["node_failure", "migration"])
def test_simulated_failures_drop_the_socket_without_leave(scenario: str) -> None:
    alice = Stage().active("alice")
    alice.send(simulate=rtc.SimulateScenario(**{scenario: True}))  # type: ignore[arg-type]
    assert alice.all("leave") == []
    assert alice.closed == CloseCode.RESTART
    assert alice.closed != 1000
    alice.disconnect()
    assert alice.double.state is PeerState.ACTIVE


def test_simulated_server_leave_ends_the_participant() -> None:
    alice = Stage().active("alice")
    alice.send(simulate=rtc.SimulateScenario(server_leave=True))
    leave = alice.only("leave")
    assert leave.action == rtc.LeaveRequest.Action.DISCONNECT
    assert leave.reason == models.DisconnectReason.SERVER_SHUTDOWN
    assert alice.double.state is PeerState.DISCONNECTED


def test_simulated_full_reconnect_keeps_the_participant_until_it_joins_anew() -> None:
    alice = Stage().active("alice")
    alice.send(simulate=rtc.SimulateScenario(leave_request_full_reconnect=True))
    assert alice.only("leave").action == rtc.LeaveRequest.Action.RECONNECT


@pytest.mark.parametrize(("protocol", "over_tcp"), [("TCP", True), ("UDP", False), ("TLS", False)])
def test_a_client_may_ask_for_candidates_over_tcp_alone(protocol: str, over_tcp: bool) -> None:
    alice = Stage().active("alice")
    wanted = rtc.CandidateProtocol.Value(protocol)
    alice.send(simulate=rtc.SimulateScenario(switch_candidate_protocol=wanted))
    assert ("prefer_tcp", over_tcp) in alice.double.calls
    assert alice.all("leave") == []


def test_simulated_speech_starts_and_ends_for_everybody() -> None:
    stage = Stage()
    alice, bob = stage.active("alice"), stage.active("bob")
    alice.frames()
    alice.send(simulate=rtc.SimulateScenario(speaker_update=3))
    for client in (alice, bob):
        (speaker,) = client.only("speakers_changed").speakers
        assert (speaker.sid, speaker.active) == (alice.peer.sid, True)
        assert speaker.level > 0
    stage.advance(2.9)
    assert bob.all("speakers_changed") == []
    stage.advance(0.1)
    (speaker,) = bob.only("speakers_changed").speakers
    assert (speaker.active, speaker.level) == (False, 0.0)


@pytest.mark.parametrize("scenario", [{"subscriber_bandwidth": 100}, {}])
def test_scenarios_that_are_not_ours_are_tolerated(scenario: dict[str, int]) -> None:
    alice = Stage().active("alice")
    alice.send(simulate=rtc.SimulateScenario(**scenario))  # type: ignore[arg-type]
    assert alice.frames() == []
    assert alice.stage.refusals == {"simulate_ignored": 1}
