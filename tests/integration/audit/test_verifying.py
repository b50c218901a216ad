"""The verifier on what a real sidecar writes: while it runs, after it stopped, after it was killed."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from common.clock import SystemClock
from compliance.envelope import decode
from compliance.exports import range_line, ranged_line
from crypto.merkle import leaf_hash, range_proof, root_of
from crypto.notes import COSIGNATURE, Signer
from crypto.sealing import key_file
from sidecar.main import serving
from sidecar.settings import SidecarConfig, embedded
from tests.integration.audit.conftest import auditing
from tests.support.audit import ONE_OF_EACH
from tests.support.authority import Authority
from tests.support.evidence import STARTED, STOPPED, examine, missing, peer, room, track, wrong
from tests.support.logs import read_published
from verifier.cli import main
from verifier.notes import PublicKey
from verifier.receipts import Receipt
from verifier.report import BROKEN, INCOMPLETE, OK

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]
MEETING = [STARTED, room(True), peer(True), track(True), track(False), peer(False), room(False)]


def keys(config: SidecarConfig) -> list[PublicKey]:
    return [PublicKey.parse((config.log / "key.pub").read_text())]


async def test_a_running_log_is_verified_again_and_again(config: SidecarConfig) -> None:
    async with serving(config, SystemClock()), auditing(config) as auditor:
        await auditor.record(STARTED)

        async def go_on() -> None:
            for number in range(400):
                await auditor.record(room(True, f"RM_{number}"))
                await auditor.record(room(False, f"RM_{number}"))

        running = asyncio.create_task(go_on())
        sizes = []
        while not running.done():
            report = await asyncio.to_thread(
                examine, config.log, keys=keys(config), state=config.state
            )
            assert report.code == OK, report.text()
            sizes.append(report.facts["size"])
        await running
    assert len(set(map(str, sizes))) > 2
    report = examine(config.log, keys=keys(config), state=config.state)
    assert (report.code, report.facts["size"]) == (OK, 801)
    assert report.facts["unsigned"] == {"first": 801, "entries": 0, "torn": False}


async def test_a_stopped_server_leaves_nothing_open(config: SidecarConfig) -> None:
    for run in ("one", "two"):
        async with serving(config, SystemClock()), auditing(config, run) as auditor:
            for event in [*MEETING, STOPPED]:
                await auditor.record(event)
    report = examine(config.log, keys=keys(config), state=config.state)
    assert (report.code, report.facts["open"]) == (OK, [])


async def test_a_killed_server_is_told_from_a_running_one(config: SidecarConfig) -> None:
    async with serving(config, SystemClock()):
        async with auditing(config, "killed") as auditor:
            for event in MEETING[:4]:
                await auditor.record(event)
        report = examine(config.log, keys=keys(config))
        async with auditing(config, "next") as auditor:
            await auditor.record(STARTED)
    assert report.code in (OK, BROKEN)  # the checkpoint may not be there yet
    report = examine(config.log, keys=keys(config))
    assert (report.code, missing(report)) == (INCOMPLETE, ["source_vanished"])


async def test_entries_that_no_checkpoint_covers_are_told_separately(config: SidecarConfig) -> None:
    async with serving(replace(config, interval=600.0), SystemClock()):
        async with auditing(config) as auditor:
            for event in MEETING:
                await auditor.record(event)
        killed = config.log.with_name("killed")
        shutil.copytree(config.log, killed)  # what a cut of the power would leave
    report = examine(killed, keys=keys(config))
    assert report.integrity.name == "intact"
    assert report.facts["unsigned"] == {"first": 0, "entries": 7, "torn": False}
    (segment,) = (killed / "wal").glob("*.wal")
    data = segment.read_bytes()
    for cut in range(len(data) - 60, len(data)):  # a torn end is none of the damage
        segment.write_bytes(data[:cut])
        assert examine(killed, keys=keys(config)).integrity.name == "intact"
    for position in range(20, len(data), 41):
        segment.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        assert wrong(examine(killed, keys=keys(config))) == ["journal_damaged"], position


async def test_the_journal_must_repeat_what_was_signed(config: SidecarConfig) -> None:
    for run in ("one", "two"):
        async with serving(config, SystemClock()), auditing(config, run) as auditor:
            await auditor.record(STARTED)
            await auditor.record(STOPPED)
        shutil.copytree(config.log, config.log.with_name(run))
        if run == "one":
            shutil.rmtree(config.log)
            shutil.rmtree(config.state)
    other = config.log.with_name("one") / "wal"
    shutil.rmtree(config.log / "wal")
    shutil.copytree(other, config.log / "wal")
    assert set(wrong(examine(config.log, keys=keys(config)))) == {"journal_differs"}


async def test_receipts_and_exports_of_a_real_log_pass(
    config: SidecarConfig, tmp_path: Path
) -> None:
    async with serving(config, SystemClock()), auditing(config) as auditor:
        for event in [*MEETING, STOPPED]:
            await auditor.record(event)
        while not (receipt := await auditor.prove(3)):
            pass  # each question takes its turn on the loop; the checkpoint comes
    items = read_published(config.log)
    (tmp_path / "receipt").write_text(receipt)
    key = ["--key", str(config.log / "key.pub")]
    assert main(["receipt", str(tmp_path / "receipt"), "--log", str(config.log), *key]) == OK
    (tmp_path / "entry").write_bytes(items[3])
    assert main(["inclusion", str(tmp_path / "receipt"), str(tmp_path / "entry"), *key]) == OK
    assert main(["log", str(config.log), "--known", str(tmp_path / "receipt"), *key]) == OK
    assert Receipt.parse(receipt.encode()).index == 3

    leaves = [leaf_hash(each) for each in items]

    def subtree(level: int, index: int) -> bytes:
        return root_of(leaves[index << level : (index + 1) << level])

    note = (config.log / "checkpoint").read_text()
    lines = [ranged_line(n, items[n]) for n in range(2, 7)]
    lines.append(range_line(note, 2, 7, range_proof(2, 7, len(items), subtree)))
    (tmp_path / "export").write_text("\n".join(lines) + "\n")
    assert main(["export", str(tmp_path / "export"), *key]) == OK


async def test_two_sidecars_with_one_key_sign_a_split_view(
    config: SidecarConfig, tmp_path: Path
) -> None:
    other = replace(
        config,
        log=tmp_path / "o/log",
        state=tmp_path / "o/state",
        socket=tmp_path / "s",
        index=tmp_path / "o/i",
    )
    for each, name in ((config, "one"), (other, "two")):
        async with serving(each, SystemClock()), auditing(each, name) as auditor:
            for event in (STARTED, STOPPED):
                await auditor.record(event)
    key = ["--key", str(config.log / "key.pub")]
    notes = [str(each.log / "checkpoint") for each in (config, other)]
    assert main(["consistency", *notes, *key]) == BROKEN
    assert wrong(examine(config.log, keys=keys(config), known=[other.log / "checkpoint"])) == [
        "split_view"
    ]


async def test_a_witnessed_and_stamped_log_shows_both(
    config: SidecarConfig, tmp_path: Path, free_port: int
) -> None:
    authority = Authority(tmp_path / "authority")
    config.key.parent.mkdir(parents=True, exist_ok=True)
    log_key = Signer(config.origin, key_file(config.key).reveal()).verifier.encode()
    witness = replace(
        embedded(tmp_path / "witness", port=free_port),
        witness_key=tmp_path / "witness.key",
        witness_name="witness.example",
        witnessed={config.origin: (log_key,)},
    )
    key = Signer(
        "witness.example", key_file(tmp_path / "witness.key").reveal(), COSIGNATURE
    ).verifier.encode()
    from sidecar.timestamps import Authority as Wanted

    with authority.serving() as url:
        log = replace(
            config,
            witnesses=((f"http://127.0.0.1:{free_port}", key),),
            authority=Wanted(url, authority.root, interval=0.1, retry=0.05),
        )
        async with (
            serving(witness, SystemClock()),
            serving(log, SystemClock()),
            auditing(log) as auditor,
        ):
            await auditor.record(STARTED)
            async with asyncio.timeout(60):
                while not (
                    list(log.log.glob("timestamps/*.tsr"))
                    and (log.log / "checkpoint.cosigned").exists()
                ):
                    await auditor.record(ONE_OF_EACH[3])
    call = ["log", str(log.log), "--key", log_key, "--witness", key, "--ca", str(authority.root)]
    assert main([*call, "--json"]) == OK


async def test_what_the_log_says_is_what_was_recorded(
    config: SidecarConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(config, SystemClock()), auditing(config) as auditor:
        for event in ONE_OF_EACH:
            await auditor.record(event)
    main(["log", str(config.log), "--key", str(config.log / "key.pub"), "--json"])
    document = json.loads(capsys.readouterr().out)
    assert document["integrity"]["verdict"] == "intact"
    codes = {each["code"] for each in document["completeness"]["findings"]}
    assert "entry_unreadable" not in codes
    assert [decode(each).event for each in read_published(config.log)] == list(ONE_OF_EACH)
