import pytest

from common.errors import RemoteError
from sfu.negotiation.parse import parse
from sfu.negotiation.transport import (
    RemoteTransport,
    candidate_lines,
    dtls_client,
    read_transport,
    tcp_candidate_lines,
)
from tests.support.descriptions import FINGERPRINT, Client, Media

OFFER = Client().offer(Media("audio", "0"), data="1")


def refusal(text: str) -> str:
    with pytest.raises(RemoteError) as caught:
        read_transport(parse(text))
    return caught.value.code


def read(text: str) -> RemoteTransport:
    transport = read_transport(parse(text))
    assert transport is not None
    return transport


def test_credentials_fingerprint_and_sctp_are_read() -> None:
    transport = read(OFFER)
    assert transport.ufrag == "Cufr"
    assert transport.fingerprints[0].digest == b"\xab" * 32
    assert transport.sctp == (5000, 262_144)
    assert transport.setup == "actpass"


def test_session_level_attributes_serve_all_sections() -> None:
    lines = [line for line in OFFER.splitlines() if not line.startswith("a=fingerprint")]
    lines.insert(4, f"a=fingerprint:sha-256 {FINGERPRINT}")
    assert read("\r\n".join(lines)).fingerprints[0].digest == b"\xab" * 32


@pytest.mark.parametrize(
    "profile",
    ["RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "TCP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP"],
)
def test_any_other_profile_is_refused(profile: str) -> None:
    assert refusal(OFFER.replace("UDP/TLS/RTP/SAVPF", profile)) == "sdp_profile"


def test_a_wrong_profile_is_refused_even_in_a_rejected_section() -> None:
    text = OFFER + "m=audio 0 RTP/AVP 0\r\na=mid:7\r\n"
    assert refusal(text) == "sdp_profile"


def test_data_without_dtls_is_refused() -> None:
    assert refusal(OFFER.replace("UDP/DTLS/SCTP", "SCTP")) == "sdp_profile"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f"a=fingerprint:sha-256 {FINGERPRINT}\r\n", ""),
        (f"sha-256 {FINGERPRINT}", "sha-1 " + ":".join(["AB"] * 20)),
        (f"sha-256 {FINGERPRINT}", "md5 AB:CD"),
    ],
    ids=["missing", "sha-1", "md5"],
)
def test_a_missing_or_weak_fingerprint_is_refused(old: str, new: str) -> None:
    assert refusal(OFFER.replace(old, new)) == "sdp_no_fingerprint"


def test_missing_credentials_are_refused() -> None:
    assert refusal(OFFER.replace("a=ice-ufrag:Cufr\r\n", "")) == "sdp_malformed"


@pytest.mark.parametrize(
    ("written", "size"), [("0", 262_144), ("1000000", 262_144), ("1024", 1024)]
)
def test_message_sizes_are_bounded(written: str, size: int) -> None:
    text = OFFER.replace("a=max-message-size:262144", f"a=max-message-size:{written}")
    assert read(text).sctp == (5000, size)


def test_a_missing_message_size_means_64_kib() -> None:
    text = OFFER.replace("a=max-message-size:262144\r\n", "")
    assert read(text).sctp == (5000, 65_536)


@pytest.mark.parametrize(
    ("setup", "established", "client"),
    [
        ("actpass", None, False),
        ("active", None, False),
        ("passive", None, True),
        ("actpass", True, True),
        ("passive", False, False),
    ],
)
def test_the_dtls_role_is_chosen_once(setup: str, established: bool | None, client: bool) -> None:
    assert dtls_client(setup, established) is client


def test_candidates_are_ordered_by_priority() -> None:
    lines = candidate_lines([("192.0.2.1", 7882), ("2001:db8::1", 7882)])
    assert lines[0] == "candidate:1 1 udp 2130706431 192.0.2.1 7882 typ host"
    assert lines[1] == "candidate:2 1 udp 2130706175 2001:db8::1 7882 typ host"


def test_candidates_over_tcp_are_passive_and_come_after_those_over_udp() -> None:
    """Priorities: type 90, direction 4 of eight, then the order (RFC 6544 section 4.2)."""
    lines = tcp_candidate_lines([("192.0.2.1", 7881), ("2001:db8::1", 7881)])
    assert lines == (
        "candidate:101 1 tcp 1520435199 192.0.2.1 7881 typ host tcptype passive",
        "candidate:102 1 tcp 1520434943 2001:db8::1 7881 typ host tcptype passive",
    )
    assert 1520435199 == (90 << 24) + ((4 << 13) + 8_191 << 8) + 255
    over_udp = candidate_lines([("192.0.2.1", 7882)] * 8)
    priorities = [int(line.split()[3]) for line in over_udp + lines]
    assert priorities == sorted(priorities, reverse=True)
    foundations = [line.split()[0] for line in over_udp + lines]
    assert len(set(foundations)) == len(foundations)
