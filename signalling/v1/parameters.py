"""Parameters of the log's routes: what they are called, what they may hold, what they mean.

In: names and values as they came, from a query or a JSON body. Out: `Wanted`, or RemoteError. Must not: guess. A
parameter that is not known, or given twice where one counts, is refused, for it might have narrowed the answer.
The table below is also what the OpenAPI document is made from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl

from common.errors import LocalError, RemoteError
from compliance.events import KINDS
from compliance.exports import Format
from compliance.questions import MAX_ALTERNATIVES, MAX_PAGE
from compliance.words import IDENTIFIER, MAX_NUMBER, PSEUDONYM, Role, check_identifier
from signalling.limits import MAX_NAME, MAX_QUERY_PARAMETERS

DEFAULT_LIMIT: Final = 100
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Parameter:
    """One of them."""

    name: str
    text: str
    schema: Mapping[str, Any]
    several: bool = False  # may be repeated: entries fit if any value does


def _text(pattern: str = "", **more: Any) -> dict[str, Any]:
    return {"type": "string", **({"pattern": f"^{pattern}$"} if pattern else {}), **more}


PURPOSE: Final = Parameter(
    "purpose",
    "Why the log is read, as an identifier such as `access_request`. It goes on record.",
    _text(IDENTIFIER.pattern),
)
FILTERS: Final = (
    Parameter("subject", "Pseudonym of somebody whom the entry names.", _text(PSEUDONYM.pattern), True),
    Parameter("identity", "Identity of somebody whom the entry names, in place of pseudonyms.",
              _text(maxLength=MAX_NAME)),
    Parameter("room", "Room: its sid, or the name of one that exists now.",
              _text(maxLength=MAX_NAME), True),
    Parameter("kind", "Kind of the event.", _text(enum=sorted(KINDS)), True),
    Parameter("actor", "Pseudonym or API key of whoever acted.", _text(IDENTIFIER.pattern), True),
    Parameter("role", "Role of whoever acted.", _text(enum=[str(role) for role in Role]), True),
    Parameter("source", "Source of the entry: `pop/process/run`.", _text(IDENTIFIER.pattern), True),
    Parameter("from", "First moment, RFC 3339 with an offset.", _text(format="date-time")),
    Parameter("to", "First moment that no longer counts.", _text(format="date-time")),
)  # fmt: skip
CURSOR: Final = Parameter(
    "cursor", "`next` of the page before; an index works as well.", _text("[0-9]{1,16}")
)
LIMIT: Final = Parameter(
    "limit",
    "Entries of a page at most.",
    {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": DEFAULT_LIMIT},
)
ORDER: Final = Parameter(
    "order",
    "Order of the log, or newest first.",
    _text(enum=["oldest", "newest"], default="oldest"),
)
FOLLOW: Final = Parameter(
    "follow",
    "Streams entries as JSON lines, the coming ones too; in the order of the log only.",
    {"type": "boolean", "default": False},
)
FORMAT: Final = Parameter(
    "format",
    "Format of the export; `jsonl` carries proofs.",
    _text(enum=[str(each) for each in Format], default=str(Format.JSON_LINES)),
)

SEARCH: Final = (*FILTERS, CURSOR, LIMIT, ORDER, PURPOSE)
PAGE: Final = (*FILTERS, CURSOR, LIMIT, ORDER, FOLLOW, PURPOSE)
EXPORT: Final = (*FILTERS, CURSOR, FORMAT, PURPOSE)
ONE: Final = (PURPOSE,)
ACCESSES: Final = (*(each for each in FILTERS if each.name in ("subject", "identity", "from", "to")),
                   CURSOR, LIMIT, PURPOSE)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks for."""

    purpose: str
    subject: tuple[str, ...] = ()
    identity: str = ""
    room: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()
    actor: tuple[str, ...] = ()
    role: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    since: int = 0  # microseconds since the epoch
    until: int = MAX_NUMBER
    cursor: int | None = None
    limit: int = DEFAULT_LIMIT
    newest_first: bool = False
    follow: bool = False
    format: Format = field(default=Format.JSON_LINES)


def of_query(query: bytes) -> list[tuple[str, str]]:
    """Names and values of a URL's query. Raises RemoteError `query_malformed`."""
    try:
        return parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(query),
            max_num_fields=MAX_QUERY_PARAMETERS,
            errors="strict",
        )
    except ValueError as error:
        raise _malformed("the query cannot be read") from error


def of_object(document: object) -> list[tuple[str, str]]:
    """Names and values of a JSON object: texts, numbers, lists of texts. Raises RemoteError `query_malformed`."""
    if not isinstance(document, dict):
        raise _malformed("the body is no JSON object")
    pairs: list[tuple[str, str]] = []
    for name, value in document.items():
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, str | int) or isinstance(item, bool):
                raise _malformed("a value of the body has a wrong type")
            pairs.append((name, str(item)))
    if len(pairs) > MAX_QUERY_PARAMETERS:
        raise _malformed("there are too many parameters")
    return pairs


def read(pairs: Iterable[tuple[str, str]], known: Iterable[Parameter]) -> Wanted:
    """What the parameters mean. Raises RemoteError: query_malformed, kind_unknown, purpose_..."""
    values = _sorted(pairs, {each.name: each for each in known})
    return Wanted(
        purpose=_purpose(values),
        subject=_all(values, "subject", PSEUDONYM.fullmatch),
        identity=_one(values, "identity", ""),
        room=_all(values, "room", lambda room: len(room) <= MAX_NAME),
        kind=_kinds(values),
        actor=_all(values, "actor", is_identifier),
        role=_all(values, "role", lambda role: role in set(Role)),
        source=_all(values, "source", is_identifier),
        since=_time(values, "from", 0),
        until=_time(values, "to", MAX_NUMBER),
        cursor=_cursor(values),
        limit=_limit(values),
        newest_first=_choice(values, "order", ("oldest", "newest")) == "newest",
        follow=_choice(values, "follow", ("false", "true")) == "true",
        format=Format(_choice(values, "format", tuple(Format))),
    )


def _sorted(
    pairs: Iterable[tuple[str, str]], known: Mapping[str, Parameter]
) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        if name not in known:
            raise _malformed("there is a parameter that is not known here")
        if not value:
            raise _malformed(f"{name} is empty")
        values.setdefault(name, []).append(value)
    for name, given in values.items():
        if len(given) > (MAX_ALTERNATIVES if known[name].several else 1):
            raise _malformed(f"{name} is given too often")
    if "identity" in values and "subject" in values:
        raise _malformed("identity and subject exclude each other")
    return values


def _purpose(values: Mapping[str, list[str]]) -> str:
    purpose = _one(values, "purpose", "")
    if not purpose:
        raise RemoteError("purpose_missing", "say with purpose=... why the log is read")
    if not is_identifier(purpose):
        raise RemoteError("purpose_malformed", "the purpose is no identifier")
    return purpose


def _kinds(values: Mapping[str, list[str]]) -> tuple[str, ...]:
    kinds = tuple(values.get("kind", ()))
    if not set(kinds) <= set(KINDS):
        raise RemoteError("kind_unknown", "there is no such kind of event")
    return kinds


def is_identifier(text: str) -> bool:
    """Whether an entry could hold it: no sentence, no mail address, no network address."""
    try:
        check_identifier("value", text)
    except LocalError:
        return False
    return bool(text)


def _all(values: Mapping[str, list[str]], name: str, check: Any) -> tuple[str, ...]:
    given = tuple(values.get(name, ()))
    if not all(check(value) for value in given):
        raise _malformed(f"{name} is malformed")
    return given


def _one(values: Mapping[str, list[str]], name: str, default: str) -> str:
    value = values.get(name, [default])[0]
    if len(value) > MAX_NAME:
        raise _malformed(f"{name} is too long")
    return value


def _choice(values: Mapping[str, list[str]], name: str, choices: tuple[str, ...]) -> str:
    value = _one(values, name, choices[0])
    if value not in choices:
        raise _malformed(f"{name} is none of {', '.join(choices)}")
    return value


def _cursor(values: Mapping[str, list[str]]) -> int | None:
    text = _one(values, "cursor", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > _CURSOR_DIGITS:
        raise _malformed("cursor is malformed")
    if int(text) > MAX_NUMBER:
        raise _malformed("cursor is out of range")
    return int(text)


def _limit(values: Mapping[str, list[str]]) -> int:
    text = _one(values, "limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit()) or len(text) > 4 or not 1 <= int(text) <= MAX_PAGE:
        raise _malformed(f"limit is not within 1 and {MAX_PAGE}")
    return int(text)


def _time(values: Mapping[str, list[str]], name: str, default: int) -> int:
    text = _one(values, name, "")
    if not text:
        return default
    try:
        moment = datetime.fromisoformat(text)
        since = (moment - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, TypeError, OverflowError) as error:  # TypeError: no offset
        raise _malformed(f"{name} is no RFC 3339 time with an offset") from error
    if not 0 <= since <= MAX_NUMBER:
        raise _malformed(f"{name} is out of range")
    return since


def _malformed(message: str) -> RemoteError:
    return RemoteError("query_malformed", message)
