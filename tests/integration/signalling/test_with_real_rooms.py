"""Signalling and the sfu together, over a data plane that records: whole calls as clients see them."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.protocol import models, rtc

from common.ids import RoomName
from sfu import Peer
from sfu.model import ClientFacts, PeerSpec, PeerState, RoomOptions
from signalling.app import SignallingDeps, create_app
from signalling.effects import Send
from signalling.grants import Grants
from signalling.joining import JoinParams
from signalling.session import Session
from tests.support.descriptions import Client as Sdp
from tests.support.descriptions import Media
from tests.support.stage import JS, KEY, KEYS
from tests.support.trail import TrailDouble, let_in
from tests.support.world import World

ROOM = RoomName("room")
DISCONNECTED = models.ParticipantInfo.State.DISCONNECTED


class Call:
    """A room with clients."""

    def __init__(self) -> None:
        self.world = World()
        self.trail = TrailDouble()
        deps = SignallingDeps(
            rooms=self.world.engine,
            trail=self.trail,
            keys=KEYS,
            clock=self.world.clock,
            entropy=bytes,
        )
        self.hub = create_app(deps).hub
        self.world.engine.listen(self.hub.handle_event)

    def join(self, identity: str, *, single: bool, client: ClientFacts = JS) -> Person:
        spec = PeerSpec(identity=identity, client=client, single_connection=single)  # type: ignore[arg-type]
        peer = let_in(self.hub, ROOM, spec, RoomOptions())
        assert isinstance(peer, Peer)
        sdp = Sdp(ufrag=f"uf{peer.sid[3:]}")
        offer = None
        if single:
            offer = rtc.SessionDescription(type="offer", sdp=sdp.offer(*RECEIVING, data="6"), id=1)
        params = JoinParams(client=client, single_connection=single, publisher_offer=offer)
        grants = Grants(issuer=KEY, expires_at=4e9, identity=peer.identity, room=ROOM)
        session = self.hub.join(self.world.engine.rooms[ROOM], peer, grants, params)
        return Person(self, peer, session, sdp)

    def settle(self, seconds: float = 0.5) -> None:
        self.world.advance(seconds)
        self.hub.handle_timeout()
        self.world.engine.flush()


RECEIVING = tuple(
    Media("audio" if number < 3 else "video", str(number), "recvonly") for number in range(6)
)


class Person:
    """A client that answers offers and counts its own."""

    def __init__(self, call: Call, peer: Peer, session: Session, sdp: Sdp) -> None:
        self.call = call
        self.peer = peer
        self.session = session
        self.sdp = sdp
        self.sections = list(RECEIVING) if peer.single_connection else []
        self.offers = 1 if peer.single_connection else 0
        self.seen: list[rtc.SignalResponse] = []

    def send(self, **message: Any) -> None:
        frame = rtc.SignalRequest(**message).SerializeToString()
        self.session.handle_frame(frame, self.call.world.clock.now())
        self.call.world.engine.flush()

    def read(self) -> None:
        """Takes what was sent, and reacts as SDKs do."""
        while effects := self.session.drain():
            for effect in effects:
                if isinstance(effect, Send):
                    self.seen.append(effect.outbound.message)
                    self._react(effect.outbound.message)

    def _react(self, message: rtc.SignalResponse) -> None:
        kind = message.WhichOneof("message")
        if kind == "offer":
            reply = self.sdp.answer(message.offer.sdp)
            answer = rtc.SessionDescription(type="answer", sdp=reply, id=message.offer.id)
            self.send(answer=answer)
        elif kind == "media_sections_requirement":
            needed = message.media_sections_requirement
            more = [Media("audio", "", "recvonly")] * needed.num_audios
            more += [Media("video", "", "recvonly")] * needed.num_videos
            self.offer(*more)

    def offer(self, *more: Media) -> None:
        for media in more:
            mid = str(len(self.sections) + 10)
            self.sections.append(
                Media(media.kind, mid, media.direction, track=media.track, rids=media.rids)
            )
        self.offers += 1
        data = "6" if self.peer.single_connection else "0"
        text = self.sdp.offer(*self.sections, data=data)
        self.send(offer=rtc.SessionDescription(type="offer", sdp=text, id=self.offers))

    def connect(self) -> None:
        for connection in self.peer.connections:
            self.call.world.engine.handle_transport_connected(connection.transport, "AES")
        self.call.world.engine.flush()

    def publish_microphone(self) -> str:
        self.send(add_track=rtc.AddTrackRequest(cid="mic", source=models.TrackSource.MICROPHONE))
        self.read()
        self.offer(Media("audio", "", track="mic"))
        self.read()
        return str(self.last("track_published").track.sid)

    def all(self, kind: str) -> list[Any]:
        self.read()
        return [getattr(m, kind) for m in self.seen if m.WhichOneof("message") == kind]

    def last(self, kind: str) -> Any:
        return self.all(kind)[-1]


@pytest.mark.parametrize("alice_single", [False, True])
@pytest.mark.parametrize("bob_single", [False, True])
def test_a_published_track_is_told_before_it_is_described(
    alice_single: bool, bob_single: bool
) -> None:
    call = Call()
    alice, bob = call.join("alice", single=alice_single), call.join("bob", single=bob_single)
    for person in (alice, bob):
        person.read()
        person.connect()
        person.read()
    assert alice.peer.state is bob.peer.state is PeerState.ACTIVE
    bob.seen.clear()
    sid = alice.publish_microphone()
    call.settle()
    bob.read()
    kinds = [message.WhichOneof("message") for message in bob.seen]
    description = "answer" if bob_single else "offer"
    told = next(
        index
        for index, message in enumerate(bob.seen)
        if message.WhichOneof("message") == "update"
        and any(t.sid == sid for p in message.update.participants for t in p.tracks)
    )
    assert told < kinds.index(description)
    sdp = bob.last(description).sdp
    assert f"a=msid:{alice.peer.sid}|{sid} {sid}" in sdp
    if bob_single:
        assert sid in bob.last("answer").mid_to_track_id.values()
        assert kinds.count("media_sections_requirement") == 1
    track = next(
        t for u in bob.all("update") for p in u.participants for t in p.tracks if t.sid == sid
    )
    assert track.mime_type == "audio/opus"
    assert track.mid
    assert track.source == models.TrackSource.MICROPHONE
    assert alice.last("track_subscribed").track_sid == sid


def test_a_late_joiner_finds_the_track_in_its_first_offer() -> None:
    call = Call()
    alice = call.join("alice", single=True)
    alice.read()
    alice.connect()
    sid = alice.publish_microphone()
    call.settle()
    bob = call.join("bob", single=False)
    join, offer = bob.session.drain()[:2]
    assert isinstance(join, Send)
    assert isinstance(offer, Send)
    (other,) = join.outbound.message.join.other_participants
    assert [track.sid for track in other.tracks] == [sid]
    assert sid in offer.outbound.message.offer.sdp


def test_mute_and_unpublish_reach_the_others() -> None:
    call = Call()
    alice, bob = call.join("alice", single=True), call.join("bob", single=False)
    for person in (alice, bob):
        person.read()
        person.connect()
    sid = alice.publish_microphone()
    call.settle()
    bob.read()
    alice.send(mute=rtc.MuteTrackRequest(sid=sid, muted=True))
    assert bob.last("update").participants[0].tracks[0].muted
    alice.sections[-1] = Media("audio", alice.sections[-1].mid, "inactive")
    alice.offer()
    call.settle()
    assert list(bob.last("update").participants[0].tracks) == []
    versions = [u.participants[0].version for u in bob.all("update")
                if u.participants[0].identity == "alice"]  # fmt: skip
    assert versions == sorted(set(versions))


def test_a_resume_restarts_ice_and_goes_on() -> None:
    call = Call()
    alice, bob = call.join("alice", single=False), call.join("bob", single=False)
    for person in (alice, bob):
        person.read()
        person.connect()
        person.read()
    first = alice.last("offer").sdp
    alice.session.handle_disconnect()
    member = call.hub.members[alice.peer.sid]
    params = JoinParams(client=JS, reconnect=True)
    alice.session = call.hub.resume(member, member.grants, params)
    alice.seen.clear()
    alice.read()
    assert alice.seen[0].WhichOneof("message") == "reconnect"
    again = alice.last("offer").sdp
    assert _credential(again) != _credential(first)
    assert alice.peer.state is PeerState.ACTIVE
    alice.send(sync_state=rtc.SyncState())
    sid = bob.publish_microphone()
    call.settle()
    assert sid in alice.last("offer").sdp


def test_a_connection_that_ends_sends_the_client_to_join_anew_and_the_peer_goes_soon() -> None:
    call = Call()
    alice, bob = call.join("alice", single=True), call.join("bob", single=False)
    for person in (alice, bob):
        person.read()
        person.connect()
    (connection,) = alice.peer.connections
    call.world.engine.handle_transport_closed(connection.transport, "consent_expired")
    call.world.engine.flush()
    assert alice.last("leave").action == rtc.LeaveRequest.Action.RECONNECT
    call.settle(6.0)
    gone = bob.last("update").participants[0]
    assert (gone.identity, gone.state) == ("alice", DISCONNECTED)
    assert gone.disconnect_reason == models.DisconnectReason.CONNECTION_TIMEOUT


def test_a_plaintext_profile_is_refused_by_name() -> None:
    call = Call()
    alice = call.join("alice", single=False)
    alice.read()
    text = alice.sdp.offer(Media("audio", "0", profile="RTP/AVP"))
    alice.send(offer=rtc.SessionDescription(type="offer", sdp=text, id=1))
    assert alice.last("leave").reason == models.DisconnectReason.MEDIA_FAILURE
    assert call.hub.refusals["sdp_profile"] == 1


def test_whoever_never_connects_is_removed_after_a_minute() -> None:
    call = Call()
    alice = call.join("alice", single=False)
    alice.read()
    call.settle(61.0)
    assert alice.last("leave").reason == models.DisconnectReason.JOIN_FAILURE
    assert ROOM not in call.world.engine.rooms or not call.world.room.peers


def _credential(sdp: str) -> str:
    return next(line for line in sdp.splitlines() if line.startswith("a=ice-ufrag"))
