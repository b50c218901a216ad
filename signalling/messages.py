"""Every response that we send, each built in one place with no field forgotten.

In: values of the model and the ports. Out: `SignalResponse` messages. Must not: decide when to send them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from livekit.protocol import models, rtc

from common.ids import PeerSid, TrackSid
from sfu.model import Description, LeaveReason, Quality
from sfu.ports import PublicationPort
from signalling import convert
from signalling.limits import PING_INTERVAL, PING_TIMEOUT

# What clients take as feature switches: LiveKit's release whose behaviour this is, and the protocol whose
# channel rules we follow (18 would make Rust clients use pre-negotiated channels).
SERVER_VERSION: Final = "1.13.5"
SERVER_PROTOCOL: Final = 17
AGENT_PROTOCOL: Final = 1

_QUALITIES: Final = {
    "poor": models.ConnectionQuality.POOR,
    "good": models.ConnectionQuality.GOOD,
    "excellent": models.ConnectionQuality.EXCELLENT,
    "lost": models.ConnectionQuality.LOST,
}
_SUBSCRIPTION_ERRORS: Final = {
    "codec_unsupported": models.SubscriptionError.SE_CODEC_UNSUPPORTED,
    "track_not_found": models.SubscriptionError.SE_TRACK_NOTFOUND,
}
_REASONS: Final = {
    "ok": "OK",
    "not_found": "NOT_FOUND",
    "not_allowed": "NOT_ALLOWED",
    "limit_exceeded": "LIMIT_EXCEEDED",
    "queued": "QUEUED",
    "unsupported_type": "UNSUPPORTED_TYPE",
}
_ACTIONS: Final = rtc.LeaveRequest.Action


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What every client is told about this server."""

    node_id: str = ""
    region: str = ""

    def message(self) -> models.ServerInfo:
        """As clients want it."""
        return models.ServerInfo(
            edition=models.ServerInfo.Edition.Standard,
            version=SERVER_VERSION,
            protocol=SERVER_PROTOCOL,
            region=self.region,
            node_id=self.node_id,
            agent_protocol=AGENT_PROTOCOL,
        )


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server for clients."""

    urls: tuple[str, ...]
    username: str = ""
    credential: str = field(default="", repr=False)

    def message(self) -> rtc.ICEServer:
        """As clients want it."""
        return rtc.ICEServer(urls=self.urls, username=self.username, credential=self.credential)


@dataclass(frozen=True, slots=True)
class JoinFacts:
    """What a join answer tells besides people."""

    server: ServerFacts
    ice_servers: Sequence[IceServer]
    configuration: models.ClientConfiguration | None
    codecs: Sequence[str]
    sif_trailer: bytes
    subscriber_primary: bool
    fast_publish: bool


def join(
    room: models.Room,
    participant: models.ParticipantInfo,
    others: Iterable[models.ParticipantInfo],
    facts: JoinFacts,
) -> rtc.SignalResponse:
    """The first frame of a new participant."""
    return rtc.SignalResponse(
        join=rtc.JoinResponse(
            room=room,
            participant=participant,
            other_participants=others,
            server_version=SERVER_VERSION,
            server_region=facts.server.region,
            server_info=facts.server.message(),
            ice_servers=[server.message() for server in facts.ice_servers],
            client_configuration=facts.configuration,
            subscriber_primary=facts.subscriber_primary,
            ping_timeout=PING_TIMEOUT,
            ping_interval=PING_INTERVAL,
            sif_trailer=facts.sif_trailer,
            enabled_publish_codecs=[models.Codec(mime=mime) for mime in facts.codecs],
            fast_publish=facts.fast_publish,
        )
    )


def reconnect(facts: JoinFacts, last_sequence: int) -> rtc.SignalResponse:
    """The first frame of a resumed participant."""
    return rtc.SignalResponse(
        reconnect=rtc.ReconnectResponse(
            ice_servers=[server.message() for server in facts.ice_servers],
            client_configuration=facts.configuration,
            server_info=facts.server.message(),
            last_message_seq=last_sequence,
        )
    )


def leave(reason: LeaveReason, action: str) -> rtc.SignalResponse:
    """The last frame; `action` is `DISCONNECT`, `RESUME` or `RECONNECT`, never left to its default."""
    return rtc.SignalResponse(
        leave=rtc.LeaveRequest(
            can_reconnect=action != "DISCONNECT",  # for protocols before 13
            reason=convert.reason_number(reason),
            action=cast("rtc.LeaveRequest.Action", _ACTIONS.Value(action)),
        )
    )


def offer(description: Description, number: int) -> rtc.SignalResponse:
    """Our offer on the subscriber connection."""
    return rtc.SignalResponse(
        offer=rtc.SessionDescription(type="offer", sdp=description.sdp, id=number)
    )


def answer(description: Description, number: int) -> rtc.SignalResponse:
    """Our answer; `number` is the offer's, 0 too. Lists every current mapping."""
    return rtc.SignalResponse(
        answer=rtc.SessionDescription(
            type="answer", sdp=description.sdp, id=number, mid_to_track_id=description.mid_to_track
        )
    )


def update(participants: Iterable[models.ParticipantInfo]) -> rtc.SignalResponse:
    """Participants that changed, each with all its tracks."""
    return rtc.SignalResponse(update=rtc.ParticipantUpdate(participants=participants))


def track_published(cid: str, publication: PublicationPort) -> rtc.SignalResponse:
    """An announced track got its sid."""
    track = convert.track_info(publication)
    return rtc.SignalResponse(track_published=rtc.TrackPublishedResponse(cid=cid, track=track))


def track_unpublished(track: TrackSid) -> rtc.SignalResponse:
    """The server ended a track of the receiver."""
    return rtc.SignalResponse(track_unpublished=rtc.TrackUnpublishedResponse(track_sid=track))


def track_subscribed(track: TrackSid) -> rtc.SignalResponse:
    """Somebody receives a track of the receiver for the first time."""
    return rtc.SignalResponse(track_subscribed=rtc.TrackSubscribed(track_sid=track))


def mute(track: TrackSid, muted: bool) -> rtc.SignalResponse:
    """A moderator muted a track of the receiver."""
    return rtc.SignalResponse(mute=rtc.MuteTrackRequest(sid=track, muted=muted))


def speakers(changed: Iterable[tuple[PeerSid, float]]) -> rtc.SignalResponse:
    """Speakers that changed; level 0 is silence."""
    entries = [
        models.SpeakerInfo(sid=sid, level=level, active=level > 0.0) for sid, level in changed
    ]
    return rtc.SignalResponse(speakers_changed=rtc.SpeakersChanged(speakers=entries))


def room_update(room: models.Room) -> rtc.SignalResponse:
    """The room changed."""
    return rtc.SignalResponse(room_update=rtc.RoomUpdate(room=room))


def connection_quality(
    entries: Iterable[tuple[PeerSid, str, float]], *, knows_lost: bool = True
) -> rtc.SignalResponse:
    """Qualities by name with their score; receivers before protocol 11 know no `lost`."""
    infos = [
        rtc.ConnectionQualityInfo(
            participant_sid=sid,
            quality=_QUALITIES["poor" if quality == "lost" and not knows_lost else quality],
            score=score,
        )
        for sid, quality, score in entries
    ]
    return rtc.SignalResponse(connection_quality=rtc.ConnectionQualityUpdate(updates=infos))


def quality_wanted(track: TrackSid, codecs: Iterable[tuple[str, Quality]]) -> rtc.SignalResponse:
    """Which layers anybody wants, per codec; the first codec also in the form that old clients read."""
    named = [
        rtc.SubscribedCodec(codec=codec.rpartition("/")[2].lower(), qualities=_qualities(highest))
        for codec, highest in codecs
    ]
    first = named[0].qualities if named else ()
    return rtc.SignalResponse(
        subscribed_quality_update=rtc.SubscribedQualityUpdate(
            track_sid=track, subscribed_qualities=first, subscribed_codecs=named
        )
    )


def _qualities(highest: Quality) -> list[rtc.SubscribedQuality]:
    return [
        rtc.SubscribedQuality(
            quality=convert.wire_quality(quality),
            enabled=highest is not Quality.OFF and quality <= highest,
        )
        for quality in (Quality.LOW, Quality.MEDIUM, Quality.HIGH)
    ]


def subscription_permission(
    publisher: PeerSid, track: TrackSid, allowed: bool
) -> rtc.SignalResponse:
    """A publisher's rules changed for the receiver."""
    return rtc.SignalResponse(
        subscription_permission_update=rtc.SubscriptionPermissionUpdate(
            participant_sid=publisher, track_sid=track, allowed=allowed
        )
    )


def subscription_failed(track: TrackSid, code: str) -> rtc.SignalResponse:
    """A wished track cannot be had."""
    error = _SUBSCRIPTION_ERRORS.get(code, models.SubscriptionError.SE_UNKNOWN)
    return rtc.SignalResponse(
        subscription_response=rtc.SubscriptionResponse(track_sid=track, err=error)
    )


def sections_needed(audios: int, videos: int) -> rtc.SignalResponse:
    """Further receiving sections for the client's next offer; none: just offer again."""
    requirement = rtc.MediaSectionsRequirement(num_audios=audios, num_videos=videos)
    return rtc.SignalResponse(media_sections_requirement=requirement)


def refresh_token(token: str) -> rtc.SignalResponse:
    """A token for the next reconnect."""
    return rtc.SignalResponse(refresh_token=token)


def pong(wall: float) -> rtc.SignalResponse:
    """The answer to `ping`; `wall` in seconds since the epoch."""
    return rtc.SignalResponse(pong=int(wall * 1000))


def pong_resp(request: rtc.Ping, wall: float) -> rtc.SignalResponse:
    """The answer to `ping_req`."""
    reply = rtc.Pong(last_ping_timestamp=request.timestamp, timestamp=int(wall * 1000))
    return rtc.SignalResponse(pong_resp=reply)


UNCLASSIFIED: Final = "UNCLASSIFIED_ERROR"


def request_response(
    code: str, message: str, request: Mapping[str, object], request_id: int = 0
) -> rtc.SignalResponse:
    """How a request went; `request` names the oneof it came in, if the response has one for it."""
    reason = _REASONS.get(code, UNCLASSIFIED)
    if reason == UNCLASSIFIED:  # the protocol has no word for it, so the text has to say
        message = f"{code}: {message}"
    reply = rtc.RequestResponse(
        request_id=request_id,
        reason=cast("rtc.RequestResponse.Reason", rtc.RequestResponse.Reason.Value(reason)),
        message=message,
        **request,  # type: ignore[arg-type]
    )
    return rtc.SignalResponse(request_response=reply)
