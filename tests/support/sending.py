"""A trail before any connection, events for it, and what stands in the entries that it makes of them."""

from __future__ import annotations

from compliance.envelope import Source, decode
from compliance.events import CustomRecorded
from compliance.trail import FailMode, Limits, Trail
from tests.support.audit import SYSTEM

SOURCE = Source("pop-1", "eu", "server", "5f3a")
EVENT = CustomRecorded(actor=SYSTEM, name="x")
NOTE = CustomRecorded(actor=SYSTEM, name="note")
WALL = 1_700_000_000.0


def sequences(entries: tuple[bytes, ...]) -> list[int]:
    return [decode(entry).sequence for entry in entries]


def names(entries: tuple[bytes, ...]) -> list[str]:
    events = [decode(entry).event for entry in entries]
    return [each.name if isinstance(each, CustomRecorded) else each.kind for each in events]


def trail(mode: FailMode = FailMode.REFUSE, spooled: int | None = None) -> Trail:
    """Mode SPOOL has a spool, mode REFUSE only if it is told how much is in it."""
    if mode is FailMode.SPOOL:
        spooled = spooled or 0
    return Trail(SOURCE, mode, limits=Limits(timeout=2.0, spool_after=0.25), spooled=spooled)


def connected(mode: FailMode = FailMode.REFUSE, spooled: int | None = None) -> Trail:
    made = trail(mode, spooled)
    made.handle_connected(now=0.0)
    return made
