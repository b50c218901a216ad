"""An audit entry: an event with where, when and its place in its source; bytes in canonical form and back.

In: `Record` values, or bytes. Out: bytes, or `Record` values. Must not: accept an entry that says anything this
version does not know, for what is not understood cannot be vouched for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, get_type_hints

from common.errors import LocalError
from compliance.canonical import canonical, malformed, parse_canonical, parse_object
from compliance.events import KINDS, Actor, Event, Private, Target, Why, data_fields
from compliance.words import MAX_NUMBER, check_identifier

VERSION: Final = 1
MAX_ENTRY: Final = (
    65_535  # bytes; the length of an entry is written in two (C2SP tlog-tiles); ours are near 400
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6})Z")
_PARTS: Final[Mapping[str, type[Any]]] = {"actor": Actor, "on": Target, "why": Why}
_HINTS: dict[type[Any], dict[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class Source:
    """One run of one process: the sequence of its events starts at 1 and has no gaps."""

    pop: str
    region: str
    process: str  # such as `server` or `recorder`
    incarnation: str  # random, of this run

    def __post_init__(self) -> None:
        """Raises LocalError `event_invalid`."""
        for each in fields(self):
            check_identifier(each.name, getattr(self, each.name))
        check_identifier("source", self.name)

    @property
    def name(self) -> str:
        """What stands in entries."""
        return f"{self.pop}/{self.process}/{self.incarnation}"


@dataclass(frozen=True, slots=True)
class Record:
    """An event in its envelope."""

    source: str
    sequence: int
    time: int  # microseconds since the epoch, UTC; never falls within a source
    pop: str
    region: str
    event: Event


@dataclass(frozen=True, slots=True)
class Heading:
    """What the store needs to know of an entry."""

    source: str
    sequence: int
    kind: str


def encode(record: Record) -> bytes:
    """The entry. Raises LocalError `event_too_long`."""
    event = record.event
    document: dict[str, object] = {
        "version": VERSION,
        "kind": event.kind,
        "source": record.source,
        "sequence": record.sequence,
        "time": format_time(record.time),
        "where": _present(pop=record.pop, region=record.region),
        "actor": _present(role=event.actor.role, subject=event.actor.subject, key=event.actor.key),
        "data": {name: _plain(getattr(event, name)) for name in data_fields(type(event))},
    }
    on, why = event.on, event.why
    optional = {
        "on": _present(room=on.room, peer=on.peer, track=on.track, subject=on.subject),
        "why": _present(gate=why.gate, decision=why.decision, reason=why.reason, policy=why.policy),
        "extra": dict(event.extra),
        "tenant": event.tenant,
    }
    document.update((name, value) for name, value in optional.items() if value)
    if event.private is not None:
        private = event.private
        document["private"] = {"commitment": private.commitment, "vault": private.vault}
    entry = canonical(document)
    if len(entry) > MAX_ENTRY:
        raise LocalError("event_too_long", "the event does not fit into an entry")
    return entry


def decode(entry: bytes) -> Record:
    """Reads an entry. Raises RemoteError `entry_malformed`."""
    if len(entry) > MAX_ENTRY:
        raise malformed("the entry is too long")
    document = parse_canonical(entry)
    version = document.pop("version", None)
    if type(version) is not int or version != VERSION:  # `true` equals one, and is none
        raise malformed("the entry has another version")
    head = _heading(document)
    time = parse_time(document.pop("time", None))
    where = _strings(document.pop("where", {}), ("pop", "region"))
    try:
        event = _event(head.kind, document)
    except LocalError as error:
        raise malformed(error.message) from error
    return Record(
        head.source, head.sequence, time, where.get("pop", ""), where.get("region", ""), event
    )


def peek(entry: bytes) -> Heading:
    """Source, sequence and kind of an entry of any version. Raises RemoteError `entry_malformed`."""
    if not 0 < len(entry) <= MAX_ENTRY:
        raise malformed("the entry is empty or too long")
    return _heading(parse_object(entry))


def format_time(microseconds: int) -> str:
    """RFC 3339 in UTC with six digits of a second."""
    moment = _EPOCH + timedelta(microseconds=microseconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(value: object) -> int:
    """Reads what `format_time` writes. Raises RemoteError `entry_malformed`."""
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise malformed("the time is no time")
    try:
        moment = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    except ValueError as error:
        raise malformed("the time is no time") from error
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _heading(document: dict[str, object]) -> Heading:
    source, sequence = document.pop("source", None), document.pop("sequence", None)
    kind = document.pop("kind", None)
    if not isinstance(source, str) or not 0 < len(source) <= 128 or not isinstance(kind, str):
        raise malformed("the entry has no source or no kind")
    if not isinstance(sequence, int) or isinstance(sequence, bool):
        raise malformed("the entry has no sequence number")
    if not 0 < sequence <= MAX_NUMBER:
        raise malformed("the entry's sequence number is out of range")
    return Heading(source, sequence, kind)


def _event(kind: str, document: dict[str, object]) -> Event:
    event_type = KINDS.get(kind)
    if event_type is None:
        raise malformed("the entry's kind is not known")
    arguments: dict[str, Any] = {}
    for name, part in _PARTS.items():
        if name in document:
            arguments[name] = _part(part, document.pop(name))
    if "private" in document:
        arguments["private"] = _part(Private, document.pop("private"))
    arguments["tenant"] = document.pop("tenant", "")
    extra = document.pop("extra", {})
    data = document.pop("data", None)
    if not isinstance(extra, dict) or not isinstance(arguments["tenant"], str):
        raise malformed("the entry's tenant or extra is malformed")
    if not isinstance(data, dict) or set(data) != set(data_fields(event_type)):
        raise malformed("the entry's data do not fit its kind")
    if document or "actor" not in arguments:
        raise malformed("the entry lacks its actor or has unknown parts")
    for name, value in data.items():
        arguments[name] = _typed(_hints(event_type)[name], value)
    if not all(isinstance(value, str | int) for value in extra.values()):
        raise malformed("an extra field has a wrong type")
    return event_type(extra=extra, **arguments)


def _part(part: type[Any], value: object) -> Any:
    hints = _hints(part)
    if not isinstance(value, dict) or not set(value) <= set(hints):
        raise malformed("a part of the entry is malformed")
    needed = {each.name for each in fields(part) if each.default is MISSING}
    if not needed <= set(value) or "" in value.values():
        raise malformed("a part of the entry is incomplete")
    return part(**{name: _typed(hints[name], each) for name, each in value.items()})


def _typed(hint: Any, value: object) -> Any:
    """`value` as a field's type; JSON knows no tuples and no enumerations."""
    if hint == tuple[str, ...]:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
    elif isinstance(hint, type) and issubclass(hint, StrEnum):
        if isinstance(value, str) and value in list(hint):
            return hint(value)
    else:
        plain = getattr(hint, "__supertype__", hint)
        if isinstance(value, plain) and (plain is bool or not isinstance(value, bool)):
            return value
    raise malformed("a field of the entry has a wrong type")


def _hints(part: type[Any]) -> dict[str, Any]:
    hints = _HINTS.get(part)
    if hints is None:
        hints = _HINTS[part] = get_type_hints(part)
    return hints


def _strings(value: object, names: tuple[str, ...]) -> dict[str, str]:
    if not isinstance(value, dict) or not set(value) <= set(names):
        raise malformed("a part of the entry is malformed")
    for name, each in value.items():
        try:
            check_identifier(name, each)
        except LocalError as error:
            raise malformed(error.message) from error
    if "" in value.values():
        raise malformed("a part of the entry is incomplete")
    return value


def _present(**texts: str) -> dict[str, str]:
    return {name: value for name, value in texts.items() if value}


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
