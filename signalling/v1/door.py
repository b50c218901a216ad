"""Who may read the log: roles in the token's claim `conclave`, one refusal for each way not to have them.

In: requests. Out: a `Reader`, or RemoteError. Must not: let a token in that also opens rooms, for whoever takes
part or moderates does not look into the evidence about it; or keep quiet about a token that tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from common.errors import RemoteError
from signalling.acts import identifier
from signalling.addresses import rate_key
from signalling.admission import BEARER
from signalling.grants import Grants
from signalling.limits import MAX_NAME
from signalling.rates import KeyedBuckets
from signalling.v1.duties import CLAIM, Duty
from signalling.v1.ports import Reading

_MISSING: Final[Mapping[Duty, str]] = {
    Duty.AUDITOR: "auditor_required",
    Duty.PRIVACY_OFFICER: "privacy_officer_required",
}


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who may read."""

    identity: str
    key: str  # the API key that signed the token, as an identifier
    expires_at: float  # seconds since the epoch


class Door:
    """The check before every answer."""

    def __init__(self, reading: Reading) -> None:
        """Counts requests by address."""
        self._reading = reading
        self._rates = KeyedBuckets(reading.rate)

    def slow_down(self, request: Request) -> None:
        """Raises RemoteError `api_rate_exceeded`."""
        address = rate_key(self._reading.proxies.client_address(request.scope))
        if not self._rates.take(address, self._reading.clock.now()):
            raise RemoteError("api_rate_exceeded", "too many requests from this address")

    def grants(self, request: Request) -> Grants:
        """Of the token in the header; URLs are written down in too many places. Raises RemoteError."""
        return self._reading.authorizer.grants(request.headers.get("authorization"))

    def admit(self, request: Request, duty: Duty) -> Reader:
        """Whoever asks, if the token has the role.

        Raises RemoteError: api_rate_exceeded, token_..., grants_malformed, role_mixed, auditor_required,
        privacy_officer_required, identity_missing, name_too_long.
        """
        self.slow_down(request)
        try:
            grants = self.grants(request)
            _check(grants, duty)
        except RemoteError as error:
            if error.code != "token_missing":
                self._reading.token_refused(_token(request), error.code)
            raise
        return Reader(grants.identity, identifier(grants.issuer), grants.expires_at)


def roles_of(grants: Grants) -> frozenset[str]:
    """Roles in the token's claim. Raises RemoteError `grants_malformed`."""
    claim = grants.claims.get(CLAIM)
    if claim is None:
        return frozenset()
    roles = claim.get("roles", []) if isinstance(claim, dict) else None
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise RemoteError("grants_malformed", f"claim {CLAIM} has the wrong type")
    return frozenset(roles)


def _token(request: Request) -> str:
    return (request.headers.get("authorization") or "").removeprefix(BEARER).strip()


def _check(grants: Grants, duty: Duty) -> None:
    if duty not in roles_of(grants):
        raise RemoteError(_MISSING[duty], f"the token lacks the role {duty}")
    video = grants.claims.get("video")
    if isinstance(video, dict) and any(video.values()):
        raise RemoteError("role_mixed", "a token that opens rooms does not open the log")
    if not grants.identity:
        raise RemoteError("identity_missing", "the token does not say who reads")
    if len(grants.identity) > MAX_NAME:
        raise RemoteError("name_too_long", "the identity is too long")
