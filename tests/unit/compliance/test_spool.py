"""The spool keeps what it took, in order, through crashes and full disks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import LocalError
from compliance import spool as spool_module
from compliance.spool import SET_ASIDE, Spool
from tests.support.disk import Disk, PowerCut


def entries(first: int, end: int) -> list[bytes]:
    return [b"entry %d" % number for number in range(first, end)]


def test_entries_come_back_in_order_and_go_when_discarded() -> None:
    spool = Spool(Disk())
    spool.append(entries(0, 3))
    spool.append(entries(3, 5))
    assert spool.load(0, 10) == entries(0, 5)
    assert spool.load(2, 2) == entries(2, 4)
    spool.discard(4)
    assert len(spool) == 1
    assert spool.load(0, 10) == entries(4, 5)
    spool.discard(1)
    assert (len(spool), spool.size, spool.load(0, 10)) == (0, 0, [])
    spool.append(entries(9, 10))
    assert spool.load(0, 10) == entries(9, 10)


def test_a_new_start_finds_what_was_left() -> None:
    disk = Disk()
    first = Spool(disk)
    first.append(entries(0, 5))
    first.close()
    second = Spool(disk.crash(lambda: False))
    assert second.load(0, 10) == entries(0, 5)
    second.append(entries(5, 6))
    assert second.load(0, 10) == entries(0, 6)


def test_segments_are_cut_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "SEGMENT_SIZE", 64)
    disk = Disk()
    spool = Spool(disk)
    for number in range(20):
        spool.append(entries(number, number + 1))
    assert len(disk.names) == 5
    assert spool.load(7, 6) == entries(7, 13)
    spool.discard(15)
    assert len(disk.names) == 2
    assert spool.load(0, 100) == entries(15, 20)


def test_the_bound_holds_and_refuses_by_name() -> None:
    spool = Spool(Disk(), max_size=100)
    spool.append(entries(0, 5))
    with pytest.raises(LocalError) as caught:
        spool.append(entries(5, 10))
    assert caught.value.code == "spool_full"
    assert spool.load(0, 100) == entries(0, 5)


def test_a_full_disk_takes_nothing_and_harms_nothing() -> None:
    disk = Disk()
    spool = Spool(disk)
    spool.append(entries(0, 5))
    disk.capacity = disk.used() + 10
    for _ in range(2):
        with pytest.raises(OSError, match="no space"):
            spool.append(entries(5, 10))
    disk.capacity = None
    spool.append(entries(5, 7))
    assert spool.load(0, 100) == entries(0, 7)
    assert Spool(disk.crash(lambda: False)).load(0, 100) == entries(0, 7)


def test_damage_is_counted_and_what_precedes_it_is_kept() -> None:
    disk = Disk()
    Spool(disk).append(entries(0, 5))
    (inode,) = disk.names.values()
    inode.data[40] ^= 1
    spool = Spool(disk)
    assert spool.damaged == 1
    assert spool.load(0, 10) == entries(0, 2)


@given(st.integers(1, 30), st.randoms(use_true_random=False))
def test_a_power_cut_anywhere_loses_nothing_that_was_taken(operation: int, random: object) -> None:
    disk = Disk()

    def cut(number: int, _name: str) -> None:
        if number == operation:
            raise PowerCut

    disk.fault = cut
    taken, offered = 0, 0
    try:
        spool = Spool(disk)
        for size in (2, 1, 3):
            offered += size
            spool.append(entries(taken, taken + size))
            taken += size
    except PowerCut:
        pass
    survived = Spool(disk.crash(lambda: random.random() < 0.5)).load(0, 100)  # type: ignore[attr-defined]
    assert survived == entries(0, len(survived))
    assert taken <= len(survived) <= offered


def test_what_the_log_refuses_is_set_aside_durably_and_the_rest_is_next() -> None:
    disk = Disk()
    spool = Spool(disk)
    spool.append(entries(0, 3))
    assert spool.set_aside()
    assert spool.load(0, 10) == entries(1, 3)
    assert spool.set_aside()
    kept = disk.crash(lambda: False)
    assert kept.read(SET_ASIDE).count(b"entry") == 2
    assert b"entry 0" in kept.read(SET_ASIDE)
    assert kept.read(SET_ASIDE).endswith(b"entry 1")


def test_what_is_set_aside_is_no_segment_of_a_new_start() -> None:
    disk = Disk()
    first = Spool(disk)
    first.append(entries(0, 2))
    first.set_aside()
    first.discard(1)
    first.close()
    assert len(Spool(disk)) == 0


def test_what_is_set_aside_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "MAX_SET_ASIDE", 20)
    disk = Disk()
    spool = Spool(disk)
    spool.append(entries(0, 3))
    assert [spool.set_aside() for _ in range(3)] == [True, False, False]
    assert len(spool) == 0
    assert disk.read(SET_ASIDE).endswith(b"entry 0")
