"""The unmodified livekit-client in Chromium: frames decoded and sound heard, both ways, with every codec."""

from collections.abc import Awaitable, Callable

import pytest

from tests.interop.conftest import Client, Server, until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

NewClient = Callable[[], Awaitable[Client]]


async def joined(
    new_client: NewClient, server: Server, room: str, identity: str, options: object = None
) -> Client:
    client = await new_client()
    await client.call("join", server.ws, server.token(identity, room), options or {})
    return client


@pytest.mark.parametrize("single", [True, False], ids=["one-connection", "two-connections"])
async def test_two_browsers_see_and_hear_each_other(
    new_client: NewClient, server: Server, single: bool
) -> None:
    options = {"room": {"singlePeerConnection": single}}
    room = f"pair-{single}"
    alice = await joined(new_client, server, room, "alice", options)
    await alice.call("publish")
    bob = await joined(new_client, server, room, "bob", options)
    await bob.call("publish")
    for client, name in ((alice, "alice"), (bob, "bob")):
        await until(lambda c=client: c.decoded("video"), f"{name} decodes video")
        await until(lambda c=client: c.decoded("audio"), f"{name} hears sound")


@pytest.mark.parametrize(
    ("codec", "simulcast", "mime"),
    [
        ("vp8", True, "video/VP8"),
        ("vp8", False, "video/VP8"),
        ("h264", False, "video/H264"),
        ("vp9", False, "video/VP9"),
        ("av1", False, "video/AV1"),
    ],
)
async def test_every_codec_is_decoded(
    new_client: NewClient, server: Server, codec: str, simulcast: bool, mime: str
) -> None:
    room = f"codec-{codec}-{simulcast}"
    alice = await joined(new_client, server, room, "alice")
    await alice.call("publish", {"codec": codec, "simulcast": simulcast, "microphone": False})
    bob = await joined(new_client, server, room, "bob")
    streams = await until(lambda: bob.decoded("video"), f"bob decodes {codec}", 40)
    assert [stream["codec"] for stream in streams] == [mime]


async def test_simulcast_layers_switch_without_loss(new_client: NewClient, server: Server) -> None:
    alice = await joined(new_client, server, "layers", "alice")
    await alice.call("publish", {"codec": "vp8", "simulcast": True, "microphone": False})
    bob = await joined(new_client, server, "layers", "bob")
    await until(lambda: bob.decoded("video"), "bob decodes")

    async def height_is(wanted: int) -> bool:
        return any(stream["frameHeight"] == wanted for stream in await bob.decoded("video"))

    for quality, height in ((0, 180), (1, 360), (2, 720), (0, 180)):
        await bob.call("setQuality", quality)
        await until(lambda h=height: height_is(h), f"picture of {height} lines")
    (stream,) = await bob.decoded("video")
    assert stream["packetsLost"] <= 0


async def test_data_is_delivered_reliably_and_lossy(new_client: NewClient, server: Server) -> None:
    alice = await joined(new_client, server, "data", "alice")
    bob = await joined(new_client, server, "data", "bob")
    await until(lambda: bob.call("remote"), "bob sees alice")
    await alice.call("sendData", "hello", {"reliable": True, "topic": "t"})
    await alice.call("sendData", "fast", {"reliable": False, "topic": "u"})

    async def received() -> bool:
        data = await bob.page.evaluate("state.data")
        return ["alice", "t", "hello"] in data and ["alice", "u", "fast"] in data

    await until(received, "both messages arrive")
    assert await alice.page.evaluate("state.data") == []


async def test_unsubscribing_stops_and_subscribing_starts_again(
    new_client: NewClient, server: Server
) -> None:
    alice = await joined(new_client, server, "wishes", "alice")
    await alice.call("publish")
    bob = await joined(new_client, server, "wishes", "bob")
    await until(lambda: bob.decoded("video"), "bob decodes")
    await bob.call("setSubscribed", False)
    await until(lambda: bob.events("TrackUnsubscribed"), "tracks are taken away")
    before = sum(r["framesDecoded"] for r in (await bob.call("stats"))["inbound"])
    await bob.call("setSubscribed", True)

    async def more() -> bool:
        inbound = (await bob.call("stats"))["inbound"]
        return sum(r["framesDecoded"] for r in inbound if r["kind"] == "video") > before + 10

    await until(more, "frames flow again")


async def test_muting_is_told_and_stops_the_sound(new_client: NewClient, server: Server) -> None:
    alice = await joined(new_client, server, "mute", "alice")
    await alice.call("publish", {"camera": False})
    bob = await joined(new_client, server, "mute", "bob")
    await until(lambda: bob.decoded("audio"), "bob hears")
    await alice.page.evaluate("state.room.localParticipant.setMicrophoneEnabled(false)")
    await until(lambda: bob.events("TrackMuted"), "bob is told")
    await alice.page.evaluate("state.room.localParticipant.setMicrophoneEnabled(true)")
    await until(lambda: bob.events("TrackUnmuted"), "bob is told again")


async def test_a_second_join_of_one_identity_replaces_the_first(
    new_client: NewClient, server: Server
) -> None:
    first = await joined(new_client, server, "twice", "alice")
    second = await joined(new_client, server, "twice", "alice")
    await until(lambda: first.events("Disconnected"), "the first is told to go")
    assert await second.events("Disconnected") == []
