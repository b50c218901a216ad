"""The vault as readers of the log need it: people by the names that they have in entries, and back.

In: identities, sealed references. Out: pseudonyms, facts; all on the vault's thread. Must not: make anybody known
by asking about them. Only whoever reads leaves a trace, sealed like everybody's.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from common.clock import Clock
from common.errors import RemoteError
from common.redact import Redacted
from compliance.events import Private
from compliance.questions import MAX_ALTERNATIVES
from compliance.vault import Subject, Vault, period_of
from compliance.words import NO_TENANT, Pseudonym

MAX_READERS: Final = 256  # whose name is remembered; an organisation has a handful
_DAY: Final = 86_400 * 1_000_000
T = TypeVar("T")


class VaultReaders:
    """See `signalling.v1.ports.Subjects`."""

    def __init__(self, vault: Vault, thread: ThreadPoolExecutor, clock: Clock) -> None:
        """`thread` is the only one that calls the vault."""
        self._vault = vault
        self._thread = thread
        self._clock = clock
        self._readers: OrderedDict[tuple[str, str], tuple[Pseudonym, Private]] = OrderedDict()

    async def known(self, identity: str, since: int, until: int) -> tuple[Pseudonym, ...]:
        """Names that a person has in entries of a time. Raises RemoteError `span_too_long`."""
        now = int(self._clock.wall() * 1_000_000)
        periods = months(max(since - _DAY, 0), min(until, now) + _DAY)
        subject = Subject(NO_TENANT, Redacted(identity))

        def look() -> tuple[Pseudonym, ...]:
            names = (self._vault.known(subject, period) for period in periods)
            return tuple(name for name in names if name is not None)

        return await self._on_thread(look)

    async def itself(self, identity: str) -> tuple[Pseudonym, Private | None]:
        """The name of whoever reads, and where it is sealed who that is; sealed once a month."""
        period = period_of(self._clock.wall())
        known = self._readers.get((identity, period))
        if known is None:
            subject = Subject(NO_TENANT, Redacted(identity))

            def seal() -> tuple[Pseudonym, Private]:
                private = self._vault.keep(subject, period, {"identity": identity})
                return self._vault.pseudonym(subject, period), private

            known = await self._on_thread(seal)
            self._readers[identity, period] = known
            if len(self._readers) > MAX_READERS:
                self._readers.popitem(last=False)
        return known

    async def open(self, private: Private) -> dict[str, str]:
        """What is sealed behind an entry. Raises RemoteError: vault_erased, vault_mismatch, seal_broken."""
        return await self._on_thread(lambda: self._vault.read(private))

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def months(since: int, until: int) -> list[str]:
    """Periods that [since, until) touches, oldest first. Raises RemoteError `span_too_long`."""
    periods: list[str] = []
    moment = since
    while moment < until:
        period = period_of(moment / 1_000_000)
        if not periods or periods[-1] != period:
            periods.append(period)
        if len(periods) > MAX_ALTERNATIVES:
            raise RemoteError("span_too_long", f"name a time of at most {MAX_ALTERNATIVES} months")
        moment += _DAY
    last = period_of(until / 1_000_000)
    return periods if not periods or periods[-1] == last else [*periods, last]
