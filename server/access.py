"""Tokens that the server or its operator hands out: the claims of a participant or of a server API.

In: who, where, what they may do. Out: a signed token. Must not: read keys from anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from common.clock import Clock
from common.errors import LocalError
from crypto.tokens import SigningKeys, issue
from signalling.v1.duties import CLAIM

DEFAULT_LIFE = 6 * 3600.0  # seconds: a working day's meeting, as LiveKit's server SDKs choose


@dataclass(frozen=True, slots=True)
class AccessSpec:
    """What a token says. Grants that are None are left out, and so keep the wire's defaults."""

    identity: str
    room: str = ""
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    join: bool = True
    admin: bool = False
    create: bool = False
    list_rooms: bool = False
    hidden: bool = False
    can_publish: bool | None = None
    can_subscribe: bool | None = None
    can_publish_data: bool | None = None
    can_update_own_metadata: bool | None = None
    roles: tuple[
        str, ...
    ] = ()  # of `signalling.v1.duties.Duty`: a token that reads the log, and opens no room
    life: float = DEFAULT_LIFE  # seconds


def check_spec(spec: AccessSpec) -> None:
    """That a token makes sense as an operator asks for it. Raises LocalError `arguments`."""
    if not spec.identity or (not spec.room and not spec.roles) or spec.life <= 0:
        raise LocalError(
            "arguments", "room and identity must not be empty, valid-for must be positive"
        )
    if spec.roles and (spec.room or spec.admin or spec.hidden):
        raise LocalError("arguments", "a token either opens a room or has a role")


def make_token(keys: SigningKeys, spec: AccessSpec, clock: Clock, *, issuer: str = "") -> str:
    """A token signed by API key `issuer` (the first one if empty)."""
    grants = {
        "room": spec.room or None,
        "roomJoin": spec.join or None,
        "roomAdmin": spec.admin or None,
        "roomCreate": spec.create or None,
        "roomList": spec.list_rooms or None,
        "hidden": spec.hidden or None,
        "canPublish": spec.can_publish,
        "canSubscribe": spec.can_subscribe,
        "canPublishData": spec.can_publish_data,
        "canUpdateOwnMetadata": spec.can_update_own_metadata,
    }
    claims: dict[str, object] = {
        "sub": spec.identity,
        "video": {grant: value for grant, value in grants.items() if value is not None},
    }
    for claim in ("name", "metadata", "attributes"):
        value = getattr(spec, claim)
        if value:
            claims[claim] = dict(value) if claim == "attributes" else value
    if spec.roles:
        claims[CLAIM] = {"roles": list(spec.roles)}
    now = clock.wall()
    return issue(
        claims, keys, issuer=issuer or keys.names()[0], expires_at=now + spec.life, now=now
    )
