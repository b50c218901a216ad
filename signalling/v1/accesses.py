"""Finds who saw what the log holds about a person, by asking each reading's question again for that person.

In: the person's pseudonyms, a place to begin. Out: a page of accesses, all of one tree. Must not: work without
bound for one request; a reading that cannot be judged within it is told as one that may have shown something.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from compliance.accesses import READINGS, Access, Reading
from compliance.envelope import decode
from compliance.questions import Answer, Filter, Question
from signalling.v1.ports import Log

MAX_READINGS: Final = 64  # judged for one request; each is a question of some milliseconds
MAX_LOOKS: Final = 4  # pages of entries about the person that are compared with one reading
_LOOK: Final = 64  # entries of such a page; mostly the first one tells


@dataclass(frozen=True, slots=True)
class Accesses:
    """A page."""

    found: Sequence[Access]
    answer: Answer  # that the readings came with: where the next page begins, the checkpoint


async def find(log: Log, meant: Filter, start: int, limit: int) -> Accesses:
    """Accesses to what names `meant.subject`, among readings of the filter's time. Raises RemoteError."""
    wanted = Filter(kind=READINGS, since=meant.since, until=meant.until)
    answer = await log.ask(Question(wanted, start, limit=min(limit, MAX_READINGS)))
    found = []
    for each in answer.found:
        reading = Reading.of(each.index, decode(each.entry))
        if reading is None:
            continue
        access = reading.opened(meant.subject)
        if access is None:
            access = await _shown(log, reading, meant.subject, answer.size)
        if access is not None:
            found.append(access)
    return Accesses(found, answer)


async def _shown(log: Log, reading: Reading, subjects: Sequence[str], size: int) -> Access | None:
    question, start, end = reading.question(subjects), reading.first, min(reading.end, size)
    for _ in range(MAX_LOOKS):
        answer = await log.ask(Question(question, start, limit=_LOOK, size=size))
        for each in answer.found:
            access = reading.showed(each.index, each.entry, subjects)
            if access is not None:
                return access
        start = answer.next
        if not answer.more or start >= end:
            return None
    return reading.undecided(start)
