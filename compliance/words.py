"""The vocabulary of audit events: identifiers that cannot carry personal data, roles, gates, decisions.

In: text from other packages. Out: checked values, or LocalError `event_invalid`. Must not: let free text through.
Names, addresses and messages belong into the vault; what stands in an event is an identifier, a number or a code.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, NewType

from common.errors import LocalError

Pseudonym = NewType("Pseudonym", str)  # `p_` and 32 hexadecimal digits; see crypto.pseudonyms
VaultRef = NewType("VaultRef", str)  # `v_` and 32 hexadecimal digits: a sealed record in the vault
TenantId = NewType("TenantId", str)

NOBODY: Final = Pseudonym("")  # nobody in particular
NO_TENANT: Final = TenantId("")

MAX_IDENTIFIER = 128  # characters; the longest we write is a hash with its name, 71
MAX_NUMBER = 2**53 - 1  # beyond it JSON numbers are no longer exact (RFC 8785 section 3.2.2.3)
MAX_ITEMS = 64  # of a list in an event; a participant publishes fewer tracks

# No space and no "@": neither a sentence nor a mail address passes.
IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+\-]{0,127}")
PSEUDONYM = re.compile(r"p_[0-9a-f]{32}")
VAULT_REF = re.compile(r"v_[0-9a-f]{32}")
COMMITMENT = re.compile(r"[0-9a-f]{64}")
_ADDRESS = re.compile(
    r"(\d{1,3}\.){3}\d{1,3}([:/]\d+)?"
    r"|[0-9A-Fa-f:.]*::[0-9A-Fa-f:.]*(/\d+)?"
    r"|([0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}(/\d+)?"
)


class Role(StrEnum):
    """In what capacity somebody acts."""

    SYSTEM = "system"  # the server by itself
    OPERATOR = "operator"  # runs the machines
    API = "api"  # the tenant's own software, with an API key
    MODERATOR = "moderator"
    PARTICIPANT = "participant"
    AGENT = "agent"  # software that takes part
    RECORDER = "recorder"
    AUDITOR = "auditor"


class Gate(StrEnum):
    """Where a decision was taken; `docs/architecture.md` lists what each gate asks."""

    NONE = ""
    SCHEDULE = "schedule"
    KNOCK = "knock"
    ADMIT = "admit"
    KEY = "key"
    RECORD = "record"
    CHANGE = "change"
    END = "end"
    AFTERLIFE = "afterlife"


class Decision(StrEnum):
    """What a gate said."""

    NONE = ""
    GRANTED = "granted"
    REFUSED = "refused"


def invalid(message: str) -> LocalError:
    """The error for a value that must not stand in an event."""
    return LocalError("event_invalid", message)


def check_identifier(field: str, value: object) -> None:
    """Refuses whatever is no plain identifier or looks like a network address; "" means absent."""
    if value == "":
        return
    if not isinstance(value, str) or not IDENTIFIER.fullmatch(value):
        raise invalid(f"{field} is no identifier")
    if _ADDRESS.fullmatch(value):
        raise invalid(f"{field} looks like a network address")


def check_number(field: str, value: object) -> None:
    """Refuses what JSON cannot carry exactly."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_NUMBER:
        raise invalid(f"{field} is no count")


def check_pseudonym(field: str, value: object) -> None:
    """Refuses what names a person in any other way; "" means absent."""
    if value != "" and not (isinstance(value, str) and PSEUDONYM.fullmatch(value)):
        raise invalid(f"{field} is no pseudonym")


def check_value(field: str, value: object) -> None:
    """Refuses what is no identifier, count, boolean or bounded tuple of identifiers."""
    if isinstance(value, bool):
        return
    if isinstance(value, str):
        check_identifier(field, value)
    elif isinstance(value, tuple):
        if len(value) > MAX_ITEMS:
            raise invalid(f"{field} has too many items")
        for item in value:
            check_identifier(field, item)
    else:
        check_number(field, value)
