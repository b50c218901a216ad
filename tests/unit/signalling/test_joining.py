"""Connection requests are read liberally, within bounds."""

import base64
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models, rtc

from signalling.joining import decode_join_request, parse_join, parse_query
from signalling.limits import MAX_JOIN_REQUEST
from tests.support.outcomes import refusal_of

REQUEST = rtc.JoinRequest(
    client_info=models.ClientInfo(sdk=models.ClientInfo.SDK.SWIFT, protocol=16, version="2.16.0"),
    connection_settings=rtc.ConnectionSettings(auto_subscribe=True),
    metadata="~~~???>>>",  # makes both special characters of base64 appear
)


def wrap(request: rtc.JoinRequest = REQUEST, *, compress: bool = False) -> bytes:
    data = request.SerializeToString()
    gzipped = rtc.WrappedJoinRequest.Compression.GZIP
    none = rtc.WrappedJoinRequest.Compression.NONE
    return rtc.WrappedJoinRequest(
        compression=gzipped if compress else none,
        join_request=gzip.compress(data) if compress else data,
    ).SerializeToString()


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("alphabet", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("damage", ["none", "unpadded", "spaces"])
def test_join_requests_survive_what_urls_do_to_base64(
    compress: bool, alphabet: object, damage: str
) -> None:
    text = alphabet(wrap(compress=compress)).decode()  # type: ignore[operator]
    if damage == "unpadded":
        text = text.rstrip("=")
    elif damage == "spaces":
        text = text.replace("+", " ")
    assert decode_join_request(text) == REQUEST


def test_a_compression_bomb_is_refused_before_it_unpacks() -> None:
    bomb = rtc.WrappedJoinRequest(
        compression=rtc.WrappedJoinRequest.Compression.GZIP,
        join_request=gzip.compress(bytes(MAX_JOIN_REQUEST + 1)),
    )
    assert len(bomb.SerializeToString()) < 4_000
    assert (
        refusal_of(decode_join_request, base64.b64encode(bomb.SerializeToString()).decode())
        == "join_request_too_long"
    )


def test_a_join_request_cut_anywhere_is_refused_or_another_valid_one() -> None:
    data = wrap(compress=True)
    for length in range(1, len(data)):
        text = base64.b64encode(data[:length]).decode()
        assert refusal_of(decode_join_request, text) in ("", "join_request_malformed")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_join_request_or_refused(data: bytes) -> None:
    text = base64.b64encode(data).decode()
    assert refusal_of(decode_join_request, text) in ("", "join_request_malformed")


@given(st.text(max_size=100))
def test_any_text_is_a_join_request_or_refused(text: str) -> None:
    assert refusal_of(decode_join_request, text) in ("", "join_request_malformed")


def test_empty_segments_and_unknown_parameters_are_skipped() -> None:
    query = parse_query(b"?=&&join_request=&sdk=go&protocol=17&colour=red&sdk=js")
    assert query["sdk"] == "go"
    params = parse_join(query, "", v1=False)
    assert not params.single_connection
    assert (params.client.sdk, params.client.protocol) == ("go", 17)


@given(st.binary(max_size=300))
def test_any_query_is_read_or_refused(raw: bytes) -> None:
    assert refusal_of(lambda: parse_join(parse_query(raw), "", v1=False)) in (
        "",
        "query_malformed",
        "attributes_malformed",
        "join_request_malformed",
    )


def test_too_many_parameters_are_refused() -> None:
    assert (
        refusal_of(parse_query, b"&".join(b"p%d=1" % number for number in range(65)))
        == "query_malformed"
    )


def test_subscribing_is_the_default_of_queries_but_not_of_join_requests() -> None:
    assert parse_join({}, "", v1=False).auto_subscribe
    assert not parse_join({"auto_subscribe": "0"}, "", v1=False).auto_subscribe
    bare = base64.b64encode(wrap(rtc.JoinRequest(metadata="m"))).decode()
    assert not parse_join({"join_request": bare}, "", v1=True).auto_subscribe


def test_a_join_request_means_one_connection_on_either_path() -> None:
    text = base64.b64encode(wrap()).decode()
    for v1 in (False, True):
        params = parse_join({"join_request": text}, "", v1=v1)
        assert params.single_connection
        assert params.client.sdk == "swift"


def test_the_newer_path_demands_a_join_request() -> None:
    assert refusal_of(parse_join, {}, "", v1=True) == "join_request_malformed"


def test_a_resume_names_its_participant() -> None:
    params = parse_join({"reconnect": "1", "sid": "PA_x", "reconnect_reason": "1"}, "", v1=False)
    assert params.reconnect
    assert params.participant_sid == "PA_x"


def test_attributes_come_as_base64_of_json() -> None:
    text = base64.urlsafe_b64encode(json.dumps({"k": "v"}).encode()).decode().rstrip("=")
    assert parse_join({"attributes": text}, "", v1=False).attributes == {"k": "v"}


@pytest.mark.parametrize("value", [b"[]", b'{"k": 1}', b"{", b'{"k": "\\ud800"}', b"[" * 100_000])
def test_malformed_attributes_are_refused(value: bytes) -> None:
    assert (
        refusal_of(parse_join, {"attributes": base64.b64encode(value).decode()}, "", v1=False)
        == "attributes_malformed"
    )


def test_capabilities_come_by_name() -> None:
    query = {"capabilities": "CAP_PACKET_TRAILER,CAP_NONSENSE,,CAP_COMPRESSION_DEFLATE_RAW"}
    found = parse_join(query, "", v1=False).client.capabilities
    names = [models.ClientInfo.Capability.Name(number) for number in found]
    assert names == ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"]
