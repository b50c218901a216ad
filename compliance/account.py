"""What the log alone says about a room: who was there from when to when, and who could receive which track.

In: a room's entries in the order of the log, and those by which acts were abandoned. Out: an `Account`. Must not:
leave out anybody who could have received something: whom a rule may have allowed counts as allowed. Who really
looked is not on record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from compliance.envelope import Record, format_time
from compliance.events import (
    ActAbandoned,
    AdmissionGranted,
    ParticipantLeft,
    ParticipantUpdated,
    RoomCreated,
    RoomEnded,
    SubscriptionPermissionChanged,
    TrackPublished,
    TrackUnpublished,
)
from compliance.words import MAX_ITEMS, MAX_NUMBER

OPEN: Final = MAX_NUMBER  # the end of what has no end on record
_WATCH: Final = "subscribe"
_EXEMPT: Final = "recorder"  # a right to which publishers' rules do not apply
Span = tuple[int, int]  # [from, to) in microseconds since the epoch


@dataclass(slots=True)
class Stay:
    """Somebody in the room."""

    peer: str
    subject: str  # pseudonym
    role: str
    rights: frozenset[str]  # when it came
    begin: int
    index: int  # of its admission, behind which it is sealed who it is
    vault: str  # reference to that
    end: int = OPEN
    watching: list[Span] = field(default_factory=list)  # while it had the right to receive
    exempt: bool = False


@dataclass(slots=True)
class Track:
    """Something that could be received."""

    track: str
    peer: str  # whose it was
    medium: str
    purpose: str
    end_to_end_encrypted: bool
    begin: int
    end: int = OPEN
    viewers: list[tuple[Stay, list[Span]]] = field(default_factory=list)


@dataclass(slots=True)
class Account:
    """A room."""

    room: str
    begin: int = 0
    end: int = OPEN
    stays: dict[str, Stay] = field(default_factory=dict)  # by peer, in the order of coming
    tracks: dict[str, Track] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Rule:
    """Who may receive a publisher's tracks, from a moment on."""

    since: int
    everyone: bool = True
    allowed: frozenset[str] = frozenset()
    strangers: bool = False  # somebody who was not there when the rule was made may be among them

    def allows(self, stay: Stay) -> bool:
        return self.everyone or stay.exempt or stay.subject in self.allowed or self.strangers


def account_of(room: str, entries: Iterable[tuple[int, Record]]) -> Account:
    """The account of a room; entries of other rooms are passed over."""
    found = list(entries)
    void = {
        (record.source, record.event.sequence)
        for _, record in found
        if isinstance(record.event, ActAbandoned)
    }
    account, rules = Account(room), dict[str, list[_Rule]]()
    for index, record in found:
        if record.event.on.room == room and (record.source, record.sequence) not in void:
            _take(account, rules, index, record)
    for stay in account.stays.values():
        stay.watching = [(begin, min(end, stay.end)) for begin, end in stay.watching]
    for track in account.tracks.values():
        track.viewers = list(_viewers(account, track, rules.get(track.peer, [_Rule(0)])))
    return account


def _take(account: Account, rules: dict[str, list[_Rule]], index: int, record: Record) -> None:
    event, time = record.event, record.time
    match event:
        case RoomCreated():
            account.begin = time
        case RoomEnded():
            account.end = time
        case AdmissionGranted():
            account.stays[event.on.peer] = _stay(event, index, time)
        case ParticipantUpdated() if event.on.peer in account.stays:
            _change(account.stays[event.on.peer], event, time)
        case ParticipantLeft() if event.on.peer in account.stays:
            account.stays[event.on.peer].end = time
        case TrackPublished():
            account.tracks[event.on.track] = Track(
                event.on.track, event.on.peer, event.medium, event.purpose,
                event.end_to_end_encrypted, time,
            )  # fmt: skip
        case TrackUnpublished() if event.on.track in account.tracks:
            account.tracks[event.on.track].end = time
        case SubscriptionPermissionChanged():
            several = rules.setdefault(event.on.peer, [_Rule(0)])
            several.append(_rule(event, time, several[-1]))


def _stay(event: AdmissionGranted, index: int, time: int) -> Stay:
    rights = frozenset(event.rights)
    return Stay(
        event.on.peer, event.on.subject, event.actor.role.value, rights, time, index,
        event.private.vault if event.private else "",
        watching=[(time, OPEN)] if _WATCH in rights else [],
        exempt=_EXEMPT in rights,
    )  # fmt: skip


def _change(stay: Stay, event: ParticipantUpdated, time: int) -> None:
    stay.exempt = stay.exempt or _EXEMPT in event.granted
    receives = bool(stay.watching) and stay.watching[-1][1] == OPEN
    if _WATCH in event.granted and not receives:
        stay.watching.append((time, OPEN))
    if _WATCH in event.withdrawn and receives:
        stay.watching[-1] = (stay.watching[-1][0], time)


def _rule(event: SubscriptionPermissionChanged, time: int, before: _Rule) -> _Rule:
    """A list that does not fit into one entry goes on in the next, which therefore adds to a full one."""
    allowed = frozenset(event.allowed)
    if not before.everyone and len(before.allowed) % MAX_ITEMS == 0:
        allowed |= before.allowed
    return _Rule(time, event.everyone, allowed, bool(event.extra.get("absent", 0)))


def _viewers(
    account: Account, track: Track, rules: list[_Rule]
) -> Iterator[tuple[Stay, list[Span]]]:
    until = [*(rule.since for rule in rules[1:]), OPEN]
    for stay in account.stays.values():
        if stay.peer == track.peer:
            continue
        spans = [
            (max(track.begin, begin, rule.since), min(track.end, end, to))
            for rule, to in zip(rules, until, strict=True)
            if rule.allows(stay)
            for begin, end in stay.watching
        ]
        spans = _joined(sorted(span for span in spans if span[0] < span[1]))
        if spans:
            yield stay, spans


def _joined(spans: list[Span]) -> list[Span]:
    """Without seams between spans that touch."""
    joined: list[Span] = []
    for begin, end in spans:
        if joined and joined[-1][1] >= begin:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


def document_of(account: Account) -> dict[str, object]:
    """As JSON has it; what has no end on record has none here."""
    return {
        "room": account.room,
        **_span(account.begin, account.end),
        "participants": [
            {
                "peer": stay.peer, "subject": stay.subject, "role": stay.role,
                "rights": sorted(stay.rights), "admission": stay.index, "vault": stay.vault,
                **_span(stay.begin, stay.end),
            }
            for stay in account.stays.values()
        ],
        "tracks": [
            {
                "track": track.track, "peer": track.peer, "medium": track.medium,
                "purpose": track.purpose, "end_to_end_encrypted": track.end_to_end_encrypted,
                **_span(track.begin, track.end),
                "viewers": [
                    {"peer": stay.peer, "subject": stay.subject, "spans": [_span(*each) for each in spans]}
                    for stay, spans in track.viewers
                ],
            }
            for track in account.tracks.values()
        ],
    }  # fmt: skip


def _span(begin: int, end: int) -> dict[str, object]:
    span: dict[str, object] = {"from": format_time(begin)} if begin else {}
    if end < OPEN:
        span["to"] = format_time(end)
        if begin:
            span["seconds"] = (end - begin) // 1_000_000
    return span
