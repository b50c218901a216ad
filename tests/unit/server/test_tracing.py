"""Traces are an extra: off they cost nothing, and missing they are missed by name."""

from __future__ import annotations

import sys

import pytest
from starlette.types import Receive, Scope, Send

from common.errors import LocalError
from server.tracing import Tracing, TracingSection


async def application(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Does nothing."""


def test_without_an_endpoint_the_application_stays_as_it_is() -> None:
    tracing = Tracing(TracingSection(), "pop-1")
    assert tracing.wrap(application) is application
    with tracing.span("x") as span:
        assert span is None
    tracing.close()


def test_an_endpoint_without_the_extra_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(LocalError) as refusal:
        Tracing(TracingSection(endpoint="http://127.0.0.1:4318/v1/traces"), "pop-1")
    assert refusal.value.code == "tracing_missing"
