"""The server's own end of the audit log: where its events come from, the trail they take, the vault beside it.

In: the configuration. Out: an auditor that takes events, a vault on a thread of its own. The first event of a run
says which version and configuration began, the last one that it ended in order. Must not: hold a secret in any
form from which it could be found again.
"""

from __future__ import annotations

import hashlib
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from common.clock import Clock
from compliance.auditor import Auditor
from compliance.canonical import canonical
from compliance.envelope import Source
from compliance.events import Actor, KeyUsed, ServerStarted, ServerStopped, Why
from compliance.files import PosixFiles
from compliance.reader import LogReader
from compliance.spool import Spool
from compliance.trail import FailMode, Limits
from compliance.vault import Vault
from compliance.words import Role
from crypto.pseudonyms import commitment
from crypto.sealing import Key, derive, key_file
from server.audit.acts import ActTrail
from server.audit.child import SidecarChild
from server.config import Config
from server.listening import listen
from server.version import VERSION

SYSTEM: Final = Actor(Role.SYSTEM)
SPOOL_AFTER: Final = 0.25  # seconds after which the spool takes over, in that mode
_SECRETS: Final = frozenset({"secret", "password"})


class Evidence:
    """Everything that a running server needs to leave evidence."""

    def __init__(self, config: Config, clock: Clock) -> None:
        """Opens spool, vault and the sidecar's port. Raises LocalError, OSError."""
        audit, data = config.file.audit, Path(config.file.data)
        self._folders = [
            PosixFiles(data / "audit" / "spool"),
            PosixFiles(data / "vault"),
        ]
        master = key_file(data / "vault.key")
        self.vault = Vault(self._folders[1], master)
        self.vault_thread = ThreadPoolExecutor(1, "vault")
        self.source = Source(audit.pop, audit.region, "server", secrets.token_hex(8))
        self.auditor = Auditor(
            self.source,
            FailMode(audit.fail_mode),
            socket=str(audit.socket_in(config.file.data)),
            clock=clock,
            spool=Spool(self._folders[0]),
            limits=Limits(audit.timeout, min(SPOOL_AFTER, audit.timeout / 2)),
        )
        self.acts = ActTrail(self.auditor, self.vault, self.vault_thread, clock, audit.timeout)
        self.reader = LogReader(str(audit.socket_in(config.file.data)))
        self._configuration = configuration_hash(config, master)
        self.child: SidecarChild | None = None
        self.url = ""  # of the sidecar's metrics and log, if it is ours
        if audit.sidecar == "child":
            listener = listen(audit.bind, audit.port)
            host, port = listener.getsockname()[:2]
            self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            self.child = SidecarChild(config, listener, clock)

    async def start(self) -> None:
        """Begins; waits for nothing. The first events are on their way before any other can be."""
        if self.child is not None:
            self.child.start()
        started = ServerStarted(actor=SYSTEM, version=VERSION, configuration=self._configuration)
        self.auditor.note(started)
        self.use_key("vault-master", "open")
        await self.auditor.start()

    def use_key(self, key: str, purpose: str) -> None:
        """A key of the server's own served for something."""
        self.auditor.note(KeyUsed(actor=SYSTEM, key=key, purpose=purpose))

    async def stop(self, reason: str = "") -> None:
        """The last event, then the trail, then the sidecar."""
        await self.acts.settle()
        self.auditor.note(ServerStopped(actor=SYSTEM, why=Why(reason=reason)))
        await self.auditor.close()
        await self.abandon()

    async def abandon(self) -> None:
        """Ends what never started, or nothing uses any more."""
        await self.reader.close()
        if self.child is not None:
            await self.child.stop()
        self.vault_thread.shutdown()
        for files in self._folders:
            files.close()


def configuration_hash(config: Config, master: Key) -> str:
    """Names a configuration. Secrets count as commitments: a new one shows, none can be found."""
    key = derive(master, b"conclave configuration")
    document = {
        "file": _without_secrets(config.file.model_dump(mode="json"), key),
        "keys": {name: commitment(key, s.reveal().encode()) for name, s in config.keys.items()},
        "turn": commitment(key, config.turn_secret.reveal().encode()),
    }
    return "sha256:" + hashlib.sha256(canonical(document)).hexdigest()


def _without_secrets(value: Any, key: Key) -> Any:
    if isinstance(value, list):
        return [_without_secrets(each, key) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: commitment(key, str(each).encode())
        if name in _SECRETS
        else _without_secrets(each, key)
        for name, each in value.items()
    }
