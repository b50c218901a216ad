"""Whether anything is missing: sequences of sources, and that what begins also ends.

In: headings in the order of the log, digested chunk by chunk (`Digest`, which may happen in several processes) and
put together in order (`Story`). Out: findings, and what is still open. Must not: depend on where chunks begin, or
grow without bound on a hostile log.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from verifier.entries import Heading
from verifier.kinds import ABANDONED, CLOSES, OPENS, STARTED, STOPPED
from verifier.report import Finding, Place

MAX_SOURCES: Final = 200_000  # runs of processes in one log; 300 bytes each
MAX_OPEN: Final = 1_000_000  # rooms, participants and tracks at one time; 300 bytes each
MAX_RECENT: Final = (
    65_536  # ends that may still turn out to be given up; that is told within seconds
)
MAX_FINDINGS: Final = 2_000  # kept of a chunk; more are counted

OPEN, CLOSE, PAIR, ABANDON = "open", "close", "pair", "abandon"

Key = tuple[str, str, str]  # source, what (room, peer, track), identifier
Thing = tuple[str, str]  # what (room, peer, track) and its identifier
Beginning = tuple[int, int]  # sequence number and index of the entry
Mark = tuple[
    str, Key, int, int, int
]  # what, to whom, sequence number, index; number of a pair's end


@dataclass(slots=True)
class Run:
    """Entries of one source whose numbers follow each other."""

    source: str
    started: bool  # begins with the event that a source starts with
    first: int
    last: int
    index: int  # of the first entry
    last_index: int
    time: str
    last_time: str
    stopped: bool = False


@dataclass(slots=True)
class Digest:
    """What a chunk means for the order of the whole."""

    runs: list[Run] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    dropped: int = 0  # findings beyond the bound
    _current: dict[str, Run] = field(default_factory=dict)
    _pending: dict[Key, Beginning] = field(default_factory=dict)

    def take(self, index: int, heading: Heading) -> None:
        """Adds the next readable entry."""
        source, sequence, kind, time, on, abandons = heading
        run = self._current.get(source)
        if run is None or sequence != run.last + 1 or kind == STARTED or run.stopped:
            run = Run(source, kind == STARTED, sequence, sequence, index, index, time, time)
            self._current[source] = run
            self.runs.append(run)
        else:
            if time < run.last_time:
                self.find(_backwards(source, index))
            run.last, run.last_index, run.last_time = sequence, index, time
        if kind == STOPPED:
            run.stopped = True
        elif kind in OPENS:
            self._open((source, OPENS[kind], on.get(OPENS[kind], "")), sequence, index)
        elif kind in CLOSES:
            self._close((source, CLOSES[kind], on.get(CLOSES[kind], "")), sequence, index)
        elif kind == ABANDONED:
            self._abandon(source, abandons, index)

    def unreadable(self, index: int, problem: str) -> None:
        """An entry whose meaning is not known."""
        self.find(
            Finding("entry_unreadable", f"the entry says nothing: {problem}", {"entry": index})
        )

    def find(self, finding: Finding) -> None:
        """Adds a finding."""
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)
        else:
            self.dropped += 1

    def close(self) -> Digest:
        """Ends the chunk."""
        self.marks += [(OPEN, key, *place, 0) for key, place in self._pending.items()]
        self._pending, self._current = {}, {}
        return self

    def _open(self, key: Key, sequence: int, index: int) -> None:
        before = self._pending.pop(key, None)
        if before is not None:
            self.marks.append((OPEN, key, *before, 0))
        self._pending[key] = (sequence, index)

    def _close(self, key: Key, sequence: int, index: int) -> None:
        before = self._pending.pop(key, None)
        if before is None:
            self.marks.append((CLOSE, key, sequence, index, 0))
        else:
            self.marks.append((PAIR, key, *before, sequence))

    def _abandon(self, source: str, sequence: int, index: int) -> None:
        for key, place in self._pending.items():
            if key[0] == source and place[0] == sequence:
                del self._pending[key]
                self.marks.append((PAIR, key, *place, 0))
                return
        self.marks.append((ABANDON, (source, "", ""), sequence, index, 0))


@dataclass(slots=True)
class Source:
    """A run of a process, as far as the log has it."""

    name: str
    last: int
    last_index: int
    last_time: str
    announced: bool  # its beginning is within what was looked at
    stopped: bool = False
    events_after: bool = False
    open: dict[Thing, Beginning] = field(default_factory=dict)

    @property
    def process(self) -> str:
        """What stays the same when a process starts again."""
        return self.name.rpartition("/")[0]


class Story:
    """The whole log, or a range of it."""

    def __init__(self, *, whole: bool) -> None:
        """`whole`: nothing came before; in a range, beginnings may lie outside."""
        self._whole = whole
        self._sources: dict[str, Source] = {}
        self._started: dict[str, int] = {}  # process -> index at which its last source began
        self._opened = 0
        self._recent: OrderedDict[tuple[str, int], tuple[Thing, Beginning]] = OrderedDict()
        self.lost = False  # beyond a bound
        self.findings: list[Finding] = []
        self.dropped = 0

    def add(self, digest: Digest) -> None:
        """Adds the next chunk."""
        self.findings += digest.findings
        self.dropped += digest.dropped
        for run in digest.runs:
            self._run(run)
        for mark in digest.marks:
            self._mark(*mark)
        if len(self.findings) > MAX_FINDINGS:
            self.dropped += len(self.findings) - MAX_FINDINGS
            del self.findings[MAX_FINDINGS:]

    def end(self) -> list[dict[str, Place]]:
        """Judges what never ended; returns the sources that are still open."""
        still = []
        for source in self._sources.values():
            successor = self._started.get(source.process, -1)
            if source.stopped:
                for (what, name), (_, index) in source.open.items():
                    self._find("never_ended", f"the {what} {name} never ended", index, source.name)
            elif successor > source.last_index:
                what = "nothing" if not source.open else f"{len(source.open)} beginnings"
                self._find(
                    "source_vanished",
                    f"the source never stopped, another of its process began at entry {successor}; "
                    f"{what} left open",
                    source.last_index,
                    source.name,
                )
            else:
                still.append(_still(source))
        if self.lost:
            self._find("too_many", "there are more sources or open things than can be followed", -1)
        self.findings.sort(key=lambda finding: finding.where.get("entry", -1))
        return still

    def _run(self, run: Run) -> None:
        source = self._sources.get(run.source)
        if source is None:
            if len(self._sources) >= MAX_SOURCES:
                self.lost = True
                return
            source = Source(run.source, run.first - 1, run.index, run.time, run.started)
            self._sources[run.source] = source
            if self._whole or run.started:
                source.last = 0
            if self._whole and not run.started:
                self._find(
                    "source_unannounced",
                    "the source does not begin with its start",
                    run.index,
                    run.source,
                )
        elif run.started:
            self._find("source_started_twice", "the source starts again", run.index, run.source)
        self._follow(source, run)
        if run.started:
            self._started[source.process] = run.index

    def _follow(self, source: Source, run: Run) -> None:
        if source.stopped and not source.events_after:
            source.events_after = True
            self._find("event_after_stop", "the source had stopped before", run.index, run.source)
        if run.first > source.last + 1:
            count = run.first - source.last - 1
            text = f"{count:,} numbers are missing: {source.last} is followed by {run.first}"
            self._find("sequence_gap", text, run.index, run.source)
        elif run.first <= source.last:
            text = f"number {run.first} comes after {source.last}"
            self._find("sequence_repeated", text, run.index, run.source)
        if run.time < source.last_time:
            self.findings.append(_backwards(run.source, run.index))
        source.last, source.last_index, source.last_time = run.last, run.last_index, run.last_time
        source.stopped = source.stopped or run.stopped

    def _mark(self, what: str, key: Key, sequence: int, index: int, end: int) -> None:
        name, thing = key[0], key[1:]
        source = self._sources.get(name)
        if source is None:
            return
        if what == ABANDON:
            self._give_up(source, sequence)
        elif what == CLOSE:
            if self._forget(source, thing, sequence) or not (self._whole or source.announced):
                return
            self._find("never_began", f"the {thing[0]} {thing[1]} never began", index, name)
        else:
            if self._forget(source, thing, 0):
                self._find("began_twice", f"the {thing[0]} {thing[1]} began before", index, name)
            self._remember(source, thing, (sequence, index))
            if what == PAIR:
                self._forget(source, thing, end)

    def _give_up(self, source: Source, sequence: int) -> None:
        """The act behind an entry did not happen: what it began did not begin, what it ended goes on."""
        recent = self._recent.pop((source.name, sequence), None)
        if recent is not None:
            self._remember(source, *recent)
            return
        for thing, place in source.open.items():
            if place[0] == sequence:
                self._forget(source, thing, 0)
                return

    def _remember(self, source: Source, thing: Thing, place: Beginning) -> None:
        if self._opened >= MAX_OPEN:
            self.lost = True
            return
        self._opened += 1
        source.open[thing] = place

    def _forget(self, source: Source, thing: Thing, end: int) -> bool:
        """Ends something, with the entry of that number (0: with none); whether it had begun."""
        place = source.open.pop(thing, None)
        if place is None:
            return False
        self._opened -= 1
        if end:
            self._recent[source.name, end] = (thing, place)
            if len(self._recent) > MAX_RECENT:
                self._recent.popitem(last=False)
        return True

    def _find(self, code: str, message: str, index: int, source: str = "") -> None:
        where: dict[str, Place] = {}
        if index >= 0:
            where["entry"] = index
        if source:
            where["source"] = source
        self.findings.append(Finding(code, message, where))


def _backwards(source: str, index: int) -> Finding:
    where: dict[str, Place] = {"entry": index, "source": source}
    return Finding("time_backwards", "its time is before that of the source's last entry", where)


def _still(source: Source) -> dict[str, Place]:
    counts = dict.fromkeys(("room", "peer", "track"), 0)
    for part, _ in source.open:
        counts[part] = counts.get(part, 0) + 1
    return {
        "source": source.name,
        "last_sequence": source.last,
        "last_time": source.last_time,
        "rooms": counts["room"],
        "participants": counts["peer"],
        "tracks": counts["track"],
    }
