"""A network of its own for one browser: a namespace behind a virtual cable whose address, NAT and reach change.

In: wishes (`move`, `rebind`, `silence`). Out: a Chromium inside whose traffic goes through it, and a server
outside. Needs root. Nothing of the machine's own network is touched but the cable's end.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import stat
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from playwright.async_api import Browser, Route, async_playwright

from tests.interop.conftest import CHROMIUM_FLAGS, ROOT, Client

OUTSIDE = "10.214.0.1"  # the server's end of the cable
ADDRESSES = ("10.214.0.2", "10.214.0.3")  # the browser's, one at a time
SECOND = ("10.215.0.1", "10.215.0.2")  # the two ends of a second network
KEY = "labkey"
CONFIG = f"""
data = "{{data}}"
[http]
bind = "{OUTSIDE}"
port = 0
[media]
addresses = ["{OUTSIDE}"]
port = 0
consent_timeout = {{consent}}
[keys.{KEY}]
secret = "{{secret}}"
"""
# The page comes from nowhere in the network, so that a browser asks before it may go to a private address.
PERMISSIONS = ["camera", "microphone", "local-network-access"]
FLUSH = """
import socket, struct
wire = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)  # NETLINK_NETFILTER
delete = (1 << 8) | 2  # the connection tracker's IPCTNL_MSG_CT_DELETE, of everything
wire.send(struct.pack("=IHHIIBBH", 20, delete, 1 | 4, 1, 0, socket.AF_INET, 0, 0))
code = struct.unpack_from("=i", wire.recv(4096), 16)[0]
raise SystemExit(code)
"""


class Lab:
    """The namespace; its cable's outer end is in the machine's own."""

    def __init__(self) -> None:
        self.name = f"lab-{os.getpid()}"
        self._outer = f"lab{os.getpid()}"
        self._second = f"lab{os.getpid()}b"
        self._address = ADDRESSES[0]
        self._ports = itertools.count(20_000, 1_000)

    def make(self) -> None:
        """Lays the cable."""
        self._ip(
            f"netns add {self.name}",
            f"link add {self._outer} type veth peer name cable netns {self.name}",
            f"address add {OUTSIDE}/24 dev {self._outer}",
            f"link set {self._outer} up",
            f"-n {self.name} link set lo up",
            f"-n {self.name} address add {self._address}/24 dev cable",
            f"-n {self.name} link set cable up",
            f"-n {self.name} route add default via {OUTSIDE}",
        )

    def remove(self) -> None:
        """Kills what is left inside, then lets go of the namespace and with it of the cable."""
        listed = subprocess.run(
            ["ip", "netns", "pids", self.name], capture_output=True, text=True, check=False
        )
        for pid in listed.stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        links = [["link", "delete", link] for link in (self._outer, self._second)]
        for thing in (*links, ["netns", "delete", self.name]):
            subprocess.run(["ip", *thing], capture_output=True, check=False)

    def move(self) -> None:
        """The browser's machine gets another address and loses the one it had, as between two networks."""
        before, self._address = self._address, ADDRESSES[self._address == ADDRESSES[0]]
        self._ip(
            f"-n {self.name} address delete {before}/24 dev cable",
            f"-n {self.name} address add {self._address}/24 dev cable",
            f"-n {self.name} route replace default via {OUTSIDE}",
        )

    @contextmanager
    def second_network(self) -> Iterator[str]:
        """Another network beside the first, as mobile beside Wi-Fi; gives the browser's address in it.

        Chromium prefers networks of one kind by name: that of "air" makes it the better one.
        """
        outside, inside = SECOND
        self._ip(
            f"link add {self._second} type veth peer name air netns {self.name}",
            f"address add {outside}/24 dev {self._second}",
            f"link set {self._second} up",
            f"-n {self.name} address add {inside}/24 dev air",
            f"-n {self.name} link set air up",
            f"-n {self.name} route add default via {outside} dev air metric 200",
            f"-n {self.name} route add default via {outside} dev air table 7",
            f"-n {self.name} rule add from {inside} lookup 7",
        )
        try:
            yield inside
        finally:
            self._ip(
                f"-n {self.name} rule delete lookup 7",
                f"link delete {self._second}",
                f"-n {self.name} link set cable up",
                f"-n {self.name} address replace {self._address}/24 dev cable",
                f"-n {self.name} route replace default via {OUTSIDE}",
            )

    def lose_first_network(self) -> None:
        """Takes the address and the carrier of the first network; `second_network` gives them back."""
        self._ip(
            f"-n {self.name} address delete {self._address}/24 dev cable",
            f"-n {self.name} link set cable down",
        )

    def translate(self) -> None:
        """Puts a NAT in front of the browser's UDP; called again, it forgets its bindings and gives new ports."""
        low = next(self._ports)
        self.inside("iptables", "-t", "nat", "-F")
        to = f"{self._address}:{low}-{low + 999}"
        rule = f"-t nat -A POSTROUTING -o cable -p udp -j SNAT --to-source {to} --random"
        self.inside("iptables", *rule.split())
        self.inside("python3", "-c", FLUSH)

    def silence(self, protocol: str = "all") -> None:
        """Nothing of that protocol gets through any more, and nobody is told."""
        for chain in ("INPUT", "OUTPUT"):
            self.inside("iptables", "-A", chain, "-p", protocol, "-j", "DROP")

    def restore(self) -> None:
        """Undoes `silence` and `translate`."""
        self.inside("iptables", "-F")
        self.inside("iptables", "-t", "nat", "-F")

    @staticmethod
    def _ip(*commands: str) -> None:
        for command in commands:
            _run("ip", *command.split())

    def inside(self, *command: str) -> None:
        """Runs a command in the namespace."""
        _run("ip", "netns", "exec", self.name, *command)

    @asynccontextmanager
    async def browser(self, folder: Path) -> AsyncIterator[Browser]:
        """A Chromium in the namespace; it is driven over a pipe, which no network cuts."""
        program = folder / "chromium"
        program.write_text(f'#!/bin/sh\nexec ip netns exec {self.name} /usr/bin/chromium "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=program, args=CHROMIUM_FLAGS, headless=True
            )
            yield browser
            await browser.close()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


PAGES = {
    "/livekit-client.umd.js": ROOT / "web/node_modules/livekit-client/dist/livekit-client.umd.js",
    "/client.html": Path(__file__).parent / "pages/client.html",
    "/client.js": Path(__file__).parent / "pages/client.js",
}


async def open_page(browser: Browser) -> Client:
    """A page in a secure context that comes from here, whatever the browser's network does."""
    context = await browser.new_context(permissions=PERMISSIONS)

    async def serve(route: Route) -> None:
        path = route.request.url.removeprefix("http://localhost:1")
        await route.fulfill(path=PAGES[path])

    await context.route("http://localhost:1/*", serve)
    page = await context.new_page()
    client = Client(page)
    await page.goto("http://localhost:1/client.html")
    await page.add_script_tag(path=Path(__file__).parent / "pages/continuity.js")
    return client
