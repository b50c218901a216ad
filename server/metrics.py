"""The metrics page: one snapshot of plain numbers in, Prometheus text out.

Whoever has the numbers hands over a `MetricsSnapshot`; nothing counts into globals, so that another process can
take the exposition over. Labels are bounded and never about a person: rooms and peers appear as counts only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LOOP_LAG_BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)  # seconds


@dataclass(frozen=True, slots=True)
class LaneNumbers:
    """Counters of one lane since its start."""

    received: tuple[int, int] = (0, 0)  # datagrams, bytes
    sent: tuple[int, int] = (0, 0)
    forwarded: tuple[int, int] = (0, 0)
    drops: Mapping[str, int] = field(default_factory=dict)
    nacks_sent: int = 0
    nacks_received: int = 0
    retransmitted: int = 0
    keyframes_requested: int = 0
    keyframe_requests_received: int = 0
    kernel_drops: int = 0
    busy_seconds: float = 0.0
    latency_counts: tuple[int, ...] = ()  # cumulative, one per bound, then the total


@dataclass(frozen=True, slots=True)
class MetricsSnapshot:
    """Everything that the metrics page shows, taken at one moment."""

    version: str = ""
    lanes: tuple[LaneNumbers, ...] = ()
    latency_bounds: tuple[float, ...] = ()  # seconds
    rooms: int = 0
    peers: Mapping[str, int] = field(default_factory=dict)  # by state
    tracks: Mapping[tuple[str, str], int] = field(default_factory=dict)  # by (kind, source)
    subscriptions: Mapping[str, int] = field(default_factory=dict)  # by kind
    joins: int = 0
    leaves: Mapping[str, int] = field(default_factory=dict)  # by reason
    refusals: Mapping[tuple[str, str], int] = field(default_factory=dict)  # by (part, code)
    handshakes: int = 0
    handshakes_failed: int = 0
    channels: int = 0
    commands_ignored: int = 0
    loop_lag_counts: tuple[
        int, ...
    ] = ()  # cumulative, one per bound of LOOP_LAG_BOUNDS, then the total
    loop_lag_sum: float = 0.0  # seconds
    draining: bool = False
    audit_events: Mapping[str, int] = field(default_factory=dict)  # by outcome
    audit_backlog: int = 0  # events that are not in the log yet
    audit_spooled: int = 0  # of these, events that only the spool has
    audit_lag: float = 0.0  # seconds since the oldest of them
    sidecar_starts: int = 0  # of the child; 0 where the sidecar is a unit of its own
    sidecar_given_up: bool = False  # it ended so that a new start cannot help


def render(snapshot: MetricsSnapshot) -> bytes:
    """The page in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(snapshot))
    return generate_latest(registry)


class _Once(Collector):
    def __init__(self, snapshot: MetricsSnapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        yield from rooms(self._snapshot)
        yield from lanes(self._snapshot)
        yield from process(self._snapshot)


def rooms(snapshot: MetricsSnapshot) -> Iterable[Metric]:
    """Counts of what the control plane holds."""
    yield GaugeMetricFamily("conclave_rooms", "Rooms that exist.", value=snapshot.rooms)
    yield _labelled(
        GaugeMetricFamily("conclave_peers", "Participants by state.", labels=["state"]),
        snapshot.peers,
    )
    tracks = GaugeMetricFamily("conclave_tracks", "Published tracks.", labels=["kind", "source"])
    for labels, value in sorted(snapshot.tracks.items()):
        tracks.add_metric(list(labels), value)
    yield tracks
    yield _labelled(
        GaugeMetricFamily("conclave_subscriptions", "Subscribed tracks.", labels=["kind"]),
        snapshot.subscriptions,
    )
    yield CounterMetricFamily(
        "conclave_joins", "Participants that were let in.", value=snapshot.joins
    )
    yield _labelled(
        CounterMetricFamily(
            "conclave_leaves", "Participants that left, by reason.", labels=["reason"]
        ),
        snapshot.leaves,
    )
    refusals = CounterMetricFamily(
        "conclave_refusals", "Requests and messages refused or ignored.", labels=["part", "code"]
    )
    for labels, value in sorted(snapshot.refusals.items()):
        refusals.add_metric(list(labels), value)
    yield refusals


def lanes(snapshot: MetricsSnapshot) -> Iterable[Metric]:
    """Counters of the data plane, a series per lane."""
    simple = (
        ("nacks_sent", "conclave_nacked_packets_sent", "Packets asked again of publishers."),
        ("nacks_received", "conclave_nacked_packets_received", "Packets subscribers asked again."),
        ("retransmitted", "conclave_retransmitted_packets", "Retransmissions sent."),
        (
            "keyframes_requested",
            "conclave_keyframe_requests_sent",
            "Key frames asked of publishers.",
        ),
        (
            "keyframe_requests_received",
            "conclave_keyframe_requests_received",
            "Key frames subscribers asked for.",
        ),
        (
            "kernel_drops",
            "conclave_kernel_receive_drops",
            "Datagrams the kernel dropped at our sockets.",
        ),
        ("busy_seconds", "conclave_lane_busy_seconds", "Seconds a lane spent working."),
    )
    for attribute, name, text in simple:
        family = CounterMetricFamily(name, text, labels=["lane"])
        for index, lane in enumerate(snapshot.lanes):
            family.add_metric([str(index)], float(getattr(lane, attribute)))
        yield family
    for attribute, name, what in (
        ("received", "received", "Datagrams received"),
        ("sent", "sent", "Datagrams sent"),
        ("forwarded", "forwarded", "Media packets forwarded to subscribers"),
    ):
        packets = CounterMetricFamily(f"conclave_{name}_packets", f"{what}.", labels=["lane"])
        size = CounterMetricFamily(f"conclave_{name}_bytes", f"{what}, bytes.", labels=["lane"])
        for index, lane in enumerate(snapshot.lanes):
            count, amount = getattr(lane, attribute)
            packets.add_metric([str(index)], count)
            size.add_metric([str(index)], amount)
        yield packets
        yield size
    drops = CounterMetricFamily(
        "conclave_drops", "Packets dropped by reason.", labels=["lane", "reason"]
    )
    for index, lane in enumerate(snapshot.lanes):
        for reason, count in lane.drops.items():
            drops.add_metric([str(index), reason], count)
    yield drops
    latency = HistogramMetricFamily(
        "conclave_forwarding_latency_seconds",
        "From the kernel's receive time stamp to the return of the send call.",
        labels=["lane"],
    )
    for index, lane in enumerate(snapshot.lanes):
        if lane.latency_counts:
            latency.add_metric(
                [str(index)], _buckets(snapshot.latency_bounds, lane.latency_counts), None
            )
    yield latency


def process(snapshot: MetricsSnapshot) -> Iterable[Metric]:
    """The control plane's own health."""
    info = GaugeMetricFamily(
        "conclave_build_info", "Always 1; the version is a label.", labels=["version"]
    )
    info.add_metric([snapshot.version], 1)
    yield info
    yield CounterMetricFamily("conclave_dtls_handshakes", "Completed.", value=snapshot.handshakes)
    yield CounterMetricFamily(
        "conclave_dtls_handshakes_failed",
        "Failed or out of time.",
        value=snapshot.handshakes_failed,
    )
    yield GaugeMetricFamily(
        "conclave_data_channels", "Open data channels.", value=snapshot.channels
    )
    yield CounterMetricFamily(
        "conclave_commands_ignored",
        "Commands that named something unknown to the data plane.",
        value=snapshot.commands_ignored,
    )
    yield GaugeMetricFamily(
        "conclave_draining", "1 while going down.", value=int(snapshot.draining)
    )
    if snapshot.loop_lag_counts:
        lag = HistogramMetricFamily(
            "conclave_event_loop_lag_seconds",
            "How late the control plane's loop runs a due callback.",
        )
        buckets = _buckets(LOOP_LAG_BOUNDS, snapshot.loop_lag_counts)
        lag.add_metric([], buckets, snapshot.loop_lag_sum)
        yield lag


Labelled = TypeVar("Labelled", GaugeMetricFamily, CounterMetricFamily)


def _labelled(family: Labelled, values: Mapping[str, int]) -> Labelled:
    for label, value in sorted(values.items()):
        family.add_metric([label], value)
    return family


def _buckets(bounds: Iterable[float], cumulative: tuple[int, ...]) -> list[tuple[str, float]]:
    edges = [*(format(bound, "g") for bound in bounds), "+Inf"]
    return [(edge, float(count)) for edge, count in zip(edges, cumulative, strict=True)]
