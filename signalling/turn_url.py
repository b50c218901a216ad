"""TURN URLs (RFC 7065), taken apart: what a configuration may name.

In: text. Out: a `TurnUrl`, or a LocalError. Must not: import much; every command reads the configuration.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from common.errors import LocalError

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


def _ipv6(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError as error:
        raise LocalError("turn_url_invalid", f"{text!r} is no IPv6 address") from error
