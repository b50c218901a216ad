"""Traces reach a collector, hang together, and name nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from server.probe.session import join
from tests.interop.conftest import Server, serving, until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]

EXPECTED = {
    "WEBSOCKET /rtc",
    "GET /rtc/validate",
    "GET /meet/{room}",
    "POST /twirp",
    "GET unknown",
    "audit.record",
}
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass
class Collector:
    """What arrived."""

    url: str = ""
    raw: bytearray = field(default_factory=bytearray)
    spans: list[Span] = field(default_factory=list)

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    made = Collector()

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        made.raw += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            made.spans += [span for scope in resource.scope_spans for span in scope.spans]
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/traces"
    yield made
    await runner.cleanup()


@pytest.fixture
def traced(collector: Collector, tmp_path: Path) -> Iterator[Server]:
    audit = {"sidecar": "child", "port": 0}
    with serving(tmp_path, {"audit": audit, "tracing": {"endpoint": collector.url}}) as running:
        yield running


async def test_a_join_is_a_trace_with_its_acts_and_without_names(
    traced: Server, collector: Collector
) -> None:
    token = traced.token("zanzibar", "kilimanjaro")
    async with join(traced.url, token), httpx.AsyncClient() as client:
        answer = await client.get(
            f"{traced.url}/rtc/validate?access_token={token}", headers={"traceparent": PARENT}
        )
        assert answer.status_code == 200
        await client.get(f"{traced.url}/nowhere/zanzibar")
        await client.get(f"{traced.url}/meet/kilimanjaro")
        await client.post(f"{traced.url}/twirp/livekit.RoomService/zanzibar")

        async def arrived() -> bool:
            kinds = {span.name for span in collector.spans}
            return EXPECTED <= kinds

        await until(arrived, "spans arrive")
    (door,) = collector.named("WEBSOCKET /rtc")
    acts = [span for span in collector.named("audit.record") if span.trace_id == door.trace_id]
    kinds = {each.value.string_value for span in acts for each in span.attributes}
    assert any("admission_granted" in kind for kind in kinds)
    assert all(span.parent_span_id == door.span_id for span in acts)
    (validation,) = collector.named("GET /rtc/validate")
    assert validation.trace_id.hex() == PARENT.split("-")[1]
    assert validation.parent_span_id.hex() == PARENT.split("-")[2]
    for private in (b"zanzibar", b"kilimanjaro", token.encode(), b"127.0.0.1", b"eyJ"):
        assert private not in bytes(collector.raw)
