"""Brings members in; turns events of the sfu into messages on the sessions of those whom they concern.

In: joins and resumes from the sockets, events from the sfu (its only listener here), deadlines. Out: messages on
sessions. Must not: do I/O; everything happens inside calls.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from livekit.protocol import rtc

from common.clock import Clock
from common.errors import LocalError, RemoteError
from common.ids import PeerSid, RoomSid, TrackSid
from compliance.events import Target
from crypto.tokens import MAX_TOKEN_LENGTH, SigningKeys, issue
from sfu import events
from sfu.model import LeaveReason
from sfu.ports import PeerPort, RoomPort
from signalling import acts, clients, messages
from signalling.data_feed import DataFeed
from signalling.effects import CloseCode
from signalling.facts import facts_of
from signalling.feeds import Feeds
from signalling.grants import Grants, refreshed_claims
from signalling.joining import JoinParams
from signalling.ledger import Ledger
from signalling.limits import REFRESH_INTERVAL, REFRESH_LIFE, REFRESH_RETRY
from signalling.member import Member
from signalling.messages import IceServer, JoinFacts, ServerFacts
from signalling.people import People
from signalling.ports import Recorded, Rooms, Trail
from signalling.roster import Roster
from signalling.schedule import Schedule
from signalling.session import Session
from signalling.told import Farewells
from signalling.wire import Outbound

SIF_TRAILER_LENGTH: Final = 16  # random bytes that no encrypted frame ends with by chance
PROTOCOL_WITH_TRACK_UNPUBLISHED: Final = 7


def no_ice_servers(_: PeerPort) -> Sequence[IceServer]:
    """Clients reach the server directly."""
    return ()


@dataclass(frozen=True, slots=True)
class HubSettings:
    """What stays the same while the server runs."""

    keys: SigningKeys
    entropy: Callable[[int], bytes]  # n random bytes
    server: ServerFacts = field(default_factory=ServerFacts)
    codecs: Sequence[str] = clients.PUBLISH_CODECS
    ice_servers: Callable[[PeerPort], Sequence[IceServer]] = no_ice_servers


class Hub:
    """All members of all rooms."""

    def __init__(self, rooms: Rooms, clock: Clock, settings: HubSettings, trail: Trail) -> None:
        """`rooms` has to call `handle_event` with every event."""
        self.rooms = rooms
        self.clock = clock
        self.settings = settings
        self.roster = Roster(settings.server.region)
        self.refusals: Counter[str] = Counter()
        self.decisions: Counter[tuple[str, str, str]] = Counter()  # gate, decision, reason
        self.on_earlier: Callable[[], None] = _nobody_waits
        self.schedule = Schedule(self._earlier)
        self.ledger = Ledger(trail, clock, self.refusals, self.schedule)
        self.people = People(self.roster, self.schedule, clock)
        self.feeds = Feeds(self.roster, self.schedule, clock, settings.codecs)
        self.data = DataFeed(self.roster, rooms, self.refusals)
        self.farewells = Farewells()
        self.observers: list[Callable[[events.SfuEvent], None]] = []  # hear what the hub has heard
        self._trailers: dict[RoomSid, bytes] = {}

    # -- sockets --------------------------------------------------------------------------------

    def join(self, room: RoomPort, peer: PeerPort, grants: Grants, params: JoinParams) -> Session:
        """A session for a peer that just joined; its first frames wait in it."""
        now = self.clock.now()
        member = Member(room, peer, grants, joined_at=now, facts_told=facts_of(peer))
        self.roster.add(member)
        session = member.session = Session(member, self, now)
        session.begin_join(params, now)
        return session

    def resume(self, member: Member, grants: Grants, params: JoinParams) -> Session:
        """A new session for a peer that is still there; an older socket closes quietly."""
        if member.session is not None:
            member.session.end(CloseCode.REPLACED)
        now = self.clock.now()
        member.grants = grants
        session = member.session = Session(member, self, now)
        session.begin_resume(params, now)
        return session

    def shut_down(self) -> None:
        """Sends everybody elsewhere."""
        self.ledger.settle_floods()
        for member in list(self.members.values()):
            if member.session is not None:
                member.session.leave(LeaveReason.SERVER_SHUTDOWN)

    @contextmanager
    def deciding(self, gate: str) -> Iterator[None]:
        """Counts what a gate decides in the block: a RemoteError refuses."""
        try:
            yield
        except RemoteError as error:
            self.decisions[gate, "refused", error.code] += 1
            raise
        self.decisions[gate, "allowed", "granted"] += 1

    @property
    def members(self) -> dict[PeerSid, Member]:
        """Everybody who joined through a signalling socket and is still there."""
        return self.roster.members

    def tell_muted(self, peer: PeerPort, track: TrackSid, muted: bool) -> None:
        """Somebody else muted a track of `peer`, which has to do so at the source, now or when it resumes."""
        member = self.members.get(peer.sid)
        if member is None:
            return
        member.told.mutes.note(track, messages.mute(track, muted))
        self._send(peer, messages.mute(track, muted))

    # -- messages that need more than their arguments -------------------------------------------

    def join_message(self, member: Member) -> rtc.SignalResponse:
        """The join answer."""
        room = self.feeds.describe(member.room)
        participant = self.roster.describe(member.peer)
        return messages.join(room, participant, self.people.others(member), self._facts(member))

    def reconnect_message(self, member: Member) -> rtc.SignalResponse:
        """The answer to a resume."""
        return messages.reconnect(self._facts(member), member.peer.last_data_sequence)

    def refresh_token(self, member: Member) -> None:
        """Sends a token that lets the client come back as what it is now, and plans the next one."""
        self.schedule.put(("refresh", member.peer.sid), self.clock.now() + REFRESH_INTERVAL)
        if member.session is None:
            return
        peer, grants, wall = member.peer, member.grants, self.clock.wall()
        claims = refreshed_claims(
            grants,
            name=peer.name,
            metadata=peer.metadata,
            attributes=peer.attributes,
            permissions=peer.permissions,
        )
        expires_at = max(wall + REFRESH_LIFE, grants.expires_at)
        try:
            token = issue(
                claims, self.settings.keys, issuer=grants.issuer, expires_at=expires_at, now=wall
            )
        except LocalError as error:
            self.refusals[error.code] += 1
            return
        if len(token) > MAX_TOKEN_LENGTH:  # it would not fit into the next request
            self.refusals["token_too_long"] += 1
            return
        on = Target(room=member.room.sid, peer=peer.sid)
        act = acts.token_issued(token, grants.holder, expires_at, on)
        self.ledger.begin(act, lambda outcome, now: self._hand_out(member, token, outcome, now))

    def _hand_out(
        self, member: Member, token: str, outcome: Recorded | RemoteError, now: float
    ) -> None:
        """A token is on record and may leave, or is not and is made again later."""
        sid = member.peer.sid
        if isinstance(outcome, RemoteError):
            self.refusals[outcome.code] += 1
            if sid in self.members:
                self.schedule.put(("refresh", sid), now + REFRESH_RETRY)
        elif member.session is None or sid not in self.members:
            self.ledger.abandon(outcome, "session_ended")
        else:
            member.session.send(messages.refresh_token(token))

    def _facts(self, member: Member) -> JoinFacts:
        peer, settings = member.peer, self.settings
        trailer = self._trailers.get(member.room.sid)
        if trailer is None:
            trailer = self._trailers[member.room.sid] = settings.entropy(SIF_TRAILER_LENGTH)
        return JoinFacts(
            server=settings.server,
            ice_servers=settings.ice_servers(peer),
            configuration=clients.configuration(peer.client),
            codecs=clients.publish_codecs(peer.client, settings.codecs),
            sif_trailer=trailer,
            subscriber_primary=peer.subscriber_primary,
            fast_publish=peer.permissions.can_publish,
        )

    # -- time -----------------------------------------------------------------------------------

    def _earlier(self) -> None:
        self.on_earlier()

    def handle_timeout(self) -> None:
        """Does what is due."""
        now = self.clock.now()
        for key in self.schedule.take_due(now):
            assert isinstance(key, tuple)  # noqa: S101 - every key of this schedule is (what, which)
            what, which = key
            self._on_due[what](which, now)

    @property
    def _on_due(self) -> Mapping[str, Callable[[Any, float], None]]:
        return {
            "batch": lambda room, _: self.people.flush(room),
            "quality": lambda room, _: self.feeds.tell_quality(room),
            "room": self._room_due,
            "refresh": self._refresh_due,
            "speech": self._speech_due,
            "floods": lambda _, __: self.ledger.settle_floods(),
        }

    def _room_due(self, name: Any, now: float) -> None:
        room = self.rooms.rooms.get(name)
        if room is not None:
            self.feeds.room_changed(room, now)

    def _refresh_due(self, sid: PeerSid, _: float) -> None:
        if sid in self.members:
            self.refresh_token(self.members[sid])

    def _speech_due(self, sid: PeerSid, _: float) -> None:
        if sid in self.members:
            self.feeds.end_speech(self.members[sid])

    # -- events of the sfu ----------------------------------------------------------------------

    def handle_event(self, event: events.SfuEvent) -> None:
        """One event, in the order that they happened."""
        self.ledger.handle_event(event)
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event, self.clock.now())
        for observer in self.observers:
            observer(event)

    def _room_updated(self, event: events.RoomUpdated, now: float) -> None:
        self.feeds.room_changed(event.room, now)

    def _room_ended(self, event: events.RoomEnded, now: float) -> None:
        sid = event.room.sid
        self.people.forget_room(sid)
        self.feeds.forget_room(event.room)
        self.data.forget_room(sid)
        self._trailers.pop(sid, None)
        self.roster.forget_room(sid)

    def _peer_updated(self, event: events.PeerUpdated, now: float) -> None:
        self.people.changed(event.room, event.peer, now)
        member = self.members.get(event.peer.sid)
        if member is not None and member.facts_told != (facts := facts_of(event.peer)):
            member.facts_told = facts
            self.refresh_token(member)

    def _peer_left(self, event: events.PeerLeft, now: float) -> None:
        sid = event.peer.sid
        member = self.members.get(sid)
        if member is not None and member.session is not None:
            member.session.leave(event.reason)
        self.farewells.note((event.room.name, event.peer.identity, sid), event.reason)
        self.roster.withdraw(event.room.sid, sid)
        self.people.departed(event.room, event.peer, event.reason, now)
        self.roster.forget(sid)
        for what in ("refresh", "speech"):
            self.schedule.remove((what, sid))

    def _track_unpublished(self, event: events.TrackUnpublished, now: float) -> None:
        member = self.members.get(event.peer.sid)
        if member is None:
            return
        sid = event.publication.sid
        if event.by_server:
            member.told.unpublished(sid)
        else:
            member.told.forget(sid)
        if member.session is None:
            return
        if event.by_server and member.peer.client.protocol >= PROTOCOL_WITH_TRACK_UNPUBLISHED:
            member.session.send(messages.track_unpublished(sid))
        member.session.retry_queued(event.publication.spec.cid, now)

    def _track_subscribed(self, event: events.TrackSubscribed, now: float) -> None:
        if clients.takes_track_subscribed(event.peer.client):
            self._send(event.peer, messages.track_subscribed(event.publication.sid))

    def _subscription_failed(self, event: events.SubscriptionFailed, now: float) -> None:
        self._send(event.peer, messages.subscription_failed(event.track, event.code))

    def _subscription_allowed(self, event: events.SubscriptionAllowed, now: float) -> None:
        response = messages.subscription_permission(event.publisher.sid, event.track, event.allowed)
        member = self.members.get(event.peer.sid)
        if member is not None:
            member.told.permissions.note(event.track, response)
        self._send(event.peer, response)

    def _offer_needed(self, event: events.OfferNeeded, now: float) -> None:
        session = self.roster.session_of(event.peer)
        if session is not None:  # without one, the resume offers anyway
            session.offer()

    def _sections_needed(self, event: events.SectionsNeeded, now: float) -> None:
        self._send(event.peer, messages.sections_needed(event.audios, event.videos))

    def _quality_wanted(self, event: events.QualityWanted, now: float) -> None:
        member = self.members.get(event.peer.sid)
        if member is None:
            return
        response = messages.quality_wanted(event.publication.sid, event.codecs)
        member.told.quality.note(event.publication.sid, response)
        self._send(event.peer, response)

    def _speakers_changed(self, event: events.SpeakersChanged, now: float) -> None:
        self.feeds.speakers_changed(event.room, event.speakers)

    def _connection_quality(self, event: events.ConnectionQuality, now: float) -> None:
        self.feeds.quality_changed(event.room, event.peer, event.quality, event.score, now)

    def _data_received(self, event: events.DataReceived, now: float) -> None:
        self.data.handle_message(event.room, event.peer, event.label, event.data, now)

    def _channels_ready(self, event: events.ChannelsReady, now: float) -> None:
        self.data.channel_ready(event.peer, event.label, now)

    def _connection_failed(self, event: events.ConnectionFailed, now: float) -> None:
        session = self.roster.session_of(event.peer)
        if session is not None:
            session.leave(LeaveReason.CONNECTION_TIMEOUT)

    def _send(self, peer: PeerPort, response: rtc.SignalResponse) -> None:
        session = self.roster.session_of(peer)
        if session is not None:
            session.deliver(Outbound(response))


def _nobody_waits() -> None:
    """Until a timekeeper is attached, deadlines just wait."""


_HANDLERS: Final[Mapping[type, Callable[[Hub, Any, float], None]]] = {
    events.RoomUpdated: Hub._room_updated,
    events.RoomEnded: Hub._room_ended,
    events.PeerUpdated: Hub._peer_updated,
    events.PeerLeft: Hub._peer_left,
    events.TrackUnpublished: Hub._track_unpublished,
    events.TrackSubscribed: Hub._track_subscribed,
    events.SubscriptionFailed: Hub._subscription_failed,
    events.SubscriptionAllowed: Hub._subscription_allowed,
    events.OfferNeeded: Hub._offer_needed,
    events.SectionsNeeded: Hub._sections_needed,
    events.QualityWanted: Hub._quality_wanted,
    events.SpeakersChanged: Hub._speakers_changed,
    events.ConnectionQuality: Hub._connection_quality,
    events.DataReceived: Hub._data_received,
    events.ChannelsReady: Hub._channels_ready,
    events.ConnectionFailed: Hub._connection_failed,
}
# Told by PeerUpdated and RoomUpdated, or of no concern to clients.
SILENT_EVENTS: Final = frozenset(
    {
        events.RoomStarted,
        events.PeerJoined,
        events.PeerActive,
        events.TrackPublished,
        events.JoinProgressed,
        events.MediaStarted,
    }
)
HANDLED_EVENTS: Final = frozenset(_HANDLERS)
