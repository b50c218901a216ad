"""Health and metrics of a running server with a call in it."""

import re
import urllib.request

import pytest
from aiortc import MediaStreamTrack

from server.probe.session import join
from server.probe.sources import DemoAudio, DemoVideo
from tests.interop.conftest import Server, until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]


def fetch(url: str) -> str:
    with urllib.request.urlopen(url) as page:
        text: str = page.read().decode()
    return text


def value(text: str, series: str) -> float:
    found = re.search(rf"^{re.escape(series)} ([\d.e+-]+)$", text, re.MULTILINE)
    assert found, f"{series} is missing"
    return float(found[1])


async def test_a_call_shows_in_the_metrics_and_nobody_by_name(server: Server) -> None:
    assert fetch(f"{server.url}/healthz") == "ok"
    assert fetch(f"{server.url}/readyz") == "ready"
    heard: list[MediaStreamTrack] = []
    async with (
        join(
            server.url,
            server.token("zanzibar-ear", "kilimanjaro"),
            on_track=lambda _, t: heard.append(t),
        ),
        join(server.url, server.token("zanzibar-mouth", "kilimanjaro"), subscribe=False) as mouth,
    ):
        await mouth.publish(DemoAudio(), name="sound", source="microphone")
        await mouth.publish(DemoVideo(320, 180), name="picture", source="camera")

        async def both() -> bool:
            return {track.kind for track in heard} == {"audio", "video"}

        await until(both, "both tracks are heard of")
        for track in heard:
            await track.recv()

        async def counted() -> bool:
            text = fetch(f"{server.url}/metrics")
            return value(text, 'conclave_forwarded_packets_total{lane="0"}') > 0

        await until(counted, "the lane's counters reach the page")
        text = fetch(f"{server.url}/metrics")
        assert value(text, 'conclave_peers{state="active"}') >= 2
        assert value(text, 'conclave_tracks{kind="audio",source="microphone"}') >= 1
        assert value(text, 'conclave_subscriptions{kind="video"}') >= 1
        assert value(text, "conclave_dtls_handshakes_total") >= 2
        assert value(text, 'conclave_lane_busy_seconds_total{lane="0"}') > 0
        assert value(text, 'conclave_forwarding_latency_seconds_bucket{lane="0",le="+Inf"}') > 0
        assert value(text, 'conclave_event_loop_lag_seconds_bucket{le="+Inf"}') > 0
        log = (server.data / "server.log").read_text()
        for private in (
            "zanzibar",
            "kilimanjaro",
            "127.0.0.1",
            mouth.publisher.localDescription.sdp[:30],
        ):
            assert private not in text
            assert private not in log
    assert "eyJ" not in (server.data / "server.log").read_text()
