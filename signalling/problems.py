"""Refusals of the HTTP interfaces as problem details (RFC 9457): a status, a stable code, a sentence.

In: RemoteErrors. Out: responses. Must not: decide what is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from common.errors import RemoteError
from signalling.statuses import ADMISSION, REFUSED_BY_POLICY

MEDIA_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 1  # short: whoever is sent away finds another node, or this one restarted
STATUS: Final[Mapping[str, int]] = {
    **ADMISSION,
    "subscribe_not_granted": 403,
    "room_not_granted": 403,
    "session_of_another": 403,
    "session_unknown": 404,
    # requests
    "method_not_allowed": 405,
    "content_type": 415,
    "body_too_long": 413,
    # descriptions
    "sdp_malformed": 400,
    "sdp_limits": 400,
    "sdp_profile": 422,
    "sdp_no_fingerprint": 422,
    "sdp_direction": 422,
    "sdp_not_bundled": 422,
    "sdp_section": 422,
    "codec_unsupported": 422,
    "too_many_tracks": 422,
    "too_many_streams": 422,
    "nothing_offered": 422,
    "not_allowed": 403,
    "answer_unexpected": 409,
    "offer_expired": 410,
    # viewers
    "not_live": 409,
    "wish_malformed": 400,
    "event_unknown": 400,
    "section_unknown": 422,
    "layer_unknown": 422,
    "stream_unknown": 404,
    # sessions
    "precondition_required": 428,
    "precondition_failed": 412,
    "connection_failed": 409,
    # reading the audit log
    "auditor_required": 403,
    "privacy_officer_required": 403,
    "role_mixed": 403,
    "purpose_missing": 400,
    "purpose_malformed": 400,
    "kind_unknown": 400,
    "span_too_long": 400,
    "identity_unknown": 404,
    "entry_unknown": 404,
    "private_absent": 404,
    "vault_erased": 410,
    "vault_mismatch": 500,
    "seal_broken": 500,
    "log_unreadable": 500,
    "index_behind": 503,
    "index_damaged": 503,
    "query_overloaded": 503,
    "too_many_readers": 503,
    "api_rate_exceeded": 429,
}


def problem(error: RemoteError, headers: Mapping[str, str] | None = None) -> Response:
    """The response to a refused request."""
    status = STATUS.get(error.code, REFUSED_BY_POLICY)
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": error.message,
        "code": error.code,
    }
    more = dict(headers or {})
    if status == 401:
        more["WWW-Authenticate"] = "Bearer"
    if status in (429, 503) or error.code == "not_live":
        more["Retry-After"] = str(RETRY_SECONDS)
    return Response(json.dumps(body), status, headers=more, media_type=MEDIA_TYPE)
