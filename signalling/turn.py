"""TURN servers for clients that cannot reach the media ports: their URLs, and credentials made for each answer.

In: URLs and the shared secret. Out: `IceServer` values, fresh whenever a client joins, resumes or restarts ICE.
Must not: talk to a TURN server; clients do that, and `conclave doctor`.
"""

from __future__ import annotations

from collections.abc import Sequence

from common.clock import Clock
from common.redact import Redacted
from crypto.turn import turn_credential
from sfu.ports import PeerPort
from signalling.messages import IceServer


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
