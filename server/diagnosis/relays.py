"""Checks of TURN servers as clients use them: an allocation, and a connectivity check through it.

In: what a joined session was told about TURN. Out: findings. Must not: relay anything to others but this server;
addresses that no relay may serve are only asked for permission.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from aioice import stun
from aioice.turn import TurnClientTcpProtocol, TurnClientUdpProtocol

from crypto.turn import TurnCredential
from server.diagnosis.finding import Finding, fault, ok, warning
from server.diagnosis.paths import Check, Login, Outcome, Target
from signalling.turn_url import TurnUrl

ALLOCATION_SECONDS: Final = 5.0  # for resolving, connecting, TLS and two exchanges
LIFETIME: Final = 60  # seconds that an allocation would stay if it could not be deleted
MONTH: Final = 30 * 86_400  # seconds: no clock that still runs is further off
FIRST_CHANNEL: Final = 0x4800  # RFC 8656 section 12; the library takes its own from 0x4000 upwards
# Nobody's peer: the TURN server's own services, and the metadata service of clouds.
FORBIDDEN_PEERS: Final = ("127.0.0.1", "169.254.169.254")

UNREACHABLE_REMEDY = (
    "Start the TURN server, check host and port in turn.urls, and let {transport} to it through."
)
SHARED_REMEDY = (
    "Give [turn] the very text that the TURN server has as static-auth-secret, and restart both."
)
EXPIRED_REMEDY = (
    "Set the clocks of this server and of the TURN server (NTP); "
    "then look whether turn.lifetime is too short."
)
DENIED_REMEDY = "Add allowed-peer-ip={address} to the TURN server's configuration (deploy/coturn/turnserver.conf)."
PATH_REMEDY = (
    "Let UDP from the TURN server ({relay}) to {target} through the firewalls between them."
)
OPEN_REMEDY = (
    "Take over the denied-peer-ip lines of deploy/coturn/turnserver.conf: whoever is in a call could reach "
    "services of the TURN server's own machine and network."
)
TLS_REMEDY = (
    "Give the TURN server a certificate for this host name that clients trust, and its chain."
)


@dataclass(frozen=True, slots=True)
class RelayJob:
    """What to check each TURN URL with."""

    credential: TurnCredential
    targets: Sequence[Target]
    login: Login
    wall: float
    renew: (
        Callable[[int], TurnCredential] | None
    )  # end -> credential; None where the secret is not known


class _RefusedError(Exception):
    """The TURN server answered with an error."""

    def __init__(self, number: int) -> None:
        super().__init__(str(number))
        self.number = number


async def check_relays(urls: Sequence[str], job: RelayJob) -> list[Finding]:
    """All URLs at once."""
    found = await asyncio.gather(*(_check_url(url, job) for url in urls))
    return [finding for findings in found for finding in findings]


async def _check_url(text: str, job: RelayJob) -> list[Finding]:
    url = TurnUrl.parse(text)
    try:
        async with allocation(url, job.credential) as relay:
            return [
                ok("turn_allocation", f"{text} gave an allocation"),
                *await _check_use(text, relay, job),
            ]
    except _RefusedError as refusal:
        return [await _explain(text, url, refusal.number, job)]
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or "TLS failed"
        return [fault("turn_allocation", "turn_certificate", f"{text}: {reason}", TLS_REMEDY)]
    except (OSError, TimeoutError) as error:
        transport = "TLS" if url.encrypted else url.transport.upper()
        remedy = UNREACHABLE_REMEDY.format(transport=f"{transport} port {url.port}")
        why = "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
        return [fault("turn_allocation", "turn_unreachable", f"{text}: {why}", remedy)]


async def _explain(text: str, url: TurnUrl, number: int, job: RelayJob) -> Finding:
    """Why credentials were refused; a wrong secret and a clock that is off look alike at first."""
    check = "turn_allocation"
    if number != 401:
        message = f"{text} refuses an allocation (error {number})"
        remedy = "Look at the TURN server's log; 486 and 508 are its quotas."
        return fault(check, "turn_refused", message, remedy)
    end = int(job.credential.username.partition(":")[0])
    if end <= job.wall:
        message = f"{text} refuses credentials that ended {job.wall - end:.0f} s ago by this clock"
        return fault(check, "turn_credentials_expired", message, EXPIRED_REMEDY)
    if job.renew is not None:
        try:
            async with allocation(url, job.renew(int(job.wall) + MONTH)):
                message = (
                    f"{text} takes credentials of 30 days, but those of clients are over for it"
                )
                return fault(check, "turn_credentials_expired", message, EXPIRED_REMEDY)
        except (_RefusedError, OSError, TimeoutError):
            pass
    message = f"{text} refuses credentials made with the configured secret"
    return fault(check, "turn_secret_wrong", message, SHARED_REMEDY)


async def _check_use(text: str, relay: Relay, job: RelayJob) -> list[Finding]:
    findings = []
    open_to = [address for address in FORBIDDEN_PEERS if await relay.permits(address)]
    if open_to:
        message = f"{text} relays to {' and '.join(open_to)}"
        findings.append(warning("turn_peers", "turn_open_relay", message, OPEN_REMEDY))
    targets = [target for target in job.targets if relay.speaks_to(target.address)]
    for target in targets:
        findings.append(await _check_path(text, relay, target, job.login))
    return findings


async def _check_path(text: str, relay: Relay, target: Target, login: Login) -> Finding:
    outcome = await relay.check(target, login)
    if outcome == "answered":
        return ok("turn_path", f"a connectivity check through {text} reached {target}")
    if outcome == "denied":
        message = f"{text} may not relay to {target.address}"
        remedy = DENIED_REMEDY.format(address=target.address)
        return fault("turn_path", "turn_peer_denied", message, remedy)
    message = f"nothing comes back from {target} through {text}"
    remedy = PATH_REMEDY.format(relay=relay.address, target=target)
    return fault("turn_path", "turn_path_blocked", message, remedy)


class Relay:
    """An allocation."""

    def __init__(self, protocol: Any, relayed: tuple[str, int]) -> None:
        """`protocol` is a TURN client that has the allocation `relayed`."""
        self._protocol = protocol
        self.address = relayed[0]
        self._channel = FIRST_CHANNEL

    def speaks_to(self, address: str) -> bool:
        """Whether the relayed address is of the same family."""
        return ipaddress.ip_address(address).version == ipaddress.ip_address(self.address).version

    async def permits(self, address: str, port: int = 9) -> bool:
        """Whether the server lets us send there; nothing is sent."""
        channel, self._channel = self._channel, self._channel + 1
        try:
            async with asyncio.timeout(ALLOCATION_SECONDS):
                await self._protocol.channel_bind(channel, (address, port))
        except (stun.TransactionError, TimeoutError):
            return False
        return True

    async def check(self, target: Target, login: Login) -> Outcome | str:
        """A connectivity check through the relay: an `Outcome`, or `denied`."""
        check = Check(login)
        self._protocol.receiver = check
        address = (target.address, target.port)
        try:
            async with asyncio.timeout(ALLOCATION_SECONDS):
                await self._protocol.send_data(b"", address)  # binds the channel
        except stun.TransactionFailed:
            return "denied"
        except (stun.TransactionError, TimeoutError):
            return "silent"
        sending: set[asyncio.Task[None]] = set()

        def send(data: bytes) -> None:
            sending.add(asyncio.ensure_future(self._protocol.send_data(data, address)))

        return await check.run(send)


@asynccontextmanager
async def allocation(url: TurnUrl, credential: TurnCredential) -> AsyncIterator[Relay]:
    """An allocation for the length of the block. Raises _RefusedError, OSError, TimeoutError, ssl.SSLError."""
    server = (url.host, url.port)
    loop = asyncio.get_running_loop()
    make = TurnClientUdpProtocol if url.transport == "udp" else TurnClientTcpProtocol

    def factory() -> Any:
        return make(server, credential.username, credential.password, LIFETIME, LIFETIME)

    transport: asyncio.BaseTransport
    async with asyncio.timeout(ALLOCATION_SECONDS):
        if url.transport == "udp":
            transport, protocol = await loop.create_datagram_endpoint(factory, remote_addr=server)
        else:
            context = ssl.create_default_context() if url.encrypted else None
            transport, protocol = await loop.create_connection(factory, *server, ssl=context)
    try:
        relayed = await _allocate(protocol)
        try:
            yield Relay(protocol, relayed)
        finally:
            with suppress(stun.TransactionError, TimeoutError):
                async with asyncio.timeout(ALLOCATION_SECONDS):
                    await protocol.delete()
    finally:
        transport.close()


async def _allocate(protocol: Any) -> tuple[str, int]:
    try:
        async with asyncio.timeout(ALLOCATION_SECONDS):
            relayed: tuple[str, int] = await protocol.connect()
    except stun.TransactionFailed as error:
        raise _RefusedError(error.response.error_code or 0) from error
    except stun.TransactionError as error:
        raise TimeoutError from error
    return relayed
