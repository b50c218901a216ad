"""What a client wants to receive, and who may receive its own tracks."""

from __future__ import annotations

from livekit.protocol import rtc

from common.errors import RemoteError
from common.ids import Identity, PeerSid, TrackSid
from sfu.model import LeaveReason, TrackGrant, TrackSettings
from signalling import acts, convert, messages
from signalling.handlers.ports import SessionPort
from signalling.limits import MAX_TRACKS_NAMED
from signalling.ports import Act


def subscription(session: SessionPort, request: rtc.SignalRequest, now: float) -> None:
    """Wishes for tracks, or takes wishes back."""
    _apply(session, request.subscription)


def track_setting(session: SessionPort, request: rtc.SignalRequest, now: float) -> None:
    """What is wanted of subscribed tracks."""
    wanted = request.track_setting
    _check_count(len(wanted.track_sids))
    settings = convert.track_settings(wanted)
    for sid in dict.fromkeys(wanted.track_sids):
        session.member.peer.set_track_settings(TrackSid(sid), settings)


def permission_act(session: SessionPort, request: rtc.SignalRequest) -> Act:
    """Who may receive a client's tracks; those who are not there have no name in the log and are counted."""
    grants = _track_grants(session, request)
    peers = session.member.room.peers
    present = [peers[grant.identity] for grant in grants if grant.identity in peers]
    return acts.permission(
        session.actor,
        session.target(),
        request.subscription_permission.all_participants,
        [subject for peer in present if (subject := session.hub.ledger.subject_of(peer.sid))],
        len(grants) - len(present),
    )


def subscription_permission(session: SessionPort, request: rtc.SignalRequest, now: float) -> None:
    """Replaces the rules about who may receive this client's tracks."""
    everyone = request.subscription_permission.all_participants
    session.member.peer.set_track_grants(everyone, _track_grants(session, request))


def _track_grants(session: SessionPort, request: rtc.SignalRequest) -> list[TrackGrant]:
    rules = request.subscription_permission
    _check_count(len(rules.track_permissions))
    peers = {peer.sid: peer.identity for peer in session.member.room.peers.values()}
    grants = []
    for rule in rules.track_permissions:
        _check_count(len(rule.track_sids))
        identity = Identity(rule.participant_identity) or peers.get(PeerSid(rule.participant_sid))
        if identity:
            tracks = frozenset(TrackSid(sid) for sid in rule.track_sids)
            grants.append(TrackGrant(identity, rule.all_tracks, tracks))
    return grants


def sync_state(session: SessionPort, request: rtc.SignalRequest, now: float) -> None:
    """What a resumed client remembers: tracks that we lost make it join anew, exceptions are applied."""
    known = request.sync_state
    peer = session.member.peer
    _check_count(len(known.publish_tracks) + len(known.track_sids_disabled))
    told = session.member.told
    sids = dict.fromkeys(TrackSid(each.track.sid) for each in known.publish_tracks)
    unknown = [sid for sid in sids if sid not in peer.publications]
    if not all(map(told.ended, unknown)):
        session.refuse("sync_state_unknown_track")
        session.leave(LeaveReason.STATE_MISMATCH)
        return
    for ended in unknown:
        session.send(messages.track_unpublished(ended))
    if known.HasField("subscription"):
        _apply(session, known.subscription)
    for sid in dict.fromkeys(known.track_sids_disabled):
        peer.set_track_settings(TrackSid(sid), TrackSettings(disabled=True))
    after = {
        PeerSid(each.publisher_sid): each.last_seq for each in known.datachannel_receive_states
    }
    session.hub.data.replay(session.member, after, now)


def _apply(session: SessionPort, wanted: rtc.UpdateSubscription) -> None:
    tracks = convert.wanted_tracks(wanted)
    _check_count(len(tracks))
    if wanted.subscribe:
        session.member.peer.subscribe(tracks)
    else:
        session.member.peer.unsubscribe(tracks)
        session.hub.feeds.forget_unheard(session.member)


def _check_count(count: int) -> None:
    if count > MAX_TRACKS_NAMED:
        raise RemoteError("too_many_tracks", "the request names too many tracks")
