"""Takes the snapshot that the sidecar shows: what the rooms hold, what happened, what the lanes counted.

In: the parts that count, every event of the rooms. Out: one `Snapshot` per call. Must not: change anything, or
name anybody.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Mapping

import structlog

from common.clock import Clock
from common.snapshots import Snapshot
from crypto.pseudonyms import passing_name
from server.audit.evidence import Evidence
from server.telemetry import process
from server.telemetry.lag import LoopLag
from server.telemetry.lanes import Lanes
from server.telemetry.pauses import Pauses
from server.telemetry.readings import Readings
from server.telemetry.tally import Tally
from server.version import VERSION
from sfu import Engine
from sfu.events import JoinProgressed, MediaStarted, PeerJoined, PeerLeft, SfuEvent
from sfu.plane import Plane
from sfu.progress import STAGES
from signalling.hub import Hub

SLOW_JOIN = 2.5  # seconds to any stage, beyond which a person has noticed; such a join is logged
KINDS = ("audio", "video")
log = structlog.get_logger("server.telemetry")


class Observer:
    """Looks at a running node."""

    def __init__(
        self, node: str, engine: Engine, plane: Plane, hub: Hub, evidence: Evidence, clock: Clock
    ) -> None:
        """`node` names the server; the others are read, and nothing else."""
        self._node = node
        self._engine = engine
        self._plane = plane
        self._hub = hub
        self._evidence = evidence
        self._clock = clock
        self._secret = secrets.token_bytes(32)  # a new one with each start: pseudonyms do not last
        self._lanes = Lanes()
        self._joins = 0
        self._leaves: Counter[str] = Counter()
        self._stages = {stage: Tally("conclave_join_seconds") for stage in STAGES}
        self._starts = {kind: Tally("conclave_publish_seconds") for kind in KINDS}
        self.lag = LoopLag()
        self.pauses = Pauses(clock)
        self.pushed = 0
        self.dropped: Counter[str] = Counter()  # snapshots that nobody took, by reason
        self.draining = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Starts to watch the loop and the garbage collector."""
        self.lag.start(loop)
        self.pauses.start()

    def stop(self) -> None:
        """Stops watching; idempotent."""
        self.lag.stop()
        self.pauses.stop()

    def handle_event(self, event: SfuEvent) -> None:
        """Counts who came, how long it took and why they went; hears every event of the rooms."""
        if isinstance(event, PeerJoined):
            self._joins += 1
        elif isinstance(event, PeerLeft):
            self._leaves[str(event.reason)] += 1
        elif isinstance(event, JoinProgressed):
            self._note_stage(event)
        elif isinstance(event, MediaStarted):
            room = passing_name(self._secret, event.room.sid)
            tally = self._starts[str(event.publication.spec.kind)]
            tally.observe_in(room, event.seconds, self._clock.wall())

    def _note_stage(self, event: JoinProgressed) -> None:
        room = passing_name(self._secret, event.room.sid)
        self._stages[event.stage].observe_in(room, event.seconds, self._clock.wall())
        if event.seconds > SLOW_JOIN:
            log.warning("join_slow", room=room, stage=event.stage, seconds=round(event.seconds, 3))

    def snapshot(self) -> Snapshot:
        """Everything as it is now."""
        counters = self._plane.counters()
        readings = Readings(len(counters["lanes"]))
        self._read_rooms(readings)
        self._read_decisions(readings)
        self._lanes.read(counters, readings)
        self._read_audit(readings)
        self._read_process(readings)
        return Snapshot(self._node, readings.series())

    def _read_rooms(self, into: Readings) -> None:
        rooms = self._engine.rooms
        into.put("conclave_rooms", len(rooms))
        for room in rooms.values():
            for peer in room.peers.values():
                into.put("conclave_peers", 1, str(peer.state))
                into.put("conclave_sessions", 1, peer.protocol)
                for track in peer.publications.values():
                    if track.published:
                        spec, codec = track.spec, track.codec or "unknown"
                        into.put("conclave_tracks", 1, str(spec.kind), str(spec.source), codec)
        legs = {str(kind): count for kind, count in self._engine.legs.items()}
        into.put_all("conclave_subscriptions", legs)
        into.put_all("conclave_peers_by_quality", self._engine.qualities)

    def _read_decisions(self, into: Readings) -> None:
        into.put("conclave_joins_total", self._joins)
        into.put_all("conclave_leaves_total", self._leaves)
        into.put_all("conclave_refusals_total", self._hub.refusals, "signalling")
        into.put_all("conclave_refusals_total", self._engine.refusals, "sfu")
        for (gate, decision, reason), count in self._hub.decisions.items():
            into.put("conclave_gate_decisions_total", count, gate, decision, reason)
        _put_tallies(into, "conclave_join_seconds", self._stages)
        _put_tallies(into, "conclave_publish_seconds", self._starts)

    def _read_audit(self, into: Readings) -> None:
        auditor, child = self._evidence.auditor, self._evidence.child
        into.put_all("conclave_audit_events_total", auditor.counts)
        into.put("conclave_audit_backlog", auditor.backlog)
        into.put("conclave_audit_spool_depth", auditor.spooled)
        into.put("conclave_audit_lag_seconds", auditor.lag)
        into.put("conclave_sidecar_starts_total", child.starts if child else 0)
        into.put("conclave_sidecar_given_up", int(child is not None and child.given_up))

    def _read_process(self, into: Readings) -> None:
        into.put("conclave_build_info", 1, VERSION)
        into.put("conclave_draining", int(self.draining))
        into.put_buckets("conclave_event_loop_lag_seconds", self.lag.tally.buckets())
        _put_tallies(into, "conclave_gc_pause_seconds", self.pauses.tallies)
        into.put("conclave_snapshots_pushed_total", self.pushed)
        into.put_all("conclave_snapshots_dropped_total", self.dropped)
        process.read(into)


def _put_tallies(into: Readings, name: str, tallies: Mapping[str, Tally]) -> None:
    for label, tally in tallies.items():
        into.put_buckets(name, tally.buckets(), label)
