"""What a reader may ask of the log and what it is told, as values and as bytes on the sidecar's socket.

In: filters, positions, bytes. Out: questions, answers, bytes, or RemoteError `question_malformed`. Must not: know
how an answer is found; `Filter.matches` alone says what it has to be.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Final, TypeGuard

from common.errors import RemoteError
from compliance.canonical import canonical, parse_object
from compliance.envelope import parse_time
from compliance.words import MAX_IDENTIFIER, MAX_NUMBER, PSEUDONYM
from crypto.merkle import HASH_SIZE
from crypto.notes import Checkpoint

MAX_PAGE: Final = 256  # entries of an answer, one bundle's worth
MAX_ALTERNATIVES: Final = 64  # of one field; a person has a pseudonym each month
_FOUND: Final = struct.Struct("!QB")  # index, number of hashes

Term = tuple[str, str]  # a field of `Filter` and a value of it


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries are meant: each field that is not empty names alternatives, and all fields must fit."""

    subject: tuple[str, ...] = ()  # pseudonyms of people whom the entry names in any place
    room: tuple[str, ...] = ()  # sids
    actor: tuple[str, ...] = ()  # pseudonyms or API keys
    role: tuple[str, ...] = ()  # of the actor
    kind: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    since: int = 0  # microseconds since the epoch; the first that fits
    until: int = MAX_NUMBER  # and the first that no longer does

    def __post_init__(self) -> None:
        """Raises RemoteError `question_malformed`."""
        for name in TERM_FIELDS:
            values = getattr(self, name)
            if len(values) > MAX_ALTERNATIVES:
                raise _malformed(f"{name} has too many alternatives")
            if not all(_is_identifier(value) for value in values):
                raise _malformed(f"{name} is empty, too long or not ASCII")
        if not 0 <= self.since <= MAX_NUMBER or not 0 <= self.until <= MAX_NUMBER:
            raise _malformed("a time is out of range")

    @property
    def terms(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Fields that ask for something, with their alternatives; those that tell most come first."""
        asked = ((name, getattr(self, name)) for name in TERM_FIELDS)
        return tuple((name, values) for name, values in asked if values)

    @property
    def has_times(self) -> bool:
        """Whether the time matters."""
        return self.since > 0 or self.until < MAX_NUMBER

    @property
    def is_empty(self) -> bool:
        """Whether every entry fits."""
        return not self.terms and not self.has_times

    def matches(self, entry: bytes) -> bool:
        """Whether an entry is meant: by definition, with no index."""
        document = parse_object(entry)
        terms = terms_of(document)
        if not all(any((name, v) in terms for v in values) for name, values in self.terms):
            return False
        return not self.has_times or self.since <= time_of(document) < self.until


TERM_FIELDS: Final = ("subject", "room", "actor", "role", "kind", "source")


def terms_of(document: Mapping[str, object]) -> frozenset[Term]:
    """What an entry of any version can be found by, but for its time."""
    return frozenset((name, value) for name, value in _terms(document) if _is_identifier(value))


def time_of(document: Mapping[str, object]) -> int:
    """Microseconds since the epoch; 0 for an entry that says none that we can read."""
    try:
        return parse_time(document.get("time"))
    except RemoteError:
        return 0


def _is_identifier(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= MAX_IDENTIFIER and value.isascii()


def _terms(document: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    on, actor, data = (_part(document, name) for name in ("on", "actor", "data"))
    yield "kind", document.get("kind")
    yield "source", document.get("source")
    yield "room", on.get("room")
    yield "role", actor.get("role")
    yield "subject", on.get("subject")
    yield "subject", actor.get("subject")
    yield "actor", actor.get("subject")
    yield "actor", actor.get("key")
    for value in data.values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str) and PSEUDONYM.fullmatch(item):
                yield "subject", item


def _part(document: Mapping[str, object], name: str) -> Mapping[str, object]:
    part = document.get(name)
    return part if isinstance(part, dict) else {}


@dataclass(frozen=True, slots=True)
class Question:
    """A page of the log."""

    filter: Filter = Filter()
    start: int | None = None  # an index: from here on, or below here; None is the end to begin with
    newest_first: bool = False
    limit: int = MAX_PAGE  # entries; 0 asks for the checkpoint alone
    prove: bool = False  # whether each entry comes with its path to the root
    size: int | None = None  # the tree to look at, where a later one is published; None: the latest

    def __post_init__(self) -> None:
        """Raises RemoteError `question_malformed`."""
        if not 0 <= self.limit <= MAX_PAGE:
            raise _malformed(f"the limit is not within 0 and {MAX_PAGE}")
        for number in (self.start, self.size):
            if number is not None and not 0 <= number <= MAX_NUMBER:
                raise _malformed("a position is out of range")

    def encode(self) -> bytes:
        """The body of an ASK frame."""
        asked = {each.name: getattr(self, each.name) for each in fields(self)}
        wanted = self.filter
        asked["filter"] = {name: list(values) for name, values in wanted.terms}
        asked["filter"] |= {"since": wanted.since, "until": wanted.until}
        return canonical({name: value for name, value in asked.items() if value is not None})

    @classmethod
    def decode(cls, body: bytes) -> Question:
        """Reads the body of an ASK frame. Raises RemoteError `question_malformed`."""
        try:
            document = parse_object(body)
        except RemoteError as error:
            raise _malformed("the question is no JSON object") from error
        given = document.pop("filter", {})
        if not isinstance(given, dict):
            raise _malformed("the filter is no object")
        asked: dict[str, object] = {name: _texts(given.pop(name, [])) for name in TERM_FIELDS}
        for name in ("since", "until"):
            if name in given:
                asked[name] = _number(given.pop(name))
        for name in ("start", "limit", "size"):
            if name in document:
                document[name] = _number(document[name])
        for name in ("newest_first", "prove"):
            if not isinstance(document.get(name, False), bool):
                raise _malformed(f"{name} is neither true nor false")
        if given or not document.keys() <= {each.name for each in fields(cls)}:
            raise _malformed("the question has unknown parts")
        return cls(filter=Filter(**asked), **document)  # type: ignore[arg-type]  # checked above


@dataclass(frozen=True, slots=True)
class Found:
    """An entry with its place, and on request its path to the root of the answer's tree."""

    index: int
    entry: bytes
    path: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        """The body of a FOUND frame."""
        return _FOUND.pack(self.index, len(self.path)) + b"".join(self.path) + self.entry

    @classmethod
    def decode(cls, body: bytes) -> Found:
        """Reads the body of a FOUND frame. Raises RemoteError `question_malformed`."""
        if len(body) < _FOUND.size:
            raise _malformed("an entry lacks its index")
        index, count = _FOUND.unpack_from(body)
        end = _FOUND.size + count * HASH_SIZE
        if len(body) <= end:
            raise _malformed("an entry ends inside of its path")
        path = tuple(body[i : i + HASH_SIZE] for i in range(_FOUND.size, end, HASH_SIZE))
        return cls(index, body[end:], path)


@dataclass(frozen=True, slots=True)
class Answer:
    """A page: entries of one tree, and where the next page begins."""

    found: tuple[Found, ...]
    next: int  # `start` of the question that goes on
    more: bool  # whether it can find anything now
    checkpoint: str  # the latest signed note
    size: int  # entries of the tree that was looked at; the checkpoint's unless the question named another
    key: str  # the log's public key

    def encode_end(self) -> bytes:
        """The body of the ANSWERED frame that follows the entries."""
        names = ("next", "more", "checkpoint", "size", "key")
        return json.dumps({name: getattr(self, name) for name in names}).encode()

    @classmethod
    def decode(cls, found: tuple[Found, ...], body: bytes) -> Answer:
        """Reads the body of an ANSWERED frame. Raises the RemoteError with which the sidecar refused."""
        document = parse_object(body)
        if "code" in document:
            raise RemoteError(str(document["code"]), str(document.get("message", "")))
        try:
            return cls(found=found, **document)  # type: ignore[arg-type]  # from our own sidecar
        except TypeError as error:
            raise _malformed("the answer has unknown parts") from error


def encode_refusal(error: RemoteError) -> bytes:
    """The body of an ANSWERED frame that refuses the question."""
    return json.dumps({"code": error.code, "message": error.message}).encode()


def read_checkpoint(note: str) -> Checkpoint:
    """What a note claims, whoever signed it. Raises NoteError."""
    return Checkpoint.decode(note.rpartition("\n\n")[0] + "\n")


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _malformed("a field of the filter is no list of texts")
    return tuple(value)


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _malformed("a number is none")
    return value


def _malformed(message: str) -> RemoteError:
    return RemoteError("question_malformed", message)
