"""What a viewer that negotiates once may offer (WHEP draft sections 4.3.4 and 4.3.5).

In comes an offer, out goes a refusal, if anything. Codes beside those of parsing: `sdp_direction`,
`sdp_not_bundled`, `codec_unsupported`, `nothing_offered`.
"""

from common.errors import RemoteError
from sfu.negotiation.codecs import formats_of
from sfu.negotiation.parse import parse
from sfu.negotiation.transport import carried, read_transport


def check_playback(sdp: str) -> None:
    """Refuses what could not be answered by sections that send."""
    offer = parse(sdp)
    transport = read_transport(offer)
    sections = [one for one in offer.sections if one.is_rtp and not one.rejected]
    if transport is None or not sections:
        raise RemoteError("nothing_offered", "the offer has no media")
    for section in sections:
        if section.direction not in ("recvonly", "sendrecv"):
            raise RemoteError("sdp_direction", "the sections of a viewer's offer have to receive")
        if not carried(offer, section):
            raise RemoteError("sdp_not_bundled", "all sections have to be in one bundle")
    if not any(formats_of(section) for section in sections):
        raise RemoteError("codec_unsupported", "no codec of the offer is known")
