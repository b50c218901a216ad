"""One result of a check, with the remedy beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "fault"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check saw. A fault stops calls from working; a warning makes them worse."""

    check: str  # stable snake_case name
    verdict: Verdict
    message: str
    remedy: str = ""


def ok(check: str, message: str) -> Finding:
    """Nothing to mend."""
    return Finding(check, "ok", message)


def warning(check: str, message: str, remedy: str) -> Finding:
    """Works, but worse than it could."""
    return Finding(check, "warning", message, remedy)


def fault(check: str, message: str, remedy: str) -> Finding:
    """Does not work."""
    return Finding(check, "fault", message, remedy)
