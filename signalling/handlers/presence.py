"""Being there: pings, own facts, leaving, and the scenarios that client tests ask for."""

from __future__ import annotations

from livekit.protocol import rtc

from common.errors import RemoteError
from sfu.model import LeaveReason
from signalling import acts, convert, messages
from signalling.effects import CloseCode
from signalling.facts import check_facts
from signalling.handlers.ports import SessionPort
from signalling.handlers.publishing import respond
from signalling.limits import MAX_SIMULATED_SPEECH
from signalling.member import DropOnResume
from signalling.ports import Act

PROTOCOL_WITH_OK = 15  # from here on clients understand RequestResponse OK


def ping(session: SessionPort, request: rtc.SignalRequest, now: float) -> None:
    """The older ping: a bare number."""
    session.send(messages.pong(session.hub.clock.wall()))


def ping_req(session: SessionPort, request: rtc.SignalRequest, now: float) -> None:
    """The ping that measures the round trip."""
    session.send(messages.pong_resp(request.ping_req, session.hub.clock.wall()))


def leave(session: SessionPort, request: rtc.SignalRequest, now: float) -> None:
    """The client goes; no reply. Only this session's own peer is ended, never one that came after it."""
    session.member.peer.leave(convert.reason_of_client(request.leave.reason))
    session.end(CloseCode.DONE)


def update_act(session: SessionPort, request: rtc.SignalRequest) -> Act:
    """Own facts change: which ones is on record, a new name is sealed."""
    wanted = request.update_metadata
    peer = session.member.peer
    _check_update(session, wanted)
    facts = {
        "name": wanted.name,
        "metadata": wanted.metadata,
        "attributes": len(wanted.attributes),
    }
    event = acts.update(session.actor, session.target(), peer, facts, None)
    return Act((event,), about=acts.renamed(session.member.grants.holder, wanted.name))


def update_metadata(session: SessionPort, request: rtc.SignalRequest, now: float) -> None:
    """Own name, metadata and attributes; empty texts leave theirs alone, empty values delete a key."""
    wanted = request.update_metadata
    peer = session.member.peer
    _check_update(session, wanted)
    attributes = dict(wanted.attributes)
    peer.update(
        name=wanted.name or None, metadata=wanted.metadata or None, attributes=attributes or None
    )
    if peer.client.protocol >= PROTOCOL_WITH_OK:
        respond(session, "update_metadata", wanted, "ok", "")


def _check_update(session: SessionPort, wanted: rtc.UpdateParticipantMetadata) -> None:
    peer = session.member.peer
    if not peer.permissions.can_update_metadata:
        raise RemoteError("not_allowed", "no permission to update own metadata")
    check_facts(wanted.name, wanted.metadata, {**peer.attributes, **wanted.attributes})


def simulate(session: SessionPort, request: rtc.SignalRequest, now: float) -> None:
    """Breaks something on purpose, for this client only."""
    scenario = request.simulate
    kind = scenario.WhichOneof("scenario")
    if kind == "speaker_update":
        seconds = min(max(scenario.speaker_update, 0), MAX_SIMULATED_SPEECH)
        session.hub.feeds.simulate_speech(session.member, seconds, now)
    elif kind in ("node_failure", "migration"):
        session.end(CloseCode.RESTART)
    elif kind == "server_leave":
        session.leave(LeaveReason.SERVER_SHUTDOWN, "DISCONNECT")
        session.member.peer.leave(LeaveReason.SERVER_SHUTDOWN)
    elif kind == "leave_request_full_reconnect":
        session.leave(LeaveReason.CLIENT_INITIATED, "RECONNECT")
    elif kind == "disconnect_signal_on_resume":
        session.member.drop_on_resume = DropOnResume.AFTER_MESSAGES
    elif kind == "disconnect_signal_on_resume_no_messages":
        session.member.drop_on_resume = DropOnResume.BEFORE_MESSAGES
    elif kind == "switch_candidate_protocol":
        # The client joins anew right after it said so; over TLS it then needs a TURN server.
        protocol = scenario.switch_candidate_protocol
        session.member.peer.prefer_tcp(protocol == rtc.CandidateProtocol.TCP)
    else:  # an artificial estimate is not offered
        session.refuse("simulate_ignored")
