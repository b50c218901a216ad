"""`conclave audit verify`: the stand-alone verifier on the data of this machine.

In: the folder of a server, stopped or running. Out: what the verifier says, and its exit code. Must not: judge
anything itself.
"""

from __future__ import annotations

from pathlib import Path

from sidecar.main import embedded
from verifier.cli import main


def verify(data: Path, key: str, *, as_json: bool) -> int:
    """Runs the verifier; returns its exit code."""
    config = embedded(data)
    arguments = ["log", str(config.log), "--state", str(config.state)]
    if key:
        arguments += ["--key", key]
    if as_json:
        arguments.append("--json")
    return main(arguments)
