"""An export: entries as JSON lines, with what leads from them to a signed checkpoint.

In: a file of lines, public keys. Out: a report. Must not: hold more of the file than a line, or call anything
proven that does not lead to the checkpoint at the end.

Of a range two roots are computed: of the entries, and of the hashes that stand beside them. Where these hashes
lead to the checkpoint, an entry with another hash than the one beside it is the one that was changed.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from verifier import entries as entry_format
from verifier.notes import MAX_SIZE, Checkpoint, PublicKey, open_checkpoint, unbase64
from verifier.report import Misused, Place, Refused, Report
from verifier.sequences import Digest, Story
from verifier.trees import HASH, MAX_PATH, Range, included, leaf

MAX_LINE: Final = 4_000_000  # bytes; a note of a million, escaped, with its proof
MAX_PROOF: Final = 2 * MAX_PATH  # hashes beside a range
MAX_SUSPECTS: Final = 1000  # entries named as changed; whoever looks has seen enough by then
DIGESTED: Final = 65_536  # entries taken at a time
_PATH: Final = rb'"path":\[((?:"[A-Za-z0-9+/]{43}="(?:,(?="))?)*)\],'
_LEAF: Final = rb'"leaf":"([A-Za-z0-9+/]{43}=)",'
_LINE: Final = re.compile(
    rb'\{"index":(0|[1-9][0-9]{0,15}),(?:' + _PATH + rb"|" + _LEAF + rb')?"entry":(\{.*\})\}',
    re.DOTALL,
)
_LAST: Final = b'{"checkpoint":'


@dataclass(frozen=True, slots=True)
class Closing:
    """The last line: a signed checkpoint, and for a range what proves it."""

    checkpoint: Checkpoint
    first: int = -1  # -1: each entry proves itself
    end: int = -1
    proof: tuple[bytes, ...] = ()

    @property
    def is_range(self) -> bool:
        """Whether all entries from `first` to `end` are there."""
        return self.first >= 0


@dataclass(slots=True)
class Reading:
    """What was read so far."""

    report: Report
    closing: Closing | None
    story: Story
    digest: Digest = field(default_factory=Digest)
    range: Range | None = None  # of entries
    named: Range | None = None  # of the hashes beside them
    suspects: list[int] = field(default_factory=list)  # entries with another hash beside them
    last: int = -1  # index of the last entry
    entries: int = 0
    whole: bool = True  # every line was an entry where it belongs

    def entry(self, number: int, line: bytes) -> None:
        """Takes a line."""
        match = _LINE.fullmatch(line)
        if match is None:
            self._malformed(number, line)
            return
        index, entry = int(match[1]), match[4]
        self.entries += 1
        if index <= self.last:
            self.report.broken("entry_misplaced", "the entry comes after a later one", entry=index)
        self._prove(index, entry, match[2], match[3])
        self.last = max(index, self.last)
        self._read(index, entry)

    def _malformed(self, number: int, line: bytes) -> None:
        """A line that cannot be taken apart; in a range its hash may still stand for its entry."""
        where: dict[str, Place] = {"line": number}
        found = re.search(_LEAF, line)
        item = _unbase64(found[1]) if found else None
        closing = self.closing
        if item is not None and closing is not None and self._next(closing) < closing.end:
            where["entry"] = self.last = self._next(closing)
            self.entries += 1
            self._add(item, item)
        else:
            self.whole = False
        self.report.broken("line_malformed", "the line is no entry of an export", **where)

    def _next(self, closing: Closing) -> int:
        """The entry of a range that is due."""
        return self.last + 1 if self.last >= 0 else closing.first

    def _add(self, item: bytes, named: bytes) -> None:
        if self.range is not None and self.named is not None:
            self.range.add(item)
            self.named.add(named)

    def _prove_in_range(
        self, closing: Closing, index: int, entry: bytes, *, beside: bytes | None
    ) -> None:
        if index != self._next(closing):
            text = f"entry {self._next(closing)} should stand here"
            self.report.broken("entry_misplaced", text, entry=index)
            self.whole = False
            return
        item = leaf(entry)
        named = item if beside is None else _unbase64(beside)
        if named != item and len(self.suspects) < MAX_SUSPECTS:
            self.suspects.append(index)
        self._add(item, named or bytes(HASH))

    def _prove(self, index: int, entry: bytes, path: bytes | None, beside: bytes | None) -> None:
        closing = self.closing
        if closing is None:
            return
        if closing.is_range and path is None:
            self._prove_in_range(closing, index, entry, beside=beside)
            return
        if closing.is_range:
            text = "a path stands beside an entry of a range"
            self.report.broken("entry_misplaced", text, entry=index)
            self.whole = False
            return
        if path is None:
            self.report.broken("entry_unproven", "the entry has no proof", entry=index)
            return
        checkpoint = closing.checkpoint
        try:
            hashes = [
                unbase64(each, "proof_wrong")
                for each in path.decode().replace('"', "").split(",")
                if each
            ]
            if len(hashes) > MAX_PATH:
                raise Refused("proof_wrong", "the proof is too long")
            if included(leaf(entry), index, checkpoint.size, hashes) != checkpoint.root:
                raise Refused("entry_changed", "the entry is not the one that was signed for")
        except Refused as error:
            self.report.broken(error.code, error.message, entry=index)

    def _read(self, index: int, entry: bytes) -> None:
        try:
            heading, problem = entry_format.read(entry)
            self.digest.take(index, heading)
        except entry_format.Unreadable as error:
            problem = str(error)
        if problem:
            self.digest.unreadable(index, problem)
        if self.entries % DIGESTED == 0:
            self.digested()

    def digested(self) -> None:
        """Hands the entries of the last while on."""
        digest, self.digest = self.digest.close(), Digest()
        if self.closing is not None and self.closing.is_range:
            self.story.add(digest)
        else:  # entries were left out on purpose: only what each says for itself counts
            unreadable = [each for each in digest.findings if each.code == "entry_unreadable"]
            self.report.completeness.add(unreadable)


def check_export(path: Path, keys: Sequence[PublicKey], report: Report) -> None:
    """Checks an export. Raises Misused if there is no such file or no key."""
    if not keys:
        raise Misused("give the log's public key with --key")
    closing = _closing(path, keys, report)
    reading = Reading(report, closing, Story(whole=closing is not None and closing.first == 0))
    if closing is not None and closing.is_range:
        reading.range, reading.named = Range(closing.first), Range(closing.first)
    ended = False
    for number, line in enumerate(_lines(path), 1):
        if ended:
            report.broken("line_malformed", "there is something after the last line", line=number)
            break
        ended = line.startswith(_LAST)
        if not ended:
            reading.entry(number, line)
    reading.digested()
    if closing is not None and closing.is_range:
        _conclude(reading, closing, report)
    _tell(reading, closing, report)


def _conclude(reading: Reading, closing: Closing, report: Report) -> None:
    """That the range is the whole range, and leads to the root."""
    if reading.whole and reading.last + 1 != closing.end and reading.entries:
        text = f"the export ends before entry {closing.end}"
        report.broken("entries_missing", text, entry=reading.last + 1)
    elif reading.whole and not reading.entries:
        if closing.first != closing.end:
            report.broken("entries_missing", "the export has no entries", entry=closing.first)
    elif reading.whole and reading.range is not None and reading.named is not None:
        size, signed = closing.checkpoint.size, closing.checkpoint.root
        try:
            entries_fit = reading.range.root(size, closing.proof) == signed
            hashes_fit = reading.named.root(size, closing.proof) == signed
        except Refused as error:
            report.broken(error.code, error.message)
        else:
            _judge(reading, closing, report, entries_fit=entries_fit, hashes_fit=hashes_fit)
    report.facts["open"] = reading.story.end()
    report.completeness.add(reading.story.findings)
    report.completeness.count += reading.story.dropped


def _judge(
    reading: Reading, closing: Closing, report: Report, *, entries_fit: bool, hashes_fit: bool
) -> None:
    """Which entries, or which hashes beside them, are not what was signed for."""
    if entries_fit:
        code, text = "hash_differs", "the hash beside the entry is not its own"
    elif hashes_fit:
        code, text = "entry_changed", "the entry is not the one that was signed for"
    else:
        code, text = "hash_differs", "the entry and the hash beside it contradict each other"
        whole = "the entries are not those that were signed for: they lead to another root"
        report.broken("root_differs", whole, entry=closing.first)
    for index in reading.suspects:
        report.broken(code, text, entry=index)


def _tell(reading: Reading, closing: Closing | None, report: Report) -> None:
    report.facts["entries"] = reading.entries
    if closing is None:
        report.completeness.examined = False
        return
    checkpoint = closing.checkpoint
    report.facts |= {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "range": closing.is_range,
    }
    what = (
        f"entries {closing.first} to {closing.end - 1}" if closing.is_range else "selected entries"
    )
    report.lines.append(
        f"Export of {checkpoint.origin}: {reading.entries:,} lines, {what} of {checkpoint.size:,}"
    )
    if not closing.is_range:
        report.completeness.examined = False
        report.warnings.append("entries were left out on purpose, so nothing can be said of gaps")


def _closing(path: Path, keys: Sequence[PublicKey], report: Report) -> Closing | None:
    """Reads the last line; a finding if it proves nothing."""
    line = _last_line(path)
    try:
        if not line.startswith(_LAST):
            raise Refused(
                "export_unproven", "no signed checkpoint stands at the end: nothing is proven"
            )
        return _read_closing(line, keys)
    except Refused as error:
        report.broken(error.code, error.message)
        return None


def _read_closing(line: bytes, keys: Sequence[PublicKey]) -> Closing:
    try:
        document = json.loads(line)
        note = document["checkpoint"].encode()
    except (ValueError, RecursionError, AttributeError) as error:
        raise Refused("closing_malformed", "the last line is no JSON of an export") from error
    checkpoint = open_checkpoint(note, keys)
    if document.keys() == {"checkpoint"}:
        return Closing(checkpoint)
    first, end, proof = (document.get(name) for name in ("first", "end", "proof"))
    numbers = all(type(each) is int and 0 <= each <= MAX_SIZE for each in (first, end))
    if document.keys() != {"checkpoint", "first", "end", "proof"} or not numbers:
        raise Refused("closing_malformed", "the last line says no range")
    if type(proof) is not list or len(proof) > MAX_PROOF or not all(type(x) is str for x in proof):
        raise Refused("closing_malformed", "the last line has no proof")
    hashes = tuple(unbase64(each, "closing_malformed") for each in proof)
    if any(len(each) != HASH for each in hashes) or not first <= end <= checkpoint.size:
        raise Refused("closing_malformed", "the range is outside of the log")
    return Closing(checkpoint, first, end, hashes)


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE):
            yield line.removesuffix(b"\n")


def _last_line(path: Path) -> bytes:
    """The last line. Raises Misused if there is no such file."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise Misused(f"{path} is no plain file")
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - MAX_LINE))
            tail = file.read(MAX_LINE)
    except (OSError, ValueError) as error:
        raise Misused(f"{path} cannot be read") from error
    return tail.removesuffix(b"\n").rpartition(b"\n")[2]


def _unbase64(text: bytes) -> bytes | None:
    """A hash; none if it is not written in its one form."""
    try:
        return unbase64(text.decode(), "line_malformed")
    except Refused:
        return None
