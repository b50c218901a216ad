"""Fragments of a description that travel while ICE goes on (RFC 8840): the client's read, ours written.

In comes the text of a fragment, out go the ICE credentials in it; in goes our answer, out comes the fragment that
tells our end of a restarted ICE session.
"""

from common.errors import RemoteError
from sfu.negotiation.parse import parse_fragment
from sfu.negotiation.sdp import Session
from sfu.negotiation.transport import LocalTransport


def read_credentials(text: str) -> tuple[str, str] | None:
    """The ICE user name and password, at whichever level; None if the fragment only adds candidates.

    Candidates are checked for their form and go no further: a lite agent waits for the client's checks.
    """
    fragment = parse_fragment(text)
    levels = (fragment.transport, *(section.transport for section in fragment.sections))
    found = {(facts.ufrag, facts.pwd) for facts in levels if facts.ufrag or facts.pwd}
    if len(found) > 1:
        raise RemoteError("sdp_malformed", "a bundle has one pair of ICE credentials")
    for ufrag, pwd in found:
        if not ufrag or not pwd:
            raise RemoteError("sdp_malformed", "half of the ICE credentials are missing")
        return ufrag, pwd
    return None


def write_fragment(answer: Session, local: LocalTransport) -> str:
    """Our credentials and candidates, in the section whose transport the others share."""
    tagged = next(section for section in answer.sections if not section.rejected)
    formats = [str(codec.payload_type) for codec in tagged.codecs] or tagged.formats
    lines = [
        *(["a=ice-lite"] if answer.ice_lite else []),
        *(["a=group:BUNDLE " + " ".join(answer.bundle)] if answer.bundle else []),
        f"m={tagged.kind} 9 {tagged.profile} {' '.join(formats)}",
        f"a=mid:{tagged.mid}",
        f"a=ice-ufrag:{local.ufrag}",
        f"a=ice-pwd:{local.pwd}",
        *(f"a={candidate}" for candidate in local.candidates),
        "a=end-of-candidates",
    ]
    return "".join(line + "\r\n" for line in lines)
