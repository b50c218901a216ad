"""Events that have no number yet: acts with somebody waiting, notes with nobody. Pure.

In: events as they come. Out: the same, in that order; where acts have to wait, the notes among them go ahead.
Must not: know of numbers, connections or disks.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from compliance.events import Event


@dataclass(slots=True)
class Waiting:
    """An event on its way."""

    ticket: int  # 0: nobody waits
    event: Event
    time: int  # microseconds since the epoch
    since: float
    deadline: float  # infinite for notes
    place: int = 0  # given by the queue


class Queue:
    """Acts and notes in the order in which they came."""

    def __init__(self) -> None:
        """Nothing waits."""
        self._acts: deque[Waiting] = deque()
        self._notes: deque[Waiting] = deque()
        self._place = 0

    def __len__(self) -> int:
        return len(self._acts) + len(self._notes)

    @property
    def acts(self) -> int:
        """Acts that wait."""
        return len(self._acts)

    @property
    def notes(self) -> int:
        """Notes that wait."""
        return len(self._notes)

    def add(self, waiting: Waiting) -> None:
        """Takes an event; deadlines of acts never fall."""
        self._place += 1
        waiting.place = self._place
        (self._acts if waiting.ticket else self._notes).append(waiting)

    def take(self, *, notes_only: bool) -> Waiting | None:
        """The next event, removed."""
        acts, notes = self._acts, self._notes
        if acts and not notes_only and (not notes or acts[0].place < notes[0].place):
            return acts.popleft()
        return notes.popleft() if notes else None

    def expire(self, now: float) -> list[Waiting]:
        """Acts that have waited for long enough, removed."""
        expired = []
        while self._acts and self._acts[0].deadline <= now:
            expired.append(self._acts.popleft())
        return expired

    def oldest(self, *, notes_only: bool) -> float:
        """Since when the first has waited; infinity if none does."""
        queues = (self._notes,) if notes_only else (self._acts, self._notes)
        return min((queue[0].since for queue in queues if queue), default=math.inf)
