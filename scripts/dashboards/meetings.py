"""Meetings: coming, going, layers. Nobody is named."""

from __future__ import annotations

from typing import Final

from scripts.dashboards.grafana import Board, Panel, Row
from scripts.dashboards.queries import PER_SECOND, SECONDS, quantile, quantiles, rate, ratio, total

ROOM: Final = Board(
    "room",
    "Conclave / meetings",
    "What happens in meetings: who comes how quickly, who leaves why. Nobody is named, no meeting either.",
    (
        Row(
            "Meetings",
            (
                Panel("Meetings", ((total("conclave_rooms", "node"), "{{node}}"),), stack=True),
                Panel(
                    "People per meeting",
                    ((ratio(total("conclave_peers"), total("conclave_rooms")), "mean"),),
                ),
                Panel(
                    "People by state",
                    ((total("conclave_peers", "state"), "{{state}}"),),
                    stack=True,
                ),
                Panel(
                    "People by protocol",
                    ((total("conclave_sessions", "protocol"), "{{protocol}}"),),
                    stack=True,
                ),
                Panel(
                    "Tracks by codec",
                    ((total("conclave_tracks", "codec"), "{{codec}}"),),
                    stack=True,
                ),
                Panel(
                    "Subscriptions",
                    ((total("conclave_subscriptions", "kind"), "{{kind}}"),),
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
                    ((rate("conclave_leaves_total", "reason"), "{{reason}}"),),
                    PER_SECOND,
                ),
                Panel(
                    "Decisions of the gates",
                    (
                        (
                            rate("conclave_gate_decisions_total", "gate", "decision", "reason"),
                            "{{gate}} {{decision}} {{reason}}",
                        ),
                    ),
                    PER_SECOND,
                ),
                Panel(
                    "Join, p95 by stage",
                    ((quantile(0.95, "conclave_join_seconds", "stage"), "{{stage}}"),),
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
                    ((quantile(0.95, "conclave_publish_seconds", "kind"), "{{kind}}"),),
                    SECONDS,
                ),
            ),
        ),
        Row(
            "Layers",
            (
                Panel(
                    "Video by wanted layer",
                    ((total("conclave_video_legs", "wanted"), "{{wanted}}"),),
                    stack=True,
                ),
                Panel(
                    "Video by served layer",
                    ((total("conclave_video_legs", "served"), "{{served}}"),),
                    stack=True,
                ),
                Panel(
                    "Layer switches",
                    ((rate("conclave_layer_switches_total", "direction"), "{{direction}}"),),
                    PER_SECOND,
                ),
            ),
        ),
    ),
)
