import pytest

from sfu.dataplane import PayloadMap
from sfu.negotiation.codecs import NAMES, TABLE, Format, formats_of, offered, payload_maps, same
from sfu.negotiation.parse import parse
from sfu.negotiation.sdp import RtpCodec, Section
from tests.support.descriptions import Client, Media


def section(kind: str, **facts: object) -> Section:
    media = Media(kind, "0", **facts)  # type: ignore[arg-type]
    return parse(Client().offer(media)).sections[0]


def h264(profile: str, mode: str = "1", payload_type: int = 102) -> Format:
    parameters = f"packetization-mode={mode};profile-level-id={profile}"
    return Format("h264", RtpCodec(payload_type, "H264", 90_000, 1, parameters), 103)


def test_only_forwardable_audio_is_found_in_the_clients_order() -> None:
    found = formats_of(section("audio"))
    assert [(one.codec, one.payload_type) for one in found] == [
        ("opus", 111),
        ("red", 63),
        ("pcmu", 0),
        ("pcma", 8),
    ]


def test_h264_is_taken_only_non_interleaved_and_up_to_main_profile() -> None:
    found = [one.payload_type for one in formats_of(section("video", only=("H264",)))]
    assert found == [103, 109]


def test_each_video_payload_type_knows_its_retransmissions() -> None:
    found = {one.payload_type: one.rtx for one in formats_of(section("video"))}
    assert found[96] == 97
    assert found[98] == 99
    assert found[45] == 46


def test_red_without_its_opus_is_not_found() -> None:
    lone = Section("audio", "0", codecs=(RtpCodec(63, "red", 48_000, 2, "111/111"),))
    assert formats_of(lone) == ()


@pytest.mark.parametrize(
    ("name", "rate"), [("VP8", 48_000), ("opus", 8_000), ("PCMU", 16_000), ("H264", 1)]
)
def test_a_wrong_clock_rate_is_another_codec(name: str, rate: int) -> None:
    kind = "video" if name in ("VP8", "H264") else "audio"
    parameters = "packetization-mode=1" if name == "H264" else ""
    wrong = RtpCodec(96, name, rate, 1, parameters)
    assert formats_of(Section(kind, "0", codecs=(wrong,))) == ()


@pytest.mark.parametrize(
    ("left", "right", "alike"),
    [
        ("42e01f", "42e034", True),  # level does not matter
        ("42e01f", "42c01f", True),  # both constrained baseline
        ("42e01f", "42001f", False),
        ("4d001f", "4d0028", True),
        ("4d001f", "42e01f", False),
    ],
)
def test_h264_profiles_decide_whether_streams_are_alike(left: str, right: str, alike: bool) -> None:
    assert same(h264(left), h264(right)) is alike


def test_vp9_profiles_are_not_mixed() -> None:
    zero, two = (one for one in TABLE if one.codec == "vp9")
    assert same(zero, zero)
    assert not same(zero, two)


def test_payload_types_are_mapped_with_their_retransmissions() -> None:
    source = formats_of(section("video", only=("VP8", "VP9")))
    assert payload_maps(source[:1], TABLE) == (PayloadMap(96, 96, 97, False),)
    assert [one.source for one in payload_maps(source, TABLE)] == [96, 98, 100]


def test_red_is_stripped_for_a_subscriber_without_it() -> None:
    source = formats_of(section("audio"))
    opus_only = tuple(one for one in TABLE if one.codec == "opus")
    assert payload_maps(source, opus_only) == (
        PayloadMap(111, 111, None, False),
        PayloadMap(63, 111, None, True),
    )


def test_baseline_h264_reaches_a_subscriber_with_any_h264() -> None:
    only_main = (h264("4d001f", payload_type=120),)
    assert payload_maps((h264("42001f"),), only_main) == (PayloadMap(102, 120, 103, False),)
    assert payload_maps((h264("4d001f"),), (h264("42e01f"),)) == ()


def test_what_a_subscriber_lacks_is_not_mapped() -> None:
    source = formats_of(section("video", only=("AV1",)))
    assert payload_maps(source, TABLE[4:5]) == ()


def test_an_offer_puts_red_first_where_it_is_wanted() -> None:
    source = formats_of(section("audio"))
    with_red = offered(source[:2], red=True, stereo=False)
    assert [one.codec for one in with_red] == ["red", "opus"]
    without = offered(source[:2], red=False, stereo=False)
    assert [one.codec for one in without] == ["opus"]


def test_a_stereo_offer_says_that_we_send_stereo() -> None:
    (opus,) = offered(formats_of(section("audio", red=False))[:1], red=True, stereo=True)
    assert opus.description.parameters.endswith("stereo=1;sprop-stereo=1")


def test_an_offer_of_sound_promises_no_retransmissions() -> None:
    sound = [one for one in TABLE if one.codec in NAMES["audio"]]
    assert [one.codec for one in sound if one.rtx or "nack" in one.description.feedback] == []


def test_our_payload_types_never_clash() -> None:
    used = [one.payload_type for one in TABLE] + [one.rtx for one in TABLE if one.rtx is not None]
    assert len(set(used)) == len(used)
    assert all(number < 64 or number >= 96 for number in used)  # RFC 5761 section 4
