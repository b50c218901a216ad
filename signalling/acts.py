"""What acts are called in the audit log: events made of the facts at hand, before anything happens.

In: rooms, participants, grants, requests. Out: `Act`s and events. Must not: change anything, or put a name, an
identity or a message into an event; a person is in `Act.about`, which the log gets as a pseudonym.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final

from common.errors import LocalError
from common.ids import Identity, PeerSid, RoomSid, TrackSid
from compliance.events import (
    Actor,
    AdmissionGranted,
    AdmissionRefused,
    Event,
    ParticipantRemoved,
    ParticipantUpdated,
    RoomChanged,
    RoomCreated,
    RoomEnded,
    SubscriptionPermissionChanged,
    SubscriptionsUpdated,
    Target,
    TokenIssued,
    TokenRefused,
    TrackMuted,
    TrackPublished,
    Why,
)
from compliance.words import MAX_ITEMS, Decision, Gate, Pseudonym, Role, check_identifier
from sfu.model import PeerKind, PeerSpec, Permissions, PublicationSpec
from sfu.ports import PeerPort, RoomPort
from signalling.grants import Grants
from signalling.ports import Act, Person

SYSTEM: Final = Actor(Role.SYSTEM)
GRANTED: Final = Why(Gate.ADMIT, Decision.GRANTED)
_ROLES: Final = {PeerKind.AGENT: Role.AGENT, PeerKind.EGRESS: Role.RECORDER}
_RIGHTS: Final = {
    "can_publish": "publish",
    "can_subscribe": "subscribe",
    "can_publish_data": "publish_data",
    "can_update_metadata": "update_metadata",
    "can_subscribe_metrics": "subscribe_metrics",
    "hidden": "hidden",
    "recorder": "recorder",
}


class Unrecorded(StrEnum):
    """Why a message or call needs no entry of its own. Whoever adds one has to say."""

    READS = "it reads what its caller may see"
    NEGOTIATES = "how media travels, not who gets which"
    CHOOSES = "what a client takes of what it may have, or says about what is its own"
    KEEPS_ALIVE = "nothing happens"
    CONTENT = "content of a call, of which the log holds nothing"
    OBSERVED = "its consequences are noted as they happen"
    REFUSED = "it is always refused or ignored"
    AT_THE_DOOR = "it goes through `signalling.door`, which records"


def admission(room: RoomPort, peer: PeerSid, grants: Grants, spec: PeerSpec) -> Act:
    """A participant may enter."""
    event = AdmissionGranted(
        actor=Actor(_ROLES.get(spec.kind, Role.PARTICIPANT), key=identifier(grants.issuer)),
        on=Target(room=room.sid, peer=peer),
        why=GRANTED,
        rights=rights_of(spec.permissions),
        identity_level="token",
    )
    facts = {"identity": grants.holder, "name": spec.name, "room": room.name}
    person = Person(grants.holder, {key: value for key, value in facts.items() if value})
    return Act((event,), about=person, by=Person(grants.holder))


def admission_refused(grants: Grants, room: RoomSid, code: str, unrecorded: int) -> Act:
    """A participant may not enter, although its token is a good one."""
    event = AdmissionRefused(
        actor=Actor(Role.PARTICIPANT, key=identifier(grants.issuer)),
        on=Target(room=room),
        why=Why(Gate.ADMIT, Decision.REFUSED, identifier(code)),
        extra=_more(unrecorded),
    )
    person = Person(grants.holder) if grants.holder else None
    return Act((event,), about=person, by=person)


def token_refused(token: str, code: str, unrecorded: int) -> TokenRefused:
    """A token opened no door."""
    return TokenRefused(
        actor=SYSTEM,
        why=Why(Gate.KNOCK, Decision.REFUSED, identifier(code)),
        token=hash_of(token) if token else "",
        extra=_more(unrecorded),
    )


def token_issued(token: str, holder: Identity, expires_at: float, on: Target = Target()) -> Act:  # noqa: B008 - frozen
    """The server made a token."""
    event = TokenIssued(actor=SYSTEM, on=on, token=hash_of(token), expires=int(expires_at))
    return Act((event,), about=Person(holder))


def room_created(sid: RoomSid, grants: Grants) -> Act:
    """A room comes to be."""
    return of(grants, RoomCreated(actor=actor_of(grants), on=Target(room=sid)))


def room_changed(room: RoomPort, grants: Grants, facts: Iterable[str]) -> Act:
    """Facts of a room change."""
    on = Target(room=room.sid)
    return of(grants, RoomChanged(actor=actor_of(grants), on=on, facts=tuple(facts)))


def room_deleted(room: RoomPort, grants: Grants, seconds: int, participants: int) -> Act:
    """Somebody ends a room."""
    event = RoomEnded(
        actor=actor_of(grants),
        on=Target(room=room.sid),
        why=Why(reason="room_deleted"),
        seconds=seconds,
        participants=participants,
    )
    return of(grants, event)


def removal(on: Target, grants: Grants) -> Act:
    """Somebody sends a participant away."""
    return of(grants, ParticipantRemoved(actor=actor_of(grants), on=on))


def muting(on: Target, grants: Grants, muted: bool) -> Act:
    """Somebody mutes or unmutes another's track."""
    return of(grants, TrackMuted(actor=actor_of(grants), on=on, muted=muted))


def subscriptions(
    on: Target, grants: Grants, tracks: Sequence[TrackSid], *, subscribed: bool
) -> Act:
    """Somebody decides what another receives."""
    named = [identifier(track) for track in tracks]
    return of(
        grants,
        *(
            SubscriptionsUpdated(
                actor=actor_of(grants), on=on, subscribed=subscribed, tracks=tuple(part)
            )
            for part in _parts(named)
        ),
    )


def publishing(actor: Actor, on: Target, spec: PublicationSpec) -> TrackPublished:
    """Others may receive a track from now on."""
    return TrackPublished(
        actor=actor,
        on=on,
        medium=str(spec.kind),
        purpose=str(spec.source),
        end_to_end_encrypted=spec.encryption != 0,
    )


def permission(
    actor: Actor, on: Target, everyone: bool, allowed: Sequence[Pseudonym], absent: int
) -> Act:
    """Who may receive a participant's tracks; `absent` of the allowed are not in the room."""
    extra = {"absent": absent} if absent else {}
    parts = list(_parts(allowed)) or [()]
    return Act(
        tuple(
            SubscriptionPermissionChanged(
                actor=actor, on=on, everyone=everyone, allowed=tuple(part), extra=extra
            )
            for part in parts
        )
    )


def update(
    actor: Actor, on: Target, peer: PeerPort, facts: Mapping[str, object], permissions: Permissions | None
) -> ParticipantUpdated:  # fmt: skip
    """Facts and rights of a participant change; of facts only which ones."""
    before = set(rights_of(peer.permissions))
    after = set(rights_of(permissions)) if permissions is not None else before
    return ParticipantUpdated(
        actor=actor,
        on=on,
        facts=tuple(name for name, value in facts.items() if value),
        granted=tuple(sorted(after - before)),
        withdrawn=tuple(sorted(before - after)),
    )


def renamed(holder: Identity, name: str) -> Person:
    """A participant, with its new name to be sealed if it gets one."""
    return Person(holder, {"identity": holder, "name": name} if name else {})


def actor_of(grants: Grants) -> Actor:
    """Who uses a token: somebody who may be there, with or without power over others, or the tenant's software."""
    role = Role.API
    if _is_person(grants):
        role = Role.MODERATOR if grants.room_admin else Role.PARTICIPANT
    return Actor(role, key=identifier(grants.issuer))


def participant(peer: PeerPort, subject: Pseudonym, issuer: str) -> Actor:
    """Who acts for itself."""
    return Actor(_ROLES.get(peer.kind, Role.PARTICIPANT), subject, identifier(issuer))


def rights_of(permissions: Permissions) -> tuple[str, ...]:
    """Names of what a participant may do."""
    rights = [name for option, name in _RIGHTS.items() if getattr(permissions, option)]
    sources = sorted(permissions.can_publish_sources) if permissions.can_publish else ()
    return (*rights, *(f"publish:{source}" for source in sources))


def identifier(text: str) -> str:
    """`text` if it may stand in an entry, else a hash of it."""
    try:
        check_identifier("identifier", text)
    except LocalError:
        return hash_of(text)
    return text


def hash_of(text: str) -> str:
    """Names a text without saying it."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def of(grants: Grants, *events: Event) -> Act:
    """An act of whoever holds a token."""
    return Act(events, by=Person(grants.holder) if _is_person(grants) else None)


def _is_person(grants: Grants) -> bool:
    return grants.room_join and bool(grants.holder)


def _parts(items: Sequence[str]) -> Iterator[Sequence[str]]:
    """As many as one event holds at a time."""
    return (items[first : first + MAX_ITEMS] for first in range(0, len(items), MAX_ITEMS))


def _more(unrecorded: int) -> Mapping[str, int]:
    """How many of the same kind went before without an entry of their own."""
    return {"unrecorded": unrecorded} if unrecorded else {}
