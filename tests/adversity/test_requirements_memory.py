"""Tokens of people who have left are not kept: what is left of them in memory is soon written over."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import websockets

from tests.interop.conftest import Server, start_server, stop_server, until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]
WATCHED = 12  # people whose tokens are looked for
LEFT_OVER = 3  # of them that may still be found in what was freed; a server that kept them would have them all
HUGE = 1 << 30  # bytes; nothing but reserved addresses


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = start_server(tmp_path)
    yield running
    stop_server(running)


def found(process: int, values: list[bytes]) -> set[bytes]:
    """Those of the values that are in a process's memory."""
    seen: set[bytes] = set()
    with open(f"/proc/{process}/mem", "rb", 0) as memory:
        for line in Path(f"/proc/{process}/maps").read_text().splitlines():
            area = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
            if area is None or "[v" in line or int(area[2], 16) - int(area[1], 16) > HUGE:
                continue
            try:
                memory.seek(int(area[1], 16))
                content = memory.read(int(area[2], 16) - int(area[1], 16))
            except OSError:  # unmapped meanwhile, or nobody's to read
                continue
            seen |= {value for value in values if value in content}
    return seen


async def visit(server: Server, token: str, inside: list[bytes] | None = None) -> None:
    """Joins, looks whether the token is there where that is asked for, and leaves."""
    target = f"{server.ws}/rtc?access_token={token}&protocol=16"
    async with websockets.connect(target, proxy=None) as client:
        assert await client.recv()
        if inside is not None:
            assert await asyncio.to_thread(found, server.process.pid, inside), "the search works"


async def test_tokens_of_those_who_left_do_not_stay_in_memory(server: Server) -> None:
    tokens = [server.token(f"person-{number}", "room") for number in range(WATCHED)]
    signatures = [token.rpartition(".")[2].encode() for token in tokens]
    for token in tokens[:-1]:
        await visit(server, token)
    await visit(server, tokens[-1], signatures[-1:])
    others = iter(range(10_000))

    async def forgotten() -> bool:
        for _ in range(WATCHED):
            await visit(server, server.token(f"other-{next(others)}", "room"))
        left = await asyncio.to_thread(found, server.process.pid, signatures)
        return len(left) <= LEFT_OVER

    await until(forgotten, "tokens that are gone", 60)
