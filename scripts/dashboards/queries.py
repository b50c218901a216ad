"""PromQL that the dashboards share, and Grafana's names of units.

In: names of metrics and labels. Out: expressions over the servers that the reader chose. Must not: know Grafana.
"""

from __future__ import annotations

from typing import Final

SECONDS: Final = "s"
BYTES: Final = "bytes"
SHARE: Final = "percentunit"
PER_SECOND: Final = "cps"
BITS: Final = "bps"


def total(metric: str, *labels: str, more: str = "") -> str:
    """A gauge, summed up; `more` are further matchers, after a comma."""
    by = f" by ({', '.join(labels)})" if labels else ""
    return f'sum{by} ({metric}{{node=~"$node"{more}}})'


def rate(metric: str, *labels: str, more: str = "") -> str:
    """A counter's growth per second, summed up."""
    by = f" by ({', '.join(labels)})" if labels else ""
    return f'sum{by} (rate({metric}{{node=~"$node"{more}}}[$__rate_interval]))'


def quantile(share: float, metric: str, *labels: str, more: str = "") -> str:
    """What that share of a histogram's observations did not exceed."""
    by = ", ".join(("le", *labels))
    inside = f'rate({metric}_bucket{{node=~"$node"{more}}}[$__rate_interval])'
    return f"histogram_quantile({share}, sum by ({by}) ({inside}))"


def quantiles(metric: str, *labels: str, more: str = "") -> tuple[tuple[str, str], ...]:
    """Median, p95 and p99 with their legends."""
    suffix = "".join(f" {{{{{label}}}}}" for label in labels)
    return tuple(
        (quantile(share, metric, *labels, more=more), f"p{share * 100:g}{suffix}")
        for share in (0.5, 0.95, 0.99)
    )


Queries = tuple[tuple[str, str], ...]  # expressions with the legends of their series


def legend(*labels: str) -> str:
    """A series' name: the values of its labels."""
    return " ".join(f"{{{{{label}}}}}" for label in labels)


def totals_by(metric: str, *labels: str) -> Queries:
    """A gauge, a series for each value of the labels."""
    return ((total(metric, *labels), legend(*labels)),)


def rates_by(metric: str, *labels: str) -> Queries:
    """A counter's growth per second, a series for each value of the labels."""
    return ((rate(metric, *labels), legend(*labels)),)


def quantile_by(share: float, metric: str, *labels: str) -> Queries:
    """What that share of observations did not exceed, a series for each value of the labels."""
    return ((quantile(share, metric, *labels), legend(*labels)),)


def ratio(part: str, whole: str) -> str:
    """A share, 0 where there is nothing."""
    return f"{part} / clamp_min({whole}, 1e-9)"


def worse_than(metric: str, bound: str, *labels: str) -> str:
    """Share of the observations above a bucket's bound."""
    by = f" by ({', '.join(labels)})" if labels else ""
    met = f'sum{by} (rate({metric}_bucket{{node=~"$node",le="{bound}"}}[$__rate_interval]))'
    return f"1 - {ratio(met, rate(f'{metric}_count', *labels))}"


def of_log(metric: str, *labels: str) -> str:
    """A counter of the sidecar's own, which no server's name marks."""
    by = f" by ({', '.join(labels)})" if labels else ""
    return f"sum{by} (rate({metric}[$__rate_interval]))"


BUSY: Final = 'max by (node, lane) (conclave_lane_busy_ratio{node=~"$node"})'
