"""Sockets that a server accepts connections on, and why one cannot be had, in words that help."""

from __future__ import annotations

import errno
import socket

from common.errors import LocalError

BACKLOG = 2048  # connections that wait to be accepted: a conference that begins on the hour


def listen(address: str, port: int) -> socket.socket:
    """A listening TCP socket. Raises LocalError: port_in_use, address_unavailable, bind_failed."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise bind_error("TCP", address, port, error) from error


def bind_error(protocol: str, address: str, port: int, error: OSError) -> LocalError:
    """What to say about a port that cannot be bound."""
    where = f"{protocol} port {port} on {address}"
    if error.errno == errno.EADDRINUSE:
        return LocalError(
            "port_in_use", f"{where} is in use; stop the other process or choose another port"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return LocalError("address_unavailable", f"{address} is no address of this machine")
    return LocalError("bind_failed", f"{where} cannot be bound ({error.strerror or error})")
