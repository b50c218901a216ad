"""What a sidecar needs to know, as a value, and as the line of text in which a server tells it its child.

In: folders, options. Out: `SidecarConfig`; JSON and back. Must not: hold a secret, read a file, or import what a
process does not need before it takes events.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sidecar.timestamps import Authority

CHECKPOINT_SECONDS: Final = 1.0  # from an entry to its checkpoint at most
_PATHS: Final = ("log", "state", "key", "socket", "snapshots", "index", "witness_key")


@dataclass(frozen=True, slots=True)
class SidecarConfig:
    """Everything that the sidecar needs to know."""

    origin: str  # the log's name, such as `conclave.example/pop-1/audit`
    log: Path  # folder of the log
    state: Path  # folder of what was signed; best on another medium than the log
    key: Path  # file of the signing key, mode 0600, made on first use
    socket: Path
    snapshots: Path  # socket on which servers hand their numbers over
    index: Path  # folder of what finds entries; made again when it is lost
    users: frozenset[int] = field(default_factory=lambda: frozenset({os.getuid()}))
    bind: str = "127.0.0.1"
    port: int | None = None  # None: no HTTP; 0: any free port
    listener: int | None = None  # descriptor of a bound TCP socket, in place of bind and port
    lifeline: bool = (
        False  # ends in order when standard input does: with the process that started this one
    )
    interval: float = CHECKPOINT_SECONDS
    witness_key: Path | None = None  # makes this sidecar a witness
    witness_name: str = ""
    witnessed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # origin -> keys
    witnesses: tuple[tuple[str, str], ...] = ()  # (submission prefix, key) of witnesses of this log
    authority: Authority | None = None  # stamps checkpoints with the time (RFC 3161)


def embedded(data: Path, *, port: int | None = None) -> SidecarConfig:
    """The defaults of one machine: everything below `data`."""
    return in_folder(data / "audit", port=port)


def in_folder(audit: Path, *, port: int | None = None) -> SidecarConfig:
    """Everything in one folder."""
    return SidecarConfig(
        origin="conclave.local/audit",
        log=audit / "log",
        state=audit / "state",
        key=audit / "signing.key",
        socket=audit / "intake.sock",
        snapshots=audit / "metrics.sock",
        index=audit / "index",
        port=port,
    )


@dataclass(frozen=True, slots=True)
class Launch:
    """How a server starts its child."""

    config: SidecarConfig
    level: str  # of its log: debug, info, warning, error
    as_json: bool  # its log; else lines for people

    def encode(self) -> bytes:
        """One line."""
        return json.dumps(asdict(self), default=_plain).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Launch:
        """Reads what `encode` of the same version wrote; anything else is a fault of ours and raises any error."""
        document = json.loads(line)
        values: dict[str, Any] = document["config"]
        values |= {name: Path(values[name]) for name in _PATHS if values[name] is not None}
        values["users"] = frozenset(values["users"])
        values["witnessed"] = {name: tuple(keys) for name, keys in values["witnessed"].items()}
        values["witnesses"] = tuple((url, key) for url, key in values["witnesses"])
        if values["authority"] is not None:
            from sidecar.timestamps import Authority  # noqa: PLC0415 - slow to import, and few have one

            stamps = values["authority"]
            values["authority"] = Authority(
                **stamps | {"certificates": Path(stamps["certificates"])}
            )
        return cls(SidecarConfig(**values), document["level"], document["as_json"])


def _plain(value: object) -> object:
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(type(value).__name__)
