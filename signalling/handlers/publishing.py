"""Announcing, muting and changing own tracks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from livekit.protocol import models, rtc

from common.errors import RemoteError
from common.ids import TrackSid
from sfu.ports import PublicationPort
from signalling import acts, convert, messages
from signalling.clients import takes_request_response
from signalling.handlers.ports import SessionPort
from signalling.limits import MAX_NAME, MAX_QUEUED_TRACKS
from signalling.ports import Act

MAX_CODECS: Final = 4  # a primary and a backup are all that clients announce today
MAX_LAYERS: Final = 8  # per codec; three are used
# The oneof of RequestResponse that carries a refused request back.
_ATTACHED: Final = {
    "add_track": "add_track",
    "mute": "mute",
    "update_metadata": "update_metadata",
    "update_audio_track": "update_audio_track",
    "update_video_track": "update_video_track",
    "publish_data_track_request": "publish_data_track",
    "unpublish_data_track_request": "unpublish_data_track",
}


def track_act(session: SessionPort, request: rtc.SignalRequest) -> Act | None:
    """A track to come is on record before anybody may receive it; a further codec of one changes nothing there."""
    announced = request.add_track
    _check_sizes(announced)
    if announced.sid:
        return None
    spec = convert.publication_spec(announced)
    try:
        sid = session.member.peer.reserve_track(spec)
    except RemoteError as error:
        _queue(session, announced, error)
        raise
    return Act((acts.publishing(session.actor, session.target(sid), spec),))


def add_track(session: SessionPort, request: rtc.SignalRequest, now: float) -> None:
    """A track to come, or a further codec of one that exists."""
    announced = request.add_track
    peer = session.member.peer
    if session.act is None:
        publication = _add_codecs(session, announced)
    else:
        sid = TrackSid(session.act.events[0].on.track)
        try:
            publication = peer.announce(convert.publication_spec(announced), sid)
        except RemoteError as error:
            _queue(session, announced, error)
            raise
        session.hub.ledger.announced(peer.sid, sid)
    session.send(messages.track_published(announced.cid, publication))


def _queue(session: SessionPort, announced: rtc.AddTrackRequest, error: RemoteError) -> None:
    """A track whose cid is in use waits for the end of the other one."""
    if error.code != "queued":
        return
    waiting = session.member.queued_tracks
    if len(waiting) >= MAX_QUEUED_TRACKS:
        raise RemoteError("limit_exceeded", "too many tracks wait") from error
    waiting.append(announced)


def confirm_announced(session: SessionPort) -> None:
    """Tracks that the client does not negotiate yet: it may still wait to hear that they were taken."""
    for publication in session.member.peer.publications.values():
        if not publication.mid:
            session.send(messages.track_published(publication.spec.cid, publication))


def retry_queued(session: SessionPort, cid: str, now: float) -> None:
    """Announces the first track that waited for the end of another one with its cid."""
    queue = session.member.queued_tracks
    waiting = next((request for request in queue if request.cid == cid), None)
    if waiting is not None:
        queue.remove(waiting)
        session.handle_request(rtc.SignalRequest(add_track=waiting), now)


def mute(session: SessionPort, request: rtc.SignalRequest, now: float) -> None:
    """The publisher mutes or unmutes its track."""
    sid = TrackSid(request.mute.sid)
    session.member.peer.set_muted(sid, request.mute.muted)
    session.member.told.mutes.pop(sid, None)  # the client has the last word from here on


def update_audio_track(session: SessionPort, request: rtc.SignalRequest, now: float) -> None:
    """Features of an audio track changed (noise suppression and the like)."""
    wanted = request.update_audio_track
    publication = _own_track(session, wanted.track_sid)
    features = tuple(wanted.features[:MAX_LAYERS])
    spec = replace(
        publication.spec,
        audio_features=features,
        stereo=models.AudioTrackFeature.TF_STEREO in features,
        disable_dtx=models.AudioTrackFeature.TF_NO_DTX in features,
    )
    session.member.peer.update_publication(publication.sid, spec)


def update_video_track(session: SessionPort, request: rtc.SignalRequest, now: float) -> None:
    """The size of a video changed."""
    wanted = request.update_video_track
    publication = _own_track(session, wanted.track_sid)
    spec = replace(publication.spec, width=wanted.width, height=wanted.height)
    session.member.peer.update_publication(publication.sid, spec)


def respond(session: SessionPort, kind: str, message: Any, code: str, text: str) -> None:
    """Tells how a request went, with the request attached where the protocol has a place for it."""
    if not takes_request_response(session.member.peer.client):
        return
    attached = {_ATTACHED[kind]: message} if kind in _ATTACHED else {}
    request_id = getattr(message, "request_id", 0)
    session.send(messages.request_response(code, text, attached, request_id))


def _check_sizes(request: rtc.AddTrackRequest) -> None:
    if not request.cid:
        raise RemoteError("invalid_request", "a track needs a cid")
    if max(map(len, (request.cid, request.name, request.stream))) > MAX_NAME:
        raise RemoteError("limit_exceeded", "a name is too long")
    layers = [request.layers, *(codec.layers for codec in request.simulcast_codecs)]
    if len(request.simulcast_codecs) > MAX_CODECS or max(map(len, layers)) > MAX_LAYERS:
        raise RemoteError("limit_exceeded", "too many codecs or layers")
    if any(len(c.codec) > MAX_NAME or len(c.cid) > MAX_NAME for c in request.simulcast_codecs):
        raise RemoteError("limit_exceeded", "a name is too long")


def _add_codecs(session: SessionPort, request: rtc.AddTrackRequest) -> PublicationPort:
    publication = _own_track(session, request.sid)
    spec = publication.spec
    codecs = dict(spec.codecs)
    for codec in request.simulcast_codecs:
        known = next((name for name in codecs if _same_codec(name, codec.codec)), codec.codec)
        codecs[known] = codec.cid
    if len(codecs) > MAX_CODECS:
        raise RemoteError("limit_exceeded", "too many codecs")
    session.member.peer.update_publication(
        publication.sid, replace(spec, codecs=tuple(codecs.items()))
    )
    return publication


def _same_codec(one: str, other: str) -> bool:
    return one.rpartition("/")[2].lower() == other.rpartition("/")[2].lower()


def _own_track(session: SessionPort, sid: str) -> PublicationPort:
    publication = session.member.peer.publications.get(TrackSid(sid))
    if publication is None:
        raise RemoteError("not_found", "no such track")
    return publication
