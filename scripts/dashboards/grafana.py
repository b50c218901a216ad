"""Grafana's JSON form of a dashboard: rows of panels in a grid of 24 columns.

In: panels with PromQL. Out: JSON that Grafana 9 and newer imports or provisions. Must not: know any metric.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

SCHEMA: Final = 37  # of Grafana 9.0; newer ones migrate it
COLUMNS: Final = 24
SOURCE: Final = {"type": "prometheus", "uid": "${source}"}


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture: `queries` are pairs of a PromQL expression and the legend of its series."""

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"  # one of Grafana's units
    text: str = ""  # what to read from it
    shape: str = "timeseries"  # or stat, heatmap, table
    width: int = 8
    height: int = 8
    stack: bool = False
    warn: float | None = None  # drawn as a line
    alarm: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard; `name` is its file, its uid and how others link to it."""

    name: str
    title: str
    text: str
    rows: tuple[Row, ...]
    nodes: bool = True  # whether readers choose servers


def write(board: Board, others: Sequence[Board]) -> str:
    """The JSON document, with links to the other boards."""
    document = {
        "uid": f"conclave-{board.name}",
        "title": board.title,
        "description": board.text,
        "tags": ["conclave"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": _variables(board)},
        "annotations": {"list": [_restarts()]},
        "links": [_link(other) for other in others if other is not board],
        "panels": _place(board.rows),
    }
    return json.dumps(document, indent=1) + "\n"


def _variables(board: Board) -> list[dict[str, Any]]:
    source = {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    node = {
        "name": "node",
        "label": "Server",
        "type": "query",
        "datasource": SOURCE,
        "query": "label_values(conclave_node_up, node)",
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".+",
        "current": {"text": "All", "value": "$__all"},
    }
    return [source, node] if board.nodes else [source]


def _restarts() -> dict[str, Any]:
    return {
        "name": "Starts",
        "datasource": SOURCE,
        "enable": True,
        "iconColor": "blue",
        "expr": "changes(conclave_process_start_time_seconds[1m]) > 0",
        "titleFormat": "{{node}} started",
    }


def _link(board: Board) -> dict[str, Any]:
    return {
        "title": board.title,
        "type": "link",
        "url": f"/d/conclave-{board.name}",
        "keepTime": True,
        "includeVars": True,
    }


def _place(rows: Sequence[Row]) -> list[dict[str, Any]]:
    placed: list[dict[str, Any]] = []
    top = 0
    for row in rows:
        grid = {"x": 0, "y": top, "w": COLUMNS, "h": 1}
        placed.append({"id": len(placed) + 1, "type": "row", "title": row.title, "gridPos": grid})
        left, top = 0, top + 1
        tallest = 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                left, top, tallest = 0, top + tallest, 0
            grid = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            placed.append({"id": len(placed) + 1, "gridPos": grid, **_panel(panel)})
            left += panel.width
            tallest = max(tallest, panel.height)
        top += tallest
    return placed


def _panel(panel: Panel) -> dict[str, Any]:
    heatmap = panel.shape == "heatmap"
    targets = [
        {
            "refId": chr(ord("A") + number),
            "datasource": SOURCE,
            "expr": expression,
            "legendFormat": legend,
            "format": "heatmap"
            if heatmap
            else "table"
            if panel.shape == "table"
            else "time_series",
            "instant": panel.shape in ("stat", "table"),
        }
        for number, (expression, legend) in enumerate(panel.queries)
    ]
    return {
        "type": panel.shape,
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _OPTIONS[panel.shape],
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.warn is not None:
        steps.append({"color": "orange", "value": panel.warn})
    if panel.alarm is not None:
        steps.append({"color": "red", "value": panel.alarm})
    lines = "line" if len(steps) > 1 else "off"
    return {
        "unit": panel.unit,
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": steps},
        "custom": {
            "fillOpacity": 20 if panel.stack else 5,
            "stacking": {"mode": "normal" if panel.stack else "none"},
            "thresholdsStyle": {"mode": lines},
            "showPoints": "never",
        },
    }


_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value"},
    "heatmap": {"calculate": False, "yAxis": {"unit": "s"}, "color": {"scheme": "Blues"}},
    "table": {"showHeader": True},
}
