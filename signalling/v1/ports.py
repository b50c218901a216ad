"""What reading the log needs from the rest of the server, as protocols; `server` wires it.

Refusals are RemoteErrors with stable codes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from common.clock import Clock
from common.ids import RoomName
from compliance.events import Event, Private
from compliance.questions import Answer, Question
from compliance.trail import Receipt
from compliance.words import Pseudonym
from signalling.addresses import Proxies
from signalling.admission import Authorizer
from signalling.limits import Rate

# Per address: an auditor's tool that pages as quickly as it can.
READ_RATE: Final = Rate(20.0, 100.0)


class Log(Protocol):
    """The log, as `compliance.reader` reaches it."""

    async def ask(self, question: Question) -> Answer:
        """A page. Raises RemoteError."""


class Recorder(Protocol):
    """The way into the log, as `compliance.auditor` goes it."""

    async def record(self, event: Event) -> Receipt:
        """Returns when the event is durable. Raises AuditError; then nothing may be shown."""


class Subjects(Protocol):
    """The vault, as far as readers of the log need it."""

    async def known(self, identity: str, since: int, until: int) -> tuple[Pseudonym, ...]:
        """Names that a person has in entries of [since, until) (microseconds); none if nothing is known.

        Remembers nobody who was not known. Raises RemoteError `span_too_long`.
        """

    async def itself(self, identity: str) -> tuple[Pseudonym, Private | None]:
        """The name of whoever reads, and where it is sealed who that is."""

    async def open(self, private: Private) -> dict[str, str]:
        """What is sealed behind an entry. Raises RemoteError: vault_erased, vault_mismatch, seal_broken."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the routes are built from."""

    log: Log
    recorder: Recorder
    subjects: Subjects
    authorizer: Authorizer
    clock: Clock
    proxies: Proxies
    refusals: Counter[str]
    token_refused: Callable[
        [str, str], None
    ]  # puts on record, within bounds, that a token was refused
    room_sid: Callable[[RoomName], str]  # of a room that exists now, else ""
    rate: Rate = field(default=READ_RATE)
