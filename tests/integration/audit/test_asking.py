"""Questions to a running sidecar: pages, proofs, growth, a lost index, hostile peers, intake unharmed."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings

from common.clock import SystemClock
from common.errors import RemoteError
from compliance.auditor import Auditor
from compliance.envelope import peek
from compliance.events import CustomRecorded
from compliance.questions import Answer, Filter, Question, read_checkpoint
from compliance.reader import LogReader
from compliance.wire import Frame, FrameType, hello
from crypto.merkle import check_inclusion, leaf_hash
from crypto.notes import Verifier
from crypto.proofs import InclusionReceipt
from sidecar.index import NAME
from sidecar.main import serving
from sidecar.metrics import Metrics
from sidecar.query import MAX_PAGE_BYTES, Library
from sidecar.settings import SidecarConfig
from tests.integration.audit.conftest import auditing
from tests.integration.audit.test_recording import converse
from tests.support.audit import ONE_OF_EACH, ROOM, SOMEBODY, SYSTEM
from tests.support.reading import entries_of, expected, fact_lists, filters, growing, many_facts

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]
BY_NAME = Filter(kind=("custom_recorded",))


async def published(reader: LogReader, size: int) -> Answer:
    """The answer about the checkpoint, once it covers that many entries."""
    while (answer := await reader.ask(Question(limit=0))).size < size:
        pass  # each question takes its turn on the loop; the checkpoint comes
    return answer


async def all_of(reader: LogReader, wanted: Filter, *, newest_first: bool = False) -> list[int]:
    found: list[int] = []
    start, more = None, True
    while more:
        question = Question(wanted, start, newest_first=newest_first, limit=7)
        answer = await reader.ask(question)
        assert len(answer.found) <= 7
        found += [each.index for each in answer.found]
        start, more = answer.next, answer.more
    return found


@pytest.mark.usefixtures("started")
async def test_entries_come_with_proofs_that_hold(config: SidecarConfig) -> None:
    reader = LogReader(str(config.socket))
    async with auditing(config) as auditor:
        await asyncio.gather(*(auditor.record(event) for event in ONE_OF_EACH))
        await published(reader, len(ONE_OF_EACH))
        answer = await reader.ask(
            Question(Filter(subject=(SOMEBODY,), room=(ROOM.room,)), prove=True)
        )
        assert answer.found
        checkpoint = read_checkpoint(answer.checkpoint)
        key = Verifier.decode(answer.key)
        for each in answer.found:
            assert each.entry.decode().count(SOMEBODY)
            check_inclusion(
                leaf_hash(each.entry), each.index, checkpoint.size, each.path, checkpoint.root
            )
            InclusionReceipt(each.index, each.path, answer.checkpoint).check(each.entry, [key])
            receipt = InclusionReceipt.decode(await reader.receipt(each.index))
            receipt.check(each.entry, [key])
    await reader.close()


@pytest.mark.usefixtures("started")
async def test_pages_stay_whole_while_the_log_grows(config: SidecarConfig) -> None:
    reader = LogReader(str(config.socket))
    async with auditing(config) as auditor:
        event = CustomRecorded(actor=SYSTEM, name="x")
        await asyncio.gather(*(auditor.record(event) for _ in range(30)))
        await published(reader, 30)
        down: list[int] = []
        up: list[int] = []
        down_from, up_from, more = None, 0, True
        while more:
            page = await reader.ask(Question(BY_NAME, down_from, newest_first=True, limit=4))
            down += [each.index for each in page.found]
            down_from, more = page.next, page.more
            page = await reader.ask(Question(BY_NAME, up_from, limit=4))
            up += [each.index for each in page.found]
            up_from = page.next
            await asyncio.gather(*(auditor.record(event) for _ in range(3)))
        assert down == list(range(down[0], -1, -1))
        assert down[0] >= 29
        await published(reader, 30)
        up += [each.index for each in (await reader.ask(Question(BY_NAME, up_from))).found]
        assert up == list(range(len(up)))
        size = (await reader.ask(Question(limit=0))).size
        answer = await reader.ask(Question(start=20, limit=256, size=25, prove=True))
        assert [each.index for each in answer.found] == [20, 21, 22, 23, 24]
        with pytest.raises(RemoteError) as caught:
            await reader.ask(Question(size=size + 1_000_000))
        assert caught.value.code == "size_unknown"
        assert (await reader.ask(Question(start=10**12))).found == ()
    await reader.close()


async def test_an_index_that_was_lost_while_the_sidecar_was_away_is_made_again(
    config: SidecarConfig,
) -> None:
    reader = LogReader(str(config.socket))
    for run, harm in enumerate(("none", "removed", "overwritten")):
        path = config.index / NAME
        if harm == "removed":
            path.unlink()
        elif harm == "overwritten":
            path.write_bytes(b"x" * 20_000)
        async with serving(config, SystemClock()), auditing(config, f"run{run}") as auditor:
            await asyncio.gather(*(auditor.record(ONE_OF_EACH[-1]) for _ in range(20)))
            await published(reader, 20 * (run + 1))
            assert await all_of(reader, BY_NAME) == list(range(20 * (run + 1)))
    await reader.close()


async def test_an_index_that_lies_is_noticed_and_made_again(tmp_path: Path) -> None:
    with growing(tmp_path / "log") as log:
        log.add(entries_of(many_facts(600)))
        metrics = Metrics()
        library = Library(tmp_path / "log", tmp_path / "index", metrics)
        await library.start()
        wanted = Filter(kind=("room_created",))
        assert (await library.answer(Question(wanted))).found
        database = library._index._opened()
        await library._on_thread(
            lambda: database.execute("UPDATE OR IGNORE postings SET entry = entry + 1")
        )
        with pytest.raises(RemoteError) as caught:
            await library.answer(Question(wanted))
        assert caught.value.code == "index_damaged"
        answer = await library.answer(Question(wanted))
        indexes = [each.index for each in answer.found]
        assert indexes == expected(log.entries, wanted)[: len(indexes)]
        assert metrics.registry.get_sample_value("conclave_audit_index_rebuilds_total") == 1
        for code, count in (("index_damaged", 1), ("answered", 2)):
            value = metrics.registry.get_sample_value(
                "conclave_audit_queries_total", {"outcome": code}
            )
            assert value == count
        await library.stop()


async def test_an_index_for_which_there_is_no_room_waits(tmp_path: Path) -> None:
    with growing(tmp_path / "log") as log:
        log.add(entries_of(many_facts(600)))
        metrics = Metrics()
        library = Library(tmp_path / "log", tmp_path / "index", metrics)
        wanted = Filter(kind=("room_created",))
        await library._on_thread(library._open)
        database = library._index._opened()
        await library._on_thread(lambda: database.execute("PRAGMA max_page_count = 12"))
        for _ in range(2):
            with pytest.raises(RemoteError) as caught:
                await library.answer(Question(wanted))
            assert caught.value.code == "index_behind"
        assert (await library.answer(Question())).found
        assert not await library._try(library._advance)
        await library._on_thread(lambda: database.execute("PRAGMA max_page_count = 100000"))
        answer = await library.answer(Question(wanted))
        assert [each.index for each in answer.found] == expected(log.entries, wanted)[:256]
        assert metrics.registry.get_sample_value("conclave_audit_index_rebuilds_total") == 0
        await library.stop()


async def test_an_index_far_behind_refuses_rather_than_leave_something_out(tmp_path: Path) -> None:
    with growing(tmp_path / "log") as log:
        log.add(entries_of(many_facts(5000)))
        library = Library(tmp_path / "log", tmp_path / "index", Metrics())
        wanted = Filter(kind=("room_created",))
        await library._on_thread(library._open)
        with pytest.raises(RemoteError) as caught:
            await library.answer(Question(wanted))
        assert caught.value.code == "index_behind"
        assert len((await library.answer(Question())).found) == 256
        assert (await library.answer(Question(wanted))).found
        await library.stop()


async def test_a_page_is_bounded_in_bytes(tmp_path: Path) -> None:
    with growing(tmp_path / "log") as log:
        big = [
            b'{"kind":"k","sequence":%d,"source":"s","x":"%s"}' % (number, b"y" * 60_000)
            for number in range(1, 41)
        ]
        log.add(big)
        library = Library(tmp_path / "log", tmp_path / "index", Metrics())
        await library.start()
        for newest_first in (False, True):
            seen: list[int] = []
            start, more = None, True
            while more:
                question = Question(Filter(kind=("k",)), start, newest_first=newest_first)
                page = await library.answer(question)
                assert sum(len(each.entry) for each in page.found) <= MAX_PAGE_BYTES
                seen += [each.index for each in page.found]
                start, more = page.next, page.more
            assert sorted(seen) == list(range(40))
        await library.stop()


@settings(max_examples=25, deadline=None)
@given(facts=fact_lists(), wanted=filters)
def test_answers_equal_a_look_at_every_entry(facts: list[tuple[int, ...]], wanted: Filter) -> None:
    async def check(folder: Path) -> None:
        with growing(folder / "log") as log:
            log.add(entries_of(facts))
            library = Library(folder / "log", folder / "index", Metrics())
            await library.start()
            for newest_first in (False, True):
                found: list[int] = []
                start, more = None, True
                while more:
                    page = await library.answer(
                        Question(wanted, start, newest_first=newest_first, limit=3)
                    )
                    assert all(peek(each.entry) for each in page.found)
                    found += [each.index for each in page.found]
                    start, more = page.next, page.more
                right = expected(log.entries, wanted)
                assert found == (right[::-1] if newest_first else right)
            await library.stop()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(check(Path(folder)))


ASKED = {
    "no question": b"{}x",
    "unknown field": b'{"filter":{"name":["alice"]}}',
    "limit": b'{"limit":100000}',
}


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize("name", ASKED)
async def test_a_hostile_question_is_refused_and_the_connection_stays(
    config: SidecarConfig, name: str
) -> None:
    reader, writer = await asyncio.open_unix_connection(config.socket)
    writer.write(hello().encode() + Frame(FrameType.ASK, ASKED[name]).encode())
    answer = await reader.readuntil(b"}")
    assert b"question_malformed" in answer
    writer.write(Frame(FrameType.ASK, b"{}").encode())
    assert b"checkpoint" in await reader.readuntil(b"}")
    writer.close()


@pytest.mark.usefixtures("started")
async def test_answers_are_not_accepted_as_questions(config: SidecarConfig) -> None:
    frames = (hello().encode(), Frame(FrameType.ANSWERED, b"{}").encode())
    assert await converse(config, *frames) == [Frame(FrameType.REFUSED, b"frame_malformed")]


async def test_without_a_sidecar_questions_are_refused_and_later_answered(
    config: SidecarConfig,
) -> None:
    reader = LogReader(str(config.socket))
    for _ in range(2):
        with pytest.raises(RemoteError) as caught:
            await reader.ask(Question())
        assert caught.value.code == "audit_unavailable"
        async with serving(config, SystemClock()):
            assert (await reader.ask(Question())).size == 0
    await reader.close()


@pytest.mark.usefixtures("started")
async def test_recording_goes_on_while_many_questions_are_asked(config: SidecarConfig) -> None:
    async with auditing(config) as auditor:

        async def record(auditor: Auditor) -> None:
            for event in ONE_OF_EACH * 8:
                await auditor.record(event)

        recording = asyncio.create_task(record(auditor))
        readers = [LogReader(str(config.socket)) for _ in range(3)]
        while not recording.done():
            await asyncio.gather(*(reader.ask(Question(BY_NAME)) for reader in readers))
        await recording
        for reader in readers:
            await reader.close()
    assert auditor.counts["recorded"] == 8 * len(ONE_OF_EACH)
