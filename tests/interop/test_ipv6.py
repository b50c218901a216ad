"""Media over IPv6: the same call, on a server that announces nothing else."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.interop.conftest import Client, serving, until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]


async def test_two_browsers_meet_over_ipv6(
    tmp_path: Path, new_client: Callable[[], Awaitable[Client]]
) -> None:
    with serving(tmp_path, {"media": {"addresses": ["::1"]}}) as server:
        clients = []
        for name in ("ada", "ben"):
            client = await new_client()
            await client.call("join", server.ws, server.token(name, "six"))
            await client.call("publish")
            clients.append(client)
        for client in clients:
            await until(lambda c=client: c.decoded("video"), "video over IPv6")
            await until(lambda c=client: c.decoded("audio"), "audio over IPv6")
