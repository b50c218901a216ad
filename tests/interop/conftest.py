"""Real parts: a server process as `conclave dev` starts it, Chromium with fake devices, the SDKs."""

import contextlib
import fcntl
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import Browser, async_playwright

from tests.support.browsers import (
    CHROMIUM_FLAGS,
    Browsers,
    Client,
    Driven,
    RemotePage,
    drive,
)
from tests.support.networks import ISLAND, ROOT, Host, Network, alone
from tests.support.servers import (
    START_SECONDS,
    Server,
    launch,
    serve,
    serving,
    start_server,
    stop_server,
)
from tests.support.watching import PATIENCE, until

# What tests take from here.
__all__ = [
    "CHROMIUM_FLAGS",
    "PATIENCE",
    "ROOT",
    "START_SECONDS",
    "Client",
    "Driven",
    "OpenPage",
    "Server",
    "launch",
    "serve",
    "serve_pages",
    "serving",
    "start_server",
    "stop_server",
    "until",
]

OpenPage = Callable[[str], Awaitable[RemotePage]]
# A job in the background inherits that SIGINT is ignored, and so would every program that is started here.
signal.signal(signal.SIGINT, signal.default_int_handler)
# The bundles under test by the folder of their page: the current one, and some of earlier years.
CLIENT_SDKS = {
    "": "web/node_modules/livekit-client",
    "/2024": "tests/interop/node/node_modules/livekit-client-2024",
    "/2023": "tests/interop/node/node_modules/livekit-client-2023",
}


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("server"))
    yield running
    stop_server(running)


@contextlib.asynccontextmanager
async def serve_pages() -> AsyncIterator[str]:
    """A static server with versions of the unmodified livekit-client and the page that drives them."""
    app = web.Application()
    here = Path(__file__).parent
    for folder, modules in CLIENT_SDKS.items():
        bundle = ROOT / modules / "dist/livekit-client.umd.js"
        app.router.add_get(f"{folder}/livekit-client.umd.js", _file(bundle))
        for name in ("client.html", "client.js"):
            app.router.add_get(f"{folder}/{name}", _file(here / "pages" / name))
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}/client.html"
    await runner.cleanup()


@pytest.fixture(scope="session")
async def pages() -> AsyncIterator[str]:
    async with serve_pages() as url:
        yield url


def _file(path: Path) -> Callable[[web.Request], Awaitable[web.FileResponse]]:
    async def respond(_request: web.Request) -> web.FileResponse:
        return web.FileResponse(path)

    return respond


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=CHROMIUM_FLAGS, headless=True
        )
        yield browser
        await browser.close()


@pytest.fixture(scope="module")
def island() -> Iterator[Host]:
    """A host on its own, with an address that is not the loopback's."""
    with Network() as network:
        yield alone(network)


@pytest.fixture(scope="module")
def inside(island: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on the island."""
    sections = {"media": {"addresses": [ISLAND]}}
    with serving(tmp_path_factory.mktemp("inside"), sections, on=island) as running:
        yield running


@pytest.fixture(scope="module")
async def browsers(
    island: Host, inside: Server, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Browsers]:
    """Firefox and Chromium beside it."""
    async with drive(island.prefix, tmp_path_factory.mktemp("home")) as driver:
        yield driver


@pytest.fixture
async def open_page(browsers: Browsers) -> AsyncIterator[OpenPage]:
    """Opens pages in the browser of that name; they end with the test."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(browser: str) -> RemotePage:
            page = RemotePage(browsers, await browsers.ask(open=browser))
            stack.push_async_callback(page.close)
            return page

        yield make


@pytest.fixture(scope="session")
def sdks() -> None:
    """The SDKs that only tests run, as their lock files have them; one of several processes installs them."""
    (ROOT / ".cache").mkdir(exist_ok=True)
    with (ROOT / ".cache/sdks.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["make", "--silent", "sdks"], cwd=ROOT, check=True)


@pytest.fixture
async def new_client(
    chromium: Browser, pages: str
) -> AsyncIterator[Callable[[], Awaitable[Client]]]:
    """A factory of clients, each in a context of its own."""
    async with contextlib.AsyncExitStack() as stack:

        async def make() -> Client:
            context = await chromium.new_context(permissions=["camera", "microphone"])
            stack.push_async_callback(context.close)
            page = await context.new_page()
            client = Client(page)
            await page.goto(pages)
            return client

        yield make
