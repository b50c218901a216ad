"""`conclave audit verify`: the stand-alone verifier on the log of this machine.

In: a configuration. Out: what the verifier says, and its exit code. Must not: judge anything itself.
"""

from __future__ import annotations

from server.audit.settings import sidecar_config
from server.config import Config
from verifier.cli import main


def verify(config: Config, key: str, *, as_json: bool) -> int:
    """Runs the verifier; returns its exit code."""
    audit = config.file.audit
    sidecar = sidecar_config(config)
    arguments = ["log", str(sidecar.log), "--state", str(sidecar.state)]
    for witness in audit.witnesses.values():
        arguments += ["--witness", witness]
    if audit.timestamp_certificates:
        arguments += ["--ca", audit.timestamp_certificates]
    if key:
        arguments += ["--key", key]
    if as_json:
        arguments.append("--json")
    return main(arguments)
