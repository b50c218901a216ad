"""The door through which everybody gets in, and rooms come and go: recorded first, then done.

In: tickets that passed every check, grants of the server API. Out: rooms and peers, or RemoteError. Must not: be
passed by anybody else; `tests/architecture/test_audited_door.py` watches who calls the rooms.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from typing import Final

from common.errors import RemoteError
from common.ids import RoomName, RoomSid
from sfu.model import PeerSpec, RoomOptions
from sfu.ports import PeerPort, RoomPort
from signalling import acts
from signalling.admission import ROOM_UNKNOWN_TEXT, Admission, Attempt, Ticket, merged
from signalling.grants import Grants
from signalling.ledger import UNRECORDABLE, Ledger
from signalling.ports import Gate, Rooms

ROOM_ATTEMPTS: Final = 3  # rooms that may end under an admission, one after the other
# Refusals that say nothing about a token: whoever is refused so is not known yet, or nothing was decided.
_UNDECIDED: Final = frozenset({"join_rate_exceeded", *UNRECORDABLE})


class Door:
    """One for all protocols."""

    def __init__(
        self, rooms: Rooms, ledger: Ledger, admission: Admission, gate: Gate | None = None
    ) -> None:
        """`gate` has the last word about who gets in."""
        self._rooms = rooms
        self._ledger = ledger
        self._admission = admission
        self._gate = gate
        self._opening: dict[RoomName, asyncio.Task[RoomPort]] = {}

    async def admit(self, ticket: Ticket, spec: PeerSpec) -> tuple[RoomPort, PeerPort]:
        """Lets a participant in, into a new room if need be. Raises RemoteError."""
        if self._gate is not None:
            spec = await self._gate.admit(ticket.room, spec)
        if self._rooms.draining:
            raise RemoteError("draining", "this server takes no more participants")
        for _ in range(ROOM_ATTEMPTS):
            room, _ = await self.open_room(ticket.room, ticket.options, ticket.grants)
            sid = self._rooms.reserve_peer()
            act = acts.admission(room, sid, ticket.grants, spec)
            recorded = await self._ledger.record(act)
            if self._rooms.rooms.get(ticket.room) is not room:
                self._ledger.abandon(recorded, "room_ended")
                continue
            try:
                peer = self._rooms.join(ticket.room, spec, ticket.options, sid)
            except RemoteError as error:
                self._ledger.abandon(recorded, error.code)
                raise
            self._ledger.admitted(room.sid, sid, ticket.grants.issuer, recorded)
            return room, peer
        raise RemoteError("room_ended", "the room ends again and again")

    async def refuse(self, attempt: Attempt, error: RemoteError) -> None:
        """Puts a refusal on record, of a token or of somebody with a good one. Raises RemoteError as `record`."""
        if error.code in _UNDECIDED:
            return
        token = self._admission.token(attempt)
        try:
            grants = self._admission.grants(attempt)
        except RemoteError as refused:
            self._ledger.token_refused(token, refused.code)
            return
        if not grants.room_join:
            self._ledger.token_refused(token, error.code)
            return
        room = self._rooms.rooms.get(grants.room)
        await self._ledger.admission_refused(grants, room.sid if room else RoomSid(""), error.code)

    async def open_room(
        self, name: RoomName, options: RoomOptions, grants: Grants
    ) -> tuple[RoomPort, bool]:
        """The room of that name, and whether it is new. However many ask at once, one is created."""
        room = self._rooms.rooms.get(name)
        if room is not None:
            return room, False
        opening = self._opening.get(name)
        if opening is not None:
            return await asyncio.shield(opening), False
        opening = asyncio.create_task(self._create(name, options, grants), name="room")
        self._opening[name] = opening
        opening.add_done_callback(lambda task: self._opened(name, task))
        return await asyncio.shield(opening), True

    async def change_room(self, room: RoomPort, wanted: RoomOptions, grants: Grants) -> None:
        """Replaces those options of a room that `wanted` sets."""
        options = merged(wanted, replace(room.options, metadata=room.metadata))
        before = asdict(replace(room.options, metadata=room.metadata))
        facts = [name for name, value in asdict(options).items() if value != before[name]]
        if not facts:
            return
        recorded = await self._ledger.record(acts.room_changed(room, grants, facts))
        if self._rooms.rooms.get(room.name) is not room:
            self._ledger.abandon(recorded, "room_ended")
            raise RemoteError("not_found", ROOM_UNKNOWN_TEXT)
        self._rooms.create_room(room.name, options)
        if room.metadata != options.metadata:
            room.set_metadata(options.metadata)

    async def end_room(self, room: RoomPort, grants: Grants) -> None:
        """Ends a room and everybody in it, by somebody's will."""
        self._ledger.deleting(room.sid, True)
        try:
            await self._ledger.record(
                acts.room_deleted(room, grants, *self._ledger.life_of(room.sid))
            )
        except (RemoteError, asyncio.CancelledError):
            self._ledger.deleting(room.sid, False)
            if (
                self._rooms.rooms.get(room.name) is not room
            ):  # it ended meanwhile, and nobody said so
                self._ledger.ended(room, "room_closed")
            raise
        if self._rooms.rooms.get(room.name) is room:
            self._rooms.delete_room(room.name)

    async def _create(self, name: RoomName, options: RoomOptions, grants: Grants) -> RoomPort:
        sid = self._rooms.reserve_room()
        recorded = await self._ledger.record(acts.room_created(sid, grants))
        if self._rooms.draining:
            self._ledger.abandon(recorded, "draining")
            raise RemoteError("draining", "this server opens no more rooms")
        room = self._rooms.create_room(name, options, sid)
        self._ledger.opened(sid)
        return room

    def _opened(self, name: RoomName, task: asyncio.Task[RoomPort]) -> None:
        self._opening.pop(name, None)
        if not task.cancelled():
            task.exception()  # whoever waited has it; if nobody does any more, it is of no concern
