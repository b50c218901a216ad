from dataclasses import replace
from pathlib import Path

import pytest

from sfu.negotiation import extensions
from sfu.negotiation.answer import Outgoing, SectionPlan, build_answer
from sfu.negotiation.parse import parse
from sfu.negotiation.sdp import Fingerprint, Section, Session
from sfu.negotiation.transport import LocalTransport
from tests.support.descriptions import Client, Media

LOCAL = LocalTransport(
    "serverufrag",
    "serverpasswordserverpassword",
    Fingerprint("sha-256", bytes(32)),
    ("candidate:1 1 udp 2130706431 192.0.2.1 7882 typ host",),
    4242,
)
CAPTURES = Path(__file__).parents[2] / "captures" / "sdp"
RECEIVE = SectionPlan(receive=True)
SEND = Outgoing("PA_x|TR_y", "TR_y", 1000, 1001, "PA_x")


def answer(text: str, setup: str = "passive", **plans: SectionPlan) -> Session:
    """The answer as the client reads it."""
    named = {mid.removeprefix("m"): plan for mid, plan in plans.items()}
    session, _ = build_answer(parse(text), named, LOCAL, setup, 1)
    return parse(session.serialise())


def uris(section: Section) -> set[str]:
    return {extension.uri for extension in section.extensions}


def test_the_answer_mirrors_sections_and_says_ice_lite() -> None:
    text = Client().offer(Media("audio", "0"), Media("video", "1", "recvonly"), data="2")
    reply = answer(text, m0=RECEIVE)
    assert [(one.kind, one.mid) for one in reply.sections] == [
        ("audio", "0"),
        ("video", "1"),
        ("application", "2"),
    ]
    assert reply.ice_lite
    assert reply.bundle == ("0", "1", "2")
    assert reply.extmap_allow_mixed
    assert [one.direction for one in reply.sections[:2]] == ["recvonly", "inactive"]


def test_transport_facts_stand_in_every_section_and_candidates_in_the_first() -> None:
    reply = answer(Client().offer(Media("audio", "0"), Media("audio", "1")), m0=RECEIVE)
    for section in reply.sections:
        assert section.transport.ufrag == "serverufrag"
        assert section.transport.fingerprints == (LOCAL.fingerprint,)
        assert section.transport.setup == "passive"
    assert reply.sections[0].candidates == LOCAL.candidates
    assert reply.sections[0].end_of_candidates
    assert reply.sections[1].candidates == ()


def test_experiments_of_the_client_are_not_echoed() -> None:
    text = Client().offer(Media("audio", "0"), data="1")
    assert "goog-sped" in text
    assert "sctp-init" in text
    session, _ = build_answer(parse(text), {}, LOCAL, "passive", 1)
    written = session.serialise()
    assert "goog-sped" not in written
    assert "sctp-init" not in written
    assert "ice-options" not in written


def test_payload_types_are_the_clients_own() -> None:
    text = Client().offer(Media("video", "0", track="cam")).replace(":96 ", ":77 ")
    text = text.replace(" 96 ", " 77 ").replace("apt=96", "apt=77")
    video = answer(text, m0=RECEIVE).sections[0]
    names = {codec.payload_type: codec.name for codec in video.codecs}
    assert names[77] == "VP8"
    assert names[97] == "rtx"
    assert 96 not in names


def test_the_wanted_codec_comes_first() -> None:
    text = Client().offer(Media("video", "0"))
    video = answer(text, m0=SectionPlan(receive=True, preferred="vp9")).sections[0]
    assert [codec.name for codec in video.codecs[:4]] == ["VP9", "rtx", "VP9", "rtx"]


def test_red_comes_before_opus_where_allowed_and_is_absent_where_refused() -> None:
    text = Client().offer(Media("audio", "0"))
    plan = SectionPlan(receive=True, preferred="opus", red=True)
    first = [codec.name for codec in answer(text, m0=plan).sections[0].codecs[:2]]
    assert first == ["red", "opus"]
    refused = SectionPlan(receive=True, preferred="opus", refuse_red=True)
    names = [codec.name for codec in answer(text, m0=refused).sections[0].codecs]
    assert "red" not in names
    assert names[0] == "opus"


def test_opus_gets_nack_dtx_and_stereo_as_planned() -> None:
    text = Client().offer(Media("audio", "0"))
    opus = answer(text, m0=RECEIVE).sections[0].codecs[0]
    assert opus.feedback == ("nack",)
    assert "usedtx=1" in opus.parameters
    plan = SectionPlan(receive=True, dtx=False, stereo=True)
    opus = answer(text, m0=plan).sections[0].codecs[0]
    assert "usedtx" not in opus.parameters
    assert "stereo=1;maxaveragebitrate=510000" in opus.parameters


def test_sound_that_we_send_is_not_to_be_asked_for_again() -> None:
    """It has no retransmission stream: every request would be in vain."""
    text = Client().offer(Media("audio", "0", "recvonly"))
    (section,) = answer(text, m0=SectionPlan(send=SEND)).sections
    assert "nack" not in {kind for codec in section.codecs for kind in codec.feedback}


def test_video_feedback_is_transport_wide_not_remb() -> None:
    vp8 = answer(Client().offer(Media("video", "0")), m0=RECEIVE).sections[0].codecs[0]
    assert vp8.feedback == ("transport-cc", "ccm fir", "nack", "nack pli")


def test_a_client_without_transport_wide_feedback_gets_remb_and_send_times() -> None:
    text = Client().offer(Media("video", "0"))
    text = text.replace(f"a=extmap:3 {extensions.TRANSPORT_CC}\r\n", "")
    text = "".join(
        line + "\r\n"
        for line in text.splitlines()
        if not line.startswith("a=rtcp-fb") or "transport-cc" not in line
    )
    video = answer(text, m0=RECEIVE).sections[0]
    assert video.codecs[0].feedback == ("goog-remb", "ccm fir", "nack", "nack pli")
    assert extensions.ABS_SEND_TIME in uris(video)


def test_simulcast_is_accepted_with_every_stream_paused_or_not() -> None:
    text = Client().offer(Media("video", "0", rids="f;~h;q"))
    video = answer(text, m0=RECEIVE).sections[0]
    assert [(rid.id, rid.direction) for rid in video.rids] == [
        ("f", "recv"),
        ("h", "recv"),
        ("q", "recv"),
    ]
    assert [stream[0].rid for stream in video.simulcast_recv] == ["f", "h", "q"]
    assert not any(stream[0].paused for stream in video.simulcast_recv)


def test_extensions_are_kept_under_the_clients_ids() -> None:
    video = answer(Client().offer(Media("video", "0")), m0=RECEIVE).sections[0]
    assert {(one.id, one.uri) for one in video.extensions} == {
        (3, extensions.TRANSPORT_CC),
        (4, extensions.MID),
        (10, extensions.RID),
        (11, extensions.REPAIRED_RID),
        (12, extensions.DEPENDENCY_DESCRIPTOR),
    }


def test_an_extension_under_the_reserved_id_is_not_agreed_and_others_are() -> None:
    offer = Client().offer(Media("video", "0")).replace("extmap:4 ", "extmap:15 ")
    video = answer(offer, m0=RECEIVE).sections[0]
    assert extensions.MID not in uris(video)
    assert extensions.RID in uris(video)


def test_receiving_sections_accept_the_dependency_descriptor_that_the_client_offers() -> None:
    video = answer(Client().offer(Media("video", "0", "recvonly"))).sections[0]
    assert extensions.DEPENDENCY_DESCRIPTOR in uris(video)


def test_receiving_sections_accept_rids_from_the_first_answer() -> None:
    reply = answer((CAPTURES / "chromium-156-receive-six.sdp").read_text())
    wanted = {extensions.RID, extensions.REPAIRED_RID}
    videos = [one for one in reply.sections if one.kind == "video"]
    assert len(videos) == 3
    for video in videos:
        assert video.direction == "inactive"
        assert wanted <= uris(video)


@pytest.mark.parametrize("codec", ["vp8", "vp9", "av1"])
def test_a_captured_publishing_offer_is_accepted_as_announced(codec: str) -> None:
    text = (CAPTURES / f"chromium-156-publish-{codec}.sdp").read_text()
    reply = answer(text, m0=RECEIVE, m1=SectionPlan(receive=True, preferred=codec))
    assert [one.direction for one in reply.sections[:2]] == ["recvonly", "recvonly"]
    assert reply.sections[1].codecs[0].name.lower() == codec
    assert reply.sections[2].sctp_port == 5000
    assert reply.sections[2].max_message_size == 65_535


def test_a_sent_track_is_named_and_its_ssrcs_declared() -> None:
    text = Client().offer(Media("video", "0", "recvonly"))
    video = answer(text, m0=SectionPlan(send=SEND)).sections[0]
    assert video.direction == "sendonly"
    assert video.msids == (("PA_x|TR_y", "TR_y"),)
    assert [ssrc for ssrc, _ in video.ssrcs] == [1000, 1001]
    assert video.ssrc_groups[0].ssrcs == (1000, 1001)


def test_sent_stereo_is_announced() -> None:
    text = Client().offer(Media("audio", "0", "recvonly"))
    plan = SectionPlan(send=replace(SEND, rtx_ssrc=None, stereo=True))
    assert "sprop-stereo=1" in answer(text, m0=plan).sections[0].codecs[0].parameters


def test_sections_outside_the_bundle_and_of_unknown_kinds_are_rejected() -> None:
    text = Client().offer(Media("audio", "0"), Media("video", "1"))
    text = text.replace("BUNDLE 0 1", "BUNDLE 0")
    text += "m=text 9 UDP/TLS/RTP/SAVPF 98\r\na=mid:5\r\n"
    reply = answer(text, m0=RECEIVE, m1=RECEIVE)
    assert [one.port for one in reply.sections] == [9, 0, 0]
    assert reply.bundle == ("0",)


def test_a_section_without_a_common_codec_is_rejected() -> None:
    text = Client().offer(Media("audio", "0"), Media("video", "1"))
    text = text.replace("VP8", "XX8").replace("VP9", "XX9").replace("H264", "X").replace("AV1", "Y")
    reply = answer(text, m0=RECEIVE, m1=RECEIVE)
    assert [one.port for one in reply.sections] == [9, 0]


def test_a_section_that_the_client_ended_stays_ended() -> None:
    text = Client().offer(Media("audio", "0"), Media("video", "1"))
    text = text.replace("m=video 9", "m=video 0").replace("BUNDLE 0 1", "BUNDLE 0")
    reply = answer(text, m0=RECEIVE, m1=RECEIVE)
    assert reply.sections[1].rejected
