"""A server with a certificate of its own: HTTPS and WSS, nothing in the clear."""

import asyncio
import ssl
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import websockets
from cryptography import x509  # noqa: TID251 - a certificate for the test
from cryptography.hazmat.primitives import hashes, serialization  # noqa: TID251
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: TID251
from cryptography.x509.oid import NameOID  # noqa: TID251
from livekit.protocol import rtc

from tests.interop.conftest import serve, stop_server

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

CONFIG = """
data = "{folder}"
[http]
port = 0
certificate = "{folder}/cert.pem"
private_key = "{folder}/key.pem"
[media]
addresses = ["127.0.0.1"]
port = 0
[keys.devkey]
secret = "secret"
"""


def write_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.fromtimestamp(1_767_225_600, UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=36_500))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


async def test_signalling_and_pages_are_encrypted(tmp_path: Path) -> None:
    write_certificate(tmp_path)
    trust = ssl.create_default_context(cafile=tmp_path / "cert.pem")
    server = await asyncio.to_thread(serve, tmp_path, CONFIG.format(folder=tmp_path))
    try:
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
    finally:
        await asyncio.to_thread(stop_server, server)
    assert server.process.returncode == 0
