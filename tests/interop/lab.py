"""A browser's host whose way to the server changes: its address, its NAT, its reach, the network that it uses.

In: wishes (`move`, `translate`, `silence`, ...). Out: two hosts, of the browser and of the server.
"""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.networks import Network

OUTSIDE = "10.214.0.1"  # the server's end of the cable
ADDRESSES = ("10.214.0.2", "10.214.0.3")  # the browser's, one at a time
SECOND = ("10.215.0.1", "10.215.0.2")  # the two ends of a second network
FLUSH = """
import socket, struct
wire = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)  # NETLINK_NETFILTER
delete = (1 << 8) | 2  # the connection tracker's IPCTNL_MSG_CT_DELETE, of everything
wire.send(struct.pack("=IHHIIBBH", 20, delete, 1 | 4, 1, 0, socket.AF_INET, 0, 0))
code = struct.unpack_from("=i", wire.recv(4096), 16)[0]
raise SystemExit(code)
"""


class Lab:
    """The browser's host and the server's, with a cable between them."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._address = ADDRESSES[0]
        self._ports = itertools.count(20_000, 1_000)
        self.roamer, self.outside = network.host("roamer"), network.host("outside")
        ends = f"{self._address}/24", f"{OUTSIDE}/24"
        network.connect(self.roamer, ends[0], self.outside, ends[1], "cable")
        self.roamer.ip(f"route add default via {OUTSIDE}")

    def move(self) -> None:
        """The browser's machine gets another address and loses the one it had, as between two networks."""
        before, self._address = self._address, ADDRESSES[self._address == ADDRESSES[0]]
        self.roamer.ip(f"address delete {before}/24 dev cable")
        self.roamer.ip(f"address add {self._address}/24 dev cable")
        self.roamer.ip(f"route replace default via {OUTSIDE}")

    @contextmanager
    def second_network(self) -> Iterator[str]:
        """Another network beside the first, as mobile beside Wi-Fi; gives the browser's address in it.

        Chromium prefers networks of one kind by name: that of "air" makes it the better one.
        """
        outside, inside = SECOND
        self._network.connect(self.roamer, f"{inside}/24", self.outside, f"{outside}/24", "air")
        self.roamer.ip(f"route add default via {outside} dev air metric 200")
        self.roamer.ip(f"route add default via {outside} dev air table 7")
        self.roamer.ip(f"rule add from {inside} lookup 7")
        try:
            yield inside
        finally:
            self.roamer.ip("rule delete lookup 7")
            self.roamer.ip("link delete air")
            self.roamer.ip("link set cable up")
            self.roamer.ip(f"address replace {self._address}/24 dev cable")
            self.roamer.ip(f"route replace default via {OUTSIDE}")

    def lose_first_network(self) -> None:
        """Takes the address and the carrier of the first network; `second_network` gives them back."""
        self.roamer.ip(f"address delete {self._address}/24 dev cable")
        self.roamer.ip("link set cable down")

    def translate(self) -> None:
        """Puts a NAT in front of the browser's UDP; called again, it forgets its bindings and gives new ports."""
        low = next(self._ports)
        to = f"{self._address}:{low}-{low + 999}"
        self.roamer.must("iptables -t nat -F")
        self.roamer.must(
            f"iptables -t nat -A POSTROUTING -o cable -p udp -j SNAT --to-source {to} --random"
        )
        self.roamer.must(shlex.join(["python3", "-c", FLUSH]))

    def silence(self, protocol: str = "all") -> None:
        """Nothing of that protocol gets through any more, and nobody is told."""
        for chain in ("INPUT", "OUTPUT"):
            self.roamer.must(f"iptables -A {chain} -p {protocol} -j DROP")

    def restore(self) -> None:
        """Undoes `silence` and `translate`."""
        self.roamer.must("iptables -F")
        self.roamer.must("iptables -t nat -F")
