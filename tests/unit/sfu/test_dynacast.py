from sfu.dynacast import Dynacast
from sfu.limits import QUALITY_LOWER_DELAY, QUALITY_UNWATCHED_DELAY
from sfu.model import Quality

LOW, MEDIUM, HIGH, OFF = Quality.LOW, Quality.MEDIUM, Quality.HIGH, Quality.OFF


class Track:
    """A dynacast state with its timer in hand."""

    def __init__(self) -> None:
        self.told: list[Quality] = []
        self.delay: float | None = None
        self.state = Dynacast(schedule=self._schedule, cancel=self._cancel, tell=self.told.append)

    def expire(self) -> None:
        assert self.delay is not None
        self.delay = None
        self.state.handle_timeout()

    def _schedule(self, delay: float) -> None:
        self.delay = delay

    def _cancel(self) -> None:
        self.delay = None


def test_a_track_that_nobody_watches_is_switched_off_after_ten_seconds() -> None:
    track = Track()
    track.state.start()
    assert track.delay == QUALITY_UNWATCHED_DELAY
    track.expire()
    assert track.told == [OFF]


def test_raising_is_told_at_once() -> None:
    track = Track()
    track.state.start()
    track.expire()
    track.state.change(OFF, LOW)
    track.state.change(LOW, HIGH)
    assert track.told == [OFF, LOW, HIGH]
    assert track.delay is None


def test_lowering_waits_and_a_change_of_mind_cancels_it() -> None:
    track = Track()
    track.state.change(OFF, HIGH)
    track.state.change(HIGH, LOW)
    assert track.delay == QUALITY_LOWER_DELAY
    track.state.change(LOW, HIGH)
    assert track.delay is None
    assert track.told == []


def test_lowering_tells_what_is_wanted_when_the_delay_is_over() -> None:
    track = Track()
    track.state.change(OFF, HIGH)
    track.state.change(OFF, MEDIUM)
    track.state.change(HIGH, LOW)
    track.expire()
    assert track.told == [MEDIUM]
    track.state.change(MEDIUM, OFF)
    track.expire()
    assert track.told == [MEDIUM, LOW]


def test_the_last_subscriber_leaving_switches_off() -> None:
    track = Track()
    track.state.change(OFF, HIGH)
    track.state.change(HIGH, OFF)
    track.expire()
    assert track.told == [OFF]
