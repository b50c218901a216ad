"""What the server counts about itself: tallies, pauses, its process, and zeroes where nothing happened."""

import gc
from typing import Any

from common.clock import ManualClock, SystemClock
from common.contract import METRICS
from common.metrics import Kind, Origin
from common.snapshots import Buckets
from server.telemetry import process
from server.telemetry.lag import LoopLag
from server.telemetry.lanes import Lanes
from server.telemetry.pauses import Pauses
from server.telemetry.readings import Readings
from server.telemetry.tally import Tally

LAG = "conclave_event_loop_lag_seconds"


def shown(readings: Readings, name: str) -> dict[tuple[str, ...], float | Buckets]:
    return dict(readings.series()[name])


def test_a_tally_counts_into_the_buckets_of_its_metric_and_keeps_one_exemplar_each() -> None:
    tally = Tally("conclave_join_seconds")
    tally.observe(0.01)
    for room in ("r_1", "r_2"):
        tally.observe_in(room, 0.02, 1_700_000_000.0)
    tally.observe(100.0)
    buckets = tally.buckets()
    assert (buckets.counts[0], buckets.counts[1], buckets.counts[-1]) == (1, 2, 1)
    assert buckets.sum == 100.05
    assert [(one.bucket, one.room) for one in buckets.exemplars] == [(1, "r_2")]


def test_late_beats_of_the_loop_are_counted() -> None:
    lag = LoopLag()
    for delay in (0.0, 0.002, 0.5):
        lag.tally.observe(delay)
    buckets = lag.tally.buckets()
    assert buckets.counts == (1, 1, 0, 0, 0, 0, 0, 1, 0)
    assert buckets.sum == 0.502


def test_collections_of_garbage_are_pauses_of_their_generation() -> None:
    pauses = Pauses(SystemClock())
    pauses.start()
    gc.collect(1)
    pauses.stop()
    pauses.stop()
    gc.collect(2)
    counts = {name: sum(tally.buckets().counts) for name, tally in pauses.tallies.items()}
    assert counts["1"] == 1
    assert counts["2"] == 0
    clock = ManualClock()
    still = Pauses(clock)
    still.handle_collection("start", {"generation": 2})
    clock.advance(0.003)
    still.handle_collection("stop", {"generation": 2})
    assert round(still.tallies["2"].buckets().sum, 6) == 0.003


def test_the_process_tells_of_itself() -> None:
    readings = Readings(1)
    process.read(readings)
    assert shown(readings, "conclave_process_resident_memory_bytes")[()] > 1e7  # type: ignore[operator]
    assert shown(readings, "conclave_process_threads")[()] >= 1  # type: ignore[operator]
    assert shown(readings, "conclave_process_open_fds")[()] >= 3  # type: ignore[operator]
    assert shown(readings, "conclave_process_start_time_seconds")[()] > 1.6e9  # type: ignore[operator]


def test_closed_labels_are_shown_as_zero_and_sparse_metrics_are_not() -> None:
    readings = Readings(2)
    readings.put("conclave_leaves_total", 3, "room_closed")
    leaves = shown(readings, "conclave_leaves_total")
    assert leaves["room_closed",] == 3
    assert leaves["signal_close",] == 0
    assert set(shown(readings, "conclave_sent_packets_total")) == {("0",), ("1",)}
    series = readings.series()
    assert "conclave_lane_headroom_packets_per_second" not in series
    for name, samples in series.items():
        metric = METRICS[name]
        assert metric.origin is Origin.NODE
        for labels, value in samples:
            assert metric.allows(labels)
            assert isinstance(value, Buckets) == (metric.kind is Kind.HISTOGRAM)


def lane(at_ns: int, busy_ns: int, sent: int) -> dict[str, Any]:
    empty: tuple[list[int], list[int], int] = ([], [0], 0)
    kinds = ("up_loss_ppm", "up_jitter_us", "up_rate", "down_loss_ppm", "down_jitter_us")
    histograms = {f"{name}_{kind}": empty for name in kinds for kind in ("audio", "video")}
    return {
        "lanes": [
            {
                "numbers": {"at_ns": at_ns, "busy_ns": busy_ns, "sent_packets": sent},
                "drops": [],
                "closed": {},
                "video_legs": [[0] * 4] * 4,
                "histograms": {**histograms, "latency_us": empty, "round_trip_us": empty},
            }
        ],
        "drop_reasons": [],
        "associations": {},
        "refusals": {},
        "commands_ignored": 0,
    }


def test_load_and_headroom_are_those_between_two_publications() -> None:
    lanes = Lanes()
    second = 1_000_000_000
    lanes.read(lane(second, 0, 0), Readings(1))
    for _ in range(2):  # the same publication read twice is no new second
        readings = Readings(1)
        lanes.read(lane(2 * second, second // 4, 50_000), readings)
        assert shown(readings, "conclave_lane_busy_ratio")["0",] == 0.25
        spare = shown(readings, "conclave_lane_headroom_packets_per_second")["0",]
        assert spare == 150_000
    idle = Readings(1)
    lanes.read(lane(3 * second, second // 4, 50_000), idle)
    assert shown(idle, "conclave_lane_busy_ratio")["0",] == 0
    assert "conclave_lane_headroom_packets_per_second" not in idle.series()
