"""Firefox and Chromium behind a driver, so that they can run where the test does not: in a namespace."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from tests.interop.conftest import ROOT, START_SECONDS, Driven

LINE_LIMIT = 1 << 20  # bytes of one answer; statistics of a page take some ten thousand


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
