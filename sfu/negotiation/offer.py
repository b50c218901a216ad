"""Our offers on a subscriber connection, and what the client's answer makes of them.

In go sections with what each sends, out comes the offer; in goes the answer, out come agreements per section.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from common.errors import RemoteError
from sfu.limits import MAX_MESSAGE_SIZE
from sfu.negotiation import extensions
from sfu.negotiation.answer import Agreement, Outgoing, codec_lines, with_outgoing
from sfu.negotiation.codecs import Format, formats_of, same
from sfu.negotiation.sdp import Extension, Section, Session, TransportFacts
from sfu.negotiation.transport import LocalTransport, carried

DATA_MID = "0"


@dataclass(frozen=True, slots=True)
class OfferedSection:
    """A section of a server offer; nothing to send: inactive, kept for reuse; `ended`: the client refused it."""

    mid: str
    kind: str
    formats: tuple[Format, ...]
    send: Outgoing | None = None
    ended: bool = False


def build_offer(
    sections: Sequence[OfferedSection],
    local: LocalTransport,
    version: int,
    *,
    data: bool = True,
    mux_only: bool = False,
) -> Session:
    """The whole offer; the section of the data channels, if there is one, comes first.

    `mux_only` says of each media section that RTCP has no port of its own (RFC 8858).
    """
    facts = local.facts("actpass")
    media = [replace(_media_section(one, facts), rtcp_mux_only=mux_only) for one in sections]
    first, *others = [*([_data_section(facts)] if data else []), *media]
    tagged = replace(first, candidates=local.candidates, end_of_candidates=True)
    every = (tagged, *others)
    return Session(
        session_id=local.session_id,
        version=version,
        ice_lite=True,
        extmap_allow_mixed=True,
        bundle=tuple(section.mid for section in every if not section.rejected),
        sections=every,
    )


def _data_section(facts: TransportFacts) -> Section:
    return Section(
        kind="application",
        mid=DATA_MID,
        profile="UDP/DTLS/SCTP",
        formats=("webrtc-datachannel",),
        transport=facts,
        sctp_port=5000,
        max_message_size=MAX_MESSAGE_SIZE,
    )


def read_answer(offer: Session, answer: Session) -> dict[str, Agreement]:
    """By mid, what the client accepted; an empty agreement is a refusal."""
    offered = [section.mid for section in offer.sections]
    if [section.mid for section in answer.sections] != offered:
        raise RemoteError("sdp_malformed", "the answer's sections are not the offer's")
    agreements = {}
    for ours, theirs in zip(offer.sections, answer.sections, strict=True):
        if not ours.is_rtp:
            continue
        accepted = carried(answer, theirs) and theirs.direction in ("recvonly", "sendrecv")
        agreements[ours.mid] = _agreement(ours, theirs) if accepted else Agreement()
    return agreements


def _media_section(offered: OfferedSection, facts: TransportFacts) -> Section:
    section = Section(
        kind=offered.kind,
        mid=offered.mid,
        port=0 if offered.ended else 9,
        direction="sendonly" if offered.send is not None else "inactive",
        transport=TransportFacts() if offered.ended else facts,
        codecs=codec_lines(offered.formats),
        extensions=extensions.OFFERED[offered.kind],
        rtcp_mux=True,
        rtcp_rsize=True,
        extmap_allow_mixed=True,
    )
    return with_outgoing(section, offered.send) if offered.send else section


def _agreement(ours: Section, theirs: Section) -> Agreement:
    mine = formats_of(ours)
    formats = tuple(one for one in formats_of(theirs) if any(same(one, own) for own in mine))
    uris = {extension.uri for extension in ours.extensions}
    agreed = tuple(
        Extension(extension.id, extension.uri)
        for extension in theirs.extensions
        if extension.uri in uris
        and extension.direction != "inactive"
        and extension.id != extensions.RESERVED_ID
    )
    return Agreement(formats, agreed)
