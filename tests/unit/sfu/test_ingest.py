"""Offers of clients that negotiate once, and fragments about ICE."""

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import RemoteError
from sfu import OfferedTrack, check_playback, read_ingest
from sfu.model import TrackKind
from sfu.negotiation.fragment import read_credentials
from tests.support.descriptions import Client, Media
from tests.support.http_call import CAMERA, MICROPHONE, fragment
from tests.support.outcomes import refusal_of

AUDIO, VIDEO = TrackKind.AUDIO, TrackKind.VIDEO


def test_the_tracks_of_an_offer_in_order() -> None:
    assert read_ingest(Client().offer(CAMERA, MICROPHONE)) == (
        OfferedTrack(VIDEO, "cam"),
        OfferedTrack(AUDIO, "mic"),
    )


def test_data_channels_and_rejected_sections_are_no_tracks() -> None:
    offer = Client().offer(MICROPHONE, CAMERA, data="2")
    offer = offer.replace("m=video 9 ", "m=video 0 ")
    assert read_ingest(offer) == (OfferedTrack(AUDIO, "mic"),)


def test_stereo_is_what_the_sender_says_it_sends() -> None:
    offer = Client().offer(MICROPHONE)
    stereo = offer.replace("useinbandfec=1", "useinbandfec=1;sprop-stereo=1")
    assert [one.stereo for one in read_ingest(stereo)] == [True]
    wanted = offer.replace("useinbandfec=1", "useinbandfec=1;stereo=1")
    assert [one.stereo for one in read_ingest(wanted)] == [False]


def test_simulcast_streams_are_counted() -> None:
    offer = Client().offer(Media("video", "0", track="cam", rids="q;h;f"))
    assert [one.streams for one in read_ingest(offer)] == [3]


def test_an_id_that_two_tracks_share_belongs_to_the_first() -> None:
    offer = Client().offer(Media("audio", "0", track="one"), Media("video", "1", track="one"))
    assert [one.cid for one in read_ingest(offer)] == ["one", ""]


def test_tracks_without_an_id_are_taken() -> None:
    offer = re.sub(r"^a=(msid|ssrc).*\r\n", "", Client().offer(MICROPHONE, CAMERA), flags=re.M)
    assert [one.cid for one in read_ingest(offer)] == ["", ""]


def test_sections_of_another_kind_are_refused() -> None:
    offer = Client().offer(MICROPHONE, CAMERA).replace("m=video 9 ", "m=text 9 ")
    assert refusal_of(read_ingest, offer) == "sdp_section"


def test_an_offer_of_nothing_but_data_is_refused() -> None:
    assert refusal_of(read_ingest, Client().offer(data="0")) == "nothing_offered"


def test_an_offer_cut_off_anywhere_is_read_or_refused() -> None:
    offer = Client().offer(MICROPHONE, CAMERA)
    for end in range(0, len(offer), 7):
        _outcome(offer[:end])


@given(st.text(alphabet="av=m:idsctp0123 \r\n", max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    _outcome("v=0\r\n" + text)


def _outcome(text: str) -> None:
    """Nothing but a refusal may be raised, and what is read has tracks."""
    with suppress(RemoteError):
        assert read_ingest(text)


# -- fragments --------------------------------------------------------------------------------------


def test_credentials_may_stand_at_either_level() -> None:
    client = Client(ufrag="abcd", pwd="a-password-of-some-length")
    pair = (client.ufrag, client.pwd)
    assert read_credentials(fragment(client)) == pair
    head = f"a=ice-ufrag:{client.ufrag}\r\na=ice-pwd:{client.pwd}\r\n"
    assert read_credentials(head + fragment()) == pair
    assert read_credentials(head + fragment(client)) == pair
    assert read_credentials(head) == pair


def test_a_fragment_may_only_add_candidates() -> None:
    assert read_credentials(fragment(candidates=20)) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\r\n",
        "hello",
        "a=ice-ufrag:abcd\r\n",
        "a=ice-pwd:a-password-of-some-length\r\n",
        "m=audio 9 RTP/AVP 0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n",
        "a=ice-ufrag:ab\x00cd\r\n",
    ],
)
def test_a_malformed_fragment_is_refused(text: str) -> None:
    assert refusal_of(read_credentials, text) == "sdp_malformed"


def test_two_pairs_of_credentials_are_refused() -> None:
    both = fragment(Client(ufrag="abcd")) + fragment(Client(ufrag="efgh"), mid="1")
    assert refusal_of(read_credentials, both) == "sdp_malformed"


def test_a_fragment_cut_off_anywhere_is_read_or_refused() -> None:
    text = fragment(Client(), candidates=2)
    for end in range(len(text)):
        assert outcome_of(text[:end]) in ("read", "sdp_malformed")


@given(st.text(alphabet="am=:ice-ufragpwdid0 \r\n", max_size=200))
def test_any_fragment_is_read_or_refused(text: str) -> None:
    assert outcome_of(text) in ("read", "sdp_malformed")


def outcome_of(text: str) -> str:
    """A refusal's code, or that the fragment could be read."""
    try:
        found = read_credentials(text)
    except RemoteError as error:
        return error.code
    return "read" if found is None or all(found) else "half"


# -- offers of viewers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("media", "code"),
    [
        ((Media("audio", "0", "recvonly"), Media("video", "1", "sendrecv")), ""),
        ((Media("audio", "0", "inactive"),), "sdp_direction"),
        ((Media("audio", "0", "sendonly"),), "sdp_direction"),
        ((), "nothing_offered"),
    ],
)
def test_sections_of_viewers_receive(media: tuple[Media, ...], code: str) -> None:
    assert refusal_of(check_playback, Client().offer(*media)) == code


def test_a_viewer_has_to_know_a_codec_of_ours() -> None:
    offer = Client().offer(Media("audio", "0", "recvonly"))
    odd = re.sub(r"(opus|red|PCMU|PCMA)/", r"x-\1/", offer)
    assert refusal_of(check_playback, odd) == "codec_unsupported"


def test_a_viewers_offer_cut_off_anywhere_is_taken_or_refused() -> None:
    offer = Client().offer(Media("audio", "0", "recvonly"), Media("video", "1", "recvonly"))
    codes = {refusal_of(check_playback, offer[:end]) for end in range(0, len(offer), 7)}
    assert codes <= {"", "sdp_malformed", "sdp_profile", "nothing_offered", "sdp_no_fingerprint",
                     "codec_unsupported", "sdp_not_bundled", "sdp_direction"}  # fmt: skip
