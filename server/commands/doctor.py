"""`conclave doctor`: looks for what keeps calls from working, from the machine up to decoded media.

In: a configuration, and perhaps the address of a running server. Out: findings, a remedy with each fault, an exit
code. Must not: change anything, or talk to anybody but this machine and the given server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from tempfile import TemporaryDirectory

from common.clock import SystemClock
from common.errors import ConclaveError
from crypto.tokens import SigningKeys
from server.access import AccessSpec, make_token
from server.config import Config
from server.diagnosis import machine
from server.diagnosis.finding import Finding, fault
from server.diagnosis.roundtrip import check_media
from server.terminal import Exit, Terminal

ROOM = "conclave-doctor"
TOKEN_SECONDS = 300.0
MARKS = {"ok": "✓", "warning": "!", "fault": "✗"}


async def examine(config: Config, url: str, terminal: Terminal) -> int:
    """Runs every check; returns the exit code."""
    clock = SystemClock()
    findings = list(machine_findings(config, running=bool(url)))
    for finding in findings:
        show(finding, terminal)
    keys = SigningKeys(config.keys)

    def token(identity: str) -> str:
        spec = AccessSpec(identity=identity, room=ROOM, life=TOKEN_SECONDS)
        return make_token(keys, spec, clock)

    async for finding in media_findings(config, url, token_for=token):
        findings.append(finding)
        show(finding, terminal)
    faults = [finding for finding in findings if finding.verdict == "fault"]
    summary = f"{len(faults)} faults" if faults else "calls work here"
    terminal.say(summary, summary=summary, faults=len(faults))
    return Exit.FAULTS_FOUND if faults else Exit.OK


def machine_findings(config: Config, *, running: bool) -> Iterable[Finding]:
    """Checks that send nothing; ports only when no server holds them."""
    clock = SystemClock()
    if not running:
        yield from machine.check_ports(config)
    yield from machine.check_buffers(config)
    yield from machine.check_addresses(config)
    yield from machine.check_clock(clock, machine.kernel_clock_synchronised())


async def media_findings(
    config: Config, url: str, token_for: Callable[[str], str]
) -> AsyncIterator[Finding]:
    """Real media through the given server, or through one started here."""
    try:
        async with _server(config, url) as address:
            for finding in await check_media(address, token_for):
                yield finding
    except (ConclaveError, OSError) as error:
        message = error.message if isinstance(error, ConclaveError) else str(error)
        yield fault(
            "server_start", f"the server does not start: {message}", "Mend the faults above first."
        )


@asynccontextmanager
async def _server(config: Config, url: str) -> AsyncIterator[str]:
    if url:
        yield url
        return
    from server.node import Node  # noqa: PLC0415 - needs the native module, the other checks do not

    with TemporaryDirectory() as folder:
        if config.development:  # another server may be at work in the default folder
            config = replace(config, file=config.file.model_copy(update={"data": folder}))
        async with Node(config) as node:
            yield node.url


def show(finding: Finding, terminal: Terminal) -> None:
    """One finding, with its remedy beneath."""
    text = f"{MARKS[finding.verdict]} {finding.check}: {finding.message}"
    if finding.remedy:
        text += f"\n    {finding.remedy}"
    terminal.say(text, **asdict(finding))
