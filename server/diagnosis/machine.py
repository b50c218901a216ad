"""Checks of the machine: ports, socket buffers, addresses, clock. None of them changes anything.

In: a configuration. Out: findings. Must not: send anything to an address that is not this machine's.
"""

from __future__ import annotations

import ctypes
import errno
import socket
from collections.abc import Iterable
from pathlib import Path

from common.clock import Clock
from server.config import Config
from server.diagnosis.finding import Finding, fault, ok, warning

MIN_RECEIVE_BUFFER = 2_500_000  # bytes: about 100 ms of 200 Mbit/s, a full room's key-frame burst
OLDEST_PLAUSIBLE_TIME = 1_767_225_600.0  # 2026-01-01: no release of this server is older
STA_UNSYNC = 0x40  # adjtimex(2): the kernel clock is not synchronised


def check_ports(config: Config) -> Iterable[Finding]:
    """Whether the HTTP port and every lane's UDP port can be bound."""
    http = config.file.http
    yield _bindable("http_port", socket.SOCK_STREAM, http.bind, http.port)
    media = config.file.media
    for address in media.addresses:
        for lane in range(media.lanes):
            port = media.port + lane if media.port else 0
            yield _bindable("media_port", socket.SOCK_DGRAM, address, port)


def _bindable(check: str, kind: socket.SocketKind, address: str, port: int) -> Finding:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    protocol = "TCP" if kind is socket.SOCK_STREAM else "UDP"
    with socket.socket(family, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return _bind_problem(check, protocol, address, port, error)
    if not port:
        return ok(check, f"any free {protocol} port on {address} will do")
    return ok(check, f"{protocol} port {port} on {address} is free")


def _bind_problem(check: str, protocol: str, address: str, port: int, error: OSError) -> Finding:
    where = f"{protocol} port {port} on {address}"
    if error.errno == errno.EADDRINUSE:
        remedy = (
            f"Stop the process that uses it (ss -lnp 'sport = :{port}'), or choose another port."
        )
        return fault(check, f"{where} is in use", remedy)
    if error.errno == errno.EADDRNOTAVAIL:
        remedy = "Name an address of this machine (ip addr); behind 1:1 NAT use media.announced."
        return fault(check, f"{address} is no address of this machine", remedy)
    if error.errno == errno.EACCES:
        remedy = "Choose a port from 1024 upwards, or grant CAP_NET_BIND_SERVICE."
        return fault(check, f"{where} may not be bound by this user", remedy)
    return fault(check, f"{where} cannot be bound ({error.strerror})", "See the system's error.")


def check_buffers(config: Config, limits: Path = Path("/proc/sys/net/core")) -> Iterable[Finding]:
    """Whether the kernel grants the socket buffers that bursts need."""
    for name, wanted in (
        ("rmem_max", config.file.media.receive_buffer),
        ("wmem_max", config.file.media.send_buffer),
    ):
        check = f"socket_buffer_{name[:4]}"
        try:
            granted = int((limits / name).read_text())
        except (OSError, ValueError):
            yield warning(check, f"net.core.{name} cannot be read", "Look at it with sysctl.")
            continue
        if granted >= wanted or _may_force():
            yield ok(check, f"{wanted} bytes are granted")
        else:
            remedy = f"sysctl -w net.core.{name}={wanted} (and in /etc/sysctl.d/ to keep it)."
            text = f"the kernel grants {granted} of {wanted} bytes"
            report = fault if granted < MIN_RECEIVE_BUFFER and name == "rmem_max" else warning
            yield report(check, text, remedy)


def _may_force() -> bool:
    """Whether SO_RCVBUFFORCE works for this process (CAP_NET_ADMIN)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, 33, 1 << 16)  # SO_RCVBUFFORCE
        except OSError:
            return False
    return True


def check_addresses(config: Config) -> Iterable[Finding]:
    """Whether clients elsewhere can use what will be announced."""
    media = config.file.media
    for address in media.addresses:
        announced = media.announced.get(address, address)
        public_http = config.file.http.bind not in ("127.0.0.1", "::1")
        if public_http and announced.startswith(("127.", "::1")):
            remedy = "Put the address that clients reach into media.addresses, or map it in media.announced."
            yield fault("announced_address", f"clients elsewhere are told {announced}", remedy)
        else:
            yield ok("announced_address", f"clients are told {announced}")


def check_clock(clock: Clock, synchronised: bool | None) -> Iterable[Finding]:
    """Whether tokens and reports can be trusted to be on time."""
    if clock.wall() < OLDEST_PLAUSIBLE_TIME:
        remedy = "Set the clock and keep it with an NTP client: every token is judged by it."
        yield fault("clock", "the clock is years behind", remedy)
    elif synchronised is False:
        remedy = "Run an NTP client (chrony, systemd-timesyncd)."
        yield warning("clock", "the kernel says that the clock is not synchronised", remedy)
    else:
        yield ok("clock", "the clock is plausible")


class _Timex(ctypes.Structure):
    """The head of struct timex (adjtimex(2)); the tail is only reserved here."""

    _fields_ = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("tail", ctypes.c_byte * 256),
    ]


def kernel_clock_synchronised() -> bool | None:
    """What the kernel knows of its clock (adjtimex, read only); None where it cannot be asked."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        facts = _Timex(modes=0)
        if libc.adjtimex(ctypes.byref(facts)) < 0:
            return None
    except (OSError, AttributeError):
        return None
    return not facts.status & STA_UNSYNC
