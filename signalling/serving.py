"""How uvicorn has to be set up for signalling; `server` passes these settings on."""

from __future__ import annotations

from typing import Any, Final

import websockets.http11

from signalling.limits import (
    MAX_REQUEST_LINE,
    MAX_SIGNAL_MESSAGE,
    SOCKET_PING_INTERVAL,
    SOCKET_PING_TIMEOUT,
)

BACKLOG: Final = 2_048  # connections that wait to be accepted when everybody joins at nine


def uvicorn_settings() -> dict[str, Any]:
    """Keyword arguments of `uvicorn.Config`.

    Logs of requests are off: their lines would hold tokens. Messages beyond the limit, compressed or not, close
    the socket with 1009 before they are in memory.
    """
    # The library's bound of 8 KiB per line is below a token with metadata plus a join request.
    websockets.http11.MAX_LINE_LENGTH = MAX_REQUEST_LINE
    return {
        "ws": "websockets-sansio",
        "ws_max_size": MAX_SIGNAL_MESSAGE,
        "ws_ping_interval": SOCKET_PING_INTERVAL,
        "ws_ping_timeout": SOCKET_PING_TIMEOUT,
        "ws_per_message_deflate": True,
        "http": "h11",
        "h11_max_incomplete_event_size": MAX_REQUEST_LINE,
        "backlog": BACKLOG,
        "log_config": None,
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
    }
