"""WHIP (RFC 9725): an encoder publishes with one POST of its offer.

In: requests of `/whip/v1` and of the sessions below it. Out: participants like any other, whose tracks are
published at once. Must not: negotiate twice; the protocol has no second offer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from common.errors import RemoteError
from sfu import OfferedTrack, read_ingest
from sfu.model import (
    Description,
    LayerSpec,
    LeaveReason,
    PeerSpec,
    Permissions,
    PublicationSpec,
    Quality,
    TrackKind,
    TrackSource,
)
from signalling.admission import Ticket
from signalling.http_sessions import (
    SDP,
    HttpSession,
    HttpSessions,
    entity_tag,
    ice_links,
    options,
)
from signalling.limits import MAX_OFFER
from signalling.resources import Resource, read_text

PATH: Final = "/whip/v1"
SOURCES: Final = {TrackKind.VIDEO: TrackSource.CAMERA, TrackKind.AUDIO: TrackSource.MICROPHONE}
QUALITIES: Final = (Quality.LOW, Quality.MEDIUM, Quality.HIGH)


class Whip:
    """The ingest endpoint and its sessions."""

    def __init__(self, sessions: HttpSessions) -> None:
        """`sessions` may be shared with other protocols."""
        self._sessions = sessions
        self._hub = sessions.hub

    def routes(self) -> Sequence[Route]:
        """Where it is mounted."""
        endpoint = {
            "POST": self._publish,
            "GET": self._empty,
            "HEAD": self._empty,
            "OPTIONS": self._options,
        }
        session = {
            "PATCH": self._patch,
            "DELETE": self._delete,
            "GET": self._probe,
            "HEAD": self._probe,
            "OPTIONS": self._options,
        }
        refusals = self._hub.refusals
        return (
            Route(PATH, Resource(endpoint, refusals, "whip")),
            Route(PATH + "/{session}", Resource(session, refusals, "whip")),
        )

    async def _publish(self, request: Request) -> Response:
        """Section 4.2: an offer becomes a session."""
        async with self._sessions.admission(request):
            ticket = self._sessions.check(request)
            if not ticket.spec.permissions.can_publish:
                raise RemoteError("publish_not_granted", "token does not allow publishing")
            offer = await read_text(request, SDP, MAX_OFFER)
            tracks = read_ingest(offer)
            _check_sources(ticket, tracks)
            session = await self._sessions.open(request, ticket, _spec(ticket))
        try:
            await self._sessions.announce(session, [_publication(track) for track in tracks])
            answer = session.peer.handle_offer(offer)
            session.peer.mark_joined()
        except RemoteError:
            session.peer.leave(LeaveReason.JOIN_FAILURE)
            raise
        finally:
            self._hub.rooms.flush()
        return self._created(session, answer)

    def _created(self, session: HttpSession, answer: Description) -> Response:
        peer = session.peer
        headers = {"Location": f"{PATH}/{peer.sid}", "ETag": entity_tag(peer)}
        response = Response(answer.sdp, 201, headers=headers, media_type=SDP)
        for link in ice_links(self._hub.settings.ice_servers(peer)):
            response.headers.append("Link", link)
        return response

    async def _patch(self, request: Request) -> Response:
        return await self._sessions.patch_ice(request, self._sessions.find(request))

    async def _delete(self, request: Request) -> Response:
        return self._sessions.close(self._sessions.find(request))

    async def _probe(self, request: Request) -> Response:
        """Section 4.1: a session has no representation, but it is there."""
        self._sessions.find(request)
        return Response(status_code=204)

    async def _empty(self, _: Request) -> Response:
        return Response(status_code=204)

    async def _options(self, _: Request) -> Response:
        return options(SDP)


def _check_sources(ticket: Ticket, tracks: Sequence[OfferedTrack]) -> None:
    allowed = ticket.spec.permissions.can_publish_sources
    for track in tracks:
        if allowed and SOURCES[track.kind] not in allowed:
            raise RemoteError("not_allowed", f"token does not allow a {SOURCES[track.kind]}")


def _spec(ticket: Ticket) -> PeerSpec:
    """A publisher that receives nothing: an ingest session has no way to offer it more."""
    permissions: Permissions = replace(ticket.spec.permissions, can_subscribe=False)
    return replace(
        ticket.spec,
        permissions=permissions,
        auto_subscribe=False,
        single_connection=True,
        renegotiates=False,
    )


def _publication(track: OfferedTrack) -> PublicationSpec:
    source = SOURCES[track.kind]
    layers: tuple[LayerSpec, ...] = ()
    if track.kind is TrackKind.VIDEO and track.streams > 1:
        layers = tuple(LayerSpec(quality) for quality in QUALITIES[: track.streams])
    return PublicationSpec(
        cid=track.cid,
        kind=track.kind,
        name=source.value,
        source=source,
        layers=layers,
        stereo=track.stereo,
    )
