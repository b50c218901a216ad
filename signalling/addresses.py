"""Where a request comes from, believing only proxies that we were told to trust."""

from collections.abc import Collection, Mapping
from typing import Any, Final

# The first one present counts.
_HEADERS: Final = (b"cf-connecting-ip", b"x-forwarded-for", b"x-real-ip")


class Proxies:
    """Reverse proxies whose headers are believed."""

    def __init__(self, trusted: Collection[str] = ()) -> None:
        """`trusted` are IP addresses of sockets."""
        self._trusted = frozenset(trusted)

    def client_address(self, scope: Mapping[str, Any]) -> str:
        """The address of the client of an ASGI connection; empty where there is none (Unix sockets)."""
        client = scope.get("client")
        address = str(client[0]) if client else ""
        if address not in self._trusted:
            return address
        headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))  # the first one counts
        for name in _HEADERS:
            value = headers.get(name, b"").decode("latin-1").split(",")[0].strip()
            if value:
                return value[:64]
        return address
