"""Unix sockets that processes of this machine connect to.

In: a path, a mode. Out: a listening socket; the user behind a connection. Must not: take a socket away from a
process that lives.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from pathlib import Path
from typing import Final

from common.errors import LocalError

OWNER_ONLY: Final = 0o600
EVERYBODY: Final = 0o666  # may connect; the kernel then says who it is, and who may not is let go
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid; see unix(7)


async def listen(path: Path, users: frozenset[int]) -> socket.socket:
    """A socket for processes of `users`, in place of one that a dead process left.

    Raises LocalError `socket_in_use`, OSError.
    """
    if await _answers(path):
        raise LocalError("socket_in_use", f"another process listens on {path}")
    return _bind(path, users)


def _bind(path: Path, users: frozenset[int]) -> socket.socket:
    path.unlink(missing_ok=True)
    mode = OWNER_ONLY if users <= {os.getuid()} else EVERYBODY
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~mode)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    return listener


def user_of(writer: asyncio.StreamWriter) -> int:
    """The numeric user id of the process at the other end, as the kernel vouches."""
    peer = writer.get_extra_info("socket")
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(raw)
    return int(user)


async def _answers(path: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True
