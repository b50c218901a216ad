"""Whatever connection, log and disk do: an act is on record once, or the log says that it did not take place."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from compliance.envelope import decode
from compliance.errands import Discard, Load, Reconnect, Send, Store
from compliance.events import ActAbandoned
from compliance.trail import FailMode, Receipt, Settled
from tests.support.sending import EVENT, NOTE, WALL, trail


class World:
    """A trail, a sidecar that stores what follows without a gap, and a spool that may fail."""

    def __init__(self, mode: FailMode, spooled: int | None) -> None:
        self.trail = trail(mode, spooled)
        self.acts_are_spooled = mode is FailMode.SPOOL
        self.now = 0.0
        self.log: list[bytes] = []
        self.spool: list[bytes] = []
        self.link: list[bytes] | None = None  # sent, not confirmed
        self.stores: list[tuple[bytes, ...]] = []
        self.loads: list[tuple[list[bytes], int]] = []
        self.settled: dict[int, Settled] = {}
        self.open: set[int] = set()
        self.notes = 0

    def carry_out(self) -> None:
        for effect in self.trail.drain():
            match effect:
                case Send(entries):
                    if self.link is not None:
                        self.link += entries
                case Settled(ticket):
                    assert ticket in self.open
                    assert ticket not in self.settled
                    self.settled[ticket] = effect
                    if effect.receipt is not None:
                        self.check(effect.receipt)
                case Reconnect():
                    self.link = None
                case Store(entries):
                    self.stores.append(entries)
                case Load():
                    loaded = self.spool[effect.skip :][: effect.limit]
                    self.loads.append((loaded, self.trail.generation))
                case Discard(count):
                    del self.spool[:count]

    def check(self, receipt: Receipt) -> None:
        kept = [
            decode(entry).sequence
            for entry in self.log + (self.spool if self.acts_are_spooled else [])
        ]
        assert receipt.sequence in kept

    def do(self, action: str) -> None:
        self.now += 0.1
        wall = WALL + self.now
        if action == "submit":
            self.open.add(self.trail.submit(EVENT, now=self.now, wall=wall))
        elif action == "note":
            self.trail.note(NOTE, now=self.now, wall=wall)
            self.notes += 1
        elif action == "connect" and self.link is None:
            self.link = []
            self.trail.handle_connected(now=self.now)
        elif action == "disconnect" and self.link is not None:
            self.link = None
            self.trail.handle_disconnected(now=self.now)
        elif action in ("confirm", "lose") and self.link:
            self.confirm(lost=action == "lose")
        elif action == "store" and self.stores:
            self.spool += self.stores.pop(0)
            self.trail.handle_stored(now=self.now)
        elif action == "fail" and self.stores:
            self.stores.pop(0)
            self.trail.handle_store_failed(now=self.now, wall=wall)
        elif action == "load" and self.loads:
            entries, generation = self.loads.pop(0)
            self.trail.handle_loaded(entries, generation, now=self.now)
        elif action == "wait":
            self.now += 1.0
            self.trail.handle_timeout(now=self.now, wall=wall)
        self.carry_out()

    def confirm(self, *, lost: bool) -> None:
        """The sidecar stores what it got; its answer may be lost with the connection."""
        assert self.link is not None
        sent, self.link = self.link, []
        last = max((decode(entry).sequence for entry in self.log), default=0)
        for entry in sent:
            sequence = decode(entry).sequence
            assert sequence <= last + 1, "a gap"
            if sequence == last + 1:
                self.log.append(entry)
                last = sequence
        if lost:
            self.link = None
            self.trail.handle_disconnected(now=self.now)
        else:
            self.trail.handle_acked([None] * len(sent), now=self.now)


ACTIONS = [
    "submit",
    "submit",
    "note",
    "connect",
    "disconnect",
    "confirm",
    "lose",
    "store",
    "fail",
    "load",
    "wait",
]


KINDS_OF_TRAIL = [(FailMode.SPOOL, 0), (FailMode.REFUSE, 0), (FailMode.REFUSE, None)]


@given(st.sampled_from(KINDS_OF_TRAIL), st.lists(st.sampled_from(ACTIONS), max_size=60))
@settings(max_examples=600, deadline=None)
def test_whatever_happens_nothing_is_lost_or_left_open(
    kind: tuple[FailMode, int | None], actions: list[str]
) -> None:
    world = World(*kind)
    for action in actions:
        world.do(action)
    for _ in range(30):
        for action in ("connect", "store", "load", "confirm", "wait"):
            world.do(action)
    assert world.trail.backlog == 0
    assert world.open == set(world.settled)
    records = [decode(entry) for entry in world.log]
    assert [record.sequence for record in records] == list(range(1, len(records) + 1))
    assert all(a.time <= b.time for a, b in pairwise(records))
    assert not world.spool
    # An event is in the log exactly if its act took place, or the log says that it did not.
    granted = {s.receipt.sequence for s in world.settled.values() if s.receipt is not None}
    abandoned = {r.event.sequence for r in records if isinstance(r.event, ActAbandoned)}
    acts = {r.sequence for r in records if r.event == EVENT}
    assert acts == granted | abandoned
    assert not granted & abandoned
    assert len([r for r in records if r.event == NOTE]) == world.notes
