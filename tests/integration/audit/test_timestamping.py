"""Checkpoints get time-stamps of a real authority; one that is away or lies is counted, and the log goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio.lowlevel
import httpx
import pytest

from common.clock import SystemClock
from common.errors import LocalError
from compliance.files import PosixFiles
from crypto.timestamps import Authorities, Question, TimestampError
from sidecar.main import serving
from sidecar.metrics import Metrics
from sidecar.settings import SidecarConfig
from sidecar.timestamps import Authority as Wanted
from sidecar.timestamps import Stamper
from tests.integration.audit.conftest import auditing
from tests.support.audit import ONE_OF_EACH
from tests.support.authority import Authority
from tests.support.evidence import SIGNER, entries, filled, leaf, signed

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]
LEAVES = [leaf(each) for each in entries(filled(20))]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(autouse=True)
def honest(authority: Authority) -> None:
    authority.tamper = lambda answer: answer


class Notes:
    """Checkpoints of a log that grows when it is told to."""

    def __init__(self) -> None:
        self.size = 0

    async def growth(self, old: int) -> tuple[str, list[bytes]]:
        return signed(LEAVES[: self.size]) if self.size else "", []


async def attempt(folder: Path, wanted: Wanted, notes: Notes) -> tuple[str, Stamper]:
    async with httpx.AsyncClient() as client:
        files = PosixFiles(folder)
        try:
            stamper = Stamper(wanted, notes, files, client, clock=SystemClock(), metrics=Metrics())
            return await stamper.stamp(), stamper
        finally:
            files.close()


async def test_what_is_new_is_stamped_once(authority: Authority, tmp_path: Path) -> None:
    notes = Notes()
    with authority.serving() as url:
        wanted = Wanted(url, authority.root)
        assert (await attempt(tmp_path, wanted, notes))[0] == "unchanged"
        notes.size = 5
        assert (await attempt(tmp_path, wanted, notes))[0] == "stamped"
        assert (await attempt(tmp_path, wanted, notes))[0] == "unchanged"
        notes.size = 7
        outcome, stamper = await attempt(tmp_path, wanted, notes)
        assert (outcome, stamper.stamped) == ("stamped", 7)
    names = sorted(path.name for path in (tmp_path / "timestamps").iterdir())
    assert names == ["5.checkpoint", "5.tsr", "7.checkpoint", "7.tsr"]
    assert (tmp_path / "timestamps/7.checkpoint").read_text() == signed(LEAVES[:7])


def flipped(position: float) -> Callable[[bytes], bytes]:
    def change(answer: bytes) -> bytes:
        place = int(len(answer) * position)
        return answer[:place] + bytes([answer[place] ^ 1]) + answer[place + 1 :]

    return change


REFUSED = bytes.fromhex("30053003020102")  # a status of 2 and nothing else
LIES: dict[str, tuple[Callable[[bytes], bytes | None], set[str]]] = {
    "an error": (lambda answer: None, {"declined"}),
    "too much": (lambda answer: answer * 100, {"declined"}),
    "a refusal": (lambda answer: REFUSED, {"timestamp_refused"}),
    "nothing": (lambda answer: b"", {"timestamp_malformed"}),
    "half of it": (lambda answer: answer[: len(answer) // 2], {"timestamp_malformed"}),
    "another signature": (flipped(0.995), {"timestamp_wrong", "timestamp_malformed"}),
    "another content": (flipped(0.05), {"timestamp_wrong", "timestamp_malformed"}),
}


@pytest.mark.parametrize("name", LIES)
async def test_an_answer_that_proves_nothing_is_not_kept(
    authority: Authority, tmp_path: Path, name: str
) -> None:
    authority.tamper, outcomes = LIES[name]
    notes = Notes()
    notes.size = 5
    with authority.serving() as url:
        outcome, stamper = await attempt(tmp_path, Wanted(url, authority.root), notes)
    assert outcome in outcomes
    assert stamper.stamped == 0
    assert list((tmp_path / "timestamps").iterdir()) == []


async def test_an_old_answer_is_refused_for_its_nonce(authority: Authority, tmp_path: Path) -> None:
    notes = Notes()
    notes.size = 5
    old = authority.answer(Question(signed(LEAVES[:5]).encode()).encode())
    authority.tamper = lambda answer: old
    with authority.serving() as url:
        assert (await attempt(tmp_path, Wanted(url, authority.root), notes))[0] == "timestamp_wrong"


async def test_an_authority_that_nobody_trusts_is_refused(
    authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "stranger")
    question = Question(b"message")
    answer = stranger.answer(question.encode())
    with pytest.raises(TimestampError) as caught:
        Authorities(authority.root.read_bytes()).check(question, answer)
    assert caught.value.code == "timestamp_wrong"


async def test_a_certificate_for_another_purpose_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"."):  # openssl itself refuses such a signer
        Authority(tmp_path / "server", purpose="other").stamp(b"x")


def test_without_certificates_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(LocalError) as caught:
        Wanted("http://127.0.0.1:9/", tmp_path / "nothing.pem").roots()
    assert caught.value.code == "certificates_unreadable"


async def metric(config: SidecarConfig, line: str) -> None:
    """Waits until the sidecar shows it."""
    async with asyncio.timeout(60), httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{config.port}/metrics"
        while line not in (await client.get(url)).text:
            await anyio.lowlevel.checkpoint()


async def test_the_log_goes_on_while_the_authority_is_away(
    config: SidecarConfig, authority: Authority, free_port: int
) -> None:
    with authority.serving() as url:
        wanted = Wanted(url, authority.root, interval=0.2, retry=0.05)
        config = replace(config, port=free_port, authority=wanted)
        authority.tamper = lambda answer: None
        async with serving(config, SystemClock()), auditing(config) as auditor:
            await auditor.record(ONE_OF_EACH[0])
            await metric(config, 'conclave_audit_timestamps_total{outcome="declined"}')
            await auditor.record(ONE_OF_EACH[4])
            authority.tamper = lambda answer: answer
            await metric(config, 'conclave_audit_timestamps_total{outcome="stamped"}')
            (kept,) = list((config.log / "timestamps").glob("*.tsr"))[:1]
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{free_port}") as client:
                shown = await client.get(f"/timestamps/{kept.name}")
                assert shown.content == kept.read_bytes()
                for path in ("/timestamps/lock", "/timestamps/1.tsr.new", "/timestamps/..%2flock"):
                    assert (await client.get(path)).status_code == 404
    assert list((config.log / "timestamps").glob("*.tsr"))
    assert SIGNER.verifier.name == config.origin


async def test_an_authority_that_cannot_be_reached_is_counted(
    config: SidecarConfig, authority: Authority, free_port: int
) -> None:
    wanted = Wanted("http://127.0.0.1:9/", authority.root, interval=0.2, retry=0.05)
    config = replace(config, port=free_port, authority=wanted)
    async with serving(config, SystemClock()), auditing(config) as auditor:
        await auditor.record(ONE_OF_EACH[0])
        await metric(config, 'conclave_audit_timestamps_total{outcome="unreachable"}')
