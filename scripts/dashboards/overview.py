"""The fleet at a glance."""

from __future__ import annotations

from typing import Final

from scripts.dashboards.grafana import Board, Panel, Row
from scripts.dashboards.queries import (
    BITS,
    BUSY,
    PER_SECOND,
    SECONDS,
    SHARE,
    quantile,
    quantile_by,
    rate,
    rates_by,
    ratio,
    total,
    totals_by,
)

OVERVIEW: Final = Board(
    "overview",
    "Conclave / overview",
    "Is everything well, and where is it not?",
    (
        Row(
            "Now",
            (
                Panel(
                    "Servers up", (("sum(conclave_node_up)", ""),), shape="stat", width=4, height=4
                ),
                Panel(
                    "Meetings", ((total("conclave_rooms"), ""),), shape="stat", width=4, height=4
                ),
                Panel("People", ((total("conclave_peers"), ""),), shape="stat", width=4, height=4),
                Panel(
                    "Poor or lost connections",
                    (
                        (
                            ratio(
                                total("conclave_peers_by_quality", more=',quality=~"poor|lost"'),
                                total("conclave_peers_by_quality"),
                            ),
                            "",
                        ),
                    ),
                    SHARE,
                    shape="stat",
                    width=4,
                    height=4,
                    warn=0.1,
                    alarm=0.2,
                ),
                Panel(
                    "Forwarding, p99",
                    ((quantile(0.99, "conclave_forwarding_latency_seconds"), ""),),
                    SECONDS,
                    shape="stat",
                    width=4,
                    height=4,
                    warn=0.001,
                    alarm=0.005,
                ),
                Panel(
                    "Events not in the log",
                    ((total("conclave_audit_backlog"), ""),),
                    shape="stat",
                    width=4,
                    height=4,
                    warn=100,
                    alarm=1000,
                ),
            ),
        ),
        Row(
            "Use",
            (
                Panel("People by server", totals_by("conclave_peers", "node"), stack=True),
                Panel(
                    "Tracks",
                    totals_by("conclave_tracks", "kind", "source"),
                    stack=True,
                ),
                Panel(
                    "Sent",
                    ((f"8 * {rate('conclave_sent_bytes_total', 'node')}", "{{node}}"),),
                    BITS,
                    stack=True,
                ),
            ),
        ),
        Row(
            "Trouble",
            (
                Panel(
                    "Leaves by reason",
                    rates_by("conclave_leaves_total", "reason"),
                    PER_SECOND,
                ),
                Panel("Refusals", rates_by("conclave_refusals_total", "code"), PER_SECOND),
                Panel(
                    "Drops by reason",
                    rates_by("conclave_drops_total", "reason"),
                    PER_SECOND,
                ),
                Panel(
                    "Servers that went silent",
                    (("conclave_snapshot_age_seconds", "{{node}}"),),
                    SECONDS,
                    "Age of the last snapshot: above ten seconds all else of that server is hidden.",
                    warn=3,
                    alarm=10,
                ),
                Panel(
                    "Lanes at work",
                    ((BUSY, "{{node}} lane {{lane}}"),),
                    SHARE,
                    warn=0.7,
                    alarm=0.85,
                ),
                Panel(
                    "Loop lag, p99",
                    quantile_by(0.99, "conclave_event_loop_lag_seconds", "node"),
                    SECONDS,
                    warn=0.1,
                    alarm=0.25,
                ),
            ),
        ),
    ),
)
