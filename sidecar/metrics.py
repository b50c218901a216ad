"""What the sidecar counts about itself, and the page on which it shows that and the servers' numbers.

In: occurrences. Out: the exposition in the format that a scraper asks for. Must not: label anything with who it
was about, or show what `common.contract` does not declare.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

from common.contract import METRICS, VERSION
from sidecar.nodes import Nodes

disable_created_metrics()  # type: ignore[no-untyped-call] # a second series for each counter, with what Prometheus sees anyway


class Metrics:
    """All series of one sidecar."""

    def __init__(self, nodes: Nodes | None = None) -> None:
        """Registers them in a registry of their own, with those of `nodes`."""
        self.registry = CollectorRegistry()
        self.entries = self._counter("conclave_audit_entries_total")
        self.refused = self._counter("conclave_audit_refused_total")
        self.failures = self._counter("conclave_audit_publish_failures_total")
        self.witnessed = self._counter("conclave_audit_witnessed_total")
        self.cosigned = self._counter("conclave_audit_cosigned_total")
        self.timestamps = self._counter("conclave_audit_timestamps_total")
        self.queried = self._counter("conclave_audit_queries_total")
        self.rebuilt = self._counter("conclave_audit_index_rebuilds_total")
        self.push_refused = self._counter("conclave_snapshot_refusals_total")
        self.durable = self._durable()
        Info(
            "conclave_metrics_contract",
            METRICS["conclave_metrics_contract_info"].text,
            registry=self.registry,
        ).info({"version": VERSION})
        ProcessCollector(namespace="conclave_sidecar", registry=self.registry)
        if nodes is not None:
            self.registry.register(nodes)

    def watch(self, name: str, value: Callable[[], float]) -> None:
        """A gauge of the contract whose value is asked for when somebody looks."""
        Gauge(name, METRICS[name].text, registry=self.registry).set_function(value)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """The page and its content type: OpenMetrics if `accept` asks for it, else Prometheus text."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self.registry), content_type

    def _counter(self, name: str) -> Counter:
        metric = METRICS[name]
        labels = [label.name for label in metric.labels]
        counter = Counter(name.removesuffix("_total"), metric.text, labels, registry=self.registry)
        if metric.filled and len(metric.labels) == 1:
            for value in metric.labels[0].values:
                counter.labels(value)
        return counter

    def _durable(self) -> Histogram:
        metric = METRICS["conclave_audit_durable_seconds"]
        return Histogram(metric.name, metric.text, buckets=metric.buckets, registry=self.registry)
