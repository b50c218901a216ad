"""Header extensions (RFC 8285): which ones we take from clients, which ones we write, under which ids.

In come the extensions of an offered section, out go those that both sides use, with the offerer's ids.
"""

from collections.abc import Iterable

from sfu.dataplane import ExtensionIds
from sfu.negotiation.sdp import Extension, Section

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
DEPENDENCY_DESCRIPTOR = (
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
)
ABS_CAPTURE_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"

# RID on receiving sections too: Chromium refuses simulcast later if the first answer lacks it there.
ACCEPTED: dict[str, frozenset[str]] = {
    "audio": frozenset({MID, AUDIO_LEVEL, RID, ABS_CAPTURE_TIME}),
    "video": frozenset(
        {
            MID,
            RID,
            REPAIRED_RID,
            TRANSPORT_CC,
            ABS_SEND_TIME,
            DEPENDENCY_DESCRIPTOR,
            ABS_CAPTURE_TIME,
        }
    ),
}
WRITTEN: dict[str, frozenset[str]] = {
    "audio": frozenset({MID, ABS_CAPTURE_TIME}),
    "video": frozenset({MID, TRANSPORT_CC, ABS_SEND_TIME, DEPENDENCY_DESCRIPTOR, ABS_CAPTURE_TIME}),
}
# One id space for a bundle (RFC 8843 section 9); below 15 for one-byte headers.
OFFERED: dict[str, tuple[Extension, ...]] = {
    "audio": (Extension(1, MID), Extension(2, ABS_CAPTURE_TIME)),
    "video": (
        Extension(1, MID),
        Extension(2, ABS_CAPTURE_TIME),
        Extension(3, TRANSPORT_CC),
        Extension(4, DEPENDENCY_DESCRIPTOR),
    ),
}
RESERVED_ID = 15  # ends one-byte headers (RFC 8285 section 4.2), so nothing can be agreed under it
MIRRORED = {"sendonly": "recvonly", "recvonly": "sendonly"}


def accepted(section: Section) -> tuple[Extension, ...]:
    """The extensions of an offered section that the answer repeats.

    Send times serve only peers without transport-wide feedback.
    """
    uris = {extension.uri for extension in section.extensions}
    wanted = ACCEPTED.get(section.kind, frozenset())
    if TRANSPORT_CC in uris:
        wanted = wanted - {ABS_SEND_TIME}
    return tuple(
        Extension(
            extension.id, extension.uri, MIRRORED.get(extension.direction, extension.direction)
        )
        for extension in section.extensions
        if extension.uri in wanted
        and extension.direction != "inactive"
        and extension.id != RESERVED_ID
    )


def written(kind: str, extensions: Iterable[Extension]) -> ExtensionIds:
    """What a leg writes, out of what was agreed for its section."""
    wanted = WRITTEN.get(kind, frozenset())
    return tuple(
        (extension.id, extension.uri)
        for extension in extensions
        if extension.uri in wanted and extension.direction != "recvonly"
    )


def identities(extensions: Iterable[Extension]) -> ExtensionIds:
    """The distinct (id, URI) pairs, as the data plane wants to know them."""
    return tuple(dict.fromkeys((extension.id, extension.uri) for extension in extensions))
