"""The contract keeps to the conventions of Prometheus, and to the lists that the code has."""

import re

import pytest

from common import contract
from common.contract import DROP, METRICS, REFUSED_DTLS
from common.metrics import Kind, Label, Metric
from sfu.model import LeaveReason, PeerState, TrackKind, TrackSource
from sfu.plane import drop_reasons

MAX_SERIES = 100_000  # of one node with as many lanes as there may be
EVERY = sorted(METRICS.values(), key=lambda metric: metric.name)


@pytest.mark.parametrize("metric", EVERY, ids=lambda metric: metric.name)
def test_a_name_follows_the_conventions(metric: Metric) -> None:
    assert re.fullmatch(r"conclave_[a-z][a-z0-9_]*", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert metric.name.endswith("_info") == (metric.kind is Kind.INFO)
    assert not re.search(r"_(ms|us|ns|milliseconds|kb|percent|count|sum|bucket)(_|$)", metric.name)
    assert metric.text.endswith(".")


@pytest.mark.parametrize("metric", EVERY, ids=lambda metric: metric.name)
def test_labels_are_bounded_and_distinct(metric: Metric) -> None:
    names = [label.name for label in metric.labels]
    assert len(set(names)) == len(names)
    assert "le" not in names
    for label in metric.labels:
        assert label.bound > 0
        assert bool(label.values) != bool(label.form and label.limit)


def test_buckets_belong_to_histograms_and_rise() -> None:
    for metric in EVERY:
        assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM)
        assert list(metric.buckets) == sorted(set(metric.buckets))


def test_no_metric_is_declared_twice() -> None:
    assert len(METRICS) == sum(len(group) for _, group in contract.GROUPS)


def test_a_node_cannot_make_more_series_than_a_server_should_be_scraped_for() -> None:
    assert sum(metric.series for metric in EVERY) < MAX_SERIES


@pytest.mark.parametrize(
    ("label", "values"),
    [
        (contract.LEAVE, [str(one) for one in LeaveReason]),
        (contract.STATE, [str(one) for one in PeerState if one is not PeerState.DISCONNECTED]),
        (contract.KIND, [str(one) for one in TrackKind]),
        (contract.SOURCE, [str(one) for one in TrackSource]),
    ],
)
def test_closed_labels_name_what_the_code_names(label: Label, values: list[str]) -> None:
    assert sorted(label.values) == sorted(values)


def test_every_drop_reason_fits_its_label() -> None:
    assert len(drop_reasons) <= DROP.limit
    assert all(DROP.allows(reason) for reason in drop_reasons)
    assert not REFUSED_DTLS.allows("10.0.0.1")
