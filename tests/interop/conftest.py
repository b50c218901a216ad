"""Real parts: a server process as `conclave dev` starts it, Chromium with fake devices, the SDKs."""

import asyncio
import contextlib
import json
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Browser, Page, async_playwright

from common.clock import SystemClock
from common.redact import Redacted
from crypto.tokens import SigningKeys
from server.access import AccessSpec, make_token

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
]
# A job in the background inherits that SIGINT is ignored, and so would every program that is started here.
signal.signal(signal.SIGINT, signal.default_int_handler)
START_SECONDS = 30
# The bundles under test by the folder of their page: the current one, and some of earlier years.
CLIENT_SDKS = {
    "": "web/node_modules/livekit-client",
    "/2024": "tests/interop/node/node_modules/livekit-client-2024",
    "/2023": "tests/interop/node/node_modules/livekit-client-2023",
}
PATIENCE = 25.0  # seconds until media must have been decoded, on two busy cores


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str
    process: subprocess.Popen[str]
    data: Path
    audit: str = ""  # URL of its sidecar's metrics and log

    @property
    def ws(self) -> str:
        return self.url.replace("http", "ws", 1)

    def token(self, identity: str, room: str, **more: Any) -> str:
        keys = SigningKeys({"devkey": Redacted("secret")})
        return make_token(keys, AccessSpec(identity=identity, room=room, **more), SystemClock())


def start_server(data: Path, *arguments: str) -> Server:
    """Starts `conclave dev` on free ports and waits for its word that it is ready."""
    return launch(data, "dev", "--port", "0", "--data", str(data), *arguments)


def serve(data: Path, config: str) -> Server:
    """Starts `conclave serve` with the configuration `config`."""
    path = data / "conclave.toml"
    path.write_text(config)
    return launch(data, "serve", "--config", str(path))


def launch(
    data: Path, *command: str, prefix: Sequence[str] = (), inherited: Sequence[int] = ()
) -> Server:
    """Runs a command that serves, its log in `data`, and waits for its word that it is ready.

    `prefix` is a command that runs others, in a network namespace for instance;
    `inherited` are descriptors that the process gets.
    """
    with (data / "server.log").open("w") as log:
        process = subprocess.Popen(
            [*prefix, ROOT / ".venv/bin/conclave", *command, "--json"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=ROOT,
            pass_fds=inherited,
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise AssertionError((data / "server.log").read_text())
    word = json.loads(line)
    return Server(word["url"], process, data, word.get("audit", ""))


def stop_server(server: Server) -> None:
    """Two signals: the second does not wait for calls to end."""
    for number in (signal.SIGTERM, signal.SIGTERM):
        if server.process.poll() is None:
            server.process.send_signal(number)
    server.process.wait(START_SECONDS)
    assert server.process.stdout is not None
    server.process.stdout.close()


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


class Driven(ABC):
    """A page with livekit-client in it, whatever drives the browser."""

    @abstractmethod
    async def evaluate(self, expression: str) -> Any:
        """The value of an expression, awaited, in the page."""

    async def call(self, function: str, *arguments: object) -> Any:
        joined = ", ".join(json.dumps(argument) for argument in arguments)
        return await self.evaluate(f"{function}({joined})")

    async def decoded(self, kind: str) -> list[dict[str, Any]]:
        """Inbound streams of a kind out of which something was decoded."""
        inbound = (await self.call("stats"))["inbound"]
        enough = {"video": lambda r: r["framesDecoded"] >= 10, "audio": lambda r: r["energy"] > 0}[
            kind
        ]
        return [r for r in inbound if r["kind"] == kind and enough(r)]

    async def events(self, name: str) -> list[str]:
        seen: list[list[str]] = await self.evaluate("state.events")
        return [value for event, value in seen if event == name]


class Client(Driven):
    """A page of Playwright's."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.console: list[str] = []
        page.on("console", lambda message: self.console.append(message.text))
        page.on("pageerror", lambda error: self.console.append(f"error {error}"))

    async def evaluate(self, expression: str) -> Any:
        return await self.page.evaluate(expression)


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


async def until(check: Callable[[], Awaitable[Any]], what: str, seconds: float = PATIENCE) -> Any:
    """The first truthy result of `check`, or a failure that says what never happened."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        result = await check()
        if result:
            return result
        if loop.time() > deadline:
            raise AssertionError(f"never happened: {what}")
        await asyncio.sleep(0.2)
