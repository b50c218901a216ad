"""The trail settles every ticket once, leaves no gap, and refuses by name."""

from __future__ import annotations

import dataclasses
import math

import pytest

from common.errors import RemoteError
from compliance import trail as trail_module
from compliance.envelope import decode
from compliance.errands import Discard, Load, Reconnect, Send, SetAside, Store
from compliance.events import ActAbandoned
from compliance.trail import AuditError, FailMode, Limits, Receipt, Settled
from tests.support.sending import EVENT, WALL, connected, sequences, trail


def test_an_event_is_sent_and_its_ticket_settled_by_the_confirmation() -> None:
    made = connected()
    first = made.submit(EVENT, now=0.0, wall=WALL)
    second = made.submit(EVENT, now=0.0, wall=WALL)
    sends = made.drain()
    assert [sequences(effect.entries) for effect in sends if isinstance(effect, Send)] == [[1], [2]]
    made.handle_acked([40, 41], now=0.1)
    assert made.drain() == [Settled(first, Receipt(1, 40)), Settled(second, Receipt(2, 41))]
    assert (made.backlog, made.next_deadline()) == (0, math.inf)


def test_without_a_connection_an_act_is_refused_in_time() -> None:
    made = trail()
    ticket = made.submit(EVENT, now=0.0, wall=WALL)
    assert made.drain() == []
    assert made.next_deadline() == 2.0
    made.handle_timeout(now=2.0, wall=WALL)
    (settled,) = made.drain()
    assert settled == Settled(ticket, None, "audit_unavailable")
    with pytest.raises(AuditError) as caught:
        settled.result()
    assert caught.value.code == "audit_unavailable"
    assert made.backlog == 0


def test_a_short_outage_is_waited_out() -> None:
    made = trail()
    made.submit(EVENT, now=0.0, wall=WALL)
    made.handle_connected(now=1.0)
    (send,) = made.drain()
    assert isinstance(send, Send)


def test_an_unconfirmed_act_is_refused_and_the_log_says_so() -> None:
    made = connected()
    ticket = made.submit(EVENT, now=0.0, wall=WALL)
    made.drain()
    made.handle_timeout(now=2.0, wall=WALL + 2)
    settled, send = made.drain()
    assert settled == Settled(ticket, None, "audit_timeout")
    assert isinstance(send, Send)
    abandoned = decode(send.entries[0])
    assert isinstance(abandoned.event, ActAbandoned)
    assert (abandoned.event.sequence, abandoned.sequence) == (1, 2)
    assert abandoned.event.why.reason == "audit_timeout"
    made.handle_acked([0, 1], now=3.0)
    assert made.drain() == []
    assert made.backlog == 0


def test_after_a_broken_connection_everything_unconfirmed_is_sent_again() -> None:
    made = connected()
    for _ in range(3):
        made.submit(EVENT, now=0.0, wall=WALL)
    made.handle_acked([0], now=0.1)
    made.drain()
    made.handle_disconnected(now=0.2)
    made.submit(EVENT, now=0.2, wall=WALL)
    assert made.drain() == []
    made.handle_connected(now=0.3)
    (send,) = made.drain()
    assert isinstance(send, Send)
    assert sequences(send.entries) == [2, 3, 4]


def test_confirming_more_than_was_sent_is_an_error() -> None:
    made = connected()
    made.submit(EVENT, now=0.0, wall=WALL)
    with pytest.raises(RemoteError, match="more was confirmed"):
        made.handle_acked([0, 1], now=0.1)


def test_the_queue_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail_module, "MAX_WAITING", 3)
    made = trail()
    for _ in range(3):
        made.submit(EVENT, now=0.0, wall=WALL)
    with pytest.raises(AuditError) as caught:
        made.submit(EVENT, now=0.0, wall=WALL)
    assert caught.value.code == "audit_unavailable"


def test_the_window_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail_module, "MAX_WINDOW", 2)
    made = connected()
    for _ in range(5):
        made.submit(EVENT, now=0.0, wall=WALL)
    sent = [n for each in made.drain() if isinstance(each, Send) for n in sequences(each.entries)]
    assert sent == [1, 2]
    made.handle_acked([0], now=0.1)
    _, send = made.drain()
    assert isinstance(send, Send)
    assert sequences(send.entries) == [3]


def test_time_never_runs_backwards_in_a_source() -> None:
    made = connected()
    for wall in (WALL, WALL - 3600, WALL + 1):
        made.submit(EVENT, now=0.0, wall=wall)
    entries = [e for each in made.drain() if isinstance(each, Send) for e in each.entries]
    times = [decode(entry).time for entry in entries]
    assert times == [1_700_000_000_000_000, 1_700_000_000_000_000, 1_700_000_001_000_000]


def test_the_spool_takes_over_when_nothing_is_confirmed() -> None:
    made = connected(FailMode.SPOOL)
    first = made.submit(EVENT, now=0.0, wall=WALL)
    made.drain()
    assert made.next_deadline() == 0.25
    made.handle_timeout(now=0.25, wall=WALL)
    reconnect, store = made.drain()
    assert isinstance(reconnect, Reconnect)
    assert isinstance(store, Store)
    assert sequences(store.entries) == [1]
    second = made.submit(EVENT, now=0.3, wall=WALL)
    assert made.drain() == []  # one store at a time
    made.handle_stored(now=0.4)
    settled, store = made.drain()
    assert settled == Settled(first, Receipt(1, None))
    assert isinstance(store, Store)
    made.handle_stored(now=0.5)
    assert made.drain() == [Settled(second, Receipt(2, None))]
    assert made.backlog == 2


def test_the_spool_is_emptied_before_anything_new_is_sent() -> None:
    made = trail(FailMode.SPOOL, spooled=3)
    made.handle_connected(now=0.0)
    assert made.drain() == [Load(0, 3)]
    made.submit(EVENT, now=0.0, wall=WALL)
    assert made.next_deadline() == 0.25
    made.handle_loaded([b"a", b"b"], made.generation, now=0.1)
    assert made.drain() == [Send((b"a", b"b")), Load(2, 1)]
    made.handle_loaded([b"c"], made.generation, now=0.1)
    made.handle_acked([0, 1, 2], now=0.2)
    load, discard, send = made.drain()
    assert load == Send((b"c",))
    assert discard == Discard(3)
    assert isinstance(send, Send)
    assert sequences(send.entries) == [1]


def test_while_a_long_spool_is_emptied_new_events_go_to_its_end() -> None:
    made = trail(FailMode.SPOOL, spooled=5000)
    made.handle_connected(now=0.0)
    ticket = made.submit(EVENT, now=0.0, wall=WALL)
    assert made.drain() == [Load(0, 4096)]
    made.handle_timeout(now=0.25, wall=WALL)
    (store,) = made.drain()
    assert isinstance(store, Store)
    made.handle_stored(now=0.3)
    assert made.drain() == [Settled(ticket, Receipt(1, None))]


def test_a_load_for_an_earlier_connection_is_not_sent() -> None:
    made = trail(FailMode.SPOOL, spooled=1)
    made.handle_connected(now=0.0)
    before = made.generation
    made.drain()
    made.handle_disconnected(now=0.1)
    made.handle_connected(now=0.2)
    assert made.drain() == []
    made.handle_loaded([b"a"], before, now=0.3)
    assert made.drain() == [Load(0, 1)]


def test_a_full_spool_refuses_and_is_tried_again_later() -> None:
    made = trail(FailMode.SPOOL)
    ticket = made.submit(EVENT, now=0.0, wall=WALL)
    made.handle_timeout(now=0.25, wall=WALL)
    (store,) = made.drain()
    assert isinstance(store, Store)
    made.handle_store_failed(now=0.3, wall=WALL)
    assert made.drain() == [Settled(ticket, None, "audit_unavailable")]
    assert made.next_deadline() == 1.3
    made.handle_timeout(now=1.3, wall=WALL)
    (store,) = made.drain()
    assert isinstance(store, Store)
    kinds = [decode(entry).event.kind for entry in store.entries]
    assert kinds == ["custom_recorded", "act_abandoned"]


def test_limits_are_seconds_that_somebody_may_change() -> None:
    assert dataclasses.replace(Limits(), timeout=1.0) == Limits(1.0, 0.25)


def test_an_entry_that_the_log_never_takes_refuses_its_act_and_lets_the_others_go_on() -> None:
    made = connected()
    poisoned = made.submit(EVENT, now=0.0, wall=WALL)
    second = made.submit(EVENT, now=0.0, wall=WALL)
    made.drain()
    assert made.handle_refused("entry_malformed")
    assert made.drain() == [Settled(poisoned, None, "audit_refused")]
    made.handle_disconnected(now=0.1)
    made.handle_connected(now=0.2)
    (send,) = made.drain()
    assert isinstance(send, Send)
    assert sequences(send.entries) == [1, 2]  # without a gap: its number says what became of it
    instead = decode(send.entries[0]).event
    assert isinstance(instead, ActAbandoned)
    assert (instead.sequence, instead.why.reason) == (1, "entry_malformed")
    made.handle_acked([7, 8], now=0.3)
    assert made.drain() == [Settled(second, Receipt(2, 8))]


def test_a_log_that_takes_nothing_is_not_asked_again_at_once() -> None:
    made = connected()
    made.submit(EVENT, now=0.0, wall=WALL)
    assert made.handle_refused("entry_malformed")
    made.handle_disconnected(now=0.1)
    made.handle_connected(now=0.2)
    made.drain()
    assert not made.handle_refused("entry_malformed")
    assert made.drain() == []


@pytest.mark.parametrize("code", ["log_full", "too_many_connections", "anything"])
def test_refusals_that_say_nothing_about_the_entry_leave_it_in_place(code: str) -> None:
    made = connected()
    made.submit(EVENT, now=0.0, wall=WALL)
    made.drain()
    assert not made.handle_refused(code)
    made.handle_disconnected(now=0.1)
    made.handle_connected(now=0.2)
    (send,) = made.drain()
    assert isinstance(send, Send)
    assert decode(send.entries[0]).event == EVENT


@pytest.mark.parametrize("code", ["entry_malformed", "sequence_gap"])
def test_a_refused_entry_of_the_spool_is_moved_out_of_the_way(code: str) -> None:
    made = trail(FailMode.SPOOL, spooled=2)
    made.handle_connected(now=0.0)
    made.drain()
    made.handle_loaded([b"first", b"second"], made.generation, now=0.0)
    made.drain()
    assert made.handle_refused(code)
    assert made.drain() == [SetAside()]
    assert made.backlog == 1
    made.handle_disconnected(now=0.1)
    made.handle_connected(now=0.2)
    assert made.drain() == [Load(0, 1)]


def test_a_log_that_has_lost_a_source_gets_another_one() -> None:
    made = connected()
    made.submit(EVENT, now=0.0, wall=WALL)
    made.handle_acked([0], now=0.1)
    ticket = made.submit(EVENT, now=0.2, wall=WALL)
    made.drain()
    assert made.handle_refused("sequence_gap")
    made.handle_disconnected(now=0.3)
    made.handle_connected(now=0.4)
    (send,) = made.drain()
    assert isinstance(send, Send)
    record = decode(send.entries[0])
    assert (record.source, record.sequence) == ("pop-1/server/5f3a.1", 1)
    made.handle_acked([0], now=0.5)
    assert made.drain() == [Settled(ticket, Receipt(1, 0))]


def test_notes_are_never_refused_and_never_expire() -> None:
    made = trail()
    made.note(EVENT, now=0.0, wall=WALL)
    made.handle_timeout(now=1000.0, wall=WALL)
    assert (made.backlog, made.next_deadline()) == (1, math.inf)
    made.handle_connected(now=1000.0)
    (send,) = made.drain()
    assert isinstance(send, Send)
    made.handle_acked([0], now=1000.1)
    assert (made.backlog, made.drain()) == (0, [])


def test_notes_have_a_bound_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail_module, "MAX_NOTES", 2)
    made = trail()
    made.note(EVENT, now=0.0, wall=WALL)
    made.note(EVENT, now=0.0, wall=WALL)
    with pytest.raises(AuditError, match="cannot be reached"):
        made.note(EVENT, now=0.0, wall=WALL)


def test_what_is_not_in_the_log_at_the_end_goes_to_the_spool_in_either_mode() -> None:
    made = trail()
    made.note(EVENT, now=0.0, wall=WALL)
    assert made.undelivered == 1
    made.handle_closing(now=0.1, wall=WALL)
    (store,) = made.drain()
    assert isinstance(store, Store)
    made.handle_stored(now=0.2)
    assert (made.undelivered, made.backlog) == (0, 1)


def test_the_lag_is_the_age_of_the_oldest_event_that_is_not_in_the_log() -> None:
    made = trail(FailMode.SPOOL)
    assert made.lag(5.0) == 0.0
    made.note(EVENT, now=5.0, wall=WALL)
    assert made.lag(5.2) == pytest.approx(0.2)
    made.handle_timeout(now=5.25, wall=WALL)
    made.handle_stored(now=5.3)
    assert made.spooled == 1
    assert made.lag(15.0) == pytest.approx(10.0)
    made.handle_connected(now=15.0)
    made.drain()
    made.handle_loaded([b"entry"], made.generation, now=15.0)
    made.handle_acked([0], now=15.1)
    assert (made.spooled, made.lag(16.0)) == (0, 0.0)


def test_the_spool_of_an_earlier_run_ages_from_when_this_one_looks() -> None:
    made = trail(FailMode.SPOOL, spooled=3)
    assert made.lag(100.0) == 0.0
    assert made.lag(107.0) == 7.0


def test_acts_behind_many_notes_are_refused_in_time() -> None:
    made = trail()
    for _ in range(100):
        made.note(EVENT, now=0.0, wall=WALL)
    ticket = made.submit(EVENT, now=1.0, wall=WALL)
    assert made.next_deadline() == 3.0
    made.handle_timeout(now=3.0, wall=WALL)
    assert made.drain() == [Settled(ticket, None, "audit_unavailable")]
    assert (made.backlog, made.next_deadline()) == (100, math.inf)
