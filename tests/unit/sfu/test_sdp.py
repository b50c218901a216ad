from pathlib import Path

import pytest

from common.errors import RemoteError
from sfu.limits import MAX_LINE_LENGTH, MAX_SDP_LENGTH
from sfu.negotiation.parse import parse
from sfu.negotiation.sdp import Extension, RtpCodec, SimulcastStream
from tests.support.descriptions import Client, Media

CAPTURES = sorted((Path(__file__).parents[2] / "captures" / "sdp").glob("*.sdp"))
OFFER = Client().offer(
    Media("audio", "0", track="mic"), Media("video", "1", track="cam", rids="q;~h;f"), data="2"
)


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_a_captured_offer_survives_the_round_trip(path: Path) -> None:
    session = parse(path.read_text())
    assert parse(session.serialise()) == session


def test_a_captured_offer_is_read_in_full() -> None:
    capture = next(path for path in CAPTURES if path.stem == "chromium-156-publish-vp9")
    session = parse(capture.read_text())
    assert session.session_id == 4016360260164262936
    assert session.bundle == ("0", "1", "2")
    assert session.extmap_allow_mixed
    audio, video, data = session.sections
    assert (audio.kind, audio.mid, audio.direction) == ("audio", "0", "sendonly")
    assert audio.transport.ufrag == "HsV3"
    assert audio.transport.setup == "actpass"
    assert len(audio.transport.fingerprints[0].digest) == 32
    assert audio.codecs[0] == RtpCodec(
        111, "opus", 48_000, 2, "minptime=10;useinbandfec=1", ("transport-cc",)
    )
    assert Extension(4, "urn:ietf:params:rtp-hdrext:sdes:mid") in audio.extensions
    assert video.msids == (("-", "ab1f67da-92fe-4cb7-8e31-da100613d89e"),)
    assert video.codecs[0].feedback == ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")
    assert data.sctp_port == 5000
    assert data.max_message_size == 262_144


def test_simulcast_keeps_order_and_pauses() -> None:
    video = parse(OFFER).sections[1]
    assert [rid.id for rid in video.rids] == ["q", "h", "f"]
    assert video.simulcast_send == (
        (SimulcastStream("q"),),
        (SimulcastStream("h", paused=True),),
        (SimulcastStream("f"),),
    )


def test_static_payload_types_need_no_map() -> None:
    session = parse("v=0\nm=audio 9 UDP/TLS/RTP/SAVPF 0 8 3\na=mid:x\n")
    assert [codec.name for codec in session.sections[0].codecs] == ["PCMU", "PCMA"]


def test_feedback_for_all_payload_types_reaches_each() -> None:
    text = (
        "v=0\nm=video 9 UDP/TLS/RTP/SAVPF 96 97\na=mid:x\na=rtcp-fb:* nack\n"
        "a=rtpmap:96 VP8/90000\na=rtpmap:97 VP9/90000\na=rtcp-fb:97 ccm fir\n"
    )
    first, second = parse(text).sections[0].codecs
    assert first.feedback == ("nack",)
    assert second.feedback == ("nack", "ccm fir")


def test_session_level_direction_applies_to_sections_without_their_own() -> None:
    text = "v=0\na=recvonly\nm=audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:x\n"
    assert parse(text).sections[0].direction == "recvonly"


def test_unknown_lines_and_attributes_are_ignored() -> None:
    text = OFFER.replace(
        "a=rtcp-mux\r\n", "a=rtcp-mux\r\nb=AS:500\r\na=x-whatever:1 2 3\r\nk=x\r\n"
    )
    assert parse(text) == parse(OFFER)


@pytest.mark.parametrize("number", range(len(OFFER.splitlines())))
def test_truncation_at_every_line_is_read_or_refused(number: int) -> None:
    text = "".join(line + "\r\n" for line in OFFER.splitlines()[:number])
    codes = []
    try:
        parse(text)
    except RemoteError as error:
        codes.append(error.code)
    assert codes in ([], ["sdp_malformed"])


@pytest.mark.parametrize(
    "change",
    [
        ("v=0", "v=1"),
        ("v=0", ""),
        ("a=mid:1", "a=mid:0"),
        ("a=mid:1\r\n", ""),
        ("a=mid:1", "a=mid:seventeen-letters"),
        ("m=audio 9 ", "m=audio 70000 "),
        ("m=audio 9 UDP/TLS/RTP/SAVPF 111", "m=audio 9 UDP/TLS/RTP/SAVPF 1111"),
        ("m=audio 9 UDP/TLS/RTP/SAVPF ", "m=audio 9 UDP/TLS//SAVPF "),
        ("a=setup:actpass", "a=setup:sometimes"),
        ("a=ice-ufrag:Cufr", "a=ice-ufrag:C"),
        ("a=ice-ufrag:Cufr", "a=ice-ufrag:C ufr"),
        ("a=fingerprint:sha-256 AB:", "a=fingerprint:sha-256 "),
        ("a=fingerprint:sha-256 AB:", "a=fingerprint:sha-256 +1:"),
        ("a=rid:q send", "a=rid:q upwards"),
        ("a=rid:q send", "a=rid:q;h send"),
        ("a=simulcast:send ", "a=simulcast:give "),
        ("a=simulcast:send q", "a=simulcast:send ,q"),
        ("a=extmap:1 ", "a=extmap:0 "),
        ("a=extmap:1 ", "a=extmap:1/up "),
        ("a=extmap:1 ", "a=extmap:²"),
        ("a=rtpmap:111 opus/48000/2", "a=rtpmap:111 opus/many"),
        ("a=rtpmap:111 opus/48000/2", "a=rtpmap:opus"),
        ("a=sctp-port:5000", "a=sctp-port:-1"),
        ("a=max-message-size:262144", "a=max-message-size:1_000"),
        ("o=- ", "o=x "),
        ("t=0 0", "t 0 0"),
        ("s=-", "s=\x00"),
    ],
    ids=lambda change: change[1].strip() or f"without {change[0].strip()}",
)
def test_malformed_lines_are_refused(change: tuple[str, str]) -> None:
    old, new = change
    assert old in OFFER
    text = OFFER.replace(old, new, 1)
    if change == ("o=- ", "o=x "):
        text = OFFER.replace("o=- 4611731400430051336", "o=- tomorrow")
    with pytest.raises(RemoteError) as caught:
        parse(text)
    assert caught.value.code == "sdp_malformed"


def test_too_long_a_description_is_refused() -> None:
    with pytest.raises(RemoteError) as caught:
        parse("v=0\r\n" + "a=x\r\n" * (MAX_SDP_LENGTH // 5 + 1))
    assert caught.value.code == "sdp_limits"


def test_too_long_a_line_is_refused() -> None:
    with pytest.raises(RemoteError) as caught:
        parse("v=0\r\na=" + "x" * MAX_LINE_LENGTH)
    assert caught.value.code == "sdp_limits"


def test_two_hundred_sections_are_read_and_one_more_is_refused() -> None:
    sections = "".join(f"m=audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:{n}\n" for n in range(200))
    assert len(parse("v=0\n" + sections).sections) == 200
    with pytest.raises(RemoteError) as caught:
        parse("v=0\n" + sections + "m=audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:200\n")
    assert caught.value.code == "sdp_limits"
