"""Roles of those who read the log, as tokens carry them: `{"conclave": {"roles": ["auditor"]}}`. Nothing else."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

CLAIM: Final = "conclave"


class Duty(StrEnum):
    """One role."""

    AUDITOR = "auditor"  # reads entries, which name nobody
    PRIVACY_OFFICER = "privacy_officer"  # opens what is sealed behind them
