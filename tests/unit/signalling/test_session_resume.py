"""A client that comes back on a new socket."""

from livekit.protocol import models, rtc

from common.ids import TrackSid
from sfu import events
from sfu.model import Quality
from signalling.effects import CloseCode
from signalling.joining import JoinParams
from signalling.told import UNSURE, Latest
from tests.support.stage import JS, Stage

DISCONNECTED = models.ParticipantInfo.State.DISCONNECTED


def test_reconnect_is_the_first_frame_and_the_rest_follows_in_order() -> None:
    stage = Stage()
    alice, bob, carol = (stage.active(name) for name in ("alice", "bob", "carol"))
    alice.double.last_data_sequence = 42
    alice.disconnect()
    bob.send(leave=rtc.LeaveRequest())
    back = stage.resume(alice)
    frames = back.frames()
    kinds = [frame.WhichOneof("message") for frame in frames]
    assert kinds == ["reconnect", "update", "update", "room_update", "refresh_token", "offer"]
    assert frames[0].reconnect.last_message_seq == 42
    assert frames[0].reconnect.server_info.version == "1.13.5"
    assert [(p.identity, p.state) for p in frames[1].update.participants] == [("bob", DISCONNECTED)]
    everybody = {p.identity: p for p in frames[2].update.participants}
    assert set(everybody) == {"alice", "carol"}
    assert everybody["carol"].version == carol.double.version
    assert alice.double.calls[-2:] == [("restart_ice",), ("create_offer",)]


def test_single_connection_clients_make_the_offer_themselves() -> None:
    stage = Stage()
    alice = stage.join("alice", JoinParams(client=JS, single_connection=True))
    alice.double.activate()
    stage.rooms.flush()
    alice.disconnect()
    assert "offer" not in stage.resume(alice).kinds()


def test_the_older_socket_closes_quietly_and_its_end_changes_nothing() -> None:
    stage = Stage()
    alice = stage.active("alice")
    back = stage.resume(alice)
    assert alice.frames() == []
    assert alice.closed == CloseCode.REPLACED
    alice.disconnect()
    assert stage.hub.members[alice.peer.sid].session is back.session


def test_offers_go_on_counting_and_a_lost_answer_blocks_nothing() -> None:
    stage = Stage()
    alice = stage.active("alice")
    stage.rooms.emit(events.OfferNeeded, alice.double.room, alice.double)
    stage.rooms.flush()
    alice.disconnect()
    assert stage.resume(alice).only("offer").id == 2


def test_a_single_connection_is_asked_again_for_what_may_have_been_lost() -> None:
    stage = Stage()
    alice = stage.join("alice", JoinParams(client=JS, single_connection=True))
    alice.double.activate()
    stage.rooms.flush()
    alice.disconnect()
    stage.resume(alice)
    assert alice.double.calls[-1] == ("ask_again",)


def test_a_publisher_hears_again_which_layers_are_wanted() -> None:
    stage = Stage()
    alice = stage.active("alice")
    alice.send(add_track=rtc.AddTrackRequest(cid="c", type=models.TrackType.VIDEO))
    sid = TrackSid(alice.only("track_published").track.sid)
    publication = alice.double.publish(sid)
    stage.rooms.emit(
        events.QualityWanted, alice.double.room, alice.double, publication, (("vp8", Quality.LOW),)
    )
    stage.rooms.flush()
    alice.disconnect()
    wanted = stage.resume(alice).only("subscribed_quality_update")
    assert wanted.track_sid == sid


def test_sync_state_applies_exceptions_and_disabled_tracks() -> None:
    stage = Stage()
    alice = stage.active("alice")
    alice.disconnect()
    back = stage.resume(alice)
    back.frames()
    back.send(
        sync_state=rtc.SyncState(
            subscription=rtc.UpdateSubscription(track_sids=["TR_a", "TR_b"], subscribe=True),
            track_sids_disabled=["TR_b"],
        )
    )
    assert back.double.subscribed_tracks == {"TR_a", "TR_b"}
    assert back.double.calls[-1][1] == "TR_b"
    assert back.double.calls[-1][2].disabled
    assert back.session.state == "joined"


def test_sync_state_with_a_track_that_we_lost_makes_the_client_join_anew() -> None:
    stage = Stage()
    alice = stage.active("alice")
    alice.disconnect()
    back = stage.resume(alice)
    back.frames()
    lost = rtc.TrackPublishedResponse(cid="c", track=models.TrackInfo(sid="TR_lost"))
    back.send(sync_state=rtc.SyncState(publish_tracks=[lost]))
    leave = back.only("leave")
    assert leave.reason == models.DisconnectReason.STATE_MISMATCH
    assert leave.action == rtc.LeaveRequest.Action.RECONNECT
    assert stage.refusals["sync_state_unknown_track"] == 1


def test_sync_state_may_come_with_the_join_request() -> None:
    stage = Stage()
    alice = stage.active("alice")
    alice.disconnect()
    state = rtc.SyncState(subscription=rtc.UpdateSubscription(track_sids=["TR_a"], subscribe=True))
    back = stage.resume(alice, JoinParams(client=JS, reconnect=True, sync_state=state))
    assert back.double.subscribed_tracks == {"TR_a"}


def test_old_clients_are_not_told_of_departures_that_they_missed() -> None:
    stage = Stage()
    old = stage.active("old", client=JS.__class__(sdk="js", version="1.9.0", protocol=8))
    bob = stage.active("bob")
    old.disconnect()
    bob.send(leave=rtc.LeaveRequest())
    updates = stage.resume(old).all("update")
    assert [[p.identity for p in update.participants] for update in updates] == [["old"]]


def test_simulated_drops_at_the_next_resume() -> None:
    stage = Stage()
    alice = stage.active("alice")
    alice.send(simulate=rtc.SimulateScenario(disconnect_signal_on_resume_no_messages=True))
    back = stage.resume(alice)
    assert back.frames() == []
    assert back.closed == CloseCode.RESTART
    again = stage.resume(alice)
    again.send(simulate=rtc.SimulateScenario(disconnect_signal_on_resume=True))
    assert again.kinds()[0] == "reconnect"
    last = stage.resume(alice)
    assert last.kinds()[0] == "reconnect"
    assert last.closed == CloseCode.RESTART
    assert stage.resume(alice).kinds()[0] == "reconnect"


def test_a_departure_that_the_old_socket_may_have_swallowed_is_told_again_and_an_old_one_is_not() -> (
    None
):
    stage = Stage()
    alice, bob, carol, dora = (stage.active(name) for name in ("alice", "bob", "carol", "dora"))
    bob.send(leave=rtc.LeaveRequest())
    stage.clock.advance(UNSURE + 1)
    alice.send(ping=1)
    carol.send(leave=rtc.LeaveRequest())
    dora.send(leave=rtc.LeaveRequest())
    stage.active("dora")
    updates = stage.resume(alice).all("update")
    told = [
        (p.identity, p.state == DISCONNECTED) for update in updates for p in update.participants
    ]
    assert told == [("carol", True), ("alice", False), ("dora", False)]


def test_an_announced_track_is_confirmed_again_until_it_is_negotiated() -> None:
    stage = Stage()
    alice = stage.active("alice")
    alice.send(add_track=rtc.AddTrackRequest(cid="c", type=models.TrackType.VIDEO))
    sid = TrackSid(alice.only("track_published").track.sid)
    again = stage.resume(alice).only("track_published")
    assert (again.cid, again.track.sid) == ("c", sid)
    alice.double.publish(sid)
    stage.rooms.flush()
    assert stage.resume(alice).all("track_published") == []


def test_a_track_that_the_server_ended_is_no_reason_to_join_anew() -> None:
    stage = Stage()
    alice = stage.active("alice")
    alice.send(add_track=rtc.AddTrackRequest(cid="c", type=models.TrackType.VIDEO))
    sid = TrackSid(alice.only("track_published").track.sid)
    alice.double.publish(sid)
    alice.double.unpublish(sid)
    stage.rooms.flush()
    alice.disconnect()
    back = stage.resume(alice)
    back.frames()
    known = rtc.TrackPublishedResponse(cid="c", track=models.TrackInfo(sid=sid))
    back.send(sync_state=rtc.SyncState(publish_tracks=[known]))
    assert back.only("track_unpublished").track_sid == sid
    assert back.session.state == "joined"


def test_states_kept_for_a_resume_are_bounded() -> None:
    latest: Latest[int, int] = Latest()
    for number in range(3 * Latest.bound):
        latest.note(number, number)
    assert len(latest) == Latest.bound
    assert next(iter(latest)) == 2 * Latest.bound
