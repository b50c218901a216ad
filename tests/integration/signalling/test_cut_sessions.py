"""A WebSocket that is cut after its first, second, third ... message: in the end everybody knows what they would
have known without the cut. The rooms are real, the client resumes as SDKs do, time is simulated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from livekit.protocol import models, rtc

from common.ids import TrackSid
from signalling.effects import Send
from signalling.joining import JoinParams
from tests.integration.signalling.test_with_real_rooms import ROOM, Call, Person
from tests.support.descriptions import Media
from tests.support.stage import JS

DISCONNECTED = models.ParticipantInfo.State.DISCONNECTED
Tracks = tuple[tuple[str, bool], ...]


class Alice:
    """A client behind a wire that breaks after a number of messages in either direction, and what it knows."""

    def __init__(self, person: Person, breaks_after: int | None) -> None:
        self.person = person
        self._left = breaks_after
        self.cuts = 0
        self.crossed = 0
        self.people: dict[
            str, tuple[str, Tracks]
        ] = {}  # identity: metadata, (source, muted) of each track
        self.speaking: set[str] = set()
        self.allowed: dict[str, bool] = {}
        self.room = ""
        self.own: dict[str, str] = {}  # cid: sid
        self.muted: dict[str, bool] = {}  # sid: as this client has it
        self._announcing: dict[str, rtc.AddTrackRequest] = {}

    # -- the wire --

    @property
    def broken(self) -> bool:
        return self._left == 0

    def _crosses(self) -> bool:
        if self.broken:
            return False
        self.crossed += 1
        if self._left is not None:
            self._left -= 1
        return True

    def send(self, **message: Any) -> None:
        if self._crosses():
            self.person.send(**message)

    def read(self) -> None:
        while effects := self.person.session.drain():
            for effect in effects:
                if isinstance(effect, Send) and self._crosses():
                    self._take(effect.outbound.message)

    def resume(self, *, noticed: bool) -> None:
        """`noticed`: the server knows that the old socket is gone."""
        self._left = None
        self.cuts += 1
        person = self.person
        if noticed:
            person.session.handle_disconnect()
        member = person.call.hub.members[person.peer.sid]
        params = JoinParams(client=JS, single_connection=True, reconnect=True)
        person.session = person.call.hub.resume(member, member.grants, params)
        self.read()
        known = [
            rtc.TrackPublishedResponse(cid=cid, track=models.TrackInfo(sid=sid))
            for cid, sid in self.own.items()
        ]
        self.send(sync_state=rtc.SyncState(publish_tracks=known))
        self._offer()
        for request in list(self._announcing.values()):
            self.send(add_track=request)
        self.read()

    # -- the client --

    def publish(self, cid: str, source: models.TrackSource.ValueType) -> None:
        kind = models.TrackType.AUDIO if cid == "mic" else models.TrackType.VIDEO
        self._announcing[cid] = rtc.AddTrackRequest(cid=cid, source=source, type=kind)
        self.send(add_track=self._announcing[cid])

    def mute(self, cid: str, muted: bool) -> None:
        sid = self.own.get(cid)
        if sid is None:  # not published yet: there is no button
            return
        self.muted[sid] = muted
        self.send(mute=rtc.MuteTrackRequest(sid=sid, muted=muted))

    def _offer(self, *more: Media) -> None:
        """All sections it has; nothing of it is lost in parts, and the next offer has all of it again."""
        person = self.person
        person.sections.extend(more)
        person.offers += 1
        text = person.sdp.offer(*person.sections, data="6")
        self.send(offer=rtc.SessionDescription(type="offer", sdp=text, id=person.offers))

    def _take(self, message: rtc.SignalResponse) -> None:
        kind = message.WhichOneof("message")
        handler = getattr(self, f"_on_{kind}", None)
        if handler is not None:
            handler(getattr(message, kind or ""))

    def _on_join(self, join: rtc.JoinResponse) -> None:
        self.room = join.room.metadata
        self._on_update(rtc.ParticipantUpdate(participants=join.other_participants))

    def _on_update(self, update: rtc.ParticipantUpdate) -> None:
        for info in update.participants:
            if info.state == DISCONNECTED:
                self.people.pop(info.identity, None)
                self.speaking.discard(info.sid)
                continue
            tracks = tuple(
                sorted((track.name or track.sid[:5], track.muted) for track in info.tracks)
            )
            self.people[info.identity] = (info.metadata, tracks)
            if info.identity == self.person.peer.identity:
                self._reconcile(info)

    def _reconcile(self, info: models.ParticipantInfo) -> None:
        """SDKs insist on their own view of what is muted."""
        for track in info.tracks:
            mine = self.muted.get(track.sid, track.muted)
            if mine != track.muted:
                self.send(mute=rtc.MuteTrackRequest(sid=track.sid, muted=mine))

    def _on_track_published(self, published: rtc.TrackPublishedResponse) -> None:
        if self._announcing.pop(published.cid, None) is None:
            return
        self.own[published.cid] = published.track.sid
        self.muted[published.track.sid] = False
        kind = "audio" if published.cid == "mic" else "video"
        mid = str(len(self.person.sections) + 10)
        self._offer(Media(kind, mid, track=published.cid))

    def _on_track_unpublished(self, over: rtc.TrackUnpublishedResponse) -> None:
        self.own = {cid: sid for cid, sid in self.own.items() if sid != over.track_sid}

    def _on_mute(self, mute: rtc.MuteTrackRequest) -> None:
        self.muted[mute.sid] = mute.muted

    def _on_room_update(self, update: rtc.RoomUpdate) -> None:
        self.room = update.room.metadata

    def _on_speakers_changed(self, changed: rtc.SpeakersChanged) -> None:
        for speaker in changed.speakers:
            (self.speaking.add if speaker.active else self.speaking.discard)(speaker.sid)

    def _on_subscription_permission_update(self, update: rtc.SubscriptionPermissionUpdate) -> None:
        self.allowed[update.track_sid] = update.allowed

    def _on_media_sections_requirement(self, needed: rtc.MediaSectionsRequirement) -> None:
        count = len(self.person.sections) + 10
        kinds = ["audio"] * needed.num_audios + ["video"] * needed.num_videos
        self._offer(*(Media(kind, str(count + n), "recvonly") for n, kind in enumerate(kinds)))  # type: ignore[arg-type]


class Meeting:
    """The script, step by step, and what is true at its end."""

    def __init__(self, breaks_after: int | None) -> None:
        self.call = call = Call()
        self.bob = call.join("bob", single=False)
        self.alice = Alice(call.join("alice", single=True), breaks_after)
        self.dora = call.join("dora", single=False)
        for person in (self.bob, self.dora):
            person.read()
            person.connect()
        self.alice.person.connect()
        self.sid = self.alice.person.peer.sid

    def run(self, *, noticed: bool) -> None:
        for step in self._steps():
            broken = self.alice.broken
            step()
            self._quiet()
            if broken:  # the client notices one step late, so that whole steps get lost
                self.alice.resume(noticed=noticed)
                self._quiet()

    def _quiet(self) -> None:
        for _ in range(4):
            self.alice.read()
            self.bob.read()
            self.dora.read()
            self.call.settle()

    def _steps(self) -> list[Callable[[], object]]:
        alice, bob, call = self.alice, self.bob, self.call
        camera, microphone = models.TrackSource.CAMERA, models.TrackSource.MICROPHONE
        speaker = call.hub.members[bob.peer.sid]
        forbidden = rtc.SubscriptionPermission(all_participants=False)
        return [
            lambda: None,
            lambda: alice.publish("mic", microphone),
            lambda: alice.publish("cam", camera),
            bob.publish_microphone,
            lambda: alice.mute("mic", True),
            lambda: alice.mute("mic", False),
            self._show_cameras,
            self._moderate,
            lambda: bob.peer.update(metadata="of bob"),
            lambda: bob.send(subscription_permission=forbidden),
            self._visit,
            lambda: call.world.engine.rooms[ROOM].set_metadata("of the room"),
            lambda: call.hub.feeds.simulate_speech(speaker, 1, call.world.clock.now()),
            lambda: call.settle(2.0),
            lambda: alice.person.peer.unpublish(self._track("cam")),
            lambda: call.settle(5.0),
            lambda: call.settle(5.0),
        ]

    def _track(self, cid: str) -> TrackSid:
        publications = self.alice.person.peer.publications.values()
        return next(one.sid for one in publications if one.spec.cid == cid)

    def _moderate(self) -> None:
        peer, sid = self.alice.person.peer, self._track("mic")
        peer.set_muted(sid, True)
        self.call.hub.tell_muted(peer, sid, True)

    def _show_cameras(self) -> None:
        """One more than there are sections at first: the client is asked for another."""
        dora, camera = self.dora, models.TrackSource.CAMERA
        for cid in "abcd":
            kind = models.TrackType.VIDEO
            dora.send(add_track=rtc.AddTrackRequest(cid=cid, type=kind, source=camera))
        dora.offer(*(Media("video", "", track=cid) for cid in "abcd"))

    def _visit(self) -> None:
        carol = self.call.join("carol", single=False)
        carol.read()
        carol.connect()
        self._quiet()
        carol.send(leave=rtc.LeaveRequest())

    def end(self) -> dict[str, object]:
        """What the client knows and what the server has, sids left out."""
        alice = self.alice
        peer = alice.person.peer
        subscriptions = peer.subscriber.subscriptions.values()
        received = [one.publication.spec.cid for one in subscriptions if one.leg is not None]
        return {
            "people": alice.people,
            "speaking": alice.speaking,
            "allowed": sorted(alice.allowed.values()),
            "room": alice.room,
            "own": sorted(alice.own),
            "muted": {cid: alice.muted[sid] for cid, sid in alice.own.items()},
            "published": sorted(
                (one.spec.cid, one.muted, one.published) for one in peer.publications.values()
            ),
            "received": sorted(received),
            "same": peer.sid == self.sid and peer.state.value,
            "legs": len(self.call.world.plane.legs),
        }


def uncut() -> Meeting:
    meeting = Meeting(None)
    meeting.run(noticed=True)
    return meeting


EXPECTED = uncut()


def test_the_script_without_a_cut_ends_as_it_should() -> None:
    end = EXPECTED.end()
    assert end["own"] == ["mic"]
    assert end["muted"] == {"mic": True}
    assert end["published"] == [("mic", True, True)]
    assert end["allowed"] == [False]
    assert end["received"] == ["a", "b", "c", "d"]
    assert end["speaking"] == set()
    assert (end["room"], end["same"]) == ("of the room", "active")
    assert set(EXPECTED.alice.people) == {"alice", "bob", "dora"}
    assert EXPECTED.alice.people["bob"][0] == "of bob"


@pytest.mark.parametrize("noticed", [True, False], ids=["noticed", "replaced"])
@pytest.mark.parametrize("count", range(1, EXPECTED.alice.crossed + 1))
def test_a_cut_after_any_message_changes_nothing_in_the_end(count: int, noticed: bool) -> None:
    meeting = Meeting(count)
    meeting.run(noticed=noticed)
    assert meeting.alice.cuts == 1
    assert meeting.end() == EXPECTED.end()
