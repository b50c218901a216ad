"""One signalling socket as a state machine: a table of what each state understands, and its effects.

In: frames of the client (`handle_frame`), commands of the server (`begin_*`, `leave`, `end`) and messages
for the client (`deliver`). Out: `drain()`, the effects for the socket in order. A message that is illegal in a
state is refused by name and changes nothing. Must not: do I/O, read a clock, or know what sfu events are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from livekit.protocol import rtc

from common.errors import LocalError, RemoteError
from common.ids import TrackSid
from compliance.events import Actor, Target
from sfu.model import LeaveReason, PeerState
from signalling import acts, messages
from signalling.acts import Unrecorded
from signalling.effects import Close, CloseCode, Effect, Send
from signalling.handlers import negotiation, presence, publishing, subscribing
from signalling.handlers.ports import HubPort
from signalling.handlers.refusals import ignore, not_supported
from signalling.joining import JoinParams
from signalling.limits import (
    BROADCAST_RATE,
    MAX_INBOX,
    MAX_INBOX_BYTES,
    MAX_OUTBOX,
    MAX_OUTBOX_BYTES,
    MESSAGE_RATE,
)
from signalling.member import DropOnResume, Member
from signalling.ports import Act, Recorded
from signalling.rates import TokenBucket
from signalling.wire import Outbound, decode_request, kind_of


class State(StrEnum):
    """How far a socket has come."""

    OPENING = "opening"  # nothing was sent yet: everything for the client waits
    JOINED = "joined"
    RESUMED = "resumed"  # as joined; the client may still report what it remembers
    LEAVING = "leaving"  # the last frame is on its way
    CLOSED = "closed"


Builder = Callable[
    ["Session", Any], "Act | None"
]  # None: this variant changes nothing of that sort


class Refused(StrEnum):
    """What happens when a handler refuses a message, besides counting it."""

    SILENTLY = "silently"
    REPLY = "reply"  # RequestResponse with the request attached
    REJOIN = "rejoin"  # leave, and the client joins anew: negotiation is broken


@dataclass(frozen=True, slots=True)
class Rule:
    """What a message does in a state."""

    handler: Callable[[Session, Any, float], None]
    record: (
        Builder | Unrecorded
    )  # what has to be on record before the handler may act, or why nothing has to
    refused: Refused = Refused.SILENTLY
    then: State | None = None  # None: the state stays, unless the handler ended the session
    replies: str = ""  # what it is answered with, for the documentation
    broadcasts: bool = False  # everybody hears of it, so it has a rate of its own


_NEGOTIATES, _CHOOSES = Unrecorded.NEGOTIATES, Unrecorded.CHOOSES
_KEEPS_ALIVE, _REFUSED = Unrecorded.KEEPS_ALIVE, Unrecorded.REFUSED
_JOINED: Final[Mapping[str, Rule]] = {
    "offer": Rule(negotiation.offer, _NEGOTIATES, Refused.REJOIN, replies="answer"),
    "answer": Rule(negotiation.answer, _NEGOTIATES, Refused.REJOIN, replies="offer if one waits"),
    "trickle": Rule(negotiation.trickle, _NEGOTIATES),
    "add_track": Rule(
        publishing.add_track,
        publishing.track_act,
        Refused.REPLY,
        replies="track_published",
        broadcasts=True,
    ),
    "mute": Rule(publishing.mute, _CHOOSES, Refused.REPLY, broadcasts=True),
    "subscription": Rule(subscribing.subscription, _CHOOSES),
    "track_setting": Rule(subscribing.track_setting, _CHOOSES),
    "leave": Rule(presence.leave, Unrecorded.OBSERVED, then=State.LEAVING),
    "update_layers": Rule(ignore, _REFUSED),
    "subscription_permission": Rule(
        subscribing.subscription_permission, subscribing.permission_act
    ),
    "simulate": Rule(presence.simulate, Unrecorded.OBSERVED, broadcasts=True),
    "ping": Rule(presence.ping, _KEEPS_ALIVE, replies="pong"),
    "update_metadata": Rule(
        presence.update_metadata,
        presence.update_act,
        Refused.REPLY,
        replies="request_response",
        broadcasts=True,
    ),
    "ping_req": Rule(presence.ping_req, _KEEPS_ALIVE, replies="pong_resp"),
    "update_audio_track": Rule(
        publishing.update_audio_track, _CHOOSES, Refused.REPLY, broadcasts=True
    ),
    "update_video_track": Rule(
        publishing.update_video_track, _CHOOSES, Refused.REPLY, broadcasts=True
    ),
    "publish_data_track_request": Rule(not_supported, _REFUSED, Refused.REPLY),
    "unpublish_data_track_request": Rule(not_supported, _REFUSED, Refused.REPLY),
    "update_data_subscription": Rule(ignore, _REFUSED),
    "store_data_blob_request": Rule(not_supported, _REFUSED, Refused.REPLY),
    "get_data_blob_request": Rule(not_supported, _REFUSED, Refused.REPLY),
    "unknown": Rule(ignore, _REFUSED),
}

TABLE: Final[Mapping[State, Mapping[str, Rule]]] = {
    State.OPENING: {},
    State.JOINED: _JOINED,
    State.RESUMED: {
        **_JOINED,
        "sync_state": Rule(
            subscribing.sync_state,
            _CHOOSES,
            then=State.JOINED,
            replies="leave if we know less than the client",
        ),
    },
    State.LEAVING: {},
    State.CLOSED: {},
}

# How the server's own acts move the state; any other combination is a mistake of ours.
COMMANDS: Final[Mapping[str, Mapping[State, State]]] = {
    "begin_join": {State.OPENING: State.JOINED},
    "begin_resume": {State.OPENING: State.RESUMED},
    "end": dict.fromkeys((State.OPENING, State.JOINED, State.RESUMED), State.LEAVING),
    "handle_disconnect": dict.fromkeys(State, State.CLOSED),
}

# What a client should do after we ended its session; everything else means: stay away.
ACTIONS: Final = {
    LeaveReason.SERVER_SHUTDOWN: "RECONNECT",
    LeaveReason.STATE_MISMATCH: "RECONNECT",
    LeaveReason.CONNECTION_TIMEOUT: "RECONNECT",
    LeaveReason.MEDIA_FAILURE: "RECONNECT",
    LeaveReason.SIGNAL_CLOSE: "RECONNECT",
}


class Session:
    """A socket of a member."""

    def __init__(self, member: Member, hub: HubPort, now: float) -> None:
        """Waits for `begin_join` or `begin_resume`."""
        self.member = member
        self.hub = hub
        self.state = State.OPENING
        self.json = False  # the client speaks JSON
        self.on_effects: Callable[[], None] = _nobody_waits
        self._effects: deque[Effect] = deque()
        self._waiting = 0  # bytes in the effects
        self._held: list[Outbound] = []
        self.act: Act | None = None  # on record, while its handler carries it out
        self._recording = (
            False  # an act waits for its entry, and what the client says next waits behind it
        )
        self._inbox: deque[rtc.SignalRequest] = deque()
        self._inbox_bytes = 0
        self._messages = TokenBucket(MESSAGE_RATE, now)
        self._broadcasts = TokenBucket(BROADCAST_RATE, now)

    # -- the server's acts ----------------------------------------------------------------------

    def begin_join(self, params: JoinParams, now: float) -> None:
        """Sends the join answer and what belongs right behind it."""
        self._move("begin_join")
        member = self.member
        self._push(Outbound(self.hub.join_message(member)))
        member.peer.mark_joined()
        for request in params.add_tracks:
            self.handle_request(rtc.SignalRequest(add_track=request), now)
        if params.publisher_offer is not None:
            self.handle_request(rtc.SignalRequest(offer=params.publisher_offer), now)
        if self.is_open and member.peer.subscriber_primary:
            self.offer()
        self._release()
        self.hub.refresh_token(member)

    def begin_resume(self, params: JoinParams, now: float) -> None:
        """Sends what a resumed client needs, in the order that it needs it."""
        self._move("begin_resume")
        member, hub = self.member, self.hub
        drop, member.drop_on_resume = member.drop_on_resume, DropOnResume.NO
        if drop is DropOnResume.BEFORE_MESSAGES:
            self.end(CloseCode.RESTART)
            return
        member.offer_open = False  # its answer went to the old socket, if anywhere
        self._held.clear()  # the snapshot tells more than what waited
        self._push(Outbound(hub.reconnect_message(member)))
        # First: the client compares itself with the snapshot.
        for response in member.told.mutes.values():
            self.send(response)
        for outbound in hub.people.snapshot(member):
            self._push(outbound)
        self._push(hub.feeds.room(member.room))
        hub.refresh_token(member)
        for response in member.told.states():
            self.send(response)
        publishing.confirm_announced(self)
        if params.sync_state is not None:
            self.handle_request(rtc.SignalRequest(sync_state=params.sync_state), now)
        if member.peer.single_connection:
            member.peer.ask_again()
        elif self.is_open and member.offer_number:
            member.peer.restart_ice()
            self.offer()
        if drop is DropOnResume.AFTER_MESSAGES:
            self.end(CloseCode.RESTART)

    def offer(self) -> None:
        """Makes an offer on the subscriber connection, or remembers that one is wanted."""
        negotiation.send_offer(self)

    def retry_queued(self, cid: str, now: float) -> None:
        """Announces the first track that waited for the end of another one with its cid."""
        publishing.retry_queued(self, cid, now)

    def leave(self, reason: LeaveReason, action: str | None = None) -> None:
        """Tells the client to go, and how to come back; then closes."""
        if self.state in (State.LEAVING, State.CLOSED):
            return
        self._push(Outbound(messages.leave(reason, action or ACTIONS.get(reason, "DISCONNECT"))))
        self.end(CloseCode.DONE)

    def end(self, code: CloseCode) -> None:
        """Closes without a word; the peer stays as it is."""
        if self.state in (State.LEAVING, State.CLOSED):
            return
        self._move("end")
        self._held.clear()
        if self.member.session is self:
            self.member.session = None
        self._add(Close(code))

    def handle_disconnect(self) -> None:
        """The socket is gone. A peer that was never active goes with it, another one may resume."""
        self._move("handle_disconnect")
        self._effects.clear()
        member = self.member
        if member.session is self:
            member.session = None
            if member.peer.state in (PeerState.JOINING, PeerState.JOINED):
                member.peer.leave(LeaveReason.SIGNAL_CLOSE)

    # -- from the client ------------------------------------------------------------------------

    def handle_frame(self, frame: bytes | str, now: float) -> None:
        """One frame; garbage and floods close the socket."""
        if not self.is_open:
            self.refuse(f"frame_in_{self.state}")
            return
        if not self._messages.take(now):
            self.refuse("message_rate_exceeded")
            self.end(CloseCode.TOO_MANY_MESSAGES)
            return
        try:
            request = decode_request(frame)
        except RemoteError as error:
            self.refuse(error.code)
            self.end(CloseCode.MALFORMED)
            return
        self.json = isinstance(frame, str)
        self.member.told.heard_at = now
        self.handle_request(request, now)

    def handle_request(self, request: rtc.SignalRequest, now: float) -> None:
        """One message: the table decides. It waits while an earlier one is being recorded."""
        if self._recording:
            self._wait(request)
            return
        kind = kind_of(request)
        rule = TABLE[self.state].get(kind)
        if rule is None:
            self.refuse(f"{kind}_in_{self.state}")
            return
        try:
            if rule.broadcasts and not self._broadcasts.take(now):
                raise RemoteError("limit_exceeded", "too many changes at once")
            act = None if isinstance(rule.record, Unrecorded) else rule.record(self, request)
        except RemoteError as error:
            self._refused(rule, request, error)
            return
        if act is None:
            self._carry_out(rule, request, now)
        else:
            self._recording = True
            self.hub.ledger.begin(
                act, lambda outcome, later: self._recorded(rule, request, act, outcome, later)
            )

    def _recorded(
        self,
        rule: Rule,
        request: rtc.SignalRequest,
        act: Act,
        outcome: Recorded | RemoteError,
        now: float,
    ) -> None:
        """An act is on record and may happen, or cannot be and must not; then it is the next message's turn."""
        self._recording = False
        if isinstance(outcome, RemoteError):
            if self.is_open:
                self._refused(rule, request, outcome)
        elif not self.is_open:
            self.hub.ledger.abandon(outcome, "session_ended")
        else:
            self.act = act
            if not self._carry_out(rule, request, now):
                self.hub.ledger.abandon(outcome, "refused")
            self.act = None
        while self._inbox and not self._recording:
            waiting = self._inbox.popleft()
            self._inbox_bytes -= waiting.ByteSize()
            if self.is_open:
                self.handle_request(waiting, now)

    def _carry_out(self, rule: Rule, request: rtc.SignalRequest, now: float) -> bool:
        """Whether it was done."""
        try:
            rule.handler(self, request, now)
        except RemoteError as error:
            self._refused(rule, request, error)
            return False
        if rule.then is not None and self.is_open:
            self.state = rule.then
        return True

    def _wait(self, request: rtc.SignalRequest) -> None:
        size = request.ByteSize()
        if len(self._inbox) >= MAX_INBOX or self._inbox_bytes + size > MAX_INBOX_BYTES:
            self.refuse("inbox_overflow")
            self.end(CloseCode.TOO_MANY_MESSAGES)
            return
        self._inbox.append(request)
        self._inbox_bytes += size

    def _refused(self, rule: Rule, request: rtc.SignalRequest, error: RemoteError) -> None:
        self.refuse(error.code)
        kind = kind_of(request)
        if rule.refused is Refused.REPLY:
            publishing.respond(self, kind, getattr(request, kind), error.code, error.message)
        elif rule.refused is Refused.REJOIN:
            self.leave(LeaveReason.MEDIA_FAILURE)

    # -- to the client --------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether the client was greeted and not yet dismissed."""
        return self.state in (State.JOINED, State.RESUMED)

    @property
    def actor(self) -> Actor:
        """The participant as it stands in entries."""
        member = self.member
        subject = self.hub.ledger.subject_of(member.peer.sid)
        return acts.participant(member.peer, subject, member.grants.issuer)

    def target(self, track: TrackSid | None = None) -> Target:
        """The participant, or one of its tracks, as that on which something is done."""
        member = self.member
        subject = self.hub.ledger.subject_of(member.peer.sid)
        return Target(member.room.sid, member.peer.sid, track or "", subject)

    def send(self, response: rtc.SignalResponse) -> None:
        """Queues a response for this client alone."""
        self.deliver(Outbound(response))

    def deliver(self, outbound: Outbound) -> None:
        """Queues a response that others may get too; before the first frame it waits."""
        if self.state is State.OPENING:
            self._held.append(outbound)
        elif self.is_open:
            self._push(outbound)

    def refuse(self, name: str) -> None:
        """Counts a refusal under its name."""
        self.hub.refusals[name] += 1

    def drain(self) -> list[Effect]:
        """Takes the effects that came up since the last time, in order."""
        effects = list(self._effects)
        self._effects.clear()
        self._waiting = 0
        return effects

    def _push(self, outbound: Outbound) -> None:
        size = len(outbound.binary())
        full = self._waiting and self._waiting + size > MAX_OUTBOX_BYTES
        if full or len(self._effects) >= MAX_OUTBOX:
            self.refuse("outbox_overflow")
            self._effects.clear()
            self.end(CloseCode.SLOW_READER)
            return
        self._waiting += size
        self._add(Send(outbound))

    def _add(self, effect: Effect) -> None:
        self._effects.append(effect)
        self.on_effects()

    def _release(self) -> None:
        held, self._held = self._held, []
        for outbound in held:
            self.deliver(outbound)

    def _move(self, command: str) -> None:
        target = COMMANDS[command].get(self.state)
        if target is None:
            raise LocalError(f"{command}_in_{self.state}", f"{command} makes no sense now")
        self.state = target


def _nobody_waits() -> None:
    """Until a socket is attached, effects just wait."""
