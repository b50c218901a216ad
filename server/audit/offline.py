"""A stopped server's audit log, read from its folder for the command line.

In: the data folder, a filter. Out: entries, receipts, exports. Must not: read the log of a running server, for
there reading goes on record; or change anything.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

from common.errors import LocalError, RemoteError
from compliance.exports import Format, last_line, line_of
from compliance.published import PublishedLog
from compliance.questions import Filter
from crypto.proofs import InclusionReceipt
from server.audit.remote import Shown


class OfflineLog:
    """The log in a folder that nobody works in."""

    def __init__(self, data: Path) -> None:
        """`data` is the data folder, or the one that `audit.folder` names.

        Raises LocalError: log_missing, store_in_use.
        """
        folder = data / "log" if (data / "log").is_dir() else data / "audit" / "log"
        try:
            self._lock = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise LocalError("log_missing", f"there is no audit log below {data}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise LocalError(
                "store_in_use",
                "the server runs: ask it with --url and a token, so that it is on record who reads",
            ) from error
        self._log = PublishedLog(folder)
        self._note = self._log.note()
        self._size = self._log.size_of(self._note)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)

    def latest(self, wanted: Filter, count: int) -> list[Shown]:
        """The last entries that fit, oldest first. Raises RemoteError `log_unreadable`."""
        return list(deque(self.all(wanted), maxlen=count))

    def all(self, wanted: Filter) -> Iterator[Shown]:
        """Entries that fit, in the order of the log. Raises RemoteError `log_unreadable`."""
        for index, entry in self._fitting(wanted):
            yield Shown(index, json.loads(entry))

    def entry(self, index: int) -> tuple[bytes, str, str]:
        """The bytes of an entry, its receipt, and the key beside the log. Raises RemoteError."""
        entry = self._log.entry(index, self._size)
        path = self._log.path(index, self._size)
        return entry, InclusionReceipt(index, path, self._note).encode(), self._log.key()

    def export(self, wanted: Filter, form: Format, out: BinaryIO) -> None:
        """Writes what fits. Raises RemoteError: log_unreadable, entry_malformed."""
        whole = wanted.is_empty and self._size > 0
        proven = form is Format.JSON_LINES and not whole
        for index, entry in self._fitting(wanted):
            path = self._log.path(index, self._size) if proven else None
            out.write(line_of(index, entry, form, path).encode() + b"\n")
        if form is Format.JSON_LINES:
            out.write(last_line(self._note, self._size, whole=whole).encode() + b"\n")

    def _fitting(self, wanted: Filter) -> Iterator[tuple[int, bytes]]:
        try:
            for index, entry in self._log.entries(0, self._size, self._size):
                if wanted.matches(entry):
                    yield index, entry
        except OSError as error:
            raise RemoteError("log_unreadable", "the log cannot be read") from error
