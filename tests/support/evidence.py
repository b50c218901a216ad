"""Logs written by definition, without the store: what the verifier is tested on, and an oracle for its trees."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from compliance.envelope import Record, encode
from compliance.events import (
    AdmissionGranted,
    CustomRecorded,
    Event,
    ParticipantLeft,
    RoomCreated,
    RoomEnded,
    ServerStarted,
    ServerStopped,
    Target,
    TrackPublished,
    TrackUnpublished,
)
from crypto.notes import Checkpoint, Signer, assemble
from tests.support.audit import HASH, SYSTEM, TIME
from verifier.logs import Options, check_log
from verifier.notes import PublicKey
from verifier.report import Report

SIGNER = Signer("conclave.example/audit", bytes(range(32)))
KEY = PublicKey.parse(SIGNER.verifier.encode())
SOURCE = "pop-1/server/5f3a"

STARTED = ServerStarted(actor=SYSTEM, version="0.1.0", configuration=HASH)
STOPPED = ServerStopped(actor=SYSTEM)


def room(begins: bool, name: str = "RM_1") -> Event:
    on = Target(room=name)
    return (
        RoomCreated(actor=SYSTEM, on=on)
        if begins
        else RoomEnded(actor=SYSTEM, on=on, seconds=1, participants=1)
    )


def peer(begins: bool, name: str = "PA_1") -> Event:
    on = Target(room="RM_1", peer=name)
    return (
        AdmissionGranted(actor=SYSTEM, on=on, rights=())
        if begins
        else ParticipantLeft(actor=SYSTEM, on=on, seconds=1)
    )


def track(begins: bool, name: str = "TR_1") -> Event:
    on = Target(room="RM_1", peer="PA_1", track=name)
    if not begins:
        return TrackUnpublished(actor=SYSTEM, on=on, seconds=1)
    return TrackPublished(
        actor=SYSTEM, on=on, medium="audio", purpose="microphone", end_to_end_encrypted=False
    )


def told(events: Iterable[Event], source: str = SOURCE) -> list[Record]:
    """The events of a source, numbered from 1."""
    return [Record(source, n, TIME + n, "pop-1", "eu", event) for n, event in enumerate(events, 1)]


def meeting(people: int = 2, source: str = SOURCE) -> list[Record]:
    """Everything that a good source says, from its start to its stop."""
    names = [str(number) for number in range(people)]
    begun = [each for n in names for each in (peer(True, f"PA_{n}"), track(True, f"TR_{n}"))]
    ended = [each for n in names for each in (track(False, f"TR_{n}"), peer(False, f"PA_{n}"))]
    return told([STARTED, room(True), *begun, *ended, room(False), STOPPED], source)


def filled(count: int, source: str = SOURCE) -> list[Record]:
    """A good source with as many entries, at least two."""
    return told(
        [STARTED, *[CustomRecorded(actor=SYSTEM, name="x")] * (count - 2), STOPPED][:count], source
    )


def entries(records: Iterable[Record]) -> list[bytes]:
    return [encode(each) for each in records]


def moved(record: Record, **facts: object) -> Record:
    """The record with other facts."""
    return replace(record, **facts)  # type: ignore[arg-type]


def leaf(entry: bytes) -> bytes:
    return hashlib.sha256(b"\0" + entry).digest()


def naive_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 9162 section 2.1.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def number(index: int) -> str:
    """Three digits a folder."""
    text = f"{index:03d}" if index < 1000 else f"{index:06d}"
    return text if len(text) == 3 else f"x{text[:3]}/{text[3:]}"


def signed(leaves: Sequence[bytes], signer: Signer = SIGNER, *, root: bytes | None = None) -> str:
    """A signed checkpoint over the leaves."""
    text = Checkpoint(signer.verifier.name, len(leaves), root or naive_root(leaves)).encode()
    return assemble(text, [signer.sign(text)])


def write_log(folder: Path, items: Sequence[bytes], signer: Signer = SIGNER) -> Path:
    """A whole log, tile by tile."""
    leaves = [leaf(each) for each in items]
    rows, level = leaves, 0
    while rows:
        for tile in range(-(-len(rows) // 256)):
            part = rows[tile * 256 : tile * 256 + 256]
            put(folder, f"tile/{level}", tile, len(part), b"".join(part))
            if level == 0:
                bundle = b"".join(
                    struct.pack("!H", len(e)) + e for e in items[tile * 256 : tile * 256 + 256]
                )
                put(folder, "tile/entries", tile, len(part), bundle)
        rows = [naive_root(rows[i : i + 256]) for i in range(0, len(rows) - 255, 256)]
        level += 1
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "checkpoint").write_text(signed(leaves, signer))
    (folder / "key.pub").write_text(signer.verifier.encode() + "\n")
    return folder


def put(folder: Path, kind: str, index: int, width: int, data: bytes) -> None:
    path = folder / kind / (number(index) + ("" if width == 256 else f".p/{width}"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def examine(folder: Path, **options: object) -> Report:
    """What the verifier says about a log."""
    report = Report("log", completeness=True)
    options.setdefault("keys", [KEY])
    check_log(folder, Options(jobs=1, **options), report)  # type: ignore[arg-type]
    return report


def judged(folder: Path, records: Iterable[Record], **options: object) -> Report:
    """What the verifier says about a log of these records."""
    return examine(write_log(folder, entries(records)), **options)


def wrong(report: Report) -> list[str]:
    """Codes of what is wrong with the integrity."""
    return [finding.code for finding in report.integrity.findings]


def missing(report: Report) -> list[str]:
    """Codes of what is wrong with the completeness."""
    return [finding.code for finding in report.completeness.findings]
