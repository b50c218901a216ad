"""Our answer to a client's offer.

In go the offer, a plan per section and our transport, out come the answer and what was agreed per section.
The offerer's payload types, extension ids and order of sections are kept (RFC 3264, RFC 9429 section 5.3).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from sfu.limits import MAX_MESSAGE_SIZE, MAX_STREAMS_PER_TRACK
from sfu.negotiation import extensions
from sfu.negotiation.codecs import (
    NAMES,
    REMB,
    VIDEO_FEEDBACK,
    Format,
    formats_of,
    parameters_of,
    rtx_codec,
    stereo_parameters,
)
from sfu.negotiation.sdp import (
    Direction,
    Extension,
    Rid,
    RtpCodec,
    Section,
    Session,
    SimulcastStream,
    SsrcGroup,
)
from sfu.negotiation.transport import LocalTransport, carried

STEREO_BITRATE = 510_000  # bit/s, what LiveKit lets stereo music take


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What we send in a section."""

    stream: str  # first half of msid
    track: str  # second half
    ssrc: int
    rtx_ssrc: int | None
    cname: str
    stereo: bool = False


@dataclass(frozen=True, slots=True)
class SectionPlan:
    """What we want of an offered section."""

    receive: bool = False
    send: Outgoing | None = None
    preferred: str = ""  # codec to put first
    red: bool = False  # put RED before Opus
    refuse_red: bool = False
    stereo: bool = False
    dtx: bool = True


@dataclass(frozen=True, slots=True)
class Agreement:
    """What both sides of a section use; no formats: it was rejected."""

    formats: tuple[Format, ...] = ()
    extensions: tuple[Extension, ...] = ()
    rids: tuple[str, ...] = ()  # of the client's simulcast, as it lists them


NOTHING = SectionPlan()


def agree(section: Section, plan: SectionPlan) -> Agreement:
    """Codecs, extensions and simulcast streams of one section."""
    sends_stereo = plan.send is not None and plan.send.stereo
    formats = _agreed_formats(formats_of(section), replace(plan, send=None), sends_stereo)
    accepted = extensions.accepted(section) if formats else ()
    return Agreement(formats, accepted, simulcast_rids(section) if plan.receive else ())


def simulcast_rids(section: Section) -> tuple[str, ...]:
    """The client's simulcast streams; a paused one counts, of alternatives the first."""
    known = {rid.id for rid in section.rids if rid.direction == "send"}
    chosen = [stream[0].rid for stream in section.simulcast_send if stream[0].rid in known]
    return tuple(dict.fromkeys(chosen))[:MAX_STREAMS_PER_TRACK]


def build_answer(
    offer: Session,
    plans: Mapping[str, SectionPlan],
    local: LocalTransport,
    setup: str,
    version: int,
    *,
    mux_only: bool = False,
) -> tuple[Session, dict[str, Agreement]]:
    """The answer and, by mid, what was agreed for the sections that carry media.

    `mux_only` says of each such section that RTCP has no port of its own, whether or not the offer does.
    """
    agreements: dict[str, Agreement] = {}
    sections: list[Section] = []
    accepted: list[str] = []
    for section in offer.sections:
        if carried(offer, section) and section.kind == "application":
            answered = _data_section(section)
        elif carried(offer, section) and section.is_rtp:
            plan = plans.get(section.mid, NOTHING)
            agreement = agree(section, plan)
            agreements[section.mid] = agreement
            answered = _media_section(section, plan, agreement)
            if mux_only and not answered.rejected:
                answered = replace(answered, rtcp_mux_only=True)
        else:
            answered = _rejected(section)
        if not answered.rejected:
            facts = local.facts(setup)
            answered = replace(answered, transport=facts)
            if not accepted:
                answered = replace(answered, candidates=local.candidates, end_of_candidates=True)
            accepted.append(section.mid)
        sections.append(answered)
    answer = Session(
        session_id=local.session_id,
        version=version,
        ice_lite=True,
        extmap_allow_mixed=offer.extmap_allow_mixed,
        bundle=tuple(accepted) if offer.bundle else (),
        sections=tuple(sections),
    )
    return answer, agreements


def direction_of(section: Section, plan: SectionPlan) -> Direction:
    """Our side's direction: what we want, within what the client offers."""
    receive = plan.receive and section.direction in ("sendrecv", "sendonly")
    send = plan.send is not None and section.direction in ("sendrecv", "recvonly")
    if receive and send:
        return "sendrecv"
    if send:
        return "sendonly"
    return "recvonly" if receive else "inactive"


def _media_section(section: Section, plan: SectionPlan, agreement: Agreement) -> Section:
    if not agreement.formats:
        return _rejected(section)
    direction = direction_of(section, plan)
    answered = Section(
        kind=section.kind,
        mid=section.mid,
        direction=direction,
        codecs=codec_lines(agreement.formats),
        extensions=agreement.extensions,
        rtcp_mux=True,
        rtcp_mux_only=section.rtcp_mux_only,
        rtcp_rsize=section.rtcp_rsize,
        extmap_allow_mixed=section.extmap_allow_mixed,
    )
    if agreement.rids and direction in ("recvonly", "sendrecv"):
        answered = replace(
            answered,
            rids=tuple(Rid(rid, "recv") for rid in agreement.rids),
            simulcast_recv=tuple((SimulcastStream(rid),) for rid in agreement.rids),
        )
    if plan.send is not None and direction in ("sendonly", "sendrecv"):
        answered = with_outgoing(answered, plan.send)
    return answered


def with_outgoing(section: Section, send: Outgoing) -> Section:
    """Adds msid and SSRCs of what we send."""
    attributes = (("cname", send.cname), ("msid", f"{send.stream} {send.track}"))
    ssrcs = [(send.ssrc, attributes)]
    groups: tuple[SsrcGroup, ...] = ()
    if send.rtx_ssrc is not None:
        ssrcs.append((send.rtx_ssrc, attributes))
        groups = (SsrcGroup("FID", (send.ssrc, send.rtx_ssrc)),)
    return replace(
        section, msids=((send.stream, send.track),), ssrcs=tuple(ssrcs), ssrc_groups=groups
    )


def codec_lines(formats: tuple[Format, ...]) -> tuple[RtpCodec, ...]:
    """Media payload types in order, each followed by its retransmissions."""
    lines: dict[int, RtpCodec] = {}
    for one in formats:
        lines.setdefault(one.payload_type, one.description)
        if one.rtx is not None:
            lines.setdefault(one.rtx, rtx_codec(one.rtx, one.payload_type))
    return tuple(lines.values())


def _data_section(section: Section) -> Section:
    return Section(
        kind="application",
        mid=section.mid,
        profile=section.profile,
        formats=section.formats,
        sctp_port=5000,
        max_message_size=MAX_MESSAGE_SIZE,
    )


def _rejected(section: Section) -> Section:
    formats = tuple(str(codec.payload_type) for codec in section.codecs) or section.formats
    return Section(
        kind=section.kind,
        mid=section.mid,
        port=0,
        profile=section.profile,
        formats=formats,
        direction="inactive",
    )


@lru_cache(maxsize=256)  # one entry per browser version and kind of track
def _agreed_formats(
    offered: tuple[Format, ...], plan: SectionPlan, sends_stereo: bool
) -> tuple[Format, ...]:
    formats = [one for one in offered if not (plan.refuse_red and one.codec == "red")]
    formats.sort(key=lambda one: _rank(one, plan))
    return tuple(_answered(one, plan, sends_stereo) for one in formats)


def _rank(one: Format, plan: SectionPlan) -> int:
    """Stable order of preference: RED where it is wanted, the wanted codec, then the client's own order."""
    if one.codec == "red":
        return 0 if plan.red else 3
    return 1 if one.codec == plan.preferred else 2


def _answered(one: Format, plan: SectionPlan, sends_stereo: bool) -> Format:
    """The description that the answer gives of an accepted payload type."""
    offered = set(one.description.feedback)
    if one.codec in NAMES["video"]:
        kept = VIDEO_FEEDBACK if "transport-cc" in offered else (REMB, *VIDEO_FEEDBACK)
        feedback = tuple(kind for kind in kept if kind in offered)
    else:
        # Clients add `nack` to Opus in their own descriptions; the answer always asks for it where they send.
        # What we send has no retransmission stream, so nobody is told that asking would help.
        feedback = ("nack",) if one.codec == "opus" and plan.receive else ()
    parameters = one.description.parameters
    if one.codec == "opus":
        parameters = _opus_parameters(one.description, plan, sends_stereo)
    description = one.description._replace(feedback=feedback, parameters=parameters)
    rtx = one.rtx if "nack" in feedback else None
    return one._replace(description=description, rtx=rtx)


def _opus_parameters(codec: RtpCodec, plan: SectionPlan, sends_stereo: bool) -> str:
    offered = parameters_of(codec)
    parts = [f"minptime={offered.get('minptime', '10')}", "useinbandfec=1"]
    if plan.receive and plan.dtx:
        parts.append("usedtx=1")
    if plan.receive and plan.stereo:
        parts += ["stereo=1", f"maxaveragebitrate={STEREO_BITRATE}"]
    text = ";".join(parts)
    return stereo_parameters(text) if sends_stereo else text
