"""A room over several lanes: people on different native threads decode each other."""

import asyncio
from pathlib import Path

import pytest

from tests.interop.conftest import PATIENCE, start_server, stop_server, until
from tests.interop.test_python_sdk import pictures, sdk_media, sdk_room, subscribed
from tests.support.exposition import read

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


async def test_people_on_different_lanes_see_each_other(tmp_path: Path) -> None:
    server = start_server(tmp_path, "--lanes", "3")
    try:
        async with (
            sdk_room(server, "wide", "ada") as ada,
            sdk_room(server, "wide", "ben") as ben,
            sdk_room(server, "wide", "cyd") as cyd,
            sdk_media(ada),
            sdk_media(ben),
        ):
            for room, others in ((ada, {"ben"}), (ben, {"ada"}), (cyd, {"ada", "ben"})):
                wanted = {f"{other} video" for other in others}

                async def seen(room: object = room, wanted: set[str] = wanted) -> bool:
                    return wanted <= set(subscribed(room))  # type: ignore[arg-type]

                await until(seen, f"tracks of {others} are subscribed")
                for name in wanted:
                    frames = await asyncio.wait_for(pictures(subscribed(room)[name], 10), PATIENCE)
                    assert len(frames) == 10

            async def spread() -> bool:
                page = await asyncio.to_thread(read, server.audit)
                lanes = page.samples("conclave_forwarded_packets_total")
                assert len(lanes) in (0, 3), "nothing before the first snapshot"
                return sum(lane.value > 0 for lane in lanes) >= 2

            await until(spread, "more than one lane forwards")
    finally:
        stop_server(server)
