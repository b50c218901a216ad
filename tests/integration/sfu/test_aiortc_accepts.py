"""An independent implementation takes our descriptions and gives its own: aiortc, without any packet sent."""

import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

from sfu.model import PublicationSpec, TrackKind
from tests.support.world import World

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def offered(connection: RTCPeerConnection) -> str:
    await connection.setLocalDescription(await connection.createOffer())
    return str(connection.localDescription.sdp)


async def test_it_publishes_and_takes_our_answer() -> None:
    world = World()
    alice = world.join("alice", connect=False)
    connection = RTCPeerConnection()
    try:
        tracks = [VideoStreamTrack(), AudioStreamTrack()]
        for track, kind in zip(tracks, (TrackKind.VIDEO, TrackKind.AUDIO), strict=True):
            connection.addTrack(track)
            alice.peer.announce(PublicationSpec(track.id, kind))
        connection.createDataChannel("_reliable")
        answer = alice.peer.handle_offer(await offered(connection))
        await connection.setRemoteDescription(RTCSessionDescription(answer.sdp, answer.kind))
        assert [one.mime_type for one in alice.peer.publications.values()] == [
            "video/vp8",
            "audio/opus",
        ]
        directions = {one.kind: one.currentDirection for one in connection.getTransceivers()}
        assert directions == {"video": "sendonly", "audio": "sendonly"}
    finally:
        await connection.close()


async def test_it_takes_our_offer_and_answers_it() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob", connect=False)
    camera, microphone = alice.publish_camera(), alice.publish_microphone()
    connection = RTCPeerConnection()
    received: list[str] = []
    connection.on("track", lambda track: received.append(track.id))
    try:
        offer = bob.peer.create_offer()
        await connection.setRemoteDescription(RTCSessionDescription(offer.sdp, offer.kind))
        await connection.setLocalDescription(await connection.createAnswer())
        bob.peer.handle_answer(connection.localDescription.sdp)
        assert received == [camera.sid, microphone.sid]
        assert set(bob.peer.subscribed_tracks) == {camera.sid, microphone.sid}
        remote = world.plane.transports[bob.peer.connections[0].transport].remote
        assert remote is not None
        assert not remote.dtls_client
        assert [name for name, _ in remote.fingerprints] == ["sha-256", "sha-384", "sha-512"]
    finally:
        await connection.close()


async def test_it_receives_on_the_sections_that_it_offers() -> None:
    world = World()
    alice = world.join("alice")
    camera, microphone = alice.publish_camera(), alice.publish_microphone()
    bob = world.join("bob", single=True, connect=False)
    connection = RTCPeerConnection()
    received: list[str] = []
    connection.on("track", lambda track: received.append(track.id))
    try:
        for kind in ("audio", "video", "video"):
            connection.addTransceiver(kind, direction="recvonly")
        answer = bob.peer.handle_offer(await offered(connection))
        await connection.setRemoteDescription(RTCSessionDescription(answer.sdp, answer.kind))
        assert answer.mid_to_track == {"0": microphone.sid, "1": camera.sid}
        assert set(received) == {camera.sid, microphone.sid}
    finally:
        await connection.close()
