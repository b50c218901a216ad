"""A browser whose network changes under it: another address or port, silence on every path, silence of media."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
from playwright.async_api import Browser

from tests.interop.conftest import Client, Server, serving, until
from tests.interop.lab import OUTSIDE, Lab
from tests.interop.unbroken import SCRIPT, Observed
from tests.support.browsers import chromium_on, open_page
from tests.support.networks import Network, needs_root
from tests.support.servers import Sections

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120), needs_root]

CONSENT = 10  # seconds; the least that may be configured
NOTICED = 25.0  # seconds: consent, the grace of 5 s, and patience with a busy machine
FOLLOWED = 1_000.0  # ms without a frame where the other end's address changes
# A second connection sends nothing but reports once its media stop: every 0.5 to 1.5 s (RFC 3550 section 6.3).
FOLLOWED_BY_REPORT = 2_000.0
# Chromium itself takes two seconds to believe that its machine has another address.
MOVED = 6_000.0


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Network() as network:
        yield Lab(network)


@pytest.fixture(scope="module")
def outside(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server at the other end of the cable."""
    media = {"addresses": [OUTSIDE], "consent_timeout": CONSENT}
    sections: Sections = {"http": {"bind": OUTSIDE}, "media": media}
    with serving(tmp_path_factory.mktemp("outside"), sections, on=lab.outside) as running:
        yield running


@pytest.fixture(scope="module")
async def roaming(lab: Lab) -> AsyncIterator[Browser]:
    async with chromium_on(lab.roamer) as browser:
        yield browser


@pytest.fixture(scope="module")
async def staying(lab: Lab) -> AsyncIterator[Browser]:
    async with chromium_on(lab.outside) as browser:
        yield browser


Meet = Callable[[str, bool], Awaitable[tuple[Client, Client]]]


@pytest.fixture
async def meet(
    lab: Lab, outside: Server, roaming: Browser, staying: Browser
) -> AsyncIterator[Meet]:
    """Alice, who roams, and Bob, who stays, both seen."""
    pages: list[Client] = []

    async def make(room: str, single: bool) -> tuple[Client, Client]:
        for name, browser in (("alice", roaming), ("bob", staying)):
            client = await open_page(browser)
            await client.page.add_script_tag(path=SCRIPT)
            pages.append(client)
            options = {"room": {"singlePeerConnection": single}}
            await client.call("join", outside.ws, outside.token(name, room), options)
            await client.call("publish", {"simulcast": False})
        return pages[0], pages[1]

    yield make
    lab.restore()
    for page in pages:
        await page.page.context.close()


@pytest.mark.parametrize("single", [True, False], ids=["one-connection", "two-connections"])
async def test_a_nat_that_forgets_a_client_is_followed_within_a_second(
    lab: Lab, meet: Meet, single: bool
) -> None:
    lab.translate()
    alice, bob = await meet(f"nat-{single}", single)
    hers, his = await Observed.begin(alice), await Observed.begin(bob)
    await until(lambda: alice.call("checksAreRare"), "the browser checks no more than every 2.5 s")
    await asyncio.gather(hers.again(), his.again())
    lab.translate()
    await asyncio.gather(hers.frames(60), his.frames(60))
    assert await his.gap() < FOLLOWED
    assert await hers.gap() < (FOLLOWED if single else FOLLOWED_BY_REPORT)
    for client in (alice, bob):
        assert await client.events("Reconnecting") == []


async def test_a_client_that_notices_its_new_address_resumes(lab: Lab, meet: Meet) -> None:
    alice, bob = await meet("moves", True)
    hers, his = await Observed.begin(alice), await Observed.begin(bob)
    sid = await alice.evaluate("state.room.localParticipant.sid")
    lab.move()
    await alice.evaluate("state.room.simulateScenario('signal-reconnect')")
    await until(lambda: alice.events("Reconnected"), "alice is back")
    await asyncio.gather(hers.frames(30), his.frames(30))
    assert max(await hers.gap(), await his.gap()) < MOVED
    assert await alice.evaluate("state.room.localParticipant.sid") == sid
    assert await bob.events("ParticipantDisconnected") == []


async def test_who_vanishes_is_gone_after_consent_and_grace_with_the_reason(
    lab: Lab, meet: Meet
) -> None:
    _, bob = await meet("vanishes", True)
    await Observed.begin(bob)
    lab.silence()

    async def gone() -> bool:
        return not await bob.call("remote")

    await until(gone, "alice is gone", NOTICED)
    assert await bob.evaluate("continuity.reasons") == ["CONNECTION_TIMEOUT"]


async def test_a_client_that_is_only_heard_over_its_websocket_joins_anew(
    lab: Lab, meet: Meet
) -> None:
    alice, bob = await meet("mute", True)
    his = await Observed.begin(bob)
    sid = await alice.evaluate("state.room.localParticipant.sid")
    lab.silence("udp")
    await until(lambda: alice.events("Reconnecting"), "alice is told", NOTICED)
    lab.restore()
    await until(lambda: alice.events("Reconnected"), "alice is back")
    assert await alice.evaluate("state.room.localParticipant.sid") != sid
    his.since = float(await bob.evaluate("performance.now()"))
    await his.frames(10)


async def test_a_client_that_restarts_ice_while_both_networks_serve_changes_over_without_a_gap(
    lab: Lab, meet: Meet
) -> None:
    """Make before break, to a network that the browser prefers; the app says when."""
    alice, bob = await meet("handover", True)
    hers, his = await Observed.begin(alice), await Observed.begin(bob)
    with lab.second_network() as address:
        await until(lambda: alice.call("gathers", address), "the browser knows its second network")
        await alice.evaluate("state.room.simulateScenario('signal-reconnect')")
        await until(lambda: alice.call("servedOver", address), "media use the second network")
        lab.lose_first_network()
        await asyncio.gather(hers.further(90), his.further(90))
        gaps = await hers.gap(), await his.gap()
    assert max(gaps) < FOLLOWED, gaps
