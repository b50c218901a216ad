"""The unmodified livekit-client in Firefox, which meets Chromium: sight, sound and data, both ways.

Firefox gathers no candidate on the loopback device, so the server and both browsers live in a network
namespace whose two ends of a virtual cable, one of them with the default route, stay inside.
"""

import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from tests.interop.conftest import Server, until
from tests.interop.namespaces import Namespace, namespace_for, server_in
from tests.support.browsers import Browsers, RemotePage, drive

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(120),
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces are made by root"),
]


@pytest.fixture(scope="module")
def namespace() -> Iterator[Namespace]:
    with namespace_for("conclave") as made:
        yield made


@pytest.fixture(scope="module")
def inside(namespace: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server_in(namespace, tmp_path_factory.mktemp("inside")) as server:
        yield server


@pytest.fixture(scope="module")
async def browsers(
    namespace: Namespace, inside: Server, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Browsers]:
    async with drive(namespace.prefix, tmp_path_factory.mktemp("home")) as driver:
        yield driver


Enter = Callable[[str, str, bool], Awaitable[RemotePage]]


@pytest.fixture
async def enter(browsers: Browsers, inside: Server) -> AsyncIterator[Enter]:
    """Lets a browser, which lends its name, into a room; the pages end with the test."""
    async with contextlib.AsyncExitStack() as stack:

        async def join(browser: str, room: str, single: bool) -> RemotePage:
            page = RemotePage(browsers, await browsers.ask(open=browser))
            stack.push_async_callback(page.close)
            options = {"room": {"singlePeerConnection": single}}
            await page.call("join", inside.ws, inside.token(browser, room), options)
            return page

        yield join


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
