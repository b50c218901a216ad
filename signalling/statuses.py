"""HTTP statuses of what admission refuses, by code, for every way into a room that has no other for it."""

from collections.abc import Mapping
from typing import Final

REFUSED_BY_POLICY: Final = 403  # a code that no table lists: a gate said no
ADMISSION: Final[Mapping[str, int]] = {
    # who asks
    "token_missing": 401,
    "token_too_long": 401,
    "token_malformed": 401,
    "token_algorithm": 401,
    "token_unknown_key": 401,
    "token_signature": 401,
    "token_without_expiry": 401,
    "token_expired": 401,
    "token_not_yet_valid": 401,
    "grants_malformed": 401,
    "join_not_granted": 403,
    "metadata_not_granted": 403,
    "publish_not_granted": 403,
    # what is asked for
    "query_malformed": 400,
    "attributes_malformed": 400,
    "identity_missing": 400,
    "room_missing": 400,
    "name_too_long": 400,
    "limit_exceeded": 400,
    "room_preset_unknown": 400,
    "room_unknown": 404,
    # load
    "join_rate_exceeded": 429,
    "room_full": 503,
    "draining": 503,
    "room_ended": 503,
    # the audit log: nothing happens that is not on record
    "audit_unavailable": 503,
    "audit_timeout": 503,
    "audit_refused": 503,
}
