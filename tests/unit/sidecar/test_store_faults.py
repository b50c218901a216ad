"""Every operation on the disk fails in turn: what was confirmed is never lost, what was published stays true."""

from __future__ import annotations

import contextlib
import errno
import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar import journal as journal_module
from sidecar.journal import JournalBroken
from tests.support.disk import Disk, PowerCut, always
from tests.support.logs import Log, arrivals, check

GROUPS = [3, 250, 2, 1, 300]  # crosses two bundles
SEGMENT_SIZE = 30_000  # and several segments of the journal
KINDS = ["cut", "error", "full"]
PARTS = 8

pytestmark = pytest.mark.usefixtures("small_segments")


@pytest.fixture(scope="module")
def small_segments() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal_module, "SEGMENT_SIZE", SEGMENT_SIZE)
        yield


@pytest.fixture(scope="module")
def operations(small_segments: None) -> int:
    """How many operations a run without faults takes."""
    disk = Disk()
    attempt(disk)
    assert disk.operations > 100
    return disk.operations


def attempt(disk: Disk) -> tuple[dict[int, int], int]:
    """Works as the service would until all is done or the process ends.

    Returns what was confirmed (sequence number to index) and how much was published.
    """
    confirmed: dict[int, int] = {}
    published, sequence = 0, 1
    with contextlib.suppress(PowerCut, JournalBroken, OSError):
        log = Log(disk)
        for size in GROUPS:
            outcomes = log.commit(arrivals(sequence, sequence + size))
            if all(isinstance(outcome, int) for outcome in outcomes):
                confirmed |= {sequence + n: int(o) for n, o in enumerate(outcomes) if o is not None}
                sequence += size
            with contextlib.suppress(OSError):
                log.publish()
                published = log.keeper.published.size
    return confirmed, published


def failing(kind: str, at: int) -> Disk:
    """A disk whose operation number `at` fails."""
    disk = Disk()

    def fault(number: int, _operation: str) -> None:
        if number != at:
            return
        if kind == "cut":
            raise PowerCut
        full = kind == "full"
        raise OSError(errno.ENOSPC if full else errno.EIO, "no space left" if full else "error")

    disk.fault = fault
    return disk


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("kind", KINDS)
def test_every_operation_may_fail_and_nothing_confirmed_is_lost(
    kind: str, part: int, operations: int
) -> None:
    for at in range(1 + part, operations + 1, PARTS):
        disk = failing(kind, at)
        confirmed, published = attempt(disk)
        for keep in (False, True):
            check(Log(disk.crash(always(answer=keep))), confirmed, published)


@given(st.sampled_from(KINDS), st.floats(0, 1), st.integers(0, 2**32), st.integers(1, 60))
@settings(max_examples=60)
def test_any_mixture_of_what_survives_is_good_enough(
    operations: int, kind: str, at: float, seed: int, second: int
) -> None:
    disk = failing(kind, 1 + int(at * (operations - 1)))
    confirmed, published = attempt(disk)
    bits = itertools.cycle(int(bit) for bit in f"{seed:032b}")
    after = disk.crash(lambda: next(bits) == 1)
    after.fault = failing("cut", second).fault  # and the new start is interrupted, too
    with contextlib.suppress(PowerCut):
        Log(after)
    check(Log(after.crash(lambda: next(bits) == 1)), confirmed, published)
