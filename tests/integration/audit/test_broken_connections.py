"""The connection to the log breaks after any byte: each act is on record once, and nobody acts without that."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import repeat
from pathlib import Path

import pytest

from common.clock import SystemClock
from compliance.envelope import Record, decode
from compliance.events import ActAbandoned, CustomRecorded
from compliance.trail import AuditError, Limits, Receipt
from compliance.wire import Frame, FrameType, acked, hello
from sidecar.main import serving
from sidecar.settings import SidecarConfig
from tests.integration.audit.conftest import auditing
from tests.support.audit import SYSTEM
from tests.support.breaking import Break, Direction, breaking
from tests.support.logs import entry, read_published

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

EVENT = CustomRecorded(actor=SYSTEM, name="x")
ACTS = 3  # at the same time, on each connection that breaks
HEAD = len(hello().encode())
UP = HEAD + ACTS * len(Frame(FrameType.EVENT, entry(1)).encode())
DOWN = ACTS * len(acked([0]).encode())
AT_ONCE = 24  # connections; the log takes 64
STRIDE = 5  # bytes of what is sent; of what is answered every single one is a place to break


def places() -> Iterator[Break]:
    yield from (Break("up", after) for after in range(1, UP + 60, STRIDE))
    yield from (Break("down", after) for after in range(1, DOWN + 1))


async def acts_on_a_breaking_connection(
    config: SidecarConfig, folder: Path, where: Break
) -> tuple[str, list[Receipt], int]:
    name = f"{where.direction}{where.after}"
    socket = folder / f"{name}.sock"
    async with (
        breaking(socket, config.socket, [where]) as proxy,
        auditing(replace(config, socket=socket), name) as auditor,
    ):
        receipts = await asyncio.gather(*(auditor.record(EVENT) for _ in range(ACTS)))
        return f"pop-1/server/{name}", receipts, proxy.broken


def by_source(config: SidecarConfig) -> dict[str, list[tuple[int, Record]]]:
    found: dict[str, list[tuple[int, Record]]] = defaultdict(list)
    for index, each in enumerate(read_published(config.log)):
        record = decode(each)
        found[record.source].append((index, record))
    return found


async def test_acts_are_asked_for_again_and_recorded_once_wherever_the_connection_breaks(
    config: SidecarConfig, tmp_path: Path
) -> None:
    outcomes: list[tuple[str, list[Receipt], int]] = []
    async with serving(config, SystemClock()):
        everywhere = list(places())
        for first in range(0, len(everywhere), AT_ONCE):
            some = everywhere[first : first + AT_ONCE]
            asked = (acts_on_a_breaking_connection(config, tmp_path, where) for where in some)
            outcomes += await asyncio.gather(*asked)
    log = by_source(config)
    assert sum(broken for *_, broken in outcomes) > len(outcomes) * 0.8
    for source, receipts, _ in outcomes:
        assert [record.sequence for _, record in log[source]] == [1, 2, 3], source
        assert [receipt.sequence for receipt in receipts] == [1, 2, 3]
        places_of = {record.sequence: index for index, record in log[source]}
        for receipt in receipts:  # whoever is told an index is told the right one
            assert receipt.index in (None, places_of[receipt.sequence])


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_acts_go_on_through_connections_that_all_break_after_one_act(
    config: SidecarConfig, tmp_path: Path, direction: Direction
) -> None:
    frame = len(Frame(FrameType.EVENT, entry(1)).encode())
    after = HEAD + frame + 4 if direction == "up" else len(acked([0]).encode())
    socket = tmp_path / "b.sock"
    async with (
        serving(config, SystemClock()),
        breaking(socket, config.socket, repeat(Break(direction, after))) as proxy,
        auditing(replace(config, socket=socket)) as auditor,
    ):
        for _ in range(8):
            await auditor.record(EVENT)
        assert proxy.broken >= 4
    (records,) = by_source(config).values()
    assert [record.sequence for _, record in records] == list(range(1, 9))


async def test_an_act_whose_answer_never_comes_is_refused_and_the_log_says_so(
    config: SidecarConfig, tmp_path: Path
) -> None:
    socket = tmp_path / "s.sock"
    async with (
        serving(config, SystemClock()),
        breaking(socket, config.socket, repeat(Break("down", 1))) as proxy,
        auditing(replace(config, socket=socket), limits=Limits(timeout=0.5)) as auditor,
    ):
        with pytest.raises(AuditError) as caught:
            await auditor.record(EVENT)
        assert caught.value.code == "audit_timeout"
        proxy.heal()
        await auditor.close(patience=30.0)
        assert auditor.backlog == 0
    (records,) = by_source(config).values()
    act, said = (record.event for _, record in records)
    assert act == EVENT
    assert isinstance(said, ActAbandoned)
    assert (said.sequence, said.why.reason) == (1, "audit_timeout")
