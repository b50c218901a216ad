"""People who are in a call stay in it: what cuts and joins cost the picture, measured where it is seen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.interop.conftest import Client, Server, until
from tests.interop.test_resume import wire_to
from tests.interop.unbroken import Observed

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

NewClient = Callable[[], Awaitable[Client]]
either_mode = pytest.mark.parametrize(
    "single", [True, False], ids=["one-connection", "two-connections"]
)


async def enter(
    new_client: NewClient, server: Server, url: str, room: str, name: str, single: bool
) -> Client:
    client = await new_client()
    options = {"room": {"singlePeerConnection": single}}
    await client.call("join", url, server.token(name, room), options)
    await client.call("publish", {"simulcast": False})
    return client


async def happened(client: Client, event: str, times: int = 1) -> None:
    async def seen() -> bool:
        return len(await client.events(event)) >= times

    await until(seen, f"{event} happens")


@either_mode
async def test_a_cut_websocket_costs_no_packet_in_either_direction(
    new_client: NewClient, server: Server, single: bool
) -> None:
    """The resume restarts ICE on every connection of the client, while the old path serves."""
    room = f"cut-{single}"
    async with wire_to(server) as (wire, url):
        alice = await enter(new_client, server, url, room, "alice", single)
        bob = await enter(new_client, server, server.ws, room, "bob", single)
        sid = await alice.evaluate("state.room.localParticipant.sid")
        hers, his = await Observed.begin(alice), await Observed.begin(bob)
        pairs = await alice.call("paths")
        wire.cut()
        await happened(alice, "Reconnected")
        await until(lambda: alice.call("restarted", pairs), "every connection has new credentials")
        await hers.assert_unbroken()
        await his.assert_unbroken()
        assert await alice.evaluate("state.room.localParticipant.sid") == sid
        assert await bob.events("ParticipantDisconnected") == []


async def test_five_who_join_at_once_cost_the_publisher_few_key_frames(
    new_client: NewClient, server: Server
) -> None:
    alice = await enter(new_client, server, server.ws, "crowd", "alice", True)
    viewers = [await new_client() for _ in range(5)]

    async def look(number: int, viewer: Client) -> None:
        await viewer.call("join", server.ws, server.token(f"viewer-{number}", "crowd"))
        await until(lambda: viewer.decoded("video"), f"viewer {number} sees")

    await look(0, viewers[0])
    asked = await requests(alice)
    await asyncio.gather(*(look(*each) for each in enumerate(viewers[1:], 1)))
    assert await requests(alice) - asked <= len(viewers) - 1
    for viewer in viewers:
        (picture,) = await viewer.decoded("video")
        assert picture["pliCount"] <= 1  # nobody had to ask for a picture


async def requests(publisher: Client) -> int:
    """Key-frame requests that reached the publisher's camera."""
    sent = (await publisher.call("stats"))["outbound"]
    return sum(int(stream["pliCount"]) for stream in sent if stream["kind"] == "video")
