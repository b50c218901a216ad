"""One result of a check, with the remedy beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "fault"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check saw. A fault stops calls from working; a warning makes them worse."""

    check: str  # stable snake_case name of what was looked at
    verdict: Verdict
    message: str
    remedy: str = ""
    code: str = ""  # stable snake_case name of what is wrong; docs/operators/network.md lists them


def ok(check: str, message: str) -> Finding:
    """Nothing to mend."""
    return Finding(check, "ok", message)


def warning(check: str, code: str, message: str, remedy: str) -> Finding:
    """Works, but worse than it could."""
    return Finding(check, "warning", message, remedy, code)


def fault(check: str, code: str, message: str, remedy: str) -> Finding:
    """Does not work."""
    return Finding(check, "fault", message, remedy, code)
