"""Frames: arbitrary input is a request or a refusal with a name, never another exception."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models, rtc

from signalling.limits import MAX_SIGNAL_MESSAGE
from signalling.wire import REQUEST_KINDS, Outbound, decode_request, kind_of
from tests.support.outcomes import refusal_of

OFFER = rtc.SignalRequest(offer=rtc.SessionDescription(type="offer", sdp="v=0", id=3))


def test_binary_and_text_frames_mean_the_same() -> None:
    assert decode_request(OFFER.SerializeToString()) == OFFER
    text = json.dumps({"offer": {"type": "offer", "sdp": "v=0", "id": 3, "newField": []}})
    assert decode_request(text) == OFFER


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_refused(frame: bytes) -> None:
    if refusal_of(decode_request, frame) != "signal_malformed":
        assert kind_of(decode_request(frame)) in (*REQUEST_KINDS, "unknown")


@given(st.text(max_size=200))
def test_any_text_is_a_request_or_refused(frame: str) -> None:
    assert refusal_of(decode_request, frame) in ("", "signal_malformed")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["sdp", "trackSids", "type", "id", "x"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*REQUEST_KINDS, "addTrack", "pingReq"]), JSON, max_size=2))
def test_any_json_object_is_a_request_or_refused(message: dict[str, object]) -> None:
    assert refusal_of(decode_request, json.dumps(message)) in ("", "signal_malformed")


@pytest.mark.parametrize("opening", ['{"offer":', "["])
def test_deeply_nested_text_is_refused(opening: str) -> None:
    assert refusal_of(decode_request, opening * 100_000) == "signal_malformed"


def test_a_frame_beyond_the_limit_is_refused() -> None:
    assert refusal_of(decode_request, bytes(MAX_SIGNAL_MESSAGE + 1)) == "signal_too_long"


def test_truncation_at_every_length_is_a_request_or_refused() -> None:
    frame = OFFER.SerializeToString()
    for length in range(len(frame)):
        assert refusal_of(decode_request, frame[:length]) in ("", "signal_malformed")


def test_requests_of_a_newer_protocol_are_unknown_not_wrong() -> None:
    future = b"\xfa\x7f\x03abc"  # field 2047, length-delimited
    assert kind_of(decode_request(future)) == "unknown"


def test_a_response_is_written_in_the_clients_format() -> None:
    outbound = Outbound(rtc.SignalResponse(update=rtc.ParticipantUpdate(participants=[
        models.ParticipantInfo(sid="PA_x", joined_at_ms=5)
    ])))  # fmt: skip
    assert rtc.SignalResponse.FromString(outbound.binary()) == outbound.message
    assert json.loads(outbound.text())["update"]["participants"][0]["joinedAtMs"] == "5"
    assert outbound.kind == "update"
