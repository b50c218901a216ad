"""The sidecar as a child process: started, watched, started again, ended in order.

In: the configuration, a bound socket for its HTTP. Out: a running process, counters, loud words when it stays
down. Must not: make the server wait for it, start it again once its store is not what was signed, or let it
outlive the server: the child ends when the pipe to it does, however this process ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from typing import Final

import structlog

from common.clock import Clock
from server.audit.settings import sidecar_config
from server.config import Config
from sidecar.settings import Launch

FIRST_BACKOFF: Final = (
    0.1  # seconds until a new start, doubled after each one that did not last, up to
)
LAST_BACKOFF: Final = 10.0
LASTING: Final = 30.0  # seconds of life after which the next start is a first one again
STOP_SECONDS: Final = 10.0  # for a last checkpoint; a sidecar that takes longer is killed
STOPPED: Final = 0
# Exit codes after which a new start cannot help: 2 the configuration is wrong, 3 the store is not what was signed.
FINAL_CODES: Final = frozenset({2, 3})
COMMAND: Final = (sys.executable, "-m", "sidecar.child")
log = structlog.get_logger("server.audit")


class SidecarChild:
    """Keeps one sidecar running."""

    def __init__(self, config: Config, listener: socket.socket, clock: Clock) -> None:
        """The listener stays ours, so that its port does. Raises LocalError `user_unknown`."""
        self._launch = launch(config, listener)
        self._listener = listener
        self._clock = clock
        self._watch: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self.starts = 0
        self.given_up = False
        self._stopping = False

    @property
    def pid(self) -> int:
        """Of the running child; 0 while there is none."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else 0

    def start(self) -> None:
        """Begins; returns at once."""
        self._watch = asyncio.create_task(self._keep_running(), name="sidecar")

    async def stop(self) -> None:
        """Lets the child finish, or ends it after `STOP_SECONDS`."""
        self._stopping = True
        process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except TimeoutError:
                log.error("sidecar_killed", pid=process.pid)
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        self._listener.close()

    async def _keep_running(self) -> None:
        backoff = FIRST_BACKOFF
        while True:
            started = self._clock.now()
            code = await self._run()
            if self._stopping:
                return
            if code in FINAL_CODES:
                self.given_up = True
                log.critical(
                    "sidecar_down",
                    code=code,
                    meaning="the audit log stays closed until somebody looks at it",
                )
                return
            if self._clock.now() - started > LASTING:
                backoff = FIRST_BACKOFF
            log.warning("sidecar_ended", code=code, again_in=backoff)
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, LAST_BACKOFF)

    async def _run(self) -> int:
        """One life of the child; its exit code."""
        self.starts += 1
        process = self._process = await asyncio.create_subprocess_exec(
            *COMMAND,
            stdin=asyncio.subprocess.PIPE,  # its end tells the child that this process is gone
            stdout=asyncio.subprocess.PIPE,
            pass_fds=(self._listener.fileno(),),
            start_new_session=True,  # a terminal's Ctrl-C is for the server, which stops the child in order
        )
        assert process.stdin is not None, "invariant: standard input is a pipe"  # noqa: S101
        assert process.stdout is not None, "invariant: standard output is a pipe"  # noqa: S101
        process.stdin.write(self._launch.encode())
        while line := await process.stdout.readline():
            with contextlib.suppress(ValueError):
                if json.loads(line).get("event") == "ready":
                    log.info("sidecar_ready", pid=process.pid, start=self.starts)
        return await process.wait()


def launch(config: Config, listener: socket.socket) -> Launch:
    """What the child of a server with this configuration is told. Raises LocalError `user_unknown`."""
    settings = sidecar_config(config, listener=listener.fileno(), lifeline=True)
    log_section = config.file.log
    as_json = log_section.format == "json" or (
        log_section.format == "auto" and not sys.stderr.isatty()
    )
    return Launch(settings, log_section.level, as_json)
