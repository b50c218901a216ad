"""Programs of others that a test runs: they print a JSON object a line, and end when their input does."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from tests.support.watching import PATIENCE

Facts = dict[str, Any]
START_SECONDS = 30  # seconds; a cold start of GStreamer registers its plug-ins
LINE_LIMIT = 1 << 20  # bytes; a session description takes some thousand


class Program:
    """One that runs; what it says is read on demand."""

    def __init__(self, process: asyncio.subprocess.Process, console: Path) -> None:
        self._process = process
        self._console = console

    async def hear(self, wanted: Callable[[Facts], object], count: int = 1) -> list[Facts]:
        """The next lines that are wanted; others pass."""
        found: list[Facts] = []
        try:
            async with asyncio.timeout(START_SECONDS + PATIENCE):
                while len(found) < count:
                    facts = await self._line()
                    if wanted(facts):
                        found.append(facts)
        except TimeoutError:
            raise AssertionError(f"{len(found)} of {count} lines; {self._said()}") from None
        return found

    async def tell(self, line: str) -> None:
        """Writes a line to it."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        await self._process.stdin.drain()

    async def finish(self) -> list[Facts]:
        """Ends its input, and waits until it has ended well; what it still said."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        async with asyncio.timeout(START_SECONDS):
            rest = await self._process.stdout.read()
            status = await self._process.wait()
        assert status == 0, self._said()
        return [json.loads(line) for line in rest.splitlines()]

    async def _line(self) -> Facts:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, f"the program has ended; {self._said()}"
        facts: Facts = json.loads(line)
        return facts

    def _said(self) -> str:
        return f"its errors: {self._console.read_text()[-2000:]}"


@contextlib.asynccontextmanager
async def running(
    console: Path, *command: str | Path, prefix: Sequence[str] = (), **environment: str
) -> AsyncIterator[Program]:
    """Starts a program; `console` gets what it says to its standard error."""
    with console.open("w") as errors:
        process = await asyncio.create_subprocess_exec(
            *prefix,
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **environment},
            limit=LINE_LIMIT,
        )
    try:
        yield Program(process, console)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
