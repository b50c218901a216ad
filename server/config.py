"""Every option of the server with its type, default, unit and reason; `docs/configuration.md` is made from it.

In: TOML text. Out: a frozen `Config`, or a `ConfigError` that lists every problem with its line and remedy.
Must not: guess. An unknown option, a wrong type, a weak secret or development keys on a public address stop
the start.
"""

from __future__ import annotations

import ipaddress
import os
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from common.errors import LocalError
from common.redact import Redacted
from server.audit_section import AuditSection, check_audit
from server.section import Port, Section
from server.tracing import TracingSection
from signalling.turn_url import MAX_URLS, TurnUrl

DEV_KEY = "devkey"
DEV_SECRET = "secret"  # noqa: S105 - LiveKit's well-known development pair, refused on public addresses
MIN_SECRET_LENGTH = (
    32  # 256 bits of base64 or hex at the very least, for HMAC-SHA256 (RFC 7518 section 3.2)
)
DEFAULT_TCP_PORT = 7881  # where firewalls that know LiveKit expect it
SIDECAR_PORT_OFFSET = 10  # from the port of HTTP to that of the sidecar: 7880, 7890
MAX_LANES = 64  # one lane fills one core; machines with more cores run several nodes
LogLevel = Literal["debug", "info", "warning", "error"]


class HttpSection(Section):
    """Signalling, APIs and the page."""

    bind: str = Field("127.0.0.1", description="IP address that HTTP and WebSocket listen on.")
    port: Port = Field(7880, description="TCP port; 0 lets the system choose.")
    trusted_proxies: list[str] = Field(
        default_factory=list,
        description="Addresses of reverse proxies whose X-Forwarded-For and -Proto headers are believed.",
    )
    certificate: str = Field(
        "", description="PEM file with the TLS certificate chain; empty: plain HTTP."
    )
    private_key: str = Field("", description="PEM file with the TLS private key.")


class MediaSection(Section):
    """The data plane."""

    lanes: Annotated[int, Field(ge=1, le=MAX_LANES)] = Field(
        1, description="Execution lanes: native threads with a UDP port each. One fills one core."
    )
    addresses: list[str] = Field(
        default_factory=list,
        description="IP addresses that every lane binds, IPv4 and IPv6; empty: the address of the default route.",
    )
    port: Port = Field(
        7882,
        description="UDP port of the first lane; the next lanes take the next ports. 0: any free port.",
    )
    tcp: bool = Field(
        True, description="Whether clients that cannot use UDP may connect by TCP (RFC 6544)."
    )
    tcp_port: Port | None = Field(
        None,
        description=(
            "TCP port of the first lane; the next lanes take the next ports. 0: any free port. "
            f"Not given: {DEFAULT_TCP_PORT}, or any free port where `port` is 0."
        ),
    )
    announced: dict[str, str] = Field(
        default_factory=dict,
        description="Bound address -> address that clients should use, for machines behind 1:1 NAT.",
    )
    consent_timeout: Annotated[int, Field(ge=10, le=60)] = Field(
        30,
        description="Seconds without a valid connectivity check after which sending stops (RFC 7675).",
    )
    receive_buffer: Annotated[int, Field(ge=65_536, le=1 << 30)] = Field(
        16_777_216, description="Bytes of socket receive buffer asked of the kernel."
    )
    send_buffer: Annotated[int, Field(ge=65_536, le=1 << 30)] = Field(
        16_777_216, description="Bytes of socket send buffer asked of the kernel."
    )

    @property
    def listening_port(self) -> int | None:
        """TCP port of the first lane, 0 for any free one; None: nobody connects by TCP."""
        if not self.tcp:
            return None
        if self.tcp_port is None:
            return DEFAULT_TCP_PORT if self.port else 0
        return self.tcp_port


class RoomsSection(Section):
    """Defaults of rooms."""

    auto_create: bool = Field(True, description="Whether a first join creates the room.")
    empty_timeout: Annotated[int, Field(ge=0)] = Field(
        300, description="Seconds that a room waits for its first participant."
    )
    departure_timeout: Annotated[int, Field(ge=0)] = Field(
        20, description="Seconds that a room stays after its last participant left."
    )
    max_participants: Annotated[int, Field(ge=0)] = Field(0, description="Limit per room; 0: none.")


class KeySection(Section):
    """An API key: its secret comes from a file or the environment, or stands here."""

    secret: str = Field("", description="The secret itself (better: a file or the environment).")
    secret_file: str = Field("", description="File that holds the secret, mode 0600.")
    secret_env: str = Field("", description="Environment variable that holds the secret.")


class TurnSection(KeySection):
    """TURN servers for clients behind firewalls; the secret is the one that they have as `static-auth-secret`.

    Their `realm` is their own affair: clients learn it from them.
    """

    urls: Annotated[list[str], Field(max_length=MAX_URLS)] = Field(
        default_factory=list,
        description="`turn:host:port?transport=udp`, `...?transport=tcp` or `turns:host:port`; empty: no TURN.",
    )
    lifetime: Annotated[int, Field(ge=60, le=604_800)] = Field(
        14_400, description="Seconds for which the credentials of a client open new allocations."
    )


class LogSection(Section):
    """Logs go to standard error."""

    level: LogLevel = Field("info", description="Least level shown.")
    format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto: console on a terminal, JSON elsewhere."
    )


class ShutdownSection(Section):
    """Going down."""

    drain: Annotated[int, Field(ge=0, le=86_400)] = Field(
        30,
        description="Seconds after SIGTERM in which calls may end by themselves; a second one stops at once.",
    )


class MetricsSection(Section):
    """Numbers go to the sidecar once a second; Prometheus asks the sidecar, never a server."""

    node: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")] = Field(
        "local",
        description="Name of this server in the label `node`; another one for each server of a sidecar.",
    )
    socket: str = Field(
        "",
        description="Unix socket of the sidecar for them; empty: `metrics.sock` beside `audit.socket`.",
    )


class ConfigFile(Section):
    """The whole file."""

    http: HttpSection = HttpSection()
    media: MediaSection = MediaSection()
    rooms: RoomsSection = RoomsSection()
    keys: dict[str, KeySection] = Field(default_factory=dict, description="API key -> its secret.")
    turn: TurnSection = TurnSection()
    log: LogSection = LogSection()
    tracing: TracingSection = TracingSection()
    shutdown: ShutdownSection = ShutdownSection()
    audit: AuditSection = AuditSection()
    metrics: MetricsSection = MetricsSection()
    data: str = Field("data", description="Folder for everything that outlives the process.")


@dataclass(frozen=True, slots=True)
class Config:
    """What the server is built from: the file, its secrets resolved."""

    file: ConfigFile
    keys: dict[str, Redacted[str]]
    development: bool = False
    turn_secret: Redacted[str] = field(default=Redacted(""))
    path: Path | None = None  # of the file, for processes that the server starts


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a configuration."""

    line: int  # 1-based; 0 when the file as a whole is meant
    option: str  # dotted path
    message: str
    remedy: str
    code: str = "config_invalid"  # what `conclave doctor` calls it


class ConfigError(LocalError):
    """All problems of a configuration at once."""

    def __init__(self, name: str, problems: list[Problem]) -> None:
        """`name` is the file's name as the user gave it."""
        self.problems = problems
        lines = [
            f"{name}:{p.line}: {p.option}: {p.message}. {p.remedy}" if p.line else
            f"{name}: {p.option}: {p.message}. {p.remedy}"
            for p in problems
        ]  # fmt: skip
        super().__init__("config_invalid", "\n".join(lines))


def load(path: Path, environ: dict[str, str] | None = None, *, secrets: bool = True) -> Config:
    """Reads and checks a file; without `secrets` nothing that it refers to. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        problem = Problem(
            0, "file", f"cannot be read ({error.strerror})", "Check path and permissions."
        )
        raise ConfigError(str(path), [problem]) from error
    environ = dict(os.environ) if environ is None else environ
    return replace(parse(text, name=str(path), environ=environ, secrets=secrets), path=path)


def parse(text: str, *, name: str, environ: dict[str, str], secrets: bool = True) -> Config:
    """Checks the text of a file. Raises ConfigError with every problem found.

    Processes that need no `secrets` should not be able to read them.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(name, [_syntax_problem(error)]) from error
    try:
        file = ConfigFile.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(name, [_type_problem(text, item) for item in error.errors()]) from error
    problems: list[Problem] = []
    keys, turn_secret = {}, Redacted("")
    if secrets:
        keys = _resolve_keys(file, text, environ, problems)
        turn_secret = _resolve_turn(file, text, environ, problems)
        _check_tls(file, text, problems)
    _check_addresses(file, text, problems)
    for path, message, remedy in check_audit(file.audit):
        problems.append(Problem(find_line(text, path), ".".join(path), message, remedy))
    if not file.keys:
        problems.append(
            Problem(
                0,
                "keys",
                "no API key is configured",
                "Add [keys.NAME] with secret_file or secret_env.",
            )
        )
    if problems:
        raise ConfigError(name, problems)
    return Config(file=file, keys=keys, turn_secret=turn_secret)


def development(
    *,
    port: int,
    data: str,
    lanes: int = 1,
    media_port: int = 0,
    sidecar_port: int | None = None,
    log_level: LogLevel = "info",
) -> Config:
    """Embedded defaults on loopback with the well-known development pair.

    The sidecar's port follows the server's own, so that several servers can run side by side.
    """
    if sidecar_port is None:
        sidecar_port = port + SIDECAR_PORT_OFFSET if port else 0
    file = ConfigFile(
        http=HttpSection(bind="127.0.0.1", port=port),
        media=MediaSection(addresses=["127.0.0.1"], port=media_port, lanes=lanes),
        audit=AuditSection(sidecar="child", port=sidecar_port),
        log=LogSection(level=log_level),
        data=data,
    )
    return Config(file=file, keys={DEV_KEY: Redacted(DEV_SECRET)}, development=True)


def snapshot_socket(file: ConfigFile) -> Path:
    """Where the sidecar takes the numbers of servers."""
    if file.metrics.socket:
        return Path(file.metrics.socket)
    return file.audit.socket_in(file.data).with_name("metrics.sock")


def is_public(address: str) -> bool:
    """Whether others than this machine can reach an address bound here."""
    return not ipaddress.ip_address(address).is_loopback


def _resolve_keys(
    file: ConfigFile, text: str, environ: dict[str, str], problems: list[Problem]
) -> dict[str, Redacted[str]]:
    keys: dict[str, Redacted[str]] = {}
    for key, section in file.keys.items():
        where = _Place(find_line(text, ("keys", key)), f"keys.{key}", problems)
        secret = _resolve_secret(section, where, environ)
        if secret is None:
            continue
        keys[key] = Redacted(secret)
        if key == DEV_KEY or secret == DEV_SECRET:
            if is_public(file.http.bind):
                where.report(
                    "development keys on a public address",
                    "Use a key of your own, or bind 127.0.0.1.",
                    code="weak_secret",
                )
        else:
            _check_strength(secret, where)
    return keys


def _resolve_turn(
    file: ConfigFile, text: str, environ: dict[str, str], problems: list[Problem]
) -> Redacted[str]:
    section = file.turn
    if not section.urls and not (section.secret or section.secret_file or section.secret_env):
        return Redacted("")
    urls = _Place(find_line(text, ("turn", "urls")), "turn.urls", problems)
    if not section.urls:
        urls.report("a secret without a TURN server", "Name the server, or remove the secret.")
    for url in section.urls:
        try:
            TurnUrl.parse(url)
        except LocalError as error:
            urls.report(error.message, "Write turn:host:3478?transport=udp or turns:host:443.")
    where = _Place(find_line(text, ("turn",)), "turn", problems)
    secret = _resolve_secret(section, where, environ)
    if secret is None:
        return Redacted("")
    _check_strength(secret, where)
    return Redacted(secret)


@dataclass(frozen=True, slots=True)
class _Place:
    """An option, and where its problems are written down."""

    line: int
    option: str
    problems: list[Problem]

    def report(self, message: str, remedy: str, *, code: str = "config_invalid") -> None:
        self.problems.append(Problem(self.line, self.option, message, remedy, code))


def _resolve_secret(section: KeySection, where: _Place, environ: dict[str, str]) -> str | None:
    """The secret, or None once the problem is written down."""
    if sum(map(bool, (section.secret, section.secret_file, section.secret_env))) != 1:
        where.report("needs exactly one of secret, secret_file, secret_env", "Give one.")
        return None
    try:
        return _read_secret(section, environ)
    except (OSError, KeyError) as error:
        message = f"secret not found ({type(error).__name__})"
        where.report(message, "Create it or fix the name.")
        return None


def _check_strength(secret: str, where: _Place) -> None:
    if len(secret) < MIN_SECRET_LENGTH:
        where.report(
            f"weak secret: fewer than {MIN_SECRET_LENGTH} characters",
            "Make one with: openssl rand -base64 48",
            code="weak_secret",
        )


def _read_secret(section: KeySection, environ: dict[str, str]) -> str:
    if section.secret_file:
        return Path(section.secret_file).read_text(encoding="utf-8").strip()
    if section.secret_env:
        return environ[section.secret_env]
    return section.secret


def _check_addresses(file: ConfigFile, text: str, problems: list[Problem]) -> None:
    named = [(("http", "bind"), file.http.bind)]
    named += [(("media", "addresses"), address) for address in file.media.addresses]
    for pair in file.media.announced.items():
        named += [(("media", "announced"), address) for address in pair]
    named += [(("http", "trusted_proxies"), address) for address in file.http.trusted_proxies]
    named.append((("audit", "bind"), file.audit.bind))
    for path, address in named:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            remedy = "Write an IPv4 or IPv6 address without port or prefix length."
            problems.append(
                Problem(
                    find_line(text, path), ".".join(path), f"{address!r} is no IP address", remedy
                )
            )
            continue
        if path[0] == "media" and parsed.is_unspecified:
            remedy = "Name the addresses that clients reach, or leave the list empty."
            problems.append(
                Problem(
                    find_line(text, path), ".".join(path), "a wildcard cannot be announced", remedy
                )
            )
    for bound in file.media.announced:
        if file.media.addresses and bound not in file.media.addresses:
            remedy = "Use an address of media.addresses on the left."
            where = ("media", "announced")
            problems.append(
                Problem(
                    find_line(text, where), "media.announced", f"{bound!r} is not bound", remedy
                )
            )


def _check_tls(file: ConfigFile, text: str, problems: list[Problem]) -> None:
    given = [name for name in ("certificate", "private_key") if getattr(file.http, name)]
    if len(given) == 1:
        problems.append(
            Problem(
                find_line(text, ("http", given[0])),
                f"http.{given[0]}",
                "certificate and private_key go together",
                "Give both, or neither.",
            )
        )
    for option in given:
        if not Path(getattr(file.http, option)).is_file():
            problems.append(
                Problem(
                    find_line(text, ("http", option)),
                    f"http.{option}",
                    "file not found",
                    "Check the path.",
                )
            )


def _syntax_problem(error: tomllib.TOMLDecodeError) -> Problem:
    message = str(error)
    line = 0
    if "(at line " in message:
        message, _, position = message.partition(" (at line ")
        line = int(position.split(",")[0])
    return Problem(line, "syntax", message, "Mend the TOML there.")


def _type_problem(text: str, item: object) -> Problem:
    facts = item if isinstance(item, dict) else {}
    path = tuple(str(part) for part in facts.get("loc", ()))
    option = ".".join(path)
    line = find_line(text, path)
    if facts.get("type") == "extra_forbidden":
        return Problem(
            line, option, "unknown option", "Remove it, or see docs/configuration.md for its name."
        )
    given = facts.get("input")
    message = str(facts.get("msg", "is wrong"))
    return Problem(
        line, option, f"{message} (got {type(given).__name__})", "See docs/configuration.md."
    )


def find_line(text: str, path: tuple[str, ...]) -> int:
    """The 1-based line on which the option at `path` stands in TOML `text`; 0 if it does not."""
    table: tuple[str, ...] = ()
    best = 0
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped.startswith("["):
            table = _dotted(stripped.strip("[] "))
            here = table
        elif "=" in stripped and not stripped.startswith("#"):
            here = table + _dotted(stripped.partition("=")[0])
        else:
            continue
        if here == path:
            return number
        if path[: len(here)] == here and here:
            best = number
    return best


def _dotted(name: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in name.strip().split("."))
