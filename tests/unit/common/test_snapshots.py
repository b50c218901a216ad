"""Snapshots cross the socket unchanged; anything else is refused by name."""

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import LocalError, RemoteError
from common.snapshots import (
    MAX_FRAME,
    Buckets,
    Exemplar,
    FrameReader,
    Snapshot,
    decode,
    encode,
)

WORDS = st.text(max_size=8)
NUMBERS = st.integers(0, 2**60) | st.floats(allow_nan=False, allow_infinity=False)
EXEMPLARS = st.builds(Exemplar, st.integers(0, 9), NUMBERS, WORDS, NUMBERS)
BUCKETS = st.builds(
    Buckets,
    st.lists(st.integers(0, 2**60), min_size=1, max_size=9).map(tuple),
    NUMBERS,
    st.lists(EXEMPLARS, max_size=3).map(tuple),
)
SAMPLES = st.tuples(st.lists(WORDS, max_size=3).map(tuple), NUMBERS | BUCKETS)
SNAPSHOTS = st.builds(
    Snapshot, WORDS, st.dictionaries(WORDS, st.lists(SAMPLES, max_size=3), max_size=3)
)
ONE = Snapshot("a", {"m": [(("x",), 1), ((), Buckets((1, 2), 0.5, (Exemplar(0, 0.1, "r", 9.0),)))]})


def refused(document: Any) -> str:
    with pytest.raises(RemoteError) as caught:
        decode(document if isinstance(document, bytes) else json.dumps(document).encode())
    return caught.value.code


@given(SNAPSHOTS)
def test_a_snapshot_arrives_as_it_left(snapshot: Snapshot) -> None:
    (body,) = FrameReader().feed(encode(snapshot))
    assert decode(body) == snapshot


@given(st.lists(st.integers(1, 40), min_size=1))
def test_frames_are_cut_out_of_a_stream_however_it_arrives(sizes: list[int]) -> None:
    stream = encode(ONE) * 3
    reader = FrameReader()
    bodies: list[bytes] = []
    while stream:
        for size in sizes:
            bodies += reader.feed(stream[:size])
            stream = stream[size:]
    assert [decode(body) for body in bodies] == [ONE] * 3


def test_a_body_that_was_cut_is_malformed_at_every_length() -> None:
    body = encode(ONE)[4:]
    assert {refused(body[:length]) for length in range(len(body))} == {"snapshot_malformed"}


@given(st.recursive(st.none() | st.booleans() | NUMBERS | WORDS, st.lists, max_leaves=8))
def test_no_sample_crashes_the_reader(sample: Any) -> None:
    document = {"version": 1, "node": "a", "series": {"m": [sample]}}
    body = json.dumps(document).encode()
    try:
        assert decode(body).node == "a"
    except RemoteError:
        assert refused(body) == "snapshot_malformed"


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"version": 2, "node": "a", "series": {}}, "protocol_version"),
        ({"version": True, "node": "a", "series": {}}, "protocol_version"),
        ({"version": 1.0, "node": "a", "series": {}}, "protocol_version"),
        ({"version": 1, "node": 5, "series": {}}, "snapshot_malformed"),
        ({"version": 1, "node": "a", "series": []}, "snapshot_malformed"),
        ({"version": 1, "node": "a", "series": {"m": {}}}, "snapshot_malformed"),
        ({"version": 1, "node": "a", "series": {"m": [[[], True]]}}, "snapshot_malformed"),
        ({"version": 1, "node": "a", "series": {"m": [[[], [[-1], 0, []]]]}}, "snapshot_malformed"),
        (b'{"version":1,"node":"a","series":{"m":[[[],NaN]]}}', "snapshot_malformed"),
        ([], "snapshot_malformed"),
    ],
)
def test_what_is_no_snapshot_is_refused_by_name(document: Any, code: str) -> None:
    assert refused(document) == code


def test_a_frame_beyond_its_bound_is_refused_at_both_ends() -> None:
    with pytest.raises(RemoteError) as caught:
        list(FrameReader().feed(struct.pack("!I", MAX_FRAME + 1)))
    assert caught.value.code == "frame_too_long"
    with pytest.raises(LocalError) as local:
        encode(Snapshot("x" * MAX_FRAME, {}))
    assert local.value.code == "frame_too_long"
