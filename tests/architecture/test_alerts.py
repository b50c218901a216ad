"""Dashboards, alerts, their tests and the runbook speak of the same things, and only of what exists."""

from __future__ import annotations

import re

import pytest

from common.contract import METRICS
from common.metrics import Kind
from tests.architecture.test_shape import ROOT

RULES = (ROOT / "deploy/prometheus/rules.yml").read_text()
TESTS = (ROOT / "deploy/prometheus/rules.test.yml").read_text()
RUNBOOK = (ROOT / "docs/runbook.md").read_text()
ALERTS = re.findall(r"- alert: (\w+)", RULES)
SERIES = re.compile(r"\bconclave_[a-z0-9_]+")


def known() -> set[str]:
    names = set()
    for metric in METRICS.values():
        names.add(metric.name)
        if metric.kind is Kind.HISTOGRAM:
            names |= {f"{metric.name}_{part}" for part in ("bucket", "count", "sum")}
    return names


def test_alerts_and_dashboards_name_only_series_of_the_contract() -> None:
    texts = [RULES, TESTS, RUNBOOK]
    texts += [path.read_text() for path in (ROOT / "deploy/grafana").glob("*.json")]
    named = {name for text in texts for name in SERIES.findall(text)}
    assert len(named) > 50
    assert named - known() == set()


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_a_runbook_entry_and_a_test_of_both_outcomes(alert: str) -> None:
    block = RULES.split(f"- alert: {alert}\n")[1].split("- alert:")[0]
    severity = re.search(r"severity: (page|ticket)", block)
    assert severity
    assert f"runbook: docs/runbook.md#{alert.lower()}" in block
    entry = RUNBOOK.split(f"### {alert}\n")[1]
    assert entry.lstrip().lower().startswith(f"*{severity[1]}.*")
    assert f"name: {alert} fires" in TESTS
    assert f"name: {alert} keeps quiet" in TESTS


def test_the_runbook_has_no_entry_without_an_alert() -> None:
    assert set(re.findall(r"### (Conclave\w+)", RUNBOOK)) == set(ALERTS)
