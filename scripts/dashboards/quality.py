"""Loss, jitter, round trip, repair."""

from __future__ import annotations

from typing import Final

from scripts.dashboards.grafana import Board, Panel, Row
from scripts.dashboards.queries import (
    BITS,
    PER_SECOND,
    SECONDS,
    SHARE,
    quantile,
    quantile_by,
    quantiles,
    rate,
    totals_by,
    worse_than,
)

QUALITY: Final = Board(
    "quality",
    "Conclave / quality",
    "How meetings look and sound: loss, jitter, round trip, repair.",
    (
        Row(
            "As people have it",
            (
                Panel(
                    "Connection quality",
                    totals_by("conclave_peers_by_quality", "quality"),
                    stack=True,
                ),
                Panel(
                    "Round trip",
                    quantiles("conclave_round_trip_seconds"),
                    SECONDS,
                    warn=0.15,
                    alarm=0.3,
                ),
                Panel(
                    "Rate of published tracks, p50",
                    (
                        (
                            f"8 * {quantile(0.5, 'conclave_upstream_bytes_per_second', 'kind')}",
                            "{{kind}}",
                        ),
                    ),
                    BITS,
                ),
            ),
        ),
        Row(
            "Loss",
            (
                Panel(
                    "Publishers: seconds with more than 2 % lost",
                    ((worse_than("conclave_upstream_loss_ratio", "0.02", "kind"), "{{kind}}"),),
                    SHARE,
                    "After repair.",
                    warn=0.05,
                    alarm=0.2,
                ),
                Panel(
                    "Subscribers: reports of more than 5 % lost",
                    ((worse_than("conclave_downstream_loss_ratio", "0.05", "kind"), "{{kind}}"),),
                    SHARE,
                    "Before repair.",
                    warn=0.05,
                    alarm=0.2,
                ),
                Panel(
                    "Loss that subscribers report, p95",
                    quantile_by(0.95, "conclave_downstream_loss_ratio", "kind"),
                    SHARE,
                ),
                Panel(
                    "Jitter of publishers, p95",
                    quantile_by(0.95, "conclave_upstream_jitter_seconds", "kind"),
                    SECONDS,
                ),
                Panel(
                    "Jitter at subscribers, p95",
                    quantile_by(0.95, "conclave_downstream_jitter_seconds", "kind"),
                    SECONDS,
                ),
            ),
        ),
        Row(
            "Repair",
            (
                Panel(
                    "Asked again",
                    (
                        (rate("conclave_nacked_packets_sent_total"), "of publishers"),
                        (rate("conclave_nacked_packets_received_total"), "by subscribers"),
                    ),
                    "pps",
                ),
                Panel(
                    "Came again",
                    (
                        (rate("conclave_repaired_packets_total"), "from publishers"),
                        (rate("conclave_retransmitted_packets_total"), "to subscribers"),
                    ),
                    "pps",
                ),
                Panel(
                    "Key frames asked for",
                    (
                        (rate("conclave_keyframe_requests_sent_total"), "of publishers"),
                        (
                            rate("conclave_keyframe_requests_received_total", "type"),
                            "by subscribers, {{type}}",
                        ),
                    ),
                    PER_SECOND,
                ),
            ),
        ),
    ),
)
