"""Announcing, muting and receiving tracks."""

import pytest
from livekit.protocol import models, rtc

from common.ids import TrackSid
from sfu import events
from sfu.model import ClientFacts, Quality
from tests.support.stage import Client, Stage

VIDEO = models.TrackType.VIDEO
Reason = rtc.RequestResponse.Reason


@pytest.fixture
def stage() -> Stage:
    return Stage()


def camera(cid: str = "camera") -> rtc.AddTrackRequest:
    return rtc.AddTrackRequest(
        cid=cid,
        type=VIDEO,
        name="cam",
        source=models.TrackSource.CAMERA,
        width=1280,
        height=720,
        encryption=models.Encryption.Type.GCM,
        layers=[
            models.VideoLayer(quality=models.VideoQuality.HIGH, width=1280, height=720, bitrate=3),
            models.VideoLayer(width=320, height=180, bitrate=1),  # LOW is the default
            models.VideoLayer(quality=models.VideoQuality.MEDIUM, width=640, height=360),
        ],
        simulcast_codecs=[
            rtc.SimulcastCodec(codec="vp8", cid=cid),
            rtc.SimulcastCodec(codec="h264"),
        ],
        packet_trailer_features=[1],  # type: ignore[list-item]
    )


def publish(client: Client, cid: str = "camera") -> TrackSid:
    client.send(add_track=camera(cid))
    sid = TrackSid(client.only("track_published").track.sid)
    client.double.publish(sid)
    client.stage.rooms.flush()
    return sid


def response(client: Client) -> tuple[str, rtc.RequestResponse]:
    reply = client.only("request_response")
    return Reason.Name(reply.reason), reply


def test_an_announced_track_is_confirmed_with_everything_that_was_said(stage: Stage) -> None:
    alice = stage.active("alice")
    alice.send(add_track=camera())
    reply = alice.only("track_published")
    assert reply.cid == "camera"
    track = reply.track
    assert track.sid.startswith("TR_")
    assert (track.type, track.name, track.width, track.height) == (VIDEO, "cam", 1280, 720)
    assert track.source == models.TrackSource.CAMERA
    assert track.stream == "camera"
    assert track.encryption == models.Encryption.Type.GCM
    assert list(track.packet_trailer_features) == [1]
    assert [(layer.quality, layer.rid, layer.spatial_layer) for layer in track.layers] == [
        (0, "q", 0),
        (1, "h", 1),
        (2, "f", 2),
    ]
    assert [(codec.mime_type, codec.cid) for codec in track.codecs] == [
        ("video/vp8", "camera"),
        ("video/h264", ""),
    ]


def test_encryption_of_a_kind_that_we_do_not_know_is_echoed(stage: Stage) -> None:
    alice = stage.active("alice")
    alice.send(add_track=rtc.AddTrackRequest(cid="c", type=VIDEO, encryption=77))  # type: ignore[arg-type]
    assert alice.only("track_published").track.encryption == 77


def test_a_track_without_type_is_audio(stage: Stage) -> None:
    alice = stage.active("alice")
    alice.send(add_track=rtc.AddTrackRequest(cid="mic", source=models.TrackSource.MICROPHONE))
    assert alice.only("track_published").track.type == models.TrackType.AUDIO


@pytest.mark.parametrize(
    ("request_", "video", "reason"),
    [
        (camera(), {"canPublish": False}, "NOT_ALLOWED"),
        (camera(), {"canPublishSources": ["microphone"]}, "NOT_ALLOWED"),
        (rtc.AddTrackRequest(cid="d", type=models.TrackType.DATA), {}, "UNSUPPORTED_TYPE"),
        (rtc.AddTrackRequest(cid="x" * 300), {}, "LIMIT_EXCEEDED"),
        (rtc.AddTrackRequest(cid="x", layers=[models.VideoLayer()] * 9), {}, "LIMIT_EXCEEDED"),
        (rtc.AddTrackRequest(cid="x", sid="TR_unknown"), {}, "NOT_FOUND"),
        (rtc.AddTrackRequest(), {}, "UNCLASSIFIED_ERROR"),
    ],
)
def test_a_refused_track_comes_back_with_its_reason(
    stage: Stage, request_: rtc.AddTrackRequest, video: dict[str, object], reason: str
) -> None:
    alice = stage.active("alice", video=video)
    alice.send(add_track=request_)
    name, reply = response(alice)
    assert name == reason
    assert reply.add_track == request_


def test_a_cid_in_use_waits_until_the_earlier_track_ends(stage: Stage) -> None:
    alice = stage.active("alice")
    first = publish(alice)
    alice.frames()
    alice.send(add_track=camera())
    assert response(alice)[0] == "QUEUED"
    alice.double.drop_track(first, by_server=False)
    stage.rooms.flush()
    second = alice.only("track_published")
    assert second.cid == "camera"
    assert second.track.sid != first


def test_no_more_than_three_tracks_wait(stage: Stage) -> None:
    alice = stage.active("alice")
    publish(alice)
    alice.frames()
    names = []
    for _ in range(4):
        alice.send(add_track=camera())
        names.append(response(alice)[0])
    assert names == ["QUEUED"] * 3 + ["LIMIT_EXCEEDED"]


def test_a_further_codec_joins_the_existing_track(stage: Stage) -> None:
    alice = stage.active("alice")
    sid = publish(alice)
    alice.frames()
    backup = rtc.SimulcastCodec(codec="video/H264", cid="backup")
    alice.send(add_track=rtc.AddTrackRequest(cid="backup", sid=sid, simulcast_codecs=[backup]))
    reply = alice.only("track_published")
    assert (reply.cid, reply.track.sid) == ("backup", sid)
    assert [codec.cid for codec in reply.track.codecs] == ["camera", "backup"]


def test_muting_reaches_everybody_and_oneself(stage: Stage) -> None:
    alice, bob = stage.active("alice"), stage.active("bob")
    sid = publish(alice)
    alice.frames()
    bob.frames()
    alice.send(mute=rtc.MuteTrackRequest(sid=sid, muted=True))
    for client in (alice, bob):
        assert client.only("update").participants[0].tracks[0].muted


def test_muting_an_unknown_track_is_refused(stage: Stage) -> None:
    alice = stage.active("alice")
    alice.send(mute=rtc.MuteTrackRequest(sid="TR_x", muted=True))
    name, reply = response(alice)
    assert name == "NOT_FOUND"
    assert reply.mute.sid == "TR_x"


def test_features_and_sizes_of_tracks_change(stage: Stage) -> None:
    alice = stage.active("alice")
    sid = publish(alice)
    alice.frames()
    alice.send(update_video_track=rtc.UpdateLocalVideoTrack(track_sid=sid, width=9, height=8))
    track = alice.only("update").participants[0].tracks[0]
    assert (track.width, track.height) == (9, 8)
    features = [models.AudioTrackFeature.TF_STEREO, models.AudioTrackFeature.TF_NO_DTX]
    alice.send(update_audio_track=rtc.UpdateLocalAudioTrack(track_sid=sid, features=features))
    track = alice.only("update").participants[0].tracks[0]
    assert list(track.audio_features) == features
    assert track.stereo
    assert track.disable_dtx
    alice.send(update_audio_track=rtc.UpdateLocalAudioTrack(track_sid="TR_x"))
    assert response(alice)[0] == "NOT_FOUND"


def test_a_track_that_the_server_ends_is_told_to_its_owner(stage: Stage) -> None:
    alice, bob = stage.active("alice"), stage.active("bob")
    sid = publish(alice)
    alice.frames()
    bob.frames()
    alice.double.unpublish(sid)
    stage.rooms.flush()
    assert alice.only("track_unpublished").track_sid == sid
    assert list(bob.only("update").participants[0].tracks) == []


def test_the_first_subscription_is_told_to_the_publisher(stage: Stage) -> None:
    alice = stage.active("alice")
    sid = publish(alice)
    alice.frames()
    publication = alice.double.publications[sid]
    stage.rooms.emit(events.TrackSubscribed, alice.double.room, alice.double, publication)
    stage.rooms.flush()
    assert alice.only("track_subscribed").track_sid == sid


def test_early_rust_clients_are_not_sent_what_stops_them(stage: Stage) -> None:
    rust = stage.active("rust", client=ClientFacts(sdk="rust", protocol=9))
    rust.send(mute=rtc.MuteTrackRequest(sid="TR_x"))
    assert rust.all("request_response") == []
    assert stage.refusals == {"not_found": 1}


def test_wanted_layers_are_told_per_codec_without_prefix(stage: Stage) -> None:
    alice = stage.active("alice")
    sid = publish(alice)
    alice.frames()
    publication = alice.double.publications[sid]
    codecs = (("video/VP8", Quality.MEDIUM), ("h264", Quality.OFF))
    stage.rooms.emit(events.QualityWanted, alice.double.room, alice.double, publication, codecs)
    stage.rooms.flush()
    update = alice.only("subscribed_quality_update")
    assert [codec.codec for codec in update.subscribed_codecs] == ["vp8", "h264"]
    wanted = [[q.enabled for q in codec.qualities] for codec in update.subscribed_codecs]
    assert wanted == [[True, True, False], [False, False, False]]
    assert [q.enabled for q in update.subscribed_qualities] == wanted[0]


def test_subscriptions_name_tracks_in_both_ways(stage: Stage) -> None:
    alice = stage.active("alice")
    groups = [models.ParticipantTracks(participant_sid="PA_x", track_sids=["TR_b", "TR_a"])]
    wish = rtc.UpdateSubscription(track_sids=["TR_a"], subscribe=True, participant_tracks=groups)
    alice.send(subscription=wish)
    assert alice.double.subscribed_tracks == {"TR_a", "TR_b"}
    wish.subscribe = False
    alice.send(subscription=wish)
    assert alice.double.subscribed_tracks == set()


def test_too_many_tracks_in_one_request_are_refused(stage: Stage) -> None:
    alice = stage.active("alice")
    sids = [f"TR_{number}" for number in range(2_001)]
    alice.send(subscription=rtc.UpdateSubscription(track_sids=sids, subscribe=True))
    assert alice.double.subscribed_tracks == set()
    assert stage.refusals == {"too_many_tracks": 1}


def test_track_settings_reach_each_named_track_once(stage: Stage) -> None:
    alice = stage.active("alice")
    before = len(alice.double.calls)
    alice.send(
        track_setting=rtc.UpdateTrackSettings(
            track_sids=["TR_a", "TR_b", "TR_a"], quality=models.VideoQuality.LOW, width=640, fps=15
        )
    )
    calls = alice.double.calls[before:]
    assert [call[1] for call in calls] == ["TR_a", "TR_b"]
    settings = calls[0][2]
    assert (settings.quality, settings.width, settings.fps) == (Quality.LOW, 640, 15)


def test_permissions_name_subscribers_by_identity_or_sid(stage: Stage) -> None:
    alice, bob = stage.active("alice"), stage.active("bob")
    rules = [
        rtc.TrackPermission(participant_identity="carol", track_sids=["TR_a"]),
        rtc.TrackPermission(participant_sid=bob.peer.sid, all_tracks=True),
        rtc.TrackPermission(participant_sid="PA_gone", all_tracks=True),
    ]
    alice.send(subscription_permission=rtc.SubscriptionPermission(track_permissions=rules))
    name, everyone, grants = alice.double.calls[-1]
    assert (name, everyone) == ("set_track_grants", False)
    assert [(grant.identity, grant.all_tracks) for grant in grants] == [
        ("carol", False),
        ("bob", True),
    ]


def test_outcomes_of_subscriptions_reach_the_subscriber(stage: Stage) -> None:
    alice, bob = stage.active("alice"), stage.active("bob")
    sid = publish(alice)
    room = alice.double.room
    bob.frames()
    stage.rooms.emit(events.SubscriptionFailed, room, bob.double, sid, "codec_unsupported")
    stage.rooms.emit(events.SubscriptionAllowed, room, bob.double, alice.double, sid, False)
    stage.rooms.flush()
    failed, allowed = bob.frames()
    error = models.SubscriptionError.SE_CODEC_UNSUPPORTED
    assert (failed.subscription_response.track_sid, failed.subscription_response.err) == (
        sid,
        error,
    )
    assert allowed.subscription_permission_update.participant_sid == alice.peer.sid
    assert not allowed.subscription_permission_update.allowed


@pytest.mark.parametrize(
    "message",
    [
        {"publish_data_track_request": rtc.PublishDataTrackRequest(pub_handle=1, name="n")},
        {"unpublish_data_track_request": rtc.UnpublishDataTrackRequest(pub_handle=1)},
        {"store_data_blob_request": rtc.StoreDataBlobRequest(request_id=5)},
        {"get_data_blob_request": rtc.GetDataBlobRequest(request_id=5)},
    ],
)
def test_what_is_not_offered_is_refused_promptly(stage: Stage, message: dict[str, object]) -> None:
    alice = stage.active("alice")
    alice.send(**message)
    name, reply = response(alice)
    assert name == "NOT_ALLOWED"
    if "blob" in next(iter(message)):
        assert reply.request_id == 5
    else:
        assert reply.WhichOneof("request") in ("publish_data_track", "unpublish_data_track")
