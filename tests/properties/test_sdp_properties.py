from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import RemoteError
from sfu.negotiation.parse import parse
from sfu.negotiation.sdp import (
    DIRECTIONS,
    Extension,
    Fingerprint,
    Rid,
    RtpCodec,
    Section,
    Session,
    SimulcastStream,
    SsrcGroup,
    TransportFacts,
)
from tests.support.descriptions import Client, Media

WORD = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-_.", min_size=1, max_size=12)
RID = st.text("abcdefgh0123456789-_", min_size=1, max_size=8)
SSRC = st.integers(0, 2**32 - 1)
OFFER = Client().offer(
    Media("audio", "0", track="mic"), Media("video", "1", track="cam", rids="q;h;f"), data="2"
)

fingerprints = st.builds(
    Fingerprint, st.just("sha-256"), st.binary(min_size=32, max_size=32)
) | st.builds(Fingerprint, st.just("sha-512"), st.binary(min_size=64, max_size=64))
transports = st.builds(
    TransportFacts,
    ufrag=st.text("abcXYZ+/019", min_size=4, max_size=20),
    pwd=st.text("abcXYZ+/019", min_size=22, max_size=40),
    options=st.lists(WORD, max_size=2).map(tuple),
    fingerprints=st.lists(fingerprints, max_size=2).map(tuple),
    setup=st.sampled_from(["", "actpass", "active", "passive"]),
)
codecs = st.lists(
    st.builds(
        RtpCodec,
        payload_type=st.integers(0, 127),
        name=WORD,
        clock_rate=st.integers(1, 2**32 - 1),
        channels=st.integers(1, 8),
        parameters=st.lists(WORD, max_size=3).map(";".join),
        feedback=st.lists(WORD, max_size=3).map(tuple),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda codec: codec.payload_type,
).map(tuple)
simulcast = st.lists(
    st.lists(st.builds(SimulcastStream, RID, st.booleans()), min_size=1, max_size=2).map(tuple),
    max_size=3,
).map(tuple)


@st.composite
def media_sections(draw: st.DrawFn, mid: str) -> Section:
    attributes = st.lists(st.tuples(WORD, WORD), min_size=1, max_size=2).map(tuple)
    ssrcs = draw(st.dictionaries(SSRC, attributes, max_size=3))
    return Section(
        kind=draw(st.sampled_from(["audio", "video"])),
        mid=mid,
        port=draw(st.sampled_from([0, 9, 65_535])),
        direction=draw(st.sampled_from(DIRECTIONS)),
        transport=draw(transports),
        codecs=draw(codecs),
        extensions=tuple(
            draw(
                st.lists(
                    st.builds(
                        Extension, st.integers(1, 255), WORD, st.sampled_from(["", *DIRECTIONS])
                    ),
                    max_size=3,
                )
            )
        ),
        msids=tuple(draw(st.lists(st.tuples(WORD, WORD), max_size=2))),
        ssrcs=tuple(ssrcs.items()),
        ssrc_groups=tuple(
            draw(st.lists(st.builds(SsrcGroup, WORD, st.tuples(SSRC, SSRC)), max_size=2))
        ),
        rids=tuple(
            draw(
                st.lists(
                    st.builds(Rid, RID, st.sampled_from(["send", "recv"]), st.just("max-fps=30")),
                    max_size=3,
                )
            )
        ),
        simulcast_send=draw(simulcast),
        simulcast_recv=draw(simulcast),
        candidates=("candidate:1 1 udp 1 192.0.2.1 7882 typ host",) if draw(st.booleans()) else (),
        end_of_candidates=draw(st.booleans()),
        bundle_only=draw(st.booleans()),
        rtcp_mux=draw(st.booleans()),
        rtcp_rsize=draw(st.booleans()),
        extmap_allow_mixed=draw(st.booleans()),
    )


@st.composite
def sessions(draw: st.DrawFn) -> Session:
    mids = draw(st.lists(WORD, max_size=4, unique=True))
    sections = [draw(media_sections(mid)) for mid in mids]
    if draw(st.booleans()):
        data = Section(
            kind="application",
            mid="data-channels",
            profile="UDP/DTLS/SCTP",
            formats=("webrtc-datachannel",),
            sctp_port=draw(st.integers(0, 65_535)),
            max_message_size=draw(st.integers(0, 2**40)),
        )
        sections.append(data)
    return Session(
        session_id=draw(st.integers(0, 2**63)),
        version=draw(st.integers(0, 2**63)),
        ice_lite=draw(st.booleans()),
        extmap_allow_mixed=draw(st.booleans()),
        bundle=tuple(mids),
        transport=draw(transports),
        sections=tuple(sections),
    )


@given(sessions())
def test_what_is_written_is_read_back(session: Session) -> None:
    assert parse(session.serialise()) == session


@given(st.text(max_size=400))
def test_arbitrary_text_is_read_or_refused(text: str) -> None:
    _read_or_refuse(text)


@given(st.lists(st.sampled_from(OFFER.splitlines()) | st.text(max_size=30), max_size=40))
def test_arbitrary_lines_of_an_offer_are_read_or_refused(lines: list[str]) -> None:
    _read_or_refuse("v=0\r\n" + "\r\n".join(lines))


@settings(max_examples=300)
@given(st.integers(0, len(OFFER) - 1), st.characters() | st.just(""))
def test_an_offer_with_one_character_changed_is_read_or_refused(at: int, other: str) -> None:
    _read_or_refuse(OFFER[:at] + other + OFFER[at + 1 :])


@given(st.integers(0, len(OFFER)))
def test_an_offer_cut_anywhere_is_read_or_refused(at: int) -> None:
    _read_or_refuse(OFFER[:at])


def _read_or_refuse(text: str) -> None:
    """Whatever is read must be written and read again as the same value."""
    session, code = None, ""
    try:
        session = parse(text)
    except RemoteError as error:
        code = error.code
    assert code in ("", "sdp_malformed", "sdp_limits")
    if session is None:
        return
    written = session.serialise()
    again = parse(written)
    assert [one.mid for one in again.sections] == [one.mid for one in session.sections]
    assert [one.codecs for one in again.sections] == [one.codecs for one in session.sections]
