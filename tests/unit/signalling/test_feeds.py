"""Room facts, speakers, connection quality."""

from typing import get_args

from livekit.protocol import models, rtc

from common.ids import TrackSid
from sfu import events
from sfu.model import ClientFacts
from signalling.hub import HANDLED_EVENTS, SILENT_EVENTS
from tests.support.stage import Client, Stage


def talker(stage: Stage, identity: str) -> tuple[Client, TrackSid]:
    client = stage.active(identity)
    client.send(add_track=rtc.AddTrackRequest(cid="mic"))
    sid = TrackSid(client.only("track_published").track.sid)
    client.double.publish(sid, "audio/opus")
    stage.rooms.flush()
    client.frames()
    return client, sid


def speak(client: Client, level: float) -> None:
    speakers = ((client.double, level),)
    client.stage.rooms.emit(events.SpeakersChanged, client.double.room, speakers)
    client.stage.rooms.flush()


def heard(client: Client) -> list[tuple[str, bool]]:
    return [(s.sid, s.active) for m in client.all("speakers_changed") for s in m.speakers]


def test_every_event_of_the_sfu_is_handled_or_known_to_be_silent() -> None:
    assert HANDLED_EVENTS | SILENT_EVENTS == set(get_args(events.SfuEvent))
    assert not HANDLED_EVENTS & SILENT_EVENTS


def test_speakers_are_told_to_their_listeners_and_themselves_alone() -> None:
    stage = Stage()
    alice, sid = talker(stage, "alice")
    bob, carol = stage.active("bob"), stage.active("carol")
    bob.double.subscribed_tracks.add(sid)
    speak(alice, 0.5)
    assert heard(alice) == [(alice.peer.sid, True)]
    assert heard(bob) == [(alice.peer.sid, True)]
    assert heard(carol) == []
    speak(alice, 0.0)
    assert heard(bob) == [(alice.peer.sid, False)]


def test_whoever_is_no_longer_received_falls_silent() -> None:
    stage = Stage()
    alice, sid = talker(stage, "alice")
    bob = stage.active("bob")
    bob.double.subscribed_tracks.add(sid)
    speak(alice, 0.5)
    bob.frames()
    bob.send(subscription=rtc.UpdateSubscription(track_sids=[sid]))
    assert heard(bob) == [(alice.peer.sid, False)]
    speak(alice, 0.0)
    assert heard(bob) == []


def test_hidden_speakers_are_not_betrayed() -> None:
    stage = Stage()
    ghost = stage.active("ghost", video={"hidden": True})
    bob = stage.active("bob")
    ghost.send(add_track=rtc.AddTrackRequest(cid="mic"))
    sid = TrackSid(ghost.only("track_published").track.sid)
    bob.double.subscribed_tracks.add(sid)
    speak(ghost, 0.5)
    assert heard(bob) == []


def test_very_old_clients_get_no_speaker_deltas() -> None:
    stage = Stage()
    old = stage.active("old", client=ClientFacts(protocol=2))
    speak(old, 0.5)
    assert heard(old) == []


def test_quality_is_gathered_and_told_to_oneself_and_ones_receivers() -> None:
    stage = Stage()
    alice, sid = talker(stage, "alice")
    bob, carol = stage.active("bob"), stage.active("carol")
    bob.double.subscribed_tracks.add(sid)
    room = alice.double.room
    for client, quality in ((alice, "poor"), (bob, "lost"), (carol, "excellent")):
        stage.rooms.emit(events.ConnectionQuality, room, client.double, quality, 2.5)
    stage.rooms.flush()
    assert bob.all("connection_quality") == []
    stage.advance(0.1)
    updates = bob.only("connection_quality").updates
    names = {u.participant_sid: models.ConnectionQuality.Name(u.quality) for u in updates}
    assert names == {alice.peer.sid: "POOR", bob.peer.sid: "LOST"}
    assert updates[0].score == 2.5
    assert len(carol.only("connection_quality").updates) == 1


def test_old_clients_know_no_lost_quality() -> None:
    stage = Stage()
    old = stage.active("old", client=ClientFacts(protocol=10))
    older = stage.active("older", client=ClientFacts(protocol=4))
    for client in (old, older):
        stage.rooms.emit(events.ConnectionQuality, old.double.room, client.double, "lost", 0.0)
    stage.rooms.flush()
    stage.advance(0.1)
    (update,) = old.only("connection_quality").updates
    assert update.quality == models.ConnectionQuality.POOR
    assert older.all("connection_quality") == []


def test_room_metadata_are_told_at_once_and_counts_every_five_seconds() -> None:
    stage = Stage()
    alice = stage.active("alice")
    stage.join("bob")
    stage.join("carol")
    assert alice.all("room_update") == []
    stage.advance(5.0)
    assert alice.only("room_update").room.num_participants == 3
    alice.double.room.set_metadata("agenda")
    stage.rooms.flush()
    assert alice.only("room_update").room.metadata == "agenda"
    alice.double.room.recording = True
    stage.rooms.emit(events.RoomUpdated, alice.double.room)
    stage.rooms.flush()
    room = alice.only("room_update").room
    assert room.active_recording
    assert room.version.unix_micro > 0


def test_dependents_do_not_count() -> None:
    stage = Stage()
    alice = stage.active("alice")
    stage.join("robot", kind="agent")
    stage.join("recorder", kind="egress")
    stage.advance(5.0)
    assert alice.only("room_update").room.num_participants == 1


def test_nothing_is_kept_of_a_room_that_ended() -> None:
    stage = Stage()
    alice = stage.active("alice")
    alice.send(simulate=rtc.SimulateScenario(speaker_update=5))
    room = alice.double.room
    stage.rooms.emit(events.ConnectionQuality, room, alice.double, "good", 4.0)
    stage.rooms.emit(events.DataReceived, room, alice.double, "_reliable", b"")
    stage.rooms.delete_room(room.name)
    stage.rooms.flush()
    hub = stage.hub
    assert not hub.members
    assert not hub.roster._by_room
    assert not hub._trailers
    assert not hub.data._rooms
    assert not hub.feeds._told
    assert not hub.people._facts
    assert len(hub.schedule) == 0
