"""TURN servers for clients that cannot reach the media ports: their URLs, and credentials made for each answer.

In: URLs and the shared secret. Out: `IceServer` values, fresh whenever a client joins, resumes or restarts ICE.
Must not: talk to a TURN server; clients do that, and `conclave doctor`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from common.clock import Clock
from common.errors import LocalError
from common.redact import Redacted
from crypto.turn import turn_credential
from signalling.messages import IceServer
from signalling.ports import PeerPort

MAX_URLS: Final = 8  # clients gather on each of them; more only makes joining slower
DEFAULT_PORTS: Final = {"turn": 3478, "turns": 5349}  # RFC 7065 section 3.2
# RFC 7065 section 3.1; a host is an IPv6 literal in brackets, an IPv4 address or a name.
_URL: Final = re.compile(
    r"(?P<scheme>turns?):(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9.-]+))"
    r"(?::(?P<port>[0-9]{1,5}))?(?:\?transport=(?P<transport>udp|tcp))?"
)


@dataclass(frozen=True, slots=True)
class TurnUrl:
    """A TURN URL, taken apart."""

    host: str
    port: int
    transport: str  # "udp" or "tcp"
    encrypted: bool  # TLS over TCP

    @classmethod
    def parse(cls, text: str) -> TurnUrl:
        """Raises LocalError `turn_url_invalid`."""
        found = _URL.fullmatch(text)
        if found is None:
            raise LocalError("turn_url_invalid", f"{text!r} is no TURN URL")
        scheme, port = found["scheme"], int(found["port"] or DEFAULT_PORTS[found["scheme"]])
        host = found["host"] or _ipv6(found["six"])
        if not 0 < port <= 65_535:
            raise LocalError("turn_url_invalid", f"{text!r} names no port")
        transport = found["transport"] or ("tcp" if scheme == "turns" else "udp")
        if scheme == "turns" and transport == "udp":
            raise LocalError("turn_url_invalid", "browsers have no TURN over DTLS")
        return cls(host, port, transport, scheme == "turns")


class TurnServers:
    """What clients are told about TURN."""

    def __init__(
        self, urls: Sequence[str], secret: Redacted[str], lifetime: int, clock: Clock
    ) -> None:
        """`lifetime` in seconds is how long credentials allow new allocations; no URLs: no servers."""
        self._urls = tuple(urls)
        self._secret = secret
        self._lifetime = lifetime
        self._clock = clock

    def servers_for(self, peer: PeerPort) -> Sequence[IceServer]:
        """Credentials of this very moment, for one participant."""
        if not self._urls:
            return ()
        expires_at = int(self._clock.wall()) + self._lifetime
        made = turn_credential(self._secret, peer.sid, expires_at=expires_at)
        return (IceServer(self._urls, made.username, made.password),)


def _ipv6(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError as error:
        raise LocalError("turn_url_invalid", f"{text!r} is no IPv6 address") from error
