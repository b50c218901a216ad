"""What a participant receives: its wishes, what of them is allowed and possible, and the subscriptions they make.

In come wishes and news of tracks, out go subscriptions, bound to sections by a `Sender`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from common.ids import TrackSid
from sfu.connection import Connection
from sfu.context import Context
from sfu.events import SubscriptionFailed, TrackSubscribed
from sfu.limits import MAX_TRACK_SETTINGS, MAX_WISHES, TRACK_WAIT
from sfu.model import PeerState, Quality, TrackSettings
from sfu.negotiation.answer import Outgoing
from sfu.ports import PeerPort
from sfu.progress import MEDIA, Progress
from sfu.publication import Publication
from sfu.subscription import Subscription


class Sender(Protocol):
    """Finds sections for subscriptions and negotiates them."""

    def bind(self, subscription: Subscription) -> None:
        """Finds a section, now or with the next negotiation."""

    def release(self, subscription: Subscription) -> None:
        """Takes the section back."""


class Subscriber:
    """The receiving side of one peer."""

    def __init__(
        self,
        context: Context,
        peer: PeerPort,
        tracks: Mapping[TrackSid, Publication],
        progress: Progress,
        *,
        auto: bool,
        adaptive: bool,
    ) -> None:
        """`tracks` are the room's. `auto`: wants every one that it did not refuse.

        `adaptive`: starts low until it says what it sees.
        """
        self._context = context
        self._peer = peer
        self._tracks = tracks
        self._progress = progress
        self._auto = auto
        self._default = TrackSettings(quality=Quality.LOW if adaptive else Quality.HIGH)
        self._wanted: set[TrackSid] = set()
        self._refused: set[TrackSid] = set()
        self._settings: dict[TrackSid, TrackSettings] = {}
        self.subscriptions: dict[TrackSid, Subscription] = {}
        self.sender: Sender | None = None

    def subscribe(self, tracks: Iterable[TrackSid]) -> None:
        """Wishes for tracks; what exists is subscribed, the rest is waited for."""
        for track in tracks:
            self._refused.discard(track)
            publication = self._tracks.get(track)
            if publication is None and len(self._wanted) >= MAX_WISHES:
                self._context.refuse("wish_limit")
                continue
            self._wanted.add(track)
            if publication is not None:
                self.consider(publication)
            else:
                at = self._context.clock.now() + TRACK_WAIT
                self._context.timers.arm(self._wait_key(track), at, lambda t=track: self._missed(t))  # type: ignore[misc]

    def unsubscribe(self, tracks: Iterable[TrackSid]) -> None:
        """Takes wishes back."""
        for track in tracks:
            self._wanted.discard(track)
            self._context.timers.disarm(self._wait_key(track))
            if self._auto and len(self._refused) >= MAX_WISHES:
                self._context.refuse("wish_limit")
            elif self._auto:
                self._refused.add(track)
            publication = self._tracks.get(track)
            if publication is not None:
                self.consider(publication)

    def set_track_settings(self, track: TrackSid, settings: TrackSettings) -> None:
        """What is wanted of a track, kept for it if it is not subscribed yet."""
        if track not in self._settings and len(self._settings) >= MAX_TRACK_SETTINGS:
            self._context.refuse("track_settings_limit")
            return
        self._settings[track] = settings
        subscription = self.subscriptions.get(track)
        if subscription is not None:
            subscription.apply_settings(settings)

    def consider(self, publication: Publication) -> None:
        """Makes or ends the subscription of a track, as wishes, permissions and the track now say."""
        subscription = self.subscriptions.get(publication.sid)
        if self._should_have(publication):
            self._context.timers.disarm(self._wait_key(publication.sid))
            if subscription is None:
                self._make(publication)
        elif subscription is not None:
            self._end(subscription)

    def forget(self, publication: Publication) -> None:
        """A track is gone, and with it what was said about it."""
        subscription = self.subscriptions.get(publication.sid)
        if subscription is not None:
            self._end(subscription)
        self._wanted.discard(publication.sid)
        self._refused.discard(publication.sid)
        self._settings.pop(publication.sid, None)

    def restart(self, subscription: Subscription) -> None:
        """Negotiates a track anew that changed its codecs, also where it had failed before."""
        self._release(subscription)
        subscription.failed = False
        subscription.retarget()
        if self.sender is not None:
            self.sender.bind(subscription)

    def bind_all(self) -> None:
        """A sender came to be: binds what waited for it."""
        if self.sender is not None:
            for subscription in list(self.subscriptions.values()):
                if subscription.slot is None and not subscription.failed:
                    self.sender.bind(subscription)

    def started(self, subscription: Subscription) -> None:
        """A leg runs; the publisher hears of its first real one."""
        publication = subscription.publication
        if not publication.watched and not self._peer.permissions.hidden:
            publication.watched = True
            room = self._peer.room
            self._context.emit(TrackSubscribed(room, publication.peer, publication))

    def handle_media(self) -> None:
        """The first media of any track is on its way."""
        self._progress.reach(MEDIA)

    def fail(self, subscription: Subscription, code: str) -> None:
        """A subscription can't be had; the wish stays, in case the track changes."""
        self._release(subscription)
        subscription.fail()
        event = SubscriptionFailed(self._peer.room, self._peer, subscription.publication.sid, code)
        self._context.emit(event)

    def close(self) -> None:
        """The peer leaves."""
        for track in self._wanted:
            self._context.timers.disarm(self._wait_key(track))
        self.sender = None
        for subscription in list(self.subscriptions.values()):
            self._end(subscription)

    def _should_have(self, publication: Publication) -> bool:
        peer = self._peer
        wished = publication.sid in self._wanted or (
            self._auto and publication.sid not in self._refused
        )
        return (
            wished
            and publication.published
            and publication.peer is not peer
            and peer.permissions.can_subscribe
            and peer.state is not PeerState.DISCONNECTED
            and publication.peer.allows(peer, publication.sid)
        )

    def _make(self, publication: Publication) -> None:
        settings = self._settings.get(publication.sid, self._default)
        subscription = Subscription(self._context, self, publication, settings)
        self.subscriptions[publication.sid] = subscription
        publication.subscriptions[self._peer.sid] = subscription
        if self.sender is not None:
            self.sender.bind(subscription)

    def _end(self, subscription: Subscription) -> None:
        publication = subscription.publication
        self.subscriptions.pop(publication.sid, None)
        publication.subscriptions.pop(self._peer.sid, None)
        self._release(subscription)
        subscription.end()

    def _release(self, subscription: Subscription) -> None:
        subscription.stop_leg()
        if self.sender is not None:
            self.sender.release(subscription)
        subscription.slot = None

    def _missed(self, track: TrackSid) -> None:
        event = SubscriptionFailed(self._peer.room, self._peer, track, "track_not_found")
        self._context.emit(event)

    def _wait_key(self, track: TrackSid) -> tuple[str, str, TrackSid]:
        return "track_wait", self._peer.sid, track


def outgoing(subscription: Subscription, connection: Connection) -> Outgoing:
    """How a subscription shows in our descriptions; its SSRCs are new with every section it takes."""
    publication = subscription.publication
    publisher = publication.peer
    return Outgoing(
        stream=f"{publisher.sid}|{publication.sid}",
        track=publication.sid,
        ssrc=connection.next_ssrc(),
        rtx_ssrc=connection.next_ssrc() if publication.kind == "video" else None,
        cname=publisher.sid,
        stereo=publication.kind == "audio" and publication.spec.stereo,
    )
