"""A server with a certificate of its own: HTTPS and WSS, nothing in the clear."""

import asyncio
import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import websockets
from livekit.protocol import rtc

from tests.interop.conftest import serving
from tests.support.certificates import make_certificate

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


async def test_signalling_and_pages_are_encrypted(tmp_path: Path) -> None:
    made = make_certificate(tmp_path / "tls", "127.0.0.1")
    trust = ssl.create_default_context(cafile=made.certificate)
    files = {"certificate": str(made.certificate), "private_key": str(made.key)}
    with serving(tmp_path, {"http": files}) as server:
        url = server.url
        assert url.startswith("https://")

        def fetch(address: str, context: ssl.SSLContext | None) -> bytes:
            with urllib.request.urlopen(address, context=context) as answer:
                body: bytes = answer.read()
            return body

        assert await asyncio.to_thread(fetch, f"{url}/healthz", trust) == b"ok"
        with pytest.raises((urllib.error.URLError, ConnectionError, OSError)):
            await asyncio.to_thread(fetch, f"{url.replace('https', 'http')}/healthz", None)
        target = f"{url.replace('https', 'wss')}/rtc?access_token={server.token('ada', 'tls')}"
        async with websockets.connect(target, ssl=trust) as socket:
            frame = await socket.recv()
            assert isinstance(frame, bytes)
            assert rtc.SignalResponse.FromString(frame).join.room.name == "tls"
