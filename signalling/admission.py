"""Every check between a connection request and a participant, the same for upgrade and dry run.

In: a query, headers. Out: a `Ticket`, or RemoteError with a code of `statuses.ADMISSION`. Must not: change rooms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from common.clock import Clock
from common.errors import RemoteError
from common.ids import RoomName
from crypto.tokens import SigningKeys, verify
from sfu.model import PeerSpec, RoomOptions
from signalling import convert
from signalling.facts import check_facts
from signalling.grants import Grants, parse_grants, with_overrides
from signalling.joining import JoinParams, parse_join, parse_query
from signalling.limits import MAX_NAME
from signalling.ports import Rooms

# JS takes this text as "do not try again".
ROOM_UNKNOWN_TEXT: Final = "requested room does not exist"
BEARER: Final = "Bearer "


@dataclass(frozen=True, slots=True)
class Attempt:
    """A connection request as it came."""

    query: bytes
    authorization: str | None
    user_agent: str = ""
    v1: bool = False
    asked_at: float | None = None  # monotonic seconds


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request that passed every check."""

    room: RoomName
    spec: PeerSpec
    options: RoomOptions
    grants: Grants
    params: JoinParams


class Authorizer:
    """Turns a token into grants."""

    def __init__(self, keys: SigningKeys, clock: Clock) -> None:
        """Trusts tokens of `keys`."""
        self.keys = keys
        self._clock = clock

    def grants(self, authorization: str | None, access_token: str = "") -> Grants:
        """Grants of the header's token, else of `access_token`. Raises RemoteError."""
        if authorization is not None:
            if not authorization.startswith(BEARER):
                raise RemoteError("token_malformed", "Authorization is no Bearer token")
            access_token = authorization[len(BEARER) :].strip()
        if not access_token:
            raise RemoteError("token_missing", "no token was given")
        token = verify(access_token, self.keys, now=self._clock.wall())
        return parse_grants(token.claims, issuer=token.issuer, expires_at=token.expires_at)


class Admission:
    """The checks of a join."""

    def __init__(
        self,
        rooms: Rooms,
        authorizer: Authorizer,
        *,
        auto_create: bool = True,
        defaults: RoomOptions | None = None,
    ) -> None:
        """`auto_create` lets the first join create a room, with `defaults`."""
        self._rooms = rooms
        self._authorizer = authorizer
        self._auto_create = auto_create
        self._defaults = defaults or RoomOptions()

    def check(self, attempt: Attempt) -> Ticket:
        """Everything that can be known before the upgrade. Raises RemoteError."""
        query = parse_query(attempt.query)
        grants = self.grants(attempt)
        if not grants.room_join:
            raise RemoteError("join_not_granted", "token lacks roomJoin")
        params = parse_join(query, attempt.user_agent, v1=attempt.v1)
        grants = with_overrides(grants, params.metadata, params.attributes, params.twin)
        _check_names(grants)
        if grants.room_preset:
            raise RemoteError("room_preset_unknown", "no such room preset")
        self._check_room(grants, params)
        options = merged(grants.room_options, self._defaults)
        return Ticket(grants.room, _spec(grants, params, attempt.asked_at), options, grants, params)

    def grants(self, attempt: Attempt) -> Grants:
        """What the token of a request grants. Raises RemoteError."""
        query = parse_query(attempt.query)
        return self._authorizer.grants(attempt.authorization, query.get("access_token", ""))

    def token(self, attempt: Attempt) -> str:
        """The token of a request as it came, "" if there is none."""
        if attempt.authorization is not None:
            return attempt.authorization.removeprefix(BEARER).strip()
        try:
            return parse_query(attempt.query).get("access_token", "")
        except RemoteError:
            return ""

    def _check_room(self, grants: Grants, params: JoinParams) -> None:
        room = self._rooms.rooms.get(grants.room)
        if room is None:
            if not self._auto_create and not params.reconnect:
                raise RemoteError("room_unknown", ROOM_UNKNOWN_TEXT)
            return
        limit = room.options.max_participants
        if not limit or params.reconnect or grants.kind in convert.DEPENDENTS:
            return
        others = [
            peer
            for peer in room.peers.values()
            if peer.kind not in convert.DEPENDENTS and peer.identity != grants.identity
        ]
        if len(others) >= limit:
            raise RemoteError("room_full", "the room is full")


def merged(wanted: RoomOptions | None, base: RoomOptions) -> RoomOptions:
    """`base` with every option that `wanted` sets (0 and empty mean unset)."""
    if wanted is None:
        return base
    return RoomOptions(
        empty_timeout=wanted.empty_timeout or base.empty_timeout,
        departure_timeout=wanted.departure_timeout or base.departure_timeout,
        max_participants=wanted.max_participants or base.max_participants,
        metadata=wanted.metadata or base.metadata,
    )


def _check_names(grants: Grants) -> None:
    if not grants.identity:
        raise RemoteError("identity_missing", "token names no identity")
    if not grants.room:
        raise RemoteError("room_missing", "token names no room")
    if max(len(grants.identity), len(grants.room)) > MAX_NAME:
        raise RemoteError("name_too_long", "identity or room name is too long")
    check_facts(grants.name, grants.metadata, dict(grants.attributes))


def _spec(grants: Grants, params: JoinParams, asked_at: float | None) -> PeerSpec:
    return PeerSpec(
        identity=grants.identity,
        name=grants.name,
        metadata=grants.metadata,
        attributes=grants.attributes,
        kind=grants.kind,
        permissions=grants.permissions,
        client=params.client,
        auto_subscribe=params.auto_subscribe,
        adaptive_stream=params.adaptive_stream,
        single_connection=params.single_connection,
        asked_at=asked_at,
    )
