"""The metrics page says what the snapshot says, with bounded labels."""

from prometheus_client.parser import text_string_to_metric_families

from server.lag import LoopLag
from server.metrics import LOOP_LAG_BOUNDS, LaneNumbers, MetricsSnapshot, render


def samples(snapshot: MetricsSnapshot) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(render(snapshot).decode())
    return {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for family in families
        for s in family.samples
    }


def test_counts_of_every_lane_are_shown() -> None:
    lane = LaneNumbers(
        received=(10, 1000),
        sent=(20, 2000),
        forwarded=(18, 1800),
        drops={"demux_empty": 3},
        kernel_drops=1,
    )
    seen = samples(MetricsSnapshot(lanes=(lane, LaneNumbers())))
    assert seen[("conclave_received_packets_total", (("lane", "0"),))] == 10
    assert seen[("conclave_forwarded_bytes_total", (("lane", "0"),))] == 1800
    assert seen[("conclave_drops_total", (("lane", "0"), ("reason", "demux_empty")))] == 3
    assert seen[("conclave_kernel_receive_drops_total", (("lane", "0"),))] == 1
    assert seen[("conclave_sent_packets_total", (("lane", "1"),))] == 0


def test_latency_is_a_histogram_with_cumulative_buckets() -> None:
    lane = LaneNumbers(latency_counts=(5, 9, 10))
    seen = samples(MetricsSnapshot(lanes=(lane,), latency_bounds=(0.00001, 0.0001)))
    name = "conclave_forwarding_latency_seconds_bucket"
    assert seen[(name, (("lane", "0"), ("le", "1e-05")))] == 5
    assert seen[(name, (("lane", "0"), ("le", "+Inf")))] == 10


def test_rooms_and_peers_are_counts_without_names() -> None:
    snapshot = MetricsSnapshot(
        rooms=2,
        peers={"active": 3},
        tracks={("video", "camera"): 4},
        joins=5,
        leaves={"client_initiated": 4},
        refusals={("signalling", "token_expired"): 1},
    )
    seen = samples(snapshot)
    assert seen[("conclave_rooms", ())] == 2
    assert seen[("conclave_peers", (("state", "active"),))] == 3
    assert seen[("conclave_tracks", (("kind", "video"), ("source", "camera")))] == 4
    assert seen[("conclave_joins_total", ())] == 5
    assert seen[("conclave_leaves_total", (("reason", "client_initiated"),))] == 4
    refusal = (("code", "token_expired"), ("part", "signalling"))
    assert seen[("conclave_refusals_total", refusal)] == 1


def test_loop_lag_counts_late_beats() -> None:
    lag = LoopLag(LOOP_LAG_BOUNDS)
    for delay in (0.0, 0.002, 0.5):
        lag.observe(delay)
    snapshot = MetricsSnapshot(loop_lag_counts=lag.cumulative(), loop_lag_sum=lag.sum)
    seen = samples(snapshot)
    assert seen[("conclave_event_loop_lag_seconds_bucket", (("le", "0.001"),))] == 1
    assert seen[("conclave_event_loop_lag_seconds_bucket", (("le", "0.25"),))] == 2
    assert seen[("conclave_event_loop_lag_seconds_count", ())] == 3
    assert seen[("conclave_event_loop_lag_seconds_sum", ())] == 0.502
