"""The units in deploy/systemd and the sample configuration fit each other and the code."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path, PurePosixPath

import pytest

from server.audit.child import FINAL_CODES
from server.config import Config, load

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
UNITS = ("conclave", "conclave-sidecar")
LEAST_PRIVILEGE = {
    "CapabilityBoundingSet": "",
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateDevices": "yes",
    "MemoryDenyWriteExecute": "yes",
    "LimitCORE": "0",
    "UMask": "0077",
}


def unit(name: str) -> dict[str, list[str]]:
    """Every directive of a unit with its values."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in (DEPLOY / "systemd" / f"{name}.service").read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            directive, _, value = line.partition("=")
            found[directive].append(value)
    return found


@pytest.fixture
def sample() -> Config:
    return load(DEPLOY / "conclave.sample.toml", secrets=False)


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_has_no_more_than_it_needs(name: str) -> None:
    found = unit(name)
    assert {key: found[key] for key in LEAST_PRIVILEGE} == {
        key: [value] for key, value in LEAST_PRIVILEGE.items()
    }


def test_the_two_run_as_different_users_and_out_of_each_others_reach() -> None:
    server, sidecar = unit("conclave"), unit("conclave-sidecar")
    assert server["User"] != sidecar["User"]
    assert f"-/var/lib/{sidecar['StateDirectory'][0]}" in server["InaccessiblePaths"][0].split()
    assert f"-/var/lib/{server['StateDirectory'][0]}" in sidecar["InaccessiblePaths"][0].split()


def test_a_sidecar_that_a_new_start_cannot_help_stays_down() -> None:
    prevented = {
        int(code) for code in unit("conclave-sidecar")["RestartPreventExitStatus"][0].split()
    }
    assert prevented == FINAL_CODES


def test_the_sample_puts_things_where_the_units_allow_it(sample: Config) -> None:
    server, sidecar = unit("conclave"), unit("conclave-sidecar")
    audit = sample.file.audit
    assert audit.sidecar == "separate"
    assert audit.folder == f"/var/lib/{sidecar['StateDirectory'][0]}"
    assert (
        PurePosixPath(audit.socket).parent == PurePosixPath("/run") / sidecar["RuntimeDirectory"][0]
    )
    assert audit.users == server["User"]
    assert sample.file.data == f"/var/lib/{server['StateDirectory'][0]}"
    secret = sample.file.keys["prod"].secret_file
    assert f"-{PurePosixPath(secret).parent}" in sidecar["InaccessiblePaths"][0].split()


def test_a_server_has_the_time_to_drain(sample: Config) -> None:
    assert int(unit("conclave")["TimeoutStopSec"][0]) > sample.file.shutdown.drain


def test_the_port_is_held_while_the_server_starts_again(sample: Config) -> None:
    held = (DEPLOY / "systemd/conclave.socket").read_text()
    assert f"ListenStream={sample.file.http.bind}:{sample.file.http.port}\n" in held
    server = unit("conclave")
    assert server["Requires"] == ["conclave.socket"]
    assert server["RestartSec"] == ["0"]
