"""How long an admission waits for vault and log: `python -m benchmarks.audit.acts`.

Newcomers of whom a name is sealed, through the server's half (vault, trail) and a sidecar process onto this disk:
one after the other, then many at the same time. The folder is below the working directory: `/tmp` may be memory.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Final

import uvloop

from benchmarks.audit.load import Figures, auditor, sidecar
from common.clock import SystemClock
from common.errors import RemoteError
from common.ids import Identity
from compliance.events import Actor, AdmissionGranted, Target
from compliance.files import PosixFiles
from compliance.vault import Vault
from compliance.words import Role
from crypto.sealing import new_key
from server.audit.acts import ActTrail
from signalling.ports import Act, Person, Recorded

PATIENCE: Final = 30.0  # seconds
ALONE: Final = 100  # newcomers, one after the other
CROWDS: Final = (5, 50)  # at the same time,
TIMES: Final = 10  # as often as that


async def admit(trail: ActTrail, number: int) -> float:
    """Seconds until a newcomer may enter."""
    clock = SystemClock()
    future: asyncio.Future[Recorded | RemoteError] = asyncio.get_running_loop().create_future()
    who = Person(
        Identity(f"newcomer-{number}"), {"identity": f"newcomer-{number}", "name": "Ada Lovelace"}
    )
    on = Target(room="RM_abcdefghijkl", peer=f"PA_{number:012d}")
    event = AdmissionGranted(actor=Actor(Role.PARTICIPANT), on=on, rights=("publish", "subscribe"))
    before = clock.now()
    trail.record(Act((event,), about=who, by=who), future.set_result)
    outcome = await future
    if isinstance(outcome, RemoteError):
        raise outcome
    return clock.now() - before


async def measure(folder: Path) -> dict[str, object]:
    """Milliseconds for each kind of arrival."""
    clock = SystemClock()
    lines: dict[str, object] = {}
    number = 0
    with (
        sidecar(folder) as running,
        closing(PosixFiles(folder / "vault")) as files,
        ThreadPoolExecutor(1, "vault") as thread,
    ):
        vault = Vault(files, new_key())
        async with auditor(running.socket, clock) as made:
            trail = ActTrail(made, vault, thread, clock, PATIENCE)
            for size, times in ((1, ALONE), *((crowd, TIMES) for crowd in CROWDS)):
                figures = Figures()
                for _ in range(times):
                    some = range(number, number + size)
                    number += size
                    figures.waits += await asyncio.gather(*(admit(trail, each) for each in some))
                lines[f"{size}_at_once"] = {
                    "p50_ms": round(figures.quantile(0.5), 1),
                    "p99_ms": round(figures.quantile(0.99), 1),
                }
    return lines


def main() -> None:
    """Runs the measurement."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        print(json.dumps(uvloop.run(measure(Path(folder).resolve())), indent=2))


if __name__ == "__main__":
    main()
