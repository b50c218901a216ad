"""Events on their way: recorded, confirmed, proven, spooled while the sidecar is away, refused by name."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from common.clock import SystemClock
from common.errors import LocalError
from compliance import trail
from compliance.auditor import Auditor
from compliance.envelope import Record, Source, decode, encode
from compliance.events import CustomRecorded
from compliance.files import PosixFiles
from compliance.spool import SET_ASIDE, Spool
from compliance.trail import AuditError, FailMode, Limits, Receipt
from compliance.wire import Frame, FrameReader, FrameType, hello
from crypto.notes import Verifier
from crypto.proofs import InclusionReceipt
from sidecar.main import serving
from sidecar.settings import SidecarConfig
from tests.integration.audit.conftest import auditing
from tests.support.audit import ONE_OF_EACH, SYSTEM, record
from tests.support.logs import entry, read_published

EVENT = CustomRecorded(actor=SYSTEM, name="x")
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


async def prove(auditor: Auditor, index: int) -> InclusionReceipt:
    while not (text := await auditor.prove(index)):
        pass  # each question takes its turn on the loop; the checkpoint comes
    return InclusionReceipt.decode(text)


def key_of(config: SidecarConfig) -> Verifier:
    return Verifier.decode((config.log / "key.pub").read_text())


@pytest.mark.usefixtures("started")
async def test_events_are_durable_and_provable(config: SidecarConfig) -> None:
    async with auditing(config) as auditor:
        receipts = await asyncio.gather(*(auditor.record(event) for event in ONE_OF_EACH))
        assert [receipt.index for receipt in receipts] == list(range(len(ONE_OF_EACH)))
        receipt = await prove(auditor, 5)
    entries = read_published(config.log)
    assert [decode(each).event for each in entries] == list(ONE_OF_EACH)
    receipt.check(entries[5], [key_of(config)])
    assert auditor.counts["recorded"] == len(ONE_OF_EACH)


async def test_what_is_stopped_goes_on(config: SidecarConfig) -> None:
    for first in (0, 10, 20):
        async with serving(config, SystemClock()), auditing(config, f"run{first}") as auditor:
            for number in range(10):
                assert (await auditor.record(ONE_OF_EACH[4])).index == first + number
    assert len(read_published(config.log)) == 30


async def test_without_a_sidecar_acts_are_refused(config: SidecarConfig) -> None:
    async with auditing(config, limits=Limits(timeout=0.05)) as auditor:
        with pytest.raises(AuditError) as caught:
            await auditor.record(ONE_OF_EACH[0])
        assert caught.value.code == "audit_unavailable"
        assert auditor.counts["audit_unavailable"] == 1
        with pytest.raises(AuditError):
            await auditor.prove(0)


async def test_an_outage_is_bridged_by_the_spool(config: SidecarConfig, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    async with auditing(config, "first", spool=spool) as auditor:
        receipts = await asyncio.gather(*(auditor.record(ONE_OF_EACH[4]) for _ in range(20)))
        assert {receipt.index for receipt in receipts} == {None}
        assert auditor.counts["spooled"] == 20
        async with serving(config, SystemClock()):
            while auditor.backlog:
                await asyncio.gather(auditor.record(ONE_OF_EACH[4]))
    async with auditing(config, "second", spool=spool) as auditor:
        await auditor.record(ONE_OF_EACH[0])
    async with serving(config, SystemClock()), auditing(config, "third", spool=spool) as auditor:
        await auditor.record(ONE_OF_EACH[0])
    records = [decode(each) for each in read_published(config.log)]
    assert [record.source.split("/")[2] for record in records[-2:]] == ["second", "third"]
    first = [record.sequence for record in records if record.source.endswith("first")]
    assert first == list(range(1, len(first) + 1))
    assert len(first) >= 21


async def test_the_mode_spool_needs_a_spool(config: SidecarConfig) -> None:
    with pytest.raises(LocalError, match="needs a spool"):
        Auditor(
            Source("pop-1", "eu", "server", "x"),
            FailMode.SPOOL,
            socket=str(config.socket),
            clock=SystemClock(),
        )


async def converse(config: SidecarConfig, *frames: bytes) -> list[Frame]:
    """What the sidecar answers before it ends the connection."""
    reader, writer = await asyncio.open_unix_connection(config.socket)
    writer.write(b"".join(frames))
    answers = FrameReader()
    seen: list[Frame] = []
    while data := await reader.read(65_536):
        seen += answers.feed(data)
    writer.close()
    return seen


HELLO = hello().encode()
MALFORMED = {
    "no greeting": ([Frame(FrameType.EVENT, entry(1)).encode()], "frame_malformed"),
    "another version": ([Frame(FrameType.HELLO, b"\2").encode()], "protocol_version"),
    "a frame of ours": ([HELLO, Frame(FrameType.ACKED, bytes(8)).encode()], "frame_malformed"),
    "no entry": ([HELLO, Frame(FrameType.EVENT, b"{}").encode()], "entry_malformed"),
    "a gap": ([HELLO, Frame(FrameType.EVENT, entry(2)).encode()], "sequence_gap"),
    "no frame": ([HELLO, b"\xff" * 9], "frame_malformed"),
    "no index": ([HELLO, Frame(FrameType.PROVE, b"1").encode()], "frame_malformed"),
}


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize("name", MALFORMED)
async def test_whoever_misbehaves_is_refused_by_name(config: SidecarConfig, name: str) -> None:
    frames, code = MALFORMED[name]
    assert await converse(config, *frames) == [Frame(FrameType.REFUSED, code.encode())]


async def test_another_users_process_is_refused(config: SidecarConfig) -> None:
    stranger = replace(config, users=frozenset({12_345}))
    async with serving(stranger, SystemClock()):
        assert await converse(config) == [Frame(FrameType.REFUSED, b"peer_refused")]


@pytest.mark.usefixtures("started")
async def test_the_socket_and_all_files_are_private(config: SidecarConfig) -> None:
    async with auditing(config) as auditor:
        await auditor.record(ONE_OF_EACH[0])
    assert config.socket.stat().st_mode & 0o777 == 0o600
    for path in [*config.log.rglob("*"), *config.state.rglob("*"), config.key]:
        if path.name != "key.pub":
            assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.usefixtures("started")
async def test_a_second_sidecar_keeps_out(config: SidecarConfig, tmp_path: Path) -> None:
    with pytest.raises(LocalError) as caught:
        async with serving(config, SystemClock()):
            pass
    assert caught.value.code == "store_in_use"
    elsewhere = replace(config, log=tmp_path / "log2", state=tmp_path / "state2")
    with pytest.raises(LocalError) as caught:
        async with serving(elsewhere, SystemClock()):
            pass
    assert caught.value.code == "socket_in_use"


@pytest.fixture
def readable(config: SidecarConfig, free_port: int) -> SidecarConfig:
    return replace(config, port=free_port)


async def test_the_log_and_its_metrics_are_read_over_http(readable: SidecarConfig) -> None:
    async with serving(readable, SystemClock()), auditing(readable) as auditor:
        await auditor.record(ONE_OF_EACH[0])
        await prove(auditor, 0)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{readable.port}") as client:
            checkpoint = await client.get("/checkpoint")
            assert checkpoint.text.startswith("conclave.example/audit\n1\n")
            bundle = await client.get("/tile/entries/000.p/1")
            assert decode(bundle.content[2:]).event == ONE_OF_EACH[0]
            metrics = (await client.get("/metrics")).text
            assert "conclave_audit_size 1.0" in metrics
            assert "conclave_audit_entries_total 1.0" in metrics
            for path in ("/signed", "/tile/0/../../signed", "/tile/9/000", "/lock", "/tile/0/007",
                         "/tile/entries/000.p", "/checkpoint.cosigned"):  # fmt: skip
                assert (await client.get(path)).status_code == 404
            assert (await client.post("/add-checkpoint")).status_code == 404


async def test_a_rolled_back_log_is_not_opened(config: SidecarConfig) -> None:
    async with serving(config, SystemClock()), auditing(config) as auditor:
        await auditor.record(ONE_OF_EACH[0])
    with closing(PosixFiles(config.log)) as files:
        for name in files.list("wal"):
            files.remove(f"wal/{name}")
    with pytest.raises(LocalError) as caught:
        async with serving(config, SystemClock()):
            pass
    assert caught.value.code == "log_rolled_back"


async def test_a_poisoned_entry_is_refused_and_the_others_go_on(
    config: SidecarConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encoded(record: Record) -> bytes:
        return b"{}" if record.event is poison else encode(record)

    poison = CustomRecorded(actor=SYSTEM, name="poison")
    monkeypatch.setattr(trail, "encode", encoded)
    async with serving(config, SystemClock()), auditing(config) as auditor:
        events = [EVENT, poison, EVENT]
        first, refused, last = await asyncio.gather(
            *(auditor.record(event) for event in events), return_exceptions=True
        )
        assert isinstance(first, Receipt)
        assert isinstance(last, Receipt)
        assert isinstance(refused, AuditError)
        assert refused.code == "audit_refused"
        assert (first.sequence, last.sequence) == (1, 3)
        assert auditor.counts["audit_refused"] == 1
        assert auditor.counts["log_entry_malformed"] == 1
    kinds = [decode(entry).event.kind for entry in read_published(config.log)]
    assert kinds == ["custom_recorded", "act_abandoned", "custom_recorded"]


async def test_a_poisoned_spool_is_emptied_and_what_was_refused_is_kept(
    config: SidecarConfig, tmp_path: Path
) -> None:
    folder = tmp_path / "spool"
    files = PosixFiles(folder)
    gap = encode(record(EVENT, 7, "pop-1/server/lost"))
    Spool(files).append([gap, encode(record(EVENT, 1, "pop-1/server/whole"))])
    files.close()
    async with (
        serving(config, SystemClock()),
        auditing(config, "third", spool=folder) as auditor,
    ):
        await auditor.record(EVENT)
        assert auditor.counts["set_aside"] == 1
        assert auditor.counts["log_sequence_gap"] == 1
    sources = [decode(entry).source for entry in read_published(config.log)]
    assert sources == ["pop-1/server/whole", "pop-1/server/third"]
    assert (folder / SET_ASIDE).read_bytes().endswith(gap)
