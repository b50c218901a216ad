"""The transport part of a description: what the peer's says, checked, and what ours says.

In comes a `Session`, out goes a `RemoteTransport` or a refusal: `sdp_profile`, `sdp_no_fingerprint`,
`sdp_malformed`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from common.errors import RemoteError
from sfu.negotiation.sdp import (
    DATA_PROFILES,
    RTP_PROFILE,
    Fingerprint,
    Section,
    Session,
    TransportFacts,
)

ACCEPTED_DIGESTS = frozenset(
    {"sha-256", "sha-384", "sha-512"}
)  # RFC 8122 section 5: no weaker ones
DEFAULT_MAX_MESSAGE_SIZE = 65_536  # RFC 8841 section 6.1
UDP_HOST = 126  # type preference (RFC 8445 section 5.1.2.2)
TCP_HOST = (
    90  # below every candidate over UDP but relayed ones: a lost packet delays what follows it
)
PASSIVE = 4  # direction preference of the one who is connected to (RFC 6544 section 4.2)
TCP_FOUNDATION = (
    101  # no candidate over UDP has it: a check over one protocol says nothing of the other
)
LARGEST_MESSAGE_SIZE = 262_144  # bytes; 0 in SDP means any size, and nothing we send is larger


@dataclass(frozen=True, slots=True)
class LocalTransport:
    """Our end of a transport, as our descriptions show it."""

    ufrag: str
    pwd: str
    fingerprint: Fingerprint
    candidates: tuple[str, ...]  # "candidate:..."
    session_id: int

    def facts(self, setup: str) -> TransportFacts:
        """The attributes of a section."""
        return TransportFacts(self.ufrag, self.pwd, (), (self.fingerprint,), setup)


@dataclass(frozen=True, slots=True)
class RemoteTransport:
    """The peer's end of a transport."""

    ufrag: str
    pwd: str
    fingerprints: tuple[Fingerprint, ...]
    setup: str  # as written, "actpass" if nothing is
    sctp: tuple[int, int] | None  # (port, largest message it takes)


def read_transport(session: Session) -> RemoteTransport | None:
    """The one transport of a description; None if no section is alive."""
    alive = [section for section in session.sections if carried(session, section)]
    for section in session.sections:
        _check_profile(section)
    if not alive:
        return None
    tagged = next((one for one in alive if one.mid in session.bundle[:1]), alive[0])
    facts = _merged(session.transport, tagged.transport)
    fingerprints = tuple(one for one in facts.fingerprints if one.algorithm in ACCEPTED_DIGESTS)
    if not fingerprints:
        raise RemoteError("sdp_no_fingerprint", "the description has no usable fingerprint")
    if not facts.ufrag or not facts.pwd:
        raise RemoteError("sdp_malformed", "the description has no ICE credentials")
    return RemoteTransport(
        facts.ufrag, facts.pwd, fingerprints, facts.setup or "actpass", _sctp(alive)
    )


def carried(session: Session, section: Section) -> bool:
    """Whether a section rides on our one transport: in the bundle, or alone without one."""
    if section.rejected:
        return False
    if session.bundle:
        return section.mid in session.bundle
    first = next((one for one in session.sections if not one.rejected), None)
    return first is section


def dtls_client(remote_setup: str, established: bool | None) -> bool:
    """Our DTLS role for an offer's `setup`; an association that exists keeps its role (RFC 8842 section 5.5)."""
    if established is not None:
        return established
    return remote_setup == "passive"


def candidate_lines(addresses: Sequence[tuple[str, int]]) -> tuple[str, ...]:
    """Host candidates over UDP, best first (RFC 8839 section 5.1, priorities of RFC 8445 section 5.1.2)."""
    return tuple(
        f"candidate:{index + 1} 1 udp {_priority(UDP_HOST, 65_535 - index)} {address} {port} typ host"
        for index, (address, port) in enumerate(addresses)
    )


def tcp_candidate_lines(addresses: Sequence[tuple[str, int]]) -> tuple[str, ...]:
    """Passive host candidates over TCP, best first (RFC 6544 section 4.5, priorities of section 4.2)."""
    return tuple(
        f"candidate:{TCP_FOUNDATION + index} 1 tcp "
        f"{_priority(TCP_HOST, (PASSIVE << 13) + 8_191 - index)} "
        f"{address} {port} typ host tcptype passive"
        for index, (address, port) in enumerate(addresses)
    )


def _priority(kind: int, preference: int) -> int:
    """The priority of a candidate of the one component that we have."""
    return (kind << 24) + (preference << 8) + 255


def _check_profile(section: Section) -> None:
    """Anything but DTLS-SRTP would be a downgrade; refused as a whole rather than answered in part."""
    if section.is_rtp and section.profile != RTP_PROFILE:
        raise RemoteError("sdp_profile", f"media must use {RTP_PROFILE}")
    if section.kind == "application" and section.profile not in DATA_PROFILES:
        raise RemoteError("sdp_profile", "data must use SCTP over DTLS")


def _merged(session: TransportFacts, section: TransportFacts) -> TransportFacts:
    """A section's own attributes win over the session's."""
    return TransportFacts(
        section.ufrag or session.ufrag,
        section.pwd or session.pwd,
        section.options or session.options,
        section.fingerprints or session.fingerprints,
        section.setup or session.setup,
    )


def _sctp(alive: list[Section]) -> tuple[int, int] | None:
    section = next((one for one in alive if one.kind == "application"), None)
    if section is None or section.sctp_port is None:
        return None
    size = section.max_message_size
    if size is None:
        size = DEFAULT_MAX_MESSAGE_SIZE
    return section.sctp_port, min(size or LARGEST_MESSAGE_SIZE, LARGEST_MESSAGE_SIZE)
