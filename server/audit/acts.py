"""Acts on their way into the log: people get pseudonyms, what is personal is sealed, then the trail takes over.

In: acts of signalling. Out: `Recorded`, or the refusal, each within a bounded time. Must not: block the loop on
the vault's disk, or let anything personal past the vault.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from common.clock import Clock
from common.errors import ConclaveError, RemoteError
from compliance.auditor import Auditor
from compliance.events import ActAbandoned, Actor, Event, Why
from compliance.trail import TIMEOUT, UNAVAILABLE, AuditError, Receipt
from compliance.vault import Vault
from compliance.words import NOBODY, Pseudonym, Role
from server.audit.sealing import Sealer
from server.tracing import Tracing, TracingSection
from signalling.ports import Act, Recorded

MAX_ACTS: Final = 8192  # on their way at once; as many as the trail lets wait
log = structlog.get_logger("server.audit")


class ActTrail:
    """`signalling.ports.Trail`, over an auditor and a vault."""

    def __init__(
        self,
        auditor: Auditor,
        vault: Vault,
        thread: ThreadPoolExecutor,
        clock: Clock,
        timeout: float,
    ) -> None:
        """`thread` is the vault's own; `timeout` in seconds is for the vault alone, the auditor has its own."""
        self._auditor = auditor
        self._sealer = Sealer(vault, thread, clock)
        self._timeout = timeout
        self._tasks: set[asyncio.Task[None]] = set()
        self.after: Callable[[], None] = lambda: None  # called when an act may have happened
        self.tracing = Tracing(TracingSection(), "")

    def record(self, act: Act, done: Callable[[Recorded | RemoteError], None]) -> None:
        """Writes an act down, then tells `done`."""
        if len(self._tasks) >= MAX_ACTS:
            self._auditor.counts[UNAVAILABLE] += 1
            done(AuditError(UNAVAILABLE, "too many acts wait for the audit log"))
            return
        task = asyncio.create_task(self._record(act, done), name="act")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def note(self, event: Event) -> None:
        """Writes down what has happened by itself."""
        self._auditor.note(event)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("act_failed", exc_info=error)

    async def settle(self) -> None:
        """Until every act that was begun is on record or refused."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _record(self, act: Act, done: Callable[[Recorded | RemoteError], None]) -> None:
        # Whatever goes wrong here, whoever waits must hear that the act may not happen.
        outcome: Recorded | RemoteError = AuditError(UNAVAILABLE, "the audit log failed")
        kinds = ",".join(event.kind for event in act.events)
        try:
            with self.tracing.span("audit.record", **{"conclave.audit.kinds": kinds}) as span:
                try:
                    events, subject = await self._name(act)
                    outcome = await self._write(events, subject)
                except AuditError as error:
                    outcome = error
                    if span is not None:
                        span.set_attribute("conclave.refusal", error.code)
        finally:
            done(outcome)
            self.after()

    async def _name(self, act: Act) -> tuple[list[Event], Pseudonym]:
        """The events with pseudonyms and sealed facts. Raises AuditError."""
        if act.about is None and act.by is None:
            return list(act.events), NOBODY
        try:
            async with asyncio.timeout(self._timeout):
                return await self._sealer.seal(act)
        except TimeoutError as error:
            self._auditor.counts["vault_timeout"] += 1
            raise AuditError(TIMEOUT, "the vault did not answer in time") from error
        except (OSError, ConclaveError) as error:
            self._auditor.counts["vault_failed"] += 1
            log.error("vault_failed", error=type(error).__name__)
            raise AuditError(UNAVAILABLE, "the vault cannot be used") from error

    async def _write(self, events: list[Event], subject: Pseudonym) -> Recorded:
        """All or none. Raises AuditError."""
        outcomes = await asyncio.gather(
            *(self._auditor.record(event) for event in events), return_exceptions=True
        )
        receipts = [each for each in outcomes if isinstance(each, Receipt)]
        for outcome in outcomes:
            if isinstance(outcome, AuditError):
                self._abandon(receipts, outcome.code)
                raise outcome
            if isinstance(outcome, BaseException):
                raise outcome
        index = receipts[-1].index if receipts else None
        return Recorded(tuple(receipt.sequence for receipt in receipts), index, subject)

    def _abandon(self, receipts: list[Receipt], code: str) -> None:
        for receipt in receipts:
            why = Why(reason=code)
            self.note(ActAbandoned(actor=Actor(Role.SYSTEM), sequence=receipt.sequence, why=why))
