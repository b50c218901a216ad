"""Tells rooms how good connections are: compares snapshots every few seconds and feeds `QualityState`s."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from common.ids import PeerSid, TransportId
from sfu.context import Context
from sfu.dataplane import PlaneSnapshot
from sfu.events import ConnectionQuality
from sfu.limits import CONNECTION_QUALITY_INTERVAL
from sfu.model import PeerState, Quality
from sfu.peer import Peer
from sfu.quality import QualityState, StreamWindow, stream_score

KEY = ("quality",)


class Measuring:
    """Connection quality of everybody who is connected; idle while nobody is."""

    def __init__(self, context: Context, everybody: Callable[[], Iterable[Peer]]) -> None:
        """Nothing is measured yet; `everybody` are the peers of all rooms at that time."""
        self._context = context
        self._everybody = everybody
        self._states: dict[PeerSid, QualityState] = {}

    def watch(self) -> None:
        """Somebody is connected: measure from now on."""
        if not self._context.timers.armed(KEY):
            at = self._context.clock.now() + CONNECTION_QUALITY_INTERVAL
            self._context.timers.arm(KEY, at, self._measure)

    def words(self) -> Counter[str]:
        """How many peers have a connection of each quality, as last judged."""
        return Counter(state.word for state in self._states.values() if state.word)

    def _measure(self) -> None:
        peers = [one for one in self._everybody() if any(way.connected for way in one.connections)]
        here = {peer.sid for peer in peers}
        self._states = {sid: state for sid, state in self._states.items() if sid in here}
        if not peers:
            self._context.measured = None
            return
        now = self._context.plane.snapshot()
        before, self._context.measured = self._context.measured, now
        if before is not None:
            for peer in peers:
                if peer.state is PeerState.ACTIVE:
                    self._judge(peer, before, now)
        self.watch()

    def _judge(self, peer: Peer, before: PlaneSnapshot, now: PlaneSnapshot) -> None:
        windows = [*_upstream(peer, before, now), *_downstream(peer, before, now)]
        score: float | None = min(map(stream_score, windows), default=100.0)
        if _nothing_arrives(peer, before, now):
            score = None
        state = self._states.setdefault(peer.sid, QualityState())
        change = state.update(score)
        if change is not None:
            word, opinion = change
            self._context.emit(ConnectionQuality(peer.room, peer, word, opinion))


def _upstream(peer: Peer, before: PlaneSnapshot, now: PlaneSnapshot) -> Iterator[StreamWindow]:
    ways = [
        now.transports[one.transport] for one in peer.connections if one.transport in now.transports
    ]
    rtt_us = max((way.rtt_us or 0 for way in ways), default=0)
    for publication in peer.publications.values():
        track = publication.track
        if track is None or publication.muted:
            continue
        old, new = before.tracks.get(track), now.tracks.get(track)
        if old is None or new is None:
            continue
        yield StreamWindow(
            kind=publication.kind,
            seconds=CONNECTION_QUALITY_INTERVAL,
            packets=new.packets - old.packets,
            lost=max(0, new.lost - old.lost),
            rtt_ms=rtt_us / 1000,
            jitter_ms=new.jitter_us / 1000,
        )


def _downstream(peer: Peer, before: PlaneSnapshot, now: PlaneSnapshot) -> Iterator[StreamWindow]:
    for subscription in peer.subscriber.subscriptions.values():
        leg = subscription.leg
        if leg is None:
            continue
        old, new = before.legs.get(leg), now.legs.get(leg)
        if old is None or new is None:
            continue
        packets = new.packets - old.packets
        lost = packets * new.fraction_lost // 256
        yield StreamWindow(
            kind=subscription.publication.kind,
            seconds=CONNECTION_QUALITY_INTERVAL,
            packets=packets - lost,
            lost=lost,
            rtt_ms=(new.rtt_us or 0) / 1000,
            jitter_ms=new.jitter_us / 1000,
        )


def _nothing_arrives(peer: Peer, before: PlaneSnapshot, now: PlaneSnapshot) -> bool:
    """Whether a publisher that should be heard sent neither media nor reports for a whole window.

    A track that dynacast switched off proves nothing, nor does one that is younger than the window.
    """
    expected = any(
        publication.track in before.tracks
        and not publication.muted
        and (publication.kind == "audio" or publication.dynacast.told is not Quality.OFF)
        for publication in peer.publications.values()
    )
    return expected and all(
        _is_silent(connection.transport, before, now) for connection in peer.connections
    )


def _is_silent(transport: TransportId, before: PlaneSnapshot, now: PlaneSnapshot) -> bool:
    old, new = before.transports.get(transport), now.transports.get(transport)
    return old is not None and new is not None and new.received_packets == old.received_packets
