"""The checks that count: two participants, every way to the media ports, real media decoded at the other end.

In: a server's address and a way to make tokens. Out: findings. Must not: leave anything behind in the room.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from common.clock import Clock
from common.errors import RemoteError
from crypto.turn import TurnCredential
from server.diagnosis import paths
from server.diagnosis.finding import Finding, fault, ok, warning
from server.diagnosis.paths import Outcome, Target
from server.diagnosis.relays import RelayJob, check_relays
from server.probe.session import ProbeSession, join
from server.probe.sources import DemoAudio, DemoVideo, read_counter

MEDIA_SECONDS: Final = 15.0  # handshakes, a first key frame and some frames, on a slow machine
HTTP_SECONDS: Final = 2.0  # for a TCP connection that tells a wrong address from a closed port
FRAMES_WANTED: Final = 10
JOIN_REMEDY = "Look at the server's log for the refusal; check the key, the secret and the clock."
BLOCKED_REMEDY = (
    "Let UDP to {ports} through every firewall and security group on the way, to and from."
)
TCP_REMEDY = (
    "Let TCP to media.tcp_port through (and publish it, in a container), or set media.tcp to false."
)
TURN_REMEDY = " For people whose own network blocks UDP, set up TURN."
ANNOUNCED_REMEDY = (
    "Map the bound address in media.announced to the one that clients reach ({reached} answers HTTP); "
    "if it is right, a firewall drops everything on the way to it."
)
OUTSIDE_REMEDY = "Not every NAT leads back in: run `conclave doctor --url` on a machine outside."
STALLED_REMEDY = "UDP passes, so look at the server's log, and report it if that is silent."


@dataclass(frozen=True, slots=True)
class Situation:
    """The server that is looked at, and what is known of it."""

    url: str
    make_token: Callable[[str], str]  # identity -> token
    clock: Clock
    trust: ssl.SSLContext | None = None  # instead of the system's
    announced: Mapping[str, str] = field(
        default_factory=dict
    )  # that this server maps, but not here
    renew: Callable[[int], TurnCredential] | None = None  # end -> a TURN credential
    local: bool = False  # the server was started for the check, on this machine


async def check_media(situation: Situation) -> AsyncIterator[Finding]:
    """Checks every path, then publishes synthetic media and waits for it at a second participant."""
    arrived: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
    url, token, trust = situation.url, situation.make_token, situation.trust
    try:
        async with (
            join(
                url,
                token("doctor-ear"),
                on_track=lambda _sid, track: arrived.put_nowait(track),
                paths="direct",
                trust=trust,
            ),
            join(url, token("doctor-mouth"), subscribe=False, paths="direct", trust=trust) as mouth,
        ):
            await mouth.publish(DemoAudio(), name="sound", source="microphone")
            login, targets = paths.read_session(mouth)
            outcomes = await paths.check_direct(targets, login)
            public = _public(situation, targets)
            udp = [target for target in public if not target.tcp]
            relayed = await check_relays(*_relay_job(situation, mouth, udp, login))
            for finding in (
                *await judge_paths(situation, outcomes, _relays_work(relayed)),
                *await _check_announced(public, targets, login),
                *relayed,
            ):
                yield finding
            if _answered(outcomes, tcp=False):
                await mouth.publish(
                    DemoVideo(width=320, height=180), name="picture", source="camera"
                )
                for finding in await _receive(arrived):
                    yield finding
    except RemoteError as error:
        message = f"two participants could not join: {error.message}"
        yield fault("media_join", error.code, message, JOIN_REMEDY)


def _relays_work(findings: Sequence[Finding]) -> bool:
    return any((f.check, f.verdict) == ("turn_path", "ok") for f in findings)


def _answered(outcomes: Mapping[Target, Outcome], *, tcp: bool) -> list[str]:
    return [str(t) for t, outcome in outcomes.items() if outcome == "answered" and t.tcp == tcp]


def _unanswered(outcomes: Mapping[Target, Outcome], *, tcp: bool) -> str:
    silent = {t: outcome for t, outcome in outcomes.items() if outcome != "answered"}
    return ", ".join(f"{t} ({outcome})" for t, outcome in silent.items() if t.tcp == tcp)


async def judge_paths(
    situation: Situation, outcomes: Mapping[Target, Outcome], relays_work: bool
) -> list[Finding]:
    """What the outcomes mean for UDP, and for the clients that can only use TCP."""
    findings = []
    by_udp, by_tcp = _answered(outcomes, tcp=False), _answered(outcomes, tcp=True)
    if by_udp or by_tcp:
        rest = ", ".join(filter(None, (_unanswered(outcomes, tcp=tcp) for tcp in (False, True))))
        message = f"connectivity checks are answered by {', '.join(by_udp + by_tcp)}"
        findings.append(ok("media_path", message + (f"; not by {rest}" if rest else "")))
    if not by_udp:
        ways = [name for name, works in (("TCP", by_tcp), ("TURN", relays_work)) if works]
        findings.append(await _explain_silence(situation, outcomes, ways))
    elif not by_tcp and any(target.tcp for target in outcomes):
        message = f"clients without UDP find no way: {_unanswered(outcomes, tcp=True)}"
        findings.append(warning("media_path", "tcp_blocked", message, TCP_REMEDY))
    return findings


async def _explain_silence(
    situation: Situation, outcomes: Mapping[Target, Outcome], ways: Sequence[str]
) -> Finding:
    """Why no UDP port answers; with other ways round it, that is only a warning."""
    listed = _unanswered(outcomes, tcp=False) or "none announced"
    reached = await _http_addresses(situation.url)
    addresses = sorted({target.address for target in outcomes})
    if ways or situation.local or await _any_is_there(addresses, reached, situation.url):
        message = f"the server is there, but its media ports do not answer: {listed}"
        ports = ", ".join(str(target) for target in outcomes if not target.tcp)
        remedy = BLOCKED_REMEDY.format(ports=ports)
        if ways:
            message += f"; media goes through {' or '.join(ways)}"
            return warning("media_path", "udp_blocked", message, remedy)
        return fault("media_path", "udp_blocked", message, remedy + TURN_REMEDY)
    there = ", ".join(reached)
    message = f"HTTP answers at {there}, but for media clients are told {listed}"
    remedy = ANNOUNCED_REMEDY.format(reached=there)
    return fault("media_path", "announced_address_wrong", message, remedy)


async def _http_addresses(url: str) -> list[str]:
    """The addresses behind the server's name."""
    loop = asyncio.get_running_loop()
    host = urlsplit(url).hostname or ""
    try:
        async with asyncio.timeout(HTTP_SECONDS):
            found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError):
        return [host]
    return sorted({str(entry[4][0]) for entry in found})


async def _any_is_there(addresses: Sequence[str], reached: Sequence[str], url: str) -> bool:
    """Whether HTTP answers at a media address: then the address is right, and its UDP port is not open."""
    if set(addresses) & set(reached):
        return True
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme in ("https", "wss") else 80)
    return any(await asyncio.gather(*(_accepts(address, port) for address in addresses)))


async def _accepts(address: str, port: int) -> bool:
    try:
        async with asyncio.timeout(HTTP_SECONDS):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def _public(situation: Situation, targets: Sequence[Target]) -> list[Target]:
    """What clients will be told, which for a server that was started here is mapped only now."""
    mapping = situation.announced
    return [replace(t, address=mapping.get(t.address, t.address)) for t in targets]


async def _check_announced(
    public: Sequence[Target], targets: Sequence[Target], login: paths.Login
) -> list[Finding]:
    mapped = [target for target in public if target not in targets]
    findings = []
    for target, outcome in (await paths.check_direct(mapped, login)).items():
        if outcome == "answered":
            findings.append(ok("announced_path", f"{target} leads back to this machine"))
        else:
            message = f"whether {target} leads here cannot be seen from this machine ({outcome})"
            findings.append(
                warning("announced_path", "announced_address_unproven", message, OUTSIDE_REMEDY)
            )
    return findings


def _relay_job(
    situation: Situation, session: ProbeSession, targets: Sequence[Target], login: paths.Login
) -> tuple[list[str], RelayJob]:
    servers = [server for server in session.ice_servers if server.username]
    urls = [url for server in servers for url in server.urls]
    credential = TurnCredential(servers[0].username, servers[0].credential) if servers else None
    job = RelayJob(
        credential=credential or TurnCredential("", ""),
        targets=targets,
        login=login,
        wall=situation.clock.wall(),
        renew=situation.renew,
    )
    return urls, job


async def _receive(arrived: asyncio.Queue[MediaStreamTrack]) -> list[Finding]:
    findings = []
    try:
        async with asyncio.timeout(MEDIA_SECONDS):
            tracks = {track.kind: track for track in (await arrived.get(), await arrived.get())}
            findings.append(await _check_sound(tracks["audio"]))
            findings.append(await _check_picture(tracks["video"]))
    except (TimeoutError, MediaStreamError):
        text = f"no decoded media within {MEDIA_SECONDS:.0f} s"
        findings.append(fault("media_round_trip", "media_stalled", text, STALLED_REMEDY))
    return findings


async def _check_sound(track: MediaStreamTrack) -> Finding:
    loud = 0
    while loud < FRAMES_WANTED:
        frame = await track.recv()
        loud += int(abs(frame.to_ndarray().astype(int)).max() > 100)  # type: ignore[union-attr]
    return ok("media_sound", f"{loud} frames of sound went through the server and were decoded")


async def _check_picture(track: MediaStreamTrack) -> Finding:
    counters: list[int] = []
    while len(counters) < FRAMES_WANTED:
        frame = await track.recv()
        counters.append(read_counter(frame.to_ndarray(format="rgb24")))  # type: ignore[union-attr]
    if counters != sorted(counters):
        text = f"pictures arrived out of order: {counters}"
        remedy = "This is a defect of the server: report it with the log."
        return fault("media_picture", "media_disordered", text, remedy)
    return ok(
        "media_picture",
        f"{len(counters)} pictures went through the server and were decoded in order",
    )
