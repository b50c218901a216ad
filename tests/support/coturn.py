"""Debian's coturn on a host of a test network, with the configuration that operators are given.

As a program, inside a host: asks a TURN server which peers it relays to, and says so in one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from common.clock import SystemClock
from common.redact import Redacted
from crypto.turn import TurnCredential, turn_credential
from server.diagnosis.relays import allocation
from signalling.turn_url import TurnUrl
from tests.support.certificates import Certificate
from tests.support.networks import ROOT, Host

SAFE = ROOT / "deploy/coturn/turnserver.conf"
TURN_SECRET = "another secret of at least thirty-two characters"


@dataclass(frozen=True)
class Addresses:
    """Where coturn stands."""

    listening: str
    relay: str
    media: str  # the private address to which it may relay


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
    host.adopt(process)
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
