"""Who saw what the log holds about a person: readings that are on record, and which entries each of them showed.

In: entries that put a reading on record; entries that name the person. Out: `Access`es. Must not: take a reading
about somebody else for one about the person, or pass over one because it named nobody: a whole export shows
everybody. What a reading asked for goes on record as `facts_of` writes it, so that it can be asked again.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final, Self

from common.errors import RemoteError
from compliance.canonical import parse_object
from compliance.envelope import Record, format_time
from compliance.events import Extra, LogExported, LogRead, VaultRead
from compliance.questions import TERM_FIELDS, Filter, terms_of, time_of
from compliance.words import MAX_NUMBER

READINGS: Final = (LogRead.kind, LogExported.kind, VaultRead.kind)
MAX_NAMED: Final = (
    5  # alternatives of a field that go on record one by one; an entry has 32 such facts
)
FOLLOWING: Final = 3_600_000_000  # microseconds; who follows for longer is put on record again
_PREFIX: Final = "filter."
_NAMED: Final = frozenset({"room", "role", "kind", "source"})  # whose alternatives link no people


def facts_of(meant: Filter, *, one_person: bool = False) -> dict[str, str | int | bool]:
    """A filter as an entry holds it: a value, or how many there were, then each if that links nobody's names.

    `one_person` says that all pseudonyms of the filter are those of one identity.
    """
    facts: dict[str, str | int | bool] = {}
    for name, values in meant.terms:
        facts[_PREFIX + name] = values[0] if len(values) == 1 else len(values)
        if name in _NAMED and 1 < len(values) <= MAX_NAMED:
            facts |= {f"{_PREFIX}{name}.{place}": each for place, each in enumerate(values)}
    if meant.since:
        facts[_PREFIX + "from"] = meant.since
    if meant.until < MAX_NUMBER:
        facts[_PREFIX + "to"] = meant.until
    if one_person and len(meant.subject) > 1:
        facts[_PREFIX + "identity"] = True
    return facts


@dataclass(frozen=True, slots=True)
class Access:
    """Somebody saw something about a person. Names nobody but whoever read."""

    index: int  # of the entry that puts it on record
    time: int  # microseconds since the epoch
    kind: str
    role: str
    reader: str  # pseudonym
    key: str  # API key that signed the reader's token
    purpose: str
    shown: int  # index of the first entry about the person that was shown, or opened
    certain: bool  # False: what was asked for included it, but it may not have been sent

    def document(self) -> dict[str, object]:
        """As JSON has it."""
        return {
            "index": self.index, "time": format_time(self.time), "kind": self.kind,
            "role": self.role, "reader": self.reader, "key": self.key, "purpose": self.purpose,
            "shown": self.shown, "certain": self.certain,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reading:
    """What somebody looked at, as far as an entry says it."""

    index: int
    record: Record
    first: int
    end: int
    filter: Filter  # without its people
    whole: bool  # whether that is all that narrowed the answer
    several: bool  # whether other people than `on.subject` were asked about as well

    @classmethod
    def of(cls, index: int, record: Record) -> Self | None:
        """The reading that an entry puts on record, if it does."""
        event = record.event
        if isinstance(event, VaultRead):
            opened = event.extra.get("index", 0)
            first = opened if isinstance(opened, int) else 0
            return cls(index, record, first, first + 1, Filter(), whole=True, several=False)
        if not isinstance(event, LogRead | LogExported):
            return None
        meant, whole = _filter_of(event.extra)
        people = event.extra.get(_PREFIX + "subject", "")
        several = isinstance(people, int) and not event.extra.get(_PREFIX + "identity", False)
        return cls(index, record, event.first, event.end, meant, whole, several)

    def opened(self, subjects: Collection[str]) -> Access | None:
        """The access of somebody who opened what is sealed about a person."""
        event = self.record.event
        if not isinstance(event, VaultRead) or event.on.subject not in subjects:
            return None
        return self._access(self.first, certain=True)

    def question(self, subjects: Collection[str]) -> Filter:
        """Which entries from `first` on, and below `end`, may have shown a person."""
        until = self.filter.until
        if self.end == MAX_NUMBER:
            until = min(until, self.record.time + FOLLOWING)
        return replace(self.filter, subject=tuple(subjects), until=until)

    def showed(self, index: int, entry: bytes, subjects: Collection[str]) -> Access | None:
        """The access to an entry that fits `question`, unless the reading was about somebody else."""
        about = self.record.event.on.subject
        if not self.first <= index < self.end or self.record.event.kind == VaultRead.kind:
            return None
        document = parse_object(entry)
        asked = not about or about in subjects or ("subject", about) in terms_of(document)
        if not asked and not self.several:
            return None
        sent = self.end < MAX_NUMBER or time_of(document) < self.record.time
        return self._access(index, certain=asked and self.whole and sent)

    def undecided(self, index: int) -> Access:
        """The access that there may have been from an entry on."""
        return self._access(index, certain=False)

    def _access(self, shown: int, *, certain: bool) -> Access:
        event = self.record.event
        return Access(
            index=self.index, time=self.record.time, kind=event.kind, role=event.actor.role.value,
            reader=event.actor.subject, key=event.actor.key,
            purpose=str(getattr(event, "purpose", "")), shown=shown, certain=certain,
        )  # fmt: skip


def _filter_of(extra: Extra) -> tuple[Filter, bool]:
    """What `facts_of` wrote, without people, and whether that is all of it."""
    meant: dict[str, tuple[str, ...]] = {}
    whole = True
    for name in TERM_FIELDS:
        value = extra.get(_PREFIX + name, "")
        places = range(value if isinstance(value, int) else 0)
        several = [extra.get(f"{_PREFIX}{name}.{place}", "") for place in places[:MAX_NAMED]]
        if name == "subject" or value == "":
            continue
        if isinstance(value, str):
            meant[name] = (value,)
        elif len(places) == len(several) and all(several):
            meant[name] = tuple(map(str, several))
        else:
            whole = False
    since, until = (extra.get(_PREFIX + name, None) for name in ("from", "to"))
    try:
        return Filter(
            **meant,
            since=since if isinstance(since, int) else 0,
            until=until if isinstance(until, int) else MAX_NUMBER,
        ), whole
    except RemoteError:  # an entry that another version wrote
        return Filter(), False
