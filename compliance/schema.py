"""A tenant's own fields of audit events: declared once, checked on every event.

In: the declaration as JSON, later names and values. Out: what may stand in an event, and what belongs into the
vault. Must not: let free text into an event; a field that needs some is declared personal and goes to the vault.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from common.errors import LocalError, RemoteError
from compliance.events import KINDS, MAX_EXTRA
from compliance.words import check_identifier, check_number

MAX_SCHEMA: Final = 64 * 1024  # bytes of a declaration
MAX_CHOICES: Final = 64
MAX_PERSONAL: Final = 1024  # characters of a personal value
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_KEYS: Final = frozenset({"type", "required_for", "choices"})


class FieldType(StrEnum):
    """What a field holds."""

    IDENTIFIER = "identifier"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    PERSONAL = "personal"  # any text; sealed in the vault, never in the event


@dataclass(frozen=True, slots=True)
class Field:
    """One declared field."""

    type: FieldType
    required_for: frozenset[str] = frozenset()  # kinds of events that are refused without it
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """Values that passed."""

    extra: Mapping[str, str | int | bool]
    personal: Mapping[str, str]


class Schema:
    """All fields of a tenant."""

    def __init__(self, fields: Mapping[str, Field]) -> None:
        """Takes checked declarations; `parse` makes them from text."""
        self._fields = dict(fields)

    @classmethod
    def parse(cls, text: str | bytes) -> Schema:
        """Reads `{"field": {"type": ..., "required_for": [...], "choices": [...]}}`.

        Raises RemoteError `schema_malformed`.
        """
        if len(text) > MAX_SCHEMA:
            raise _malformed("the schema is too long")
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise _malformed("the schema is no JSON") from error
        if not isinstance(document, dict) or len(document) > MAX_EXTRA:
            raise _malformed("the schema is no object of at most 32 fields")
        return cls({name: _field(name, each) for name, each in document.items()})

    def check(self, kind: str, values: Mapping[str, object]) -> Checked:
        """Sorts the values of an event of `kind`.

        Raises RemoteError: extra_unknown, extra_missing, extra_invalid; no message repeats a value.
        """
        extra: dict[str, str | int | bool] = {}
        personal: dict[str, str] = {}
        for name, value in values.items():
            field = self._fields.get(name)
            if field is None:
                raise RemoteError("extra_unknown", "a field is not in the tenant's schema")
            if not _fits(field, value):
                raise RemoteError("extra_invalid", f"the field {name} has no valid value")
            if field.type is FieldType.PERSONAL:
                personal[name] = str(value)
            elif isinstance(value, str | int):
                extra[name] = value
        for name in self.required_for(kind):
            if name not in values:
                raise RemoteError("extra_missing", f"the field {name} is required")
        return Checked(extra, personal)

    def required_for(self, kind: str) -> Iterable[str]:
        """Names of the fields without which events of `kind` are refused."""
        return [name for name, field in self._fields.items() if kind in field.required_for]


def _fits(field: Field, value: object) -> bool:
    if field.type is FieldType.BOOLEAN:
        return isinstance(value, bool)
    if field.type is FieldType.NUMBER:
        return _passes(lambda: check_number("", value))
    if not isinstance(value, str) or not value:
        return False
    if field.type is FieldType.CHOICE:
        return value in field.choices
    if field.type is FieldType.PERSONAL:
        return len(value) <= MAX_PERSONAL
    return _is_identifier(value)


def _passes(check: Callable[[], None]) -> bool:
    try:
        check()
    except LocalError:
        return False
    return True


def _field(name: object, value: object) -> Field:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _malformed("a field's name is no lower-case identifier")
    if not isinstance(value, dict) or not set(value) <= _KEYS:
        raise _malformed(f"the field {name} is declared with unknown words")
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in list(FieldType):
        raise _malformed(f"the field {name} has no known type")
    required = _names(name, value.get("required_for", []))
    if not required <= set(KINDS):
        raise _malformed(f"the field {name} is required for an unknown kind")
    choices = _names(name, value.get("choices", []))
    if (kind == FieldType.CHOICE) != bool(choices) or len(choices) > MAX_CHOICES:
        raise _malformed(f"the field {name} needs choices, or has some without being a choice")
    return Field(FieldType(kind), frozenset(required), tuple(sorted(choices)))


def _names(field: str, value: object) -> set[str]:
    if not isinstance(value, list) or len(value) > MAX_CHOICES:
        raise _malformed(f"the field {field} has a malformed list")
    for item in value:
        if item == "" or not _is_identifier(item):
            raise _malformed(f"the field {field} lists something that is no identifier")
    return set(value)


def _is_identifier(value: object) -> bool:
    return _passes(lambda: check_identifier("", value))


def _malformed(message: str) -> RemoteError:
    return RemoteError("schema_malformed", message)
