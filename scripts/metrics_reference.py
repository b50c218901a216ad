"""Writes docs/sre/metrics.md out of the contract.

In: `common.contract`. Out: Markdown. Must not: say anything of a metric that the contract does not.
"""

from __future__ import annotations

from common.contract import GROUPS, MAX_NODES, METRICS, VERSION
from common.metrics import Kind, Label, Metric, Origin, Stability

INTRODUCTION = f"""# Metrics and health

| who | path | says |
|---|---|---|
| server | `/healthz` | 200 while the process and its data plane live |
| server | `/readyz` | 200 while newcomers are let in; 503 from the first SIGTERM on |
| sidecar | `/metrics` | everything below, of itself and of every server that pushes to it |
| sidecar | `/healthz` | 200 while the process lives |
| sidecar | `/readyz` | 200 while the log takes events |

A server has no `/metrics`: once a second it hands one snapshot of plain numbers to the sidecar over a Unix
socket and never waits for an answer, so a scrape costs a call nothing
([how and why](../decisions/0005-metrics-are-pushed.md)). Up to {MAX_NODES} servers of one machine share
a sidecar; the label `node` tells them apart. A server whose snapshots stop coming shows `conclave_node_up` 0, its
`conclave_snapshot_age_seconds` grows, and all its other series are hidden after ten seconds: what is shown is
never old.

The page is Prometheus text, or OpenMetrics where the `Accept` header asks for it; OpenMetrics carries exemplars.

## The contract

Version {VERSION}, as `conclave_metrics_contract_info{{version="{VERSION}"}}` says. Names, types, units, labels and
their meaning stay for as long as the major number does; a new metric or a new value of a label raises the minor
one. What is marked *experimental* may change at any time. No label is ever about a person, a meeting, an address
or a device. A series whose labels are closed lists is shown as 0 before anything happened.
"""


def metrics() -> str:
    """The whole page."""
    lines = [INTRODUCTION]
    for title, group in GROUPS:
        lines += [
            f"## {title}",
            "",
            _labels_of(group),
            "| metric | type | meaning |",
            "|---|---|---|",
        ]
        lines += [_row(metric) for metric in group]
        lines.append("")
    lines += ["## Labels", "", "| label | of | values |", "|---|---|---|", *_labels(), ""]
    lines += ["## Buckets", "", "| histogram | upper bounds |", "|---|---|", *_buckets()]
    return "\n".join(lines).rstrip() + "\n"


def _labels_of(group: tuple[Metric, ...]) -> str:
    if group[0].origin is Origin.NODE:
        return "Every series has the label `node` as well.\n"
    return "Series without `node` are the sidecar's own.\n"


def _row(metric: Metric) -> str:
    labels = ",".join(label.name for label in metric.labels)
    name = f"`{metric.name}{{{labels}}}`" if labels else f"`{metric.name}`"
    mark = " *(experimental)*" if metric.stability is Stability.EXPERIMENTAL else ""
    since = "" if metric.since == "1.0" else f" Since {metric.since}."
    return f"| {name} | {metric.kind} | {metric.text}{since}{mark} |"


def _labels() -> list[str]:
    users: dict[Label, list[str]] = {}
    for metric in METRICS.values():
        for label in metric.labels:
            users.setdefault(label, []).append(f"`{metric.name}`")
    rows = []
    for label, named in users.items():
        names = ["every lane's series"] if label.name == "lane" else named
        values = ", ".join(f"`{value}`" for value in label.values)
        values = values or f"`{label.form}`, at most {label.limit}".replace("|", "\\|")
        rows.append(f"| `{label.name}` | {', '.join(names)} | {label.text}: {values} |")
    return rows


def _buckets() -> list[str]:
    return [
        f"| `{metric.name}` | {', '.join(format(bound, 'g') for bound in metric.buckets)} |"
        for metric in METRICS.values()
        if metric.kind is Kind.HISTOGRAM
    ]
