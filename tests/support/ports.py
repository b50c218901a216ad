"""Ports that a test may close and open again meanwhile: the kernel gives none of them to anybody by itself."""

import itertools
import os
import socket

# Below those that the kernel gives to whoever asks for any (`net.ipv4.ip_local_port_range` begins at 32768).
FIRST, LAST = 20_000, 32_000
BLOCK = 100  # ports from which one process begins to look; those of the next one begin behind them

_next = itertools.count(os.getpid() * BLOCK)


def free_port() -> int:
    """A port of the loopback device that nobody uses, by TCP nor UDP, and that no test asks for again."""
    numbers = (FIRST + number % (LAST - FIRST) for number in _next)
    return next(number for number in numbers if _is_free(number))


def two_free_ports() -> int:
    """The first of two such ports that follow each other."""
    one, other = free_port(), free_port()
    while other != one + 1:
        one, other = other, free_port()
    return one


def _is_free(port: int) -> bool:
    try:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as probe:
                probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True
