"""WHEP (draft-ietf-wish-whep): a player watches a room, or one participant of it, with one POST.

In: requests of `/whep/v1` and of the sessions below `/whep/session`. Out: hidden participants that publish
nothing, whose sections show whatever is published while they stay. Must not: negotiate twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from email.utils import formatdate
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from common.errors import RemoteError
from common.ids import Identity, RoomName
from sfu import check_playback
from sfu.model import Description, LeaveReason, PeerSpec
from signalling.admission import Ticket
from signalling.http_sessions import (
    SDP,
    HttpSession,
    HttpSessions,
    entity_tag,
    ice_links,
    options,
)
from signalling.limits import MAX_OFFER, MAX_WISH
from signalling.resources import (
    Handler,
    Resource,
    media_type_of,
    read_body,
    read_text,
    require_type,
)
from signalling.viewers import OFFER_SECONDS, Viewer, Viewers
from signalling.whep_events import EVENTS, MEDIA_TYPE, parse_events
from signalling.whep_layers import parse_wish

PATH: Final = "/whep/v1"
SESSIONS: Final = "/whep/session"
EXTENSION: Final = "urn:ietf:params:whep:ext:core:"
JSON: Final = "application/json"
SUFFIX_BYTES: Final = 6  # tells viewers with the same token apart, even a million in one room


class Whep:
    """The egress endpoint and its sessions."""

    def __init__(self, sessions: HttpSessions) -> None:
        """`sessions` must be its own: a session of another protocol is none of these."""
        self._sessions = sessions
        self._hub = sessions.hub
        self.viewers = Viewers(sessions.hub)

    def routes(self) -> Sequence[Route]:
        """Where it is mounted."""
        endpoint: Mapping[str, Handler] = {
            "POST": self._watch,
            "GET": self._discover,
            "HEAD": self._discover,
            "OPTIONS": self._options,
        }
        session: Mapping[str, Handler] = {
            "PATCH": self._patch,
            "DELETE": self._delete,
            "GET": self._probe,
            "HEAD": self._probe,
            "OPTIONS": self._options,
        }
        table: Mapping[str, Mapping[str, Handler]] = {
            PATH: endpoint,
            PATH + "/{room}": endpoint,
            SESSIONS + "/{session}": session,
            SESSIONS + "/{session}/layer": {"POST": self._layer},
            SESSIONS + "/{session}/sse": {"POST": self._open_stream},
            SESSIONS + "/{session}/sse/{stream}": {
                "GET": self._read_stream,
                "DELETE": self._close_stream,
            },
        }
        refusals = self._hub.refusals
        return [Route(path, Resource(one, refusals, "whep")) for path, one in table.items()]

    def shut_down(self) -> None:
        """Tells players to go elsewhere."""
        self.viewers.reconnect()

    # -- sections 4.2 to 4.4 ----------------------------------------------------------------------

    async def _watch(self, request: Request) -> Response:
        """An offer becomes a session; without one, ours does once it is answered."""
        async with self._sessions.admission(request):
            ticket = self._sessions.check(request)
            wanted = Identity(request.query_params.get("participant", ""))
            self._check(request, ticket, wanted)
            offer = await _read_offer(request)
            if offer:
                check_playback(offer)
            spec = self._spec(ticket, follows_all=not wanted)
            session = await self._sessions.open(request, ticket, spec)
        viewer = self.viewers.add(session, wanted)
        try:
            description = self._negotiate(viewer, offer)
            self._hub.rooms.flush()
            if viewer.undecodable:
                raise RemoteError("codec_unsupported", "the viewer decodes nothing of what is live")
        except RemoteError:
            session.peer.leave(LeaveReason.JOIN_FAILURE)
            raise
        finally:
            self._hub.rooms.flush()
        return self._created(session, description)

    def _check(self, request: Request, ticket: Ticket, wanted: Identity) -> None:
        named = request.path_params.get("room", ticket.room)
        if named != ticket.room:
            raise RemoteError("room_not_granted", "the token is for another room")
        if not ticket.spec.permissions.can_subscribe:
            raise RemoteError("subscribe_not_granted", "token does not allow subscribing")
        room = self._hub.rooms.rooms.get(RoomName(named))
        if room is None or (wanted and wanted not in room.peers):
            raise RemoteError("not_live", "there is nothing to watch yet")

    def _spec(self, ticket: Ticket, *, follows_all: bool) -> PeerSpec:
        """Somebody who receives and is not seen; its identity is its own, however many share a token."""
        suffix = self._hub.settings.entropy(SUFFIX_BYTES).hex()
        permissions = replace(
            ticket.spec.permissions,
            hidden=True,
            can_publish=False,
            can_publish_data=False,
            can_publish_sources=frozenset(),
            can_update_metadata=False,
        )
        return replace(
            ticket.spec,
            identity=Identity(f"{ticket.spec.identity}#{suffix}"),
            permissions=permissions,
            auto_subscribe=follows_all,
            single_connection=True,
            renegotiates=False,
        )

    def _negotiate(self, viewer: Viewer, offer: str) -> Description:
        peer = viewer.session.peer
        if offer:
            description = peer.handle_offer(offer)
        else:
            description = peer.create_offer()
            viewer.offer_until = self._hub.clock.now() + OFFER_SECONDS
        peer.mark_joined()
        self.viewers.follow(viewer)
        return description

    def _created(self, session: HttpSession, description: Description) -> Response:
        url = f"{SESSIONS}/{session.peer.sid}"
        headers = {"Location": url, "ETag": entity_tag(session.peer)}
        status, media_type = 201, SDP
        if description.kind == "offer":
            until = formatdate(self._hub.clock.wall() + OFFER_SECONDS, usegmt=True)
            status, media_type = 406, f'{SDP}; valid-until="{until}"'
        response = Response(description.sdp, status, headers=headers, media_type=media_type)
        links = (
            f'<{url}/layer>; rel="{EXTENSION}layer"',
            f'<{url}/sse>; rel="{EXTENSION}server-sent-events"; events="{",".join(EVENTS)}"',
            *ice_links(self._hub.settings.ice_servers(session.peer)),
        )
        for link in links:
            response.headers.append("Link", link)
        return response

    async def _patch(self, request: Request) -> Response:
        """An answer to our offer, or what is new about ICE."""
        session = self._sessions.find(request)
        if media_type_of(request) != SDP:
            return await self._sessions.patch_ice(request, session)
        answer = await read_text(request, SDP, MAX_OFFER)
        viewer = self.viewers.of(session)
        if viewer.offer_until is not None and viewer.offer_until < self._hub.clock.now():
            session.peer.leave(LeaveReason.JOIN_FAILURE)
            self._hub.rooms.flush()
            raise RemoteError("offer_expired", "the offer is no longer valid")
        session.peer.handle_answer(answer)
        viewer.offer_until = None
        self._hub.rooms.flush()
        self.viewers.refresh(viewer)
        return Response(status_code=204)

    async def _delete(self, request: Request) -> Response:
        return self._sessions.close(self._sessions.find(request))

    async def _probe(self, request: Request) -> Response:
        """Section 4.1: a session has no representation, but it is there."""
        self._sessions.find(request)
        return Response(status_code=204)

    async def _discover(self, _: Request) -> Response:
        """Section 4.2: the content type tells players what this address is."""
        return Response(status_code=200, media_type=SDP)

    async def _options(self, _: Request) -> Response:
        return options(SDP)

    # -- extensions ---------------------------------------------------------------------------------

    async def _layer(self, request: Request) -> Response:
        viewer = self.viewers.of(self._sessions.find(request))
        require_type(request, JSON)
        self.viewers.choose(viewer, parse_wish(await read_body(request, MAX_WISH)))
        self._hub.rooms.flush()
        return Response(status_code=200)

    async def _open_stream(self, request: Request) -> Response:
        viewer = self.viewers.of(self._sessions.find(request))
        names = parse_events(await read_body(request, MAX_WISH))
        stream = self.viewers.open_stream(viewer, names)
        url = f"{SESSIONS}/{viewer.session.peer.sid}/sse/{stream}"
        return Response(status_code=201, headers={"Location": url})

    async def _read_stream(self, request: Request) -> Response:
        viewer = self.viewers.of(self._sessions.find(request))
        stream = viewer.stream(request.path_params["stream"])
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        frames = stream.frames(lambda: self.viewers.tell_layers(viewer))
        return StreamingResponse(frames, headers=headers, media_type=MEDIA_TYPE)

    async def _close_stream(self, request: Request) -> Response:
        viewer = self.viewers.of(self._sessions.find(request))
        viewer.close_stream(request.path_params["stream"])
        return Response(status_code=200)


async def _read_offer(request: Request) -> str:
    """The offer; empty if there is no body, which asks for ours."""
    if not media_type_of(request) and not await read_body(request, 0):
        return ""
    offer = await read_text(request, SDP, MAX_OFFER)
    return offer if offer.strip() else ""
