"""A whole log: what was signed, every tile and entry against it, what others signed for, the unsigned tail.

In: the folder of a log, stopped or running, and public keys. Out: a report. Must not: write, or take what changes
while it reads for damage: whatever could be ahead is read first, what it is compared with afterwards.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from cryptography.x509 import Certificate

from verifier import entries as entry_format
from verifier.chunks import ENTRIES_OF_CHUNK, Chunk, Edge, examine
from verifier.folder import WIDTH, Folder, path_of, read_file, width_at
from verifier.journal import Journal
from verifier.notes import MAX_NOTE, Checkpoint, Note, PublicKey, open_checkpoint
from verifier.receipts import HEADER, Receipt
from verifier.report import Finding, Misused, Refused, Report
from verifier.sequences import Digest, Story
from verifier.spine import Spine
from verifier.timestamps import MAX_ANSWER, check_timestamp
from verifier.trees import EMPTY, HASH, leaf

CHECKPOINT: Final = "checkpoint"
COSIGNED: Final = "checkpoint.cosigned"
STAMPS: Final = "timestamps"
SIGNED: Final = "signed"
KEY: Final = "key.pub"
PARALLEL: Final = 4 * ENTRIES_OF_CHUNK  # entries from which more processes are worth their start
MAX_LOST: Final = (
    4  # chunks in a row without anything; whoever signs for 10^15 entries shall not keep us
)

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Options:
    """What to check a log with."""

    keys: list[PublicKey] = field(default_factory=list)
    witnesses: list[PublicKey] = field(default_factory=list)
    known: list[Path] = field(default_factory=list)  # checkpoints or receipts kept elsewhere
    state: Path | None = None  # folder where the log's keeper remembers what it signed
    roots: Sequence[Certificate] = ()  # of authorities whose time-stamps count
    jobs: int = 0  # processes; 0: as many as there are processors
    progress: Progress = lambda _done, _all: None


@dataclass(slots=True)
class Opened:
    """A log whose head is known."""

    folder: Folder
    keys: list[PublicKey]
    head: Checkpoint
    others: list[tuple[str, Checkpoint]]  # other checkpoints with their files


def check_log(root: Path, options: Options, report: Report) -> Opened | None:
    """Checks everything in a folder. Raises Misused if there is no log or no key."""
    opened = open_log(root, options, report)
    if opened is None:
        report.completeness.examined = False
        return None
    story = Story(whole=True)
    _check_tree(opened, options, story, report)
    _check_partial(opened, report)
    for name, other in opened.others:
        _compare(opened, name, other, report)
    for path in options.known:
        _check_receipt(opened, path, report)
    _read_tail(opened, story, report)
    _tell(opened, story, report)
    return opened


def _check_tree(opened: Opened, options: Options, story: Story, report: Report) -> None:
    """Every entry and tile against the signed root."""
    head, folder = opened.head, opened.folder
    spine = Spine(folder, head.size)
    edge, done, lost = Edge(), 0, 0
    for chunk in _chunks(folder, head.size, options.jobs):
        for hashed in chunk.nodes:
            spine.add(hashed)
        edge = chunk.edge
        done += chunk.entries
        _add(report, chunk, story)
        options.progress(done, head.size)
        lost = 0 if chunk.readable else lost + 1
        if lost == MAX_LOST:
            text = "nothing can be read for a long way: the rest was not looked for"
            report.broken("entries_missing", text, entry=done)
            return
    whole = spine.root(edge, head.root)
    report.integrity.add(spine.findings)
    if whole != head.root:
        text = f"the {head.size:,} entries are not those that were signed for: the root differs"
        report.broken("root_differs", text)


def open_log(root: Path, options: Options, report: Report) -> Opened | None:
    """Reads keys and checkpoints; None if there is no head to check against. Raises Misused."""
    folder = Folder(root)
    if not {CHECKPOINT, "tile", "wal"} & set(folder.names("")):
        raise Misused(f"{root} is no folder of a log")
    keys = options.keys or own_key(folder, report)
    if not keys:
        return None
    others = _others(folder, keys, options, report)
    others += _stamped(folder, keys, options, report)
    heads = _heads(folder, keys, options, report)
    if not heads:
        return None
    head = max((checkpoint for _, checkpoint in heads), key=lambda each: each.size)
    return Opened(folder, keys, head, [*heads, *others])


def own_key(folder: Folder, report: Report) -> list[PublicKey]:
    """The key that lies beside the log, which proves less. Raises Misused if there is none."""
    try:
        text = folder.read(KEY, 1000).decode("utf-8", "replace")
    except Refused as error:
        raise Misused(f"the log has no {KEY}; give the log's public key with --key") from error
    report.warnings.append(
        f"the public key was taken from {KEY} beside the log: whoever could change the log could change the key. "
        "Give the key that you were handed with --key."
    )
    try:
        return [PublicKey.parse(text)]
    except Refused as error:
        report.broken(error.code, error.message, file=KEY)
        return []


def _heads(
    folder: Folder, keys: list[PublicKey], options: Options, report: Report
) -> list[tuple[str, Checkpoint]]:
    """What the log says of itself now. What is remembered in the state is signed before it is published."""
    places = [(SIGNED, options.state / SIGNED)] if options.state else []
    places.append((CHECKPOINT, folder.root / CHECKPOINT))
    found = []
    for name, path in places:
        try:
            found.append((name, open_checkpoint(read_file(path, MAX_NOTE), keys)))
        except Refused as error:
            if error.code != "file_missing" or name == CHECKPOINT:
                report.broken(error.code, error.message, file=name)
    return found


def _others(
    folder: Folder, keys: list[PublicKey], options: Options, report: Report
) -> list[tuple[str, Checkpoint]]:
    """What was signed at other times and kept in other places."""
    found = []
    for path in options.known:
        data = _given(path)
        try:
            found.append((str(path), open_checkpoint(_bare(data), keys)))
        except Refused as error:
            report.broken(error.code, error.message, file=str(path))
    if COSIGNED in folder.names(""):
        try:
            data = folder.read(COSIGNED, MAX_NOTE)
            found.append((COSIGNED, open_checkpoint(data, keys)))
            _check_cosignatures(data, options.witnesses, report)
        except Refused as error:
            report.broken(error.code, error.message, file=COSIGNED)
    elif options.witnesses:
        report.incomplete("cosignature_missing", "no witness has cosigned the log")
    return found


def _stamped(
    folder: Folder, keys: list[PublicKey], options: Options, report: Report
) -> list[tuple[str, Checkpoint]]:
    """Checkpoints that an authority put a time on."""
    found: list[tuple[str, Checkpoint]] = []
    times: list[str] = []
    for name in folder.names(STAMPS):
        path = f"{STAMPS}/{name}"
        try:
            if name.endswith(".checkpoint"):
                found.append((path, open_checkpoint(folder.read(path, MAX_NOTE), keys)))
            elif name.endswith(".tsr"):
                note = folder.read(path.removesuffix("tsr") + "checkpoint", MAX_NOTE)
                answer = folder.read(path, MAX_ANSWER)
                times.append(check_timestamp(answer, note, options.roots).isoformat())
        except Refused as error:
            report.broken(error.code, error.message, file=path)
    if times:
        report.facts["timestamps"] = {"count": len(times), "first": min(times), "last": max(times)}
        report.lines.append(f"Stamped: {len(times):,} times from {min(times)} to {max(times)}")
        if not options.roots:
            report.warnings.append(
                "nobody vouches for the authority of the time-stamps; give its root certificates with --ca"
            )
    return found


def _given(path: Path) -> bytes:
    try:
        return read_file(path, MAX_NOTE)
    except Refused as error:
        raise Misused(f"{path}: {error.message}") from error


def _bare(data: bytes) -> bytes:
    """The checkpoint of a receipt, or what is one already."""
    if data.startswith(HEADER.encode() + b"\n"):
        return data.partition(b"\n\n")[2]
    return data


def _check_cosignatures(data: bytes, witnesses: list[PublicKey], report: Report) -> None:
    note = Note.parse(data)
    times: dict[str, object] = {}
    for witness in witnesses:
        try:
            times[witness.name] = note.check(witness)
        except Refused as error:
            if error.code == "signature_missing":
                report.incomplete("cosignature_missing", error.message, file=COSIGNED)
            else:
                report.broken(error.code, error.message, file=COSIGNED)
    report.facts["cosignatures"] = times
    strangers = len(note.signatures) - 1 - len(times)
    if strangers > 0:
        report.warnings.append(
            f"{strangers} cosignatures were not checked; give keys of witnesses with --witness"
        )


def _chunks(folder: Folder, size: int, jobs: int) -> Iterator[Chunk]:
    count = -(-size // ENTRIES_OF_CHUNK)
    work = partial(examine, folder, size)
    jobs = min(jobs or os.cpu_count() or 1, count)
    if jobs <= 1 or size < PARALLEL:
        yield from map(work, range(count))
        return
    with ProcessPoolExecutor(jobs, initializer=_leave_interrupts) as pool:
        waiting = []
        for index in range(count):  # a few ahead, so that results never pile up
            waiting.append(pool.submit(work, index))
            if len(waiting) > 2 * jobs:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()


def _leave_interrupts() -> None:
    """Ctrl-C is for the process that asked; this one ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _add(report: Report, chunk: Chunk, story: Story) -> None:
    """Takes the findings of a chunk; where there is nothing at all, that is one."""
    if chunk.readable:
        report.integrity.add(chunk.findings)
        report.integrity.count += chunk.dropped
        story.add(chunk.digest)
        return
    text, first = f"none of {chunk.entries:,} entries can be read", chunk.index * ENTRIES_OF_CHUNK
    report.broken("entries_missing", text, entry=first)
    story.add(Digest(findings=[Finding("entries_unreadable", text, {"entry": first})]))


def _check_partial(opened: Opened, report: Report) -> None:
    """Older partial tiles of the right edge, which readers may still hold."""
    size, folder = opened.head.size, opened.folder
    level = 0
    while size >> (8 * level):
        index = (size >> (8 * level)) // WIDTH
        width = width_at(level, index, size)
        for name in folder.names(path_of(level, index) + ".p"):
            if not name.isascii() or not name.isdecimal() or not 0 < int(name[:4]) < width:
                continue
            try:
                data = folder.read(path_of(level, index, int(name)), WIDTH * HASH)
                if data != b"".join(folder.tile(level, index, width))[: int(name) * HASH]:
                    text = "an older partial tile is not the beginning of the newer one"
                    report.broken("tile_changed", text, tile=path_of(level, index, int(name)))
            except Refused:
                continue  # gone, or the newer one is what is wrong and was told
        level += 1


def _compare(opened: Opened, name: str, other: Checkpoint, report: Report) -> None:
    """That the log extends what was signed for at another time."""
    head, size = opened.head, other.size
    if size > head.size:
        text = f"{size:,} entries were signed for, the log has {head.size:,} only"
        report.broken("log_shortened", text, file=name)
        return
    try:
        root = opened.folder.subtree(0, size, head.size) if size else EMPTY
        root = head.root if size == head.size else root
    except Refused as error:
        report.broken("checkpoint_unproven", error.message, file=name)
        return
    if root != other.root:
        code = "split_view" if size == head.size else "log_rewritten"
        text = f"the first {size:,} entries are not those that this checkpoint was signed for"
        report.broken(code, text, file=name)


def _check_receipt(opened: Opened, path: Path, report: Report) -> None:
    """That what a receipt was given for is still the entry at its index."""
    data = _given(path)
    if _bare(data) == data:
        return
    try:
        receipt = Receipt.parse(data)
        if receipt.index < opened.head.size:
            entry = opened.folder.entry(receipt.index, opened.head.size)
            receipt.check(entry, open_checkpoint(receipt.note, opened.keys))
    except Refused as error:
        report.broken(error.code, error.message, file=str(path))


def _read_tail(opened: Opened, story: Story, report: Report) -> None:
    """What the journal holds: the same entries again, and such that no checkpoint covers yet."""
    journal, size = Journal(opened.folder), opened.head.size
    digest, expected = Digest(), size
    for index, entry in journal.entries():
        if index < size:
            _check_copy(opened, index, entry, report)
            continue
        if index != expected:
            text = f"entries {expected} to {index - 1} are neither signed for nor in the journal"
            journal.findings.append(Finding("journal_gap", text, {"entry": expected}))
        expected = index + 1
        try:
            heading, problem = entry_format.read(entry)
            digest.take(index, heading)
        except entry_format.Unreadable as error:
            problem = str(error)
        if problem:
            digest.unreadable(index, problem)
    story.add(digest.close())
    report.integrity.add(journal.findings)
    if "wal" in opened.folder.names("") and size % WIDTH and journal.end < size:
        report.warnings.append(
            f"the journal ends before entry {size}: all that was signed for is in the tiles, but the log's keeper "
            "would not go on with it"
        )
    report.facts["unsigned"] = {"first": size, "entries": expected - size, "torn": journal.torn}
    if expected > size:
        report.lines.append(
            f"Unsigned: {expected - size:,} entries from {size:,} on stand in the journal only; "
            "no signature covers them"
        )


def _check_copy(opened: Opened, index: int, entry: bytes, report: Report) -> None:
    bundle, offset = divmod(index, WIDTH)
    try:
        hashes = opened.folder.tile(0, bundle, width_at(0, bundle, opened.head.size))
    except Refused:
        return  # told already
    if hashes[offset] != leaf(entry):
        text = "the journal has another entry than the one that was signed for"
        report.broken("journal_differs", text, entry=index)


def _tell(opened: Opened, story: Story, report: Report) -> None:
    head = opened.head
    still = story.end()
    report.completeness.add(story.findings)
    report.completeness.count += story.dropped
    report.facts |= {
        "origin": head.origin,
        "size": head.size,
        "root": head.root.hex(),
        "open": still,
    }
    report.lines.insert(0, f"Log {head.origin}: {head.size:,} entries, root {head.root.hex()}")
    for source in still[:20]:
        report.lines.append(
            f"Open: {source['source']} still runs after number {source['last_sequence']}, "
            f"{source['rooms']} rooms, {source['participants']} participants, {source['tracks']} tracks"
        )
