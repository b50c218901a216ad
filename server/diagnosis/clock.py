"""Checks of the clock, by which every token and every TURN credential is judged.

In: this machine's clock, what the kernel knows of it, the HTTP Date of a running server. Out: findings that say
what the clock was compared with. Must not: ask third parties for the time.
"""

from __future__ import annotations

import ctypes
import ssl
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from common.clock import Clock
from server.diagnosis.finding import Finding, fault, ok, warning

OLDEST_PLAUSIBLE_TIME: Final = 1_767_225_600.0  # 2026-01-01: no release of this server is older
MAX_SKEW: Final = (
    30.0  # seconds; tokens with a later `nbf` are refused, and a Date has whole seconds
)
DATE_SECONDS: Final = 5.0  # for one small answer
STA_UNSYNC: Final = 0x40  # adjtimex(2): the kernel clock is not synchronised
NTP_REMEDY = "Run an NTP client (chrony, systemd-timesyncd)."


def check_clock(clock: Clock, synchronised: bool | None) -> Finding:
    """Compares with the age of this release, and with what the kernel knows from NTP."""
    if clock.wall() < OLDEST_PLAUSIBLE_TIME:
        message = "the clock is years behind: it shows a time before this release"
        return fault("clock", "clock_wrong", message, f"Set the clock. {NTP_REMEDY}")
    if synchronised is False:
        message = "the kernel says that no NTP client keeps the clock right"
        return warning("clock", "clock_unsynchronised", message, NTP_REMEDY)
    return ok("clock", "the clock is plausible, and the kernel does not call it unsynchronised")


async def check_date(url: str, clock: Clock) -> list[Finding]:
    """Compares with the Date of a running server's answer; nothing if there is none."""
    base = url.replace("ws", "http", 1) if url.startswith("ws") else url
    try:
        async with httpx.AsyncClient(
            timeout=DATE_SECONDS, verify=ssl.create_default_context(), trust_env=False
        ) as http:
            answer = await http.get(base.rstrip("/") + "/healthz")
        theirs = parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (httpx.HTTPError, KeyError, ValueError):
        return []
    skew = clock.wall() - theirs
    if abs(skew) <= MAX_SKEW:
        return [ok("clock", f"the clock and the HTTP Date of {base} differ by {abs(skew):.0f} s")]
    direction = "ahead of" if skew > 0 else "behind"
    message = f"this clock is {abs(skew):.0f} s {direction} the HTTP Date of {base}: one is wrong"
    remedy = f"Compare `date -u` on both with a clock that you trust. {NTP_REMEDY}"
    return [fault("clock", "clock_wrong", message, remedy)]


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
