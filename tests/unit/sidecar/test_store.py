"""The store: what was confirmed is never lost, what was signed is never contradicted, whatever fails when."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import LocalError
from crypto.notes import Checkpoint
from crypto.proofs import InclusionReceipt
from sidecar import journal as journal_module
from sidecar import sources as sources_module
from sidecar.journal import JournalBroken
from sidecar.notary import Inconsistent, Notary
from sidecar.sources import Sources
from tests.support.disk import Disk
from tests.support.logs import SIGNER, Log, arrival, arrivals, check, entry, read_log


def refused(open_log: Callable[[], object]) -> LocalError:
    with pytest.raises(LocalError) as caught:
        open_log()
    return caught.value


def test_entries_are_numbered_published_and_proven() -> None:
    disk = Disk()
    log = Log(disk)
    assert log.commit(arrivals(1, 4)) == [0, 1, 2]
    assert log.keeper.receipt(1) == ""
    log.publish()
    checkpoint, entries = read_log(disk)
    assert entries == [each.entry for each in arrivals(1, 4)]
    receipt = InclusionReceipt.decode(log.keeper.receipt(1))
    assert receipt.check(entries[1], [SIGNER.verifier])[0] == checkpoint
    assert log.keeper.receipt(3) == ""


def test_a_log_of_many_bundles_is_what_its_definition_says() -> None:
    disk = Disk()
    Log(disk).fill(70_000, group=5000)
    checkpoint, entries = read_log(disk)
    assert checkpoint.size == len(entries) == 70_000
    again = Log(disk.crash(lambda: False))
    again.commit(arrivals(70_001, 70_300))
    again.publish()
    assert read_log(again.files)[0].size == 70_299
    for index in (0, 69_999, 70_000, 70_298):
        receipt = InclusionReceipt.decode(again.keeper.receipt(index))
        receipt.check(entry(index + 1), [SIGNER.verifier])


def test_a_repeated_entry_is_recognised() -> None:
    log = Log(Disk())
    log.commit(arrivals(1, 4))
    assert log.commit(arrivals(2, 6)) == [None, 2, 3, 4]
    assert log.commit([*arrivals(6, 7), *arrivals(6, 7)]) == [5, 5]
    assert log.writer.end == 6


def test_a_gap_is_refused_with_all_that_follows_on_its_connection() -> None:
    log = Log(Disk())
    one, other = "pop-1/server/one", "pop-1/server/other"
    batch = [
        arrival(entry(1, one), 1),
        arrival(entry(3, one), 1),
        arrival(entry(2, one), 1),
        arrival(entry(1, other), 2),
    ]
    assert log.commit(batch) == [0, "sequence_gap", "sequence_gap", 1]
    assert log.commit([arrival(entry(2, "pop-1/server/new"), 3)]) == ["sequence_gap"]


def test_a_full_disk_takes_nothing_says_so_and_recovers() -> None:
    disk = Disk()
    log = Log(disk)
    log.commit(arrivals(1, 4))
    disk.capacity = disk.used() + 50
    assert log.commit(arrivals(4, 6)) == ["log_full", "log_full"]
    with pytest.raises(OSError, match="space"):
        log.publish()
    disk.capacity = None
    assert log.commit(arrivals(4, 6)) == [3, 4]
    log.publish()
    assert len(read_log(disk)[1]) == 5
    assert len(read_log(restart(disk, lambda: False).files)[1]) == 5


def test_after_a_failed_sync_nothing_is_taken_until_a_new_start() -> None:
    disk = Disk()
    log = Log(disk)

    def fail(_number: int, operation: str) -> None:
        if operation == "sync":
            raise OSError(errno.EIO, "input/output error")

    disk.fault = fail
    for _ in range(2):
        with pytest.raises(JournalBroken) as caught:
            log.commit(arrivals(1, 2))
        assert caught.value.code == "log_broken"


def restart(disk: Disk, survives: Callable[[], bool]) -> Log:
    return Log(disk.crash(survives))


def test_a_start_does_not_depend_on_the_saved_sources() -> None:
    for content in (None, b"", b"damaged"):
        disk = Disk()
        Log(disk).fill(1000)
        if content is None:
            disk.names.pop("sources", None)
        else:
            disk.open("sources").inode.data[:] = content
        log = Log(disk)
        assert log.commit(arrivals(1000, 1002)) == [999, 1000]


def test_partial_tiles_go_when_the_full_one_is_there() -> None:
    disk = Disk()
    log = Log(disk)
    for sequence in range(1, 258):
        log.commit(arrivals(sequence, sequence + 1))
        log.publish()
    assert sorted(name for name in disk.names if name.startswith("tile")) == [
        "tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/1",
    ]  # fmt: skip


def test_the_journal_forgets_what_is_in_full_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT_SIZE", 20_000)
    disk = Disk()
    log = Log(disk)
    for first in range(1, 2001, 100):
        log.commit(arrivals(first, first + 100))
        log.publish()
    segments = [name for name in disk.names if name.startswith("wal")]
    assert segments[0] == "wal/0000000000001700.wal"  # entries below 1792 are in full bundles
    assert read_log(Log(disk).files)[0].size == 2000


# -- damage -----------------------------------------------------------------------------------------


def filled(count: int = 700) -> Disk:
    disk = Disk()
    Log(disk).fill(count)
    return disk


def test_a_rolled_back_store_is_refused_for_what_was_signed() -> None:
    early = filled(300)
    late = early.crash(lambda: False)
    log = Log(late)
    log.commit(arrivals(301, 401))
    log.publish()
    with_memory = early.crash(lambda: False)
    with_memory.names["signed"] = late.names["signed"]
    error = refused(lambda: Log(with_memory))
    assert error.code == "log_rolled_back"
    assert error.message == "the log holds 300 entries, but 400 were signed for"


def test_a_different_history_is_refused_for_what_was_signed() -> None:
    disk = filled(100)
    other = Disk()
    log = Log(other)
    log.commit([arrival(entry(n, name="y")) for n in range(1, 102)])
    log.publish()
    other.names["signed"] = disk.names["signed"]
    assert refused(lambda: Log(other)).code == "checkpoint_inconsistent"


def test_a_flipped_bit_in_the_journal_is_located() -> None:
    disk = filled(200)
    (path,) = (name for name in disk.names if name.startswith("wal"))
    at = disk.names[path].data.index(entry(57)) + 10
    disk.names[path].data[at] ^= 1
    error = refused(lambda: Log(disk))
    assert error.code == "log_damaged"
    assert "entry 56 " in error.message


@pytest.mark.parametrize("byte", range(0, 60_000, 2999))
def test_no_flipped_bit_in_the_journal_goes_unnoticed(byte: int) -> None:
    disk = filled(200)
    (path,) = (name for name in disk.names if name.startswith("wal"))
    disk.names[path].data[byte % len(disk.names[path].data)] ^= 4
    assert refused(lambda: Log(disk)).code in ("log_damaged", "log_rolled_back")


def test_a_journal_cut_short_is_noticed() -> None:
    for length in range(0, 40_000, 1999):
        disk = filled(200)
        (path,) = (name for name in disk.names if name.startswith("wal"))
        if length < len(disk.names[path].data):
            del disk.names[path].data[length:]
            assert refused(partial(Log, disk)).code in ("log_damaged", "log_rolled_back")


def test_a_missing_journal_is_noticed() -> None:
    disk = filled(700)
    for path in [name for name in disk.names if name.startswith("wal")]:
        del disk.names[path]
    assert refused(lambda: Log(disk)).code == "log_rolled_back"


def test_without_a_journal_a_log_of_full_bundles_goes_on() -> None:
    disk = filled(512)
    for path in [name for name in disk.names if name.startswith("wal")]:
        del disk.names[path]
    check(Log(disk), {1: 0, 512: 511}, 512)


@pytest.mark.parametrize("path", ["tile/0/000", "tile/0/001"])
def test_a_damaged_tile_at_the_edge_stops_the_start(path: str) -> None:
    cut, flipped, gone = filled(700), filled(700), filled(700)
    del cut.names[path].data[100:]
    flipped.names[path].data[7] ^= 1
    del gone.names[path]
    assert refused(lambda: Log(cut)).code == "log_damaged"
    assert refused(lambda: Log(flipped)).code == "checkpoint_inconsistent"
    error = refused(lambda: Log(gone))
    assert error.code == "log_damaged"
    assert path in error.message


@pytest.mark.parametrize("name", ["signed", "checkpoint"])
def test_a_damaged_checkpoint_stops_the_start(name: str) -> None:
    disk = filled(20)
    disk.names[name].data[30] ^= 1
    error = refused(lambda: Log(disk))
    assert error.code == "log_damaged"
    assert name in error.message


def test_a_torn_end_is_set_aside_not_destroyed() -> None:
    disk = Disk()
    log = Log(disk)
    log.commit(arrivals(1, 4))
    (path,) = (name for name in disk.names if name.startswith("wal"))
    whole = len(disk.names[path].data)
    log.writer.commit(arrivals(4, 14))
    tail = bytes(disk.names[path].data[whole:])
    for torn in (
        tail[:-1],
        tail[:30],
        tail[:3],
        tail[:900] + bytes(len(tail) - 900),
        bytes(len(tail)),
    ):
        again = disk.crash(lambda: True)
        again.names[path].data[whole:] = torn
        log = Log(again)
        assert log.writer.end == 3
        (aside,) = (name for name in again.names if name.endswith(".torn"))
        assert bytes(again.names[aside].data) == torn
        check(log, {1: 0, 2: 1, 3: 2}, 0)


# -- parts ------------------------------------------------------------------------------------------


def test_the_notary_signs_growth_only() -> None:
    disk = Disk()
    log = Log(disk)
    log.commit(arrivals(1, 4))
    log.publish()
    notary = Notary(SIGNER, log.keeper.published)
    for size, root in ((2, log.keeper.published.root), (3, bytes(32)), (4, bytes(32))):
        with pytest.raises(Inconsistent):
            notary.sign(size, root, [])
    assert notary.open(notary.sign(3, log.keeper.published.root, [])) == log.keeper.published
    assert Notary(SIGNER).last == Checkpoint(SIGNER.verifier.name, 0, Notary(SIGNER).last.root)


def test_sources_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources_module, "MAX_SOURCES", 3)
    sources = Sources()
    for number, name in enumerate("abcdab"):
        sources.advance(name, number + 1, number)
    assert len(sources) == 3
    assert sources.last("c") == (0, -1)
    assert sources.last("b") == (6, 5)


@given(st.lists(st.tuples(st.text(min_size=1), st.integers(1, 9), st.integers(0, 9)), max_size=5))
def test_sources_survive(last: list[tuple[str, int, int]]) -> None:
    sources = Sources()
    for each in last:
        sources.advance(*each)
    again, size = Sources.decode(sources.encode(77))
    assert size == 77
    for name, sequence, index in {each[0]: each for each in last}.values():
        assert again.last(name) == (sequence, index)


def test_groups_are_read_as_written_or_not_at_all() -> None:
    entries = [b"a", b"bc" * 300, b"d"]
    group = journal_module.encode_group(9, entries)
    assert journal_module.parse_group(group, 0, 9) == (entries, len(group))
    assert journal_module.parse_group(group, 0, 8) == ([], 0)
    for length in range(len(group)):
        assert journal_module.parse_group(group[:length], 0, 9)[1] == 0
    for position, bit in itertools.product(range(len(group)), range(8)):
        changed = bytearray(group)
        changed[position] ^= 1 << bit
        assert journal_module.parse_group(bytes(changed), 0, 9)[1] == 0


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_no_group(data: bytes) -> None:
    assert journal_module.parse_group(b"grp1" + data, 0, 0)[1] == 0
