"""`conclave`: the command line. Each command reads its arguments here and does its work elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import uvloop
from cyclopts import App, Parameter

from common.clock import SystemClock
from common.errors import ConclaveError, LocalError
from common.redact import Redacted
from crypto.tokens import SigningKeys
from server import logs
from server.access import AccessSpec, check_spec, make_token
from server.commands.options import ApiKey, ApiSecret, Json
from server.config import (
    DEV_KEY,
    DEV_SECRET,
    Config,
    ConfigError,
    LogLevel,
    development,
    load,
)
from server.memory import keep_private
from server.terminal import Exit, Terminal
from server.version import VERSION

DEFAULT_URL = "http://127.0.0.1:7880"

app = App(
    name="conclave",
    version=VERSION,
    help="An SFU media server with compliance built in.",
    result_action="return_value",
)
token_app = App(name="token", help="Access tokens.")
app.command(token_app)
audit_app = App(name="audit", help="The audit log of this machine.")
app.command(audit_app)
for each, text in {  # loaded when used
    "audit_read:tail": "Show the last entries of the audit log, and the coming ones.",
    "audit_read:show": "Show one entry, and whether its proof holds.",
    "audit_read:export": "Write entries to a file: JSON lines that prove themselves, OCSF or CEF.",
    "audit_account:room": "Show who was in a room, and who could receive what was published there.",
    "audit_account:accesses": "Show who saw what the log says about a person.",
}.items():
    audit_app.command(f"server.commands.{each}", help=text)

Role = Literal["auditor", "privacy_officer"]


@app.command
def dev(
    *,
    port: int = 7880,
    data: Path = Path("data"),
    lanes: int = 1,
    media_port: int = 0,
    sidecar_port: int | None = None,
    log_level: LogLevel = "info",
    as_json: Json = False,
) -> int:
    """Start on loopback with embedded defaults and the development pair devkey / secret.

    Parameters
    ----------
    port
        TCP port of HTTP and WebSocket; 0 takes any free one.
    data
        Folder for everything that outlives the process.
    lanes
        Execution lanes of the data plane.
    media_port
        UDP port of the first lane; 0 takes any free one.
    sidecar_port
        TCP port of metrics and the audit log; without it, ten above `port`, or any free one.
    log_level
        debug, info, warning or error.
    """
    config = development(
        port=port,
        data=str(data),
        lanes=lanes,
        media_port=media_port,
        sidecar_port=sidecar_port,
        log_level=log_level,
    )
    return _serve(config, Terminal(as_json=as_json))


@app.command
def serve(*, config: Path, as_json: Json = False) -> int:
    """Start as configured; a configuration with any problem stops the start.

    Parameters
    ----------
    config
        TOML file; docs/configuration.md lists every option.
    """
    terminal = Terminal(as_json=as_json)
    try:
        loaded = load(config)
    except ConclaveError as error:
        terminal.fail(error)
        return Exit.USAGE
    keep_private()
    return _serve(loaded, terminal)


@app.command
def sidecar(
    *,
    config: Path | None = None,
    data: Path = Path("data"),
    port: int = 7890,
    log_level: LogLevel = "info",
    as_json: Json = False,
) -> int:
    """Keep the audit log: record, sign, show metrics and proofs. Exit codes: 1 start again, 3 look at the store.

    Parameters
    ----------
    config
        The server's TOML file, of which [audit] counts; without it, everything below `data`.
    data
        Folder for everything that outlives the process.
    port
        TCP port of metrics and log; 0 takes any free one.
    log_level
        debug, info, warning or error.
    """
    from server.audit.settings import sidecar_config  # noqa: PLC0415 - only where it is used
    from sidecar.main import run as keep_log  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    try:
        loaded = (
            load(config, secrets=False)
            if config
            else development(port=0, data=str(data), sidecar_port=port)
        )
        settings = sidecar_config(loaded)
    except ConclaveError as error:
        terminal.fail(error)
        return Exit.USAGE
    if config:
        keep_private()
    logs.configure(
        level=loaded.file.log.level if config else log_level, style=loaded.file.log.format
    )

    def ready(url: str) -> None:
        terminal.say(f"The audit log is open: {url}", event="ready", url=url)

    return keep_log(settings, ready)


@token_app.command
def create(
    *,
    identity: str,
    room: str = "",
    name: str = "",
    admin: bool = False,
    hidden: bool = False,
    role: Annotated[list[Role], Parameter(negative_iterable="")] | None = None,
    publish: Annotated[bool, Parameter(help="May send audio, video and data.")] = True,
    subscribe: Annotated[bool, Parameter(help="May receive.")] = True,
    valid_for: float = 6.0,
    api_key: ApiKey = DEV_KEY,
    api_secret: ApiSecret = DEV_SECRET,
    as_json: Json = False,
) -> int:
    """Make an access token for one participant of one room, or with --role for a reader of the audit log.

    Parameters
    ----------
    identity
        Who it is for; unique in the room.
    room
        Room that it opens.
    name
        Shown to others.
    admin
        May also moderate the room over the server API.
    hidden
        Others don't see this participant.
    role
        May read the audit log, or what is sealed behind its entries; such a token opens no room.
    valid_for
        Hours until it expires.
    api_key
        API key that signs it.
    """
    terminal = Terminal(as_json=as_json)
    spec = AccessSpec(
        identity=identity,
        room=room,
        name=name,
        join=not role,
        admin=admin,
        hidden=hidden,
        can_publish=None if role else publish,
        can_subscribe=None if role else subscribe,
        roles=tuple(role or ()),
        life=valid_for * 3600,
    )
    try:
        check_spec(spec)
        token = make_token(SigningKeys({api_key: Redacted(api_secret)}), spec, SystemClock())
    except ConclaveError as error:
        terminal.fail(error)
        return Exit.USAGE
    terminal.say(token, token=token, room=room, identity=identity)
    return Exit.OK


@app.command
def publish(
    file: Path | None = None,
    *,
    demo: bool = False,
    room: str = "demo",
    identity: str = "synthetic",
    url: str = DEFAULT_URL,
    loop: bool = True,
    simulcast: bool = False,
    seconds: float | None = None,
    api_key: ApiKey = DEV_KEY,
    api_secret: ApiSecret = DEV_SECRET,
    as_json: Json = False,
) -> int:
    """Join a room as a participant that sends a media file, or a moving picture and sound.

    Parameters
    ----------
    file
        Media file to send in real time.
    demo
        Send a synthetic moving picture and sound.
    room
        Room to join.
    identity
        Who to join as.
    url
        Address of the server.
    loop
        Start the file again at its end.
    simulcast
        Send the picture in three sizes, of which each viewer gets one.
    seconds
        Stop after this many seconds.
    api_key
        API key that signs its token.
    """
    from server.commands.publish import PublishOptions  # noqa: PLC0415 - codecs load only when used
    from server.commands.publish import publish as run  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    logs.configure(level="warning", style="auto")
    try:
        if demo == (file is not None):
            raise LocalError("arguments", "give either a FILE or --demo")
        spec = AccessSpec(identity=identity, room=room, name=identity.title())
        token = make_token(SigningKeys({api_key: Redacted(api_secret)}), spec, SystemClock())
    except ConclaveError as error:
        terminal.fail(error)
        return Exit.USAGE
    options = PublishOptions(url, token, file, loop, seconds, simulcast)
    return _run(run(options, terminal), terminal)


@app.command
def doctor(
    *,
    config: Path | None = None,
    url: str = "",
    api_key: ApiKey = DEV_KEY,
    api_secret: ApiSecret = DEV_SECRET,
    as_json: Json = False,
) -> int:
    """Look for what keeps calls from working, up to real media through a server; say how to mend it.

    Parameters
    ----------
    config
        Configuration to check on the server's own machine; without it, the development defaults.
    url
        A running server to send media through; without it, one is started for the check.
    api_key
        API key for that server, if its configuration is not at hand.
    """
    from server.commands.doctor import examine, examine_problems  # noqa: PLC0415 - codecs load only when used

    terminal = Terminal(as_json=as_json)
    logs.configure(level="error", style="auto")
    try:
        if config:
            loaded = load(config)
        else:
            keys = {api_key: Redacted(api_secret)}
            loaded = replace(development(port=0, data="data"), keys=keys)
    except ConfigError as error:
        return examine_problems(error.problems, terminal)
    except ConclaveError as error:
        terminal.fail(error)
        return Exit.USAGE
    return _run(examine(loaded, url, terminal), terminal)


@audit_app.command
def verify(
    *,
    config: Path | None = None,
    data: Path = Path("data"),
    key: str = "",
    as_json: Json = False,
) -> int:
    """Check the audit log: every entry against what was signed, and whether anything is missing.

    Exit codes: 0 intact and complete, 1 integrity broken, 2 nothing to check, 3 incomplete.

    Parameters
    ----------
    config
        The server's TOML file; without it, everything is below `data`.
    data
        Folder of a stopped or running server.
    key
        The log's public key, or its file; without it, the one beside the log.
    """
    from server.commands.audit_verify import verify as run  # noqa: PLC0415 - loads only when used

    try:
        loaded = load(config) if config else development(port=0, data=str(data))
    except ConclaveError as error:
        Terminal(as_json=as_json).fail(error)
        return Exit.USAGE
    return run(loaded, key, as_json=as_json)


def _serve(config: Config, terminal: Terminal) -> int:
    from server.node import run_node  # noqa: PLC0415 - the native module loads only when it serves

    logs.configure(level=config.file.log.level, style=config.file.log.format)
    return _run(run_node(config, terminal), terminal)


def _run(work: Coroutine[object, object, int | None], terminal: Terminal) -> int:
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work) or Exit.OK
    except ConclaveError as error:
        terminal.fail(error)
        return Exit.FAILED
    except KeyboardInterrupt:
        return Exit.OK
