"""Where acts are refused while the log is away, what is only noted is on disk soon, and no act slips through."""

from __future__ import annotations

import math

from compliance.envelope import decode
from compliance.errands import Discard, Load, Reconnect, Send, SetAside, Store
from compliance.events import ActAbandoned
from compliance.trail import FailMode, Receipt, Settled, Trail
from tests.support.sending import EVENT, NOTE, WALL, connected, names, sequences, trail


def test_where_acts_are_refused_notes_are_on_disk_soon_and_acts_wait() -> None:
    made = trail(FailMode.REFUSE, 0)
    before = made.submit(EVENT, now=0.0, wall=WALL)
    made.note(NOTE, now=0.0, wall=WALL)
    after = made.submit(EVENT, now=0.1, wall=WALL)
    assert (made.drain(), made.next_deadline()) == ([], 0.25)
    made.handle_timeout(now=0.25, wall=WALL)
    (store,) = made.drain()
    assert isinstance(store, Store)
    assert (names(store.entries), sequences(store.entries)) == (["note"], [1])
    made.handle_stored(now=0.3)
    assert (made.spooled, made.undelivered) == (1, 2)
    made.note(NOTE, now=0.4, wall=WALL)  # while the log stays away there is no further delay
    (store,) = made.drain()
    assert isinstance(store, Store)
    assert sequences(store.entries) == [2]
    made.handle_timeout(now=2.1, wall=WALL)
    assert made.drain() == [
        Settled(before, None, "audit_unavailable"),
        Settled(after, None, "audit_unavailable"),
    ]


def test_an_act_that_notes_have_overtaken_follows_them_and_time_does_not_fall() -> None:
    made = trail(FailMode.REFUSE, 0)
    ticket = made.submit(EVENT, now=0.0, wall=WALL)
    made.note(NOTE, now=0.1, wall=WALL + 0.1)
    made.handle_timeout(now=0.35, wall=WALL)
    (store,) = made.drain()
    assert isinstance(store, Store)
    made.handle_stored(now=0.4)
    made.handle_connected(now=0.5)
    assert made.drain() == [Load(0, 1)]
    made.handle_loaded(list(store.entries), made.generation, now=0.5)
    made.handle_acked([0], now=0.6)
    replay, discard, send = made.drain()
    assert (replay, discard) == (Send(store.entries), Discard(1))
    assert isinstance(send, Send)
    first, second = decode(store.entries[0]), decode(send.entries[0])
    assert (second.sequence, second.event) == (2, EVENT)
    assert first.time == second.time
    made.handle_acked([1], now=0.7)
    assert made.drain() == [Settled(ticket, Receipt(2, 1))]


def pledged() -> tuple[Trail, int]:
    """An act was handed over when the connection broke; it lies in the spool in front of a note."""
    made = connected(FailMode.REFUSE, 0)
    ticket = made.submit(EVENT, now=0.0, wall=WALL)
    made.handle_disconnected(now=0.1)
    made.note(NOTE, now=0.1, wall=WALL)
    made.drain()
    made.handle_timeout(now=0.35, wall=WALL)
    (store,) = made.drain()
    assert isinstance(store, Store)
    assert (names(store.entries), sequences(store.entries)) == (["x", "note"], [1, 2])
    made.handle_stored(now=0.4)
    assert made.drain() == []  # the spool is not where an act becomes durable in this mode
    return made, ticket


def test_an_act_in_the_spool_takes_place_when_the_log_has_it_in_time() -> None:
    made, ticket = pledged()
    made.handle_connected(now=1.0)
    made.drain()
    made.handle_loaded([b"act", b"note"], made.generation, now=1.0)
    made.handle_acked([17], now=1.1)
    _, settled, discard = made.drain()
    assert (settled, discard) == (Settled(ticket, Receipt(1, 17)), Discard(1))
    made.handle_acked([18], now=1.2)
    assert (made.backlog, made.next_deadline()) == (0, math.inf)


def test_an_act_in_the_spool_is_refused_in_time_and_the_log_says_so() -> None:
    made, ticket = pledged()
    assert made.next_deadline() == 2.0
    made.handle_timeout(now=2.0, wall=WALL)
    settled, store = made.drain()
    assert settled == Settled(ticket, None, "audit_timeout")
    assert isinstance(store, Store)
    abandoned = decode(store.entries[0]).event
    assert isinstance(abandoned, ActAbandoned)
    assert abandoned.sequence == 1
    made.handle_stored(now=2.1)
    made.handle_connected(now=3.0)
    made.handle_loaded([b"act", b"note", b"abandoned"], made.generation, now=3.0)
    made.drain()
    made.handle_acked([0, 1, 2], now=3.1)
    assert made.drain() == [Discard(3)]  # nobody is told a second time


def test_an_act_in_the_spool_that_the_log_never_takes_is_refused() -> None:
    made, ticket = pledged()
    made.handle_connected(now=1.0)
    made.handle_loaded([b"act", b"note"], made.generation, now=1.0)
    made.drain()
    assert made.handle_refused("entry_malformed")
    assert made.drain() == [Settled(ticket, None, "audit_refused"), SetAside()]


def test_a_full_spool_refuses_no_act_that_the_log_may_still_confirm() -> None:
    made = connected(FailMode.REFUSE, 0)
    ticket = made.submit(EVENT, now=0.0, wall=WALL)
    made.handle_disconnected(now=0.1)
    made.handle_timeout(now=0.35, wall=WALL)
    made.handle_store_failed(now=0.4, wall=WALL)
    made.handle_connected(now=0.5)
    send = made.drain()[-1]
    assert isinstance(send, Send)
    made.handle_acked([0], now=0.6)
    assert made.drain() == [Settled(ticket, Receipt(1, 0))]


def test_a_slow_log_keeps_its_connection_for_as_long_as_acts_may_wait() -> None:
    made = connected(FailMode.REFUSE, 0)
    made.note(NOTE, now=0.0, wall=WALL)
    made.drain()
    assert made.next_deadline() == 2.0
    made.handle_timeout(now=2.0, wall=WALL)
    reconnect, store = made.drain()
    assert isinstance(reconnect, Reconnect)
    assert isinstance(store, Store)


def test_acts_that_nobody_confirmed_are_refused_when_the_server_stops() -> None:
    made = connected(FailMode.REFUSE, 0)
    handed = made.submit(EVENT, now=0.0, wall=WALL)
    made.handle_disconnected(now=0.1)
    waiting = made.submit(EVENT, now=0.1, wall=WALL)
    made.drain()
    made.handle_closing(now=0.2, wall=WALL)
    first, second, store = made.drain()
    assert {first, second} == {
        Settled(handed, None, "audit_timeout"),
        Settled(waiting, None, "audit_unavailable"),
    }
    assert isinstance(store, Store)
    assert names(store.entries) == ["x", "act_abandoned"]
