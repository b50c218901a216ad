"""Checkpoints on their way to a time-stamping authority (RFC 3161), which says when they existed at the latest.

In: checkpoints of this log, an authority's address. Out: time-stamps beside the log. Must not: hold the log up for
an authority that is away, or keep an answer that proves nothing.

    timestamps/<size>.checkpoint   the signed checkpoint
    timestamps/<size>.tsr          the authority's answer to its SHA-256, as it came
"""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import httpx

from common.clock import Clock
from common.errors import LocalError
from compliance.files import Files, replace_file
from crypto.timestamps import MAX_ANSWER, Authorities, Question, TimestampError
from sidecar.metrics import Metrics

FOLDER: Final = "timestamps"
INTERVAL: Final = 3600.0  # seconds; two files an hour, 70 MiB in a year
TIMEOUT: Final = 20.0  # seconds for an authority to answer
FIRST_RETRY: Final = 30.0  # seconds; doubled with every failure, up to the interval
REQUEST_TYPE: Final = "application/timestamp-query"
_STAMPED: Final = re.compile(r"([0-9]{1,16})\.tsr")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Authority:
    """Who stamps, and how often it is asked."""

    url: str
    certificates: Path  # PEM: its chain leads to one of these
    interval: float = INTERVAL  # seconds
    retry: float = FIRST_RETRY  # seconds

    def roots(self) -> Authorities:
        """The trusted certificates. Raises LocalError `certificates_unreadable`."""
        try:
            return Authorities(self.certificates.read_bytes())
        except (OSError, ValueError) as error:
            message = f"{self.certificates} holds no certificates"
            raise LocalError("certificates_unreadable", message) from error


class Notes(Protocol):
    """Where checkpoints come from."""

    async def growth(self, old: int) -> tuple[str, list[bytes]]:
        """The published checkpoint and what shows its growth."""


class Stamper:
    """Has the newest checkpoint stamped, time and again."""

    def __init__(
        self,
        authority: Authority,
        service: Notes,
        files: Files,
        client: httpx.AsyncClient,
        *,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """Finds what was stamped before. Raises LocalError `certificates_unreadable`, OSError."""
        self._authority = authority
        self._roots = authority.roots()
        self._service = service
        self._files = files
        self._client = client
        self._clock = clock
        self._metrics = metrics
        files.make_folder(FOLDER)
        sizes = [
            int(match[1]) for name in files.list(FOLDER) if (match := _STAMPED.fullmatch(name))
        ]
        self.stamped = max(sizes, default=0)  # entries that the last time-stamp covers
        self._last = clock.wall()
        metrics.watch(
            "conclave_audit_timestamp_age_seconds",
            lambda: max(0.0, self._clock.wall() - self._last),
        )

    async def run(self) -> None:
        """Works until cancelled."""
        failures = 0
        while True:
            outcome = await self.stamp()
            self._metrics.timestamps.labels(outcome).inc()
            good = outcome in ("stamped", "unchanged")
            failures = 0 if good else failures + 1
            wait = self._authority.interval
            if good:
                self._last = self._clock.wall()
            else:
                wait = min(wait, self._authority.retry * 2.0 ** min(failures - 1, 16))
                log.error("no time-stamp (%s); the next attempt is in %.0f s", outcome, wait)
            await asyncio.sleep(wait)

    async def stamp(self) -> str:
        """Has the newest checkpoint stamped; says how it went.

        stamped, unchanged, unreachable, declined, timestamp_malformed, timestamp_refused, timestamp_wrong,
        not_kept.
        """
        note, _ = await self._service.growth(0)
        size = int(note.split("\n")[1]) if note else 0
        if size <= self.stamped:
            return "unchanged"
        question = Question(note.encode())
        answer = await self._ask(question)
        if isinstance(answer, str):
            return answer
        try:
            time = self._roots.check(question, answer)
        except TimestampError as error:
            return error.code
        try:
            await asyncio.to_thread(self._keep, size, note.encode(), answer)
        except OSError:
            return "not_kept"
        self.stamped = size
        log.info("the first %d entries are stamped at %s", size, time.isoformat())
        return "stamped"

    async def _ask(self, question: Question) -> bytes | str:
        """The authority's answer, or the outcome without one; never more of it than an answer has."""
        request = self._client.stream(
            "POST",
            self._authority.url,
            content=question.encode(),
            headers={"content-type": REQUEST_TYPE},
            timeout=TIMEOUT,
        )
        answer = b""
        try:
            async with asyncio.timeout(TIMEOUT), request as response:
                if response.status_code != 200:
                    return "declined"
                async for part in response.aiter_bytes():
                    answer += part
                    if len(answer) > MAX_ANSWER:
                        return "declined"
        except (httpx.HTTPError, TimeoutError):
            return "unreachable"
        return answer

    def _keep(self, size: int, note: bytes, answer: bytes) -> None:
        """The time-stamp comes last: where it is, there is what it is over."""
        replace_file(self._files, f"{FOLDER}/{size}.checkpoint", note)
        replace_file(self._files, f"{FOLDER}/{size}.tsr", answer)
