"""An audit log in memory: at once, refusing, or held back until a test says so."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from common.errors import RemoteError
from common.ids import RoomName
from compliance.events import Event
from compliance.words import NOBODY, Pseudonym
from sfu.model import PeerSpec, RoomOptions
from sfu.ports import PeerPort
from signalling import acts
from signalling.grants import Grants
from signalling.hub import Hub
from signalling.ports import Act, Person, Recorded

E = TypeVar("E", bound=Event)
PATIENCE = 10.0  # seconds until an act must have been asked for, on a loaded machine
Done = Callable[[Recorded | RemoteError], None]


class TrailDouble:
    """`signalling.ports.Trail` for tests."""

    def __init__(self) -> None:
        self.events: list[Event] = []  # in the order of the log
        self.sealed: list[Person] = []
        self.refusal = ""  # the code with which acts are refused; notes are taken
        self.holding = False
        self._held: list[tuple[Act, Done]] = []
        self._arrived = asyncio.Event()

    def record(self, act: Act, done: Done) -> None:
        if self.holding:
            self._held.append((act, done))
            self._arrived.set()
        else:
            done(self._write(act))

    def note(self, event: Event) -> None:
        self.events.append(event)

    def release(self, count: int | None = None) -> None:
        """What was held back goes on, oldest first."""
        released, self._held = self._held[:count], self._held[count or len(self._held) :]
        for act, done in released:
            done(self._write(act))

    async def when_held(self) -> None:
        """Until exactly one act waits."""
        async with asyncio.timeout(PATIENCE):
            while self.held != 1:
                self._arrived.clear()
                await self._arrived.wait()

    @property
    def held(self) -> int:
        """Acts that wait."""
        return len(self._held)

    @property
    def kinds(self) -> list[str]:
        """Kinds of what is in the log."""
        return [event.kind for event in self.events]

    def of(self, kind: type[E]) -> list[E]:
        """Events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def only(self, kind: type[E]) -> E:
        """The one event of a kind."""
        (event,) = self.of(kind)
        return event

    def _write(self, act: Act) -> Recorded | RemoteError:
        if self.refusal:
            return RemoteError(self.refusal, "the audit log refuses")
        subject, actor = pseudonym_of(act.about), pseudonym_of(act.by)
        if act.about is not None and act.about.facts:
            self.sealed.append(act.about)
        first = len(self.events) + 1
        for event in act.events:
            on = replace(event.on, subject=event.on.subject or subject)
            by = replace(event.actor, subject=event.actor.subject or actor)
            self.events.append(replace(event, on=on, actor=by))
        last = len(self.events)
        return Recorded(tuple(range(first, last + 1)), last - 1, subject)


def pseudonym_of(person: Person | None) -> Pseudonym:
    """The same for the same identity."""
    if person is None or not person.identity:
        return NOBODY
    return Pseudonym("p_" + hashlib.sha256(person.identity.encode()).hexdigest()[:32])


def let_in(hub: Hub, name: RoomName, spec: PeerSpec, options: RoomOptions) -> PeerPort:
    """What the door does, without waiting: everything is on record, then the participant joins."""
    rooms, ledger = hub.rooms, hub.ledger
    room = rooms.rooms.get(name)
    if room is None:
        room = rooms.create_room(name, options)
        ledger.opened(room.sid)
    peer = rooms.join(name, spec, options)
    grants = Grants(issuer="APIkey", expires_at=0.0, holder=spec.identity, room=name)

    def done(outcome: Recorded | RemoteError, _now: float) -> None:
        assert isinstance(outcome, Recorded)
        ledger.admitted(room.sid, peer.sid, grants.issuer, outcome)

    ledger.begin(acts.admission(room, peer.sid, grants, spec), done)
    return peer
