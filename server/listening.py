"""Sockets that a server accepts connections on, and why one cannot be had, in words that help."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from common.errors import LocalError

BACKLOG = 2048  # connections that wait to be accepted: a conference that begins on the hour
FIRST_PASSED = 3  # a service manager's descriptors start here


def _adopt(descriptor: int) -> socket.socket:
    return socket.socket(fileno=descriptor)


def passed(
    environment: Mapping[str, str], pid: int, adopt: Callable[[int], socket.socket] = _adopt
) -> socket.socket | None:
    """The one listening socket that a service manager holds for process `pid` (`sd_listen_fds(3)`), if it does.

    Clients wait in it while the server starts anew, so that none has to try again.
    """
    if environment.get("LISTEN_PID") == str(pid) and environment.get("LISTEN_FDS") == "1":
        return adopt(FIRST_PASSED)
    return None


def listen(address: str, port: int) -> socket.socket:
    """A listening TCP socket. Raises LocalError: as `bind_error`."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise bind_error("TCP", address, port, error) from error


@dataclass(frozen=True, slots=True)
class BindProblem:
    """Why a port cannot be bound."""

    code: str  # port_in_use, address_unavailable, port_forbidden, bind_failed
    message: str
    remedy: str


def bind_problem(protocol: str, address: str, port: int, error: OSError) -> BindProblem:
    """What to say about a port that cannot be bound, and what helps."""
    where = f"{protocol} port {port} on {address}"
    if error.errno == errno.EADDRINUSE:
        return BindProblem(
            "port_in_use",
            f"{where} is in use",
            f"Stop the process that uses it (ss -lnp 'sport = :{port}'), or choose another port.",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return BindProblem(
            "address_unavailable",
            f"{address} is no address of this machine",
            "Name an address of this machine (ip addr); behind 1:1 NAT use media.announced.",
        )
    if error.errno == errno.EACCES:
        return BindProblem(
            "port_forbidden",
            f"{where} may not be bound by this user",
            "Choose a port from 1024 upwards, or grant CAP_NET_BIND_SERVICE.",
        )
    message = f"{where} cannot be bound ({error.strerror or error})"
    return BindProblem("bind_failed", message, "See the system's error.")


def bind_error(protocol: str, address: str, port: int, error: OSError) -> LocalError:
    """The problem as an error that ends a start."""
    problem = bind_problem(protocol, address, port, error)
    return LocalError(problem.code, f"{problem.message}. {problem.remedy}")
