"""The doctor's checks of the machine find planted faults and name the remedy."""

import re
import socket

import pytest

from common.clock import ManualClock
from server.config import Config, ConfigFile, HttpSection, MediaSection
from server.diagnosis import clock, machine
from server.diagnosis.finding import Finding
from tests.architecture.test_shape import ROOT
from tests.support.ports import two_free_ports


def config(http: HttpSection | None = None, media: MediaSection | None = None) -> Config:
    file = ConfigFile(
        http=http or HttpSection(port=0),
        media=media or MediaSection(addresses=["127.0.0.1"], port=0),
    )
    return Config(file=file, keys={})


def faults(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings if finding.verdict == "fault"}


def test_free_ports_are_fine() -> None:
    assert not faults(list(machine.check_ports(config())))


def test_a_tcp_port_in_use_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = faults(list(machine.check_ports(config(http=HttpSection(port=port)))))
    assert "is in use" in found["http_port"].message
    assert f":{port}" in found["http_port"].remedy


def test_a_udp_port_in_use_is_found_for_any_lane() -> None:
    port = two_free_ports() + 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", port))
        media = MediaSection(addresses=["127.0.0.1"], port=port - 1, lanes=2)
        found = faults(list(machine.check_ports(config(media=media))))
    assert f"UDP port {port}" in found["media_port"].message


def test_a_tcp_port_for_media_in_use_is_found_for_any_lane_unless_there_is_to_be_none() -> None:
    port = two_free_ports() + 1
    with socket.create_server(("127.0.0.1", port)):

        def found(*, tcp: bool) -> dict[str, Finding]:
            media = MediaSection(
                addresses=["127.0.0.1"], port=0, lanes=2, tcp=tcp, tcp_port=port - 1
            )
            return faults(list(machine.check_ports(config(media=media))))

        assert f"TCP port {port}" in found(tcp=True)["media_tcp_port"].message
        assert not found(tcp=False)


def test_an_address_of_another_machine_is_found() -> None:
    found = faults(
        list(machine.check_ports(config(media=MediaSection(addresses=["192.0.2.1"], port=0))))
    )
    assert "no address of this machine" in found["media_port"].message


def buffers(monkeypatch: pytest.MonkeyPatch, granted: int, wanted: int) -> list[Finding]:
    monkeypatch.setattr(machine, "granted_buffer", lambda _option, _wanted: granted)
    media = MediaSection(addresses=["127.0.0.1"], port=0, receive_buffer=wanted, send_buffer=wanted)
    return list(machine.check_buffers(config(media=media)))


def test_tiny_socket_buffers_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    receive, send = buffers(monkeypatch, 212_992, 16_777_216)
    assert (receive.verdict, receive.code) == ("fault", "socket_buffer_small")
    assert "sysctl -w net.core.rmem_max=16777216" in receive.remedy
    assert (send.verdict, send.code) == ("warning", "socket_buffer_small")


def test_socket_buffers_that_are_configured_tiny_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    receive, send = buffers(monkeypatch, 65_536, 65_536)
    assert receive.verdict == "fault"
    assert "media.receive_buffer" in receive.remedy
    assert send.verdict == "ok"


def test_large_socket_buffers_are_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    findings = buffers(monkeypatch, 33_554_432, 16_777_216)
    assert [finding.verdict for finding in findings] == ["ok", "ok"]


def test_a_socket_grants_what_is_small_enough() -> None:
    assert machine.granted_buffer(socket.SO_RCVBUF, 65_536) == 65_536


def test_announcing_loopback_from_a_public_server_is_found() -> None:
    public = config(http=HttpSection(bind="192.0.2.10"))
    assert "announced_address" in faults(list(machine.check_addresses(public)))
    mapped = config(
        http=HttpSection(bind="192.0.2.10"),
        media=MediaSection(addresses=["127.0.0.1"], announced={"127.0.0.1": "203.0.113.4"}),
    )
    assert not faults(list(machine.check_addresses(mapped)))


def test_a_clock_years_behind_is_found() -> None:
    finding = clock.check_clock(ManualClock(wall=1_500_000_000.0), True)
    assert (finding.verdict, finding.code) == ("fault", "clock_wrong")


@pytest.mark.parametrize(
    ("synchronised", "verdict"), [(True, "ok"), (False, "warning"), (None, "ok")]
)
def test_an_unsynchronised_clock_is_a_warning(synchronised: bool | None, verdict: str) -> None:
    assert clock.check_clock(ManualClock(wall=1_790_000_000.0), synchronised).verdict == verdict


def test_the_kernel_can_be_asked_about_its_clock() -> None:
    assert clock.kernel_clock_synchronised() in (True, False, None)


def test_every_code_of_the_doctor_stands_in_the_operators_page() -> None:
    """A code that nobody explains is no help; the codes are the constants in calls of fault and warning."""
    page = (ROOT / "docs/operators/network.md").read_text()
    codes = {
        code
        for path in (ROOT / "server/diagnosis").glob("*.py")
        for code in re.findall(
            r"(?:fault|warning|report)\(\s*(?:\"[a-z_0-9]+\"|check),\s*\"([a-z_0-9]+)\"",
            path.read_text(),
        )
    }
    assert len(codes) > 12
    assert not {code for code in codes if f"`{code}`" not in page}
