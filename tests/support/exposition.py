"""Reads what a sidecar shows: series by name and labels, and whether all of it is in the contract."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Sample

from common.contract import METRICS, NODE
from common.metrics import Kind, Origin

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PATIENCE = 25.0  # seconds for a page: a sidecar that just starts holds its readers


@dataclass(frozen=True)
class Exposition:
    """A page at one moment."""

    text: str
    families: tuple[Metric, ...]

    def samples(self, name: str, **labels: str) -> list[Sample]:
        """The series of a name that have these labels among theirs."""
        return [
            sample
            for family in self.families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    def total(self, name: str, **labels: str) -> float:
        """Their values added up; fails if there are none."""
        found = self.samples(name, **labels)
        assert found, f"no series {name} {labels}"
        return sum(sample.value for sample in found)

    def violations(self) -> Iterator[str]:
        """Every way in which the page departs from the contract."""
        shown = {family_name(family) for family in self.families}
        yield from (f"missing: {name}" for name in METRICS.keys() - shown)
        yield from (f"undeclared: {name}" for name in shown - METRICS.keys())
        for family in self.families:
            yield from _violations_of(family)


def family_name(family: Metric) -> str:
    """The name under which the contract has a parsed family."""
    suffixes = {"counter": "_total", "info": "_info"}
    suffix = suffixes.get(family.type, "")
    return family.name if family.name.endswith(suffix) else family.name + suffix


def _violations_of(family: Metric) -> Iterator[str]:
    metric = METRICS.get(family_name(family))
    if metric is None:
        return
    kind = "gauge" if metric.kind is Kind.INFO and family.type == "gauge" else str(metric.kind)
    if family.type != kind:
        yield f"{metric.name}: is a {family.type}"
    if family.documentation != metric.text:
        yield f"{metric.name}: says {family.documentation!r}"
    names = [label.name for label in metric.labels]
    if metric.origin is Origin.NODE:
        names.insert(0, NODE.name)
    for sample in family.samples:
        labels = {name: value for name, value in sample.labels.items() if name != "le"}
        if set(labels) != set(names):
            yield f"{metric.name}: has the labels {sorted(labels)}"
            continue
        if metric.origin is Origin.NODE and not NODE.allows(labels.pop(NODE.name)):
            yield f"{metric.name}: a node without a name"
        if not metric.allows(tuple(labels[label.name] for label in metric.labels)):
            yield f"{metric.name}: labels outside of their sets: {labels}"
        if "le" in sample.labels and float(sample.labels["le"]) not in (*metric.buckets, _ABOVE):
            yield f"{metric.name}: a bucket of its own: {sample.labels['le']}"


_ABOVE = float("inf")


def read(url: str, *, openmetrics: bool = False) -> Exposition:
    """The page of a sidecar."""
    request = urllib.request.Request(f"{url}/metrics")
    if openmetrics:
        request.add_header("Accept", OPENMETRICS)
    with urllib.request.urlopen(request, timeout=PATIENCE) as page:
        text: str = page.read().decode()
    return parsed(text, openmetrics=openmetrics)


def parsed(text: str, *, openmetrics: bool = False) -> Exposition:
    """The page out of its text."""
    parse = parse_openmetrics if openmetrics else parse_text
    return Exposition(text, tuple(parse(text)))
