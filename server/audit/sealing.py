"""People of acts become pseudonyms, facts about them are sealed: for all acts that wait, together.

In: acts. Out: their events, once all is durable that these refer to. Must not: block the loop on the vault's disk,
or let one act's fault refuse another's. While one group is being written the next one gathers, so that the cost of
a sync is shared by all who wait for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from common.clock import Clock
from common.errors import ConclaveError
from common.redact import Redacted
from compliance.events import Event, Private
from compliance.vault import Subject, Vault, period_of
from compliance.words import NO_TENANT, NOBODY, Pseudonym
from signalling.ports import Act, Person

MAX_GROUP: Final = 64  # acts; each opens up to four files
Sealed = tuple[list[Event], Pseudonym]  # events with names, and the name of `Act.about`


class Sealer:
    """The vault, for acts."""

    def __init__(self, vault: Vault, thread: ThreadPoolExecutor, clock: Clock) -> None:
        """`thread` is the vault's own."""
        self._vault = vault
        self._thread = thread
        self._clock = clock
        self._waiting: deque[tuple[Act, asyncio.Future[Sealed]]] = deque()
        self._work: asyncio.Task[None] | None = None

    async def seal(self, act: Act) -> Sealed:
        """The act's events; durable is what they refer to. Raises ConclaveError, OSError."""
        future: asyncio.Future[Sealed] = asyncio.get_running_loop().create_future()
        self._waiting.append((act, future))
        if self._work is None:
            self._work = asyncio.create_task(self._seal_groups(), name="sealing")
        return await future

    async def _seal_groups(self) -> None:
        while self._waiting:
            some = [self._waiting.popleft() for _ in range(min(MAX_GROUP, len(self._waiting)))]
            group = [(act, future) for act, future in some if not future.done()]
            acts = [act for act, _ in group]
            job = asyncio.get_running_loop().run_in_executor(self._thread, self._seal_all, acts)
            await asyncio.wait({job})
            error = job.exception()
            outcomes = job.result() if error is None else [error] * len(group)
            for (_, future), outcome in zip(group, outcomes, strict=True):
                _tell(future, outcome)
        self._work = None

    def _seal_all(self, acts: Sequence[Act]) -> Sequence[Sealed | BaseException]:
        """On the vault's thread. Raises OSError: then no act may happen."""
        outcomes: list[Sealed | BaseException] = []
        period = period_of(self._clock.wall())
        with self._vault.group():
            for act in acts:
                try:
                    outcomes.append(self._seal(act, period))
                except ConclaveError as error:
                    outcomes.append(error)
        return outcomes

    def _seal(self, act: Act, period: str) -> Sealed:
        subject, private = self._keep(act.about, period)
        actor, _ = self._keep(act.by, period)
        return [_named(event, subject, private, actor) for event in act.events], subject

    def _keep(self, person: Person | None, period: str) -> tuple[Pseudonym, Private | None]:
        if person is None or not person.identity:
            return NOBODY, None
        subject = Subject(NO_TENANT, Redacted(str(person.identity)))
        private = self._vault.keep(subject, period, person.facts) if person.facts else None
        return self._vault.pseudonym(subject, period), private


def _tell(future: asyncio.Future[Sealed], outcome: Sealed | BaseException) -> None:
    if future.done():  # whoever waited has given up
        return
    if isinstance(outcome, BaseException):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _named(event: Event, subject: Pseudonym, private: Private | None, actor: Pseudonym) -> Event:
    """The event with whom it is about and who acts, where it does not say so already."""
    on, by = event.on, event.actor
    return replace(
        event,
        on=replace(on, subject=on.subject or subject),
        actor=replace(by, subject=by.subject or actor),
        private=event.private or private,
    )
