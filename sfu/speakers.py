"""Who speaks, how loud: reports of packet loudness in, changed levels out. Pure; all rooms at once, in arrays.

The measure is LiveKit's: a window counts as speech if enough of its packets are loud; its level is the loudest
one, lowered by how little of the window was loud; levels are smoothed and told in eighths.
"""

from collections.abc import Sequence

import numpy as np

from common.ids import TrackId
from sfu.dataplane import AudioLevel

ACTIVE_SHARE = 0.4  # of the packets of a window must be at or above -35 dBov
SMOOTHING = 2 / (2 + 1)  # exponential, over two windows
STEPS = 8  # levels are told in eighths, so that noise does not flood clients
SILENCE_DBOV = 127
GROWTH = 64  # rows


class Speakers:
    """The windows and levels of every audio track that was heard lately."""

    def __init__(self) -> None:
        """Knows no track."""
        self._rows: dict[TrackId, int] = {}
        self._free: list[int] = []
        self._tracks = np.zeros(0, dtype=np.int64)
        self._loudest = np.zeros(0)
        self._active = np.zeros(0)
        self._packets = np.zeros(0)
        self._smoothed = np.zeros(0)
        self._told = np.zeros(0)

    def observe(self, levels: Sequence[AudioLevel]) -> None:
        """Adds a report to the running window."""
        for level in levels:
            if level.track not in self._rows:
                self._add(level.track)
        rows = np.array([self._rows[level.track] for level in levels], dtype=np.int64)
        if not len(rows):
            return
        values = np.array([(one.loudest, one.active, one.packets) for one in levels], dtype=float)
        self._loudest[rows] = np.minimum(self._loudest[rows], values[:, 0])
        self._active[rows] += values[:, 1]
        self._packets[rows] += values[:, 2]

    def close_window(self) -> list[tuple[TrackId, float]]:
        """Ends the window: the tracks whose level changed, 0 to 1. Tracks gone silent are forgotten."""
        share = self._active / np.maximum(self._packets, 1)
        speaking = share >= ACTIVE_SHARE
        level = self._loudest - 20 * np.log10(np.where(speaking, share, 1))
        linear = np.where(speaking, 10 ** (-level / 20), 0)
        smoothed = self._smoothed + SMOOTHING * (linear - self._smoothed)
        self._smoothed = np.where(speaking, smoothed, 0)
        told = np.minimum(np.ceil(self._smoothed * STEPS) / STEPS, 1)
        changed = np.flatnonzero(told != self._told)
        self._told = told
        result = [(TrackId(int(self._tracks[row])), float(told[row])) for row in changed]
        for track in [track for track, row in self._rows.items() if told[row] == 0]:
            self.forget(track)
        self._loudest[:] = SILENCE_DBOV
        self._active[:] = 0
        self._packets[:] = 0
        return result

    def forget(self, track: TrackId) -> bool:
        """Drops a track; whether it was being told as speaking."""
        row = self._rows.pop(track, None)
        if row is None:
            return False
        told = bool(self._told[row])
        self._reset(row)
        self._free.append(row)
        return told

    @property
    def idle(self) -> bool:
        """Whether no track is followed."""
        return not self._rows

    def _add(self, track: TrackId) -> None:
        if not self._free:
            self._grow()
        row = self._free.pop()
        self._reset(row)
        self._rows[track] = row
        self._tracks[row] = track

    def _reset(self, row: int) -> None:
        self._loudest[row] = SILENCE_DBOV
        for values in (self._active, self._packets, self._smoothed, self._told):
            values[row] = 0

    def _grow(self) -> None:
        old = len(self._tracks)
        self._free.extend(range(old, old + GROWTH))
        self._tracks = np.append(self._tracks, np.zeros(GROWTH, dtype=np.int64))
        self._loudest = np.append(self._loudest, np.full(GROWTH, float(SILENCE_DBOV)))
        self._active = np.append(self._active, np.zeros(GROWTH))
        self._packets = np.append(self._packets, np.zeros(GROWTH))
        self._smoothed = np.append(self._smoothed, np.zeros(GROWTH))
        self._told = np.append(self._told, np.zeros(GROWTH))
