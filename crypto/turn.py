"""Credentials for TURN servers that end by themselves, as coturn's `use-auth-secret` understands them.

In: the secret shared with the TURN server, whom they are for, when they end. Out: user name and password of
RFC 8489's long-term mechanism. Must not: let the name say anything about a person; the TURN server logs it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final

from common.redact import Redacted

SUBJECT_LENGTH: Final = (
    12  # bytes of a keyed hash: no two sessions of a node ever share one by chance
)


@dataclass(frozen=True, slots=True)
class TurnCredential:
    """What a client shows to the TURN server."""

    username: str  # `expiry:subject`, expiry in seconds since the epoch
    password: str = field(repr=False)


def turn_credential(secret: Redacted[str], subject: str, *, expires_at: int) -> TurnCredential:
    """Opens the TURN server until `expires_at` (seconds since the epoch).

    The password is base64(HMAC-SHA1(secret, username)) as draft-uberti-behave-turn-rest-00 section 2.2 has it.
    `subject` is hashed under the secret, so that logs of the TURN server cannot be joined with other records.
    """
    key = secret.reveal().encode()
    hidden = hmac.digest(key, b"turn subject\x00" + subject.encode(), hashlib.sha256)
    username = f"{expires_at}:{hidden[:SUBJECT_LENGTH].hex()}"
    password = base64.b64encode(hmac.digest(key, username.encode(), hashlib.sha1)).decode()
    return TurnCredential(username, password)
