"""An engine with a recording data plane, a manual clock and seeded chance; and clients that talk to it in SDP."""

from collections.abc import Sequence
from random import Random  # noqa: TID251 - seeded, for tests
from typing import TypeVar

from common.clock import ManualClock
from common.ids import Identity, RoomName
from sfu import Engine, Fingerprint, Peer, Publication, Room
from sfu.dataplane import ChannelSpec
from sfu.events import OfferNeeded, SfuEvent
from sfu.model import (
    ClientFacts,
    Description,
    LayerSpec,
    PeerKind,
    PeerSpec,
    Permissions,
    PublicationSpec,
    Quality,
    RoomOptions,
    TrackKind,
    TrackSource,
)
from sfu.negotiation.parse import parse
from sfu.negotiation.sdp import Session
from tests.support.descriptions import Client, Media
from tests.support.recording_plane import Leg, RecordingPlane, Track

E = TypeVar("E")
ROOM = RoomName("room")
LAYERS = (
    LayerSpec(Quality.LOW, 320, 180, 150_000),
    LayerSpec(Quality.MEDIUM, 640, 360, 500_000),
    LayerSpec(Quality.HIGH, 1280, 720, 1_700_000),
)


class World:
    """Everything of one process but the network."""

    def __init__(
        self,
        lanes: Sequence[Sequence[tuple[str, int]]] = ((("192.0.2.1", 7882),),),
        announced: dict[str, tuple[str, ...]] | None = None,
        *,
        tcp: bool = False,
    ) -> None:
        self.clock = ManualClock()
        self.plane = RecordingPlane(lanes, tcp=tcp)
        self.random = Random(7)  # noqa: S311 - the same world every time
        self.engine = Engine(
            plane=self.plane,
            clock=self.clock,
            choose=self.random.randrange,
            fingerprint=Fingerprint("sha-256", bytes(range(32))),
            announced=announced,
        )
        self.events: list[SfuEvent] = []
        self.clients: dict[Identity, Member] = {}
        self.engine.listen(self._hear)

    def join(
        self,
        name: str,
        *,
        single: bool = False,
        permissions: Permissions | None = None,
        kind: PeerKind = PeerKind.STANDARD,
        auto: bool = True,
        adaptive: bool = False,
        browser: str = "Chrome",
        options: RoomOptions | None = None,
        connect: bool = True,
    ) -> "Member":
        """A client joins, negotiates what it needs first and connects."""
        spec = PeerSpec(
            identity=Identity(name),
            kind=kind,
            permissions=permissions or Permissions(),
            client=ClientFacts(sdk="js", protocol=17, browser=browser),
            auto_subscribe=auto,
            adaptive_stream=adaptive,
            single_connection=single,
        )
        peer = self.engine.join(ROOM, spec, options or RoomOptions())
        member = self.clients[spec.identity] = Member(self, peer)
        peer.mark_joined()
        if connect:
            member.connect()
        return member

    @property
    def room(self) -> Room:
        """The only room."""
        return self.engine.rooms[ROOM]

    def advance(self, seconds: float) -> None:
        """Time passes; timers run when they are due."""
        end = self.clock.now() + seconds
        self.engine.flush()
        while (due := self.engine.next_timeout()) is not None and due <= end:
            self.clock.advance(max(0.0, due - self.clock.now()))
            self.engine.handle_timeout(self.clock.now())
            self.engine.flush()
        self.clock.advance(max(0.0, end - self.clock.now()))
        self.engine.flush()

    def heard(self, kind: type[E]) -> list[E]:
        """Events of that kind so far."""
        self.engine.flush()
        return [event for event in self.events if isinstance(event, kind)]

    def forget(self) -> None:
        """Starts listening anew."""
        self.engine.flush()
        self.events.clear()

    def _hear(self, event: SfuEvent) -> None:
        self.events.append(event)


class Member:
    """A client in the room, with its own idea of the sections."""

    def __init__(self, world: World, peer: Peer) -> None:
        self.world = world
        self.peer = peer
        self.client = Client(ufrag=f"uf{peer.sid[3:]}")
        self.sections: list[Media] = []
        self.data = ""
        self.last_answer: Description | None = None
        self.last_offer: Description | None = None

    def connect(self) -> None:
        """The first round and DTLS, in whichever mode."""
        if self.peer.single_connection:
            self.sections = [Media("audio", str(n), "recvonly") for n in range(3)]
            self.sections += [Media("video", str(n), "recvonly") for n in range(3, 6)]
            self.data = "6"
            self.offer()
        elif self.peer.subscriber_primary:
            self.negotiate()
        else:
            self.data = "0"
            self.offer()
        for connection in self.peer.connections:
            self.world.engine.handle_transport_connected(connection.transport, "AEAD_AES_128_GCM")

    def offer(self, *more: Media) -> Description:
        """Offers all sections, with more of them."""
        self.sections += more
        text = self.client.offer(*self.sections, data=self.data)
        self.last_answer = self.peer.handle_offer(text)
        return self.last_answer

    def negotiate(self, *, codecs: tuple[str, ...] = (), refuse: str = "") -> Session:
        """Takes our offer and answers it."""
        self.last_offer = self.peer.create_offer()
        answer = self.client.answer(self.last_offer.sdp, codecs=codecs, refuse=refuse)
        self.peer.handle_answer(answer)
        return parse(self.last_offer.sdp)

    def settle(self) -> int:
        """Answers every offer that we come to need; how many there were."""
        rounds = 0
        while True:
            self.world.forget()
            self.world.advance(0.2)
            mine = [one for one in self.world.heard(OfferNeeded) if one.peer is self.peer]
            if not mine:
                return rounds
            self.negotiate()
            rounds += 1

    def publish_microphone(self, cid: str = "mic", **facts: bool) -> Publication:
        """Announces and offers an audio track."""
        spec = PublicationSpec(
            cid,
            TrackKind.AUDIO,
            source=TrackSource.MICROPHONE,
            **facts,  # type: ignore[arg-type]
        )
        publication = self.peer.announce(spec)
        self.offer(Media("audio", f"a{len(self.sections)}", track=cid))
        return publication

    def publish_camera(
        self, cid: str = "cam", *, rids: str = "q;h;f", codec: str = "vp8", **facts: bool
    ) -> Publication:
        """Announces and offers a simulcast video track."""
        spec = PublicationSpec(
            cid,
            TrackKind.VIDEO,
            source=TrackSource.CAMERA,
            width=1280,
            height=720,
            layers=LAYERS,
            codecs=((codec, cid),),
            **facts,  # type: ignore[arg-type]
        )
        publication = self.peer.announce(spec)
        self.offer(Media("video", f"v{len(self.sections)}", track=cid, rids=rids))
        return publication

    def open_channels(self, *labels: str) -> None:
        """The data plane reports channels, on the connection where they belong."""
        connection = self.peer.connections[-1]
        for number, label in enumerate(labels):
            self.world.engine.handle_channel_opened(
                connection.transport, 2 * number + 1, ChannelSpec(label, True, None)
            )

    def legs(self) -> list[Leg]:
        """What is being sent to it."""
        transports = {one.transport for one in self.peer.connections}
        legs = self.world.plane.legs.values()
        return [leg for leg in legs if leg.spec.transport in transports]

    def leg_of(self, publication: Publication) -> Leg:
        """The one leg that brings it a track."""
        (leg,) = [one for one in self.legs() if one.spec.track == publication.track]
        return leg

    def track_of(self, publication: Publication) -> Track:
        """The data plane's view of an own track."""
        assert publication.track is not None
        return self.world.plane.tracks[publication.track]
