from itertools import pairwise

import pytest

from sfu.quality import QualityState, StreamWindow, mean_opinion, stream_score


def window(lost: int = 0, rtt: float = 0, jitter: float = 0, kind: str = "video") -> StreamWindow:
    return StreamWindow(kind, 5.0, 500 - lost, lost, rtt, jitter)


def test_a_clean_window_is_perfect() -> None:
    assert stream_score(window()) == 100


def test_no_packets_say_nothing() -> None:
    assert stream_score(StreamWindow("video", 5.0, 0, 0)) == 100


@pytest.mark.parametrize("values", [(0, 5, 10, 50, 200, 500)])
def test_more_loss_is_never_better(values: tuple[int, ...]) -> None:
    scores = [stream_score(window(lost=lost)) for lost in values]
    assert all(left >= right for left, right in pairwise(scores))
    assert scores[-1] == 0


def test_more_delay_and_jitter_are_never_better() -> None:
    values = (0.0, 50.0, 200.0, 500.0, 2000.0)
    for windows in ([window(rtt=one) for one in values], [window(jitter=one) for one in values]):
        scores = [stream_score(one) for one in windows]
        assert all(left >= right for left, right in pairwise(scores))
        assert scores[0] > scores[-1]


def test_one_lost_packet_in_silence_is_not_poor() -> None:
    silence = StreamWindow("audio", 5.0, 12, 1)
    speech = StreamWindow("audio", 5.0, 230, 20)
    assert stream_score(silence) > 60
    assert stream_score(speech) < stream_score(silence)


def test_opinions_span_one_to_four_and_a_half() -> None:
    assert mean_opinion(0) == 1
    assert mean_opinion(100) == 4.5
    assert 1 < mean_opinion(50) < 4.5


def test_heavy_loss_shows_within_two_windows_and_recovers_within_five() -> None:
    state = QualityState()
    assert state.update(100.0) == ("excellent", 4.5)
    words = [change[0] for change in (state.update(0.0), state.update(0.0)) if change]
    assert words[-1] == "poor"
    words = [change[0] for change in (state.update(100.0) for _ in range(5)) if change]
    assert words == ["good", "excellent"]


def test_an_unchanged_word_is_not_told_again() -> None:
    state = QualityState()
    state.update(100.0)
    assert state.update(99.0) is None


def test_lost_is_said_only_on_purpose_and_never_by_loss() -> None:
    state = QualityState()
    for _ in range(20):
        change = state.update(0.0)
        assert change is None or change[0] != "lost"
    lost = state.update(None)
    assert lost is not None
    assert lost[0] == "lost"
