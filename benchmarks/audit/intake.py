"""How many events a second become durable, and how long each waits: `python -m benchmarks.audit.intake`.

One server's worth of events goes through a real auditor, a Unix socket and a sidecar process onto this disk: first
at given rates, then as fast as so many callers can that each wait for their last event.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path

import uvloop

from benchmarks.audit.load import Figures, Sidecar, auditor, flood, sidecar, trickle
from common.clock import SystemClock

SECONDS = 10.0
RATES = (100, 1_000, 10_000)  # events a second
CALLERS = (1, 64, 512)  # that wait at the same time


async def measure(running: Sidecar) -> list[dict[str, float]]:
    """One line per load."""
    lines = []
    async with auditor(running.socket, SystemClock()) as made:
        for rate in RATES:
            stop = asyncio.Event()
            asyncio.get_running_loop().call_later(SECONDS, stop.set)
            load = trickle(made, rate=rate, stop=stop)
            lines.append({"offered": rate, **await line(load, running)})
            print(json.dumps(lines[-1]), flush=True)
        for callers in CALLERS:
            load = flood(made, seconds=SECONDS, callers=callers)
            lines.append({"callers": callers, **await line(load, running)})
            print(json.dumps(lines[-1]), flush=True)
    return lines


async def line(load: Coroutine[object, object, Figures], running: Sidecar) -> dict[str, float]:
    """The figures of a load, rounded for people; processor time is of the server's half and of the sidecar."""
    server, sidecar_before = time.process_time(), running.cpu()
    figures = await load
    return {
        "events_per_second": round(figures.rate),
        "refused": figures.refused,
        "durable_p50_ms": round(figures.quantile(0.5), 2),
        "durable_p99_ms": round(figures.quantile(0.99), 2),
        "durable_worst_ms": round(figures.quantile(1.0), 2),
        "server_us_per_event": round((time.process_time() - server) / figures.events * 1e6, 1),
        "sidecar_us_per_event": round((running.cpu() - sidecar_before) / figures.events * 1e6, 1),
    }


def main() -> None:
    """Runs the measurement and keeps its figures."""
    with tempfile.TemporaryDirectory() as folder, sidecar(Path(folder)) as running:
        lines = uvloop.run(measure(running))
    Path(__file__).with_suffix(".json").write_text(json.dumps(lines, indent=2) + "\n")


if __name__ == "__main__":
    main()
