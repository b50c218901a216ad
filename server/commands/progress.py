"""What `conclave publish` tells while it sends: position, bit rate per layer, round trip, viewers' wishes.

In: the senders of the layers, the time. Out: a line for people, facts for machines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.probe.layers import LayerSender


@dataclass(frozen=True, slots=True)
class LayerRate:
    """One layer since the last report."""

    rid: str
    width: int
    height: int
    pictures: float  # a second
    bitrate: float  # bit/s of payload


@dataclass(frozen=True, slots=True)
class Report:
    """One moment of publishing."""

    elapsed: float  # seconds since it started
    position: float  # seconds of the source
    round_trip: float | None  # seconds
    keyframes_asked: int  # by viewers and by the server for them, since it started
    layers: tuple[LayerRate, ...]

    @property
    def text(self) -> str:
        """A line of a terminal's width, as far as the layers allow."""
        parts = [_clock(self.elapsed)]
        if self.layers:
            parts.append(f"at {_clock(self.position)}")
            parts.append(f"{max(one.pictures for one in self.layers):.0f}/s")
        parts += [
            f"{one.width}x{one.height} {one.bitrate / 1000:.0f} kbit/s" for one in self.layers
        ]
        if self.round_trip is not None:
            parts.append(f"round trip {self.round_trip * 1000:.0f} ms")
        if self.layers:
            parts.append(f"key frames asked {self.keyframes_asked}")
        return "  ".join(parts)

    @property
    def facts(self) -> dict[str, object]:
        """The same in numbers: seconds, bit/s, pixels."""
        return {
            "event": "progress",
            "elapsed": round(self.elapsed, 1),
            "position": round(self.position, 2),
            "round_trip": None if self.round_trip is None else round(self.round_trip, 4),
            "keyframes_asked": self.keyframes_asked,
            "layers": [
                {
                    "rid": one.rid,
                    "width": one.width,
                    "height": one.height,
                    "pictures_per_second": round(one.pictures, 1),
                    "bitrate": round(one.bitrate),
                }
                for one in self.layers
            ],
        }


class Progress:
    """Turns counters of senders into rates."""

    def __init__(self, senders: Sequence[LayerSender], now: float) -> None:
        """`now` is the start."""
        self._senders = senders
        self._started = now
        self._before = now
        self._bytes = [0] * len(senders)
        self._pictures = [0] * len(senders)

    async def report(self, now: float) -> Report:
        """What happened since the last report, or since the start."""
        seconds = max(now - self._before, 1e-6)
        sent = [await sender.bytes_sent() for sender in self._senders]
        pictures = [sender.pictures for sender in self._senders]
        trips = [await sender.round_trip() for sender in self._senders]
        layers = tuple(
            LayerRate(
                rid=sender.layer.rid,
                width=sender.width,
                height=sender.height,
                pictures=(pictures[index] - self._pictures[index]) / seconds,
                bitrate=(sent[index] - self._bytes[index]) * 8 / seconds,
            )
            for index, sender in enumerate(self._senders)
        )
        self._before, self._bytes, self._pictures = now, sent, pictures
        return Report(
            elapsed=now - self._started,
            position=max((sender.position for sender in self._senders), default=0.0),
            round_trip=min((trip for trip in trips if trip is not None), default=None),
            keyframes_asked=sum(sender.keyframes_asked for sender in self._senders),
            layers=layers,
        )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"
