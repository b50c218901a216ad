"""The numbers of one snapshot, gathered by metric name and labels.

In: numbers. Out: series as `common.snapshots` sends them, zeroes filled in where the contract says so. Must not:
keep anything from one snapshot to the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

from common.contract import METRICS
from common.metrics import Kind, Metric, Origin
from common.snapshots import Buckets, Sample, Series

Labels = tuple[str, ...]


class Readings:
    """Collects a snapshot."""

    def __init__(self, lanes: int) -> None:
        """`lanes`: how many the server has."""
        self._lanes = tuple(map(str, range(lanes)))
        self._numbers: dict[str, dict[Labels, float]] = {}
        self._buckets: dict[str, dict[Labels, Buckets]] = {}

    def put(self, name: str, value: float, *labels: str) -> None:
        """A number; what was put under the same labels is added to it."""
        numbers = self._numbers.setdefault(name, {})
        numbers[labels] = numbers.get(labels, 0) + value

    def put_all(self, name: str, counts: Mapping[str, float], *before: str) -> None:
        """A number for each value of the last label."""
        for label, value in counts.items():
            self.put(name, value, *before, label)

    def put_buckets(self, name: str, buckets: Buckets, *labels: str) -> None:
        """A histogram; what was put under the same labels is added to it."""
        known = self._buckets.setdefault(name, {})
        before = known.get(labels)
        if before is not None:
            counts = tuple(map(sum, zip(before.counts, buckets.counts, strict=True)))
            exemplars = before.exemplars + buckets.exemplars
            buckets = Buckets(counts, before.sum + buckets.sum, exemplars)
        known[labels] = buckets

    def series(self) -> Series:
        """Everything, with a zero for each combination of closed labels that did not occur."""
        series: dict[str, list[Sample]] = {}
        for name, numbers in self._numbers.items():
            series[name] = list(numbers.items())
        for name, buckets in self._buckets.items():
            series[name] = list(buckets.items())
        for metric in METRICS.values():
            if metric.origin is Origin.NODE and metric.filled:
                series.setdefault(metric.name, []).extend(self._missing(metric))
        return series

    def _missing(self, metric: Metric) -> Iterator[Sample]:
        known = {**self._numbers.get(metric.name, {}), **self._buckets.get(metric.name, {})}
        choices = [self._lanes if label.name == "lane" else label.values for label in metric.labels]
        for labels in product(*choices):
            if labels not in known:
                if metric.kind is Kind.HISTOGRAM:
                    yield labels, Buckets((0,) * (len(metric.buckets) + 1), 0.0)
                else:
                    yield labels, 0
