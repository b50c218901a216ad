"""Older versions of livekit-client, which apps still ship, with the current one: sight, sound, data, layers."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from playwright.async_api import Browser

from tests.interop.conftest import Client, Server, until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240), pytest.mark.usefixtures("sdks")]
LONG = 45.0  # seconds; a browser that gets no processor decodes what it received seconds ago
VERSIONS = {"2024": "2.6.3", "2023": "1.15.13"}
NewClient = Callable[[], Awaitable[Client]]


@pytest.fixture(params=VERSIONS)
async def older(
    request: pytest.FixtureRequest, chromium: Browser, pages: str
) -> AsyncIterator[Client]:
    """A page with an older version."""
    context = await chromium.new_context(permissions=["camera", "microphone"])
    page = await context.new_page()
    await page.goto(pages.replace("/client.html", f"/{request.param}/client.html"))
    assert await page.evaluate("LivekitClient.version") == VERSIONS[request.param]
    yield Client(page)
    await context.close()


@pytest.mark.parametrize("single", [True, False], ids=["one-connection", "two-connections"])
async def test_an_older_version_meets_the_current_one(
    server: Server, older: Client, new_client: NewClient, single: bool
) -> None:
    version = await older.evaluate("LivekitClient.version")
    room = f"older-{version}-{single}"
    await older.call("join", server.ws, server.token("older", room))
    await older.call("publish", {"simulcast": True})
    current = await new_client()
    options = {"room": {"singlePeerConnection": single}}
    await current.call("join", server.ws, server.token("current", room), options)
    await current.call("publish", {"simulcast": True})
    for client in (older, current):
        await until(lambda c=client: c.decoded("video"), "pictures are decoded")
        await until(lambda c=client: c.decoded("audio"), "sound is heard")

    async def shows(height: int) -> bool:
        return [one["frameHeight"] for one in await older.decoded("video")] == [height]

    for quality, height in ((0, 180), (1, 360)):
        await older.call("setQuality", quality)
        await until(lambda h=height: shows(h), f"a picture of {height} lines", LONG)
    for sender, receiver, name in ((older, current, "older"), (current, older, "current")):
        await sender.call("sendData", "hello", {"reliable": True, "topic": "t"})

        async def received(receiver: Client = receiver, name: str = name) -> bool:
            return [name, "t", "hello"] in await receiver.evaluate("state.data")

        await until(received, f"the message of {name} arrives")
