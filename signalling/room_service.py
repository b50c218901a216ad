"""LiveKit's RoomService: governing rooms and participants from a server.

In: grants and request messages. Out: response messages, or RemoteError with Twirp's codes. Every missing grant is
`unauthenticated`, as LiveKit has it. What a call changed is visible to the next call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from google.protobuf.message import Message
from livekit.protocol import models
from livekit.protocol import room as api

from common.errors import RemoteError
from common.ids import Identity, RoomName, TrackSid
from compliance.events import Target
from sfu.model import LeaveReason, Permissions, RoomOptions
from sfu.ports import PeerPort, RoomPort
from signalling import acts, convert
from signalling.acts import Unrecorded
from signalling.admission import ROOM_UNKNOWN_TEXT, merged
from signalling.data import server_packet
from signalling.door import Door
from signalling.facts import check_facts
from signalling.grants import Grants
from signalling.hub import Hub
from signalling.limits import (
    MAX_DATA_PACKET,
    MAX_METADATA,
    MAX_NAME,
    MAX_TRACKS_NAMED,
    NONCE_LENGTH,
)
from signalling.ports import Act
from signalling.twirp import Rpc

SERVICE: Final = "livekit.RoomService"

Request = TypeVar("Request", bound=Message)


class RoomService:
    """The calls of the service."""

    def __init__(
        self, hub: Hub, door: Door, defaults: RoomOptions, *, remote_unmute: bool = False
    ) -> None:
        """`defaults` complete the options of new rooms."""
        self._hub = hub
        self._door = door
        self._rooms = hub.rooms
        self._defaults = defaults
        self._remote_unmute = remote_unmute

    def methods(self) -> Mapping[str, Rpc]:
        """The service as a table."""
        reads, refused = Unrecorded.READS, Unrecorded.REFUSED
        removal = api.RoomParticipantIdentity
        return {
            "CreateRoom": Rpc(api.CreateRoomRequest, self.create_room, Unrecorded.AT_THE_DOOR),
            "ListRooms": Rpc(api.ListRoomsRequest, self.list_rooms, reads),
            "DeleteRoom": Rpc(api.DeleteRoomRequest, self.delete_room, Unrecorded.AT_THE_DOOR),
            "ListParticipants": Rpc(api.ListParticipantsRequest, self.list_participants, reads),
            "GetParticipant": Rpc(api.RoomParticipantIdentity, self.get_participant, reads),
            "RemoveParticipant": self._acted(removal, self.remove_participant, self.removal_act),
            "MutePublishedTrack": self._acted(
                api.MuteRoomTrackRequest, self.mute_published_track, self.mute_act
            ),
            "UpdateParticipant": self._acted(
                api.UpdateParticipantRequest, self.update_participant, self.update_act
            ),
            "UpdateSubscriptions": self._acted(
                api.UpdateSubscriptionsRequest, self.update_subscriptions, self.subscriptions_act
            ),
            "SendData": Rpc(api.SendDataRequest, self._flushed(self.send_data), Unrecorded.CONTENT),
            "UpdateRoomMetadata": self._acted(
                api.UpdateRoomMetadataRequest, self.update_room_metadata, self.metadata_act
            ),
            "ForwardParticipant": Rpc(api.ForwardParticipantRequest, _not_offered, refused),
            "MoveParticipant": Rpc(api.MoveParticipantRequest, _not_offered, refused),
            "PerformRpc": Rpc(api.PerformRpcRequest, _not_offered, refused),
        }

    # -- rooms ----------------------------------------------------------------------------------

    async def create_room(self, grants: Grants, request: api.CreateRoomRequest) -> models.Room:
        """Creates a room, or updates what is said about one that exists."""
        _demand(grants.room_create)
        if not request.name or len(request.name) > MAX_NAME:
            raise RemoteError("invalid_argument", "the room's name is missing or too long")
        if request.room_preset:
            raise RemoteError("invalid_argument", "no such room preset")
        _check_metadata(request.metadata)
        wanted = RoomOptions(
            empty_timeout=request.empty_timeout,
            departure_timeout=request.departure_timeout,
            max_participants=request.max_participants,
            metadata=request.metadata,
        )
        name = RoomName(request.name)
        room, created = await self._door.open_room(name, merged(wanted, self._defaults), grants)
        if not created:
            await self._door.change_room(room, wanted, grants)
        self._rooms.flush()
        return self._hub.feeds.describe(room)

    def list_rooms(self, grants: Grants, request: api.ListRoomsRequest) -> api.ListRoomsResponse:
        """Rooms that exist, or those of the given names among them."""
        _demand(grants.room_list)
        names = set(request.names)
        rooms = [room for room in self._rooms.rooms.values() if not names or room.name in names]
        return api.ListRoomsResponse(rooms=[self._hub.feeds.describe(room) for room in rooms])

    async def delete_room(
        self, grants: Grants, request: api.DeleteRoomRequest
    ) -> api.DeleteRoomResponse:
        """Ends a room and everybody in it."""
        _demand(grants.room_create)
        await self._door.end_room(self._room(request.room), grants)
        self._rooms.flush()
        return api.DeleteRoomResponse()

    def metadata_act(self, grants: Grants, request: api.UpdateRoomMetadataRequest) -> Act:
        """The metadata of a room change."""
        _demand(grants.administers(request.room))
        _check_metadata(request.metadata)
        return acts.room_changed(self._room(request.room), grants, ("metadata",))

    def update_room_metadata(
        self, grants: Grants, request: api.UpdateRoomMetadataRequest
    ) -> models.Room:
        """Replaces a room's metadata."""
        room = self._room(request.room)
        room.set_metadata(request.metadata)
        return self._hub.feeds.describe(room)

    # -- participants ---------------------------------------------------------------------------

    def list_participants(
        self, grants: Grants, request: api.ListParticipantsRequest
    ) -> api.ListParticipantsResponse:
        """Everybody in a room, hidden ones too; nobody in a room that doesn't exist."""
        _demand(grants.administers(request.room))
        room = self._rooms.rooms.get(RoomName(request.room))
        peers = room.peers.values() if room else ()
        return api.ListParticipantsResponse(
            participants=[self._hub.roster.describe(peer) for peer in peers]
        )

    def get_participant(
        self, grants: Grants, request: api.RoomParticipantIdentity
    ) -> models.ParticipantInfo:
        """One participant."""
        _demand(grants.administers(request.room))
        return self._hub.roster.describe(self._peer(request.room, request.identity))

    def removal_act(self, grants: Grants, request: api.RoomParticipantIdentity) -> Act:
        """A participant is sent away."""
        _demand(grants.administers(request.room))
        return acts.removal(self._target(request.room, request.identity), grants)

    def remove_participant(
        self, grants: Grants, request: api.RoomParticipantIdentity
    ) -> api.RemoveParticipantResponse:
        """Sends somebody away."""
        self._peer(request.room, request.identity).leave(LeaveReason.PARTICIPANT_REMOVED)
        return api.RemoveParticipantResponse()

    def mute_act(self, grants: Grants, request: api.MuteRoomTrackRequest) -> Act:
        """A track of another is muted."""
        _demand(grants.administers(request.room))
        if not request.muted and not self._remote_unmute:
            raise RemoteError("failed_precondition", "remote unmute not enabled")
        sid = TrackSid(request.track_sid)
        if sid not in self._peer(request.room, request.identity).publications:
            raise RemoteError("not_found", "track does not exist")
        return acts.muting(self._target(request.room, request.identity, sid), grants, request.muted)

    def mute_published_track(
        self, grants: Grants, request: api.MuteRoomTrackRequest
    ) -> api.MuteRoomTrackResponse:
        """Mutes somebody's track; its owner is told and mutes at the source."""
        peer = self._peer(request.room, request.identity)
        sid = TrackSid(request.track_sid)
        peer.set_muted(sid, request.muted)
        self._hub.tell_muted(peer, sid, request.muted)
        return api.MuteRoomTrackResponse(track=convert.track_info(peer.publications[sid]))

    def update_act(self, grants: Grants, request: api.UpdateParticipantRequest) -> Act:
        """Facts and rights of a participant change; a new name is sealed."""
        _demand(grants.administers(request.room))
        peer = self._peer(request.room, request.identity)
        check_facts(request.name, request.metadata, {**peer.attributes, **request.attributes})
        member = self._hub.members.get(peer.sid)
        holder = member.grants.holder if member is not None else peer.identity
        facts = {
            "name": request.name,
            "metadata": request.metadata,
            "attributes": len(request.attributes),
        }
        on = self._target(request.room, request.identity)
        actor = acts.actor_of(grants)
        event = acts.update(actor, on, peer, facts, _permissions(request))
        return replace(acts.of(grants, event), about=acts.renamed(holder, request.name))

    def update_participant(
        self, grants: Grants, request: api.UpdateParticipantRequest
    ) -> models.ParticipantInfo:
        """Changes facts and permissions of somebody; permissions are replaced as a whole."""
        peer = self._peer(request.room, request.identity)
        peer.update(
            name=request.name or None,
            metadata=request.metadata or None,
            attributes=dict(request.attributes) or None,
            permissions=_permissions(request),
        )
        return self._hub.roster.describe(peer)

    def subscriptions_act(self, grants: Grants, request: api.UpdateSubscriptionsRequest) -> Act:
        """What a participant receives is decided by another."""
        _demand(grants.administers(request.room))
        tracks = convert.wanted_tracks(request)
        if len(tracks) > MAX_TRACKS_NAMED:
            raise RemoteError("invalid_argument", "too many tracks")
        on = self._target(request.room, request.identity)
        return acts.subscriptions(on, grants, tracks, subscribed=request.subscribe)

    def update_subscriptions(
        self, grants: Grants, request: api.UpdateSubscriptionsRequest
    ) -> api.UpdateSubscriptionsResponse:
        """Subscribes somebody to tracks, or ends that."""
        peer = self._peer(request.room, request.identity)
        tracks = convert.wanted_tracks(request)
        if request.subscribe:
            peer.subscribe(tracks)
        else:
            peer.unsubscribe(tracks)
            member = self._hub.members.get(peer.sid)
            if member is not None:
                self._hub.feeds.forget_unheard(member)
        return api.UpdateSubscriptionsResponse()

    def send_data(self, grants: Grants, request: api.SendDataRequest) -> api.SendDataResponse:
        """Sends a message to participants, from nobody."""
        _demand(grants.administers(request.room))
        room = self._room(request.room)
        if len(request.nonce) not in (0, NONCE_LENGTH):
            raise RemoteError("invalid_argument", "a nonce has 16 bytes")
        if len(request.data) > MAX_DATA_PACKET:
            raise RemoteError("invalid_argument", "the data are too long")
        user = models.UserPacket(
            payload=request.data,
            destination_sids=request.destination_sids,
            destination_identities=request.destination_identities,
            nonce=request.nonce,
        )
        if request.HasField("topic"):
            user.topic = request.topic
        reliable = request.kind == models.DataPacket.Kind.RELIABLE
        packet = server_packet(user, reliable=reliable)
        self._hub.data.send(room, packet, self._hub.clock.now())
        return api.SendDataResponse()

    # -- helpers --------------------------------------------------------------------------------

    def _room(self, name: str) -> RoomPort:
        room = self._rooms.rooms.get(RoomName(name))
        if room is None:
            raise RemoteError("not_found", ROOM_UNKNOWN_TEXT)
        return room

    def _peer(self, room_name: str, identity: str) -> PeerPort:
        room = self._rooms.rooms.get(RoomName(room_name))
        peer = room.peers.get(Identity(identity)) if room else None
        if peer is None:
            raise RemoteError("not_found", "participant does not exist")
        return peer

    def _target(self, room_name: str, identity: str, track: TrackSid | None = None) -> Target:
        """A participant, or one of its tracks, as that on which something is done."""
        peer = self._peer(room_name, identity)
        subject = self._hub.ledger.subject_of(peer.sid)
        return Target(self._room(room_name).sid, peer.sid, track or "", subject)

    def _acted(
        self,
        kind: type[Message],
        call: Callable[[Grants, Any], Message],
        act: Callable[[Grants, Any], Act],
    ) -> Rpc:
        """A method that happens once it is on record; `act` makes all checks."""
        return Rpc(kind, self._flushed(call), act)

    def _flushed(
        self, call: Callable[[Grants, Request], Message]
    ) -> Callable[[Grants, Request], Message]:
        """Lets what a call caused happen before its answer."""

        def flushed(grants: Grants, request: Request) -> Message:
            response = call(grants, request)
            self._rooms.flush()
            return response

        return flushed


def _not_offered(_: Grants, __: Any) -> Message:
    raise RemoteError("unimplemented", "this call is not offered")


def _demand(granted: bool) -> None:
    if not granted:
        raise RemoteError("unauthenticated", "permissions denied")


def _permissions(request: api.UpdateParticipantRequest) -> Permissions | None:
    return convert.permissions_of(request.permission) if request.HasField("permission") else None


def _check_metadata(metadata: str) -> None:
    if len(metadata.encode()) > MAX_METADATA:
        raise RemoteError("invalid_argument", "metadata are too long")
