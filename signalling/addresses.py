"""Where a request comes from, believing only proxies that we were told to trust."""

import ipaddress
from collections.abc import Collection, Mapping
from typing import Any, Final

NETWORK_BITS: Final = 64  # of an IPv6 address: one subscriber holds all addresses below (RFC 6177)


class Proxies:
    """Reverse proxies whose headers are believed."""

    def __init__(self, trusted: Collection[str] = ()) -> None:
        """`trusted` are IP addresses of sockets."""
        self._trusted = frozenset(trusted)

    def client_address(self, scope: Mapping[str, Any]) -> str:
        """The address of the client of an ASGI connection; empty where there is none (Unix sockets).

        Proxies append to X-Forwarded-For what they see, so its last entry that is no trusted proxy is the
        first that a trusted one vouches for; whatever stands before it, the client may have written itself.
        """
        client = scope.get("client")
        address = str(client[0]) if client else ""
        if address not in self._trusted:
            return address
        entries: list[str] = [
            entry.strip()
            for name, value in scope["headers"]
            if name == b"x-forwarded-for"
            for entry in value.decode("latin-1").split(",")
        ]
        for entry in reversed(entries):
            if _is_address(entry) and entry not in self._trusted:
                return entry
        return address


def rate_key(address: str) -> str:
    """What shares a token bucket: an IPv4 address, an IPv6 network."""
    if not _is_address(address):
        return address
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed), NETWORK_BITS), strict=False))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
