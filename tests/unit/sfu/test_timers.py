from sfu.timers import Timers


def test_due_actions_run_oldest_first() -> None:
    timers, ran = Timers(), []
    timers.arm("b", 2.0, lambda: ran.append("b"))
    timers.arm("a", 1.0, lambda: ran.append("a"))
    timers.arm("c", 3.0, lambda: ran.append("c"))
    timers.handle_timeout(2.0)
    assert ran == ["a", "b"]
    assert timers.next_timeout() == 3.0


def test_arming_again_moves_a_timer() -> None:
    timers, ran = Timers(), []
    timers.arm("key", 1.0, lambda: ran.append("early"))
    timers.arm("key", 5.0, lambda: ran.append("late"))
    timers.handle_timeout(4.0)
    assert ran == []
    assert timers.next_timeout() == 5.0
    timers.handle_timeout(5.0)
    assert ran == ["late"]
    assert timers.next_timeout() is None


def test_a_disarmed_timer_does_not_run() -> None:
    timers, ran = Timers(), []
    timers.arm("key", 1.0, lambda: ran.append("key"))
    timers.disarm("key")
    assert not timers.armed("key")
    timers.handle_timeout(2.0)
    assert ran == []


def test_an_action_that_disarms_another_due_one_wins() -> None:
    timers, ran = Timers(), []
    timers.arm("first", 1.0, lambda: timers.disarm("second"))
    timers.arm("second", 1.5, lambda: ran.append("second"))
    timers.handle_timeout(2.0)
    assert ran == []


def test_what_an_action_arms_runs_at_a_later_call() -> None:
    timers, ran = Timers(), []
    timers.arm("first", 1.0, lambda: timers.arm("again", 1.0, lambda: ran.append("again")))
    timers.handle_timeout(1.0)
    assert ran == []
    timers.handle_timeout(1.0)
    assert ran == ["again"]


def test_moving_a_timer_ten_thousand_times_keeps_the_heap_small() -> None:
    timers = Timers()
    for step in range(10_000):
        timers.arm("key", float(step), lambda: None)
    assert len(timers._heap) < 100
    assert timers.next_timeout() == 9_999.0
