"""Writes the table of `README.md` from `results.json`, which the load generator made.

In: the JSON document. Out: the README with the part between its marks replaced. It measures nothing.
"""

import json
import sys
from pathlib import Path
from statistics import median
from typing import TypedDict

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
README = HERE / "README.md"
BEGIN = "<!-- results: begin -->"
END = "<!-- results: end -->"
HEAD = (
    "| load | receivers take | packets sent | lane, µs/packet | floor, µs/packet | latency p50 | p99 | "
    "packets per run | lost |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


class Round(TypedDict):
    """One round, as the load generator saw it; times in microseconds."""

    expected: int
    delivered: int
    undecryptable: int
    lane_us: float
    softirq_us: float
    floor_us: float
    p50_us: int | None
    p99_us: int | None
    run_length: float


class Series(TypedDict):
    """The rounds of one load with one kind of receivers."""

    scenario: str
    rooms: int
    publishers: int
    subscribers: int
    burst: int
    packet_bytes: int
    receivers: str
    rounds: list[Round]


class Machine(TypedDict):
    """Where it ran."""

    cpu: str
    cores: int
    kernel: str
    load: float  # load average of the minute in which it ended


class Results(TypedDict):
    """The whole document."""

    machine: Machine
    seconds_per_round: int
    series: list[Series]


def render(results: Results) -> str:
    """The part of the README that stands between the marks."""
    machine = results["machine"]
    rounds = min(len(series["rounds"]) for series in results["series"])
    return "\n".join(
        [
            f"{machine['cores']} cores of {machine['cpu']}, Linux {machine['kernel']}; medians of {rounds} "
            f"rounds of {results['seconds_per_round']} s; load average {machine['load']} (the measurement "
            "itself is about 1; what is above is other work, and the latencies contain it).",
            "",
            HEAD,
            *(_row(series) for series in results["series"]),
        ]
    )


def replace(document: str, part: str) -> str:
    """`document` with `part` between the marks."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{part}\n{END}{after}"


def _row(series: Series) -> str:
    rounds = series["rounds"]
    expected = sum(one["expected"] for one in rounds)
    lost = expected - sum(one["delivered"] for one in rounds)
    rooms = "room" if series["rooms"] == 1 else "rooms"
    cells = [
        f"{series['scenario']}, {series['rooms']} {rooms}, {series['packet_bytes']} bytes",
        series["receivers"],
        f"{expected:,}",
        f"{median(one['lane_us'] for one in rounds):.2f}",
        f"{median(one['floor_us'] for one in rounds):.2f}",
        _bound([one["p50_us"] for one in rounds]),
        _bound([one["p99_us"] for one in rounds]),
        f"{median(one['run_length'] for one in rounds):.1f}",
        f"{100 * lost / max(expected, 1):.2f} %",
    ]
    return f"| {' | '.join(cells)} |"


def _bound(bounds: list[int | None]) -> str:
    known = sorted(bound for bound in bounds if bound is not None)
    if len(known) < len(bounds):
        return "> 100 ms"
    return f"≤ {known[len(known) // 2]} µs"


def main() -> int:
    """Renders in place."""
    results: Results = json.loads(RESULTS.read_text())
    README.write_text(replace(README.read_text(), render(results)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
