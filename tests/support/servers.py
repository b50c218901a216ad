"""Servers under test: processes of the real command, the configuration that they get, tokens that they take."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.clock import SystemClock
from common.redact import Redacted
from crypto.tokens import SigningKeys
from server.access import AccessSpec, make_token
from tests.support.networks import COMMAND_SECONDS, ROOT, Host

CONCLAVE = str(ROOT / ".venv/bin/conclave")
START_SECONDS = 30
KEY, SECRET = "testkey", "a secret of at least thirty-two characters"
LOOPBACK = "127.0.0.1"
Sections = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str
    process: subprocess.Popen[str]
    data: Path
    audit: str = ""  # URL of its sidecar's metrics and log
    key: str = "devkey"
    secret: str = "secret"

    @property
    def ws(self) -> str:
        return self.url.replace("http", "ws", 1)

    @property
    def credentials(self) -> dict[str, str]:
        """The environment of commands that make tokens for it."""
        return {"CONCLAVE_API_KEY": self.key, "CONCLAVE_API_SECRET": self.secret}

    def token(self, identity: str, room: str, **more: Any) -> str:
        keys = SigningKeys({self.key: Redacted(self.secret)})
        return make_token(keys, AccessSpec(identity=identity, room=room, **more), SystemClock())


def configuration(data: Path, *more: Sections) -> str:
    """A configuration file: free ports of the loopback device, KEY, and what `more` says instead or besides."""
    tables: dict[str, Mapping[str, object]] = {
        "http": {"port": 0},
        "media": {"addresses": [LOOPBACK], "port": 0},
        "keys": {KEY: {"secret": SECRET}},
    }
    for sections in more:
        for name, section in sections.items():
            tables[name] = {**tables.get(name, {}), **section}
    return "\n".join(_toml({"data": str(data), **tables}))


def at(http: str, addresses: Sequence[str], *, port: int = 7880) -> Sections:
    """Sections for fixed ports: HTTP on `http`, media on `addresses`, one port above by TCP and two by UDP."""
    return {
        "http": {"bind": http, "port": port},
        "media": {"addresses": list(addresses), "port": port + 2, "tcp_port": port + 1},
    }


def _toml(table: Mapping[str, object], path: tuple[str, ...] = ()) -> Iterator[str]:
    """Lines of a table; JSON's scalars and arrays are TOML's as well."""
    for name, value in table.items():
        if not isinstance(value, Mapping):
            yield f"{json.dumps(name)} = {json.dumps(value)}"
    for name, value in table.items():
        if isinstance(value, Mapping):
            inner = (*path, name)
            yield f"[{'.'.join(map(json.dumps, inner))}]"
            yield from _toml(value, inner)


def start_server(data: Path, *arguments: str) -> Server:
    """Starts `conclave dev` on free ports and waits for its word that it is ready."""
    return launch(data, "dev", "--port", "0", "--data", str(data), *arguments)


def serve(
    data: Path,
    config: str,
    *,
    on: Host | None = None,
    wrapper: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Server:
    """Starts `conclave serve` with the configuration `config`, which has one key.

    `on` is the host of a test network where it runs, and with which it ends; `wrapper` a command that runs others.
    """
    data.mkdir(parents=True, exist_ok=True)
    path = data / "conclave.toml"
    path.write_text(config)
    ((name, entry),) = tomllib.loads(config)["keys"].items()
    key = (name, entry.get("secret", ""))
    prefix = [*(on.prefix if on is not None else ()), *wrapper]
    command = ("serve", "--config", str(path))
    running = launch(data, *command, prefix=prefix, environ=environ, key=key)
    if on is not None:
        on.adopt(running.process)
    return running


def launch(
    data: Path,
    *command: str,
    prefix: Sequence[str] = (),
    inherited: Sequence[int] = (),
    environ: Mapping[str, str] | None = None,
    key: tuple[str, str] = ("devkey", "secret"),
) -> Server:
    """Runs a command that serves, its log in `data`, and waits for its word that it is ready.

    `prefix` is a command that runs others, in a network namespace for instance;
    `inherited` are descriptors that the process gets, `environ` what its environment has besides ours;
    `key` names the key for its tokens, and its secret.
    """
    with (data / "server.log").open("w") as log:
        process = subprocess.Popen(
            [*prefix, CONCLAVE, *command, "--json"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=ROOT,
            pass_fds=inherited,
            env={**os.environ, **(environ or {})},
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        process.communicate()
        raise AssertionError((data / "server.log").read_text())
    word = json.loads(line)
    return Server(word["url"], process, data, word.get("audit", ""), *key)


def stop_server(server: Server) -> None:
    """Two signals: the second does not wait for calls to end."""
    for number in (signal.SIGTERM, signal.SIGTERM):
        if server.process.poll() is None:
            server.process.send_signal(number)
    server.process.wait(START_SECONDS)
    assert server.process.stdout is not None
    server.process.stdout.close()


@contextmanager
def serving(data: Path, *more: Sections, on: Host | None = None) -> Iterator[Server]:
    """A server with that configuration, until the end of the block; then it has ended well."""
    running = serve(data, configuration(data, *more), on=on)
    try:
        yield running
    finally:
        stop_server(running)
    assert running.process.returncode == 0


@contextmanager
def publisher(host: Host, server: Server, room: str, **environ: str) -> Iterator[None]:
    """`conclave publish --demo` on a host: a moving picture and sound from aiortc."""
    process = host.start(
        CONCLAVE, "publish", "--demo", "--room", room, "--url", server.url, "--json",
        **server.credentials, **environ,
    )  # fmt: skip
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(COMMAND_SECONDS)
