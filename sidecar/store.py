"""The log as two halves with a thread each: `Writer` makes entries durable, `Keeper` builds and signs the tree.

In: entries that arrived; what the last run left on disk. Out: indexes, checkpoints, receipts. Must not: sign
before all is durable that a checkpoint covers, start on a store that is not what was signed, or hide which entry
is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from common.errors import LocalError, RemoteError
from compliance.envelope import peek
from compliance.files import Files, replace_file
from crypto.merkle import consistency_proof, inclusion_proof, range_hash
from crypto.notes import Checkpoint, NoteError, Signer
from crypto.proofs import InclusionReceipt
from crypto.tiles import WIDTH, TileError, bundle_path, decode_bundle
from sidecar.journal import Journal, JournalFull, damaged, recover, start_at
from sidecar.notary import Inconsistent, Notary
from sidecar.sources import Sources
from sidecar.tree import Tree, open_tree

CHECKPOINT: Final = "checkpoint"  # among the files: for readers
SIGNED: Final = "signed"  # in the state: what this key has signed, best on another medium
SOURCES: Final = "sources"  # in the state
GAP: Final = "sequence_gap"


@dataclass(frozen=True, slots=True)
class Arrival:
    """An entry with what its heading says and the connection it came on."""

    entry: bytes
    source: str
    sequence: int
    connection: int
    flaw: str = ""  # why it cannot be stored, whatever came before


@dataclass(frozen=True, slots=True)
class Committed:
    """What became of a group: for each arrival its index (None: known, but not where) or the code of a refusal."""

    outcomes: list[int | str | None]
    first: int  # index of the first fresh one
    fresh: list[Arrival]


class Writer:
    """The durable half."""

    def __init__(self, journal: Journal, sources: Sources) -> None:
        """Takes what `open_store` found."""
        self._journal = journal
        self._sources = sources

    @property
    def end(self) -> int:
        """Index of the next entry."""
        return self._journal.end

    def commit(self, arrivals: Sequence[Arrival]) -> Committed:
        """Makes a group durable. Raises JournalBroken; then the process must start again.

        A refusal ends its connection: what came on it later in the group is refused too.
        """
        outcomes: list[int | str | None] = []
        fresh: list[Arrival] = []
        pending: dict[str, tuple[int, int]] = {}
        refused: set[int] = set()
        for arrival in arrivals:
            last, index = pending.get(arrival.source) or self._sources.last(arrival.source)
            if arrival.flaw and arrival.connection not in refused:
                refused.add(arrival.connection)
                outcomes.append(arrival.flaw)
            elif arrival.connection in refused or arrival.sequence > last + 1:
                refused.add(arrival.connection)
                outcomes.append(GAP)
            elif arrival.sequence <= last:
                outcomes.append(index if arrival.sequence == last else None)
            else:
                index = self._journal.end + len(fresh)
                pending[arrival.source] = (arrival.sequence, index)
                fresh.append(arrival)
                outcomes.append(index)
        first = self._journal.end
        if fresh:
            try:
                self._journal.append([arrival.entry for arrival in fresh])
            except JournalFull as error:
                return Committed([error.code] * len(arrivals), first, [])
        for source, (sequence, index) in pending.items():
            self._sources.advance(source, sequence, index)
        return Committed(outcomes, first, fresh)

    def has_old(self, below: int) -> bool:
        """Whether `retire` would remove anything."""
        return self._journal.has_old(below)

    def retire(self, below: int) -> None:
        """Removes journal segments below an index. Raises OSError."""
        self._journal.retire(below)

    def close(self) -> None:
        """Gives descriptors back."""
        self._journal.close()


class Keeper:
    """The provable half."""

    def __init__(
        self, files: Files, state: Files, tree: Tree, notary: Notary, sources: Sources
    ) -> None:
        """Takes what `open_store` found."""
        self._files = files
        self._state = state
        self._tree = tree
        self._notary = notary
        self._sources = sources
        self.published = Checkpoint(notary.origin, 0, b"")
        self.note = ""  # the last checkpoint as readers have it

    @property
    def size(self) -> int:
        """Entries taken, published or not."""
        return self._tree.size

    @property
    def durable(self) -> int:
        """Entries in full bundles; below it the journal is no longer needed."""
        return self.published.size - self.published.size % WIDTH

    def absorb(self, arrivals: Sequence[Arrival]) -> None:
        """Takes durable entries, in memory."""
        for offset, arrival in enumerate(arrivals):
            self._sources.advance(arrival.source, arrival.sequence, self._tree.size + offset)
        self._tree.append([arrival.entry for arrival in arrivals])

    def publish(self) -> bool:
        """Writes, signs and publishes what was absorbed; whether there was anything new.

        Raises OSError, then call it again; Inconsistent or TileError, then nothing may be signed any more.
        """
        if self.note and self._tree.size == self.published.size:
            return False
        self._tree.flush()
        old, size = self._notary.last.size, self._tree.size
        proof = consistency_proof(old, size, self._tree.subtree) if old else []
        note = self._notary.sign(size, self._tree.root(), proof)
        replace_file(self._state, SIGNED, note.encode())
        replace_file(self._files, CHECKPOINT, note.encode())
        self.published, self.note = self._notary.last, note
        return True

    def consistency(self, old: int) -> list[bytes]:
        """The proof that the published tree extends the one of `old` entries."""
        return consistency_proof(old, self.published.size, self._tree.subtree) if old else []

    def receipt(self, index: int) -> str:
        """The receipt of an entry; "" while no checkpoint covers it. Raises OSError, TileError."""
        size = self.published.size
        if not 0 <= index < size:
            return ""
        path = inclusion_proof(index, size, self._tree.subtree)
        return InclusionReceipt(index, tuple(path), self.note).encode()

    def save_sources(self) -> None:
        """Makes the sources durable, before the journal forgets them. Raises OSError."""
        replace_file(self._state, SOURCES, self._sources.encode(self._tree.size))


def open_store(files: Files, state: Files, signer: Signer) -> tuple[Writer, Keeper]:
    """Finds what the last run left, checks it against what was signed, completes and publishes it.

    Raises LocalError: log_damaged, log_rolled_back, checkpoint_inconsistent; OSError.
    """
    notes = _signed_notes(files, state, Notary(signer))
    last = max(notes, key=lambda note: note.size, default=None)
    signed = last.size if last else 0
    durable = signed - signed % WIDTH
    try:
        tree = open_tree(files, durable)
    except (TileError, FileNotFoundError) as error:
        raise _unreadable(error) from error
    journal, entries = recover(files)
    sources, known = _saved_sources(state)
    if known > max(signed, durable):
        raise _rolled_back(signed, known)
    for index, entry in _bundled(files, known, durable):
        _advance(sources, entry, index)
    for index, entry in entries:
        if index > tree.size:
            raise damaged(tree.size, "the journal begins after it")
        if index == tree.size:
            tree.append([entry])
            if index >= known:
                _advance(sources, entry, index)
    journal = _complete(files, journal, tree, signed)
    _check_notes(notes, tree)
    keeper = Keeper(files, state, tree, Notary(signer, last), sources.copy())
    keeper.publish()
    return Writer(journal, sources), keeper


def _complete(files: Files, journal: Journal, tree: Tree, signed: int) -> Journal:
    if tree.size < signed:
        raise _rolled_back(tree.size, signed)
    if journal.end < tree.size:  # all its entries are in full bundles
        journal.close()
        return start_at(files, tree.size)
    return journal


def _signed_notes(files: Files, state: Files, notary: Notary) -> list[Checkpoint]:
    notes = []
    for place, name in ((state, SIGNED), (files, CHECKPOINT)):
        try:
            notes.append(notary.open(place.read(name).decode()))
        except FileNotFoundError:
            continue
        except (NoteError, UnicodeDecodeError) as error:
            raise LocalError("log_damaged", f"{name} is no checkpoint of this log") from error
    return notes


def _check_notes(notes: list[Checkpoint], tree: Tree) -> None:
    for note in notes:
        try:
            root = range_hash(0, note.size, tree.subtree) if note.size else note.root
        except (TileError, FileNotFoundError) as error:
            raise _unreadable(error) from error
        if root != note.root:
            raise Inconsistent(f"the first {note.size} entries are not those that were signed for")


def _saved_sources(state: Files) -> tuple[Sources, int]:
    """The sources as saved; without them they are found in the bundles."""
    try:
        return Sources.decode(state.read(SOURCES))
    except (FileNotFoundError, RemoteError):
        return Sources(), 0


def _bundled(files: Files, first: int, end: int) -> Iterator[tuple[int, bytes]]:
    for bundle in range(first // WIDTH, end // WIDTH):
        path = bundle_path(bundle)
        try:
            entries = decode_bundle(files.read(path), WIDTH)
        except (TileError, FileNotFoundError) as error:
            raise LocalError("log_damaged", f"{path} cannot be read: {error}") from error
        for offset, entry in enumerate(entries):
            if bundle * WIDTH + offset >= first:
                yield bundle * WIDTH + offset, entry


def _advance(sources: Sources, entry: bytes, index: int) -> None:
    try:
        heading = peek(entry)
    except RemoteError as error:
        raise damaged(index, error.message) from error
    sources.advance(heading.source, heading.sequence, index)


def _unreadable(error: Exception) -> LocalError:
    return LocalError("log_damaged", f"a tile cannot be read: {error}")


def _rolled_back(size: int, signed: int) -> LocalError:
    return LocalError(
        "log_rolled_back", f"the log holds {size} entries, but {signed} were signed for"
    )
