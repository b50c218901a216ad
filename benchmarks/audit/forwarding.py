"""What the audit log costs those who forward: `python -m benchmarks.audit.forwarding`.

The forwarding benchmark runs by turns alone and beside a sidecar that makes events durable at a rate far above
what such a server causes. Latencies of all rounds of a kind are pooled, and count as spread evenly in a bucket.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.audit.load import ROOT, auditor, sidecar, trickle
from common.clock import SystemClock

TURNS: Final = 2
RATE: Final = 200.0  # events a second; a hundred people a minute who join and leave cause about ten
SCENARIO: Final = "video 1 to 10"
LOADGEN: Final = ROOT / "dataplane/target/release/conclave-loadgen"


async def rounds() -> tuple[list[int], list[float]]:
    """Bounds of the buckets in microseconds, and counts up to each of them over all rounds of one run."""
    with tempfile.NamedTemporaryFile() as out:
        arguments = ("--only", SCENARIO, "--rounds", "2", "--seconds", "2", "--out", out.name)
        process = await asyncio.create_subprocess_exec(
            str(LOADGEN), *arguments, cwd=LOADGEN.parent, stdout=asyncio.subprocess.DEVNULL
        )
        if await process.wait() != 0:
            raise SystemExit("the load generator failed")
        report = json.load(out)
    counts = [one["latency"] for series in report["series"] for one in series["rounds"]]
    return report["latency_bounds_us"], [sum(column) for column in zip(*counts, strict=True)]


def quantile(bounds: Sequence[int], cumulative: Sequence[float], share: float) -> float:
    """Microseconds that this share of the packets met, or the last bound if it lies beyond."""
    needed = cumulative[-1] * share
    low, below = 0, 0.0
    for bound, count in zip(bounds, cumulative, strict=False):
        if count >= needed:
            return low + (bound - low) * (needed - below) / (count - below)
        low, below = bound, count
    return float(bounds[-1])


@contextlib.asynccontextmanager
async def events() -> AsyncIterator[None]:
    """Events become durable for as long as the block lasts."""
    with tempfile.TemporaryDirectory() as folder, sidecar(Path(folder)) as running:
        async with auditor(running.socket, SystemClock()) as made:
            stop = asyncio.Event()
            task = asyncio.create_task(trickle(made, rate=RATE, stop=stop))
            yield
            stop.set()
            figures = await task
    if figures.refused or figures.rate < RATE * 0.9:
        raise SystemExit(f"only {figures.rate:.0f} events a second, {figures.refused} refused")


async def measure() -> dict[str, object]:
    """Both kinds by turns."""
    pooled: dict[str, list[float]] = {}
    bounds: list[int] = []
    for _ in range(TURNS):
        for kind in ("alone", "beside the log"):
            async with events() if kind != "alone" else contextlib.nullcontext():
                bounds, counts = await rounds()
            before = pooled.get(kind, [0.0] * len(counts))
            pooled[kind] = [a + b for a, b in zip(before, counts, strict=True)]
    p99 = {kind: quantile(bounds, counts, 0.99) for kind, counts in pooled.items()}
    p50 = {kind: quantile(bounds, counts, 0.5) for kind, counts in pooled.items()}
    return {
        "events_per_second": RATE,
        "packets": {kind: int(counts[-1]) for kind, counts in pooled.items()},
        "p50_us": {kind: round(value, 1) for kind, value in p50.items()},
        "p99_us": {kind: round(value, 1) for kind, value in p99.items()},
        "p99_ratio": round(p99["beside the log"] / p99["alone"], 3),
    }


def main() -> None:
    """Runs the measurement and keeps its figures."""
    report = json.dumps(asyncio.run(measure()), indent=2)
    Path(__file__).with_suffix(".json").write_text(report + "\n")
    print(report)


if __name__ == "__main__":
    main()
