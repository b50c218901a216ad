"""Where requests to join arrive, an entrance per protocol: rate of an address, checks of admission, the door.

In: requests of sockets and HTTP. Out: tickets, participants, RemoteErrors; what is decided is counted by gate.
Must not: know what a request asks for beyond getting in.
"""

from __future__ import annotations

from starlette.requests import HTTPConnection

from common.errors import RemoteError
from sfu.model import PeerSpec
from sfu.ports import PeerPort, RoomPort
from signalling.addresses import Proxies, rate_key
from signalling.admission import Admission, Attempt, Ticket
from signalling.door import Door
from signalling.grants import Grants
from signalling.hub import Hub
from signalling.limits import JOIN_RATE, Rate
from signalling.rates import KeyedBuckets


def attempt_of(
    connection: HTTPConnection, *, v1: bool = False, now: float | None = None
) -> Attempt:
    """The request as admission reads it; `v1` as its path says, `now` when it came."""
    return Attempt(
        query=connection.scope["query_string"],
        authorization=connection.headers.get("authorization"),
        user_agent=connection.headers.get("user-agent", ""),
        v1=v1,
        asked_at=now,
    )


class Entrance:
    """The way in for one protocol, with a rate of its own."""

    def __init__(
        self,
        hub: Hub,
        admission: Admission,
        proxies: Proxies,
        door: Door,
        *,
        join_rate: Rate = JOIN_RATE,
    ) -> None:
        """`proxies` say whose addresses to believe; whoever comes in comes through `door`."""
        self.hub = hub
        self._admission = admission
        self._proxies = proxies
        self._door = door
        self._rates = KeyedBuckets(join_rate)

    def knock(self, connection: HTTPConnection, *, v1: bool = False) -> Ticket:
        """Everything that a token says about whoever asks. Raises RemoteError; changes nothing."""
        now = self.hub.clock.now()
        with self.hub.deciding("knock"):
            if not self._rates.take(rate_key(self._proxies.client_address(connection.scope)), now):
                raise RemoteError("join_rate_exceeded", "too many joins from this address")
            return self._admission.check(attempt_of(connection, v1=v1, now=now))

    async def admit(self, ticket: Ticket, spec: PeerSpec) -> tuple[RoomPort, PeerPort]:
        """Lets the participant in, if the door does. Raises RemoteError."""
        with self.hub.deciding("admit"):
            return await self._door.admit(ticket, spec)

    async def refuse(self, connection: HTTPConnection, error: RemoteError) -> None:
        """Puts a refusal on record before its client hears of it. Raises RemoteError if that cannot be."""
        await self._door.refuse(attempt_of(connection), error)

    def grants(self, connection: HTTPConnection) -> Grants:
        """What the token of a later request grants. Raises RemoteError."""
        return self._admission.grants(attempt_of(connection))
