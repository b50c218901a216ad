"""Networks on one machine: hosts that are network namespaces, cables between them, and what runs on them.

Everything is real: addresses, routes, firewalls and NAT are the kernel's. Only root makes namespaces.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import pytest
from playwright.async_api import Browser, Route, async_playwright

from common.clock import SystemClock
from common.redact import Redacted
from crypto.tokens import SigningKeys
from server.access import AccessSpec, make_token

ROOT = Path(__file__).resolve().parents[2]
CONCLAVE = str(ROOT / ".venv/bin/conclave")
KEY, SECRET = "testkey", "a secret of at least thirty-two characters"
PAGE = (
    "http://localhost/client.html"  # served by interception; browsers take it for a secure context
)
FILES = {
    "/client.html": ROOT / "tests/interop/pages/client.html",
    "/client.js": ROOT / "tests/interop/pages/client.js",
    "/livekit-client.umd.js": ROOT / "web/node_modules/livekit-client/dist/livekit-client.umd.js",
}
COMMAND_SECONDS = 60

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
        """Runs a command that has to succeed; its output."""
        result = self.run(*command.split())
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
        self._processes.append(process)
        return process

    def serve(self, folder: Path, config: str, *wrapper: str, **environ: str) -> str:
        """Starts the server with `config` and waits until it is ready; its URL."""
        name = f"{self.label}-{next(_numbers)}"
        path, log_path = folder / f"{name}.toml", folder / f"{name}.log"
        path.write_text(config.replace("{data}", str(folder / name)))
        with log_path.open("w") as log:
            command = [*wrapper, CONCLAVE, "serve", "--config", str(path), "--json"]
            process = self.start(*command, log=log, **environ)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, log_path.read_text()
        return str(json.loads(line)["url"])

    def close(self) -> None:
        """Ends what runs in here, then lets go of the namespace."""
        listed = subprocess.run(
            ["ip", "netns", "pids", self.name], capture_output=True, text=True, check=False
        )
        for pid in listed.stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        for process in self._processes:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
        subprocess.run(["ip", "netns", "delete", self.name], capture_output=True, check=False)


class Network:
    """Hosts that end together."""

    def __init__(self) -> None:
        self.hosts: list[Host] = []

    def host(self, label: str) -> Host:
        """A further host, with no cable yet."""
        made = Host(label)
        self.hosts.append(made)
        return made

    @staticmethod
    def connect(one: Host, one_address: str, other: Host, other_address: str) -> None:
        """A cable between two hosts; addresses are written with their prefix length."""
        number = next(_numbers)
        ends = ((one, f"cable{number}a", one_address), (other, f"cable{number}b", other_address))
        names = [name for _, name, _ in ends]
        one.ip(f"link add {names[0]} type veth peer {names[1]} netns {other.name}")
        for host, name, address in ends:
            six = " nodad" if ":" in address else ""
            host.ip(f"address add {address} dev {name}{six}")
            host.ip(f"link set {name} up")

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


def routed(network: Network, inside: str, outside: str) -> tuple[Host, Host, Host]:
    """client -- router -- server: two /24 networks whose `.1` is the router; it forwards everything."""
    client, router, server = (network.host(label) for label in ("client", "router", "server"))
    network.connect(client, f"{outside}.2/24", router, f"{outside}.1/24")
    network.connect(router, f"{inside}.1/24", server, f"{inside}.2/24")
    client.ip(f"route add default via {outside}.1")
    server.ip(f"route add default via {inside}.1")
    assert router.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward").returncode == 0
    return client, router, server


def configuration(http: str, addresses: list[str], more: str = "", *, port: int = 7880) -> str:
    """A server on fixed ports: HTTP on `http`, media on `addresses`, one port above by TCP and two by UDP."""
    return f"""
data = "{{data}}"
[http]
bind = "{http}"
port = {port}
[media]
addresses = {json.dumps(addresses)}
port = {port + 2}
tcp_port = {port + 1}
[keys.{KEY}]
secret = "{SECRET}"
{more}
"""


def token(identity: str, room: str) -> str:
    """A token for servers with that configuration."""
    keys = SigningKeys({KEY: Redacted(SECRET)})
    return make_token(keys, AccessSpec(identity=identity, room=room), SystemClock())


@contextlib.contextmanager
def publisher(host: Host, url: str, room: str, **environ: str) -> Iterator[None]:
    """`conclave publish --demo` on a host: a moving picture and sound from aiortc."""
    process = host.start(
        CONCLAVE, "publish", "--demo", "--room", room, "--url", url, "--json",
        CONCLAVE_API_KEY=KEY, CONCLAVE_API_SECRET=SECRET, **environ,
    )  # fmt: skip
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(COMMAND_SECONDS)


@contextlib.asynccontextmanager
async def chromium_on(
    host: Host, *flags: str, without: tuple[str, ...] = ()
) -> AsyncIterator[Browser]:
    """Chromium with fake devices on a host, driven through pipes that know no network.

    `flags` come to the usual ones, of which those in `without` are left out.
    """
    from tests.interop.conftest import CHROMIUM_FLAGS

    usual = [flag for flag in CHROMIUM_FLAGS if flag not in without]
    with tempfile.TemporaryDirectory() as folder:
        wrapper = Path(folder) / "chromium"
        wrapper.write_text(f'#!/bin/sh\nexec ip netns exec {host.name} /usr/bin/chromium "$@"\n')
        wrapper.chmod(0o755)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=wrapper, args=[*usual, *flags], headless=True
            )
            yield browser
            await browser.close()


async def serve_files(route: Route) -> None:
    """Answers a browser's requests for the test page, on a host without a web server."""
    path = "/" + route.request.url.split("/", 3)[3]
    if path in FILES:
        await route.fulfill(path=FILES[path])
    else:
        await route.abort()


def _ip(command: str) -> None:
    result = subprocess.run(["ip", *command.split()], capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"ip {command}: {result.stderr}"
