"""`conclave doctor`: looks for what keeps calls from working, from the machine up to decoded media.

In: a configuration, and perhaps the address of a running server. Out: findings, a code and a remedy with each
fault, an exit code. Must not: change anything, or talk to others than the given server and its TURN servers.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from common.clock import SystemClock
from common.errors import ConclaveError
from crypto.tokens import SigningKeys
from crypto.turn import TurnCredential, turn_credential
from server.access import AccessSpec, make_token
from server.audit_section import AuditSection
from server.config import Config, Problem
from server.diagnosis import certificates, clock, machine
from server.diagnosis.finding import Finding, fault
from server.terminal import Exit, Terminal

if TYPE_CHECKING:
    from server.diagnosis.roundtrip import Situation

ROOM = "conclave-doctor"
TOKEN_SECONDS = 300.0
MARKS = {"ok": "✓", "warning": "!", "fault": "✗"}
# With these a server cannot start, or clients do not trust it: media says nothing new.
HOPELESS = ("port_", "address_unavailable", "bind_failed", "certificate_", "tls_")


async def examine(config: Config, url: str, terminal: Terminal) -> int:
    """Runs every check; returns the exit code."""
    findings = []
    async for finding in _findings(config, url):
        findings.append(finding)
        show(finding, terminal)
    return conclude(findings, terminal)


def examine_problems(problems: Sequence[Problem], terminal: Terminal) -> int:
    """The same for a configuration that cannot be loaded."""
    findings = [
        fault("configuration", p.code, f"line {p.line}: {p.option}: {p.message}", p.remedy)
        for p in problems
    ]
    for finding in findings:
        show(finding, terminal)
    return conclude(findings, terminal)


def conclude(findings: Sequence[Finding], terminal: Terminal) -> int:
    """Sums up; returns the exit code."""
    faults = [finding for finding in findings if finding.verdict == "fault"]
    count = len(faults)
    summary = f"{count} fault{'s' * (count > 1)}" if faults else "calls work here"
    terminal.say(summary, summary=summary, faults=count)
    return Exit.FAULTS_FOUND if faults else Exit.OK


async def _findings(config: Config, url: str) -> AsyncIterator[Finding]:
    hopeless = False
    # Without a configuration, an address is that of a server elsewhere: this machine is a client's.
    here = [] if url and config.development else machine_findings(config, running=bool(url))
    for finding in [*here, *await url_findings(url)]:
        hopeless |= finding.verdict == "fault" and finding.code.startswith(HOPELESS)
        yield finding
    if not hopeless:
        async for finding in media_findings(config, url):
            yield finding


def machine_findings(config: Config, *, running: bool) -> list[Finding]:
    """Checks that send nothing; ports and the machine's own clock only when no server is there to ask."""
    system = SystemClock()
    findings = [
        *machine.check_buffers(config),
        *machine.check_addresses(config),
        *machine.check_routes(config),
        *certificates.check_files(config, system),
    ]
    if not running:
        findings += machine.check_ports(config)
        findings.append(clock.check_clock(system, clock.kernel_clock_synchronised()))
    return findings


async def url_findings(url: str) -> list[Finding]:
    """What a running server shows to anybody."""
    if not url:
        return []
    return [
        *await certificates.check_handshake(url),
        *await clock.check_date(url, SystemClock()),
    ]


async def media_findings(config: Config, url: str) -> AsyncIterator[Finding]:
    """Real media through the given server, or through one started here."""
    from server.diagnosis.roundtrip import check_media  # noqa: PLC0415 - codecs load only when used

    async with AsyncExitStack() as stack:
        try:
            situation = await _situation(config, url, stack)
        except (ConclaveError, OSError) as error:
            code, message = (
                (error.code, error.message)
                if isinstance(error, ConclaveError)
                else ("start_failed", str(error))
            )
            message = f"the server does not start: {message}"
            yield fault("server_start", code, message, "Mend the faults above first.")
            return
        async for finding in check_media(situation):
            yield finding


async def _situation(config: Config, url: str, stack: AsyncExitStack) -> Situation:
    from server.diagnosis.roundtrip import Situation  # noqa: PLC0415 - codecs load only when used

    system = SystemClock()
    keys = SigningKeys(config.keys)

    def token(identity: str) -> str:
        spec = AccessSpec(identity=identity, room=ROOM, life=TOKEN_SECONDS)
        return make_token(keys, spec, system)

    def renew(end: int) -> TurnCredential:
        return turn_credential(config.turn_secret, "doctor", expires_at=end)

    known = Situation(
        url=url, make_token=token, clock=system, renew=renew if config.file.turn.urls else None
    )
    if url:
        return known
    from server.node import Node  # noqa: PLC0415 - needs the native module, the other checks do not

    # A NAT need not lead back to where it leads from: here, media takes the bound addresses.
    media = config.file.media.model_copy(update={"announced": {}})
    changes: dict[str, object] = {
        "media": media,
        # What is done here is no act of the real server: it leaves no trace, and no log has to be up.
        "data": stack.enter_context(TemporaryDirectory()),
        "audit": AuditSection(),
    }
    inside = replace(config, file=config.file.model_copy(update=changes))
    node = await stack.enter_async_context(Node(inside))
    return replace(
        known,
        url=node.url,
        announced=config.file.media.announced,
        trust=_own_certificate(),
        local=True,
    )


def _own_certificate() -> ssl.SSLContext:
    """Takes whatever certificate comes: for the server started here, under an address and not its name."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def show(finding: Finding, terminal: Terminal) -> None:
    """One finding, with its remedy beneath."""
    text = f"{MARKS[finding.verdict]} {finding.code or finding.check}: {finding.message}"
    if finding.remedy:
        text += f"\n    {finding.remedy}"
    terminal.say(text, **asdict(finding))
