"""Whether packets reach the media ports: the connectivity checks of a participant, made one address at a time.

In: a joined probe session. Out: what became of a check to each address. Must not: nominate a path, so that the
session's own ICE agent decides where its media goes.
"""

from __future__ import annotations

import asyncio
import errno
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from aioice import stun
from aiortc.sdp import SessionDescription

from common.errors import RemoteError
from server.probe.session import ProbeSession

# answered: a valid response came; silent: nothing came; refused: somebody says that nobody listens there;
# unroutable: this machine, or a router on the way, knows no way there.
Outcome = Literal["answered", "silent", "refused", "unroutable"]

GAPS: Final = (0.25, 0.5, 1.0, 1.5)  # seconds to wait after each attempt; a lossy link gets four
UNROUTABLE: Final = (errno.EHOSTUNREACH, errno.ENETUNREACH)
PRIORITY: Final = 1_845_501_695  # that of a peer-reflexive candidate, RFC 8445 section 5.1.2.1


@dataclass(frozen=True, slots=True)
class Target:
    """An address of the server's media."""

    address: str
    port: int
    tcp: bool = False

    def __str__(self) -> str:
        """As people write it."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}" + (" (TCP)" if self.tcp else "")


@dataclass(frozen=True, slots=True)
class Login:
    """What both sides agreed on for checks of one session."""

    username: str  # theirs, a colon, ours
    password: str  # theirs


def read_session(session: ProbeSession) -> tuple[Login, list[Target]]:
    """What the server told a session that has published something."""
    theirs = SessionDescription.parse(session.answer).media[0]
    ours = SessionDescription.parse(session.publisher.localDescription.sdp).media[0]
    if theirs.ice is None or ours.ice is None:
        raise RemoteError("answer_invalid", "the server's answer has no ICE credentials")
    login = Login(
        f"{theirs.ice.usernameFragment}:{ours.ice.usernameFragment}", str(theirs.ice.password)
    )
    targets = (Target(c.ip, c.port, c.protocol.lower() == "tcp") for c in theirs.ice_candidates)
    return login, list(dict.fromkeys(targets))


async def check_direct(targets: Sequence[Target], login: Login) -> dict[Target, Outcome]:
    """Checks every target from this machine, all at once; takes as long as the `GAPS` together."""
    checks = (_check_tcp(t, login) if t.tcp else _check_udp(t, login) for t in targets)
    outcomes = await asyncio.gather(*checks)
    return dict(zip(targets, outcomes, strict=True))


async def _check_tcp(target: Target, login: Login) -> Outcome:
    """The same, framed as RFC 4571 section 2 has it."""
    check = Check(login)
    try:
        async with asyncio.timeout(sum(GAPS)):
            reader, writer = await asyncio.open_connection(target.address, target.port)
    except TimeoutError:
        return "silent"
    except OSError as error:
        return "unroutable" if error.errno in UNROUTABLE else "refused"

    async def listen() -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                length = int.from_bytes(await reader.readexactly(2), "big")
                check.datagram_received(await reader.readexactly(length), target)

    listening = asyncio.create_task(listen(), name="doctor-tcp")
    try:
        return await check.run(lambda data: writer.write(len(data).to_bytes(2, "big") + data))
    finally:
        listening.cancel()
        writer.close()


async def _check_udp(target: Target, login: Login) -> Outcome:
    loop = asyncio.get_running_loop()
    check = Check(login)
    try:
        transport, _ = await loop.create_datagram_endpoint(
            lambda: check, remote_addr=(target.address, target.port)
        )
    except OSError:
        return "unroutable"
    try:
        return await check.run(transport.sendto)
    finally:
        transport.close()


class Check(asyncio.DatagramProtocol):
    """One connectivity check, over whatever brings its datagrams back."""

    def __init__(self, login: Login) -> None:
        """Nothing is sent before `run`."""
        self._key = login.password.encode()
        self._request = stun.Message(
            message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST
        )
        self._request.attributes["USERNAME"] = login.username
        self._request.attributes["PRIORITY"] = PRIORITY
        self._request.attributes["ICE-CONTROLLING"] = secrets.randbits(64)
        self._request.add_message_integrity(self._key)  # and the fingerprint
        self._outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    async def run(self, send: Callable[[bytes], Any]) -> Outcome:
        """Sends until an answer comes or patience ends."""
        for gap in GAPS:
            if not self._outcome.done():
                send(bytes(self._request))
            try:
                return await asyncio.wait_for(asyncio.shield(self._outcome), gap)
            except TimeoutError:
                continue
        return "silent"

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Takes the response to this very request, and only a signed one."""
        try:
            message = stun.parse_message(data)
        except ValueError:
            return
        if (
            message.transaction_id == self._request.transaction_id
            and message.message_class == stun.Class.RESPONSE
            and message.check_message_integrity(self._key)
        ):
            self._settle("answered")

    def error_received(self, exc: Exception) -> None:
        """What ICMP brought back."""
        unroutable = cast("OSError", exc).errno in UNROUTABLE
        self._settle("unroutable" if unroutable else "refused")

    def _settle(self, outcome: Outcome) -> None:
        if not self._outcome.done():
            self._outcome.set_result(outcome)
