"""Messages that are understood but not acted upon."""

from __future__ import annotations

from livekit.protocol import rtc

from common.errors import RemoteError
from signalling.handlers.ports import SessionPort
from signalling.wire import kind_of


def ignore(session: SessionPort, request: rtc.SignalRequest, now: float) -> None:
    """Deprecated, or of a newer protocol: counted, nothing else."""
    session.refuse(f"{kind_of(request)}_ignored")


def not_supported(session: SessionPort, request: rtc.SignalRequest, now: float) -> None:
    """Refused promptly, so that nobody waits for it."""
    raise RemoteError("not_allowed", f"{kind_of(request)} is not supported")
