"""Participants whose signalling is a few HTTP requests (WHIP, WHEP): who they are, who may touch them, their end.

In: requests, events of the sfu. Out: tickets, sessions, or RemoteErrors. Must not: know which way media goes.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from common.errors import RemoteError
from common.ids import PeerSid
from common.redact import Redacted
from compliance.events import Target
from sfu import events
from sfu.model import LeaveReason, PeerSpec, PeerState, PublicationSpec
from sfu.ports import PeerPort, RoomPort
from signalling import acts
from signalling.admission import Ticket
from signalling.entrance import Entrance
from signalling.limits import MAX_FRAGMENT
from signalling.messages import IceServer
from signalling.ports import Act
from signalling.resources import read_text, require_match

SDP: Final = "application/sdp"
FRAGMENT: Final = "application/trickle-ice-sdpfrag"
# Reasons for which a transport ends because its client wanted that.
_GOODBYES: Final = frozenset({"peer_closed"})


@dataclass(frozen=True, slots=True, eq=False)
class HttpSession:
    """A participant with a URL."""

    room: RoomPort
    peer: PeerPort
    token: Redacted[str]  # the Authorization header or query that opened it
    identity: str  # that of the token


class HttpSessions:
    """All of them."""

    def __init__(self, entrance: Entrance) -> None:
        """Whoever comes in comes through `entrance`."""
        self.hub = entrance.hub
        self._entrance = entrance
        self._sessions: dict[PeerSid, HttpSession] = {}
        self.hub.observers.append(self.handle_event)

    def check(self, request: Request) -> Ticket:
        """Everything that a token says about whoever asks. Raises RemoteError; changes nothing."""
        return self._entrance.knock(request)

    async def open(self, request: Request, ticket: Ticket, spec: PeerSpec) -> HttpSession:
        """Lets the participant in, if the door does. The caller negotiates, and ends what it could not."""
        room, peer = await self._entrance.admit(ticket, spec)
        session = HttpSession(
            room=room,
            peer=peer,
            token=Redacted(_credentials(request)),
            identity=ticket.grants.identity,
        )
        self._sessions[peer.sid] = session
        return session

    @asynccontextmanager
    async def admission(self, request: Request) -> AsyncIterator[None]:
        """What is refused inside is on record before its client hears of it."""
        try:
            yield
        except RemoteError as error:
            await self._entrance.refuse(request, error)
            raise

    async def announce(self, session: HttpSession, specs: Sequence[PublicationSpec]) -> None:
        """Announces tracks once they are on record, all or none. Raises RemoteError."""
        peer, ledger = session.peer, self.hub.ledger
        if not specs:
            return
        subject = ledger.subject_of(peer.sid)
        actor = acts.participant(peer, subject, ledger.issuer_of(peer.sid))
        sids = [peer.reserve_track(spec) for spec in specs]
        published = tuple(
            acts.publishing(actor, Target(session.room.sid, peer.sid, sid, subject), spec)
            for sid, spec in zip(sids, specs, strict=True)
        )
        recorded = await ledger.record(Act(published))
        if peer.state is PeerState.DISCONNECTED:
            ledger.abandon(recorded, "session_ended")
            raise RemoteError("session_unknown", "the participant has left meanwhile")
        for sid, spec in zip(sids, specs, strict=True):
            ledger.announced(peer.sid, sid)
            peer.announce(spec, sid)

    def find(self, request: Request) -> HttpSession:
        """The session of a URL, for whoever opened it.

        The very token that opened it stays good for it, however long the session lasts; any other has to be
        valid and of the same room and identity. Raises RemoteError: session_unknown, session_of_another, token_...
        """
        session = self._sessions.get(PeerSid(request.path_params["session"]))
        if session is not None:
            known, given = session.token.reveal().encode(), _credentials(request).encode()
            if hmac.compare_digest(known, given):
                return session
        grants = self._entrance.grants(request)
        if session is None:
            raise RemoteError("session_unknown", "there is no such session")
        if (grants.room, grants.identity) != (session.room.name, session.identity):
            raise RemoteError("session_of_another", "the session belongs to another token")
        return session

    async def patch_ice(self, request: Request, session: HttpSession) -> Response:
        """Trickled candidates, or an ICE restart (RFC 9725 sections 4.3.1 to 4.3.3)."""
        fragment = await read_text(request, FRAGMENT, MAX_FRAGMENT)
        require_match(request, session.peer.ice_session)
        ours = session.peer.handle_fragment(fragment)
        self.hub.rooms.flush()
        if ours is None:
            return Response(status_code=204)
        headers = {"ETag": entity_tag(session.peer)}
        response = Response(ours, 200, headers=headers, media_type=FRAGMENT)
        # A restart gathers anew, perhaps after the first credentials have ended.
        for link in ice_links(self.hub.settings.ice_servers(session.peer)):
            response.headers.append("Link", link)
        return response

    def close(self, session: HttpSession) -> Response:
        """Ends a session by its client's will. An entity-tag is of no concern here (RFC 9725 section 4.3.1)."""
        session.peer.leave(LeaveReason.CLIENT_INITIATED)
        self.hub.rooms.flush()
        return Response(status_code=200)

    def handle_event(self, event: events.SfuEvent) -> None:
        """Nobody comes back to a connection that ended, so its participant leaves at once."""
        if isinstance(event, events.PeerLeft):
            self._sessions.pop(event.peer.sid, None)
        elif isinstance(event, events.ConnectionFailed):
            session = self._sessions.get(event.peer.sid)
            if session is not None:
                goodbye = event.code in _GOODBYES
                session.peer.leave(
                    LeaveReason.CLIENT_INITIATED if goodbye else LeaveReason.CONNECTION_TIMEOUT
                )


def entity_tag(peer: PeerPort) -> str:
    """Names the ICE session, strongly."""
    return f'"{peer.ice_session}"'


def ice_links(servers: Iterable[IceServer]) -> Iterator[str]:
    """Link header values for STUN and TURN servers (RFC 9725 section 4.6)."""
    for server in servers:
        for url in server.urls:
            parts = [f"<{url}>", 'rel="ice-server"']
            if server.username:
                parts.append(f'username="{_escaped(server.username)}"')
                parts.append(f'credential="{_escaped(server.credential)}"')
                parts.append('credential-type="password"')
            yield "; ".join(parts)


def options(accepts: str) -> Response:
    """What an endpoint takes (RFC 9725 section 4.2)."""
    return Response(status_code=200, headers={"Accept-Post": accepts})


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _credentials(request: Request) -> str:
    """The header, or where a client can't set one the URL's parameter (RFC 9725 section 4.7.1 allows both)."""
    header = request.headers.get("authorization")
    if header is not None:
        return header.removeprefix("Bearer ").strip()
    return request.query_params.get("access_token", "")
