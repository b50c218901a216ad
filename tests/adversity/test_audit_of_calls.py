"""The log dies in the middle of a call: the call goes on, and in the end the log tells all of it, once."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import websockets

from compliance.envelope import Record, decode
from compliance.events import AdmissionGranted, AdmissionRefused
from compliance.spool import read_segment
from server.probe.session import join
from tests.adversity.conftest import honest_call
from tests.interop.conftest import ROOT, START_SECONDS, Server, serve, stop_server, until
from tests.support.logs import read_published

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

TIMEOUT = 1.0  # seconds that an act waits for its entry
CONFIG = """
data = "{folder}"
[http]
port = 0
[media]
addresses = ["127.0.0.1"]
port = 0
[audit]
sidecar = "separate"
fail_mode = "{mode}"
timeout = {timeout}
port = 0
[keys.devkey]
secret = "secret"
"""


class Sidecar:
    """A sidecar that a test can kill."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [ROOT / ".venv/bin/conclave", "sidecar", "--json", "--config"]
        with (self.folder / "sidecar.log").open("a") as log:
            self.process = subprocess.Popen(
                [*command, str(self.folder / "conclave.toml")],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, (self.folder / "sidecar.log").read_text()
        assert json.loads(line)["event"] == "ready"

    def end(self, how: signal.Signals) -> int:
        process, self.process = self.process, None
        if process is None:
            return 0
        process.send_signal(how)
        code = process.wait(START_SECONDS)
        assert process.stdout is not None
        process.stdout.close()
        return code

    @property
    def records(self) -> list[Record]:
        return [decode(entry) for entry in read_published(self.folder / "audit" / "log")]


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[Sidecar]:
    made = Sidecar(tmp_path)
    yield made
    made.end(signal.SIGKILL)


def start(sidecar: Sidecar, mode: str) -> Server:
    """The server first: it starts whether there is a log or not."""
    folder = sidecar.folder
    server = serve(folder, CONFIG.format(folder=folder, mode=mode, timeout=TIMEOUT))
    sidecar.start()
    return server


async def refused(server: Server, identity: str, room: str) -> str:
    """The code with which a join is refused, which must not take long."""
    url = f"{server.ws}/rtc?access_token={server.token(identity, room)}&protocol=16"
    async with asyncio.timeout(TIMEOUT + 5.0):
        with pytest.raises(websockets.InvalidStatus) as caught:
            async with websockets.connect(url, proxy=None):
                pass
    assert caught.value.response.status_code == 503
    return caught.value.response.headers["conclave-code"]


def kinds_about(records: list[Record], peer: str) -> list[str]:
    return [each.event.kind for each in records if each.event.on.peer == peer]


def check_whole(sidecar: Sidecar) -> None:
    """Nothing lost, nothing doubled, everything that began has ended; a stranger's program says so too."""
    records = sidecar.records
    assert [record.sequence for record in records] == list(range(1, len(records) + 1))
    assert len({record.source for record in records}) == 1
    assert records[0].event.kind == "server_started"
    assert records[-1].event.kind == "server_stopped"
    verified = subprocess.run(
        [ROOT / ".venv/bin/conclave", "audit", "verify", "--data", str(sidecar.folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr


@pytest.mark.parametrize("mode", ["refuse", "spool"])
async def test_a_call_outlives_its_log_and_is_in_it_from_beginning_to_end(
    sidecar: Sidecar, mode: str
) -> None:
    server = await asyncio.to_thread(start, sidecar, mode)
    try:
        async with honest_call(server, "room") as call:
            await asyncio.to_thread(sidecar.end, signal.SIGKILL)
            await call.goes_on()
            if mode == "refuse":
                assert await refused(server, "late", "room") == "audit_unavailable"
                assert await refused(server, "late", "another") == "audit_unavailable"
            else:
                async with join(server.url, server.token("late", "room")):
                    await call.goes_on()
            await call.goes_on()
            await asyncio.to_thread(sidecar.start)

            async def admitted_again() -> bool:
                try:
                    async with join(server.url, server.token("later", "room")):
                        return True
                except websockets.InvalidStatus:
                    return False

            await until(admitted_again, "joins once the log is back")
    finally:
        await asyncio.to_thread(stop_server, server)
    assert server.process.returncode == 0
    assert await asyncio.to_thread(sidecar.end, signal.SIGTERM) == 0

    records = sidecar.records
    granted = [each.event for each in records if isinstance(each.event, AdmissionGranted)]
    assert len(granted) == (3 if mode == "refuse" else 4)
    assert not [each for each in records if isinstance(each.event, AdmissionRefused)]
    ear, mouth = (event.on.peer for event in granted[:2])
    told = kinds_about(records, mouth)
    assert told.index("token_issued") > 0  # a token to come back with waits for nothing but itself
    told.remove("token_issued")
    assert told == ["admission_granted", "track_published", "track_unpublished", "participant_left"]
    assert kinds_about(records, ear) == ["admission_granted", "token_issued", "participant_left"]
    assert Counter(each.event.kind for each in records)["room_created"] == 1
    check_whole(sidecar)


async def test_a_server_whose_log_never_comes_lets_nobody_in_and_ends_in_order(
    sidecar: Sidecar,
) -> None:
    config = CONFIG.format(folder=sidecar.folder, mode="refuse", timeout=TIMEOUT)
    server = await asyncio.to_thread(serve, sidecar.folder, config)
    try:
        assert await refused(server, "ada", "room") == "audit_unavailable"
    finally:
        await asyncio.to_thread(stop_server, server)
    assert server.process.returncode == 0
    await asyncio.to_thread(sidecar.start)
    again = await asyncio.to_thread(serve, sidecar.folder, config)
    await asyncio.to_thread(stop_server, again)
    assert await asyncio.to_thread(sidecar.end, signal.SIGTERM) == 0
    first, second = Counter(), Counter()
    for record in sidecar.records:
        (first if record.source == sidecar.records[0].source else second)[record.event.kind] += 1
    assert first == second == {"server_started": 1, "key_used": 2, "server_stopped": 1}


def spooled(folder: Path) -> list[Record]:
    """What a spool has on disk, while the server that writes it runs or after it died."""
    paths = sorted((folder / "audit" / "spool").glob("*.spool"))
    return [decode(entry) for path in paths for entry in read_segment(path.read_bytes())[0]]


async def test_who_left_while_the_log_was_away_is_known_although_the_server_was_killed_too(
    sidecar: Sidecar,
) -> None:
    server = await asyncio.to_thread(start, sidecar, "refuse")
    try:
        async with honest_call(server, "room"):
            await asyncio.to_thread(sidecar.end, signal.SIGKILL)

        async def both_are_on_disk() -> bool:
            kinds = Counter(record.event.kind for record in spooled(sidecar.folder))
            return kinds["participant_left"] == 2 and kinds["track_unpublished"] == 1

        await until(both_are_on_disk, "what ended is in the spool")
        assert await refused(server, "late", "room") == "audit_unavailable"
    finally:
        server.process.kill()
        await asyncio.to_thread(stop_server, server)
    written = spooled(sidecar.folder)
    await asyncio.to_thread(sidecar.start)
    config = (sidecar.folder / "conclave.toml").read_text()
    again = await asyncio.to_thread(serve, sidecar.folder, config)
    await asyncio.to_thread(stop_server, again)
    assert await asyncio.to_thread(sidecar.end, signal.SIGTERM) == 0
    records = sidecar.records
    killed = [each for each in records if each.source == records[0].source]
    assert [each.sequence for each in killed] == list(range(1, len(killed) + 1))
    assert killed[-len(written) :] == written
    assert records[-1].event.kind == "server_stopped"
    assert not [each for each in records if isinstance(each.event, AdmissionRefused)]
