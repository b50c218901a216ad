"""What metrics cost: building and sending a snapshot of a server, checking it, and formatting a page.

In: a data plane with legs (subscribers that never connect suffice: nothing is counted per leg in Python).
Out: milliseconds of processor time per second on standard output. Must not: be mistaken for a load test.
"""

from __future__ import annotations

import json
import resource
import secrets
import sys
from types import SimpleNamespace
from typing import Any

from common.clock import SystemClock
from common.snapshots import FrameReader, decode, encode
from crypto.certificates import FINGERPRINT_ALGORITHM, new_certificate
from server.telemetry.observation import Observer
from sfu import Engine, Fingerprint
from sfu.dataplane import LegSpec, StreamSpec, TrackCodec, TrackSpec
from sfu.model import PeerSpec, RoomOptions
from sfu.plane import Plane
from sidecar.metrics import Metrics
from sidecar.nodes import Nodes

LEGS = 1_000
PEERS_OF_A_ROOM = 10
ROUNDS = 200


def main() -> int:
    """Measures and prints."""
    clock = SystemClock()
    certificate = new_certificate(wall=clock.wall())
    plane = Plane(
        lanes=2,
        addresses=["127.0.0.1"],
        port=0,
        certificate=certificate.der,
        private_key=certificate.private_key.reveal(),
    )
    engine = Engine(
        plane=plane,
        clock=clock,
        choose=secrets.randbelow,
        fingerprint=Fingerprint(FINGERPRINT_ALGORITHM, certificate.digest),
    )
    _fill(engine, plane)
    hub: Any = SimpleNamespace(refusals={}, decisions={})
    trail = SimpleNamespace(counts={"recorded": 5}, backlog=0, spooled=0, lag=0.0)
    evidence: Any = SimpleNamespace(auditor=trail, child=None)
    observer = Observer("local", engine, plane, hub, evidence, clock)
    nodes = Nodes(clock)
    metrics = Metrics(nodes)

    frame = encode(observer.snapshot())
    push = _milliseconds(lambda: encode(observer.snapshot()))
    take = _milliseconds(lambda: nodes.take(_received(frame), len(frame)))
    page = _milliseconds(metrics.exposition)
    result = {
        "legs": LEGS,
        "frame_bytes": len(frame),
        "page_bytes": len(metrics.exposition()[0]),
        "server_ms_per_second": round(push, 3),
        "sidecar_ms_per_second": round(take, 3),
        "sidecar_ms_per_scrape": round(page, 3),
    }
    plane.close()
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 0


def _fill(engine: Engine, plane: Plane) -> None:
    for number in range(LEGS // PEERS_OF_A_ROOM):
        for _ in range(PEERS_OF_A_ROOM):
            spec: Any = PeerSpec(identity=secrets.token_hex(8))  # type: ignore[arg-type]
            engine.join(f"room-{number}", spec, RoomOptions())  # type: ignore[arg-type]
    transport = plane.add_transport(lane=0, ufrag="u" * 12, pwd="p" * 24)
    codecs = (TrackCodec(96, "vp8", 90_000, None, True),)
    for number in range(LEGS):
        track = plane.add_track(
            TrackSpec(transport, "video", str(number % 40), codecs, (StreamSpec(),)), open=True
        )
        plane.add_leg(
            LegSpec(track, transport, "video", str(number), 10_000 + number, None, "c", (), ())
        )
    engine.flush()


def _received(frame: bytes) -> Any:
    (body,) = FrameReader().feed(frame)
    return decode(body)


def _milliseconds(work: Any) -> float:
    """Processor time of one call in this process, the mean of many."""
    before = _used()
    for _ in range(ROUNDS):
        work()
    return (_used() - before) * 1000 / ROUNDS


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
