"""Checks of the machine: ports, socket buffers, addresses, routes. None of them changes anything.

In: a configuration. Out: findings. Must not: send anything to an address that is not this machine's.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterable

from server.config import Config
from server.diagnosis.finding import Finding, fault, ok, warning
from server.listening import bind_problem

MIN_RECEIVE_BUFFER = 2_500_000  # bytes: about 100 ms of 200 Mbit/s, a full room's key-frame burst
SO_FORCE = {
    socket.SO_RCVBUF: 33,
    socket.SO_SNDBUF: 32,
}  # socket(7): the options that need CAP_NET_ADMIN
FAR_AWAY = "2000::1"  # in global unicast space and nobody's; nothing is sent there
UNIQUE_LOCAL = ipaddress.IPv6Network("fc00::/7")


def check_ports(config: Config) -> Iterable[Finding]:
    """Whether the HTTP port and every lane's UDP and TCP ports can be bound."""
    http = config.file.http
    yield _bindable("http_port", socket.SOCK_STREAM, http.bind, http.port)
    media = config.file.media
    for address in media.addresses:
        for lane in range(media.lanes):
            port = media.port + lane if media.port else 0
            yield _bindable("media_port", socket.SOCK_DGRAM, address, port)
            first = media.listening_port
            if first is not None:
                port = first + lane if first else 0
                yield _bindable("media_tcp_port", socket.SOCK_STREAM, address, port)


def _bindable(check: str, kind: socket.SocketKind, address: str, port: int) -> Finding:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    protocol = "TCP" if kind is socket.SOCK_STREAM else "UDP"
    with socket.socket(family, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            problem = bind_problem(protocol, address, port, error)
            return fault(check, problem.code, problem.message, problem.remedy)
    if not port:
        return ok(check, f"any free {protocol} port on {address} will do")
    return ok(check, f"{protocol} port {port} on {address} is free")


def check_buffers(config: Config) -> Iterable[Finding]:
    """Whether the kernel grants the socket buffers that bursts need: asks for them as the data plane does."""
    media = config.file.media
    for check, option, kernel, setting, wanted in (
        ("receive_buffer", socket.SO_RCVBUF, "rmem_max", "receive_buffer", media.receive_buffer),
        ("send_buffer", socket.SO_SNDBUF, "wmem_max", "send_buffer", media.send_buffer),
    ):
        granted = granted_buffer(option, wanted)
        small = granted < MIN_RECEIVE_BUFFER and option == socket.SO_RCVBUF
        if granted < wanted:
            text = f"the kernel grants {granted} of {wanted} bytes"
            remedy = f"sysctl -w net.core.{kernel}={wanted} (and in /etc/sysctl.d/ to keep it)."
        else:
            text = f"{wanted} bytes are granted"
            remedy = f"Set media.{setting} to {MIN_RECEIVE_BUFFER} or more."
        if small:
            yield fault(check, "socket_buffer_small", text, remedy)
        elif granted < wanted:
            yield warning(check, "socket_buffer_small", text, remedy)
        else:
            yield ok(check, text)


def granted_buffer(option: int, wanted: int) -> int:
    """Bytes of buffer that a socket gets."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, SO_FORCE[option], wanted)
        except OSError:
            probe.setsockopt(socket.SOL_SOCKET, option, wanted)
        # The kernel doubles what it is asked for, to have room for its own records (socket(7)).
        return probe.getsockopt(socket.SOL_SOCKET, option) // 2


def check_addresses(config: Config) -> Iterable[Finding]:
    """Whether clients elsewhere can use what will be announced."""
    media = config.file.media
    for address in media.addresses:
        announced = media.announced.get(address, address)
        public_http = config.file.http.bind not in ("127.0.0.1", "::1")
        if public_http and announced.startswith(("127.", "::1")):
            remedy = "Put the address that clients reach into media.addresses, or map it in media.announced."
            yield fault(
                "announced_address",
                "announced_address_local",
                f"clients elsewhere are told {announced}",
                remedy,
            )
        else:
            yield ok("announced_address", f"clients are told {announced}")


def check_routes(config: Config) -> Iterable[Finding]:
    """Whether answers to IPv6 clients would find a way out."""
    media = config.file.media
    for address in media.addresses:
        announced = ipaddress.ip_address(media.announced.get(address, address))
        if announced.version == 4 or not _is_global(announced):
            continue
        if _leads_out(address):
            yield ok("ipv6_route", f"there is an IPv6 route from {address}")
        else:
            message = f"clients are told {announced}, but no IPv6 route leads out from {address}"
            remedy = (
                "Give this machine an IPv6 default route (ip -6 route), "
                "or remove the address from media.addresses."
            )
            yield fault("ipv6_route", "ipv6_no_route", message, remedy)


def _is_global(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return not (address.is_loopback or address.is_link_local or address in UNIQUE_LOCAL)


def _leads_out(address: str) -> bool:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
            probe.connect((FAR_AWAY, 9))
        except OSError as error:
            # An address that cannot be bound is another finding's.
            return error.errno not in (errno.ENETUNREACH, errno.EHOSTUNREACH)
    return True
