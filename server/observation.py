"""Takes the snapshot that the metrics page shows: rooms and tracks from the engine, counters from the lanes.

In: the parts that count. Out: one `MetricsSnapshot` per call. Must not: change anything, or name anybody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from server.audit.evidence import Evidence
from server.lag import LoopLag
from server.metrics import LaneNumbers, MetricsSnapshot
from server.version import VERSION
from sfu import Engine
from sfu.events import PeerJoined, PeerLeft, SfuEvent
from sfu.plane import Plane
from signalling.hub import Hub


class Observer:
    """Looks at a running node."""

    def __init__(
        self, engine: Engine, plane: Plane, hub: Hub, lag: LoopLag, evidence: Evidence
    ) -> None:
        """Reads these, and nothing else."""
        self._engine = engine
        self._plane = plane
        self._hub = hub
        self._lag = lag
        self._evidence = evidence
        self._joins = 0
        self._leaves: Counter[str] = Counter()
        self.draining = False

    def handle_event(self, event: SfuEvent) -> None:
        """Counts who came and why they went; hears every event of the rooms."""
        if isinstance(event, PeerJoined):
            self._joins += 1
        elif isinstance(event, PeerLeft):
            self._leaves[str(event.reason)] += 1

    def snapshot(self) -> MetricsSnapshot:
        """Everything as it is now."""
        counters: Mapping[str, Any] = self._plane.counters()
        peers = [peer for room in self._engine.rooms.values() for peer in room.peers.values()]
        tracks = [
            track for peer in peers for track in peer.publications.values() if track.published
        ]
        child = self._evidence.child
        bounds = tuple(bound * 1e-6 for bound in counters["latency_bounds_us"])
        return MetricsSnapshot(
            version=VERSION,
            lanes=tuple(lane_numbers(lane, counters["drop_reasons"]) for lane in counters["lanes"]),
            latency_bounds=bounds,
            rooms=len(self._engine.rooms),
            peers=Counter(str(peer.state) for peer in peers),
            tracks=Counter((str(track.spec.kind), str(track.spec.source)) for track in tracks),
            subscriptions={str(kind): count for kind, count in self._engine.legs.items()},
            joins=self._joins,
            leaves=self._leaves,
            refusals={
                (part, code): count
                for part, counts in (
                    ("signalling", self._hub.refusals),
                    ("sfu", self._engine.refusals),
                )
                for code, count in counts.items()
            },
            handshakes=counters["handshakes"],
            handshakes_failed=counters["handshakes_failed"],
            channels=counters["channels"],
            commands_ignored=counters["commands_ignored"],
            loop_lag_counts=self._lag.cumulative(),
            loop_lag_sum=self._lag.sum,
            draining=self.draining,
            audit_events=dict(self._evidence.auditor.counts),
            audit_backlog=self._evidence.auditor.backlog,
            audit_spooled=self._evidence.auditor.spooled,
            audit_lag=self._evidence.auditor.lag,
            sidecar_starts=child.starts if child else 0,
            sidecar_given_up=child is not None and child.given_up,
        )


def lane_numbers(lane: Mapping[str, Any], reasons: list[str]) -> LaneNumbers:
    """One lane's part of the data plane's snapshot."""
    counts = tuple(lane["latency_us"])
    return LaneNumbers(
        received=lane["received"],
        sent=lane["sent"],
        forwarded=lane["forwarded"],
        drops=dict(zip(reasons, lane["drops"], strict=True)),
        nacks_sent=lane["nacks_sent"],
        nacks_received=lane["nacks_received"],
        retransmitted=lane["retransmitted"],
        keyframes_requested=lane["keyframes_requested"],
        keyframe_requests_received=lane["keyframe_requests_received"],
        kernel_drops=lane["kernel_drops"],
        busy_seconds=lane["busy_ns"] * 1e-9,
        latency_counts=counts,
    )
