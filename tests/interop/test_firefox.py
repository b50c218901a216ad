"""The unmodified livekit-client in Firefox, which meets Chromium: sight, sound and data, both ways.

Firefox gathers no candidate on the loopback device, so the server and both browsers live on a host of their own.
"""

from collections.abc import Awaitable, Callable

import pytest

from tests.interop.conftest import OpenPage, Server, until
from tests.support.browsers import RemotePage
from tests.support.networks import needs_root

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120), needs_root]


Enter = Callable[[str, str, bool], Awaitable[RemotePage]]


@pytest.fixture
def enter(open_page: OpenPage, inside: Server) -> Enter:
    """Lets a browser, which lends its name, into a room."""

    async def join(browser: str, room: str, single: bool) -> RemotePage:
        page = await open_page(browser)
        options = {"room": {"singlePeerConnection": single}}
        await page.call("join", inside.ws, inside.token(browser, room), options)
        return page

    return join


either_mode = pytest.mark.parametrize(
    "single", [True, False], ids=["one-connection", "two-connections"]
)


async def messages_arrive(name: str, sender: RemotePage, receiver: RemotePage) -> None:
    """Sends one message of each kind and waits until both, and nothing else, are there."""
    await sender.call("sendData", "sure", {"reliable": True, "topic": "t"})
    await sender.call("sendData", "fast", {"reliable": False, "topic": "t"})
    wanted = sorted([name, "t", text] for text in ("sure", "fast"))

    async def arrived() -> bool:
        return sorted(await receiver.evaluate("state.data")) == wanted

    await until(arrived, f"both messages of {name} arrive")


@either_mode
async def test_firefox_and_chromium_see_hear_and_tell_each_other(
    enter: Enter, single: bool
) -> None:
    room = f"meeting-{single}"
    firefox = await enter("firefox", room, single)
    chromium = await enter("chromium", room, single)
    assert "Firefox/" in await firefox.evaluate("navigator.userAgent")
    for page in (firefox, chromium):
        await page.call("publish", {"codec": "vp8", "simulcast": True})
    for page, name in ((firefox, "firefox"), (chromium, "chromium")):
        (video,) = await until(lambda p=page: p.decoded("video"), f"{name} decodes video")
        assert video["codec"] == "video/VP8"
        await until(lambda p=page: p.decoded("audio"), f"{name} hears sound")
    await messages_arrive("firefox", firefox, chromium)
    await messages_arrive("chromium", chromium, firefox)


@either_mode
async def test_layers_of_firefox_can_be_chosen(enter: Enter, single: bool) -> None:
    firefox = await enter("firefox", f"layers-{single}", single)
    await firefox.call("publish", {"codec": "vp8", "simulcast": True, "microphone": False})
    chromium = await enter("chromium", f"layers-{single}", single)
    await until(lambda: chromium.decoded("video"), "chromium decodes")

    async def shown(rid: str) -> bool:
        """Whether the picture has the height of a layer, which Firefox chooses by its load."""
        sent = (await firefox.call("stats"))["outbound"]
        heights = [layer["frameHeight"] for layer in sent if layer["rid"] == rid]
        return heights == [stream["frameHeight"] for stream in await chromium.decoded("video")]

    for quality, rid in ((0, "q"), (1, "h"), (0, "q")):
        await chromium.call("setQuality", quality)
        await until(lambda r=rid: shown(r), f"layer {rid} is shown")


@pytest.mark.parametrize(("codec", "mime"), [("vp9", "video/VP9"), ("av1", "video/AV1")])
async def test_firefox_decodes_the_other_codecs_of_chromium(
    enter: Enter, codec: str, mime: str
) -> None:
    chromium = await enter("chromium", codec, True)
    await chromium.call("publish", {"codec": codec, "microphone": False})
    firefox = await enter("firefox", codec, True)
    (video,) = await until(lambda: firefox.decoded("video"), f"firefox decodes {codec}")
    assert video["codec"] == mime
