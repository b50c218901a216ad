"""What the sidecar counts about itself, for Prometheus.

In: occurrences. Out: an exposition. Must not: label anything with who it was about.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

DURABLE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)


class Metrics:
    """All series of one sidecar."""

    def __init__(self) -> None:
        """Registers them in a registry of their own."""
        self.registry = CollectorRegistry()
        self.entries = Counter(
            "conclave_audit_entries", "Entries made durable.", registry=self.registry
        )
        self.refused = Counter(
            "conclave_audit_refused",
            "Connections ended by the log, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self.durable = Histogram(
            "conclave_audit_durable_seconds",
            "Time from the arrival of a group to its confirmation.",
            buckets=DURABLE_BUCKETS,
            registry=self.registry,
        )
        self.failures = Counter(
            "conclave_audit_publish_failures",
            "Attempts to publish a checkpoint that the disk refused.",
            registry=self.registry,
        )
        self.witnessed = Counter(
            "conclave_audit_witnessed",
            "Checkpoints of others looked at as a witness, by outcome.",
            ["outcome"],
            registry=self.registry,
        )
        self.cosigned = Counter(
            "conclave_audit_cosigned",
            "Own checkpoints shown to witnesses, by outcome.",
            ["outcome"],
            registry=self.registry,
        )

        self.timestamps = Counter(
            "conclave_audit_timestamps",
            "Attempts to have a checkpoint stamped by an authority, by outcome.",
            ["outcome"],
            registry=self.registry,
        )
        self.queried = Counter(
            "conclave_audit_queries",
            "Questions about the log, by outcome.",
            ["outcome"],
            registry=self.registry,
        )
        self.rebuilt = Counter(
            "conclave_audit_index_rebuilds",
            "Times that the index was made anew.",
            registry=self.registry,
        )

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A gauge whose value is asked for when somebody looks."""
        Gauge(name, text, registry=self.registry).set_function(value)

    def exposition(self) -> bytes:
        """The text format."""
        return generate_latest(self.registry)
