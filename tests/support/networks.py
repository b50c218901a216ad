"""Networks on one machine: hosts that are network namespaces, and the cables between them.

Everything is real: addresses, routes, firewalls and NAT are the kernel's. Only root makes namespaces. Nothing is
shared with the machine's own network or with networks of other processes: two may use the same addresses.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import re
import shlex
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND_SECONDS = 60
ISLAND = "10.213.0.1"  # the address of a host on its own

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces are made by root")
_numbers = itertools.count()


class Host:
    """A network namespace: a machine as far as packets can tell."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.name = f"c{os.getpid()}-{next(_numbers)}-{label}"
        self.prefix = ["ip", "netns", "exec", self.name]
        self._processes: list[subprocess.Popen[str]] = []
        _ip(f"netns add {self.name}")
        self.ip("link set lo up")

    def ip(self, command: str) -> None:
        """A command of iproute2, in here."""
        _ip(f"-n {self.name} {command}")

    def run(
        self, *command: str | Path, seconds: float = COMMAND_SECONDS, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in here to its end."""
        return subprocess.run(
            [*self.prefix, *command],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            timeout=seconds,
            env={**os.environ, **environ},
        )

    def must(self, command: str) -> str:
        """Runs a command, quoted as for a shell, that has to succeed; its output."""
        result = self.run(*shlex.split(command))
        assert result.returncode == 0, f"{command}: {result.stderr}"
        return result.stdout

    def start(
        self, *command: str | Path, log: IO[str] | None = None, **environ: str
    ) -> subprocess.Popen[str]:
        """Starts a command in here that ends with the host."""
        process = subprocess.Popen(
            [*self.prefix, *command],
            stdout=subprocess.PIPE,
            stderr=log or subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env={**os.environ, **environ},
        )
        self.adopt(process)
        return process

    def adopt(self, process: subprocess.Popen[str]) -> None:
        """Lets a process that runs in here end with the host."""
        self._processes.append(process)

    def close(self) -> None:
        """Ends what runs in here, then lets go of the namespace and with it of its cables."""
        _kill_all_in(self.name)
        for process in self._processes:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        _delete(self.name)


class Network:
    """Hosts that end together, whatever happened to them."""

    def __init__(self) -> None:
        _sweep()
        self.hosts: list[Host] = []

    def host(self, label: str) -> Host:
        """A further host, with no cable yet."""
        made = Host(label)
        self.hosts.append(made)
        return made

    @staticmethod
    def connect(
        one: Host, one_address: str, other: Host, other_address: str, device: str = ""
    ) -> str:
        """A cable between two hosts; addresses are written with their prefix length. The name of both its ends."""
        device = device or f"cable{next(_numbers)}"
        one.ip(f"link add {device} type veth peer name {device} netns {other.name}")
        for host, address in ((one, one_address), (other, other_address)):
            six = " nodad" if ":" in address else ""
            host.ip(f"address add {address} dev {device}{six}")
            host.ip(f"link set {device} up")
        return device

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for host in self.hosts:
            host.close()


def alone(network: Network) -> Host:
    """A host with the address ISLAND and a default route that leads nowhere.

    For clients that gather no candidate on the loopback device, and none without a default route.
    """
    host = network.host("island")
    for command in (
        "link add here type veth peer name there",
        f"address add {ISLAND}/24 dev here",
        "link set here up",
        "link set there up",
        "route add default via 10.213.0.2 dev here",
    ):
        host.ip(command)
    return host


def routed(network: Network, inside: str, outside: str) -> tuple[Host, Host, Host]:
    """client -- router -- server: two /24 networks whose `.1` is the router; it forwards everything."""
    client, router, server = (network.host(label) for label in ("client", "router", "server"))
    network.connect(client, f"{outside}.2/24", router, f"{outside}.1/24")
    network.connect(router, f"{inside}.1/24", server, f"{inside}.2/24")
    client.ip(f"route add default via {outside}.1")
    server.ip(f"route add default via {inside}.1")
    router.must("sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'")
    return client, router, server


@functools.cache
def _sweep() -> None:
    """Lets go, once, of what processes left behind that were killed before they could."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False)
    for name, pid in re.findall(r"^(c(\d+)-\S+)", listed.stdout, re.MULTILINE):
        if not Path(f"/proc/{pid}").exists():
            _kill_all_in(name)
            _delete(name)


def _kill_all_in(namespace: str) -> None:
    listed = subprocess.run(
        ["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False
    )
    for pid in listed.stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def _delete(namespace: str) -> None:
    subprocess.run(["ip", "netns", "delete", namespace], capture_output=True, check=False)


def _ip(command: str) -> None:
    result = subprocess.run(["ip", *command.split()], capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"ip {command}: {result.stderr}"
