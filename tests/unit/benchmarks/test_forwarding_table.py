"""The published table of forwarding costs is the one that its measurements make."""

import json

from benchmarks.forwarding import render
from benchmarks.forwarding.render import Results, Round


def make_round(lane: float, p99: int | None = 200, delivered: int = 1_000) -> Round:
    return {
        "expected": 1_000,
        "delivered": delivered,
        "undecryptable": 0,
        "lane_us": lane,
        "softirq_us": 0.0,
        "floor_us": 1.0,
        "p50_us": 30,
        "p99_us": p99,
        "run_length": 4.0,
    }


def make_results(rounds: list[Round]) -> Results:
    return {
        "machine": {"cpu": "Test", "cores": 2, "kernel": "6.0", "load": 0.5},
        "seconds_per_round": 2,
        "series": [
            {
                "scenario": "video 1 to 10",
                "rooms": 1,
                "publishers": 1,
                "subscribers": 10,
                "burst": 7,
                "packet_bytes": 1_200,
                "receivers": "trains",
                "rounds": rounds,
            }
        ],
    }


def test_a_row_shows_medians_and_the_share_of_packets_that_were_lost() -> None:
    rounds = [make_round(3.0), make_round(1.0, delivered=970), make_round(2.0)]
    row = render.render(make_results(rounds)).splitlines()[-1]
    assert row.split("|")[4].strip() == "2.00"
    assert row.split("|")[9].strip() == "1.00 %"


def test_a_quantile_beyond_the_histogram_is_said_to_be() -> None:
    row = render.render(make_results([make_round(1.0, p99=None)])).splitlines()[-1]
    assert row.split("|")[7].strip() == "> 100 ms"


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    document = f"head\n{render.BEGIN}\nold\n{render.END}\ntail\n"
    assert render.replace(document, "new") == f"head\n{render.BEGIN}\nnew\n{render.END}\ntail\n"


def test_the_readme_shows_the_results_that_are_kept() -> None:
    document = render.README.read_text()
    results: Results = json.loads(render.RESULTS.read_text())
    assert render.replace(document, render.render(results)) == document
