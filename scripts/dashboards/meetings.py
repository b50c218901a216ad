"""Meetings: coming, going, layers. Nobody is named."""

from __future__ import annotations

from typing import Final

from scripts.dashboards.grafana import Board, Panel, Row
from scripts.dashboards.queries import (
    PER_SECOND,
    SECONDS,
    quantile_by,
    quantiles,
    rate,
    rates_by,
    ratio,
    total,
    totals_by,
)

ROOM: Final = Board(
    "room",
    "Conclave / meetings",
    "What happens in meetings: who comes how quickly, who leaves why. Nobody is named, no meeting either.",
    (
        Row(
            "Meetings",
            (
                Panel("Meetings", totals_by("conclave_rooms", "node"), stack=True),
                Panel(
                    "People per meeting",
                    ((ratio(total("conclave_peers"), total("conclave_rooms")), "mean"),),
                ),
                Panel(
                    "People by state",
                    totals_by("conclave_peers", "state"),
                    stack=True,
                ),
                Panel(
                    "People by protocol",
                    totals_by("conclave_sessions", "protocol"),
                    stack=True,
                ),
                Panel(
                    "Tracks by codec",
                    totals_by("conclave_tracks", "codec"),
                    stack=True,
                ),
                Panel(
                    "Subscriptions",
                    totals_by("conclave_subscriptions", "kind"),
                    stack=True,
                ),
            ),
        ),
        Row(
            "Coming and going",
            (
                Panel(
                    "Joins and leaves",
                    (
                        (rate("conclave_joins_total"), "joins"),
                        (rate("conclave_leaves_total"), "leaves"),
                    ),
                    PER_SECOND,
                ),
                Panel(
                    "Leaves by reason",
                    rates_by("conclave_leaves_total", "reason"),
                    PER_SECOND,
                ),
                Panel(
                    "Decisions of the gates",
                    rates_by("conclave_gate_decisions_total", "gate", "decision", "reason"),
                    PER_SECOND,
                ),
                Panel(
                    "Join, p95 by stage",
                    quantile_by(0.95, "conclave_join_seconds", "stage"),
                    SECONDS,
                    "From the opening of the socket: answered, ICE, DTLS, first packet sent.",
                    warn=1,
                    alarm=2,
                ),
                Panel(
                    "Join to first media",
                    quantiles("conclave_join_seconds", more=',stage="media"'),
                    SECONDS,
                    warn=1,
                    alarm=2,
                ),
                Panel(
                    "Publish to first packet, p95",
                    quantile_by(0.95, "conclave_publish_seconds", "kind"),
                    SECONDS,
                ),
            ),
        ),
        Row(
            "Layers",
            (
                Panel(
                    "Video by wanted layer",
                    totals_by("conclave_video_legs", "wanted"),
                    stack=True,
                ),
                Panel(
                    "Video by served layer",
                    totals_by("conclave_video_legs", "served"),
                    stack=True,
                ),
                Panel(
                    "Layer switches",
                    rates_by("conclave_layer_switches_total", "direction"),
                    PER_SECOND,
                ),
            ),
        ),
    ),
)
