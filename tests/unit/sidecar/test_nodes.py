"""What is shown of servers: fresh numbers of the contract, and for how long there have been none."""

import pytest

from common.clock import ManualClock
from common.contract import MAX_NODES
from common.errors import RemoteError
from common.snapshots import Buckets, Exemplar, Series, Snapshot
from sidecar.metrics import Metrics
from sidecar.nodes import FORGET_SECONDS, STALE_SECONDS, Nodes
from tests.support.exposition import OPENMETRICS, Exposition, parsed

LAG = "conclave_event_loop_lag_seconds"


class Scene:
    """A sidecar's page over a clock that stands still."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.nodes = Nodes(self.clock)
        self.metrics = Metrics(self.nodes)

    def push(self, node: str, series: Series) -> None:
        self.nodes.take(Snapshot(node, series), 100)

    def page(self) -> Exposition:
        return parsed(self.metrics.exposition()[0].decode())


def test_every_server_has_its_own_series() -> None:
    scene = Scene()
    scene.push("a", {"conclave_rooms": [((), 2)]})
    scene.push("b", {"conclave_rooms": [((), 3)]})
    page = scene.page()
    assert page.total("conclave_rooms", node="a") == 2
    assert page.total("conclave_rooms") == 5
    assert page.total("conclave_snapshots_received_total", node="b") == 1
    assert page.total("conclave_snapshot_bytes", node="b") == 100


def test_old_numbers_are_hidden_and_their_age_is_told_until_the_server_is_forgotten() -> None:
    scene = Scene()
    scene.push("a", {"conclave_rooms": [((), 2)]})
    scene.clock.advance(STALE_SECONDS)
    assert scene.page().total("conclave_rooms") == 2
    assert scene.nodes.is_fresh("a")
    scene.clock.advance(0.5)
    page = scene.page()
    assert page.samples("conclave_rooms") == []
    assert page.total("conclave_node_up", node="a") == 0
    assert page.total("conclave_snapshot_age_seconds", node="a") == STALE_SECONDS + 0.5
    scene.push("a", {"conclave_rooms": [((), 4)]})
    assert scene.page().total("conclave_rooms") == 4
    scene.clock.advance(FORGET_SECONDS + 1)
    assert scene.page().samples("conclave_node_up") == []


def test_series_outside_of_the_contract_are_counted_and_not_shown() -> None:
    scene = Scene()
    scene.push(
        "a",
        {
            "conclave_nonsense": [((), 1)],
            "conclave_audit_size": [((), 1)],  # the sidecar's own
            "conclave_peers": [(("asleep",), 1), (("active",), 2), ((), 3)],
            "conclave_rooms": [((), Buckets((1,), 0.0))],
            LAG: [((), Buckets((1, 2), 0.0))],
        },
    )
    page = scene.page()
    ignored = "conclave_snapshot_series_ignored_total"
    assert page.total(ignored, reason="unknown_metric") == 2
    assert page.total(ignored, reason="unknown_label") == 2
    assert page.total(ignored, reason="malformed_value") == 2
    assert page.total("conclave_peers") == 2
    assert "asleep" not in page.text
    assert "nonsense" not in page.text


def test_a_histogram_is_cumulative_and_openmetrics_shows_its_exemplars() -> None:
    scene = Scene()
    counts = (1, 2, 0, 0, 0, 0, 0, 0, 4)
    exemplar = Exemplar(1, 0.004, "r_0123", 1_700_000_000.0)
    scene.push("a", {LAG: [((), Buckets(counts, 9.5, (exemplar,)))]})
    page = scene.page()
    assert page.total(f"{LAG}_bucket", le="0.005") == 3
    assert page.total(f"{LAG}_bucket", le="+Inf") == 7
    assert page.total(f"{LAG}_sum") == 9.5
    text, content_type = scene.metrics.exposition(OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    shown = parsed(text.decode(), openmetrics=True).samples(f"{LAG}_bucket", le="0.005")
    assert shown[0].exemplar is not None
    assert shown[0].exemplar.labels == {"room": "r_0123"}


def test_a_name_of_no_node_and_one_node_too_many_are_refused() -> None:
    scene = Scene()
    for number in range(MAX_NODES):
        scene.push(f"n{number}", {})
    for name, code in (("one-more", "too_many_nodes"), ("Not A Name", "snapshot_malformed")):
        with pytest.raises(RemoteError) as caught:
            scene.push(name, {})
        assert caught.value.code == code
    scene.push("n0", {"conclave_rooms": [((), 1)]})
    assert scene.page().total("conclave_rooms") == 1
