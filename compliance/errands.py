"""What the trail asks its carrier to do with connection and spool, in this order. Values only.

In: entries, counts. Out: errands, which `compliance.auditor` runs. Must not: decide anything.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Send:
    """Hand entries to the sidecar, in this order."""

    entries: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Drop the connection and make another."""


@dataclass(frozen=True, slots=True)
class Store:
    """Append entries to the spool, then report `handle_stored` or `handle_store_failed`."""

    entries: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Load:
    """Read entries from the spool, then report `handle_loaded`."""

    skip: int
    limit: int


@dataclass(frozen=True, slots=True)
class SetAside:
    """Move the oldest entry of the spool out of the way: the log does not take it."""


@dataclass(frozen=True, slots=True)
class Discard:
    """Remove the oldest entries from the spool."""

    count: int


Errand = Send | Reconnect | Store | Load | SetAside | Discard
