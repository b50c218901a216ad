"""Frames survive any cutting of the stream, and nothing else passes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import RemoteError
from compliance.wire import (
    MAX_FRAME,
    Frame,
    FrameReader,
    FrameType,
    acked,
    hello,
    parse_acked,
    parse_prove,
    prove,
)

frames = st.builds(Frame, st.sampled_from(FrameType), st.binary(max_size=300))


@given(st.lists(frames, max_size=5), st.lists(st.integers(1, 40), min_size=1))
def test_frames_survive_any_cutting(sent: list[Frame], cuts: list[int]) -> None:
    stream = b"".join(frame.encode() for frame in sent)
    reader = FrameReader()
    received: list[Frame] = []
    turn = 0
    while stream:
        length = cuts[turn % len(cuts)]
        received += reader.feed(stream[:length])
        stream = stream[length:]
        turn += 1
    assert received == sent


@given(st.binary(max_size=100))
def test_arbitrary_bytes_are_frames_or_refused(data: bytes) -> None:
    try:
        seen = FrameReader().feed(data)
    except RemoteError as error:
        seen = []
        code = error.code
        assert code == "frame_malformed"
    assert data.startswith(b"".join(frame.encode() for frame in seen))


@pytest.mark.parametrize(
    "head",
    [b"\0\0\0\0\1", b"\0\0\0\2\0", b"\0\0\0\2\x63", (MAX_FRAME + 1).to_bytes(4, "big") + b"\2"],
)
def test_a_wrong_length_or_type_is_refused_before_the_body_comes(head: bytes) -> None:
    with pytest.raises(RemoteError, match="wrong length or type"):
        FrameReader().feed(head)


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20))
def test_confirmations_survive(indexes: list[int]) -> None:
    assert parse_acked(acked(indexes).body) == indexes


@pytest.mark.parametrize("length", [0, 1, 7, 9, 15])
def test_confirmations_of_odd_length_are_refused(length: int) -> None:
    with pytest.raises(RemoteError):
        parse_acked(b"\0" * length)


@pytest.mark.parametrize("length", [0, 7, 9, 16])
def test_a_request_for_a_receipt_holds_one_index(length: int) -> None:
    with pytest.raises(RemoteError):
        parse_prove(b"\0" * length)
    assert parse_prove(prove(length).body) == length


def test_a_connection_opens_with_the_version() -> None:
    assert hello() == Frame(FrameType.HELLO, b"\1")
