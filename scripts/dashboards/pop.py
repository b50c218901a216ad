"""One server: lanes, sockets, process."""

from __future__ import annotations

from typing import Final

from scripts.dashboards.grafana import Board, Panel, Row
from scripts.dashboards.queries import (
    BITS,
    BUSY,
    BYTES,
    PER_SECOND,
    SECONDS,
    SHARE,
    quantile,
    quantiles,
    rate,
    rates_by,
    ratio,
    total,
    totals_by,
)

POP: Final = Board(
    "pop",
    "Conclave / PoP",
    "One server: its lanes, its sockets, its process.",
    (
        Row(
            "Lanes",
            (
                Panel(
                    "Busy",
                    ((BUSY, "{{node}} lane {{lane}}"),),
                    SHARE,
                    "Share of a lane's time spent working: 1 is saturated.",
                    warn=0.7,
                    alarm=0.85,
                ),
                Panel(
                    "Headroom",
                    (
                        (
                            'conclave_lane_headroom_packets_per_second{node=~"$node"}',
                            "{{node}} lane {{lane}}",
                        ),
                    ),
                    "pps",
                ),
                Panel(
                    "Queues",
                    (
                        (
                            'max by (lane, queue) (conclave_lane_queue_depth{node=~"$node"})',
                            "lane {{lane}} {{queue}}",
                        ),
                    ),
                ),
                Panel(
                    "Forwarding latency",
                    quantiles("conclave_forwarding_latency_seconds"),
                    SECONDS,
                    "From the kernel's receive time stamp to the return of the send call.",
                    warn=0.001,
                    alarm=0.005,
                ),
                Panel(
                    "Forwarding latency, spread",
                    rates_by("conclave_forwarding_latency_seconds_bucket", "le"),
                    shape="heatmap",
                    width=16,
                ),
            ),
        ),
        Row(
            "Packets",
            (
                Panel(
                    "Packets",
                    (
                        (rate("conclave_received_packets_total", "node"), "{{node}} received"),
                        (rate("conclave_sent_packets_total", "node"), "{{node}} sent"),
                        (rate("conclave_forwarded_packets_total", "node"), "{{node}} forwarded"),
                    ),
                    "pps",
                ),
                Panel(
                    "Bit rate",
                    (
                        (
                            f"8 * {rate('conclave_received_bytes_total', 'node')}",
                            "{{node}} received",
                        ),
                        (f"8 * {rate('conclave_sent_bytes_total', 'node')}", "{{node}} sent"),
                        (
                            f"8 * {rate('conclave_forwarded_bytes_total', 'node')}",
                            "{{node}} forwarded",
                        ),
                    ),
                    BITS,
                ),
                Panel(
                    "Packets per system call",
                    (
                        (
                            ratio(
                                rate("conclave_sent_packets_total"),
                                rate("conclave_send_calls_total"),
                            ),
                            "per call",
                        ),
                        (
                            ratio(
                                rate("conclave_sent_packets_total"),
                                rate("conclave_send_runs_total"),
                            ),
                            "per run",
                        ),
                    ),
                ),
                Panel(
                    "Drops by reason",
                    rates_by("conclave_drops_total", "reason"),
                    PER_SECOND,
                ),
                Panel(
                    "Kernel drops",
                    ((rate("conclave_kernel_receive_drops_total", "lane"), "lane {{lane}}"),),
                    PER_SECOND,
                    "Datagrams that found the socket full.",
                    alarm=1,
                ),
                Panel(
                    "Socket buffers in use",
                    (
                        (
                            ratio(
                                total("conclave_socket_receive_queue_bytes", "lane"),
                                total("conclave_socket_receive_buffer_bytes", "lane"),
                            ),
                            "lane {{lane}}",
                        ),
                    ),
                    SHARE,
                    alarm=0.8,
                ),
            ),
        ),
        Row(
            "Connections",
            (
                Panel(
                    "Transports",
                    totals_by("conclave_transports", "transport"),
                    stack=True,
                ),
                Panel(
                    "DTLS handshakes",
                    (
                        (rate("conclave_dtls_handshakes_total", "outcome"), "{{outcome}}"),
                        (total("conclave_dtls_handshakes_running"), "running"),
                    ),
                ),
                Panel(
                    "ICE",
                    (
                        (rate("conclave_ice_validated_total"), "validated"),
                        (rate("conclave_ice_path_changes_total"), "moved"),
                        (rate("conclave_ice_stale_total"), "five seconds without a check"),
                    ),
                    PER_SECOND,
                ),
                Panel(
                    "Transports that ended by themselves",
                    rates_by("conclave_transports_closed_total", "reason"),
                    PER_SECOND,
                ),
                Panel(
                    "Refused by DTLS and SCTP",
                    rates_by("conclave_association_refusals_total", "reason"),
                    PER_SECOND,
                ),
                Panel(
                    "Data channels",
                    (
                        (total("conclave_data_channels"), "open"),
                        (
                            rate("conclave_data_messages_total", "direction"),
                            "messages {{direction}}, per second",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "Process",
            (
                Panel(
                    "Processor",
                    rates_by("conclave_process_cpu_seconds_total", "node", "mode"),
                    SHARE,
                    stack=True,
                ),
                Panel(
                    "Memory",
                    totals_by("conclave_process_resident_memory_bytes", "node"),
                    BYTES,
                ),
                Panel(
                    "File descriptors in use",
                    (
                        (
                            ratio(
                                total("conclave_process_open_fds", "node"),
                                total("conclave_process_max_fds", "node"),
                            ),
                            "{{node}}",
                        ),
                    ),
                    SHARE,
                    alarm=0.8,
                ),
                Panel(
                    "Loop lag",
                    quantiles("conclave_event_loop_lag_seconds"),
                    SECONDS,
                    warn=0.1,
                    alarm=0.25,
                ),
                Panel(
                    "Garbage collection, p99",
                    (
                        (
                            quantile(0.99, "conclave_gc_pause_seconds", "generation"),
                            "generation {{generation}}",
                        ),
                    ),
                    SECONDS,
                ),
                Panel(
                    "Versions",
                    (
                        (
                            'max by (node, version) (conclave_build_info{node=~"$node"})',
                            "{{version}}",
                        ),
                    ),
                    shape="table",
                ),
            ),
        ),
    ),
)
