"""Reading the audit log over HTTP: pages, single entries with proofs, exports, what is sealed behind an entry.

In: requests of readers with a role and a purpose. Out: entries as they stand in the log. Must not: send a byte of
an entry before it is on record who reads it and why; if the record is refused, so is the request.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from common.errors import RemoteError
from common.ids import RoomName
from compliance.accesses import READINGS, facts_of
from compliance.envelope import decode
from compliance.events import Actor, LogExported, LogRead, Private, Target, VaultRead
from compliance.exports import json_line
from compliance.questions import Answer, Filter, Found, Question, read_checkpoint
from compliance.words import MAX_NUMBER, NOBODY, Pseudonym, Role
from crypto.proofs import InclusionReceipt
from signalling.resources import Resource, read_body, require_type
from signalling.v1 import accesses, parameters
from signalling.v1.door import Door, Reader
from signalling.v1.duties import Duty
from signalling.v1.parameters import Parameter, Wanted
from signalling.v1.ports import Reading
from signalling.v1.streams import MEDIA_TYPES, Exports, Followers

BASE: Final = "/v1/audit"
MAX_SEARCH: Final = 64 * 1024  # bytes of a search: all alternatives of all fields
PRIVATE: Final = {"Cache-Control": "no-store"}
_SID: Final = "RM_"
_REFUSALS: Final = "audit"  # prefix of the counters


@dataclass(frozen=True, slots=True)
class Looked:
    """What a reading showed: entries [first, end) that fit."""

    first: int
    end: int
    found: int = -1  # how many; -1 where it goes on
    on: Target | None = None  # whom and what it was about, where the filter does not say so


class AuditApi:
    """The routes below `/v1/audit`."""

    def __init__(self, reading: Reading, door: Door) -> None:
        """`door` may be shared with other routes, so that their requests count together."""
        self._reading = reading
        self._door = door
        self._exports = Exports(reading.log)
        self._followers = Followers(reading.log, reading.clock)
        self._began = 0

    def routes(self) -> Sequence[Route]:
        """Where they are mounted."""
        table = {
            "/entries": {"GET": self._page},
            "/search": {"POST": self._search},
            "/accesses": {"POST": self._accesses},
            "/entries/{index}": {"GET": self._entry},
            "/entries/{index}/private": {"GET": self._private},
            "/checkpoint": {"GET": self._checkpoint},
            "/export": {"GET": self._export},
        }
        refusals = self._reading.refusals
        return [
            Route(BASE + path, Resource(handlers, refusals, _REFUSALS))
            for path, handlers in table.items()
        ]

    # -- handlers -----------------------------------------------------------------------------------

    async def _page(self, request: Request) -> Response:
        reader = self._door.admit(request, Duty.AUDITOR)
        pairs = parameters.of_query(request.scope["query_string"])
        wanted = parameters.read(pairs, parameters.PAGE)
        if wanted.follow:
            return await self._follow(reader, wanted)
        return await self._answer(reader, wanted)

    async def _search(self, request: Request) -> Response:
        reader = self._door.admit(request, Duty.AUDITOR)
        return await self._answer(reader, await _body(request, parameters.SEARCH))

    async def _answer(self, reader: Reader, wanted: Wanted) -> Response:
        meant = await self._filter(wanted)
        question = Question(
            meant, wanted.cursor, newest_first=wanted.newest_first, limit=wanted.limit
        )
        answer = await self._reading.log.ask(question)
        indexes = sorted(found.index for found in answer.found)
        span = (indexes[0], indexes[-1] + 1) if indexes else (answer.next, answer.next)
        await self._record(reader, wanted, meant, Looked(*span, len(indexes)))
        entries = ",".join(json_line(found.index, found.entry) for found in answer.found)
        return _json(f'{{"entries":[{entries}],{json.dumps(_rest(answer))[1:]}')

    async def _accesses(self, request: Request) -> Response:
        reader = self._door.admit(request, Duty.AUDITOR)
        wanted = await _body(request, parameters.ACCESSES)
        if not wanted.subject and not wanted.identity:
            raise RemoteError("query_malformed", "name the person by identity or subject")
        meant = await self._filter(wanted)
        page = await accesses.find(self._reading.log, meant, wanted.cursor or 0, wanted.limit)
        found, answer = page.found, page.answer
        looked = Looked(answer.next, answer.next, 0)
        if found:
            looked = Looked(found[0].index, found[-1].index + 1, len(found))
        await self._record(reader, wanted, replace(meant, kind=READINGS), looked)
        body = {"accesses": [each.document() for each in found], **_rest(answer)}
        return _json(json.dumps(body))

    async def _entry(self, request: Request) -> Response:
        reader = self._door.admit(request, Duty.AUDITOR)
        wanted = parameters.read(parameters.of_query(request.scope["query_string"]), parameters.ONE)
        found, checkpoint = await self._find(request)
        event = decode(found.entry).event
        on = replace(event.on, track="", subject=event.on.subject or event.actor.subject)
        await self._record(reader, wanted, Filter(), Looked(found.index, found.index + 1, 1, on))
        receipt = InclusionReceipt(found.index, found.path, checkpoint).encode()
        line = json_line(found.index, found.entry)
        return _json(f'{line[:-1]},"receipt":{json.dumps(receipt)}}}')

    async def _private(self, request: Request) -> Response:
        reader = self._door.admit(request, Duty.PRIVACY_OFFICER)
        wanted = parameters.read(parameters.of_query(request.scope["query_string"]), parameters.ONE)
        found, _ = await self._find(request)
        event = decode(found.entry).event
        if event.private is None:
            raise RemoteError("private_absent", "nothing is sealed behind this entry")
        actor, private = await self._actor(reader, Role.OPERATOR)
        subject = event.on.subject or event.actor.subject
        if event.kind in READINGS:  # sealed is who read, not about whom
            subject = event.actor.subject
        await self._reading.recorder.record(
            VaultRead(
                actor=actor,
                on=Target(room=event.on.room, peer=event.on.peer, subject=subject),
                purpose=wanted.purpose,
                extra={"index": found.index},
                private=private,
            )
        )
        facts = await self._reading.subjects.open(event.private)
        return _json(json.dumps({"index": found.index, "facts": facts}))

    async def _checkpoint(self, request: Request) -> Response:
        self._door.admit(request, Duty.AUDITOR)
        answer = await self._reading.log.ask(Question(limit=0))
        checkpoint = read_checkpoint(answer.checkpoint)
        document = {
            "checkpoint": answer.checkpoint,
            "origin": checkpoint.origin,
            "size": checkpoint.size,
            "key": answer.key,
        }
        return _json(json.dumps(document))

    async def _export(self, request: Request) -> Response:
        reader = self._door.admit(request, Duty.AUDITOR)
        pairs = parameters.of_query(request.scope["query_string"])
        wanted = parameters.read(pairs, parameters.EXPORT)
        meant = await self._filter(wanted)
        export = await self._exports.prepare(meant, wanted.cursor or 0, wanted.format)
        try:
            actor, private = await self._actor(reader, Role.AUDITOR)
            await self._reading.recorder.record(
                LogExported(
                    actor=actor,
                    on=target_of(meant),
                    first=min(wanted.cursor or 0, export.size),
                    end=export.size,
                    purpose=wanted.purpose,
                    format=str(wanted.format),
                    extra=facts_of(meant, one_person=bool(wanted.identity)),
                    private=private,
                )
            )
        except BaseException:
            self._exports.give_up()
            raise
        suffix = "log" if wanted.format == "cef" else "jsonl"
        disposition = f'attachment; filename="audit-{export.size}.{suffix}"'
        return self._exports.stream(
            export, {**PRIVATE, "Content-Disposition": disposition}, MEDIA_TYPES[wanted.format]
        )

    async def _follow(self, reader: Reader, wanted: Wanted) -> Response:
        if wanted.newest_first:
            raise RemoteError("query_malformed", "what is to come cannot be told newest first")
        meant = await self._filter(wanted)
        start = wanted.cursor
        if start is None:
            start = (await self._reading.log.ask(Question(limit=0))).size
        self._followers.enter()
        try:
            await self._record(reader, wanted, meant, Looked(start, MAX_NUMBER))
        except BaseException:
            self._followers.leave()
            raise
        return self._followers.stream(meant, start, reader.expires_at, PRIVATE)

    # -- what they share ----------------------------------------------------------------------------

    async def _find(self, request: Request) -> tuple[Found, str]:
        """The entry that a URL names, with its path to the checkpoint. Raises RemoteError `entry_unknown`."""
        text = request.path_params["index"]
        unknown = RemoteError("entry_unknown", "the log has no such entry")
        if not (text.isascii() and text.isdigit()) or len(text) > 15:
            raise unknown
        answer = await self._reading.log.ask(Question(start=int(text), limit=1, prove=True))
        if not answer.found:
            raise unknown
        return answer.found[0], answer.checkpoint

    async def _filter(self, wanted: Wanted) -> Filter:
        """People by their pseudonyms, rooms by their sids. Raises RemoteError: identity_unknown, room_unknown."""
        subject = wanted.subject
        if wanted.identity:
            subjects = self._reading.subjects
            since = max(wanted.since, await self._beginning())
            subject = await subjects.known(wanted.identity, since, wanted.until)
            if not subject:
                raise RemoteError("identity_unknown", "nothing is known about this identity")
        return Filter(
            subject=subject,
            room=tuple(self._sid_of(room) for room in wanted.room),
            actor=wanted.actor,
            role=wanted.role,
            kind=wanted.kind,
            source=wanted.source,
            since=wanted.since,
            until=wanted.until,
        )

    async def _beginning(self) -> int:
        """When the log begins, in microseconds; people have other names each month."""
        if not self._began:
            answer = await self._reading.log.ask(Question(start=0, limit=1))
            if not answer.found:
                return int(self._reading.clock.wall() * 1_000_000)
            self._began = decode(answer.found[0].entry).time
        return self._began

    def _sid_of(self, room: str) -> str:
        sid = self._reading.room_sid(RoomName(room))
        if not sid and room.startswith(_SID) and parameters.is_identifier(room):
            return room
        if not sid:
            raise RemoteError("room_unknown", "there is no such room now; name it by its sid")
        return sid

    async def _actor(self, reader: Reader, role: Role) -> tuple[Actor, Private | None]:
        subject, private = await self._reading.subjects.itself(reader.identity)
        return Actor(role, subject, reader.key), private

    async def _record(self, reader: Reader, wanted: Wanted, meant: Filter, looked: Looked) -> None:
        """Puts a reading on record. Raises AuditError; then nothing may be shown."""
        actor, private = await self._actor(reader, Role.AUDITOR)
        extra = facts_of(meant, one_person=bool(wanted.identity))
        if looked.found >= 0:
            extra["found"] = looked.found
        await self._reading.recorder.record(
            LogRead(
                actor=actor,
                on=looked.on or target_of(meant),
                first=looked.first,
                end=looked.end,
                purpose=wanted.purpose,
                extra=extra,
                private=private,
            )
        )


def target_of(meant: Filter) -> Target:
    """Whom and what a reading was about, where it was about one."""
    subject = Pseudonym(meant.subject[-1]) if meant.subject else NOBODY
    return Target(room=meant.room[0] if len(meant.room) == 1 else "", subject=subject)


async def _body(request: Request, known: Sequence[Parameter]) -> Wanted:
    """The parameters in a JSON body. Raises RemoteError: content_type, body_too_long, query_malformed, ..."""
    require_type(request, "application/json")
    body = await read_body(request, MAX_SEARCH)
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RemoteError("query_malformed", "the body is no JSON") from error
    return parameters.read(parameters.of_object(document), known)


def _rest(answer: Answer) -> dict[str, object]:
    """How a page ends."""
    return {
        "next": str(answer.next),
        "more": answer.more,
        "size": answer.size,
        "checkpoint": answer.checkpoint,
    }


def _json(body: str) -> Response:
    return Response(body, headers=PRIVATE, media_type="application/json")
