"""How fast the stand-alone verifier checks a log: `python -m benchmarks.audit.verify FOLDER --entries N`.

In: a number of entries. Out: a synthetic log in the folder (kept, and used again), the verifier's time, entries a
second, the peak memory of its largest process. The log is what a busy server writes: meetings of three.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

from common.clock import SystemClock
from compliance.envelope import Record, encode
from compliance.events import (
    Actor,
    AdmissionGranted,
    Event,
    ParticipantLeft,
    Private,
    RoomCreated,
    RoomEnded,
    ServerStarted,
    Target,
    TrackPublished,
    TrackUnpublished,
    Why,
)
from compliance.words import Decision, Gate, Pseudonym, Role, VaultRef
from crypto.merkle import Frontier, leaf_hash
from crypto.notes import Checkpoint, Signer, assemble
from crypto.tiles import HEIGHT, WIDTH, bundle_path, encode_bundle, tile_path

ORIGIN = "conclave.example/benchmark"
SOURCE = "pop-1/server/5f3a5f3a5f3a5f3a"
START = 1_700_000_000_000_000  # microseconds since the epoch
PEOPLE = 3
_SYSTEM = Actor(Role.SYSTEM)
_SUBJECT = Pseudonym("p_" + "0123456789abcdef" * 2)
_WHY = Why(Gate.ADMIT, Decision.GRANTED, "", "sha256:" + "ab" * 32)
_SEALED = Private("cd" * 32, VaultRef("v_" + "ef" * 16))
_HOLE = "000000000000"  # stands in templates where the meeting's number goes


def main() -> int:
    """Makes the log if need be, verifies it, prints what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=0)
    options = parser.parse_args()
    clock = SystemClock()
    started = clock.now()
    if not (options.folder / "checkpoint").exists():
        write(options.folder, options.entries)
    made = clock.now() - started
    command = [sys.executable, "-m", "verifier", "log", str(options.folder), "--json"]
    started = clock.now()
    done = subprocess.run(
        [*command, "--jobs", str(options.jobs)], capture_output=True, text=True, check=False
    )
    seconds = clock.now() - started
    report = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    size = report["facts"]["size"]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{size:,} entries, made in {made:.0f} s")
    print(f"verified in {seconds:.1f} s: {size / seconds:,.0f} entries/s")
    print(
        f"processor time {used.ru_utime + used.ru_stime:.1f} s, largest process {used.ru_maxrss / 1024:.0f} MiB"
    )
    return 0


def write(folder: Path, size: int) -> None:
    """A log of `size` entries, tile by tile, with one tile of each level in memory."""
    signer = Signer(ORIGIN, bytes(range(32)))
    frontier = Frontier()
    rows: list[list[bytes]] = [[]]
    bundle: list[bytes] = []
    for entry in islice(entries(), size):
        bundle.append(entry)
        for level, index, node in frontier.append(leaf_hash(entry)):
            row, inside = divmod(level, HEIGHT)
            if inside:
                continue
            if row == len(rows):
                rows.append([])
            rows[row].append(node)
            if len(rows[row]) == WIDTH:
                _put(folder, tile_path(row, index // WIDTH), b"".join(rows[row]))
                rows[row] = []
        if len(bundle) == WIDTH:
            _put(folder, bundle_path(frontier.size // WIDTH - 1), encode_bundle(bundle))
            bundle = []
    if bundle:
        _put(folder, bundle_path(size // WIDTH, len(bundle)), encode_bundle(bundle))
    for row, hashes in enumerate(rows):
        if hashes:
            _put(
                folder,
                tile_path(row, (size >> (HEIGHT * row)) // WIDTH, len(hashes)),
                b"".join(hashes),
            )
    text = Checkpoint(ORIGIN, size, frontier.root()).encode()
    _put(folder, "key.pub", signer.verifier.encode().encode() + b"\n")
    _put(folder, "checkpoint", assemble(text, [signer.sign(text)]).encode())


def entries() -> Iterator[bytes]:
    """Entries without end: the start of a source, then meetings one after the other."""
    start = ServerStarted(actor=_SYSTEM, version="0.1.0", configuration="sha256:" + "00" * 32)
    yield encode(Record(SOURCE, 1, START, "pop-1", "eu-central", start))
    templates = [_template(event) for event in _meeting()]
    sequence = 1
    for meeting in count():
        name = f"{meeting:012d}".encode()
        for head, middle, tail in templates:
            sequence += 1
            second, micro = divmod(sequence * 1000, 1_000_000)
            time = b"2026-01-%02dT%02d:%02d:%02d.%06dZ" % (
                second // 86_400 + 1, second // 3600 % 24, second // 60 % 60, second % 60, micro,
            )  # fmt: skip
            yield head.replace(_HOLE.encode(), name) + b"%d" % sequence + middle + time + tail


def _meeting() -> list[Event]:
    room = Target(room=f"RM_{_HOLE}")
    events: list[Event] = [RoomCreated(actor=_SYSTEM, on=room)]
    people = [
        Target(room.room, f"PA_{_HOLE}{n}", f"TR_{_HOLE}{n}", _SUBJECT) for n in range(PEOPLE)
    ]
    for who in people:
        on = Target(who.room, who.peer, "", who.subject)
        rights = ("publish", "publish_data", "subscribe")
        events.append(
            AdmissionGranted(actor=_SYSTEM, on=on, why=_WHY, rights=rights, private=_SEALED)
        )
        events.append(
            TrackPublished(
                actor=_SYSTEM, on=who, medium="video", purpose="camera", end_to_end_encrypted=True
            )
        )
    for who in people:
        events.append(TrackUnpublished(actor=_SYSTEM, on=who, seconds=60))
        on = Target(who.room, who.peer, "", who.subject)
        events.append(ParticipantLeft(actor=_SYSTEM, on=on, seconds=60))
    return [*events, RoomEnded(actor=_SYSTEM, on=room, seconds=61, participants=PEOPLE)]


def _template(event: Event) -> tuple[bytes, bytes, bytes]:
    """An entry cut open where its sequence number and its time stand, which canonical order puts near its end."""
    entry = encode(Record(SOURCE, 7, START, "pop-1", "eu-central", event))
    head, mark, rest = entry.partition(b'"sequence":7')
    middle, time, tail = rest.partition(b"2023-11-14T22:13:20.000000Z")
    assert mark
    assert time
    return head + b'"sequence":', middle, tail


def _put(folder: Path, path: str, data: bytes) -> None:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)


if __name__ == "__main__":
    sys.exit(main())
