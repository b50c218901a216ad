"""What signalling needs from those whom it does not know, as protocols; `server` wires them.

Rooms, peers and tracks themselves are `sfu.ports`. Calls of `Rooms` are synchronous and quick: they change
state and queue commands for the data plane, `Rooms.flush` hands them over. A refusal raises
`common.errors.RemoteError` with a stable code and changes nothing.

Events reach their listener only inside `Rooms.flush`, in order, never inside another call: what a call returned
can be sent before what it caused.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from common.errors import RemoteError
from common.ids import Identity, PeerSid, RoomName, RoomSid
from compliance.events import Event
from compliance.words import NOBODY, Pseudonym
from sfu.model import PeerSpec, RoomOptions
from sfu.ports import PeerPort, RoomPort


class Rooms(Protocol):
    """The engine, as signalling sees it."""

    @property
    def rooms(self) -> Mapping[RoomName, RoomPort]:
        """Rooms that exist."""

    @property
    def draining(self) -> bool:
        """Whether nobody is let in any more."""

    def reserve_room(self) -> RoomSid:
        """Names a room that is about to be created."""

    def reserve_peer(self) -> PeerSid:
        """Names a participant that is about to join."""

    def create_room(
        self, name: RoomName, options: RoomOptions, sid: RoomSid | None = None
    ) -> RoomPort:
        """Creates a room, or updates the non-default options of one that exists."""

    def delete_room(self, name: RoomName) -> None:
        """Ends a room and everybody in it. Raises RemoteError: not_found."""

    def join(
        self, name: RoomName, spec: PeerSpec, options: RoomOptions, sid: PeerSid | None = None
    ) -> PeerPort:
        """Lets a participant in, into a new room if need be; an older peer of that identity leaves.

        Raises RemoteError: room_full, draining.
        """

    def send_data(self, peers: Iterable[PeerPort], label: str, data: bytes) -> None:
        """One message to many peers' channels of that label; unreachable ones are skipped."""

    def channel_open(self, peer: PeerPort, label: str) -> bool:
        """Whether `peer` can be reached on that channel."""

    def flush(self) -> None:
        """Hands queued commands to the data plane."""


class Gate(Protocol):
    """Policy in front of the rooms; `server` wires one in where meetings have policies."""

    async def admit(self, room: RoomName, spec: PeerSpec) -> PeerSpec:
        """Returns what the participant may be, possibly less than asked for, once that is on record.

        Raises RemoteError with the policy's code to refuse.
        """


@dataclass(frozen=True, slots=True)
class Person:
    """Whom an act is about, as signalling knows them. Nothing of it stands in an entry."""

    identity: Identity
    facts: Mapping[str, str] = field(default_factory=dict)  # to be sealed; none: only named


@dataclass(frozen=True, slots=True)
class Act:
    """Something that may happen once it is on record."""

    events: tuple[Event, ...]  # recorded in this order, all before it happens
    about: Person | None = None  # becomes the subject of every event that names none
    by: Person | None = None  # becomes the subject of their actor


@dataclass(frozen=True, slots=True)
class Recorded:
    """An act is on record."""

    sequences: tuple[int, ...]  # of its events, among those of this server
    index: int | None = None  # of the last one in the log, None while it is not there yet
    subject: Pseudonym = NOBODY  # of `Act.about`


class Trail(Protocol):
    """The audit log; `server` wires it. Never asked by media."""

    def record(self, act: Act, done: Callable[[Recorded | RemoteError], None]) -> None:
        """Writes an act down. `done` hears once, soon, and in the order of the calls or nearly so.

        With RemoteError (audit_unavailable, audit_timeout, audit_refused) the act must not happen.
        """

    def note(self, event: Event) -> None:
        """Writes down, after all that was recorded before, what has happened by itself."""
