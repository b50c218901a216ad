"""Media over IPv6: the same call, on a server that announces nothing else."""

import asyncio
import json
import signal
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.interop.conftest import ROOT, START_SECONDS, Client, Server, until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]

CONFIG = """
data = "{data}"
[http]
port = 0
[media]
addresses = ["::1"]
port = 0
[keys.devkey]
secret = "secret"
"""


async def test_two_browsers_meet_over_ipv6(
    tmp_path: Path, new_client: Callable[[], Awaitable[Client]]
) -> None:
    path = tmp_path / "conclave.toml"
    path.write_text(CONFIG.format(data=tmp_path))
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            [ROOT / ".venv/bin/conclave", "serve", "--config", path, "--json"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        line = await asyncio.to_thread(process.stdout.readline)
        server = Server(json.loads(line)["url"], process, tmp_path)
        clients = []
        for name in ("ada", "ben"):
            client = await new_client()
            await client.call("join", server.ws, server.token(name, "six"))
            await client.call("publish")
            clients.append(client)
        for client in clients:
            await until(lambda c=client: c.decoded("video"), "video over IPv6")
            await until(lambda c=client: c.decoded("audio"), "audio over IPv6")
        for number in (signal.SIGTERM, signal.SIGTERM):
            process.send_signal(number)
        assert await asyncio.to_thread(process.wait, START_SECONDS) == 0
