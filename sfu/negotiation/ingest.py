"""What a client that negotiates once offers to publish (RFC 9725 sections 4.2 and 4.4).

In comes an offer, out go the tracks that it announces, or a refusal of the whole: such a client cannot be told
that only a part of it was taken. Codes beside those of parsing: `sdp_direction`, `sdp_not_bundled`, `sdp_section`,
`codec_unsupported`, `too_many_tracks`, `too_many_streams`, `nothing_offered`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from common.errors import RemoteError
from sfu.model import TrackKind
from sfu.negotiation.answer import simulcast_rids
from sfu.negotiation.codecs import formats_of, parameters_of
from sfu.negotiation.parse import parse
from sfu.negotiation.sdp import Section, Session
from sfu.negotiation.transport import carried, read_transport


@dataclass(frozen=True, slots=True)
class OfferedTrack:
    """A section in which the client means to send."""

    kind: TrackKind
    cid: str  # its track id; empty where it names none
    stereo: bool = False
    streams: int = 1  # of simulcast


def read_ingest(sdp: str) -> tuple[OfferedTrack, ...]:
    """The tracks of an offer, every one of which can be taken."""
    offer = parse(sdp)
    transport = read_transport(offer)
    sections = list(_media(offer))
    if transport is None or not sections:
        raise RemoteError("nothing_offered", "the offer has no media")
    for section in sections:
        _check(offer, section)
    kinds = [section.kind for section in sections]
    if len(set(kinds)) != len(kinds):
        raise RemoteError("too_many_tracks", "only one track of each kind is taken")
    if len({stream for section in sections for stream, _ in section.msids}) > 1:
        raise RemoteError("too_many_streams", "all tracks have to belong to one MediaStream")
    return tuple(_named(sections))


def _media(offer: Session) -> Iterator[Section]:
    for section in offer.sections:
        if section.rejected or section.kind == "application":
            continue
        if not section.is_rtp:
            raise RemoteError("sdp_section", "only audio and video are taken")
        yield section


def _check(offer: Session, section: Section) -> None:
    if section.direction not in ("sendonly", "sendrecv"):
        raise RemoteError("sdp_direction", "the sections of an ingest offer have to send")
    if not carried(offer, section):
        raise RemoteError("sdp_not_bundled", "all sections have to be in one bundle")
    if not formats_of(section):
        raise RemoteError("codec_unsupported", f"no codec of the {section.kind} section is known")


def _named(sections: list[Section]) -> Iterator[OfferedTrack]:
    """Tracks by their ids; an id that two sections share tells neither from the other."""
    seen: set[str] = set()
    for section in sections:
        cid = next((track for _, track in section.msids if track), "")
        cid = "" if cid in seen else cid
        seen.add(cid)
        yield OfferedTrack(
            kind=TrackKind(section.kind),
            cid=cid,
            stereo=any(
                parameters_of(codec).get("sprop-stereo") == "1"
                for codec in section.codecs
                if codec.name.lower() == "opus"
            ),
            streams=max(1, len(simulcast_rids(section))),
        )
