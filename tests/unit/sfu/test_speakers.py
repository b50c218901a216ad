import pytest

from common.ids import TrackId
from sfu.dataplane import AudioLevel
from sfu.speakers import Speakers

A, B = TrackId(1), TrackId(2)


def loud(track: TrackId, dbov: int = 20, active: int = 10, packets: int = 10) -> AudioLevel:
    return AudioLevel(track, dbov, dbov, active, packets)


def window(speakers: Speakers, *levels: AudioLevel) -> dict[TrackId, float]:
    speakers.observe(levels)
    return dict(speakers.close_window())


def test_a_speaker_is_told_once_and_its_silence_once() -> None:
    speakers = Speakers()
    changes = window(speakers, loud(A))
    assert changes == {A: 0.125}
    assert window(speakers, loud(A)) == {}
    assert window(speakers, AudioLevel(A, 90, 127, 0, 10)) == {A: 0.0}
    assert speakers.idle


def test_two_reports_of_one_window_are_added() -> None:
    speakers = Speakers()
    speakers.observe([loud(A, 3, 1, 10)])
    speakers.observe([loud(A, 3, 9, 10)])
    assert dict(speakers.close_window())[A] > 0


@pytest.mark.parametrize(("active", "speaks"), [(3, False), (4, True), (10, True)])
def test_two_fifths_of_a_window_must_be_loud(active: int, speaks: bool) -> None:
    assert bool(window(Speakers(), loud(A, 10, active, 10))) is speaks


def test_a_louder_speaker_has_the_higher_level() -> None:
    changes = window(Speakers(), loud(A, 5), loud(B, 25))
    assert changes[A] > changes[B] > 0


def test_levels_rise_smoothly_and_never_exceed_one() -> None:
    speakers = Speakers()
    first = window(speakers, loud(A, 0))[A]
    second = window(speakers, loud(A, 0))[A]
    assert 0 < first < second <= 1


def test_a_short_share_of_speech_lowers_the_level() -> None:
    full = window(Speakers(), loud(A, 0, 10, 10))[A]
    partial = window(Speakers(), loud(A, 0, 4, 10))[A]
    assert partial < full


def test_a_window_without_packets_ends_the_speech() -> None:
    speakers = Speakers()
    window(speakers, loud(A))
    assert window(speakers) == {A: 0.0}


def test_forgetting_tells_whether_the_track_was_heard() -> None:
    speakers = Speakers()
    window(speakers, loud(A))
    assert speakers.forget(A)
    assert not speakers.forget(A)
    assert window(speakers) == {}


def test_rows_are_used_again_after_a_thousand_tracks() -> None:
    speakers = Speakers()
    for number in range(1000):
        window(speakers, loud(TrackId(number)))
        window(speakers)
    assert len(speakers._tracks) <= 128


def test_many_tracks_are_measured_together() -> None:
    changes = window(Speakers(), *(loud(TrackId(n), 10 + n % 20) for n in range(200)))
    assert len(changes) == 200
