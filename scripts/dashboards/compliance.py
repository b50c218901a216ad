"""The audit trail of servers, and the log that they write."""

from __future__ import annotations

from typing import Final

from scripts.dashboards.grafana import Board, Panel, Row
from scripts.dashboards.queries import (
    BYTES,
    PER_SECOND,
    SECONDS,
    SHARE,
    of_log,
    rate,
    rates_by,
    totals_by,
)

COMPLIANCE: Final = Board(
    "compliance",
    "Conclave / compliance",
    "Is every act on record before it takes effect, and is the record sealed?",
    (
        Row(
            "Servers",
            (
                Panel(
                    "Events",
                    rates_by("conclave_audit_events_total", "outcome"),
                    PER_SECOND,
                    "Handed to the audit trail, by what became of them.",
                ),
                Panel(
                    "Not in the log yet",
                    totals_by("conclave_audit_backlog", "node"),
                    warn=100,
                    alarm=1000,
                ),
                Panel(
                    "Waiting on disk",
                    totals_by("conclave_audit_spool_depth", "node"),
                    warn=1,
                ),
                Panel(
                    "Oldest event not in the log",
                    (('conclave_audit_lag_seconds{node=~"$node"}', "{{node}}"),),
                    SECONDS,
                    warn=1,
                    alarm=5,
                ),
                Panel(
                    "Decisions of the gates",
                    rates_by("conclave_gate_decisions_total", "gate", "decision", "reason"),
                    PER_SECOND,
                    width=16,
                ),
            ),
        ),
        Row(
            "The log",
            (
                Panel("Entries", (("conclave_audit_size", "{{instance}}"),)),
                Panel(
                    "Entries made durable",
                    (("rate(conclave_audit_entries_total[$__rate_interval])", "{{instance}}"),),
                    PER_SECOND,
                ),
                Panel(
                    "Time to durable",
                    (
                        (
                            f"histogram_quantile(0.5, {of_log('conclave_audit_durable_seconds_bucket', 'le')})",
                            "p50",
                        ),
                        (
                            f"histogram_quantile(0.99, {of_log('conclave_audit_durable_seconds_bucket', 'le')})",
                            "p99",
                        ),
                    ),
                    SECONDS,
                    alarm=0.05,
                ),
                Panel(
                    "Waiting for a checkpoint",
                    (
                        ("conclave_audit_unpublished", "entries"),
                        ("conclave_audit_checkpoint_age_seconds", "seconds"),
                    ),
                    alarm=60,
                ),
                Panel(
                    "Since every witness has cosigned",
                    (("conclave_audit_witness_age_seconds", "{{instance}}"),),
                    SECONDS,
                    "0 without witnesses.",
                    alarm=3600,
                ),
                Panel(
                    "Witnesses",
                    (
                        (
                            of_log("conclave_audit_cosigned_total", "outcome"),
                            "ours: {{outcome}}",
                        ),
                        (
                            of_log("conclave_audit_witnessed_total", "outcome"),
                            "of others: {{outcome}}",
                        ),
                    ),
                    PER_SECOND,
                ),
                Panel(
                    "Refused by the log",
                    (
                        (
                            of_log("conclave_audit_refused_total", "reason"),
                            "{{reason}}",
                        ),
                        (
                            of_log("conclave_audit_publish_failures_total"),
                            "checkpoints not written",
                        ),
                    ),
                    PER_SECOND,
                ),
                Panel(
                    "Questions to the log",
                    (
                        (
                            of_log("conclave_audit_queries_total", "outcome"),
                            "{{outcome}}",
                        ),
                    ),
                    PER_SECOND,
                ),
                Panel(
                    "Entries not in the index yet", (("conclave_audit_index_lag", "{{instance}}"),)
                ),
            ),
        ),
        Row(
            "The sidecar",
            (
                Panel(
                    "Processor",
                    (
                        (
                            "rate(conclave_sidecar_process_cpu_seconds_total[$__rate_interval])",
                            "{{instance}}",
                        ),
                    ),
                    SHARE,
                ),
                Panel(
                    "Memory",
                    (("conclave_sidecar_process_resident_memory_bytes", "{{instance}}"),),
                    BYTES,
                ),
                Panel(
                    "Snapshots",
                    (
                        (
                            of_log("conclave_snapshots_received_total"),
                            "received",
                        ),
                        (
                            rate("conclave_snapshots_dropped_total", "reason"),
                            "dropped: {{reason}}",
                        ),
                        (
                            of_log("conclave_snapshot_refusals_total", "reason"),
                            "refused: {{reason}}",
                        ),
                    ),
                    PER_SECOND,
                ),
            ),
        ),
    ),
)
