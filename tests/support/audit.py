"""Values for tests of the audit trail: one event of every kind, hypothesis strategies, records."""

from __future__ import annotations

from hypothesis import strategies as st

from compliance.envelope import Record
from compliance.events import (
    KINDS,
    ActAbandoned,
    Actor,
    AdmissionGranted,
    AdmissionRefused,
    ConfigurationApplied,
    CustomRecorded,
    EntryCorrected,
    Event,
    KeyUsed,
    LogExported,
    LogRead,
    ParticipantLeft,
    ParticipantRemoved,
    ParticipantUpdated,
    Private,
    RoomChanged,
    RoomCreated,
    RoomEnded,
    ServerStarted,
    ServerStopped,
    SubjectErased,
    SubscriptionPermissionChanged,
    SubscriptionsUpdated,
    Target,
    TokenIssued,
    TokenRefused,
    TokenRevoked,
    TrackMuted,
    TrackPublished,
    TrackUnpublished,
    VaultRead,
    Why,
    data_fields,
)
from compliance.words import Decision, Gate, Pseudonym, Role, TenantId, VaultRef

SYSTEM = Actor(Role.SYSTEM)
SOMEBODY = Pseudonym("p_" + "0123456789abcdef" * 2)
MODERATOR = Actor(Role.MODERATOR, SOMEBODY, "key-1")
ROOM = Target(
    room="RM_abcdefghijkl", peer="PA_abcdefghijkl", track="TR_abcdefghijkl", subject=SOMEBODY
)
REFUSAL = Why(Gate.ADMIT, Decision.REFUSED, "room_full", "sha256:" + "ab" * 32)
SEALED = Private("cd" * 32, VaultRef("v_" + "ef" * 16))
HASH = "sha256:" + "00" * 32
TIME = 1_700_000_000_123_456

ONE_OF_EACH: tuple[Event, ...] = (
    ServerStarted(actor=SYSTEM, version="0.1.0", configuration=HASH),
    ServerStopped(actor=SYSTEM, why=Why(reason="signal")),
    ConfigurationApplied(actor=Actor(Role.OPERATOR), configuration=HASH),
    KeyUsed(actor=SYSTEM, key="checkpoint", purpose="sign"),
    RoomCreated(actor=Actor(Role.API, key="key-1"), on=Target(room="RM_abcdefghijkl")),
    RoomChanged(actor=MODERATOR, on=ROOM, facts=("metadata",)),
    RoomEnded(actor=SYSTEM, on=ROOM, seconds=60, participants=2),
    AdmissionGranted(actor=SYSTEM, on=ROOM, rights=("publish", "subscribe"), private=SEALED,
                     tenant=TenantId("acme"), extra={"agent": "A-17", "desk": 4, "training": True}),
    AdmissionRefused(actor=SYSTEM, on=ROOM, why=REFUSAL),
    ParticipantLeft(actor=SYSTEM, on=ROOM, seconds=59),
    TrackPublished(actor=SYSTEM, on=ROOM, medium="audio", purpose="microphone", end_to_end_encrypted=False),
    TrackUnpublished(actor=SYSTEM, on=ROOM, seconds=12),
    SubscriptionPermissionChanged(actor=MODERATOR, on=ROOM, everyone=False, allowed=(SOMEBODY,)),
    SubscriptionsUpdated(actor=MODERATOR, on=ROOM, subscribed=True, tracks=("TR_abcdefghijkl",)),
    TrackMuted(actor=MODERATOR, on=ROOM, muted=True),
    ParticipantUpdated(actor=MODERATOR, on=ROOM, facts=("name",), granted=("publish",), withdrawn=("hidden",)),
    ParticipantRemoved(actor=MODERATOR, on=ROOM),
    TokenIssued(actor=SYSTEM, token=HASH, expires=1_700_003_600),
    TokenRefused(actor=SYSTEM, token=HASH, why=Why(Gate.KNOCK, Decision.REFUSED, "token_expired")),
    TokenRevoked(actor=MODERATOR, on=ROOM),
    LogRead(actor=Actor(Role.AUDITOR, SOMEBODY), first=0, end=10, purpose="review"),
    LogExported(actor=Actor(Role.AUDITOR, SOMEBODY), first=0, end=10, purpose="court", format="jsonl"),
    VaultRead(actor=Actor(Role.AUDITOR, SOMEBODY), on=ROOM, purpose="access_request"),
    SubjectErased(actor=SYSTEM, on=ROOM),
    ActAbandoned(actor=SYSTEM, sequence=7, why=Why(reason="audit_timeout")),
    EntryCorrected(actor=MODERATOR, index=3),
    CustomRecorded(actor=SYSTEM, name="case_opened"),
)  # fmt: skip
assert [event.kind for event in ONE_OF_EACH] == list(KINDS)


def record(event: Event, sequence: int = 1, source: str = "pop-1/server/5f3a") -> Record:
    """An event in an envelope."""
    return Record(source, sequence, TIME + sequence, "pop-1", "eu-central", event)


identifiers = st.from_regex(r"[A-Za-z][A-Za-z0-9._/+\-]{0,30}", fullmatch=True)
optional = st.just("") | identifiers
numbers = st.integers(0, 2**53 - 1)
pseudonyms = st.just(Pseudonym("")) | st.from_regex(r"p_[0-9a-f]{32}", fullmatch=True).map(
    Pseudonym
)
values = {
    str: identifiers,
    int: numbers,
    bool: st.booleans(),
    tuple: st.lists(identifiers, max_size=4).map(tuple),
}


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Any event that may exist."""
    example = draw(st.sampled_from(ONE_OF_EACH))
    data = {name: draw(values[type(getattr(example, name))]) for name in data_fields(type(example))}
    return type(example)(
        actor=Actor(draw(st.sampled_from(Role)), draw(pseudonyms), draw(optional)),
        on=Target(draw(optional), draw(optional), draw(optional), draw(pseudonyms)),
        why=Why(draw(st.sampled_from(Gate)), draw(st.sampled_from(Decision)), draw(optional), draw(optional)),
        tenant=TenantId(draw(optional)),
        extra=draw(st.dictionaries(identifiers, identifiers | numbers | st.booleans(), max_size=4)),
        private=draw(st.none() | st.just(SEALED)),
        **data,
    )  # fmt: skip


records = st.builds(
    Record,
    identifiers,
    st.integers(1, 2**53 - 1),
    st.integers(0, 4_000_000_000_000_000),
    optional,
    optional,
    events(),
)
