"""The canonical form of JSON (RFC 8785) for the values that entries are made of.

In: dicts with ASCII keys, lists, text, integers below 2^53, booleans. Out: bytes, the same for equal values.
Must not: accept an entry in any other form, for a hash covers bytes and not their meaning. Two writers check each
other: the quick one below makes entries, the reference implementation reads them.
"""

from __future__ import annotations

import json

import rfc8785

from common.errors import RemoteError

_WRITE = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode


def canonical(value: dict[str, object]) -> bytes:
    """Writes `value`; for it, the standard library's order and escapes are those of RFC 8785."""
    return _WRITE(value).encode()


def parse_canonical(data: bytes) -> dict[str, object]:
    """Reads an object that must be in canonical form. Raises RemoteError `entry_malformed`."""
    value = parse_object(data)
    try:
        again = rfc8785.dumps(value)  # type: ignore[arg-type]  # what it cannot write, it refuses
    except (rfc8785.CanonicalizationError, RecursionError, UnicodeError) as error:
        raise malformed("the entry has no canonical form") from error
    if again != data:
        raise malformed("the entry is not in canonical form")
    return value


def parse_object(data: bytes) -> dict[str, object]:
    """Reads any JSON object. Raises RemoteError `entry_malformed`."""
    try:
        value = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise malformed("the entry is no JSON") from error
    if not isinstance(value, dict):
        raise malformed("the entry is no object")
    return value


def malformed(message: str) -> RemoteError:
    """The error for bytes that are no entry."""
    return RemoteError("entry_malformed", message)


def _refuse(_name: str) -> None:
    raise ValueError("no number")
