"""Debian's coturn on a host of a test network, with the configuration that operators are given.

As a program, inside a host: asks a TURN server which peers it relays to, and says so in one JSON object.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509  # noqa: TID251 - a certificate for the test
from cryptography.hazmat.primitives import hashes, serialization  # noqa: TID251
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: TID251
from cryptography.x509.oid import NameOID  # noqa: TID251

from common.clock import SystemClock
from common.redact import Redacted
from crypto.turn import TurnCredential, turn_credential
from server.diagnosis.relays import allocation
from signalling.turn import TurnUrl
from tests.support.networks import ROOT, Host

SAFE = ROOT / "deploy/coturn/turnserver.conf"
TURN_SECRET = "another secret of at least thirty-two characters"


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate and its key, in files."""

    certificate: Path
    key: Path
    pin: str  # base64 of SHA-256 over the public key, as Chromium takes it on its command line


@dataclass(frozen=True)
class Addresses:
    """Where coturn stands."""

    listening: str
    relay: str
    media: str  # the private address to which it may relay


def make_certificate(folder: Path, *names: str, expired: bool = False) -> Certificate:
    """For host names and addresses; a day old, or ended for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.fromtimestamp(SystemClock().wall(), UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=-1 if expired else 300))
        .add_extension(
            x509.SubjectAlternativeName(
                [
                    x509.IPAddress(ip_address(n)) if n[0].isdigit() else x509.DNSName(n)
                    for n in names
                ]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    folder.mkdir(exist_ok=True)
    paths = folder / "certificate.pem", folder / "private-key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    pin = base64.b64encode(hashlib.sha256(public).digest()).decode()
    return Certificate(paths[0], paths[1], pin)


def start_coturn(
    host: Host,
    folder: Path,
    addresses: Addresses,
    certificate: Certificate,
    *,
    text: str = "",
    ports: tuple[int, int] = (3478, 5349),
) -> subprocess.Popen[str]:
    """Starts coturn with the safe configuration (or `text`); waits until it listens on `ports`, plain and TLS."""
    text = text or SAFE.read_text()
    for given, used in {
        "<TURN_ADDRESS>": addresses.listening,
        "<RELAY_ADDRESS>": addresses.relay,
        "<MEDIA_ADDRESS>": addresses.media,
        "<TURN_SECRET>": TURN_SECRET,
        "/etc/coturn/certificate.pem": str(certificate.certificate),
        "/etc/coturn/private-key.pem": str(certificate.key),
    }.items():
        text = text.replace(given, used)
    path = folder / "turnserver.conf"
    path.write_text(text)
    with (folder / "coturn.log").open("w") as log:
        process = subprocess.Popen(
            [*host.prefix, "turnserver", "-c", path, "--pidfile", folder / "coturn.pid"],
            stdout=log,
            stderr=log,
            text=True,
        )
    while not _listens(host, *ports):
        assert process.poll() is None, (folder / "coturn.log").read_text()
    return process


def _listens(host: Host, plain: int, encrypted: int) -> bool:
    return all(
        host.run("ss", "-Hln", flag, f"sport = :{port}").stdout
        for flag, port in (("-u", plain), ("-t", plain), ("-t", encrypted))
    )


def credential(lifetime: int = 600) -> TurnCredential:
    """What clients of a server with that secret are given."""
    end = int(SystemClock().wall()) + lifetime
    return turn_credential(Redacted(TURN_SECRET), "PA_test", expires_at=end)


async def ask_permissions(url: str, peers: list[str]) -> dict[str, bool]:
    """Peer address -> whether the TURN server would relay to it."""
    async with allocation(TurnUrl.parse(url), credential()) as relay:
        return {peer: await relay.permits(peer) for peer in peers}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(ask_permissions(sys.argv[1], sys.argv[2:]))))
