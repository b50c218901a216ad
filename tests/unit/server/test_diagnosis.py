"""The doctor's checks of the machine find planted faults and name the remedy."""

import socket
from pathlib import Path

import pytest

from common.clock import ManualClock
from server.config import Config, ConfigFile, HttpSection, MediaSection
from server.diagnosis import machine
from server.diagnosis.finding import Finding


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
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        media = MediaSection(addresses=["127.0.0.1"], port=port - 1, lanes=2)
        found = faults(list(machine.check_ports(config(media=media))))
    assert f"UDP port {port}" in found["media_port"].message


def test_an_address_of_another_machine_is_found() -> None:
    found = faults(
        list(machine.check_ports(config(media=MediaSection(addresses=["192.0.2.1"], port=0))))
    )
    assert "no address of this machine" in found["media_port"].message


def buffers(tmp_path: Path, rmem: str, wmem: str) -> list[Finding]:
    (tmp_path / "rmem_max").write_text(rmem)
    (tmp_path / "wmem_max").write_text(wmem)
    return list(machine.check_buffers(config(), tmp_path))


def test_tiny_socket_buffers_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_may_force", lambda: False)
    receive, send = buffers(tmp_path, "212992", "212992")
    assert receive.verdict == "fault"
    assert "sysctl -w net.core.rmem_max=16777216" in receive.remedy
    assert send.verdict == "warning"


def test_large_socket_buffers_are_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_may_force", lambda: False)
    assert [finding.verdict for finding in buffers(tmp_path, "16777216", "33554432")] == [
        "ok",
        "ok",
    ]


def test_unreadable_limits_are_a_warning(tmp_path: Path) -> None:
    findings = list(machine.check_buffers(config(), tmp_path))
    assert [finding.verdict for finding in findings] == ["warning", "warning"]


def test_announcing_loopback_from_a_public_server_is_found() -> None:
    public = config(http=HttpSection(bind="192.0.2.10"))
    assert "announced_address" in faults(list(machine.check_addresses(public)))
    mapped = config(
        http=HttpSection(bind="192.0.2.10"),
        media=MediaSection(addresses=["127.0.0.1"], announced={"127.0.0.1": "203.0.113.4"}),
    )
    assert not faults(list(machine.check_addresses(mapped)))


def test_a_clock_years_behind_is_found() -> None:
    assert "clock" in faults(list(machine.check_clock(ManualClock(wall=1_500_000_000.0), True)))


@pytest.mark.parametrize(
    ("synchronised", "verdict"), [(True, "ok"), (False, "warning"), (None, "ok")]
)
def test_an_unsynchronised_clock_is_a_warning(synchronised: bool | None, verdict: str) -> None:
    (finding,) = machine.check_clock(ManualClock(wall=1_790_000_000.0), synchronised)
    assert finding.verdict == verdict


def test_the_kernel_can_be_asked_about_its_clock() -> None:
    assert machine.kernel_clock_synchronised() in (True, False, None)
