"""The last snapshot of every server, and what the exposition shows of it.

In: snapshots, the time. Out: metric families in the order of the contract. Must not: show a number that is old, or
a series that the contract does not know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as Shown

from common.clock import Clock
from common.contract import MAX_NODES, METRICS, NODE
from common.errors import RemoteError
from common.metrics import Kind, Metric, Origin
from common.snapshots import Buckets, Sample, Snapshot

STALE_SECONDS: Final = 10.0  # without a snapshot; ten were missed, more than a long pause explains
FORGET_SECONDS: Final = 3600.0  # then a server that is gone is no news any more
SIDECAR_AGE: Final = METRICS["conclave_snapshot_age_seconds"]
SIDECAR_UP: Final = METRICS["conclave_node_up"]
SIDECAR_SIZE: Final = METRICS["conclave_snapshot_bytes"]
SIDECAR_RECEIVED: Final = METRICS["conclave_snapshots_received_total"]
IGNORED: Final = METRICS["conclave_snapshot_series_ignored_total"]


@dataclass(slots=True)
class _Node:
    series: dict[str, list[Sample]]
    at: float  # when the last snapshot arrived, monotonic seconds
    size: int
    received: int = 0


@dataclass(slots=True, eq=False)
class Nodes(Collector):
    """Servers that push to this sidecar."""

    clock: Clock
    ignored: Counter[str] = field(default_factory=Counter)  # series not of the contract, by reason
    _nodes: dict[str, _Node] = field(default_factory=dict)

    def take(self, snapshot: Snapshot, size: int) -> None:
        """Keeps a snapshot of `size` bytes. Raises RemoteError: snapshot_malformed, too_many_nodes."""
        if not NODE.allows(snapshot.node):
            raise RemoteError("snapshot_malformed", "that is no name of a node")
        now = self.clock.now()
        self._forget(now)
        node = self._nodes.get(snapshot.node)
        if node is None:
            if len(self._nodes) >= MAX_NODES:
                raise RemoteError("too_many_nodes", "as many nodes push as may")
            node = self._nodes[snapshot.node] = _Node({}, now, size)
        node.series = {name: kept for name, kept in self._checked(snapshot) if kept}
        node.at, node.size = now, size
        node.received += 1

    def is_fresh(self, name: str) -> bool:
        """Whether a server's numbers are shown."""
        node = self._nodes.get(name)
        return node is not None and self.clock.now() - node.at <= STALE_SECONDS

    def collect(self) -> Iterable[Family]:
        """Everything as of now."""
        now = self.clock.now()
        self._forget(now)
        age, up = _family(SIDECAR_AGE), _family(SIDECAR_UP)
        size, received = _family(SIDECAR_SIZE), _family(SIDECAR_RECEIVED)
        fresh = {}
        for name, node in self._nodes.items():
            seconds = now - node.at
            if seconds <= STALE_SECONDS:
                fresh[name] = node
            _add(age, SIDECAR_AGE, (name,), seconds)
            _add(up, SIDECAR_UP, (name,), float(name in fresh))
            _add(size, SIDECAR_SIZE, (name,), node.size)
            _add(received, SIDECAR_RECEIVED, (name,), node.received)
        ignored = CounterMetricFamily(
            IGNORED.name.removesuffix("_total"), IGNORED.text, labels=[IGNORED.labels[0].name]
        )
        for reason in IGNORED.labels[0].values:
            ignored.add_metric([reason], self.ignored[reason])
        yield from (age, up, size, received, ignored)
        for metric in METRICS.values():
            if metric.origin is Origin.NODE:
                family = _family(metric)
                for name, node in fresh.items():
                    for labels, value in node.series.get(metric.name, ()):
                        _add(family, metric, (name, *labels), value)
                yield family

    def describe(self) -> Iterable[Family]:
        """Nothing is known before it is collected."""
        return ()

    def _forget(self, now: float) -> None:
        gone = [name for name, node in self._nodes.items() if now - node.at > FORGET_SECONDS]
        for name in gone:
            del self._nodes[name]

    def _checked(self, snapshot: Snapshot) -> Iterator[tuple[str, list[Sample]]]:
        for name, samples in snapshot.series.items():
            metric = METRICS.get(name)
            if metric is None or metric.origin is not Origin.NODE:
                self.ignored["unknown_metric"] += len(samples)
                continue
            kept = []
            for labels, value in samples:
                if not _allowed(name, labels):
                    self.ignored["unknown_label"] += 1
                elif not _fits(metric, value):
                    self.ignored["malformed_value"] += 1
                else:
                    kept.append((labels, value))
            yield name, kept


@lru_cache(maxsize=65_536)  # as many series as a large server has; the same ones come every second
def _allowed(name: str, labels: tuple[str, ...]) -> bool:
    return METRICS[name].allows(labels)


def _fits(metric: Metric, value: float | Buckets) -> bool:
    if metric.kind is not Kind.HISTOGRAM:
        return not isinstance(value, Buckets)
    return isinstance(value, Buckets) and len(value.counts) == len(metric.buckets) + 1


def _family(metric: Metric) -> Family:
    names = [label.name for label in metric.labels]
    if metric.origin is Origin.NODE:
        names.insert(0, NODE.name)
    if metric.kind is Kind.COUNTER:
        name = metric.name.removesuffix("_total")
        return CounterMetricFamily(name, metric.text, labels=names, unit=metric.unit)
    if metric.kind is Kind.HISTOGRAM:
        return HistogramMetricFamily(metric.name, metric.text, labels=names, unit=metric.unit)
    if metric.kind is Kind.INFO:
        return InfoMetricFamily(metric.name.removesuffix("_info"), metric.text, labels=[NODE.name])
    return GaugeMetricFamily(metric.name, metric.text, labels=names, unit=metric.unit)


def _add(family: Family, metric: Metric, labels: tuple[str, ...], value: float | Buckets) -> None:
    if isinstance(value, Buckets):
        assert isinstance(family, HistogramMetricFamily)  # noqa: S101 - `_fits` has checked
        family.add_metric(labels, _edges(metric, value), value.sum)
    elif isinstance(family, InfoMetricFamily):
        node, *values = labels
        names = (label.name for label in metric.labels)
        family.add_metric([node], dict(zip(names, values, strict=True)))
    elif isinstance(family, GaugeMetricFamily | CounterMetricFamily):
        family.add_metric(labels, value)


def _edges(
    metric: Metric, value: Buckets
) -> Sequence[tuple[str, float] | tuple[str, float, Shown]]:
    shown = {one.bucket: Shown({"room": one.room}, one.value, one.at) for one in value.exemplars}
    total = 0
    edges: list[tuple[str, float] | tuple[str, float, Shown]] = []
    names = [*(repr(bound) for bound in metric.buckets), "+Inf"]
    for index, (edge, count) in enumerate(zip(names, value.counts, strict=True)):
        total += count
        exemplar = shown.get(index)
        edges.append((edge, total) if exemplar is None else (edge, total, exemplar))
    return edges
