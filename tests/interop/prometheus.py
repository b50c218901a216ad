"""A real Prometheus with the deployed configuration and rules, scraping one server's sidecar each second."""

from __future__ import annotations

import contextlib
import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.networks import ROOT
from tests.support.ports import free_port
from tests.support.servers import Server

DEPLOYED = ROOT / "deploy/prometheus"
END_SECONDS = 30


@dataclass(frozen=True)
class Prometheus:
    """A running server of that name."""

    url: str

    def get(self, path: str, **query: str) -> Any:
        with urllib.request.urlopen(
            f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        ) as answer:
            document = json.load(answer)
        assert document["status"] == "success"
        return document["data"]

    def ask(self, expression: str) -> list[Any]:
        found: list[Any] = self.get("query", query=expression)["result"]
        return found


@contextlib.contextmanager
def prometheus_of(server: Server, folder: Path) -> Iterator[Prometheus]:
    """One that watches the server, until the end of the block."""
    target = urllib.parse.urlsplit(server.audit).netloc
    settings = (DEPLOYED / "prometheus.yml").read_text()
    assert "127.0.0.1:7890" in settings
    settings = settings.replace("127.0.0.1:7890", target).replace("15s", "1s")
    (folder / "prometheus.yml").write_text(settings)
    (folder / "rules.yml").write_text((DEPLOYED / "rules.yml").read_text())
    port = free_port()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        yield Prometheus(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(END_SECONDS)


def queries_of(board: str) -> list[str]:
    """What the panels of a deployed dashboard ask, over the last ten seconds, of all servers."""
    document = json.loads((ROOT / f"deploy/grafana/{board}.json").read_text())
    queries = [
        target["expr"].replace("$__rate_interval", "10s").replace("$node", ".+")
        for panel in document["panels"]
        for target in panel.get("targets", ())
    ]
    assert len(queries) >= 9
    assert not [query for query in queries if "$" in query]
    return queries
