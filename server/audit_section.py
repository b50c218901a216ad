"""The `[audit]` section of the configuration, and what types cannot check about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from common.errors import LocalError
from compliance.words import check_identifier
from crypto.notes import NoteError, Verifier
from server.section import Port, Section

Complaint = tuple[tuple[str, ...], str, str]  # path of the option, what is wrong, the remedy


class AuditSection(Section):
    """The audit log: where its sidecar is, and what happens to acts while it cannot be reached."""

    sidecar: Literal["child", "separate"] = Field(
        "separate",
        description="child: the server starts and watches it; separate: a unit or container of its own.",
    )
    folder: str = Field(
        "", description="Folder of the log and its key; empty: `audit` in the data folder."
    )
    socket: str = Field(
        "", description="Unix socket of the sidecar; empty: `intake.sock` in that folder."
    )
    fail_mode: Literal["refuse", "spool"] = Field(
        "spool",
        description="While the log cannot be reached: refuse acts, or keep entries in a bounded queue on disk.",
    )
    timeout: Annotated[float, Field(ge=0.1, le=30)] = Field(
        2.0, description="Seconds that an act waits for its entry before it is refused."
    )
    origin: str = Field(
        "conclave.local/audit", description="The log's name, which every checkpoint of it carries."
    )
    pop: str = Field("local", description="Name of this point of presence in entries.")
    region: str = Field("local", description="Name of the region in entries.")
    bind: str = Field("127.0.0.1", description="IP address of the sidecar's metrics and log.")
    port: Port = Field(7890, description="TCP port of the sidecar's metrics and log; 0: any free.")
    users: list[str] = Field(
        default_factory=list,
        description="Users, by name or number, whose processes may record, beside the sidecar's own.",
    )
    state: str = Field(
        "",
        description="Folder of what was signed, best on another medium; empty: `state` in the log's folder.",
    )
    witnesses: dict[str, str] = Field(
        default_factory=dict,
        description="Witnesses of this log: submission prefix -> verifier key.",
    )
    witness: str = Field(
        "", description="Name under which this sidecar cosigns other logs; empty: it is no witness."
    )
    witnessed: dict[str, list[str]] = Field(
        default_factory=dict, description="Logs that it witnesses: origin -> verifier keys."
    )
    timestamps: str = Field(
        "", description="URL of a time-stamping authority (RFC 3161); empty: no time-stamps."
    )
    timestamp_certificates: str = Field(
        "", description="PEM file with the root certificates that time-stamps must lead to."
    )
    timestamp_interval: Annotated[int, Field(ge=60, le=86_400)] = Field(
        3600, description="Seconds between two time-stamps."
    )

    def folder_in(self, data: str) -> Path:
        """Where the sidecar keeps what is its own."""
        return Path(self.folder) if self.folder else Path(data) / "audit"

    def socket_in(self, data: str) -> Path:
        """Where the sidecar listens."""
        return Path(self.socket) if self.socket else self.folder_in(data) / "intake.sock"


def check_audit(audit: AuditSection) -> Iterator[Complaint]:
    """Everything wrong with a section."""
    for option in ("origin", "pop", "region", "witness"):
        value = getattr(audit, option)
        try:
            check_identifier(option, value)
            if not value and option != "witness":
                raise LocalError("event_invalid", f"{option} is empty")
            if "+" in value:
                raise LocalError("event_invalid", f"{option} holds a plus sign")
        except LocalError as error:
            yield ("audit", option), error.message, "Use letters, digits and . _ : / - only."
    if bool(audit.timestamps) != bool(audit.timestamp_certificates):
        remedy = "Give the authority's URL and the file with its root certificates."
        yield (
            ("audit", "timestamps"),
            "timestamps and timestamp_certificates belong together",
            remedy,
        )
    keys = [(("audit", "witnesses", url), key) for url, key in audit.witnesses.items()]
    for origin, several in audit.witnessed.items():
        keys += [(("audit", "witnessed", origin), key) for key in several]
    for path, key in keys:
        try:
            Verifier.decode(key)
        except NoteError:
            yield path, "no verifier key", "Copy it from the other sidecar's key.pub."
