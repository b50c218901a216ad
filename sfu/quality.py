"""The quality of a connection as a number and a word. Pure: what happened in a window in, a score out.

The shape is LiveKit's scorer: delay and loss lower a score of 100, which is smoothed and becomes a mean opinion
score (ITU-T G.107 annex B).
"""

from dataclasses import dataclass

LOSS_WEIGHT = {"audio": 8.0, "video": 10.0}  # points for one percent
EXPECTED_AUDIO_RATE = (
    50.0  # packets a second; silence sends fewer, and one loss of few means little
)
RISE, FALL = 0.4, 0.8  # smoothing
FLOOR = 30.0
LOST_SCORE = 20.0
THRESHOLDS = ((80.0, "excellent"), (40.0, "good"), (LOST_SCORE, "poor"))


@dataclass(frozen=True, slots=True)
class StreamWindow:
    """One track or leg over a window."""

    kind: str  # "audio" or "video"
    seconds: float
    packets: int
    lost: int
    rtt_ms: float = 0.0
    jitter_ms: float = 0.0


def stream_score(window: StreamWindow) -> float:
    """0 to 100; a window without packets says nothing against the network."""
    total = window.packets + window.lost
    if total <= 0:
        return 100.0
    distance = window.rtt_ms / 2 + 2 * window.jitter_ms
    delay = distance / 40 if distance <= 160 else (distance - 120) / 10
    weight = LOSS_WEIGHT.get(window.kind, LOSS_WEIGHT["video"])
    if window.kind == "audio" and window.seconds > 0:
        weight *= min(1.0, total / window.seconds / EXPECTED_AUDIO_RATE) ** 0.5
    loss = 100 * window.lost / total
    return min(100.0, max(0.0, 100 - delay - weight * loss))


def mean_opinion(score: float) -> float:
    """1 (bad) to 4.5 (transparent)."""
    return min(4.5, 1 + 0.035 * score + 7e-6 * score * (score - 60) * (100 - score))


class QualityState:
    """The smoothed score of one participant."""

    def __init__(self) -> None:
        """Starts excellent."""
        self._score = 100.0
        self.word = ""  # as it was told last

    def update(self, score: float | None) -> tuple[str, float] | None:
        """Takes a window's score, None for lost; returns (word, mean opinion score) if the word changed."""
        if score is None:
            self._score = LOST_SCORE
        else:
            speed = RISE if score > self._score else FALL
            self._score = max(FLOOR, self._score + speed * (score - self._score))
        word = next((name for limit, name in THRESHOLDS if self._score > limit), "lost")
        if word == self.word:
            return None
        self.word = word
        return word, mean_opinion(self._score)
