"""A real Prometheus scrapes a running call: every dashboard has something to show, every rule can be evaluated."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from common.clock import SystemClock
from common.contract import METRICS
from common.metrics import Kind
from crypto.certificates import new_certificate
from crypto.notes import COSIGNATURE, Signer
from crypto.sealing import key_file
from scripts.dashboards.boards import BOARDS
from server.probe.session import join
from server.probe.sources import DemoAudio, DemoVideo
from tests.interop.conftest import Server, until
from tests.interop.prometheus import DEPLOYED, Prometheus, prometheus_of, queries_of
from tests.support.ports import free_port
from tests.support.servers import Sections, serving

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

SCRAPES = 5  # rates need two, and the lane's counters a second to arrive


def test_rules_and_configuration_pass_promtool() -> None:
    for command in (("check", "config", "prometheus.yml"), ("test", "rules", "rules.test.yml")):
        done = subprocess.run(
            ["promtool", *command], cwd=DEPLOYED, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def witnessed_by_itself(data: Path) -> Sections:
    """A log that is its own witness and asks an authority that is away: no trust is gained, all is used."""
    roots = data / "roots.pem"
    roots.write_text(ssl.DER_cert_to_PEM_cert(new_certificate(wall=SystemClock().wall()).der))
    audit = data / "audit"
    audit.mkdir()
    origin, port = "conclave.test/audit", free_port()
    log = Signer(origin, key_file(audit / "signing.key").reveal())
    witness = Signer("witness.test", key_file(audit / "witness.key").reveal(), COSIGNATURE)
    return {
        "audit": {
            "sidecar": "child",
            "origin": origin,
            "port": port,
            "witness": "witness.test",
            "witnesses": {f"http://127.0.0.1:{port}": witness.verifier.encode()},
            "witnessed": {origin: [log.verifier.encode()]},
            "timestamps": f"http://127.0.0.1:{free_port()}",
            "timestamp_certificates": str(roots),
        }
    }


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Prometheus]]:
    """A server, and a Prometheus with the deployed configuration that scrapes its sidecar each second."""
    data = tmp_path_factory.mktemp("server")
    with (
        serving(data, witnessed_by_itself(data)) as running,
        prometheus_of(running, tmp_path_factory.mktemp("prometheus")) as prometheus,
    ):
        yield running, prometheus


async def misbehave(server: Server) -> None:
    """What happens everywhere: a token that opens nothing, a question to the log, a stray connection."""
    auditor = {
        "authorization": f"Bearer {server.token('auditor', '', join=False, roles=('auditor',))}"
    }
    async with httpx.AsyncClient(base_url=server.url) as client:
        assert (await client.get("/rtc/validate?access_token=none")).status_code == 401

        async def read() -> bool:
            answer = await client.get("/v1/audit/entries?purpose=review", headers=auditor)
            return answer.status_code == 200 and bool(answer.json()["entries"])

        await until(read, "the log is read")
    with socket.socket(socket.AF_UNIX) as stray:
        stray.connect(str(server.data / "audit/intake.sock"))
        stray.sendall(bytes(64))
        stray.settimeout(20)
        stray.recv(1024)


@pytest.fixture(scope="module")
async def under_load(watched: tuple[Server, Prometheus]) -> AsyncIterator[Prometheus]:
    """While a call goes on that has been scraped a few times."""
    server, prometheus = watched
    heard: list[str] = []
    async with AsyncExitStack() as stack:
        for name in ("ear", "other-ear"):
            await stack.enter_async_context(
                join(
                    server.url,
                    server.token(name, "meeting"),
                    on_track=lambda _, track: heard.append(track.kind),
                )
            )
        mouth = join(server.url, server.token("mouth", "meeting"), subscribe=False)
        speaker = await stack.enter_async_context(mouth)
        await speaker.publish(DemoAudio(), name="sound", source="microphone")
        await speaker.publish(DemoVideo(320, 180), name="picture", source="camera")

        await misbehave(server)

        async def scraped() -> bool:
            try:
                count = prometheus.ask("sum(count_over_time(conclave_forwarded_packets_total[1m]))")
                flow = prometheus.ask("sum(rate(conclave_forwarded_packets_total[10s])) > 0")
            except OSError:
                return False
            return bool(flow) and float(count[0]["value"][1]) >= SCRAPES and len(heard) >= 4

        await until(scraped, "the call shows in Prometheus")
        yield prometheus


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
async def test_every_panel_has_something_to_show(under_load: Prometheus, board: Any) -> None:
    for query in queries_of(board.name):

        async def shown(query: str = query) -> bool:
            return bool(under_load.ask(query))

        await until(shown, query)


async def test_every_rule_is_evaluated_and_a_healthy_call_pages_nobody(
    under_load: Prometheus,
) -> None:
    async def evaluated() -> bool:
        groups = under_load.get("rules")["groups"]
        return all(rule["lastEvaluation"][:4] != "0001" for g in groups for rule in g["rules"])

    await until(evaluated, "all rules were evaluated")
    rules = [rule for group in under_load.get("rules")["groups"] for rule in group["rules"]]
    assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []
    assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []


async def test_every_metric_of_the_contract_is_seen_with_a_value(under_load: Prometheus) -> None:
    wanted = {
        metric.name + ("_count" if metric.kind is Kind.HISTOGRAM else "")
        for metric in METRICS.values()
    }

    async def seen() -> bool:
        return wanted <= set(under_load.get("label/__name__/values"))

    try:
        await until(seen, "every metric is seen")
    except AssertionError:
        assert wanted - set(under_load.get("label/__name__/values")) == set()
        raise
