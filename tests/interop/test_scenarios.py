"""Failures that livekit-client's own test menu causes: the browser comes back and is seen again."""

from collections.abc import Awaitable, Callable

import pytest

from tests.interop.conftest import Client, Server, until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

NewClient = Callable[[], Awaitable[Client]]
RESUMED = ("signal-reconnect", "node-failure", "migration", "disconnect-signal-on-resume")
REJOINED = ("full-reconnect", "leave-full-reconnect")


async def pair(new_client: NewClient, server: Server, room: str, single: bool) -> list[Client]:
    """Two browsers of which the first one shows itself."""
    clients = []
    for name in ("alice", "bob"):
        client = await new_client()
        options = {"room": {"singlePeerConnection": single}}
        await client.call("join", server.ws, server.token(name, room), options)
        clients.append(client)
    await clients[0].call("publish", {"simulcast": False})
    await sees(clients[1], 0)
    return clients


async def frames(client: Client) -> int:
    """Pictures decoded so far, over all streams."""
    inbound = (await client.call("stats"))["inbound"]
    return sum(report["framesDecoded"] for report in inbound if report["kind"] == "video")


async def sees(client: Client, before: int) -> None:
    """Waits for further pictures."""

    async def more() -> bool:
        return await frames(client) > before + 10

    await until(more, "pictures arrive")


@pytest.mark.parametrize("single", [False, True], ids=["two connections", "one connection"])
@pytest.mark.parametrize("scenario", RESUMED + REJOINED)
async def test_a_client_comes_back_from_a_failure(
    new_client: NewClient, server: Server, scenario: str, single: bool
) -> None:
    alice, bob = await pair(new_client, server, f"{scenario}-{single}", single)
    sid = await alice.page.evaluate("state.room.localParticipant.sid")
    await alice.page.evaluate("name => state.room.simulateScenario(name)", scenario)
    if scenario == "disconnect-signal-on-resume":
        await alice.page.evaluate("state.room.simulateScenario('signal-reconnect')")

    async def reconnected() -> bool:
        return bool(await alice.events("Reconnected"))

    await until(reconnected, "the client reconnects")
    same = await alice.page.evaluate("state.room.localParticipant.sid") == sid
    assert same is (scenario in RESUMED)
    assert await alice.events("Disconnected") == []

    async def published() -> bool:
        people = await bob.call("remote")
        return any(track["kind"] == "video" for person in people for track in person["tracks"])

    await until(published, "the other one knows of the track")
    await sees(bob, await frames(bob))
    gone = await bob.events("ParticipantDisconnected")
    assert bool(gone) is (scenario not in RESUMED)


async def test_a_server_that_says_goodbye_ends_the_call(
    new_client: NewClient, server: Server
) -> None:
    alice, bob = await pair(new_client, server, "goodbye", False)
    await alice.page.evaluate("state.room.simulateScenario('server-leave')")

    async def ended() -> bool:
        return bool(await alice.events("Disconnected"))

    await until(ended, "the client is disconnected")

    async def left() -> bool:
        return not await bob.call("remote")

    await until(left, "the other one sees it leave")
