"""Receipts for participants: what the log says about them in a room, as proofs that they can keep.

In: a participant's own access token. Out: the entries about that person in that room, each with a receipt (C2SP
tlog-proof) that anybody can check offline, so that a log without the entry is shown to be another one. Must not:
show a participant what is about somebody else, or in another room.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from common.errors import RemoteError
from compliance.accesses import facts_of
from compliance.envelope import Record, decode
from compliance.events import Actor, AdmissionGranted, LogRead, ParticipantLeft, Target
from compliance.exports import json_line
from compliance.questions import MAX_PAGE, Answer, Filter, Found, Question
from compliance.words import Pseudonym, Role
from crypto.proofs import InclusionReceipt
from signalling.acts import identifier
from signalling.grants import Grants
from signalling.limits import Rate
from signalling.rates import KeyedBuckets
from signalling.resources import Resource
from signalling.v1.audit import PRIVATE
from signalling.v1.door import Door
from signalling.v1.ports import Reading

PATH: Final = "/v1/receipts"
PURPOSE: Final = "receipts"
KINDS: Final = (
    AdmissionGranted.kind,
    ParticipantLeft.kind,
)  # acts about the person, and nobody else
# Per person: each answer is an entry of its own and opens sealed records.
RECEIPTS_RATE: Final = Rate(0.2, 10.0)
MAX_PAGES: Final = 4  # of a person's latest entries that are looked at: a thousand


class Receipts:
    """The route."""

    def __init__(self, reading: Reading, door: Door) -> None:
        """`door` counts requests of all routes together."""
        self._reading = reading
        self._door = door
        self._rates = KeyedBuckets(RECEIPTS_RATE)

    def routes(self) -> Sequence[Route]:
        """Where it is mounted."""
        return [Route(PATH, Resource({"GET": self._answer}, self._reading.refusals, "receipts"))]

    async def _answer(self, request: Request) -> Response:
        self._door.slow_down(request)
        grants = self._door.grants(request)
        _check(grants)
        if not self._rates.take((grants.issuer, grants.identity), self._reading.clock.now()):
            raise RemoteError("api_rate_exceeded", "receipts were asked for too often")
        subjects = await self._subjects(grants)
        found, answer = await self._find(subjects, grants) if subjects else ([], None)
        if answer is not None and found:
            await self._record(grants, subjects[-1], found)
        receipts = ",".join(_receipt(each, answer) for each in found if answer)
        key = answer.key if answer else (await self._ask(Filter(), limit=0)).key
        return Response(
            f'{{"receipts":[{receipts}],"key":{json.dumps(key)}}}',
            headers=PRIVATE,
            media_type="application/json",
        )

    async def _subjects(self, grants: Grants) -> tuple[Pseudonym, ...]:
        """The person's names; a token is not valid for so long that older ones could matter."""
        now = int(self._reading.clock.wall() * 1_000_000)
        year = 365 * 86_400 * 1_000_000
        return await self._reading.subjects.known(grants.identity, max(0, now - year), now)

    async def _find(
        self, subjects: tuple[Pseudonym, ...], grants: Grants
    ) -> tuple[list[Found], Answer]:
        """The latest entries about the person in the token's room, oldest first, all of one tree."""
        meant = Filter(subject=subjects, kind=KINDS)
        answer = await self._ask(meant)
        pages = [answer]
        while pages[-1].more and len(pages) < MAX_PAGES:
            pages.append(await self._ask(meant, start=pages[-1].next, size=answer.size))
        entries = [found for page in pages for found in page.found]
        about = [
            (found, record)
            for found in reversed(entries)
            if (record := decode(found.entry)).event.on.subject in subjects
        ]
        rooms = {record.event.on.room for _, record in about if await self._was_in(record, grants)}
        return [found for found, record in about if record.event.on.room in rooms], answer

    async def _was_in(self, record: Record, grants: Grants) -> bool:
        """Whether an admission was one to the token's room; its name is sealed."""
        event = record.event
        if not isinstance(event, AdmissionGranted) or event.private is None:
            return False
        try:
            facts = await self._reading.subjects.open(event.private)
        except RemoteError:  # erased by now
            return False
        return facts.get("room") == grants.room and facts.get("identity") == grants.identity

    async def _ask(
        self, meant: Filter, *, start: int | None = None, size: int | None = None,
        limit: int = MAX_PAGE,
    ) -> Answer:  # fmt: skip
        question = Question(meant, start, newest_first=True, limit=limit, prove=True, size=size)
        return await self._reading.log.ask(question)

    async def _record(self, grants: Grants, subject: Pseudonym, found: Sequence[Found]) -> None:
        """That the person looked at what is about them. Raises AuditError; then nothing may be shown."""
        await self._reading.recorder.record(
            LogRead(
                actor=Actor(Role.PARTICIPANT, subject, identifier(grants.issuer)),
                on=Target(subject=subject),
                first=found[0].index,
                end=found[-1].index + 1,
                purpose=PURPOSE,
                extra={**facts_of(Filter(kind=KINDS)), "found": len(found)},
            )
        )


def _check(grants: Grants) -> None:
    if not grants.room_join:
        raise RemoteError(
            "join_not_granted", "receipts are for participants: the token lacks roomJoin"
        )
    if not grants.identity:
        raise RemoteError("identity_missing", "the token names no identity")
    if not grants.room:
        raise RemoteError("room_missing", "the token names no room")


def _receipt(found: Found, answer: Answer) -> str:
    """An entry with its receipt; the receipt holds the entry, so that it is all that has to be kept."""
    receipt = InclusionReceipt(found.index, found.path, answer.checkpoint).encode(found.entry)
    return f'{json_line(found.index, found.entry)[:-1]},"receipt":{json.dumps(receipt)}}}'
