"""The sidecar's part of the server's configuration, for a command of its own and for the server's child.

In: the configuration. Out: what `sidecar.main` needs to know. Must not: hand a secret on.
"""

from __future__ import annotations

import os
import pwd
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import LocalError
from server.audit_section import AuditSection
from server.config import Config, snapshot_socket
from sidecar.settings import SidecarConfig, in_folder

if TYPE_CHECKING:
    from sidecar.timestamps import Authority


def sidecar_config(
    config: Config, *, listener: int | None = None, lifeline: bool = False
) -> SidecarConfig:
    """The sidecar's part of a configuration; `listener` and `lifeline` come from a server that starts it.

    Raises LocalError `user_unknown`.
    """
    audit = config.file.audit
    base = in_folder(audit.folder_in(config.file.data))
    return replace(
        base,
        origin=audit.origin,
        state=Path(audit.state) if audit.state else base.state,
        socket=audit.socket_in(config.file.data),
        snapshots=snapshot_socket(config.file),
        users=frozenset({os.getuid(), *map(_user_id, audit.users)}),
        bind=audit.bind,
        port=audit.port,
        witness_key=base.key.with_name("witness.key") if audit.witness else None,
        witness_name=audit.witness,
        witnessed={origin: tuple(keys) for origin, keys in audit.witnessed.items()},
        witnesses=tuple(audit.witnesses.items()),
        authority=_authority(audit),
        listener=listener,
        lifeline=lifeline,
    )


def _authority(audit: AuditSection) -> Authority | None:
    if not audit.timestamps:
        return None
    from sidecar.timestamps import Authority  # noqa: PLC0415 - few have one

    pem = Path(audit.timestamp_certificates)
    return Authority(audit.timestamps, pem, float(audit.timestamp_interval))


def _user_id(user: str) -> int:
    if user.isdecimal():
        return int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError as error:
        raise LocalError("user_unknown", f"audit.users: there is no user {user}") from error
