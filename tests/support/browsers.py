"""Browsers with livekit-client in them: Chromium as Playwright drives it, and both behind a driver on a host.

Their page is served by interception where there is no web server: on hosts of test networks.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, Route, async_playwright

from tests.support.networks import ROOT, Host
from tests.support.servers import START_SECONDS

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
]
# A page from nowhere in the network is asked before it may go to a private address.
PERMISSIONS = ("camera", "microphone", "local-network-access")
PAGE = "http://localhost/client.html"  # intercepted; browsers take it for a secure context
FILES = {
    "/client.html": ROOT / "tests/interop/pages/client.html",
    "/client.js": ROOT / "tests/interop/pages/client.js",
    "/livekit-client.umd.js": ROOT / "web/node_modules/livekit-client/dist/livekit-client.umd.js",
}
LINE_LIMIT = 1 << 20  # bytes of one answer; statistics of a page take some ten thousand


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


@contextlib.asynccontextmanager
async def chromium_on(
    host: Host, *flags: str, without: tuple[str, ...] = ()
) -> AsyncIterator[Browser]:
    """Chromium with fake devices on a host, driven through pipes that know no network.

    `flags` come to the usual ones, of which those in `without` are left out.
    """
    usual = [flag for flag in CHROMIUM_FLAGS if flag not in without]
    with tempfile.TemporaryDirectory() as folder:
        wrapper = Path(folder) / "chromium"
        wrapper.write_text(f'#!/bin/sh\nexec ip netns exec {host.name} /usr/bin/chromium "$@"\n')
        wrapper.chmod(0o755)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=wrapper, args=[*usual, *flags], headless=True
            )
            yield browser
            await browser.close()


async def open_page(browser: Browser, permissions: Sequence[str] = PERMISSIONS) -> Client:
    """The test page in a context of its own, in a browser on a host without a web server."""
    context = await browser.new_context(permissions=permissions)
    await context.route("http://localhost/**", _serve_files)
    client = Client(await context.new_page())
    await client.page.goto(PAGE)
    return client


async def _serve_files(route: Route) -> None:
    path = "/" + route.request.url.split("/", 3)[3]
    if path in FILES:
        await route.fulfill(path=FILES[path])
    else:
        await route.abort()


class Browsers:
    """The driver of both browsers: one question a line, one answer a line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            reply = json.loads(line)
            future = self._waiting.pop(reply["id"])
            if "error" in reply:
                future.set_exception(AssertionError(reply["error"]))
            else:
                future.set_result(reply["value"])
        for future in self._waiting.values():
            future.set_exception(AssertionError("the driver of the browsers has ended"))

    async def ask(self, **question: object) -> Any:
        assert not self._reader.done(), "the driver of the browsers has ended"
        number = next(self._numbers)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, **question}).encode() + b"\n")
        return await future

    async def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await asyncio.wait_for(self._process.wait(), START_SECONDS)
        await self._reader


class RemotePage(Driven):
    """A page with livekit-client in it, in a browser behind the driver."""

    def __init__(self, browsers: Browsers, page: int) -> None:
        self._browsers = browsers
        self._page = page

    async def evaluate(self, expression: str) -> Any:
        return await self._browsers.ask(page=self._page, evaluate=expression)

    async def close(self) -> None:
        await self._browsers.ask(page=self._page)


@contextlib.asynccontextmanager
async def drive(prefix: Sequence[str], home: Path) -> AsyncIterator[Browsers]:
    """The driver, started with the command `prefix`; browsers start when they are asked for."""
    node = shutil.which("node")
    assert node is not None
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home)}
    with (home / "console").open("w") as console:
        process = await asyncio.create_subprocess_exec(
            *prefix,
            node,
            str(ROOT / "tests/interop/firefox/driver.mjs"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=console,
            env=environment,
            limit=LINE_LIMIT,
        )
        driver = Browsers(process)
        try:
            yield driver
        finally:
            await driver.close()
