"""An entry: canonical JSON (RFC 8785) of one event, with the words of docs/audit-format.md section 4.

In: the bytes of an entry. Out: its heading, and what is wrong with it. Must not: take two spellings for one entry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

from verifier.kinds import DECISIONS, GATES, KINDS, ROLES

VERSION: Final = 1
MAX_NUMBER: Final = 2**53 - 1
MAX_ITEMS: Final = 64
MAX_EXTRA: Final = 32
MAX_SEEN: Final = (
    4096  # parts remembered as good, 300 bytes each; further ones are checked every time
)
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+\-]{0,127}").fullmatch
_ADDRESS: Final = re.compile(
    r"([0-9]{1,3}\.){3}[0-9]{1,3}([:/][0-9]+)?"
    r"|[0-9A-Fa-f:.]*::[0-9A-Fa-f:.]*(/[0-9]+)?"
    r"|([0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}(/[0-9]+)?"
).fullmatch
_PSEUDONYM: Final = re.compile(r"p_[0-9a-f]{32}").fullmatch
_VAULT: Final = re.compile(r"v_[0-9a-f]{32}").fullmatch
_COMMITMENT: Final = re.compile(r"[0-9a-f]{64}").fullmatch
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"
).fullmatch
_NEEDED: Final = frozenset(("version", "kind", "source", "sequence", "time", "actor", "data"))
_ALLOWED: Final = _NEEDED | {"where", "on", "why", "extra", "tenant", "private"}


Items = tuple[tuple[str, object], ...]


class Heading(NamedTuple):
    """What the order of the log is judged by."""

    source: str
    sequence: int
    kind: str
    time: str  # fixed width: order of text is order of time
    on: dict[str, str]
    abandons: int  # sequence number that an `act_abandoned` names, else 0


class Unreadable(Exception):  # noqa: N818
    """The bytes have no heading that could be trusted."""


def read(entry: bytes) -> tuple[Heading, str]:
    """The heading, and what else is wrong with the entry ("" if nothing is). Raises Unreadable."""
    try:
        text = entry.decode("utf-8")
        document = _decode(text)
        again = _encode(document)
    except (ValueError, RecursionError) as error:
        raise Unreadable("it is no JSON") from error
    if type(document) is not dict:
        raise Unreadable("it is no object")
    source, sequence, kind = document.get("source"), document.get("sequence"), document.get("kind")
    if not (type(source) is str and 0 < len(source) <= 128 and type(kind) is str):
        raise Unreadable("it has no source or no kind")
    if not (type(sequence) is int and 0 < sequence <= MAX_NUMBER):
        raise Unreadable("it has no sequence number")
    time = document.get("time")
    if not _is_time(time):
        raise Unreadable("it has no time")
    on, data = document.get("on"), document.get("data")
    wrong = "it is not in canonical form" if again != text else _wrong(document, kind)
    if not wrong and kind == "act_abandoned":
        return Heading(source, sequence, kind, str(time), {}, data["sequence"]), ""  # type: ignore[index]
    return Heading(source, sequence, kind, str(time), {} if wrong or on is None else on, 0), wrong


def canonical(document: object) -> bytes:
    """The bytes of an entry's document; some that are no entry if it can be none."""
    try:
        return _encode(document).encode()
    except (ValueError, RecursionError):
        return b""


def _wrong(document: dict[str, object], kind: str) -> str:
    """What does not fit the format."""
    version = document.get("version")
    if type(version) is not int or version != VERSION:
        return "its version is not known to this program"
    fields = KINDS.get(kind)
    if fields is None:
        return "its kind is not known to this program"
    members = document.keys()
    if not (_NEEDED <= members <= _ALLOWED):
        return "it lacks a part or has an unknown one"
    for name, check in _PARTS.items():
        if name in members and not check(document[name]):
            return f"its part {name} is malformed"
    data = document["data"]
    if type(data) is not dict or data.keys() != fields.keys():
        return "its data do not fit its kind"
    for name, each in data.items():
        if not _VALUES[fields[name]](each):
            return f"its field {name} is malformed"
    return ""


def is_identifier(value: object) -> bool:
    """Text without a space or "@" that is no network address; "" means absent."""
    if type(value) is not str:
        return False
    if not _IDENTIFIER(value):
        return value == ""
    return not (("." in value or ":" in value) and _ADDRESS(value))


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_NUMBER


def _is_bool(value: object) -> bool:
    return type(value) is bool


def _is_list(value: object) -> bool:
    return type(value) is list and len(value) <= MAX_ITEMS and all(map(is_identifier, value))


def _is_time(value: object) -> bool:
    if type(value) is not str or not _TIME(value):
        return False
    try:
        datetime.fromisoformat(value[:-1])
    except ValueError:
        return False
    return True


def _is_pseudonym(value: object) -> bool:
    return type(value) is str and _PSEUDONYM(value) is not None


def _present(value: object) -> bool:
    return value != "" and is_identifier(value)


def _one_of(words: frozenset[str]) -> Callable[[object], bool]:
    return lambda value: type(value) is str and value in words


def _matches(pattern: Callable[[str], object]) -> Callable[[object], bool]:
    return lambda value: type(value) is str and pattern(value) is not None


def _part(
    *needed: str, seen: dict[Items, None] | None = None, **members: Callable[[object], bool]
) -> Callable[[object], bool]:
    """A check of an object of texts; `seen` remembers good ones of a part that is often the same."""
    required = frozenset(needed)

    def check(value: object) -> bool:
        if type(value) is not dict or not required <= value.keys():
            return False
        for name, each in value.items():
            member = members.get(name)
            if member is None or not member(each):
                return False
        return True

    def remembering(value: object) -> bool:
        if type(value) is not dict or seen is None:
            return check(value)
        items = tuple(value.items())
        try:
            if items in seen:
                return True
        except TypeError:  # something in it cannot be remembered, and is no text
            return False
        good = check(value)
        if good and len(seen) < MAX_SEEN:
            seen[items] = None
        return good

    return check if seen is None else remembering


def _is_extra(value: object) -> bool:
    if type(value) is not dict or len(value) > MAX_EXTRA:
        return False
    return all(
        is_identifier(name) and (_is_number(each) or _is_bool(each) or is_identifier(each))
        for name, each in value.items()
    )


_PARTS: Final = {
    "where": _part(seen={}, pop=_present, region=_present),
    "actor": _part("role", seen={}, role=_one_of(ROLES), subject=_is_pseudonym, key=_present),
    "on": _part(room=_present, peer=_present, track=_present, subject=_is_pseudonym),
    "why": _part(
        seen={}, gate=_one_of(GATES), decision=_one_of(DECISIONS), reason=_present, policy=_present
    ),
    "private": _part(
        "commitment", "vault", commitment=_matches(_COMMITMENT), vault=_matches(_VAULT)
    ),
    "tenant": is_identifier,
    "extra": _is_extra,
}
_VALUES: Final = {"s": is_identifier, "n": _is_number, "b": _is_bool, "l": _is_list}


def _refuse(_text: str) -> None:
    raise ValueError("no number of this format")


_decode = json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse).decode
_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode
