"""People on the meeting page, as they would use it: real browsers, a real server, decoded pictures and sound."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, Request

from tests.interop.conftest import ROOT, Server, until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

FRAMES = """() => [...document.querySelectorAll('video')]
  .map((video) => video.getVideoPlaybackQuality().totalVideoFrames)"""
AUDIBLE = """async () => {
  const tracks = [...document.querySelectorAll('audio, video')]
    .flatMap((element) => element.srcObject?.getAudioTracks() ?? []);
  const context = new AudioContext();
  await context.resume();
  const analysers = tracks.map((track) => {
    const node = context.createAnalyser();
    context.createMediaStreamSource(new MediaStream([track])).connect(node);
    return node;
  });
  let loudest = 0;
  for (let turn = 0; turn < 60; turn += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    for (const node of analysers) {
      const samples = new Float32Array(node.fftSize);
      node.getFloatTimeDomainData(samples);
      loudest = Math.max(loudest, ...samples.map(Math.abs));
    }
  }
  await context.close();
  return loudest;
}"""

Enter = Callable[[str, str], Awaitable[Page]]


class Watch:
    """Every request that a page makes, every error of its scripts, every violation of its policy."""

    def __init__(self) -> None:
        self.hosts: set[str] = set()
        self.errors: list[str] = []

    def see(self, page: Page) -> None:
        page.on("request", self._request)
        page.on("websocket", lambda socket: self.hosts.add(urlsplit(socket.url).netloc))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._console)

    def _console(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            self.errors.append(message.text)

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("blob", "data"):
            self.hosts.add(parts.netloc)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
async def enter(chromium: Browser, server: Server, watch: Watch) -> AsyncIterator[Enter]:
    """Opens the page, fills the lobby in and joins; one context a person."""
    async with AsyncExitStack() as stack:

        async def join(name: str, room: str) -> Page:
            context = await chromium.new_context(
                permissions=["camera", "microphone"], viewport={"width": 1280, "height": 800}
            )
            stack.push_async_callback(context.close)
            page = await context.new_page()
            watch.see(page)
            await page.goto(f"{server.url}/meet/{room}")
            await page.get_by_label("Your name").fill(name)
            await page.get_by_role("button", name="Join", exact=True).click()
            await page.get_by_role("button", name="Leave").wait_for()
            return page

        yield join


async def frames(page: Page) -> list[int]:
    result: list[int] = await page.evaluate(FRAMES)
    return result


async def all_play(page: Page, people: int) -> bool:
    counts = await frames(page)
    return len(counts) >= people and all(count > 10 for count in counts)


async def test_two_windows_see_and_hear_each_other(
    enter: Enter, watch: Watch, server: Server
) -> None:
    ada, ben = await enter("Ada", "two"), await enter("Ben", "two")
    for page, name in ((ada, "Ada"), (ben, "Ben")):
        await until(lambda p=page: all_play(p, 2), f"{name} sees both pictures")
        assert await page.evaluate(AUDIBLE) > 0.01, f"{name} hears the other"
    screenshots = ROOT / "build" / "screenshots"
    screenshots.mkdir(parents=True, exist_ok=True)
    await ada.screenshot(path=screenshots / "meeting-wide.png")
    await ben.set_viewport_size({"width": 390, "height": 844})
    await ben.screenshot(path=screenshots / "meeting-phone.png")
    assert watch.hosts == {urlsplit(server.url).netloc}, "no request leaves the server"
    assert watch.errors == []


async def test_a_message_reaches_the_other(enter: Enter) -> None:
    ada, ben = await enter("Ada", "chat"), await enter("Ben", "chat")
    await until(lambda: all_play(ben, 2), "both are in")
    await ada.get_by_role("button", name="Chat").click()
    await ada.get_by_role("textbox").last.fill("Good morning")
    await ada.keyboard.press("Enter")
    await ben.get_by_role("button", name="Chat").click()
    await ben.get_by_text("Good morning").first.wait_for()


async def test_leaving_takes_the_tile_away(enter: Enter) -> None:
    ada, ben = await enter("Ada", "leave"), await enter("Ben", "leave")
    await until(lambda: all_play(ada, 2), "both are in")
    await ben.get_by_role("button", name="Leave").click()

    async def alone() -> bool:
        return len(await frames(ada)) == 1

    await until(alone, "Ada is alone")


async def test_muting_the_camera_is_seen(enter: Enter) -> None:
    ada, ben = await enter("Ada", "camera"), await enter("Ben", "camera")
    await until(lambda: all_play(ben, 2), "both are in")
    await ada.get_by_role("button", name="camera").first.click()

    async def one_picture() -> Any:
        return len(await frames(ben)) == 1

    await until(one_picture, "Ada's picture is gone at Ben's")


async def test_the_page_works_with_the_keyboard_alone(chromium: Browser, server: Server) -> None:
    context = await chromium.new_context(permissions=["camera", "microphone"])
    page = await context.new_page()
    await page.goto(f"{server.url}/meet/keys")
    name = page.get_by_label("Your name")
    await name.wait_for()
    for _ in range(20):
        if await name.evaluate("element => element === document.activeElement"):
            break
        await page.keyboard.press("Tab")
    await page.keyboard.type("Kim")
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Leave").wait_for()
    await context.close()
