"""A server's numbers on their way to the sidecar: one frame a second, checked before anything believes it.

In: numbers by metric, bytes of the socket. Out: frames, or RemoteError: frame_too_long, protocol_version,
snapshot_malformed. Must not: know what the numbers mean; that is `common.contract`.

A frame is four bytes of length, big-endian, and a JSON object: `version`, `node`, and `series`, which maps a
metric's name to a list of [label values, number], or [label values, [counts per bucket, sum, exemplars]].
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from common.errors import LocalError, RemoteError

VERSION: Final = 1
MAX_FRAME: Final = 1 << 20  # bytes; a server with 64 lanes needs half of it
MAX_LABELS: Final = 8  # of one series
MAX_BUCKETS: Final = 64  # of one histogram
MAX_EXEMPLARS: Final = 64  # of one series: one for each bucket
_LENGTH: Final = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One of the values that a bucket counts, and a room's pseudonym to find it again."""

    bucket: int  # index
    value: float
    room: str
    at: float  # seconds since 1970


@dataclass(frozen=True, slots=True)
class Buckets:
    """A histogram: how many values fell into each bucket, the last one above all bounds."""

    counts: tuple[int, ...]
    sum: float
    exemplars: tuple[Exemplar, ...] = ()


Sample = tuple[tuple[str, ...], float | Buckets]  # values of the metric's labels, value
Series = Mapping[str, Sequence[Sample]]  # by name of the metric


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that a server counts, at one moment."""

    node: str
    series: Series


def encode(snapshot: Snapshot) -> bytes:
    """The frame. Raises LocalError `frame_too_long`."""
    document = {"version": VERSION, "node": snapshot.node, "series": _plain(snapshot.series)}
    body = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    if len(body) > MAX_FRAME:
        raise LocalError("frame_too_long", f"a snapshot of {len(body)} bytes")
    return _LENGTH.pack(len(body)) + body


def decode(body: bytes) -> Snapshot:
    """A frame's body. Raises RemoteError."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RemoteError("snapshot_malformed", "the snapshot is no JSON") from error
    if not isinstance(document, dict):
        raise RemoteError("snapshot_malformed", "the snapshot is no object")
    version = document.get("version")
    if type(version) is not int or version != VERSION:  # `true` and 1.0 equal one, and are none
        raise RemoteError("protocol_version", "the server speaks another version")
    node, series = document.get("node"), document.get("series")
    if not isinstance(node, str) or not isinstance(series, dict):
        raise RemoteError("snapshot_malformed", "the snapshot lacks its parts")
    return Snapshot(node, {name: _samples(samples) for name, samples in series.items()})


class FrameReader:
    """Cuts a stream of bytes into bodies."""

    def __init__(self) -> None:
        """Nothing has arrived."""
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Bodies that are complete now. Raises RemoteError `frame_too_long`."""
        self._data += data
        while len(self._data) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._data)
            if length > MAX_FRAME:
                raise RemoteError("frame_too_long", "a frame beyond its bound")
            end = _LENGTH.size + length
            if len(self._data) < end:
                return
            body = bytes(self._data[_LENGTH.size : end])
            del self._data[:end]
            yield body


def _plain(series: Series) -> dict[str, list[Any]]:
    return {
        name: [[labels, _plain_value(value)] for labels, value in samples]
        for name, samples in series.items()
    }


def _plain_value(value: float | Buckets) -> Any:
    if not isinstance(value, Buckets):
        return value
    exemplars = [(one.bucket, one.value, one.room, one.at) for one in value.exemplars]
    return [value.counts, value.sum, exemplars]


def _samples(samples: Any) -> list[Sample]:
    if not isinstance(samples, list):
        raise RemoteError("snapshot_malformed", "series are lists")
    return [_sample(sample) for sample in samples]


def _sample(sample: Any) -> Sample:
    match sample:
        case [list(labels), value] if len(labels) <= MAX_LABELS and _all(labels, str):
            return tuple(labels), _value(value)
    raise RemoteError("snapshot_malformed", "a series has labels and a value")


def _value(value: Any) -> float | Buckets:
    match value:
        case [list(counts), total, list(exemplars)] if (
            0 < len(counts) <= MAX_BUCKETS
            and all(type(count) is int and count >= 0 for count in counts)
            and _is_number(total)
            and len(exemplars) <= MAX_EXEMPLARS
        ):
            return Buckets(tuple(counts), total, tuple(map(_exemplar, exemplars)))
    if _is_number(value):
        number: float = value
        return number
    raise RemoteError("snapshot_malformed", "a value is a number or buckets")


def _exemplar(exemplar: Any) -> Exemplar:
    match exemplar:
        case [int(bucket), value, str(room), at] if _is_number(value) and _is_number(at):
            return Exemplar(bucket, value, room, at)
    raise RemoteError("snapshot_malformed", "an exemplar has a bucket, a value, a room and a time")


def _all(values: list[Any], kind: type) -> bool:
    return all(isinstance(value, kind) for value in values)


def _is_number(value: Any) -> bool:
    return type(value) is int or (type(value) is float and math.isfinite(value))
