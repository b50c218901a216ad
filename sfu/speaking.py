"""Tells rooms who speaks: closes the windows of `Speakers` in time and turns tracks into peers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from common.clock import Clock
from common.ids import PeerSid, TrackId
from sfu.dataplane import AudioLevel
from sfu.events import SfuEvent, SpeakersChanged
from sfu.limits import SPEAKER_INTERVAL
from sfu.owners import TrackOwner
from sfu.ports import PeerPort, RoomPort
from sfu.speakers import Speakers
from sfu.timers import Timers

KEY = ("speakers",)


class Speaking:
    """Active speakers of all rooms; idle while nobody is heard."""

    def __init__(
        self,
        tracks: Mapping[TrackId, TrackOwner],
        timers: Timers,
        clock: Clock,
        emit: Callable[[SfuEvent], None],
    ) -> None:
        """Nobody speaks; `tracks` are those that exist at any time."""
        self._tracks = tracks
        self._timers = timers
        self._clock = clock
        self._emit = emit
        self._speakers = Speakers()
        self._levels: dict[PeerSid, dict[TrackId, float]] = {}

    def handle_levels(self, levels: Sequence[AudioLevel]) -> None:
        """A report of the data plane; muted tracks don't count."""
        tracks = self._tracks
        audible = [
            level for level in levels if level.track in tracks and not tracks[level.track].muted
        ]
        self._speakers.observe(audible)
        if not self._speakers.idle and not self._timers.armed(KEY):
            self._arm()

    def forget(self, track: TrackId | None) -> None:
        """A track was muted or ended: silent at once."""
        if track is not None and self._speakers.forget(track):
            self._tell([(track, 0.0)])

    def _close_window(self) -> None:
        self._tell(self._speakers.close_window())
        if not self._speakers.idle:
            self._arm()

    def _arm(self) -> None:
        at = self._clock.now() + SPEAKER_INTERVAL
        self._timers.arm(KEY, at, self._close_window)

    def _tell(self, changes: Sequence[tuple[TrackId, float]]) -> None:
        """One event per room with the peers whose level changed."""
        rooms: dict[RoomPort, dict[PeerPort, float]] = {}
        for track, level in changes:
            owner = self._tracks.get(track)
            if owner is None:
                continue
            peer = owner.peer
            own = self._levels.setdefault(peer.sid, {})
            before = max(own.values(), default=0.0)
            own[track] = level
            if not level:
                del own[track]
            if not own:
                del self._levels[peer.sid]
            after = max(own.values(), default=0.0)
            if after != before:
                rooms.setdefault(peer.room, {})[peer] = after
        for room, speakers in rooms.items():
            self._emit(SpeakersChanged(room, tuple(speakers.items())))
