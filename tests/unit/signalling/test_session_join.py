"""What a joining client is sent, and in which order."""

import pytest
from livekit.protocol import models, rtc

from crypto.tokens import verify
from sfu.model import ClientFacts, LeaveReason, PeerState
from signalling.grants import parse_grants
from signalling.joining import JoinParams
from tests.support.stage import JS, KEYS, Stage

OFFER = rtc.SessionDescription(type="offer", sdp="v=0 first", id=1)
CAMERA = rtc.AddTrackRequest(cid="camera", type=models.TrackType.VIDEO)


def single(**fields: object) -> JoinParams:
    return JoinParams(client=JS, single_connection=True, **fields)  # type: ignore[arg-type]


def test_join_is_the_very_first_frame() -> None:
    assert Stage().join("alice").kinds()[0] == "join"


def test_join_answer_is_complete() -> None:
    stage = Stage()
    join = stage.join("alice", name="Alice", metadata="m", attributes={"k": "v"}).only("join")
    me = join.participant
    assert (me.identity, me.name, me.metadata) == ("alice", "Alice", "m")
    assert me.attributes == {"k": "v"}
    assert me.state == models.ParticipantInfo.State.JOINING
    assert me.version > 0
    assert me.joined_at_ms == me.joined_at * 1000 + 250
    assert me.permission.can_publish
    assert me.client_protocol == 2
    assert list(me.capabilities) == [1]
    assert (join.ping_interval, join.ping_timeout) == (5, 15)
    assert join.server_version == join.server_info.version == "1.13.5"
    assert join.server_info.protocol == 17
    assert join.subscriber_primary
    assert join.fast_publish
    assert len(join.sif_trailer) == 16
    kinds = [codec.mime.split("/")[0] for codec in join.enabled_publish_codecs]
    assert kinds[0] == "video"
    assert kinds == sorted(kinds, reverse=True)
    assert join.room.name == "room"
    assert join.room.num_participants == 1


def test_the_e2ee_trailer_is_the_same_for_everybody_in_a_room() -> None:
    stage = Stage()
    first = stage.join("alice").only("join").sif_trailer
    assert stage.join("bob").only("join").sif_trailer == first


def test_dual_connection_clients_get_an_offer_at_once_even_with_nothing_to_receive() -> None:
    client = Stage().join("alice")
    kinds = client.kinds()
    assert kinds[:2] == ["join", "offer"]
    assert client.double.calls == [("create_offer",)]


def test_without_permission_to_subscribe_the_publisher_connection_is_primary() -> None:
    client = Stage().join("alice", video={"canSubscribe": False})
    frames = client.frames()
    assert not frames[0].join.subscriber_primary
    assert "offer" not in [frame.WhichOneof("message") for frame in frames]


def test_single_connection_join_answers_tracks_then_offer_in_order() -> None:
    client = Stage().join("alice", single(publisher_offer=OFFER, add_tracks=(CAMERA,)))
    kinds = client.kinds()
    assert kinds[:3] == ["join", "track_published", "answer"]
    assert "offer" not in kinds


def test_single_connection_answer_lists_every_mapping() -> None:
    client = Stage().join("alice", single(publisher_offer=OFFER))
    assert client.only("answer").mid_to_track_id == {"3": "TR_mapped"}


def test_a_refresh_token_follows_the_join_and_outlives_ten_minutes() -> None:
    stage = Stage()
    client = stage.join("alice", life=30.0, name="Alice")
    token = verify(client.only("refresh_token"), KEYS, now=stage.clock.wall())
    assert token.expires_at >= stage.clock.wall() + 600
    grants = parse_grants(token.claims, issuer=token.issuer, expires_at=token.expires_at)
    assert (grants.identity, grants.name, grants.room) == ("alice", "Alice", "room")
    assert grants.room_join


def test_refresh_tokens_come_every_five_minutes_and_keep_a_longer_life() -> None:
    stage = Stage()
    client = stage.join("alice", life=7_200.0)
    client.frames()
    stage.advance(299.0)
    assert client.all("refresh_token") == []
    stage.advance(1.0)
    token = verify(client.only("refresh_token"), KEYS, now=stage.clock.wall())
    assert token.expires_at == stage.clock.wall() - 300 + 7_200


def test_the_peer_is_joined_once_the_answer_is_on_its_way() -> None:
    client = Stage().join("alice")
    assert client.double.state is PeerState.JOINED


def test_others_are_in_the_join_answer_and_hidden_ones_are_not() -> None:
    stage = Stage()
    stage.join("alice")
    stage.join("ghost", video={"hidden": True})
    join = stage.join("bob").only("join")
    assert [each.identity for each in join.other_participants] == ["alice"]


def test_safari_is_told_what_it_cannot_do_and_not_offered_it() -> None:
    safari = ClientFacts(sdk="js", protocol=17, browser="safari", browser_version="18.4")
    join = Stage().join("alice", client=safari).only("join")
    mimes = [codec.mime for codec in join.enabled_publish_codecs]
    assert "video/AV1" not in mimes
    assert [codec.mime for codec in join.client_configuration.disabled_codecs.codecs] == [
        "video/AV1"
    ]


def test_a_socket_that_breaks_before_the_connection_is_up_takes_the_peer_along() -> None:
    stage = Stage()
    alice = stage.join("alice")
    alice.disconnect()
    assert alice.double.state is PeerState.DISCONNECTED
    assert not stage.rooms.rooms["room"].peers  # type: ignore[index]
    assert not stage.hub.members


def test_a_socket_that_breaks_later_leaves_the_peer_to_resume() -> None:
    stage = Stage()
    alice = stage.active("alice")
    alice.disconnect()
    assert alice.double.state is PeerState.ACTIVE
    assert alice.peer.sid in stage.hub.members


def test_the_older_client_of_an_identity_is_told_and_the_newer_one_is_not() -> None:
    stage = Stage()
    older = stage.active("alice")
    newer = stage.join("alice")
    leave = older.only("leave")
    assert leave.reason == models.DisconnectReason.DUPLICATE_IDENTITY
    assert leave.action == rtc.LeaveRequest.Action.DISCONNECT
    assert older.closed == 1000
    assert newer.all("leave") == []
    assert newer.closed is None


def test_a_leave_that_races_with_the_new_join_does_not_take_the_new_peer_down() -> None:
    stage = Stage()
    older = stage.active("alice")
    newer = stage.join("alice")
    older.send(leave=rtc.LeaveRequest())
    older.disconnect()
    assert newer.double.state is PeerState.JOINED
    assert stage.hub.members[newer.peer.sid].session is newer.session


@pytest.mark.parametrize(
    ("reason", "action", "number"),
    [
        (LeaveReason.ROOM_DELETED, "DISCONNECT", "ROOM_DELETED"),
        (LeaveReason.PARTICIPANT_REMOVED, "DISCONNECT", "PARTICIPANT_REMOVED"),
        (LeaveReason.JOIN_FAILURE, "DISCONNECT", "JOIN_FAILURE"),
        (LeaveReason.SERVER_SHUTDOWN, "RECONNECT", "SERVER_SHUTDOWN"),
        (LeaveReason.CONNECTION_TIMEOUT, "RECONNECT", "CONNECTION_TIMEOUT"),
    ],
)
def test_a_peer_that_the_server_ends_hears_why_and_what_to_do(
    reason: LeaveReason, action: str, number: str
) -> None:
    stage = Stage()
    alice = stage.active("alice")
    alice.double.leave(reason)
    stage.rooms.flush()
    leave = alice.only("leave")
    assert rtc.LeaveRequest.Action.Name(leave.action) == action
    assert models.DisconnectReason.Name(leave.reason) == number
    assert leave.can_reconnect is (action == "RECONNECT")
    assert alice.closed == 1000


def test_shutdown_sends_everybody_elsewhere() -> None:
    stage = Stage()
    clients = [stage.active("alice"), stage.active("bob")]
    stage.signalling.shut_down()
    for client in clients:
        leave = client.only("leave")
        assert leave.action == rtc.LeaveRequest.Action.RECONNECT
        assert leave.reason == models.DisconnectReason.SERVER_SHUTDOWN
        assert client.closed == 1000


def test_a_failed_connection_makes_the_client_join_anew() -> None:
    stage = Stage()
    alice = stage.active("alice")
    alice.double.fail()
    stage.rooms.flush()
    assert alice.only("leave").action == rtc.LeaveRequest.Action.RECONNECT
    assert alice.closed == 1000
    alice.disconnect()
    assert alice.double.state is PeerState.ACTIVE  # its grace is the engine's to end


def test_a_client_that_leaves_is_gone_at_once_with_its_own_reason() -> None:
    stage = Stage()
    alice, bob = stage.active("alice"), stage.active("bob")
    alice.frames()
    bob.send(leave=rtc.LeaveRequest(reason=models.DisconnectReason.USER_REJECTED))
    gone = alice.only("update").participants[0]
    assert gone.state == models.ParticipantInfo.State.DISCONNECTED
    assert gone.disconnect_reason == models.DisconnectReason.USER_REJECTED
    assert bob.all("leave") == []
