"""Any order of joins, offers, answers, wishes, losses and departures: consistent, and settled in the end."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from common.ids import TrackSid
from sfu.events import OfferNeeded, SectionsNeeded
from sfu.model import Description, LeaveReason, PeerState, TrackSettings
from tests.support.descriptions import Media
from tests.support.world import ROOM, Member, World

NAMES = ("ada", "ben", "cy", "dee")
ROUNDS = 30  # of settling; each pair of tracks and sections needs at most a few


class Rooms(RuleBasedStateMachine):
    """Four people who do as they please; their signalling may lag and get lost."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World([[("192.0.2.1", 7882)], [("192.0.2.1", 7883)]])
        self.members: dict[str, Member] = {}
        self.pending: dict[str, Description] = {}  # offers of ours on their way
        self.unwanted: dict[str, set[TrackSid]] = {}
        self.cids = 0

    @rule(name=st.sampled_from(NAMES), single=st.booleans())
    def join(self, name: str, single: bool) -> None:
        self.members[name] = self.world.join(name, single=single)
        self.pending.pop(name, None)
        self.unwanted[name] = set()

    @precondition(lambda self: self.members)
    @rule(data=st.data(), video=st.booleans())
    def publish(self, data: st.DataObject, video: bool) -> None:
        member = self._pick(data)
        if len(member.peer.publications) < 4:
            self.cids += 1
            publish = member.publish_camera if video else member.publish_microphone
            assert publish(f"cid{self.cids}").published

    @precondition(lambda self: self.members)
    @rule(data=st.data(), by_server=st.booleans())
    def unpublish(self, data: st.DataObject, by_server: bool) -> None:
        member = self._pick(data)
        for sid, publication in list(member.peer.publications.items())[:1]:
            for number, section in enumerate(member.sections):
                if section.mid == publication.mid:
                    member.sections[number] = Media(section.kind, section.mid, "inactive")
            if by_server:
                member.peer.unpublish(sid)
            else:
                member.offer()
            assert sid not in self.world.room.tracks

    @precondition(lambda self: self.members)
    @rule(data=st.data(), wanted=st.booleans())
    def wish(self, data: st.DataObject, wanted: bool) -> None:
        name, member = self._pick_named(data)
        tracks = list(self.world.room.tracks)
        if tracks:
            track = data.draw(st.sampled_from(tracks))
            if wanted:
                member.peer.subscribe([track])
                self.unwanted[name].discard(track)
            else:
                member.peer.unsubscribe([track])
                self.unwanted[name].add(track)

    @precondition(lambda self: self.members)
    @rule(data=st.data(), width=st.integers(0, 2000), disabled=st.booleans())
    def look(self, data: st.DataObject, width: int, disabled: bool) -> None:
        member = self._pick(data)
        for track in member.peer.subscribed_tracks:
            settings = TrackSettings(width=width, height=width * 9 // 16, disabled=disabled)
            member.peer.set_track_settings(track, settings)

    @precondition(lambda self: self.members)
    @rule(data=st.data())
    def create_offer(self, data: st.DataObject) -> None:
        name, member = self._pick_named(data)
        if not member.peer.single_connection:
            self.pending[name] = member.peer.create_offer()

    @precondition(lambda self: self.pending)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.pending)))
        member, offer = self.members[name], self.pending.pop(name)
        member.peer.handle_answer(member.client.answer(offer.sdp))

    @precondition(lambda self: self.members)
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        name, member = self._pick_named(data)
        self.pending.pop(name, None)
        member.client = member.client.restarted()
        member.peer.restart_ice()
        member.offer()

    @precondition(lambda self: self.members)
    @rule(data=st.data())
    def stream_comes_or_goes(self, data: st.DataObject) -> None:
        tracks = list(self.world.plane.tracks)
        if tracks:
            track = data.draw(st.sampled_from(tracks))
            kind = self.world.plane.tracks[track].spec.kind
            codec = data.draw(st.sampled_from(["vp8", "h264"])) if kind == "video" else "opus"
            stream, active = data.draw(st.integers(0, 2)), data.draw(st.booleans())
            self.world.engine.handle_stream_changed(track, stream, active, codec)  # type: ignore[arg-type]

    @precondition(lambda self: self.members)
    @rule(data=st.data())
    def lose_connection(self, data: st.DataObject) -> None:
        name, member = self._pick_named(data)
        connection = data.draw(st.sampled_from(member.peer.connections))
        self.world.engine.handle_transport_closed(connection.transport, "consent_expired")
        self._drop(name)

    @precondition(lambda self: self.members)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        name, member = self._pick_named(data)
        member.peer.leave(LeaveReason.CLIENT_INITIATED)
        self._drop(name)

    @rule(seconds=st.sampled_from([0.01, 0.2, 3.0]))
    def wait(self, seconds: float) -> None:
        self.world.advance(seconds)
        for name in [n for n, one in self.members.items() if one.peer.failed]:
            self._drop(name)

    @invariant()
    def legs_belong_to_published_tracks_of_others(self) -> None:
        if ROOM not in self.world.engine.rooms:
            return
        published = {one.track: one for one in self.world.room.tracks.values()}
        for member in self.members.values():
            for leg in member.legs():
                assert leg.spec.track in published
                assert published[leg.spec.track].peer is not member.peer
            mids = [leg.spec.mid for leg in member.legs()]
            assert len(set(mids)) == len(mids)

    def teardown(self) -> None:
        """Everybody resumes and negotiates until nothing is asked for: all have what they want and no more."""
        for member in self.members.values():
            member.peer.restart_ice()
            if member.peer.single_connection:
                member.offer()
        for _ in range(ROUNDS):
            if not self._settle_round():
                break
        else:
            raise AssertionError("negotiation does not come to rest")
        for name, member in self.members.items():
            if member.peer.state is PeerState.ACTIVE:
                tracks = self.world.room.tracks.values()
                others = {one.sid for one in tracks if one.peer is not member.peer}
                assert set(member.peer.subscribed_tracks) == others - self.unwanted[name]
        self.world.engine.close()
        plane = self.world.plane
        assert (plane.transports, plane.tracks, plane.legs) == ({}, {}, {})
        self.world.advance(60)
        assert self.world.engine.next_timeout() is None

    def _settle_round(self) -> bool:
        self.world.forget()
        self.world.advance(0.2)
        by_peer = {member.peer: member for member in self.members.values()}
        asked = False
        for event in self.world.heard(OfferNeeded):
            if event.peer in by_peer:
                by_peer[event.peer].negotiate()
                asked = True
        for need in self.world.heard(SectionsNeeded):
            if need.peer in by_peer:
                member = by_peer[need.peer]
                count = len(member.sections)
                kinds = ["audio"] * need.audios + ["video"] * need.videos
                member.offer(
                    *(Media(kind, f"x{count + n}", "recvonly") for n, kind in enumerate(kinds))
                )
                asked = True
        return asked

    def _pick(self, data: st.DataObject) -> Member:
        return self._pick_named(data)[1]

    def _pick_named(self, data: st.DataObject) -> tuple[str, Member]:
        name = data.draw(st.sampled_from(sorted(self.members)))
        return name, self.members[name]

    def _drop(self, name: str) -> None:
        self.members.pop(name, None)
        self.pending.pop(name, None)


TestRooms = Rooms.TestCase
TestRooms.settings = settings(max_examples=30, stateful_step_count=40, parent=settings())
