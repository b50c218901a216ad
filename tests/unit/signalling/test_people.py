"""Who is told about whom, and when."""

from livekit.protocol import models, rtc

from common.ids import TrackSid
from crypto.tokens import verify
from sfu.model import LeaveReason, Permissions
from signalling.limits import MAX_UPDATE
from signalling.people import chunked
from tests.support.stage import KEYS, Client, Stage

State = models.ParticipantInfo.State


def publish(client: Client) -> TrackSid:
    client.send(add_track=rtc.AddTrackRequest(cid="mic"))
    sid = TrackSid(client.only("track_published").track.sid)
    client.double.publish(sid, "audio/opus")
    client.stage.rooms.flush()
    return sid


def identities(client: Client) -> list[tuple[str, int]]:
    return [
        (info.identity, info.state)
        for update in client.all("update")
        for info in update.participants
    ]


def test_others_learn_of_a_participant_when_it_is_connected() -> None:
    stage = Stage()
    alice = stage.active("alice")
    bob = stage.join("bob")
    assert identities(alice) == []
    bob.double.activate()
    stage.rooms.flush()
    assert identities(alice) == [("bob", State.ACTIVE)]


def test_every_update_lists_all_published_tracks_and_versions_rise() -> None:
    stage = Stage()
    alice, bob = stage.active("alice"), stage.active("bob")
    versions = []
    counts = []
    publish(alice)
    alice.send(add_track=rtc.AddTrackRequest(cid="camera", type=models.TrackType.VIDEO))
    second = TrackSid(alice.only("track_published").track.sid)
    alice.double.publish(second)
    stage.rooms.flush()
    alice.double.set_muted(second, True)
    stage.rooms.flush()
    for update in bob.all("update"):
        info = update.participants[0]
        versions.append(info.version)
        counts.append(len(info.tracks))
    assert versions == sorted(versions)
    assert len(set(versions)) == len(versions)
    assert counts == [1, 2, 2]
    assert info.is_publisher


def test_announced_tracks_are_no_news_before_their_media() -> None:
    stage = Stage()
    alice, bob = stage.active("alice"), stage.active("bob")
    alice.send(add_track=rtc.AddTrackRequest(cid="mic"))
    assert identities(bob) == []


def test_a_leaver_is_told_once_with_its_reason() -> None:
    stage = Stage()
    alice, bob = stage.active("alice"), stage.active("bob")
    alice.frames()
    bob.double.leave(LeaveReason.PARTICIPANT_REMOVED)
    stage.rooms.flush()
    (info,) = alice.only("update").participants
    assert (info.identity, info.state) == ("bob", State.DISCONNECTED)
    assert info.disconnect_reason == models.DisconnectReason.PARTICIPANT_REMOVED


def test_hidden_participants_see_and_are_not_seen() -> None:
    stage = Stage()
    alice = stage.active("alice")
    ghost = stage.active("ghost", video={"hidden": True})
    ghost.double.update(metadata="boo")
    stage.rooms.flush()
    assert identities(alice) == []
    assert identities(ghost) == [("ghost", State.ACTIVE)]
    alice.double.update(metadata="hello")
    stage.rooms.flush()
    assert identities(ghost) == [("alice", State.ACTIVE)]
    ghost.double.leave(LeaveReason.CLIENT_INITIATED)
    stage.rooms.flush()
    assert ("ghost", State.DISCONNECTED) not in identities(alice)


def test_hiding_looks_like_leaving_and_showing_like_coming() -> None:
    stage = Stage()
    alice, bob = stage.active("alice"), stage.active("bob")
    alice.frames()
    bob.double.update(permissions=Permissions(hidden=True))
    stage.rooms.flush()
    assert identities(alice) == [("bob", State.DISCONNECTED)]
    bob.double.update(permissions=Permissions())
    stage.rooms.flush()
    assert identities(alice) == [("bob", State.ACTIVE)]


def test_changed_permissions_are_told_to_their_subject_with_a_new_token() -> None:
    stage = Stage()
    alice = stage.active("alice")
    alice.double.update(permissions=Permissions(can_publish=False))
    stage.rooms.flush()
    frames = {frame.WhichOneof("message"): frame for frame in alice.frames()}
    assert list(frames) == ["update", "refresh_token"]
    assert not frames["update"].update.participants[0].permission.can_publish
    token = verify(frames["refresh_token"].refresh_token, KEYS, now=stage.clock.wall())
    video = token.claims["video"]
    assert isinstance(video, dict)
    assert video["canPublish"] is False


def crowd(stage: Stage) -> Client:
    for number in range(60):
        stage.join(f"viewer-{number}")
    return stage.active("alice")


def test_large_rooms_hear_of_mere_subscribers_in_batches() -> None:
    stage = Stage()
    alice = crowd(stage)
    bob, carol = stage.join("bob"), stage.join("carol")
    for client in (bob, carol):
        client.frames()
        client.double.activate()
    stage.rooms.flush()
    assert identities(bob) == [("bob", State.ACTIVE)]  # oneself at once
    assert identities(alice) == []
    carol.double.leave(LeaveReason.CLIENT_INITIATED)
    stage.rooms.flush()
    stage.advance(3.0)
    told = dict(identities(alice))
    assert told == {"bob": State.ACTIVE, "carol": State.DISCONNECTED, "alice": State.ACTIVE}


def test_large_rooms_hear_of_publishers_and_facts_at_once() -> None:
    stage = Stage()
    alice = crowd(stage)
    stage.advance(3.0)
    alice.frames()
    bob = stage.active("bob")
    publish(bob)
    assert identities(alice) == [("bob", State.ACTIVE)]
    bob.double.leave(LeaveReason.CLIENT_INITIATED)
    stage.rooms.flush()
    assert identities(alice) == [("bob", State.DISCONNECTED)]
    carol = stage.active("carol")
    stage.advance(3.0)
    alice.frames()
    carol.double.update(metadata="new")
    stage.rooms.flush()
    assert identities(alice) == [("carol", State.ACTIVE)]


def test_long_lists_are_split_below_the_limit_and_nobody_is_lost() -> None:
    infos = [
        models.ParticipantInfo(sid=f"PA_{number}", metadata="m" * 10_000) for number in range(100)
    ]
    updates = chunked(infos)
    assert len(updates) > 1
    assert all(len(each.binary()) <= 128 * 1024 for each in updates)
    sids = [info.sid for each in updates for info in each.message.update.participants]
    assert sids == [info.sid for info in infos]


def test_a_participant_beyond_the_limit_travels_alone() -> None:
    small, big = models.ParticipantInfo(sid="a"), models.ParticipantInfo(metadata="m" * MAX_UPDATE)
    updates = chunked([small, big, small])
    assert [len(each.message.update.participants) for each in updates] == [1, 1, 1]


def test_kind_and_its_details_are_told() -> None:
    stage = Stage()
    alice = stage.active("alice")
    stage.active("robot", kind="agent", kindDetails=["CLOUD_AGENT", "unheard_of"])
    info = alice.all("update")[-1].participants[0]
    assert info.kind == models.ParticipantInfo.Kind.AGENT
    assert list(info.kind_details) == [models.ParticipantInfo.KindDetail.Value("CLOUD_AGENT")]
    assert info.permission.agent
