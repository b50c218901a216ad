"""The kinds of events with their own fields, and the words that stand in entries: tables only.

Written from docs/audit-format.md. Types of fields: `s` identifier, `n` count, `b` true or false, `l` list of
identifiers.
"""

from __future__ import annotations

from typing import Final

KINDS: Final[dict[str, dict[str, str]]] = {
    "server_started": {"version": "s", "configuration": "s"},
    "server_stopped": {},
    "configuration_applied": {"configuration": "s"},
    "key_used": {"key": "s", "purpose": "s"},
    "room_created": {},
    "room_changed": {"facts": "l"},
    "room_ended": {"seconds": "n", "participants": "n"},
    "admission_granted": {"rights": "l", "identity_level": "s"},
    "admission_refused": {},
    "participant_left": {"seconds": "n"},
    "track_published": {"medium": "s", "purpose": "s", "end_to_end_encrypted": "b"},
    "track_unpublished": {"seconds": "n"},
    "subscription_permission_changed": {"everyone": "b", "allowed": "l"},
    "subscriptions_updated": {"subscribed": "b", "tracks": "l"},
    "track_muted": {"muted": "b"},
    "participant_updated": {"facts": "l", "granted": "l", "withdrawn": "l"},
    "participant_removed": {},
    "token_issued": {"token": "s", "expires": "n"},
    "token_refused": {"token": "s"},
    "token_revoked": {"token": "s"},
    "log_read": {"first": "n", "end": "n", "purpose": "s"},
    "log_exported": {"first": "n", "end": "n", "purpose": "s", "format": "s"},
    "vault_read": {"purpose": "s"},
    "subject_erased": {},
    "act_abandoned": {"sequence": "n"},
    "entry_corrected": {"index": "n"},
    "custom_recorded": {"name": "s"},
}

# What begins and what ends it, with the member of `on` that names it.
OPENS: Final = {"room_created": "room", "admission_granted": "peer", "track_published": "track"}
CLOSES: Final = {"room_ended": "room", "participant_left": "peer", "track_unpublished": "track"}
STARTED: Final = "server_started"
STOPPED: Final = "server_stopped"
ABANDONED: Final = "act_abandoned"

ROLES: Final = frozenset(
    ("system", "operator", "api", "moderator", "participant", "agent", "recorder", "auditor")
)
GATES: Final = frozenset(
    ("schedule", "knock", "admit", "key", "record", "change", "end", "afterlife")
)
DECISIONS: Final = frozenset(("granted", "refused"))
