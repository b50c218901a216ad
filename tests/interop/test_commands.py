"""The commands as people run them: real processes, real exit codes, real output."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import av
import pytest

from server.probe.sources import AUDIO_FRAME, AUDIO_RATE, DemoAudio, DemoVideo
from tests.interop.conftest import (
    ROOT,
    START_SECONDS,
    Client,
    Server,
    start_server,
    stop_server,
    until,
)

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]
CONCLAVE = str(ROOT / ".venv/bin/conclave")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CONCLAVE, *arguments], capture_output=True, text=True, timeout=90, check=False, cwd=ROOT
    )


async def test_a_synthetic_participant_is_seen_and_heard_in_a_browser(
    server: Server, new_client: Callable[[], Awaitable[Client]]
) -> None:
    viewer = await new_client()
    await viewer.call("join", server.ws, server.token("viewer", "demo-room"))
    publisher = await asyncio.create_subprocess_exec(
        CONCLAVE, "publish", "--demo", "--room", "demo-room", "--url", server.url, "--json",
        "--seconds", "60", stdout=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    try:
        await until(lambda: viewer.decoded("video"), "the moving picture is decoded")
        await until(lambda: viewer.decoded("audio"), "the sound is heard")
    finally:
        publisher.send_signal(signal.SIGINT)
        await publisher.wait()


def write_clip(path: Path) -> None:
    """Two seconds of numbered pictures and sound in a file."""
    painter = DemoVideo(320, 180, 15)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libvpx", rate=15)
        video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
        audio = container.add_stream("libopus", rate=AUDIO_RATE, layout="mono")
        for count in range(30):
            picture = av.VideoFrame.from_ndarray(painter.draw(count), format="rgb24")
            container.mux(video.encode(picture))
        for count in range(100):
            samples = DemoAudio.sound(count).reshape(1, -1)
            sound = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            sound.sample_rate, sound.pts = AUDIO_RATE, count * AUDIO_FRAME
            container.mux(audio.encode(sound))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


async def test_a_file_is_published_in_real_time_and_over_again(
    server: Server, new_client: Callable[[], Awaitable[Client]], tmp_path: Path
) -> None:
    clip = tmp_path / "clip.webm"
    write_clip(clip)
    viewer = await new_client()
    await viewer.call("join", server.ws, server.token("viewer", "file-room"))
    publisher = await asyncio.create_subprocess_exec(
        CONCLAVE, "publish", str(clip), "--room", "file-room", "--url", server.url, "--json",
        "--seconds", "60", stdout=asyncio.subprocess.DEVNULL, cwd=ROOT,
    )  # fmt: skip
    try:

        async def longer_than_the_file() -> bool:
            return any(stream["framesDecoded"] > 45 for stream in await viewer.decoded("video"))

        await until(longer_than_the_file, "more pictures arrive than the file has")
        await until(lambda: viewer.decoded("audio"), "its sound is heard")
    finally:
        publisher.send_signal(signal.SIGINT)
        await publisher.wait()


def test_a_file_without_media_is_refused(server: Server, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a film")
    result = run("publish", str(text), "--url", server.url)
    assert result.returncode == 1
    assert "cannot be opened" in result.stderr


def test_doctor_sends_media_through_a_server_of_its_own() -> None:
    result = run("doctor", "--json")
    findings = [json.loads(line) for line in result.stdout.splitlines()]
    verdicts = {finding["check"]: finding["verdict"] for finding in findings if "check" in finding}
    assert verdicts.get("media_sound") == "ok", result.stdout + result.stderr
    assert verdicts.get("media_picture") == "ok"
    assert result.returncode == 0


def test_doctor_finds_a_server_that_is_not_there() -> None:
    result = run("doctor", "--url", "http://127.0.0.1:9", "--json")
    assert result.returncode == 3
    assert any('"fault"' in line for line in result.stdout.splitlines())


def test_several_servers_run_side_by_side(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    servers = [start_server(folder) for folder in folders]
    assert servers[0].url != servers[1].url
    for server in servers:
        stop_server(server)
        assert server.process.returncode == 0


async def test_a_port_in_use_is_said_plainly(server: Server) -> None:
    port = server.url.rsplit(":", 1)[1]
    result = run("dev", "--port", port)
    assert result.returncode == 1
    assert "in use" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_wrong_configuration_names_line_and_remedy(tmp_path: Path) -> None:
    path = tmp_path / "conclave.toml"
    path.write_text('[media]\nlanez = 2\n[keys.devkey]\nsecret = "secret"\n')
    result = run("serve", "--config", str(path))
    assert result.returncode == 2
    assert f"{path}:2: media.lanez: unknown option" in result.stderr


async def test_sigterm_drains_and_a_second_one_stops_at_once(
    tmp_path: Path, new_client: Callable[[], Awaitable[Client]]
) -> None:
    server = start_server(tmp_path)
    client = await new_client()
    await client.call("join", server.ws, server.token("alice", "drain"))
    server.process.send_signal(signal.SIGTERM)

    async def refuses_newcomers() -> bool:
        probe = await asyncio.create_subprocess_exec(
            sys.executable, "-c",
            f"import urllib.request,sys; urllib.request.urlopen('{server.url}/readyz')",
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        return await probe.wait() != 0

    await until(refuses_newcomers, "the server says that it is not ready")
    assert server.process.poll() is None, "a call goes on while draining"
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(START_SECONDS) == 0
    stop_server(server)
    await until(lambda: client.events("Reconnecting"), "the client was told to go elsewhere")
