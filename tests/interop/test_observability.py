"""Health and metrics of a running server with a call in it, read where operators read them: at the sidecar."""

import asyncio
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable

import pytest
from aiortc import MediaStreamTrack

from server.probe.session import join
from server.probe.sources import DemoAudio, DemoVideo
from tests.interop.conftest import Server, until
from tests.support.exposition import Exposition, read

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

# Series that a call of two people must have moved, and labels that narrow them down.
MOVED: tuple[tuple[str, dict[str, str]], ...] = (
    ("conclave_rooms", {}),
    ("conclave_peers", {"state": "active"}),
    ("conclave_sessions", {"protocol": "livekit"}),
    ("conclave_tracks", {"kind": "audio", "source": "microphone", "codec": "opus"}),
    ("conclave_tracks", {"kind": "video", "source": "camera", "codec": "vp8"}),
    ("conclave_subscriptions", {"kind": "video"}),
    ("conclave_joins_total", {}),
    ("conclave_gate_decisions_total", {"gate": "knock", "decision": "allowed"}),
    ("conclave_gate_decisions_total", {"gate": "admit", "decision": "allowed"}),
    ("conclave_join_seconds_count", {"stage": "answered"}),
    ("conclave_join_seconds_count", {"stage": "validated"}),
    ("conclave_join_seconds_sum", {"stage": "connected"}),
    ("conclave_join_seconds_count", {"stage": "media"}),
    ("conclave_publish_seconds_count", {"kind": "video"}),
    ("conclave_received_packets_total", {}),
    ("conclave_received_bytes_total", {}),
    ("conclave_sent_packets_total", {}),
    ("conclave_sent_bytes_total", {}),
    ("conclave_forwarded_packets_total", {}),
    ("conclave_forwarded_bytes_total", {}),
    ("conclave_forwarding_latency_seconds_count", {}),
    ("conclave_forwarding_latency_seconds_sum", {}),
    ("conclave_upstream_loss_ratio_count", {"kind": "audio"}),
    ("conclave_upstream_jitter_seconds_sum", {"kind": "audio"}),
    ("conclave_upstream_bytes_per_second_sum", {"kind": "video"}),
    ("conclave_downstream_loss_ratio_count", {"kind": "audio"}),
    ("conclave_downstream_jitter_seconds_count", {"kind": "video"}),
    ("conclave_round_trip_seconds_count", {}),
    ("conclave_video_legs", {"wanted": "0", "served": "0"}),
    ("conclave_transports", {"transport": "udp"}),
    ("conclave_ice_validated_total", {}),
    ("conclave_dtls_handshakes_total", {"outcome": "completed"}),
    ("conclave_data_channels", {}),
    ("conclave_lane_busy_seconds_total", {}),
    ("conclave_lane_busy_ratio", {}),
    ("conclave_lane_headroom_packets_per_second", {}),
    ("conclave_socket_receive_buffer_bytes", {}),
    ("conclave_send_calls_total", {}),
    ("conclave_send_runs_total", {}),
    ("conclave_event_loop_lag_seconds_count", {}),
    ("conclave_gc_pause_seconds_count", {"generation": "0"}),
    ("conclave_process_cpu_seconds_total", {"mode": "user"}),
    ("conclave_process_resident_memory_bytes", {}),
    ("conclave_process_threads", {}),
    ("conclave_process_open_fds", {}),
    ("conclave_process_max_fds", {}),
    ("conclave_process_start_time_seconds", {}),
    ("conclave_snapshots_pushed_total", {}),
    ("conclave_snapshots_received_total", {"node": "local"}),
    ("conclave_node_up", {"node": "local"}),
    ("conclave_audit_entries_total", {}),
    ("conclave_audit_size", {}),
    ("conclave_audit_durable_seconds_count", {}),
    ("conclave_sidecar_process_cpu_seconds_total", {}),
)
Pages = Callable[[], Awaitable[Exposition]]


def fetch(url: str) -> str:
    with urllib.request.urlopen(url) as page:
        text: str = page.read().decode()
    return text


def unmoved(page: Exposition) -> list[str]:
    """Series of `MOVED` that show nothing yet."""
    return [
        f"{name}{labels or ''}"
        for name, labels in MOVED
        if sum(sample.value for sample in page.samples(name, **labels)) <= 0
    ]


async def page_of(server: Server) -> Exposition:
    return await asyncio.to_thread(read, server.audit)


async def every_series_moves(server: Server) -> None:
    """Waits for it, and says which did not."""
    missing: list[str] = []
    try:

        async def moved() -> bool:
            missing[:] = unmoved(await page_of(server))
            return not missing

        await until(moved, "every series has a value")
    except AssertionError:
        raise AssertionError(f"without a value: {missing}") from None


async def test_a_call_shows_in_the_metrics_as_the_contract_says_and_nobody_by_name(
    server: Server,
) -> None:
    assert fetch(f"{server.url}/healthz") == "ok"
    assert fetch(f"{server.url}/readyz") == "ready"
    assert fetch(f"{server.audit}/healthz") == "ok\n"
    heard: list[MediaStreamTrack] = []
    async with join(server.url, server.token("zanzibar-mouth", "kilimanjaro")) as mouth:
        await mouth.publish(DemoAudio(), name="sound", source="microphone")
        await mouth.publish(DemoVideo(320, 180), name="picture", source="camera")
        async with join(
            server.url,
            server.token("zanzibar-ear", "kilimanjaro"),
            on_track=lambda _, track: heard.append(track),
        ):

            async def both() -> bool:
                return {track.kind for track in heard} == {"audio", "video"}

            await until(both, "both tracks are heard of")
            for track in heard:
                await track.recv()
            await every_series_moves(server)
            page = await page_of(server)
            assert list(page.violations()) == []
            assert page.total("conclave_snapshot_series_ignored_total") == 0
            assert page.total("conclave_snapshot_age_seconds", node="local") < 5
            openmetrics = await asyncio.to_thread(read, server.audit, openmetrics=True)
            assert list(openmetrics.violations()) == []
            joins = openmetrics.samples("conclave_join_seconds_bucket", stage="connected")
            rooms = {sample.exemplar.labels["room"] for sample in joins if sample.exemplar}
            assert rooms
            assert all(room.startswith("r_") for room in rooms)
            log = (server.data / "server.log").read_text()
            for private in (
                "zanzibar",
                "kilimanjaro",
                "127.0.0.1",
                mouth.publisher.localDescription.sdp[:30],
            ):
                assert private not in openmetrics.text
                assert private not in page.text
                assert private not in log
    assert "eyJ" not in (server.data / "server.log").read_text()


async def test_a_refused_join_is_counted_by_gate_and_code(server: Server) -> None:
    with pytest.raises(Exception, match="401"):
        async with join(server.url, "no.token.atall"):
            pass

    async def counted() -> bool:
        page = await page_of(server)
        found = page.samples("conclave_gate_decisions_total", gate="knock", decision="refused")
        refused = page.samples("conclave_refusals_total", part="signalling")
        return bool(found) and bool(refused)

    await until(counted, "the refusal is counted")


def test_the_server_itself_shows_no_metrics(server: Server) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        fetch(f"{server.url}/metrics")
