"""Audit logs for tests: a source's entries, a store driven as the service drives it, an independent look."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from compliance.envelope import encode, peek
from compliance.events import CustomRecorded
from compliance.files import Files
from crypto.merkle import leaf_hash, root_of
from crypto.notes import Checkpoint, Signer, Verifier, open_note
from crypto.tiles import WIDTH, bundle_path, decode_bundle, decode_tile, tile_path, width_at
from sidecar.store import Arrival, Keeper, Writer, open_store
from tests.support.audit import SYSTEM, record


class Readable(Protocol):
    """Whatever can read files."""

    def read(self, path: str) -> bytes: ...


SIGNER = Signer("conclave.example/audit", bytes(range(32)))


@functools.cache
def entry(sequence: int, source: str = "pop-1/server/5f3a", *, name: str = "x") -> bytes:
    """The entry of a source's event."""
    return encode(record(CustomRecorded(actor=SYSTEM, name=name), sequence, source))


@functools.cache
def arrival(data: bytes, connection: int = 1) -> Arrival:
    """An entry as the intake hands it on."""
    heading = peek(data)
    return Arrival(data, heading.source, heading.sequence, connection)


def arrivals(first: int, end: int, source: str = "pop-1/server/5f3a") -> list[Arrival]:
    """Entries with sequence numbers in [first, end)."""
    return [arrival(entry(sequence, source)) for sequence in range(first, end)]


class Log:
    """A store with the thread that commits and the one that publishes rolled into one."""

    def __init__(self, files: Files, state: Files | None = None) -> None:
        self.files = files
        self.writer: Writer
        self.keeper: Keeper
        self.writer, self.keeper = open_store(files, state or files, SIGNER)

    def commit(self, batch: Sequence[Arrival]) -> list[int | str | None]:
        committed = self.writer.commit(batch)
        self.keeper.absorb(committed.fresh)
        return committed.outcomes

    def publish(self) -> None:
        self.keeper.publish()
        if self.writer.has_old(self.keeper.durable):
            self.keeper.save_sources()
            self.writer.retire(self.keeper.durable)

    def fill(self, count: int, *, group: int = 100) -> None:
        """Commits entries of one source and publishes them."""
        for first in range(1, count + 1, group):
            self.commit(arrivals(first, min(first + group, count + 1)))
        self.publish()
        self.writer.close()


def read_log(files: Readable, key: Verifier = SIGNER.verifier) -> tuple[Checkpoint, list[bytes]]:
    """Checkpoint and entries of a published log, all of it recomputed by definition."""
    text, _ = open_note(files.read("checkpoint").decode(), [key])
    checkpoint = Checkpoint.decode(text)
    entries: list[bytes] = []
    for bundle in range(-(-checkpoint.size // WIDTH)):
        width = width_at(0, bundle, checkpoint.size)
        entries += decode_bundle(_read(files, bundle_path(bundle), width), width)
    nodes = [leaf_hash(each) for each in entries]
    assert root_of(nodes) == checkpoint.root
    level = 0
    while nodes:
        for tile in range(-(-len(nodes) // WIDTH)):
            width = width_at(level, tile, checkpoint.size)
            expected = nodes[tile * WIDTH : (tile + 1) * WIDTH]
            assert decode_tile(_read(files, tile_path(level, tile), width), width) == expected
        nodes = [root_of(nodes[i : i + WIDTH]) for i in range(0, len(nodes) - WIDTH + 1, WIDTH)]
        level += 1
    return checkpoint, entries


def read_published(root: Path) -> list[bytes]:
    """Entries of the log in a folder, whatever key signed it, all of it recomputed by definition."""
    key = Verifier.decode((root / "key.pub").read_text())
    return read_log(Folder(root), key)[1]


class Folder:
    """Reads files below a folder without locking it; the reading part of `Files`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str) -> bytes:
        return (self.root / path).read_bytes()


def check(log: Log, confirmed: dict[int, int], published: int) -> None:
    """All that was confirmed and published is there, and the log goes on."""
    _, entries = read_log(log.files)
    assert len(entries) >= published
    assert entries == [entry(number + 1) for number in range(len(entries))]
    for sequence, index in confirmed.items():
        assert entries[index] == entry(sequence)
    more = log.commit(arrivals(len(entries) + 1, len(entries) + 6))
    assert more == list(range(len(entries), len(entries) + 5))
    log.publish()
    assert len(read_log(log.files)[1]) == len(entries) + 5


def _read(files: Readable, path: str, width: int) -> bytes:
    return files.read(path if width == WIDTH else f"{path}.p/{width}")
