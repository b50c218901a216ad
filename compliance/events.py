"""Every audit event, as frozen dataclasses: a closed list with stable names.

In: facts in the words of `compliance.words`. Out: values that `compliance.envelope` writes down. Must not: hold
personal data. A person is a pseudonym; what else must be remembered is sealed in the vault, and the event holds a
keyed commitment and a reference to it. A new kind is added here and to `KINDS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import ClassVar, Final

from compliance.words import (
    COMMITMENT,
    NO_TENANT,
    NOBODY,
    VAULT_REF,
    Decision,
    Gate,
    Pseudonym,
    Role,
    TenantId,
    VaultRef,
    check_identifier,
    check_pseudonym,
    check_value,
    invalid,
)

Extra = Mapping[str, str | int | bool]
MAX_EXTRA = 32  # tenant-defined fields of one event


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts."""

    role: Role
    subject: Pseudonym = NOBODY  # of a person
    key: str = ""  # identifier of the API key or certificate that was used

    def __post_init__(self) -> None:
        """Raises LocalError `event_invalid`."""
        check_pseudonym("actor.subject", self.subject)
        check_identifier("actor.key", self.key)


@dataclass(frozen=True, slots=True)
class Target:
    """On whom or what; sids of this server, never names."""

    room: str = ""
    peer: str = ""
    track: str = ""
    subject: Pseudonym = NOBODY

    def __post_init__(self) -> None:
        """Raises LocalError `event_invalid`."""
        for name in ("room", "peer", "track"):
            check_identifier(f"on.{name}", getattr(self, name))
        check_pseudonym("on.subject", self.subject)


@dataclass(frozen=True, slots=True)
class Why:
    """What it rests on."""

    gate: Gate = Gate.NONE
    decision: Decision = Decision.NONE
    reason: str = ""  # the stable code, the same as on the wire and in metrics
    policy: str = ""  # `sha256:` and the hash of the policy template in force

    def __post_init__(self) -> None:
        """Raises LocalError `event_invalid`."""
        check_identifier("why.reason", self.reason)
        check_identifier("why.policy", self.policy)


@dataclass(frozen=True, slots=True)
class Private:
    """Where the personal part of an event is, and a keyed commitment to it."""

    commitment: str  # 64 hexadecimal digits: HMAC-SHA256; see crypto.pseudonyms
    vault: VaultRef

    def __post_init__(self) -> None:
        """Raises LocalError `event_invalid`."""
        if not COMMITMENT.fullmatch(self.commitment) or not VAULT_REF.fullmatch(self.vault):
            raise invalid("private is no commitment with a reference")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What all events have; fields of the kinds below are what happened."""

    kind: ClassVar[str] = ""

    actor: Actor
    on: Target = Target()
    why: Why = Why()
    tenant: TenantId = NO_TENANT
    extra: Extra = field(default_factory=dict)
    private: Private | None = None

    def __post_init__(self) -> None:
        """Raises LocalError `event_invalid`."""
        check_identifier("tenant", self.tenant)
        if len(self.extra) > MAX_EXTRA:
            raise invalid("too many extra fields")
        for name, value in self.extra.items():
            check_identifier("extra", name)
            check_value(f"extra.{name}", value)
        for name in data_fields(type(self)):
            check_value(name, getattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStarted(Event):
    """A source begins; always its first event."""

    kind: ClassVar[str] = "server_started"
    version: str
    configuration: str  # `sha256:` and the hash of the configuration in force


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStopped(Event):
    """A source ends in order; always its last event."""

    kind: ClassVar[str] = "server_stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationApplied(Event):
    """Another configuration is in force."""

    kind: ClassVar[str] = "configuration_applied"
    configuration: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUsed(Event):
    """A key of the server's own was used for something else than media."""

    kind: ClassVar[str] = "key_used"
    key: str
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomCreated(Event):
    """A room exists, under the policy that `why` names."""

    kind: ClassVar[str] = "room_created"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomChanged(Event):
    """Facts of a room changed."""

    kind: ClassVar[str] = "room_changed"
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomEnded(Event):
    """A room is gone."""

    kind: ClassVar[str] = "room_ended"
    seconds: int
    participants: int  # that were ever admitted


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionGranted(Event):
    """A participant may enter, with these rights."""

    kind: ClassVar[str] = "admission_granted"
    rights: tuple[str, ...]
    identity_level: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionRefused(Event):
    """A participant may not enter; `why.reason` says why."""

    kind: ClassVar[str] = "admission_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantLeft(Event):
    """A participant is no longer there."""

    kind: ClassVar[str] = "participant_left"
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackPublished(Event):
    """Others may receive a track."""

    kind: ClassVar[str] = "track_published"
    medium: str  # audio or video
    purpose: str  # camera, microphone, screen_share, ...
    end_to_end_encrypted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackUnpublished(Event):
    """A track is gone."""

    kind: ClassVar[str] = "track_unpublished"
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionPermissionChanged(Event):
    """Who may receive a participant's tracks."""

    kind: ClassVar[str] = "subscription_permission_changed"
    everyone: bool
    allowed: tuple[str, ...] = ()  # pseudonyms, where not everyone


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionsUpdated(Event):
    """A moderator decided what a participant receives; tracks beyond the bound are in further events."""

    kind: ClassVar[str] = "subscriptions_updated"
    subscribed: bool
    tracks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackMuted(Event):
    """A moderator muted or unmuted somebody's track."""

    kind: ClassVar[str] = "track_muted"
    muted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantUpdated(Event):
    """Facts or rights of a participant changed."""

    kind: ClassVar[str] = "participant_updated"
    facts: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantRemoved(Event):
    """A moderator removed a participant."""

    kind: ClassVar[str] = "participant_removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIssued(Event):
    """The server made an access token."""

    kind: ClassVar[str] = "token_issued"
    token: str  # a hash of it
    expires: int  # seconds since the epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRefused(Event):
    """A token opened no door; `why.reason` says why."""

    kind: ClassVar[str] = "token_refused"
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRevoked(Event):
    """A token, or all tokens of a person, are no longer accepted."""

    kind: ClassVar[str] = "token_revoked"
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRead(Event):
    """Somebody looked at entries [first, end) of the log."""

    kind: ClassVar[str] = "log_read"
    first: int
    end: int
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogExported(Event):
    """Entries [first, end) left the system."""

    kind: ClassVar[str] = "log_exported"
    first: int
    end: int
    purpose: str
    format: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultRead(Event):
    """Somebody opened sealed records about `on.subject`."""

    kind: ClassVar[str] = "vault_read"
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectErased(Event):
    """The key of everything sealed about `on.subject` is to be destroyed."""

    kind: ClassVar[str] = "subject_erased"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActAbandoned(Event):
    """An event of this source was written, but its act was refused because no receipt came in time."""

    kind: ClassVar[str] = "act_abandoned"
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryCorrected(Event):
    """An earlier entry was wrong; `extra` says how it should be read. Entries are never changed."""

    kind: ClassVar[str] = "entry_corrected"
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomRecorded(Event):
    """An event of the tenant's own; its facts are in `extra`."""

    kind: ClassVar[str] = "custom_recorded"
    name: str


KINDS: Final[Mapping[str, type[Event]]] = MappingProxyType(
    {
        each.kind: each
        for each in (
            ServerStarted, ServerStopped, ConfigurationApplied, KeyUsed, RoomCreated, RoomChanged, RoomEnded,
            AdmissionGranted, AdmissionRefused, ParticipantLeft, TrackPublished, TrackUnpublished,
            SubscriptionPermissionChanged, SubscriptionsUpdated, TrackMuted, ParticipantUpdated,
            ParticipantRemoved, TokenIssued, TokenRefused, TokenRevoked, LogRead, LogExported, VaultRead,
            SubjectErased, ActAbandoned, EntryCorrected, CustomRecorded,
        )
    }
)  # fmt: skip

# What begins must end: (opening kind, closing kind, field of `on` that names it; "" is the source itself).
PAIRS: Final = (
    (ServerStarted.kind, ServerStopped.kind, ""),
    (RoomCreated.kind, RoomEnded.kind, "room"),
    (AdmissionGranted.kind, ParticipantLeft.kind, "peer"),
    (TrackPublished.kind, TrackUnpublished.kind, "track"),
)

_COMMON: Final = frozenset(each.name for each in fields(Event))
_DATA: dict[type[Event], tuple[str, ...]] = {}


def data_fields(kind: type[Event]) -> tuple[str, ...]:
    """Names of the fields that only this kind has."""
    names = _DATA.get(kind)
    if names is None:
        names = tuple(each.name for each in fields(kind) if each.name not in _COMMON)
        _DATA[kind] = names
    return names
