"""What a token allows: claims become typed grants with every default resolved, and back for refresh tokens.

In: claims whose signature was checked. Out: `Grants`, or RemoteError `grants_malformed`. Unknown claims and
grants are ignored. Must not: verify tokens, or know rooms that exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from common.errors import RemoteError
from common.ids import Identity, RoomName
from sfu.model import PeerKind, Permissions, RoomOptions, TrackSource

# Claims have lower camel case; LiveKit also says "connector" and "bridge" among its kinds.
_KINDS = {kind.value: kind for kind in PeerKind}
_NOBODY = Identity("")
_NO_ROOM = RoomName("")
_DEFAULT = Permissions()
_SOURCES = {source.value: source for source in TrackSource}


@dataclass(frozen=True, slots=True)
class Grants:
    """A token's contents."""

    issuer: str
    expires_at: float  # seconds since the epoch
    identity: Identity = _NOBODY
    holder: Identity = _NOBODY  # the identity as the token has it: one person, however it joins
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    kind: PeerKind = PeerKind.STANDARD
    kind_details: tuple[str, ...] = ()
    room: RoomName = _NO_ROOM
    room_join: bool = False
    room_create: bool = False
    room_list: bool = False
    room_admin: bool = False
    room_record: bool = False
    ingress_admin: bool = False
    agent: bool = False
    destination_room: RoomName = _NO_ROOM
    permissions: Permissions = _DEFAULT
    room_options: RoomOptions | None = None  # for the room that this join creates; 0: not said
    room_preset: str = ""
    claims: Mapping[str, object] = field(default_factory=dict)  # as they came, for refresh tokens

    def administers(self, room: str) -> bool:
        """Whether the token may govern the participants of `room`."""
        return self.room_admin and self.room == room and room != ""


def parse_grants(claims: Mapping[str, object], *, issuer: str, expires_at: float) -> Grants:
    """Reads claims. Raises RemoteError `grants_malformed` for a known claim of the wrong type."""
    video = _object(claims, "video")
    kind = _KINDS.get(_text(claims, "kind") or PeerKind.STANDARD, PeerKind.STANDARD)
    if kind is PeerKind.STANDARD and _flag(video, "agent", False):
        kind = PeerKind.AGENT
    if kind is PeerKind.STANDARD and _flag(video, "recorder", False):
        kind = PeerKind.EGRESS
    identity = Identity(_text(claims, "sub") or _text(claims, "jti"))
    return Grants(
        issuer=issuer,
        expires_at=expires_at,
        identity=identity,
        holder=identity,
        name=_text(claims, "name"),
        metadata=_text(claims, "metadata"),
        attributes=_texts(claims, "attributes"),
        kind=kind,
        kind_details=_list(claims, "kindDetails"),
        room=RoomName(_text(video, "room")),
        room_join=_flag(video, "roomJoin", False),
        room_create=_flag(video, "roomCreate", False),
        room_list=_flag(video, "roomList", False),
        room_admin=_flag(video, "roomAdmin", False),
        room_record=_flag(video, "roomRecord", False),
        ingress_admin=_flag(video, "ingressAdmin", False),
        agent=_flag(video, "agent", False),
        destination_room=RoomName(_text(video, "destinationRoom")),
        permissions=_permissions(video, kind),
        room_options=_room_options(claims),
        room_preset=_text(claims, "roomPreset"),
        claims=claims,
    )


def refreshed_claims(
    grants: Grants,
    *,
    name: str,
    metadata: str,
    attributes: Mapping[str, str],
    permissions: Permissions,
) -> dict[str, object]:
    """The claims of a token that lets its holder come back as what it is now."""
    video = dict(_object(grants.claims, "video"))
    video.update(
        canPublish=permissions.can_publish,
        canSubscribe=permissions.can_subscribe,
        canPublishData=permissions.can_publish_data,
        canPublishSources=sorted(permissions.can_publish_sources),
        canUpdateOwnMetadata=permissions.can_update_metadata,
        canSubscribeMetrics=permissions.can_subscribe_metrics,
        hidden=permissions.hidden,
        recorder=permissions.recorder,
    )
    kept = {key: grants.claims[key] for key in _KEPT if key in grants.claims}
    return {
        **kept,
        "sub": grants.identity,
        "name": name,
        "metadata": metadata,
        "attributes": dict(attributes),
        "kind": grants.kind.value,
        "video": video,
    }


_KEPT = ("kindDetails", "roomConfig", "roomPreset")


def with_overrides(
    grants: Grants, metadata: str, attributes: Mapping[str, str], identity_suffix: str
) -> Grants:
    """Applies what a join request adds to its token.

    Metadata replaces, attributes merge. `identity_suffix` makes the publish-only twin of a participant.
    Raises RemoteError: metadata_not_granted, publish_not_granted.
    """
    if (metadata or attributes) and not grants.permissions.can_update_metadata:
        raise RemoteError("metadata_not_granted", "token lacks canUpdateOwnMetadata")
    if identity_suffix:
        if not grants.permissions.can_publish:
            raise RemoteError("publish_not_granted", "token does not allow publishing")
        grants = replace(
            grants,
            identity=Identity(f"{grants.identity}#{identity_suffix}"),
            permissions=replace(grants.permissions, can_subscribe=False),
        )
    return replace(
        grants,
        metadata=metadata or grants.metadata,
        attributes={**grants.attributes, **attributes},
    )


def _permissions(video: Mapping[str, object], kind: PeerKind) -> Permissions:
    can_publish = _flag(video, "canPublish", True)
    sources = frozenset(
        _SOURCES[name] for name in _list(video, "canPublishSources") if name in _SOURCES
    )
    if _list(video, "canPublishSources") and not sources:
        can_publish = False  # only sources that we do not know were granted
    return Permissions(
        can_publish=can_publish,
        can_subscribe=_flag(video, "canSubscribe", True),
        can_publish_data=_flag(video, "canPublishData", can_publish),
        can_publish_sources=sources,
        can_update_metadata=_flag(video, "canUpdateOwnMetadata", False),
        can_subscribe_metrics=_flag(video, "canSubscribeMetrics", False),
        hidden=_flag(video, "hidden", False),
        recorder=_flag(video, "recorder", False) or kind is PeerKind.EGRESS,
    )


def _room_options(claims: Mapping[str, object]) -> RoomOptions | None:
    if claims.get("roomConfig") is None:
        return None
    room = _object(claims, "roomConfig")
    return RoomOptions(
        empty_timeout=_number(room, "emptyTimeout"),
        departure_timeout=_number(room, "departureTimeout"),
        max_participants=_number(room, "maxParticipants"),
        metadata=_text(room, "metadata"),
    )


def _malformed(name: str) -> RemoteError:
    return RemoteError("grants_malformed", f"claim {name} has the wrong type")


def _text(source: Mapping[str, object], name: str) -> str:
    value = source.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or not _encodes(value):
        raise _malformed(name)
    return value


def _flag(source: Mapping[str, object], name: str, default: bool) -> bool:
    value = source.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise _malformed(name)
    return value


def _number(source: Mapping[str, object], name: str) -> int:
    # protojson writes either case and numbers also as strings
    value = source.get(name, source.get(_snake(name)))
    if value is None:
        return 0
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 10:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**32:
        raise _malformed(name)
    return value


def _object(source: Mapping[str, object], name: str) -> dict[str, Any]:
    value = source.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _malformed(name)
    return value


def _texts(source: Mapping[str, object], name: str) -> dict[str, str]:
    value = _object(source, name)
    if not all(isinstance(item, str) and _encodes(item) for item in value.values()):
        raise _malformed(name)
    if not all(_encodes(key) for key in value):
        raise _malformed(name)
    return value


def _list(source: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = source.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _malformed(name)
    return tuple(value)


def _encodes(value: str) -> bool:
    """JSON can escape half of a surrogate pair, which no protobuf string may hold."""
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
