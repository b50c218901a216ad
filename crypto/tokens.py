"""Access tokens: JSON Web Tokens (RFC 7519) signed with HMAC-SHA256 and an API key's secret.

In: claims and a signing key, or a token and the keys that are trusted. Out: a token, or its
verified claims; every way a token can be refused has a code. Must not: interpret grants, read the
clock, or put a token or a claim into an error.
"""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import OctKey

from common.errors import LocalError, RemoteError
from common.redact import Redacted

ALGORITHM: Final = "HS256"  # the only one: "none" and others are refused before any key is used
LEEWAY: Final = 60.0  # seconds by which clocks of issuers may differ, for `nbf` and `exp`
MAX_TOKEN_LENGTH: Final = 64 * 1024  # characters; tokens travel in URLs and headers
MAX_SEGMENT: Final = 1024 * 1024  # bytes of claims: 512 KiB of metadata, attributes, escapes

MAX_TIME: Final = 2**53  # beyond it a float no longer counts seconds

Claims = Mapping[str, object]


class _Registry(jws.JWSRegistry):
    max_payload_length = MAX_SEGMENT


_REGISTRY: Final = _Registry(algorithms=[ALGORITHM], strict_check_header=False)


class SigningKeys:
    """API keys with their secrets; immutable."""

    __slots__ = ("_keys",)

    def __init__(self, secrets: Mapping[str, Redacted[str]]) -> None:
        """`secrets` maps an API key to its secret. Raises LocalError: no_keys, empty_secret."""
        if not secrets:
            raise LocalError("no_keys", "at least one API key is needed")
        self._keys = {name: _import(secret) for name, secret in secrets.items()}

    def __contains__(self, name: object) -> bool:
        return name in self._keys

    def names(self) -> tuple[str, ...]:
        """The API keys, in the order given; the first one signs what the server issues itself."""
        return tuple(self._keys)

    def get(self, name: str) -> OctKey:
        """The key called `name`. Raises RemoteError `token_unknown_key`."""
        key = self._keys.get(name)
        if key is None:
            raise RemoteError("token_unknown_key", "the token's issuer is no known API key")
        return key


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """Claims whose signature and times were checked."""

    issuer: str  # the API key
    expires_at: float  # seconds since the epoch
    claims: Claims


def issue(claims: Claims, keys: SigningKeys, *, issuer: str, expires_at: float, now: float) -> str:
    """Signs `claims` as API key `issuer`; valid from `now` until `expires_at` (wall clock seconds).

    Raises RemoteError `token_unknown_key`, LocalError `token_too_long`.
    """
    body = {**claims, "iss": issuer, "nbf": int(now), "exp": int(expires_at)}
    payload = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    if len(payload) > MAX_SEGMENT:
        raise LocalError("token_too_long", "the claims don't fit into a token")
    header = {"alg": ALGORITHM, "typ": "JWT"}
    return jws.serialize_compact(header, payload, keys.get(issuer), registry=_REGISTRY)


def verify(token: str, keys: SigningKeys, *, now: float) -> VerifiedToken:
    """Checks shape, algorithm, signature and times, in this order.

    `now` is the wall clock in seconds. Raises RemoteError: token_too_long, token_malformed,
    token_algorithm, token_unknown_key, token_signature, token_without_expiry, token_expired,
    token_not_yet_valid.
    """
    if len(token) > MAX_TOKEN_LENGTH:
        raise RemoteError("token_too_long", "the token is too long")
    signed, claims = _parse(token)
    issuer = claims.get("iss")
    if not isinstance(issuer, str):
        raise RemoteError("token_unknown_key", "the token names no issuer")
    key = keys.get(issuer)
    try:
        genuine = jws.validate_compact(signed, key, registry=_REGISTRY)
    except (JoseError, ValueError) as error:
        raise RemoteError("token_signature", "the token's signature is wrong") from error
    if not genuine:
        raise RemoteError("token_signature", "the token's signature is wrong")
    return VerifiedToken(issuer, _check_times(claims, now), claims)


def _parse(token: str) -> tuple[jws.CompactSignature, Claims]:
    """Splits a token; only its algorithm is trusted to have been looked at."""
    try:
        signed = jws.extract_compact(token.encode(), registry=_REGISTRY)
        algorithm = signed.protected.get("alg")
        claims = json.loads(signed.payload)
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise RemoteError("token_malformed", "the token is malformed") from error
    if algorithm != ALGORITHM:
        raise RemoteError("token_algorithm", "tokens must be signed with HS256")
    if not isinstance(claims, dict):
        raise RemoteError("token_malformed", "the token's claims are no object")
    return signed, claims


def _check_times(claims: Claims, now: float) -> float:
    expires_at = _time(claims, "exp")
    if expires_at is None:
        raise RemoteError("token_without_expiry", "the token never expires")
    if now > expires_at + LEEWAY:
        raise RemoteError("token_expired", "the token has expired")
    not_before = _time(claims, "nbf")
    if not_before is not None and now < not_before - LEEWAY:
        raise RemoteError("token_not_yet_valid", "the token is not valid yet")
    return expires_at


def _time(claims: Claims, name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    # A NumericDate (RFC 7519 section 2). Python's JSON also knows booleans as integers, NaN and
    # integers that no float holds.
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < MAX_TIME:
        raise RemoteError("token_malformed", f"the token's {name} is no time")
    return float(value)


def _import(secret: Redacted[str]) -> OctKey:
    value = secret.reveal()
    if not value:
        raise LocalError("empty_secret", "an API key needs a secret")
    with warnings.catch_warnings():
        # Whether a secret is strong enough is the configuration's decision.
        warnings.simplefilter("ignore", SecurityWarning)
        return OctKey.import_key(value)
