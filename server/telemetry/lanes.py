"""The data plane's totals as readings.

In: what `Plane.counters` returns. Out: readings. Must not: show anything of a single track, leg or person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from common.contract import LAYER
from common.snapshots import Buckets
from server.telemetry.readings import Readings

MICRO: Final = 1e-6
NANO: Final = 1e-9
KINDS: Final = ("audio", "video")

# Name in the data plane -> metric, labels after `lane`.
NUMBERS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "received_packets": ("conclave_received_packets_total", ()),
    "received_bytes": ("conclave_received_bytes_total", ()),
    "sent_packets": ("conclave_sent_packets_total", ()),
    "sent_bytes": ("conclave_sent_bytes_total", ()),
    "forwarded_packets": ("conclave_forwarded_packets_total", ()),
    "forwarded_bytes": ("conclave_forwarded_bytes_total", ()),
    "nacks_sent": ("conclave_nacked_packets_sent_total", ()),
    "nacks_received": ("conclave_nacked_packets_received_total", ()),
    "repaired": ("conclave_repaired_packets_total", ()),
    "retransmitted": ("conclave_retransmitted_packets_total", ()),
    "keyframes_requested": ("conclave_keyframe_requests_sent_total", ()),
    "plis_received": ("conclave_keyframe_requests_received_total", ("pli",)),
    "firs_received": ("conclave_keyframe_requests_received_total", ("fir",)),
    "switches_down": ("conclave_layer_switches_total", ("down",)),
    "switches_up": ("conclave_layer_switches_total", ("up",)),
    "connected_udp": ("conclave_transports", ("udp",)),
    "connected_tcp": ("conclave_transports", ("tcp",)),
    "tcp_open": ("conclave_tcp_connections", ()),
    "tcp_accepted": ("conclave_tcp_connections_accepted_total", ()),
    "tcp_waiting": ("conclave_tcp_send_queue_bytes", ()),
    "validated": ("conclave_ice_validated_total", ()),
    "moved": ("conclave_ice_path_changes_total", ()),
    "stale": ("conclave_ice_stale_total", ()),
    "kernel_drops": ("conclave_kernel_receive_drops_total", ()),
    "receive_queue": ("conclave_socket_receive_queue_bytes", ()),
    "receive_buffer": ("conclave_socket_receive_buffer_bytes", ()),
    "send_calls": ("conclave_send_calls_total", ()),
    "send_runs": ("conclave_send_runs_total", ()),
    "gso_fallbacks": ("conclave_gso_fallbacks_total", ()),
    "depth_commands": ("conclave_lane_queue_depth", ("commands",)),
    "depth_events": ("conclave_lane_queue_depth", ("events",)),
    "depth_relay": ("conclave_lane_queue_depth", ("relay",)),
    "depth_associations": ("conclave_lane_queue_depth", ("associations",)),
}
# Histogram in the data plane, without its kind -> metric, factor to its unit.
OF_KINDS: Final = {
    "up_loss_ppm": ("conclave_upstream_loss_ratio", MICRO),
    "up_jitter_us": ("conclave_upstream_jitter_seconds", MICRO),
    "up_rate": ("conclave_upstream_bytes_per_second", 1.0),
    "down_loss_ppm": ("conclave_downstream_loss_ratio", MICRO),
    "down_jitter_us": ("conclave_downstream_jitter_seconds", MICRO),
}
ASSOCIATIONS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "channels": ("conclave_data_channels", ()),
    "handshaking": ("conclave_dtls_handshakes_running", ()),
    "handshakes_completed": ("conclave_dtls_handshakes_total", ("completed",)),
    "handshakes_failed": ("conclave_dtls_handshakes_total", ("failed",)),
    "flights_resent": ("conclave_dtls_flights_resent_total", ()),
    "messages_received": ("conclave_data_messages_total", ("received",)),
    "messages_sent": ("conclave_data_messages_total", ("sent",)),
}
Mark = tuple[int, int, int]  # at, busy, both in nanoseconds; packets sent


class Lanes:
    """Reads lanes and associations; remembers the reading before for what is per second."""

    def __init__(self) -> None:
        """Nothing was read."""
        self._marks: dict[str, Mark] = {}
        self._loads: dict[str, tuple[float, float | None]] = {}  # busy ratio, packets a second

    def read(self, counters: Mapping[str, Any], into: Readings) -> None:
        """Puts everything."""
        for index, lane in enumerate(counters["lanes"]):
            if "at_ns" in lane["numbers"] and lane["numbers"]["at_ns"] > 0:
                self._read_lane(str(index), lane, counters["drop_reasons"], into)
        for name, value in counters["associations"].items():
            metric, labels = ASSOCIATIONS[name]
            into.put(metric, value, *labels)
        into.put_all("conclave_association_refusals_total", counters["refusals"])
        into.put("conclave_commands_ignored_total", counters["commands_ignored"])

    def _read_lane(
        self, name: str, lane: Mapping[str, Any], reasons: Sequence[str], into: Readings
    ) -> None:
        numbers = lane["numbers"]
        for key, (metric, labels) in NUMBERS.items():
            into.put(metric, numbers.get(key, 0), name, *labels)
        into.put("conclave_lane_busy_seconds_total", numbers["busy_ns"] * NANO, name)
        drops = dict(zip(reasons, lane["drops"], strict=True))
        into.put_all("conclave_drops_total", drops, name)
        into.put_all("conclave_transports_closed_total", lane["closed"], name)
        for wanted, row in zip(LAYER, lane["video_legs"], strict=True):
            into.put_all("conclave_video_legs", dict(zip(LAYER, row, strict=True)), wanted)
        _read_histograms(name, lane["histograms"], into)
        self._read_load(name, numbers, into)

    def _read_load(self, name: str, numbers: Mapping[str, int], into: Readings) -> None:
        mark = (numbers["at_ns"], numbers["busy_ns"], numbers["sent_packets"])
        before = self._marks.setdefault(name, mark)
        if mark[0] > before[0]:
            self._marks[name] = mark
            self._loads[name] = _load(before, mark)
        busy, spare = self._loads.get(name, (0.0, None))
        into.put("conclave_lane_busy_ratio", busy, name)
        if spare is not None:
            into.put("conclave_lane_headroom_packets_per_second", spare, name)


def _load(before: Mark, mark: Mark) -> tuple[float, float | None]:
    elapsed, busy = mark[0] - before[0], mark[1] - before[1]
    packets = mark[2] - before[2]
    ratio = min(1.0, max(0.0, busy / elapsed))
    if packets <= 0 or busy <= 0:
        return ratio, None
    return ratio, (1 - ratio) * packets / (busy * NANO)


def _read_histograms(name: str, histograms: Mapping[str, Any], into: Readings) -> None:
    into.put_buckets(
        "conclave_forwarding_latency_seconds", _buckets(histograms["latency_us"], MICRO), name
    )
    trips = _buckets(histograms["round_trip_us"], MICRO)
    into.put_buckets("conclave_round_trip_seconds", trips)
    for key, (metric, factor) in OF_KINDS.items():
        for kind in KINDS:
            into.put_buckets(metric, _buckets(histograms[f"{key}_{kind}"], factor), kind)


def _buckets(histogram: tuple[list[int], list[int], int], factor: float) -> Buckets:
    _, counts, total = histogram
    return Buckets(tuple(counts), total * factor)
