"""The other end of a call with GStreamer, in its network namespace: aiortc and FFmpeg, in the project's Python.

`other_end.py watch URL` prints the numbers of the pictures that it decodes, and the loudest sample;
`other_end.py publish URL vp8|h264` publishes until its standard input ends. The token is in the environment.
"""

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

from tests.support.encoder import Encoder
from tests.support.http_clients import WhepClient, WhipClient
from tests.support.watching import by_kind, counters, loudest


async def watch(url: str, token: str) -> None:
    async with WhepClient(url, token) as eye:
        tracks = await by_kind(eye.arrived)
        print(json.dumps({"pictures": list(await counters(tracks["video"]))}), flush=True)
        print(json.dumps({"loudest": await loudest(tracks["audio"], 110)}), flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def publish(url: str, token: str, codec: str) -> None:
    if codec == "vp8":
        async with WhipClient(url, token):
            await asyncio.to_thread(sys.stdin.read)
        return
    with tempfile.TemporaryDirectory() as folder:
        encoder = Encoder(f"{url}/whip/v1", token, Path(folder), active=True)
        encoder.start()
        await asyncio.to_thread(sys.stdin.read)
        await asyncio.to_thread(encoder.finish)
        assert encoder.failure is None


if __name__ == "__main__":
    command, address, *codec = sys.argv[1:]
    work = {"watch": watch, "publish": publish}[command]
    asyncio.run(work(address, os.environ["TOKEN"], *codec))
