"""OpenTelemetry traces of requests, joins and acts, where a collector is configured and the extra is installed.

In: ASGI calls and acts. Out: spans over OTLP/HTTP, sent by a thread of the library's own in bounded batches. Must
not: name anybody: a span knows the route's template, a status, the kind of an act and a refusal's code, never a
path, a query, a header, an address or an identity. A collector that is slow or gone costs spans, nothing else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.errors import LocalError
from server.section import Section
from server.version import VERSION

if TYPE_CHECKING:  # the extra need not be installed
    from opentelemetry.trace import Span, Tracer

MAX_QUEUED: Final = 2048  # spans; what comes on top is dropped by the library
EXPORT_SECONDS: Final = 5.0  # for one batch
UNTRACED: Final = frozenset({"/healthz", "/readyz"})
UNKNOWN: Final = "unknown"  # no route: the path could be anything


class TracingSection(Section):
    """OpenTelemetry traces; they need `pip install conclave[tracing]`."""

    endpoint: str = Field(
        "", description="OTLP/HTTP address, such as `http://127.0.0.1:4318/v1/traces`; empty: off."
    )
    sample: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        1.0,
        description="Share of the traces that begin here and are kept; callers' own decisions count.",
    )


class Tracing:
    """Makes spans, or costs nothing where there is no endpoint."""

    def __init__(self, section: TracingSection, node: str) -> None:
        """Raises LocalError `tracing_missing` if traces are wanted and the extra is not installed."""
        self._provider: Any = None
        self._tracer: Tracer | None = None
        if section.endpoint:
            self._provider = _provider(section, node)
            self._tracer = self._provider.get_tracer("conclave", VERSION)

    def close(self) -> None:
        """Sends what is left, within the time for a batch."""
        if self._provider is not None:
            self._provider.shutdown()

    @contextlib.contextmanager
    def span(self, name: str, **attributes: str) -> Iterator[Span | None]:
        """A span below the current one, for as long as the block runs."""
        if self._tracer is None:
            yield None
            return
        with self._tracer.start_as_current_span(name, attributes=attributes) as span:
            yield span

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """The application with a span around each request, and around each WebSocket's way to its acceptance."""
        if self._tracer is None:
            return app
        tracer = self._tracer

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] not in ("http", "websocket") or scope["path"] in UNTRACED:
                await app(scope, receive, send)
                return
            await _Request(tracer, scope, send).run(app, receive)

        return traced


class _Request:
    """One ASGI call; its span ends with the answer, for what follows on a WebSocket is a meeting."""

    def __init__(self, tracer: Tracer, scope: Scope, send: Send) -> None:
        self._tracer = tracer
        self._scope = scope
        self._send = send
        self._span: Span | None = None

    async def run(self, app: ASGIApp, receive: Receive) -> None:
        from opentelemetry import trace  # noqa: PLC0415 - only where traces are wanted
        from opentelemetry.propagate import extract  # noqa: PLC0415

        kept = (b"traceparent", b"tracestate")
        carrier = {k.decode(): v.decode("latin-1") for k, v in self._scope["headers"] if k in kept}
        self._span = self._tracer.start_span(
            UNKNOWN, context=extract(carrier), kind=trace.SpanKind.SERVER
        )
        with trace.use_span(self._span, end_on_exit=False, record_exception=False):
            try:
                await app(self._scope, receive, self._observed)
            finally:
                self._end(0)

    async def _observed(self, message: Message) -> None:
        kind = message["type"]
        if kind in ("http.response.start", "websocket.http.response.start"):
            self._end(message["status"])
        elif kind == "websocket.accept":
            self._end(101)
        elif kind == "websocket.close":
            self._end(403)
        await self._send(message)

    def _end(self, status: int) -> None:
        """Ends the span; a second time does nothing. Status 0: no answer was given."""
        span, self._span = self._span, None
        if span is None:
            return
        route = _route(self._scope)
        method = self._scope.get("method", "WEBSOCKET")
        span.update_name(f"{method} {route}")
        span.set_attribute("http.route", route)
        span.set_attribute("http.request.method", method)
        if status:
            span.set_attribute("http.response.status_code", status)
        span.end()


def _route(scope: Scope) -> str:
    """The template of the route that took the request; what stood in its place is nobody's business."""
    if "endpoint" not in scope:
        return UNKNOWN
    if scope.get("root_path"):  # a mounted application, which knows more than we need
        return str(scope["root_path"])
    route = str(scope["path"])
    for name, value in scope.get("path_params", {}).items():
        route = route.replace(f"/{value}", f"/{{{name}}}")
    return route


def _provider(section: TracingSection, node: str) -> Any:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased  # noqa: PLC0415
    except ImportError as error:
        raise LocalError(
            "tracing_missing", "tracing.endpoint is set: install the extra, conclave[tracing]"
        ) from error
    facts = {"service.name": "conclave", "service.version": VERSION, "service.instance.id": node}
    provider = TracerProvider(
        resource=Resource(facts), sampler=ParentBased(TraceIdRatioBased(section.sample))
    )
    exporter = OTLPSpanExporter(endpoint=section.endpoint, timeout=EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=MAX_QUEUED))
    return provider
