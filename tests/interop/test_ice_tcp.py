"""Clients that cannot use UDP: media within five seconds over TCP, and a call that moves there in its middle.

On a host of their own, so that its firewall can drop UDP between the browsers and the server.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import pytest

from tests.interop.conftest import PATIENCE, Client, Driven, OpenPage, Server, until
from tests.support.networks import ISLAND, Host, needs_root

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300), needs_root]

MEDIA_SECONDS = 5.0  # from the join to a decoded picture and sound
RESTART_SECONDS = 100.0  # a browser takes up to a third of it to notice that its way is dead

either_mode = pytest.mark.parametrize(
    "single", [True, False], ids=["one-connection", "two-connections"]
)


@contextlib.contextmanager
def udp_blocked(island: Host) -> Iterator[None]:
    """No datagram gets from or to the server's address."""
    rule = f"OUTPUT -p udp -d {ISLAND} -j DROP"
    island.must(f"iptables -I {rule}")
    try:
        yield
    finally:
        island.must(f"iptables -D {rule}")


async def join(page: Driven, server: Server, name: str, room: str, single: bool) -> None:
    options = {"room": {"singlePeerConnection": single}}
    await page.call("join", server.ws, server.token(name, room), options)


async def protocols(page: Driven) -> set[str]:
    """Of the ways that carry something now."""
    pairs = (await page.call("stats"))["pairs"]
    return {pair["protocol"] for pair in pairs if pair["state"] == "succeeded"}


async def goes_over(page: Driven, protocol: str, seconds: float) -> None:
    seen: set[str] = set()

    async def all_do() -> bool:
        nonlocal seen
        seen = await protocols(page)
        return seen == {protocol}

    try:
        await until(all_do, f"everything goes over {protocol}", seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}, but over {sorted(seen)}") from error


async def frames(page: Driven) -> int:
    """Pictures decoded so far, over all streams."""
    inbound = (await page.call("stats"))["inbound"]
    return sum(report["framesDecoded"] for report in inbound if report["kind"] == "video")


async def sees_more(page: Driven, seconds: float) -> None:
    before = await frames(page)

    async def more() -> bool:
        return await frames(page) > before + 10

    await until(more, "further pictures arrive", seconds)


async def media_arrive(page: Driven, since: float) -> None:
    """Pictures and sound are decoded no later than they must be."""
    left = MEDIA_SECONDS - (asyncio.get_running_loop().time() - since)
    await until(lambda: page.decoded("video"), "pictures within five seconds", left)
    left = MEDIA_SECONDS - (asyncio.get_running_loop().time() - since)
    await until(lambda: page.decoded("audio"), "sound within five seconds", max(left, 0.1))


@either_mode
@pytest.mark.parametrize("browser", ["chromium", "firefox"])
async def test_without_udp_media_flow_both_ways_within_five_seconds(
    open_page: OpenPage, inside: Server, island: Host, browser: str, single: bool
) -> None:
    room = f"tcp-{browser}-{single}"
    ada, ben = await open_page("chromium"), await open_page(browser)
    with udp_blocked(island):
        await join(ada, inside, "ada", room, single)
        await ada.call("publish", {"codec": "vp8"})
        # What is measured begins when somebody joins a call that is running.
        start = asyncio.get_running_loop().time()
        await join(ben, inside, "ben", room, single)
        await media_arrive(ben, start)
        start = asyncio.get_running_loop().time()
        await ben.call("publish", {"codec": "vp8"})
        await media_arrive(ada, start)
        assert await protocols(ada) == {"tcp"}
        assert await protocols(ben) == {"tcp"}


async def test_a_call_whose_udp_is_cut_goes_on_over_tcp(
    open_page: OpenPage, inside: Server, island: Host
) -> None:
    ada, ben = await open_page("chromium"), await open_page("chromium")
    for page, name in ((ada, "ada"), (ben, "ben")):
        await join(page, inside, name, "cut", True)
        await page.call("publish", {"codec": "vp8"})
    for page in (ada, ben):
        await until(partial(page.decoded, "video"), "pictures arrive")
        await goes_over(page, "udp", PATIENCE)
    with udp_blocked(island):
        for page in (ada, ben):
            await goes_over(page, "tcp", RESTART_SECONDS)
        for page in (ada, ben):
            await sees_more(page, RESTART_SECONDS)
            assert await page.events("Disconnected") == []


@either_mode
async def test_a_client_that_forces_tcp_ends_there(
    new_client: Callable[[], Awaitable[Client]], server: Server, single: bool
) -> None:
    ada, ben = await new_client(), await new_client()
    for page, name in ((ada, "ada"), (ben, "ben")):
        await join(page, server, name, f"force-{single}", single)
    await ada.call("publish", {"codec": "vp8"})
    await until(lambda: ben.decoded("video"), "pictures arrive")
    await goes_over(ben, "udp", PATIENCE)
    await ben.evaluate("state.room.simulateScenario('force-tcp')")
    await goes_over(ben, "tcp", RESTART_SECONDS)
    await sees_more(ben, RESTART_SECONDS)
    await goes_over(ada, "udp", PATIENCE)
