"""The sfu's model to LiveKit's protobuf entities and back.

In: values of `sfu.model` and the ports, or protobuf messages. Out: the other. Every enumeration is mapped by
name, because proto3's zero values mean something. Must not: decide or send anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, cast

from livekit.protocol import models, rtc
from livekit.protocol import room as api

from common.errors import RemoteError
from common.ids import TrackSid
from sfu.model import (
    LayerSpec,
    LeaveReason,
    PeerKind,
    PeerState,
    Permissions,
    PublicationSpec,
    Quality,
    TrackKind,
    TrackSettings,
    TrackSource,
)
from sfu.ports import PeerPort, PublicationPort, RoomPort

_SOURCES: Final = {
    TrackSource.UNKNOWN: models.TrackSource.UNKNOWN,
    TrackSource.CAMERA: models.TrackSource.CAMERA,
    TrackSource.MICROPHONE: models.TrackSource.MICROPHONE,
    TrackSource.SCREEN_SHARE: models.TrackSource.SCREEN_SHARE,
    TrackSource.SCREEN_SHARE_AUDIO: models.TrackSource.SCREEN_SHARE_AUDIO,
}
_SOURCES_BACK: Final = {wire: source for source, wire in _SOURCES.items()}
_REASONS: Final = {
    reason: cast("models.DisconnectReason", models.DisconnectReason.Value(reason.name))
    for reason in LeaveReason
}
# What a client may give as its own reason for going; anything else is plain leaving.
_CLIENT_REASONS: Final[dict[int, LeaveReason]] = {
    models.DisconnectReason.USER_UNAVAILABLE: LeaveReason.USER_UNAVAILABLE,
    models.DisconnectReason.USER_REJECTED: LeaveReason.USER_REJECTED,
    models.DisconnectReason.AGENT_ERROR: LeaveReason.AGENT_ERROR,
}
_STREAMS: Final = {
    TrackSource.CAMERA: "camera",
    TrackSource.MICROPHONE: "camera",
    TrackSource.SCREEN_SHARE: "screen",
    TrackSource.SCREEN_SHARE_AUDIO: "screen",
}
_RIDS: Final = ("q", "h", "f")
# Recorders and agents are dependents: they neither count nor keep a room open.
DEPENDENTS: Final = frozenset({PeerKind.EGRESS, PeerKind.AGENT})


def reason_number(reason: LeaveReason) -> models.DisconnectReason:
    """LiveKit's number of a reason."""
    return _REASONS[reason]


def reason_of_client(reason: int) -> LeaveReason:
    """Why a client says that it leaves."""
    return _CLIENT_REASONS.get(reason, LeaveReason.CLIENT_INITIATED)


# -- participants and rooms -------------------------------------------------------------------------


def participant_info(
    peer: PeerPort,
    *,
    kind_details: Iterable[int] = (),
    region: str = "",
    departed: LeaveReason | None = None,
) -> models.ParticipantInfo:
    """A participant with its complete list of published tracks; `departed` makes it disconnected."""
    info = models.ParticipantInfo(
        sid=peer.sid,
        identity=peer.identity,
        name=peer.name,
        metadata=peer.metadata,
        attributes=peer.attributes,
        state=(PeerState.DISCONNECTED if departed else peer.state).name,
        joined_at=int(peer.joined_at),
        joined_at_ms=int(peer.joined_at * 1000),
        version=peer.version,
        permission=permission_message(peer.permissions, peer.kind),
        is_publisher=peer.is_publisher,
        region=region,
        kind=peer.kind.name,
        client_protocol=peer.client.client_protocol,
        capabilities=peer.client.capabilities,  # type: ignore[arg-type]
    )
    info.kind_details.extend(kind_details)  # type: ignore[arg-type]
    if departed is not None:
        info.disconnect_reason = _REASONS[departed]
    else:
        info.tracks.extend(
            track_info(each) for each in peer.publications.values() if each.published
        )
    return info


def kind_details(names: Iterable[str]) -> list[int]:
    """Numbers of the details that a token names; unknown ones are left out."""
    known = models.ParticipantInfo.KindDetail
    return [known.Value(name.upper()) for name in names if name.upper() in known.keys()]


def permission_message(permissions: Permissions, kind: PeerKind) -> models.ParticipantPermission:
    """Permissions as participants see them."""
    return models.ParticipantPermission(
        can_subscribe=permissions.can_subscribe,
        can_publish=permissions.can_publish,
        can_publish_data=permissions.can_publish_data,
        can_publish_sources=sorted(_SOURCES[each] for each in permissions.can_publish_sources),
        hidden=permissions.hidden,
        recorder=permissions.recorder,
        can_update_metadata=permissions.can_update_metadata,
        agent=kind is PeerKind.AGENT,
        can_subscribe_metrics=permissions.can_subscribe_metrics,
    )


def permissions_of(message: models.ParticipantPermission) -> Permissions:
    """Permissions that a server API call sets; absent means no, as everywhere in proto3."""
    return Permissions(
        can_publish=message.can_publish,
        can_subscribe=message.can_subscribe,
        can_publish_data=message.can_publish_data,
        can_publish_sources=frozenset(
            _SOURCES_BACK[each] for each in message.can_publish_sources if each in _SOURCES_BACK
        ),
        can_update_metadata=message.can_update_metadata,
        can_subscribe_metrics=message.can_subscribe_metrics,
        hidden=message.hidden,
        recorder=message.recorder,
    )


def room_message(room: RoomPort, codecs: Iterable[str], *, wall: float) -> models.Room:
    """A room with its counts as of now; `wall` (seconds since the epoch) versions them."""
    counted = [peer for peer in room.peers.values() if peer.kind not in DEPENDENTS]
    return models.Room(
        sid=room.sid,
        name=room.name,
        empty_timeout=room.options.empty_timeout,
        departure_timeout=room.options.departure_timeout,
        max_participants=room.options.max_participants,
        creation_time=int(room.created_at),
        creation_time_ms=int(room.created_at * 1000),
        enabled_codecs=[models.Codec(mime=mime) for mime in codecs],
        metadata=room.metadata,
        num_participants=len(counted),
        num_publishers=sum(peer.is_publisher for peer in counted),
        active_recording=room.recording,
        version=models.TimedVersion(unix_micro=int(wall * 1_000_000)),
    )


# -- tracks -----------------------------------------------------------------------------------------


def track_info(publication: PublicationPort) -> models.TrackInfo:
    """A track as its publisher announced it and as its media turned out."""
    spec = publication.spec
    layers = layer_messages(publication)
    info = models.TrackInfo(
        sid=publication.sid,
        type=models.TrackType.VIDEO if spec.kind is TrackKind.VIDEO else models.TrackType.AUDIO,
        name=spec.name,
        muted=publication.muted,
        width=spec.width,
        height=spec.height,
        simulcast=len(publication.rids) > 1,
        disable_dtx=spec.disable_dtx,
        source=_SOURCES[spec.source],
        layers=layers,
        mime_type=publication.mime_type,
        mid=publication.mid,
        stereo=spec.stereo,
        disable_red=spec.disable_red,
        stream=spec.stream or _STREAMS.get(spec.source, ""),
    )
    # Opaque numbers of the client: echoed as they came, unknown values too.
    info.encryption = spec.encryption  # type: ignore[assignment]
    info.backup_codec_policy = spec.backup_codec_policy  # type: ignore[assignment]
    info.audio_features.extend(spec.audio_features)  # type: ignore[arg-type]
    info.packet_trailer_features.extend(spec.packet_trailer_features)  # type: ignore[arg-type]
    for position, (codec, cid) in enumerate(spec.codecs or ((publication.mime_type, spec.cid),)):
        mime = normal_mime(codec, spec.kind)
        info.codecs.add(
            mime_type=mime if position else publication.mime_type or mime,
            mid=publication.mid if position == 0 else "",
            cid=cid,
            layers=layers,
            video_layer_mode=layer_mode(spec),
            sdp_cid=publication.sdp_cid if position == 0 else "",
        )
    return info


def layer_messages(publication: PublicationPort) -> list[models.VideoLayer]:
    """Layers low to high, with the rid that carries each and its spatial index."""
    if publication.spec.kind is TrackKind.AUDIO:
        return []
    layers = sorted(publication.layers, key=lambda layer: layer.quality)
    rids = publication.rids or (_RIDS if len(layers) > 1 else ())
    return [
        models.VideoLayer(
            quality=wire_quality(layer.quality),
            width=layer.width,
            height=layer.height,
            bitrate=layer.bitrate,
            spatial_layer=position,
            rid=rids[position] if position < len(rids) else "",
        )
        for position, layer in enumerate(layers)
    ]


def layer_mode(spec: PublicationSpec) -> models.VideoLayer.Mode:
    """How the layers of a video share streams."""
    modes = models.VideoLayer.Mode
    if spec.kind is TrackKind.AUDIO:
        return modes.MODE_UNUSED
    first = spec.codecs[0][0].lower() if spec.codecs else ""
    if first.endswith(("vp9", "av1")) and not spec.one_stream_per_layer:
        return modes.MULTIPLE_SPATIAL_LAYERS_PER_STREAM
    return modes.ONE_SPATIAL_LAYER_PER_STREAM


def normal_mime(codec: str, kind: TrackKind) -> str:
    """`vp8`, `VP8` and `video/VP8` all become `video/vp8`; empty stays empty."""
    if not codec:
        return ""
    return codec.lower() if "/" in codec else f"{kind.value}/{codec.lower()}"


def publication_spec(request: rtc.AddTrackRequest) -> PublicationSpec:
    """An announced track. Raises RemoteError `unsupported_type` for what is neither audio nor video."""
    kinds = {models.TrackType.AUDIO: TrackKind.AUDIO, models.TrackType.VIDEO: TrackKind.VIDEO}
    kind = kinds.get(request.type)
    if kind is None:
        raise RemoteError("unsupported_type", "a track is audio or video")
    modes = {codec.video_layer_mode for codec in request.simulcast_codecs}
    layers = list(request.layers)
    for codec in request.simulcast_codecs:
        layers = layers or list(codec.layers)
    return PublicationSpec(
        cid=request.cid,
        kind=kind,
        name=request.name,
        source=_SOURCES_BACK.get(request.source, TrackSource.UNKNOWN),
        width=request.width,
        height=request.height,
        muted=request.muted,
        layers=layer_specs(layers),
        codecs=tuple((codec.codec, codec.cid) for codec in request.simulcast_codecs),
        stream=request.stream,
        encryption=request.encryption,
        stereo=request.stereo or models.AudioTrackFeature.TF_STEREO in request.audio_features,
        disable_dtx=request.disable_dtx
        or models.AudioTrackFeature.TF_NO_DTX in request.audio_features,
        disable_red=request.disable_red,
        audio_features=tuple(request.audio_features),
        packet_trailer_features=tuple(request.packet_trailer_features),
        backup_codec_policy=request.backup_codec_policy,
        one_stream_per_layer=models.VideoLayer.Mode.ONE_SPATIAL_LAYER_PER_STREAM in modes,
    )


def layer_specs(layers: Iterable[models.VideoLayer]) -> tuple[LayerSpec, ...]:
    """Announced layers low to high, one per quality."""
    found = {}
    for layer in layers:
        quality = _quality(layer.quality)
        if quality in (Quality.LOW, Quality.MEDIUM, Quality.HIGH):
            found[quality] = LayerSpec(quality, layer.width, layer.height, layer.bitrate)
    return tuple(found[quality] for quality in sorted(found))


def wire_quality(quality: Quality) -> models.VideoQuality:
    """LiveKit's number of a quality; the model uses the same."""
    return cast("models.VideoQuality", quality.value)


def _quality(number: int) -> Quality:
    """A quality of the wire; one that we don't know means the best."""
    return Quality(number) if Quality.LOW <= number <= Quality.OFF else Quality.HIGH


def track_settings(request: rtc.UpdateTrackSettings) -> TrackSettings:
    """What a subscriber asks of some tracks."""
    return TrackSettings(
        disabled=request.disabled,
        quality=_quality(request.quality),
        width=request.width,
        height=request.height,
        fps=request.fps,
        priority=request.priority,
    )


def wanted_tracks(
    request: rtc.UpdateSubscription | api.UpdateSubscriptionsRequest,
) -> list[TrackSid]:
    """The tracks that a subscription request names, once each, in order."""
    named = [*request.track_sids]
    for group in request.participant_tracks:
        named += group.track_sids
    return [TrackSid(sid) for sid in dict.fromkeys(named)]
